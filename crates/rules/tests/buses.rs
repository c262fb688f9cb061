//! Buses: who may send to them, what they say of themselves, where unfit events go.

// Helpers of tests unwrap as tests do, and clippy does not see that they are such.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{GHOST, House, QUEUE, TOPIC, house, text};

async fn policy(house: &House, bus: &str) -> Value {
    let shown = house.done("DescribeEventBus", json!({"Name": bus})).await;
    shown.get("Policy").map_or(Value::Null, |text| serde_json::from_str(text.as_str().unwrap()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn permissions_come_and_go() {
    let house = house().await;
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    let grant = |sid: &str, principal: &str| json!({"EventBusName": "b", "StatementId": sid, "Principal": principal, "Action": "events:PutEvents"});
    house.done("PutPermission", grant("one", "111111111111")).await;
    let mut all = grant("two", "*");
    all["Condition"] = json!({"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"});
    house.done("PutPermission", all).await;
    let statements = policy(&house, "b").await["Statement"].clone();
    assert_eq!(
        statements[0],
        json!({"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "events:PutEvents", "Resource": "arn:aws:events:us-east-1:000000000000:event-bus/b"})
    );
    assert_eq!(statements[1]["Condition"], json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}));
    house.done("RemovePermission", json!({"EventBusName": "b", "StatementId": "one"})).await;
    assert_eq!(policy(&house, "b").await["Statement"].as_array().unwrap().len(), 1);
    let gone = house.refused("RemovePermission", json!({"EventBusName": "b", "StatementId": "one"})).await;
    assert_eq!(gone, ("ResourceNotFoundException", "Statement with the provided id does not exist.".to_owned()));
    house.done("RemovePermission", json!({"EventBusName": "b", "RemoveAllPermissions": true})).await;
    assert_eq!(policy(&house, "b").await, Value::Null);
    let long = format!(r#"{{"Statement":[{{"Sid":"{}"}}]}}"#, "x".repeat(10_240));
    let refused = house.refused("PutPermission", json!({"EventBusName": "b", "Policy": long})).await;
    assert_eq!(refused.0, "PolicyLengthExceededException");
    assert_eq!(
        house.refused("PutPermission", json!({"EventBusName": "none", "Policy": "{}"})).await.0,
        "ResourceNotFoundException"
    );
    let ghost = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": GHOST}, "Action": "events:PutEvents"}]});
    let (code, why) = house.refused("PutPermission", json!({"EventBusName": "b", "Policy": ghost.to_string()})).await;
    assert!(code == "ValidationException" && why.contains(GHOST), "{code} {why}");
    for bad in [json!({"EventBusName": "b", "Policy": "{}"}), json!({"EventBusName": "b", "StatementId": "s"})] {
        assert_eq!(house.refused("PutPermission", bad).await.0, "ValidationException");
    }
}

const RULE: &str = "arn:aws:events:us-east-1:000000000000:rule/b/r";

/// The call that has the bus `b` deny something to everybody.
fn denial(action: &str, resource: &Value, condition: Value) -> Value {
    let statement =
        json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": condition});
    json!({"EventBusName": "b", "Policy": json!({"Version": "2012-10-17", "Statement": statement}).to_string()})
}

/// Whether a bus's policy denies a call.
async fn denied(house: &House, operation: &str, input: &Value) -> bool {
    let Some(error) = house.ask(operation, input.clone()).await.err() else { return false };
    if error.model.name != "AccessDeniedException" {
        return false;
    }
    assert!(error.message.ends_with("with an explicit deny in a resource-based policy"), "{}", error.message);
    assert!(error.message.contains(&format!("events:{operation} on resource: arn:aws:events:")), "{}", error.message);
    true
}

#[tokio::test(start_paused = true)]
async fn a_denial_holds_for_all_that_is_about_a_bus_or_its_rules() {
    let house = house().await;
    let bus = house.done("CreateEventBus", json!({"Name": "b"})).await["EventBusArn"].clone();
    house.rule_on("b", "r", "good", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let on = json!({"EventBusName": "b", "Name": "r"});
    let of = json!({"EventBusName": "b", "Rule": "r"});
    let put = json!({"EventBusName": "b", "Name": "r", "EventPattern": r#"{"source":["good"]}"#});
    let targets = json!({"EventBusName": "b", "Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE}]});
    let about_rules = [
        ("PutRule", put),
        ("DescribeRule", on.clone()),
        ("EnableRule", on.clone()),
        ("DisableRule", on.clone()),
        ("DeleteRule", on.clone()),
        ("PutTargets", targets),
        ("ListTargetsByRule", of),
        ("RemoveTargets", json!({"EventBusName": "b", "Rule": "r", "Ids": ["none"]})),
        ("ListTagsForResource", json!({"ResourceARN": RULE})),
        ("TagResource", json!({"ResourceARN": RULE, "Tags": []})),
        ("UntagResource", json!({"ResourceARN": RULE, "TagKeys": []})),
    ];
    let replay = json!({"ReplayName": "p", "EventSourceArn": "arn:aws:events:us-east-1:000000000000:archive/a",
        "EventStartTime": 0, "EventEndTime": 1, "Destination": {"Arn": bus}});
    let about_bus = [
        ("DescribeEventBus", json!({"Name": "b"})),
        ("UpdateEventBus", json!({"Name": "b"})),
        ("DeleteEventBus", json!({"Name": "b"})),
        ("CreateArchive", json!({"ArchiveName": "a", "EventSourceArn": bus})),
        ("StartReplay", replay),
        ("ListTagsForResource", json!({"ResourceARN": bus})),
    ];
    // A statement on the rule's ARN holds for what is about the rule, one on the bus's for what is about the bus.
    for (resource, rules, buses) in [(json!(RULE), true, false), (bus.clone(), false, true), (json!("*"), true, true)] {
        house.done("PutPermission", denial("events:*", &resource, json!({}))).await;
        for (operation, input) in &about_rules {
            if rules {
                assert!(denied(&house, operation, input).await, "{operation}");
            }
        }
        assert_eq!(denied(&house, "DescribeRule", &on).await, rules);
        for (operation, input) in &about_bus {
            if buses {
                assert!(denied(&house, operation, input).await, "{operation}");
            }
        }
        assert_eq!(denied(&house, "DescribeEventBus", &about_bus[0].1).await, buses);
        // These are about no resource.
        house.done("ListRules", json!({"EventBusName": "b"})).await;
        house.done("ListRuleNamesByTarget", json!({"EventBusName": "b", "TargetArn": QUEUE})).await;
    }
    house.done("RemovePermission", json!({"EventBusName": "b", "RemoveAllPermissions": true})).await;
    assert!(!denied(&house, "DescribeRule", &on).await);
}

#[tokio::test(start_paused = true)]
async fn a_denial_can_ask_what_a_rule_is_to_be() {
    let house = house().await;
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    house.rule_on("b", "r", "good", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let on = json!({"EventBusName": "b", "Name": "r"});
    let put = json!({"EventBusName": "b", "Name": "r", "EventPattern": r#"{"source":["good"]}"#});
    let targets = json!({"EventBusName": "b", "Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE}]});
    let creator = json!({"StringEquals": {"events:creatorAccount": "000000000000"}});
    house.done("PutPermission", denial("events:DescribeRule", &json!(RULE), creator)).await;
    assert!(denied(&house, "DescribeRule", &on).await && !denied(&house, "PutRule", &put).await);
    let source = json!({"ForAllValues:StringNotEquals": {"events:source": ["good"]}});
    house.done("PutPermission", denial("events:PutRule", &json!("*"), source)).await;
    let other = json!({"EventBusName": "b", "Name": "s", "EventPattern": r#"{"source":["other"]}"#});
    assert!(denied(&house, "PutRule", &other).await && !denied(&house, "PutRule", &put).await);
    let target = json!({"ForAnyValue:ArnEquals": {"events:TargetArn": QUEUE}});
    house.done("PutPermission", denial("events:PutTargets", &json!(RULE), target)).await;
    let elsewhere = json!({"EventBusName": "b", "Rule": "r", "Targets": [{"Id": "1", "Arn": TOPIC}]});
    assert!(denied(&house, "PutTargets", &targets).await && !denied(&house, "PutTargets", &elsewhere).await);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_denies_is_obeyed() {
    let house = house().await;
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    let deny = |condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "d", "Effect": "Deny", "Principal": "*",
            "Action": "events:PutEvents", "Resource": "*", "Condition": condition}]})
        .to_string()
    };
    let by_source = deny(json!({"StringEquals": {"events:source": "bad"}}));
    house.done("PutPermission", json!({"EventBusName": "b", "Policy": by_source})).await;
    assert_eq!(policy(&house, "b").await.to_string(), by_source);
    house.rule_on("b", "r", "good", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let entry = |source: &str| json!({"Source": source, "DetailType": "T", "Detail": "{}", "EventBusName": "b"});
    let answer = house.done("PutEvents", json!({"Entries": [entry("bad"), entry("good")]})).await;
    assert_eq!(
        (&answer["FailedEntryCount"], &answer["Entries"][0]["ErrorCode"]),
        (&json!(1), &json!("AccessDeniedException"))
    );
    assert_eq!(house.taken().await.len(), 1);
    // What a rule sends over is judged by the rule's ARN.
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/b";
    let target = json!([{"Id": "1", "Arn": bus, "DeadLetterConfig": {"Arn": QUEUE}}]);
    house.rule("over", "good", target).await;
    house.put("good", "{}").await;
    assert_eq!(house.taken().await.len(), 1);
    let by_rule = deny(json!({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/over"}}));
    house.done("PutPermission", json!({"EventBusName": "b", "Policy": by_rule})).await;
    house.put("good", "{}").await;
    let taken = house.taken().await;
    assert_eq!(taken.len(), 1);
    assert!(taken[0].attributes[delivery::attribute::MESSAGE_ATTRIBUTES].contains("NO_PERMISSIONS"), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bus_is_described_anew() {
    let house = house().await;
    let dead = json!({"Arn": QUEUE});
    let made = house.done("CreateEventBus", json!({"Name": "b", "Description": "one", "DeadLetterConfig": dead})).await;
    assert_eq!(made["DeadLetterConfig"], dead);
    house.done("UpdateEventBus", json!({"Name": "b", "Description": "two"})).await;
    let shown = house.done("DescribeEventBus", json!({"Name": "b"})).await;
    assert_eq!((&shown["Description"], &shown["DeadLetterConfig"]), (&json!("two"), &dead));
    house.done("UpdateEventBus", json!({"Name": "b", "DeadLetterConfig": {}})).await;
    let shown = house.done("DescribeEventBus", json!({"Name": "b"})).await;
    assert_eq!((&shown["Description"], shown.get("DeadLetterConfig")), (&json!("two"), None));
    assert_eq!(house.refused("UpdateEventBus", json!({"Name": "none"})).await.0, "ResourceNotFoundException");
    let key = json!({"Name": "b", "KmsKeyIdentifier": "k"});
    assert!(house.refused("UpdateEventBus", key).await.1.contains("KmsKeyIdentifier"));
    let fifo = json!({"Name": "b", "DeadLetterConfig": {"Arn": format!("{QUEUE}.fifo")}});
    assert_eq!(house.refused("UpdateEventBus", fifo).await.0, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn what_a_bus_cannot_process_goes_to_its_dead_letter_queue() {
    let house = house().await;
    house.done("UpdateEventBus", json!({"DeadLetterConfig": {"Arn": QUEUE}})).await;
    let verdict = house.push_text("e1", "no event").await;
    assert!(matches!(verdict, delivery::Verdict::Accepted(_)), "{verdict:?}");
    let taken = house.taken().await;
    assert_eq!((taken.len(), text(&taken[0])), (1, "no event"));
    assert!(taken[0].attributes[delivery::attribute::MESSAGE_ATTRIBUTES].contains("INVALID_JSON"));
    // Of several at once each is taken or refused for itself.
    house.done("UpdateEventBus", json!({"DeadLetterConfig": {}})).await;
    house.rule("good", "s", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let event = |id: &str| house.pushed(id, json!({"source": "s"}).to_string(), false);
    let several = [event("e2"), house.pushed("e3", "no event".to_owned(), false), event("e4")];
    let verdicts = house.delivery.hand_over(&several, false).await;
    let accepted = |verdict: &delivery::Verdict| matches!(verdict, delivery::Verdict::Accepted(_));
    assert_eq!(verdicts.iter().map(accepted).collect::<Vec<_>>(), [true, false, true]);
    let ids: Vec<String> = house.taken().await.into_iter().map(|envelope| envelope.id).collect();
    assert_eq!(ids, ["e2", "e4"]);
}
