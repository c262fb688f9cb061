//! The scheduler: what its schedules send, when, and what it refuses.

// Helpers of tests unwrap as tests do, and clippy does not see that they are such.
#![allow(clippy::unwrap_used)]

mod support;

use delivery::Envelope;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{FUNCTION, GHOST, House, QUEUE, STREAM, house, life, text};
use world::disk::SimDisk;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const MINUTE: Duration = Duration::from_secs(60);

fn schedule(name: &str, expression: &str, target: Value) -> Value {
    let mut full = json!({"Arn": QUEUE, "RoleArn": ROLE});
    full.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    json!({"Name": name, "ScheduleExpression": expression, "Target": full, "FlexibleTimeWindow": {"Mode": "OFF"}})
}

async fn done(house: &House, operation: &str, input: Value) -> Value {
    house.plan(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

async fn refused(house: &House, operation: &str, input: Value) -> (&'static str, String) {
    let error = house.plan(operation, input).await.unwrap_err();
    (error.model.name, error.message)
}

fn times(taken: &[Envelope]) -> Vec<String> {
    let time = |e: &Envelope| serde_json::from_str::<Value>(text(e)).unwrap()["time"].as_str().unwrap().to_owned();
    let mut all: Vec<String> = taken.iter().map(time).collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn the_role_must_let_the_scheduler_take_it_on() {
    let house = house().await;
    let ghost = schedule("s", "rate(1 hour)", json!({"RoleArn": GHOST}));
    let why = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.";
    let refusal = ("ValidationException", why.to_owned());
    assert_eq!(refused(&house, "CreateSchedule", ghost.clone()).await, refusal);
    done(&house, "CreateSchedule", schedule("s", "rate(1 hour)", json!({}))).await;
    assert_eq!(refused(&house, "UpdateSchedule", ghost).await, refusal);
    assert_eq!(done(&house, "GetSchedule", json!({"Name": "s"})).await["Target"]["RoleArn"], ROLE);
}

#[tokio::test(start_paused = true)]
async fn a_one_time_schedule_fires_once_in_its_zone_and_is_gone_if_asked() {
    let house = house().await;
    let mut once = schedule("once", "at(2025-12-31T19:05:00)", json!({"Input": "at <aws.scheduler.scheduled-time>"}));
    once["ScheduleExpressionTimezone"] = json!("America/New_York");
    once["ActionAfterCompletion"] = json!("DELETE");
    let made = done(&house, "CreateSchedule", once).await;
    assert_eq!(made["ScheduleArn"], "arn:aws:scheduler:us-east-1:000000000000:schedule/default/once");
    done(&house, "CreateSchedule", schedule("stays", "at(2026-01-01T00:06:00)", json!({}))).await;
    house.wait(4 * MINUTE).await;
    assert!(house.taken().await.is_empty());
    house.wait(3 * MINUTE).await;
    let taken = house.taken().await;
    let texts: Vec<&str> = taken.iter().map(text).filter(|text| text.starts_with("at ")).collect();
    assert_eq!((taken.len(), texts), (2, vec!["at 2026-01-01T00:05:00Z"]));
    assert_eq!(taken[0].role.as_ref().unwrap().as_str(), ROLE);
    assert_eq!(refused(&house, "GetSchedule", json!({"Name": "once"})).await.0, "ResourceNotFoundException");
    assert_eq!(done(&house, "GetSchedule", json!({"Name": "stays"})).await["State"], "ENABLED");
    house.wait(60 * MINUTE).await;
    assert!(house.taken().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_time_that_has_gone_by_is_due_at_once_and_once() {
    let house = house().await;
    let past = |name: &str, minute: u32| {
        let at = format!("at(2025-12-31T22:{minute:02}:00)");
        schedule(name, &at, json!({"Input": "<aws.scheduler.scheduled-time>"}))
    };
    let mut first = past("late", 1);
    first["ActionAfterCompletion"] = json!("DELETE");
    done(&house, "CreateSchedule", first).await;
    let mut off = past("stays", 2);
    off["State"] = json!("DISABLED");
    done(&house, "CreateSchedule", off).await;
    let said = |taken: &[Envelope]| taken.iter().map(|e| text(e).to_owned()).collect::<Vec<_>>();
    assert_eq!(said(&house.taken().await), ["2025-12-31T22:01:00Z"]);
    assert_eq!(refused(&house, "GetSchedule", json!({"Name": "late"})).await.0, "ResourceNotFoundException");
    for (change, expected) in [
        (past("stays", 2), vec!["2025-12-31T22:02:00Z"]),
        // It has been due: only another time makes it due again.
        (past("stays", 2), vec![]),
        (past("stays", 3), vec!["2025-12-31T22:03:00Z"]),
    ] {
        done(&house, "UpdateSchedule", change).await;
        assert_eq!(said(&house.taken().await), expected);
        house.wait(5 * MINUTE).await;
        assert!(house.taken().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_start_is_not_long_ago() {
    let house = house().await;
    let now = 1_767_225_600;
    let from = |start: i64| {
        let mut rate = schedule("rate", "rate(1 hour)", json!({}));
        rate["StartDate"] = json!(start);
        rate
    };
    let (code, why) = refused(&house, "CreateSchedule", from(now - 301)).await;
    let expected = "The StartDate you specify cannot be earlier than 5 minutes ago.";
    assert_eq!((code, why.as_str()), ("ValidationException", expected));
    done(&house, "CreateSchedule", from(now - 299)).await;
    house.wait(60 * MINUTE).await;
    // What it has may stay.
    done(&house, "UpdateSchedule", from(now - 299)).await;
    assert_eq!(refused(&house, "UpdateSchedule", from(now - 298)).await.1, expected);
}

#[tokio::test(start_paused = true)]
async fn recurring_schedules_fire_from_their_start_to_their_end() {
    let house = house().await;
    let start = 1_767_225_600 + 120;
    let mut rate = schedule("rate", "rate(2 minutes)", json!({}));
    rate["StartDate"] = json!(start);
    rate["EndDate"] = json!(start + 240);
    done(&house, "CreateSchedule", rate).await;
    house.wait(20 * MINUTE).await;
    let taken = house.taken().await;
    assert_eq!(times(&taken), ["2026-01-01T00:02:00Z", "2026-01-01T00:04:00Z", "2026-01-01T00:06:00Z"]);
    let told: Value = serde_json::from_str(text(&taken[0])).unwrap();
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/rate";
    assert_eq!(
        (&told["source"], &told["resources"], &told["detail-type"]),
        (&json!("aws.scheduler"), &json!([arn]), &json!("Scheduled Event"))
    );
    done(&house, "CreateSchedule", schedule("cron", "cron(0/10 * * * ? *)", json!({}))).await;
    house.wait(25 * MINUTE).await;
    assert_eq!(times(&house.taken().await), ["2026-01-01T00:30:00Z", "2026-01-01T00:40:00Z"]);
    let mut off = schedule("cron", "cron(0/10 * * * ? *)", json!({}));
    off["State"] = json!("DISABLED");
    done(&house, "UpdateSchedule", off).await;
    house.wait(60 * MINUTE).await;
    assert!(house.taken().await.is_empty());
    assert_eq!(done(&house, "ListSchedules", json!({"State": "DISABLED"})).await["Schedules"][0]["Name"], "cron");
}

#[tokio::test(start_paused = true)]
async fn a_window_spreads_the_invocation() {
    let house = house().await;
    let mut flexible = schedule("f", "at(2026-01-01T00:10:00)", json!({}));
    flexible["FlexibleTimeWindow"] = json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15});
    done(&house, "CreateSchedule", flexible).await;
    house.wait(10 * MINUTE - Duration::from_secs(1)).await;
    assert!(house.taken().await.is_empty());
    house.wait(15 * MINUTE + Duration::from_secs(2)).await;
    assert_eq!(times(&house.taken().await), ["2026-01-01T00:10:00Z"]);
    let shown = done(&house, "GetSchedule", json!({"Name": "f"})).await;
    assert_eq!(shown["FlexibleTimeWindow"], json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}));
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_target_gets_what_it_needs() {
    let house = house().await;
    let at = "at(2026-01-01T00:01:00)";
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    house.rule("r", "mine", json!([{"Id": "1", "Arn": QUEUE}])).await;
    for (name, target) in [
        ("f", json!({"Arn": FUNCTION, "Input": "{\"a\":1.50}"})),
        ("s", json!({"Arn": STREAM, "Input": "x", "KinesisParameters": {"PartitionKey": "k"}})),
        ("q", json!({"Arn": format!("{QUEUE}.fifo"), "Input": "y", "SqsParameters": {"MessageGroupId": "g"}})),
        (
            "b",
            json!({"Arn": bus, "Input": "{\"n\":1.50}", "EventBridgeParameters": {"DetailType": "D", "Source": "mine"}}),
        ),
    ] {
        done(&house, "CreateSchedule", schedule(name, at, target)).await;
    }
    house.wait(2 * MINUTE).await;
    let taken = house.taken().await;
    let get = |service: &str, end: &str| {
        let mut found = taken.iter().filter(|e| e.to.service() == service && e.to.as_str().ends_with(end));
        found.next().unwrap_or_else(|| panic!("nothing for {service}"))
    };
    assert_eq!(text(get("lambda", "")), r#"{"a":1.50}"#);
    assert_eq!(get("kinesis", "").attributes[delivery::attribute::PARTITION_KEY], "k");
    assert_eq!(get("sqs", ".fifo").attributes[delivery::attribute::MESSAGE_GROUP_ID], "g");
    let event: Value = serde_json::from_str(text(get("sqs", ":q"))).unwrap();
    assert_eq!(
        (&event["source"], &event["detail-type"], &event["time"]),
        (&json!("mine"), &json!("D"), &json!("2026-01-01T00:01:00Z"))
    );
    assert!(text(get("sqs", ":q")).contains(r#""detail":{"n":1.50}"#));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_or_does_not_fit_is_refused() {
    let house = house().await;
    let every = "rate(1 hour)";
    for (target, word) in [
        (json!({"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}), "universal targets"),
        (json!({"Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c"}), "targets of schedules such as arn:aws:ecs"),
        (json!({"Arn": FUNCTION, "Input": "<aws.scheduler.attempt-number>"}), "attempt-number"),
        (json!({"DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:000000000000:q"}}), "dead-letter"),
    ] {
        let (name, message) = refused(&house, "CreateSchedule", schedule("s", every, target)).await;
        assert!(name == "NotImplementedException" && message.contains(word), "{message}");
    }
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    for (target, word) in [
        (json!({"Arn": STREAM}), "KinesisParameters must be set"),
        (json!({"Arn": format!("{QUEUE}.fifo")}), "SqsParameters must be set"),
        (json!({"KinesisParameters": {"PartitionKey": "k"}}), "KinesisParameters can't be set"),
        (json!({"Arn": FUNCTION, "Input": "x"}), "must be JSON"),
        (
            json!({"Arn": bus, "Input": "[]", "EventBridgeParameters": {"DetailType": "D", "Source": "s"}}),
            "JSON object",
        ),
        (json!({"Arn": bus, "Input": "{}", "EventBridgeParameters": {"DetailType": "D", "Source": "aws.x"}}), "aws."),
    ] {
        let (name, message) = refused(&house, "CreateSchedule", schedule("s", every, target)).await;
        assert!(name == "ValidationException" && message.contains(word), "{message}");
    }
    let (name, message) = refused(&house, "CreateSchedule", schedule("s", "rate(0 hours)", json!({}))).await;
    assert_eq!((name, message.as_str()), ("ValidationException", "Invalid Schedule Expression rate(0 hours)."));
    let mut zone = schedule("s", every, json!({}));
    zone["ScheduleExpressionTimezone"] = json!("Mars/One");
    assert!(refused(&house, "CreateSchedule", zone).await.1.contains("Mars/One"));
    let mut group = schedule("s", every, json!({}));
    group["GroupName"] = json!("none");
    assert_eq!(refused(&house, "CreateSchedule", group).await.0, "ResourceNotFoundException");
    let mut first = schedule("s", every, json!({}));
    first["ClientToken"] = json!("t");
    done(&house, "CreateSchedule", first.clone()).await;
    done(&house, "CreateSchedule", first).await;
    assert_eq!(refused(&house, "CreateSchedule", schedule("s", every, json!({}))).await.0, "ConflictException");
    assert_eq!(
        refused(&house, "UpdateSchedule", schedule("none", every, json!({}))).await.0,
        "ResourceNotFoundException"
    );
}

#[tokio::test(start_paused = true)]
async fn groups_hold_schedules_and_tags() {
    let house = house().await;
    let tags = json!([{"Key": "k", "Value": "v"}]);
    let made = done(&house, "CreateScheduleGroup", json!({"Name": "g", "Tags": tags})).await;
    let arn = made["ScheduleGroupArn"].clone();
    assert_eq!(done(&house, "ListTagsForResource", json!({"ResourceArn": arn})).await["Tags"], tags);
    done(&house, "TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "l", "Value": "w"}]})).await;
    done(&house, "UntagResource", json!({"ResourceArn": arn, "TagKeys": ["k"]})).await;
    let left = done(&house, "ListTagsForResource", json!({"ResourceArn": arn})).await;
    assert_eq!(left["Tags"], json!([{"Key": "l", "Value": "w"}]));
    for name in ["a", "b", "c"] {
        let mut one = schedule(name, "rate(1 hour)", json!({}));
        one["GroupName"] = json!("g");
        done(&house, "CreateSchedule", one).await;
    }
    let first = done(&house, "ListSchedules", json!({"GroupName": "g", "MaxResults": 2})).await;
    assert_eq!(first["Schedules"].as_array().unwrap().len(), 2);
    assert_eq!(refused(&house, "ListSchedules", json!({"NextToken": "g/b"})).await.0, "ValidationException");
    assert_eq!(
        refused(&house, "ListScheduleGroups", json!({"NextToken": first["NextToken"]})).await.0,
        "ValidationException"
    );
    let rest = done(&house, "ListSchedules", json!({"GroupName": "g", "NextToken": first["NextToken"]})).await;
    assert_eq!((&rest["Schedules"][0]["Name"], rest.get("NextToken")), (&json!("c"), None));
    assert_eq!(refused(&house, "DeleteScheduleGroup", json!({"Name": "default"})).await.0, "ValidationException");
    done(&house, "DeleteScheduleGroup", json!({"Name": "g"})).await;
    assert_eq!(done(&house, "ListSchedules", json!({})).await["Schedules"], json!([]));
    house.taken().await;
    house.wait(120 * MINUTE).await;
    assert!(house.taken().await.is_empty());
}

#[test]
fn what_was_due_while_the_house_was_down_fires_once() {
    let disk = Arc::new(SimDisk::new(9));
    life(&disk, 1, |house| async move {
        house.start();
        house.wait(Duration::from_secs(1)).await;
        done(&house, "CreateSchedule", schedule("cron", "cron(0/5 * * * ? *)", json!({}))).await;
        done(&house, "CreateSchedule", schedule("once", "at(2026-01-01T00:20:00)", json!({}))).await;
        house.wait(6 * MINUTE).await;
        assert_eq!(times(&house.taken().await), ["2026-01-01T00:05:00Z"]);
    });
    disk.crash();
    life(&disk, 2, |house| async move {
        house.wait(62 * MINUTE).await;
        house.start();
        assert_eq!(times(&house.taken().await), ["2026-01-01T00:10:00Z", "2026-01-01T00:20:00Z"]);
        house.wait(4 * MINUTE).await;
        assert_eq!(times(&house.taken().await), ["2026-01-01T01:05:00Z"]);
    });
}
