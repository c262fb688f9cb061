//! Versions, aliases, qualifiers, concurrency, tags: the control plane of functions.
#![allow(clippy::unwrap_used)]

mod scripted;

use scripted::{Act, GHOST, House, Seen, zip};
use serde_json::{Value, json};
use std::time::Duration;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Tells which version runs, and by which ARN it was called.
fn who(seen: &Seen) -> Act {
    let arn = &seen.headers["lambda-runtime-invoked-function-arn"];
    Act::Answer(json!([seen.env["AWS_LAMBDA_FUNCTION_VERSION"], arn, seen.env.get("VERSION")]))
}

async fn publish(house: &House, number: &str) -> Value {
    let code = json!({"FunctionName": "f", "ZipFile": zip(number)});
    house.ask("UpdateFunctionCode", code).await;
    house
        .ask(
            "UpdateFunctionConfiguration",
            json!({"FunctionName": "f", "Environment": {"Variables": {"VERSION": number}}}),
        )
        .await;
    house.ask("PublishVersion", json!({"FunctionName": "f", "Description": format!("number {number}")})).await
}

#[tokio::test(start_paused = true)]
async fn versions_stay_as_they_were_published() {
    let house = House::new().await;
    house.script(who);
    house.make("f", "0").await;
    let one = publish(&house, "1").await;
    assert_eq!((&one["Version"], &one["FunctionArn"]), (&json!("1"), &json!(format!("{ARN}:1"))));
    assert_eq!(one["Description"], "number 1");
    let again = house.ask("PublishVersion", json!({"FunctionName": "f"})).await;
    assert_eq!(again["Version"], "1", "nothing changed, so nothing is published");
    let two = publish(&house, "2").await;
    assert_eq!(two["Version"], "2");
    assert_eq!(house.invoke("f", json!(0)).await, json!(["$LATEST", ARN, "2"]));
    assert_eq!(house.invoke("f:1", json!(0)).await, json!(["1", format!("{ARN}:1"), "1"]));
    let (_, headers) =
        house.answer("Invoke", json!({"FunctionName": ARN, "Qualifier": "2", "Payload": 1})).await.unwrap();
    assert_eq!(headers["x-amz-executed-version"], "2");
    let shown = house.ask("GetFunctionConfiguration", json!({"FunctionName": "f", "Qualifier": "$LATEST"})).await;
    assert_eq!(shown["FunctionArn"], format!("{ARN}:$LATEST"));
    let listed = house.ask("ListVersionsByFunction", json!({"FunctionName": "f"})).await;
    let versions: Vec<&str> =
        listed["Versions"].as_array().unwrap().iter().map(|v| v["Version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
    let page = house.ask("ListVersionsByFunction", json!({"FunctionName": "f", "MaxItems": 2})).await;
    let rest = json!({"FunctionName": "f", "MaxItems": 2, "Marker": page["NextMarker"]});
    assert_eq!(house.ask("ListVersionsByFunction", rest).await["Versions"][0]["Version"], "2");
    let other = &page["NextMarker"];
    house.make("g", "0").await;
    for (list, input) in [
        ("ListVersionsByFunction", json!({"FunctionName": "f", "Marker": "f"})),
        ("ListVersionsByFunction", json!({"FunctionName": "g", "Marker": other})),
        ("ListAliases", json!({"FunctionName": "f", "Marker": other})),
        ("ListFunctions", json!({"Marker": other})),
        ("ListFunctionUrlConfigs", json!({"FunctionName": "f", "Marker": other})),
        ("ListFunctionEventInvokeConfigs", json!({"FunctionName": "f", "Marker": other})),
        ("ListProvisionedConcurrencyConfigs", json!({"FunctionName": "f", "Marker": other})),
        ("ListEventSourceMappings", json!({"Marker": "00000000-0000-0000-0000-000000000000"})),
        ("ListLayers", json!({"Marker": "tools"})),
        ("ListLayerVersions", json!({"LayerName": "tools", "Marker": "2"})),
    ] {
        let (code, message) = house.refused(list, input).await;
        assert_eq!(code, "InvalidParameterValueException", "{list}: {message}");
    }
    let all = house.ask("ListFunctions", json!({"FunctionVersion": "ALL"})).await;
    assert_eq!(all["Functions"].as_array().unwrap().len(), 4);
    assert_eq!(house.ask("ListFunctions", json!({})).await["Functions"].as_array().unwrap().len(), 2);
    let (code, message) = house.refused("GetFunction", json!({"FunctionName": "f", "Qualifier": "9"})).await;
    assert_eq!((code, message), ("ResourceNotFoundException", format!("Function not found: {ARN}:9")));
    let house = house.restart().await;
    assert_eq!(house.invoke("f:1", json!(0)).await[0], "1");
}

#[tokio::test(start_paused = true)]
async fn publishing_checks_what_it_is_told() {
    let house = House::new().await;
    let made = house.make_with("f", "0", json!({"Publish": true})).await;
    assert_eq!(made["Version"], "1");
    let (code, message) = house.refused("PublishVersion", json!({"FunctionName": "f", "CodeSha256": "xyz"})).await;
    assert_eq!(code, "InvalidParameterValueException");
    assert!(message.starts_with("CodeSHA256 (xyz) is different from current CodeSHA256 in $LATEST ("), "{message}");
    let (code, _) = house.refused("PublishVersion", json!({"FunctionName": "f", "RevisionId": "0"})).await;
    assert_eq!(code, "PreconditionFailedException");
    let dry = json!({"FunctionName": "f", "ZipFile": zip("x"), "DryRun": true, "Publish": true});
    assert_eq!(house.ask("UpdateFunctionCode", dry).await["Version"], "2");
    let listed = house.ask("ListVersionsByFunction", json!({"FunctionName": "f"})).await;
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 2, "a dry run publishes nothing");
    let wet = json!({"FunctionName": "f", "ZipFile": zip("x"), "Publish": true});
    assert_eq!(house.ask("UpdateFunctionCode", wet).await["FunctionArn"], format!("{ARN}:2"));
    let (code, _) = house.refused("UpdateFunctionCode", json!({"FunctionName": "f:1", "ZipFile": zip("y")})).await;
    assert_eq!(code, "InvalidParameterValueException", "a version never changes");
}

#[tokio::test(start_paused = true)]
async fn aliases_name_versions_and_divide_between_two() {
    let house = House::new().await;
    house.script(who);
    house.make("f", "0").await;
    publish(&house, "1").await;
    publish(&house, "2").await;
    let alias = json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"});
    let made = house.ask("CreateAlias", alias.clone()).await;
    assert_eq!(made["AliasArn"], format!("{ARN}:live"));
    let (code, message) = house.refused("CreateAlias", alias).await;
    assert_eq!((code, message), ("ResourceConflictException", format!("Alias already exists: {ARN}:live")));
    assert_eq!(house.invoke("f:live", json!(0)).await, json!(["1", format!("{ARN}:live"), "1"]));
    let routed =
        json!({"FunctionName": "f", "Name": "live", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}}});
    house.ask("UpdateAlias", routed).await;
    let mut seen = [0; 2];
    for _ in 0..200 {
        seen[if house.invoke("f:live", json!(0)).await[0] == "2" { 1 } else { 0 }] += 1;
    }
    assert!(seen.iter().all(|n| (60..140).contains(n)), "{seen:?}");
    let (code, message) = house.refused("DeleteFunction", json!({"FunctionName": "f", "Qualifier": "2"})).await;
    assert_eq!(code, "ResourceConflictException");
    assert!(message.contains("[live]"), "{message}");
    for (weights, why) in [
        (json!({"1": 0.1}), "already included"),
        (json!({"9": 0.1}), "Function not found"),
        (json!({"2": 0.1, "3": 0.1}), "cannot be greater than 1"),
    ] {
        let input =
            json!({"FunctionName": "f", "Name": "live", "RoutingConfig": {"AdditionalVersionWeights": weights}});
        let (_, message) = house.refused("UpdateAlias", input).await;
        assert!(message.contains(why), "{message}");
    }
    let moved = json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "2", "RoutingConfig": {}});
    assert!(house.ask("UpdateAlias", moved).await.get("RoutingConfig").is_none());
    assert_eq!(house.invoke("f:live", json!(0)).await[0], "2");
    house.ask("DeleteFunction", json!({"FunctionName": "f", "Qualifier": "1"})).await;
    assert_eq!(
        house.refused("Invoke", json!({"FunctionName": "f:1", "Payload": 1})).await.0,
        "ResourceNotFoundException"
    );
    let listed = house.ask("ListAliases", json!({"FunctionName": "f", "FunctionVersion": "2"})).await;
    assert_eq!(listed["Aliases"][0]["Name"], "live");
    house.ask("DeleteAlias", json!({"FunctionName": "f", "Name": "live"})).await;
    house.ask("DeleteAlias", json!({"FunctionName": "f", "Name": "live"})).await;
    let (_, message) = house.refused("GetAlias", json!({"FunctionName": "f", "Name": "live"})).await;
    assert_eq!(message, format!("Cannot find alias arn: {ARN}:live"));
    let (_, message) = house.refused("DeleteFunction", json!({"FunctionName": "f", "Qualifier": "$LATEST"})).await;
    assert_eq!(message, "$LATEST version cannot be deleted without deleting the function.");
}

#[tokio::test(start_paused = true)]
async fn policies_belong_to_what_they_name() {
    let house = House::new().await;
    house.make_with("f", "0", json!({"Publish": true})).await;
    house.ask("CreateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"})).await;
    let add = |qualifier: Option<&str>| {
        let mut input = json!({"FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com"});
        if let Some(qualifier) = qualifier {
            input["Qualifier"] = json!(qualifier);
        }
        input
    };
    for (qualifier, resource) in
        [(None, ARN.to_owned()), (Some("live"), format!("{ARN}:live")), (Some("1"), format!("{ARN}:1"))]
    {
        let mut ghost = add(qualifier);
        ghost["Principal"] = json!(GHOST);
        let refused = house.refused("AddPermission", ghost).await;
        let why = "The provided principal was invalid. Please check the principal and try again.";
        assert_eq!(refused, ("InvalidParameterValueException", why.to_owned()));
        let added = house.ask("AddPermission", add(qualifier)).await;
        let statement: Value = serde_json::from_str(added["Statement"].as_str().unwrap()).unwrap();
        assert_eq!(statement["Resource"], resource);
    }
    let revision =
        house.ask("GetPolicy", json!({"FunctionName": "f", "Qualifier": "live"})).await["RevisionId"].clone();
    assert_eq!(house.ask("GetAlias", json!({"FunctionName": "f", "Name": "live"})).await["RevisionId"], revision);
    house.ask("RemovePermission", json!({"FunctionName": "f", "StatementId": "s"})).await;
    assert_eq!(house.refused("GetPolicy", json!({"FunctionName": "f"})).await.0, "ResourceNotFoundException");
    house.ask("GetPolicy", json!({"FunctionName": "f:1"})).await;
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_reserved_and_the_rest_is_shared() {
    let house = House::new().await;
    house.make("f", "0").await;
    house.make("g", "0").await;
    let put = |name: &str, n: i32| json!({"FunctionName": name, "ReservedConcurrentExecutions": n});
    let (code, message) = house.refused("PutFunctionConcurrency", put("f", 901)).await;
    assert_eq!(code, "InvalidParameterValueException");
    assert!(message.ends_with("below its minimum value of [100]."), "{message}");
    assert_eq!(house.ask("PutFunctionConcurrency", put("f", 899)).await["ReservedConcurrentExecutions"], 899);
    let account = house.ask("GetAccountSettings", json!({})).await;
    assert_eq!(account["AccountLimit"]["ConcurrentExecutions"], 1000);
    assert_eq!(account["AccountLimit"]["UnreservedConcurrentExecutions"], 101);
    assert_eq!(account["AccountUsage"]["FunctionCount"], 2);
    assert_eq!(house.refused("PutFunctionConcurrency", put("g", 2)).await.0, "InvalidParameterValueException");
    house.ask("PutFunctionConcurrency", put("f", 1)).await;
    assert_eq!(
        house.ask("GetFunction", json!({"FunctionName": "f"})).await["Concurrency"]["ReservedConcurrentExecutions"],
        1
    );
    house.script(|_| Act::After(Duration::from_secs(10), Box::new(Act::Answer(json!(1)))));
    let first = house.invoke("f", json!(1));
    let second = async {
        house.pass(1).await;
        let error = house.answer("Invoke", json!({"FunctionName": "f", "Payload": 1})).await.err().unwrap();
        assert_eq!((error.model.name, error.message.as_str()), ("TooManyRequestsException", "Rate Exceeded."));
        assert_eq!(
            error.extra,
            [("Reason", wire::Value::Text("ReservedFunctionConcurrentInvocationLimitExceeded".into()))]
        );
        house.invoke("g", json!(1)).await;
    };
    tokio::join!(first, second);
    house.ask("DeleteFunctionConcurrency", json!({"FunctionName": "f"})).await;
    assert_eq!(house.ask("GetFunctionConcurrency", json!({"FunctionName": "f"})).await, json!({}));
    assert_eq!(house.metric("Throttles", 1).1, 1);
}

#[tokio::test(start_paused = true)]
async fn tags_are_of_functions() {
    let house = House::new().await;
    house.make_with("f", "0", json!({"Tags": {"a": "1"}, "Publish": true})).await;
    house.ask("TagResource", json!({"Resource": ARN, "Tags": {"b": "2"}})).await;
    assert_eq!(house.ask("ListTags", json!({"Resource": ARN})).await["Tags"], json!({"a": "1", "b": "2"}));
    house.ask("UntagResource", json!({"Resource": ARN, "TagKeys": ["a"]})).await;
    assert_eq!(house.ask("GetFunction", json!({"FunctionName": "f"})).await["Tags"], json!({"b": "2"}));
    let (code, _) = house.refused("ListTags", json!({"Resource": format!("{ARN}:1")})).await;
    assert_eq!(code, "InvalidParameterValueException");
    let many: serde_json::Map<String, Value> = (0..50).map(|n| (format!("k{n}"), json!(""))).collect();
    assert_eq!(
        house.refused("TagResource", json!({"Resource": ARN, "Tags": many})).await.0,
        "InvalidParameterValueException"
    );
    assert_eq!(
        house.refused("TagResource", json!({"Resource": ARN, "Tags": {"aws:x": ""}})).await.0,
        "InvalidParameterValueException"
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_group_stays_until_another_is_given() {
    let house = House::new().await;
    house.make_with("f", "0", json!({"LoggingConfig": {"LogGroup": "/ours"}})).await;
    for (config, group) in [
        (json!({"LogFormat": "Text"}), "/ours"),
        (json!({}), "/ours"),
        (json!({"LogGroup": "/others"}), "/others"),
        (json!({"LogGroup": "/aws/lambda/f"}), "/aws/lambda/f"),
    ] {
        let input = json!({"FunctionName": "f", "LoggingConfig": config});
        let shown = house.ask("UpdateFunctionConfiguration", input).await;
        assert_eq!(shown["LoggingConfig"], json!({"LogFormat": "Text", "LogGroup": group}), "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn code_changes_under_running_invocations_and_goes_when_its_last_process_has_ended() {
    let house = House::new().await;
    let made = house.make("f", "old").await;
    // Of each package there is what was in it, and the zip file.
    let code = || std::fs::read_dir(house.dir.path().join("functions")).unwrap().count() / 2;
    house.script(|seen| Act::After(Duration::from_secs(10), Box::new(who(seen))));
    let running = house.invoke("f", json!(1));
    let update = async {
        house.pass(1).await;
        let changed = house.ask("UpdateFunctionCode", json!({"FunctionName": "f", "ZipFile": zip("new")})).await;
        assert_ne!(changed["CodeSha256"], made["CodeSha256"]);
        house.pass(1).await;
        assert_eq!(code(), 2, "the old code is in use");
        house.invoke("f", json!(2)).await;
    };
    let (answer, ()) = tokio::join!(running, update);
    assert_eq!(answer[0], "$LATEST");
    house.until(|| code() == 1).await;
    house.ask("DeleteFunction", json!({"FunctionName": "f"})).await;
    house.until(|| std::fs::read_dir(house.dir.path().join("functions")).unwrap().count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn sizes_have_bounds_and_code_comes_with_the_call() {
    let house = House::new().await;
    house.make("f", "1").await;
    let with = |member: &str, value: Value| json!({"FunctionName": "f", member: value});
    for (member, least, most) in [("Timeout", 1, 900), ("MemorySize", 128, 10_240)] {
        for fine in [least, most] {
            let shown = house.ask("UpdateFunctionConfiguration", with(member, json!(fine))).await;
            assert_eq!(shown[member], fine);
        }
        for wrong in [least - 1, most + 1] {
            house.refused("UpdateFunctionConfiguration", with(member, json!(wrong))).await;
        }
    }
    for (size, fine) in [(511, false), (512, true), (10_240, true), (10_241, false)] {
        let answer = house.answer("UpdateFunctionConfiguration", with("EphemeralStorage", json!({"Size": size}))).await;
        let kept = answer.is_ok_and(|(shown, _)| shown["EphemeralStorage"]["Size"] == size);
        assert_eq!(kept, fine, "{size}");
    }
    let elsewhere = json!({"FunctionName": "f", "S3Bucket": "bucket", "S3Key": "key"});
    let (_, message) = house.refused("UpdateFunctionCode", elsewhere).await;
    assert!(message.contains("S3Bucket"), "{message}");
}
