//! Buses, rules and tags.

mod support;

use serde_json::{Value, json};
use support::{FUNCTION, GHOST, QUEUE, house};

const PATTERN: &str = r#"{"source":["x"]}"#;

fn not_found(message: &str) -> (&'static str, String) {
    ("ResourceNotFoundException", message.to_owned())
}

fn invalid(message: &str) -> (&'static str, String) {
    ("ValidationException", message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn every_served_operation_has_a_handler() {
    let house = house().await;
    let service = house.rules.service();
    let modelled: Vec<_> =
        service.model().operations.iter().filter(|entry| entry.model.is_some()).map(|entry| entry.name).collect();
    assert_eq!(service.served(), modelled);
}

#[tokio::test(start_paused = true)]
async fn a_rule_is_put_described_put_anew_and_deleted() {
    let house = house().await;
    let role = "arn:aws:iam::000000000000:role/r";
    let put =
        house.done("PutRule", json!({"Name": "a", "EventPattern": PATTERN, "Description": "d", "RoleArn": role})).await;
    let arn = "arn:aws:events:us-east-1:000000000000:rule/a";
    assert_eq!(put, json!({"RuleArn": arn}));
    let ghost = json!({"Name": "a", "EventPattern": PATTERN, "RoleArn": GHOST});
    let why = format!("Provided role '{GHOST}' cannot be assumed by principal 'events.amazonaws.com'.");
    assert_eq!(house.refused("PutRule", ghost).await, ("ValidationException", why));
    let described = house.done("DescribeRule", json!({"Name": "a"})).await;
    assert_eq!(
        described,
        json!({"Name": "a", "Arn": arn, "EventPattern": PATTERN, "State": "ENABLED", "Description": "d", "RoleArn": role,
            "EventBusName": "default", "CreatedBy": "000000000000"})
    );
    house.done("PutTargets", json!({"Rule": "a", "Targets": [{"Id": "1", "Arn": QUEUE}]})).await;
    house.done("PutRule", json!({"Name": "a", "ScheduleExpression": "rate(1 day)", "State": "DISABLED"})).await;
    let listed = house.done("ListRules", json!({})).await;
    assert_eq!(
        listed,
        json!({"Rules": [{"Name": "a", "Arn": arn, "ScheduleExpression": "rate(1 day)", "State": "DISABLED",
            "EventBusName": "default"}]})
    );
    assert_eq!(
        house.refused("DeleteRule", json!({"Name": "a"})).await,
        invalid("Rule can't be deleted since it has targets.")
    );
    house.done("RemoveTargets", json!({"Rule": "a", "Ids": ["1"]})).await;
    house.done("DeleteRule", json!({"Name": "a"})).await;
    let gone = not_found("Rule a does not exist on EventBus default.");
    assert_eq!(house.refused("DescribeRule", json!({"Name": "a"})).await, gone);
    assert_eq!(house.refused("EnableRule", json!({"Name": "a"})).await, gone);
    assert_eq!(house.refused("ListTargetsByRule", json!({"Rule": "a"})).await, gone);
    // Deleting what is not there succeeds.
    house.done("DeleteRule", json!({"Name": "a"})).await;
}

#[tokio::test(start_paused = true)]
async fn rules_that_cannot_be_are_refused_in_awss_words() {
    let house = house().await;
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    let put = |more: Value| {
        let mut input = json!({"Name": "a"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let refused = house.refused("PutRule", put(json!({}))).await;
    assert_eq!(refused, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    let refused = house.refused("PutRule", put(json!({"ScheduleExpression": "rate(1 minutes)"}))).await;
    assert_eq!(refused, invalid("Parameter ScheduleExpression is not valid."));
    let on_bus = json!({"ScheduleExpression": "rate(1 minute)", "EventBusName": "b"});
    let refused = house.refused("PutRule", put(on_bus)).await;
    assert_eq!(refused, invalid("ScheduleExpression is supported only on the default event bus."));
    let (name, message) = house.refused("PutRule", put(json!({"EventPattern": r#"{"a": 1}"#}))).await;
    assert_eq!(name, "InvalidEventPatternException");
    assert!(message.starts_with("Event pattern is not valid. Reason: "), "{message}");
    let refused = house.refused("PutRule", put(json!({"EventPattern": PATTERN, "EventBusName": "c"}))).await;
    assert_eq!(refused, not_found("Event bus c does not exist."));
    let foreign = "arn:aws:events:us-east-1:111111111111:event-bus/b";
    let refused = house.refused("PutRule", put(json!({"EventPattern": PATTERN, "EventBusName": foreign}))).await;
    assert_eq!(refused, not_found(&format!("Event bus {foreign} does not exist.")));
    let (name, message) = house.refused("PutRule", json!({"Name": "a b", "EventPattern": PATTERN})).await;
    assert_eq!(name, "ValidationException");
    assert!(message.contains("failed to satisfy constraint"), "{message}");
    assert_eq!(house.done("ListRules", json!({})).await, json!({"Rules": []}));
}

#[tokio::test(start_paused = true)]
async fn a_bus_holds_three_hundred_rules() {
    let house = house().await;
    for number in 0..300 {
        house.done("PutRule", json!({"Name": format!("r{number}"), "EventPattern": PATTERN})).await;
    }
    let (name, message) = house.refused("PutRule", json!({"Name": "more", "EventPattern": PATTERN})).await;
    assert_eq!(
        (name, message.as_str()),
        ("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    );
    house.done("PutRule", json!({"Name": "r7", "EventPattern": PATTERN, "State": "DISABLED"})).await;
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages() {
    let house = house().await;
    for name in ["aa", "ab", "ac", "b"] {
        house.done("PutRule", json!({"Name": name, "EventPattern": PATTERN})).await;
    }
    let names = |answer: &Value| {
        answer["Rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["Name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = house.done("ListRules", json!({"NamePrefix": "a", "Limit": 2})).await;
    assert_eq!(names(&first), ["aa", "ab"]);
    let second = house.done("ListRules", json!({"NamePrefix": "a", "Limit": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!(names(&second), ["ac"]);
    for (operation, token) in [("ListRules", json!("aa")), ("ListEventBuses", first["NextToken"].clone())] {
        let (code, why) = house.refused(operation, json!({"NextToken": token})).await;
        assert_eq!((code, why.as_str()), ("ValidationException", "Parameter NextToken is not valid."));
    }
    assert!(second.get("NextToken").is_none());
    for rule in ["aa", "b"] {
        house
            .done(
                "PutTargets",
                json!({"Rule": rule, "Targets": [{"Id": "1", "Arn": QUEUE}, {"Id": "2", "Arn": FUNCTION}]}),
            )
            .await;
    }
    let found = house.done("ListRuleNamesByTarget", json!({"TargetArn": QUEUE})).await;
    assert_eq!(found, json!({"RuleNames": ["aa", "b"]}));
    let found = house.done("ListRuleNamesByTarget", json!({"TargetArn": QUEUE, "Limit": 1})).await;
    assert_eq!(found["RuleNames"], json!(["aa"]));
    let page = house.done("ListTargetsByRule", json!({"Rule": "b", "Limit": 1})).await;
    assert_eq!(page["Targets"], json!([{"Id": "1", "Arn": QUEUE}]));
    let token = &page["NextToken"];
    let page = house.done("ListTargetsByRule", json!({"Rule": "b", "NextToken": token})).await;
    assert_eq!(page, json!({"Targets": [{"Id": "2", "Arn": FUNCTION}]}));
    let (code, why) = house.refused("ListTargetsByRule", json!({"Rule": "aa", "NextToken": token})).await;
    assert_eq!((code, why.as_str()), ("ValidationException", "Parameter NextToken is not valid."), "of another rule");
}

#[tokio::test(start_paused = true)]
async fn a_page_of_one_bus_does_not_follow_one_of_another() {
    let house = house().await;
    for bus in ["ba", "bb"] {
        house.done("CreateEventBus", json!({"Name": bus})).await;
        for name in ["r1", "r2"] {
            let rule = json!({"Name": name, "EventBusName": bus, "EventPattern": PATTERN});
            house.done("PutRule", rule).await;
            let target = json!({"Rule": name, "EventBusName": bus, "Targets": [{"Id": "1", "Arn": QUEUE}]});
            house.done("PutTargets", target).await;
        }
    }
    for (operation, input) in [("ListRules", json!({})), ("ListRuleNamesByTarget", json!({"TargetArn": QUEUE}))] {
        let asked = |bus: &str, token: &Value| {
            let mut asked = input.clone();
            (asked["EventBusName"], asked["Limit"], asked["NextToken"]) = (json!(bus), json!(1), token.clone());
            asked
        };
        let token = house.done(operation, asked("ba", &Value::Null)).await["NextToken"].clone();
        assert!(house.done(operation, asked("ba", &token)).await.get("NextToken").is_none(), "{operation}");
        let (code, why) = house.refused(operation, asked("bb", &token)).await;
        assert_eq!((code, why.as_str()), ("ValidationException", "Parameter NextToken is not valid."), "{operation}");
    }
    let first = json!({"EventBusName": "ba", "TargetArn": QUEUE, "Limit": 1});
    let token = house.done("ListRuleNamesByTarget", first).await["NextToken"].clone();
    let other = json!({"EventBusName": "ba", "TargetArn": FUNCTION, "NextToken": token});
    assert_eq!(house.refused("ListRuleNamesByTarget", other).await.0, "ValidationException", "of another target");
}

#[tokio::test(start_paused = true)]
async fn buses_come_and_go() {
    let house = house().await;
    let made = house.done("CreateEventBus", json!({"Name": "b", "Description": "d"})).await;
    let arn = "arn:aws:events:us-east-1:000000000000:event-bus/b";
    assert_eq!(made, json!({"EventBusArn": arn, "Description": "d"}));
    let described = house.done("DescribeEventBus", json!({"Name": arn})).await;
    assert_eq!(
        (&described["Name"], &described["Arn"], &described["Description"]),
        (&json!("b"), &json!(arn), &json!("d"))
    );
    assert_eq!(house.done("DescribeEventBus", json!({})).await["Name"], "default");
    let listed = house.done("ListEventBuses", json!({})).await;
    let names: Vec<_> = listed["EventBuses"].as_array().unwrap().iter().map(|bus| bus["Name"].clone()).collect();
    assert_eq!(names, ["b", "default"]);
    let again = house.refused("CreateEventBus", json!({"Name": "b"})).await;
    assert_eq!(again, ("ResourceAlreadyExistsException", "Event bus b already exists.".to_owned()));
    let refused = house.refused("DescribeEventBus", json!({"Name": "c"})).await;
    assert_eq!(refused, not_found("Event bus c does not exist."));
    let refused = house.refused("DeleteEventBus", json!({"Name": "default"})).await;
    assert_eq!(refused, invalid("Cannot delete event bus default."));
    assert_eq!(house.refused("CreateEventBus", json!({"Name": "a/b"})).await.0, "ValidationException");
    let key = json!({"Name": "k", "KmsKeyIdentifier": "alias/k"});
    assert_eq!(house.refused("CreateEventBus", key).await.0, "NotImplementedException");

    let put = house.done("PutRule", json!({"Name": "r", "EventPattern": PATTERN, "EventBusName": arn})).await;
    assert_eq!(put["RuleArn"], "arn:aws:events:us-east-1:000000000000:rule/b/r");
    assert_eq!(house.refused("DeleteEventBus", json!({"Name": "b"})).await.0, "ValidationException");
    house.done("DeleteRule", json!({"Name": "r", "EventBusName": "b"})).await;
    house.done("DeleteEventBus", json!({"Name": "b"})).await;
    house.done("DeleteEventBus", json!({"Name": "b"})).await;
    assert_eq!(
        house.refused("ListRules", json!({"EventBusName": "b"})).await,
        not_found("Event bus b does not exist.")
    );
}

#[tokio::test(start_paused = true)]
async fn rules_and_buses_have_tags() {
    let house = house().await;
    house.done("CreateEventBus", json!({"Name": "b", "Tags": [{"Key": "k", "Value": "v"}]})).await;
    house.done("PutRule", json!({"Name": "r", "EventPattern": PATTERN, "EventBusName": "b"})).await;
    house.done("PutRule", json!({"Name": "r", "EventPattern": PATTERN, "Tags": [{"Key": "own", "Value": ""}]})).await;
    let arn = |resource: &str| format!("arn:aws:events:us-east-1:000000000000:{resource}");
    let list = async |resource: &str| {
        house.done("ListTagsForResource", json!({"ResourceARN": arn(resource)})).await["Tags"].clone()
    };
    assert_eq!(list("event-bus/b").await, json!([{"Key": "k", "Value": "v"}]));
    assert_eq!(list("rule/r").await, json!([{"Key": "own", "Value": ""}]));
    let tag = |key: &str, value: &str| json!({"ResourceARN": arn("rule/b/r"), "Tags": [{"Key": key, "Value": value}]});
    house.done("TagResource", tag("a", "1")).await;
    house.done("TagResource", tag("a", "2")).await;
    house.done("TagResource", tag("b", "3")).await;
    assert_eq!(list("rule/b/r").await, json!([{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]));
    house.done("UntagResource", json!({"ResourceARN": arn("rule/b/r"), "TagKeys": ["a", "none"]})).await;
    assert_eq!(list("rule/b/r").await, json!([{"Key": "b", "Value": "3"}]));
    assert_eq!(list("rule/r").await, json!([{"Key": "own", "Value": ""}]));

    assert_eq!(house.refused("TagResource", tag("aws:x", "1")).await.0, "ValidationException");
    let twice = json!({"ResourceARN": arn("rule/r"), "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]});
    assert_eq!(
        house.refused("TagResource", twice).await,
        invalid("Invalid parameter: Duplicated keys are not allowed.")
    );
    let many: Vec<_> = (0..51).map(|i| json!({"Key": format!("k{i}"), "Value": ""})).collect();
    let (name, _) = house.refused("TagResource", json!({"ResourceARN": arn("rule/r"), "Tags": many})).await;
    assert_eq!(name, "LimitExceededException");
    for (resource, message) in [
        ("rule/none", "Rule none does not exist on EventBus default."),
        ("event-bus/none", "Event bus none does not exist."),
    ] {
        assert_eq!(
            house.refused("ListTagsForResource", json!({"ResourceARN": arn(resource)})).await,
            not_found(message)
        );
    }
    let archive = json!({"ResourceARN": arn("archive/a")});
    assert_eq!(house.refused("ListTagsForResource", archive).await.0, "ValidationException");
}
