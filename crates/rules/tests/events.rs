//! PutEvents, and what becomes of events.

mod support;

use delivery::{Verdict, attribute};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{FUNCTION, House, QUEUE, STREAM, TOPIC, house, life, text};
use world::World;
use world::disk::SimDisk;

#[tokio::test(start_paused = true)]
async fn an_event_reaches_every_target_of_every_rule_it_matches() {
    let house = house().await;
    let targets = json!([
        {"Id": "1", "Arn": STREAM, "KinesisParameters": {"PartitionKeyPath": "$.detail.user"}},
        {"Id": "2", "Arn": FUNCTION, "RoleArn": "arn:aws:iam::000000000000:role/r"},
        {"Id": "3", "Arn": TOPIC, "InputPath": "$.detail"},
    ]);
    house.rule("orders", "shop", targets).await;
    house
        .rule(
            "more",
            "shop",
            json!([{"Id": "1", "Arn": format!("{QUEUE}.fifo"), "SqsParameters": {"MessageGroupId": "g"},
        "InputTransformer": {"InputPathsMap": {"who": "$.detail.user"}, "InputTemplate": "{\"hello\": <who>}"}}]),
        )
        .await;
    house.rule("other", "elsewhere", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let detail = r#"{"user": "é\"x", "n": 1.50}"#;
    let id = house.put("shop", detail).await;

    let taken = house.taken().await;
    let [stream, function, topic, queue] = &taken[..] else { panic!("{taken:?}") };
    let whole = format!(
        r#"{{"version":"0","id":"{id}","detail-type":"T","source":"shop","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{detail}}}"#
    );
    assert_eq!(text(stream), whole);
    assert_eq!(text(function), whole);
    assert_eq!(stream.attributes[attribute::PARTITION_KEY], "é\"x");
    assert_eq!(function.attributes[attribute::INVOCATION], "Event");
    assert_eq!(function.role.as_ref().unwrap().as_str(), "arn:aws:iam::000000000000:role/r");
    assert_eq!(serde_json::from_str::<Value>(text(topic)).unwrap(), json!({"user": "é\"x", "n": 1.5}));
    assert_eq!(text(queue), r#"{"hello": "é\"x"}"#);
    assert_eq!(queue.attributes[attribute::MESSAGE_GROUP_ID], "g");
    for envelope in &taken {
        assert_eq!((envelope.id.as_str(), envelope.principal.as_str()), (id.as_str(), "events.amazonaws.com"));
    }
    assert_eq!(queue.from.as_ref().unwrap().as_str(), "arn:aws:events:us-east-1:000000000000:rule/more");
    let counted = |name| house.rules.status()[0].rules.iter().find(|rule| rule.name == name).unwrap().clone();
    assert_eq!((counted("orders").matched, counted("orders").invocations), (1, 3));
    assert_eq!((counted("other").matched, counted("other").triggered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_keyed_by_the_event_where_nothing_is_at_the_path() {
    let house = house().await;
    house
        .rule(
            "a",
            "x",
            json!([
                {"Id": "1", "Arn": STREAM},
                {"Id": "2", "Arn": format!("{STREAM}2"), "KinesisParameters": {"PartitionKeyPath": "$.detail.user"}},
                {"Id": "3", "Arn": format!("{STREAM}3"), "KinesisParameters": {"PartitionKeyPath": "$.detail.n"}},
            ]),
        )
        .await;
    let id = house.put("x", r#"{"n": 7}"#).await;
    let keys: Vec<_> = house.taken().await.iter().map(|e| e.attributes[attribute::PARTITION_KEY].clone()).collect();
    assert_eq!(keys, [id.clone(), id, "7".to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_fails_alone_and_in_its_place() {
    let house = house().await;
    house.rule("a", "x", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let entry = |source: &str, detail: &str| json!({"Source": source, "DetailType": "T", "Detail": detail});
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let foreign = "arn:aws:events:eu-west-1:000000000000:event-bus/default";
    let entries = json!([
        entry("x", "{}"),
        entry("x", "[]"),
        entry("aws.ec2", "{}"),
        {"Source": "x", "Detail": "{}"},
        entry("x", &deep),
        {"Source": "x", "DetailType": "T", "Detail": "{}", "EventBusName": foreign},
        entry("x", "{}"),
    ]);
    let answer = house.done("PutEvents", json!({"Entries": entries})).await;
    assert_eq!(answer["FailedEntryCount"], 5);
    let results = answer["Entries"].as_array().unwrap();
    let code = |place: usize| results[place]["ErrorCode"].as_str();
    assert_eq!(
        [code(0), code(1), code(2), code(3), code(4), code(5), code(6)],
        [
            None,
            Some("MalformedDetail"),
            Some("NotAuthorizedForSourceException"),
            Some("InvalidArgument"),
            Some("MalformedDetail"),
            Some("InvalidArgument"),
            None
        ]
    );
    assert_eq!(results[1]["ErrorMessage"], "Detail is malformed.");
    assert_eq!(
        results[3]["ErrorMessage"],
        "Parameter DetailType is not valid. Reason: DetailType is a required argument."
    );
    let ids: Vec<_> = house.taken().await.into_iter().map(|e| e.id).collect();
    let mut wanted = [0, 6].map(|place| results[place]["EventId"].as_str().unwrap().to_owned());
    wanted.sort();
    assert_eq!(ids, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_number_that_no_template_can_carry_sends_nothing() {
    let house = house().await;
    house.rule("a", "x", json!([{"Id": "1", "Arn": QUEUE}, {"Id": "2", "Arn": TOPIC, "InputPath": "$.detail"}])).await;
    let entry = json!({"Source": "x", "DetailType": "T", "Detail": "{\"n\": 1e999}"});
    let answer = house.done("PutEvents", json!({"Entries": [entry]})).await;
    assert_eq!(answer["Entries"][0]["ErrorCode"], "MalformedDetail");
    assert_eq!(house.taken().await, []);
}

/// Two hundred times the detail.
fn swelling(id: &str) -> Value {
    json!({"Id": id, "Arn": TOPIC, "InputTransformer":
        {"InputPathsMap": {"e": "$.detail"}, "InputTemplate": format!("[{}0]", "<e>,".repeat(200))}})
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_large_fails_alone() {
    let house = house().await;
    let dead = format!("{QUEUE}-dead");
    let (whole, mut told) = (json!({"Id": "whole", "Arn": QUEUE}), swelling("told"));
    told["DeadLetterConfig"] = json!({"Arn": dead});
    let targets = json!([whole, told, swelling("kept")]);
    house.rule("r", "large", targets).await;
    house.rule("small", "small", json!([whole])).await;
    let detail = format!("{{\"a\":\"{}\"}}", "x".repeat(250_000));
    let entry = |source: &str, detail: &str| json!({"Source": source, "DetailType": "T", "Detail": detail});
    let entries = json!([entry("large", &detail), entry("small", "{}")]);
    let answer = house.done("PutEvents", json!({"Entries": entries})).await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");

    let taken = house.taken().await;
    assert_eq!(taken.iter().map(|e| e.to.as_str()).collect::<Vec<_>>(), [QUEUE, QUEUE, &dead]);
    let letter = &taken[2];
    assert!(text(letter).ends_with(&format!("\"detail\":{detail}}}")), "the event as it came");
    let said: Value = serde_json::from_str(&letter.attributes[attribute::MESSAGE_ATTRIBUTES]).unwrap();
    assert_eq!(said["ERROR_CODE"]["StringValue"], "INVALID_PARAMETER");
    let why = "the target's input would be larger than 1048576 bytes";
    assert_eq!(said["ERROR_MESSAGE"]["StringValue"], why);
    assert_eq!(said["TARGET_ARN"]["StringValue"], TOPIC);
    let kept = house.delivery.dead(10);
    assert_eq!(
        kept.iter().map(|kept| (kept.envelope.to.as_str(), kept.why.as_str())).collect::<Vec<_>>(),
        [(TOPIC, why)]
    );
    let rule = house.rules.status()[0].rules[0].clone();
    assert_eq!((rule.triggered, rule.invocations, rule.failed), (1, 3, 2));

    // Nor does it hold up what comes from another bus.
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    house.rule_on("b", "on", "large", json!([{"Id": "1", "Arn": bus}])).await;
    house.put_on("b", "large", &detail).await;
    assert_eq!(house.taken().await.len(), 2);
    assert!(house.delivery.status().iter().all(|lane| lane.waiting == 0), "{:?}", house.delivery.status());
}

#[tokio::test(start_paused = true)]
async fn inputs_that_are_large_together_are_sent() {
    let house = house().await;
    let template = format!("[{}0]", "<e>,".repeat(4));
    let targets: Vec<Value> = (0..5)
        .map(|id| {
            json!({"Id": id.to_string(), "Arn": QUEUE, "InputTransformer":
                {"InputPathsMap": {"e": "$.detail"}, "InputTemplate": template}})
        })
        .collect();
    for rule in 0..10 {
        house.rule(&format!("r{rule}"), "large", json!(targets)).await;
    }
    house.put("large", &format!("{{\"a\":\"{}\"}}", "x".repeat(250_000))).await;
    let taken = house.taken().await;
    assert_eq!((taken.len(), taken.iter().all(|e| e.body.len() > 1_000_000)), (50, true));
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_a_mebibyte_and_ten_entries() {
    let house = house().await;
    let sized = |bytes: usize| {
        let detail = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8 - 2));
        json!({"Entries": [{"Source": "s", "DetailType": "T", "Detail": detail}]})
    };
    assert_eq!(house.done("PutEvents", sized(1 << 20)).await["FailedEntryCount"], 0);
    let message = "Total size of the entries in the request is over the limit.";
    assert_eq!(house.refused("PutEvents", sized((1 << 20) + 1)).await, ("ValidationException", message.to_owned()));
    let entry = json!({"Source": "s", "DetailType": "T", "Detail": "{}"});
    let eleven: Vec<_> = std::iter::repeat_n(entry, 11).collect();
    let (name, message) = house.refused("PutEvents", json!({"Entries": eleven})).await;
    assert_eq!(name, "ValidationException");
    assert!(message.ends_with("Member must have length less than or equal to 10"), "{message}");
    let (name, _) = house.refused("PutEvents", json!({"Entries": [], "EndpointId": "a.b"})).await;
    assert_eq!(name, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_exist_swallows_as_at_aws() {
    let house = house().await;
    let id = house.put_on("nowhere", "x", "{}").await;
    assert_eq!(id.len(), 36);
    assert_eq!(house.taken().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_trace_header_goes_along() {
    let house = house().await;
    house.rule("a", "x", json!([{"Id": "1", "Arn": QUEUE}])).await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let entry = json!({"Source": "x", "DetailType": "T", "Detail": "{}", "Time": 1507060005, "TraceHeader": trace,
        "Resources": ["r1", "r2"], "EventBusName": "arn:aws:events:us-east-1:000000000000:event-bus/default"});
    house.done("PutEvents", json!({"Entries": [entry]})).await;
    let taken = house.taken().await;
    assert_eq!(taken[0].trace.as_ref().unwrap().as_str(), trace);
    let event: Value = serde_json::from_str(text(&taken[0])).unwrap();
    assert_eq!((&event["time"], &event["resources"]), (&json!("2017-10-03T19:46:45Z"), &json!(["r1", "r2"])));
}

#[tokio::test(start_paused = true)]
async fn events_of_the_house_come_in_whole_and_read_only_ones_for_few() {
    let house = house().await;
    house.rule("some", "aws.ec2", json!([{"Id": "1", "Arn": QUEUE}])).await;
    house.rule("all", "aws.ec2", json!([{"Id": "1", "Arn": TOPIC}])).await;
    let state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";
    let pattern = json!({"source": ["aws.ec2"]}).to_string();
    house.done("PutRule", json!({"Name": "all", "EventPattern": pattern, "State": state})).await;

    let event = json!({"id": "e1", "source": "aws.ec2", "detail": {"eventName": "TerminateInstances"}});
    assert!(matches!(house.push("e1", event.clone(), false).await, Verdict::Accepted(_)));
    let taken = house.taken().await;
    assert_eq!(taken.iter().map(|e| e.to.as_str()).collect::<Vec<_>>(), [TOPIC, QUEUE]);
    assert_eq!(text(&taken[0]), event.to_string());

    assert!(matches!(house.push("e2", event, true).await, Verdict::Accepted(_)));
    assert_eq!(house.taken().await.iter().map(|e| e.to.as_str()).collect::<Vec<_>>(), [TOPIC]);
    assert!(matches!(house.push("e3", json!("no event"), false).await, Verdict::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_from_bus_to_bus_once() {
    let house = house().await;
    for bus in ["one", "two"] {
        house.done("CreateEventBus", json!({"Name": bus})).await;
    }
    let bus = |name: &str| format!("arn:aws:events:us-east-1:000000000000:event-bus/{name}");
    house.rule_on("one", "on", "x", json!([{"Id": "1", "Arn": bus("two")}])).await;
    house.rule_on("two", "on", "x", json!([{"Id": "1", "Arn": QUEUE}, {"Id": "2", "Arn": bus("default")}])).await;
    house.rule("end", "x", json!([{"Id": "1", "Arn": TOPIC}])).await;
    let id = house.put_on("one", "x", "{}").await;
    let taken = house.taken().await;
    assert_eq!(taken.iter().map(|e| (e.to.as_str(), e.id.clone())).collect::<Vec<_>>(), [(QUEUE, id)]);
    assert_eq!(taken[0].from.as_ref().unwrap().as_str(), "arn:aws:events:us-east-1:000000000000:rule/two/on");
    let two = house.rules.status().into_iter().find(|bus| bus.name == "two").unwrap();
    assert_eq!((two.rules[0].invocations, two.rules[0].failed), (1, 1));
    // From there directly it does go on.
    house.put_on("two", "x", "{}").await;
    assert_eq!(house.taken().await.iter().map(|e| e.to.as_str()).collect::<Vec<_>>(), [TOPIC, QUEUE]);
}

#[tokio::test(start_paused = true)]
async fn the_retry_policy_and_the_dead_letter_queue_go_along() {
    let house = house().await;
    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    house
        .rule(
            "a",
            "x",
            json!([
                {"Id": "1", "Arn": QUEUE},
                {"Id": "2", "Arn": TOPIC, "DeadLetterConfig": {"Arn": dead},
                 "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60}},
            ]),
        )
        .await;
    house.put("x", "{}").await;
    let taken = house.taken().await;
    let policy = |place: usize| (taken[place].policy.max_attempts, taken[place].policy.max_age.as_secs());
    assert_eq!((policy(0), policy(1)), ((4, 60), (186, 86_400)));
    assert_eq!(taken[0].dead_letter.as_ref().unwrap().as_str(), dead);
}

#[tokio::test(start_paused = true)]
async fn rules_act_as_soon_as_they_are_changed() {
    let house = house().await;
    house.rule("a", "x", json!([{"Id": "1", "Arn": QUEUE}])).await;
    house.done("DisableRule", json!({"Name": "a"})).await;
    house.put("x", "{}").await;
    assert_eq!(house.taken().await.len(), 0);
    house.done("EnableRule", json!({"Name": "a"})).await;
    house.put("x", "{}").await;
    assert_eq!(house.taken().await.len(), 1);
    house.done("PutRule", json!({"Name": "a", "EventPattern": "{\"source\":[\"y\"]}"})).await;
    house.put("x", "{}").await;
    house.put("y", "{}").await;
    assert_eq!(house.taken().await.len(), 1);
    house.done("RemoveTargets", json!({"Rule": "a", "Ids": ["1"]})).await;
    house.put("y", "{}").await;
    assert_eq!(house.taken().await.len(), 0);
}

async fn answered(house: &House) -> String {
    house.rule("a", "x", json!([{"Id": "1", "Arn": QUEUE}, {"Id": "2", "Arn": TOPIC}])).await;
    house.put("x", r#"{"n": 1}"#).await
}

#[test]
fn what_was_answered_is_delivered_after_a_crash() {
    for seed in 0..20 {
        let disk = Arc::new(SimDisk::new(seed));
        // Never started: the power fails between the answer and the first try.
        let id = life(&disk, seed, |house| async move { answered(&house).await });
        disk.crash();
        life(&disk, seed + 100, |house| async move {
            house.start();
            let taken = house.taken().await;
            let got: Vec<_> = taken.iter().map(|e| (e.to.as_str(), e.id.as_str())).collect();
            assert_eq!(got, [(TOPIC, id.as_str()), (QUEUE, id.as_str())], "seed {seed}");
            // And the rule is still there.
            house.put("x", "{}").await;
            house.wait(Duration::from_secs(1)).await;
            assert_eq!(house.taken().await.len(), 2);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn patterns_can_be_tried() {
    let house = house().await;
    let event = |source: &str| {
        json!({"id": "1", "account": "0", "source": source, "time": "2026-01-01T00:00:00Z", "region": "r",
            "resources": [], "detail-type": "T"})
        .to_string()
    };
    let ask = |pattern: &str, event: String| json!({"EventPattern": pattern, "Event": event});
    let result = |answer: Value| answer["Result"].as_bool();
    let pattern = r#"{"source":[{"prefix":"a"}]}"#;
    assert_eq!(result(house.done("TestEventPattern", ask(pattern, event("ab"))).await), Some(true));
    assert_eq!(result(house.done("TestEventPattern", ask(pattern, event("b"))).await), Some(false));
    let (name, message) = house.refused("TestEventPattern", ask(r#"{"source":"a"}"#, event("a"))).await;
    assert_eq!(name, "InvalidEventPatternException");
    assert!(
        message.starts_with("Event pattern is not valid. Reason: \"source\" must be an object or an array"),
        "{message}"
    );
    for text in ["", "[]", "{\"id\":\"1\"}"] {
        let (name, message) = house.refused("TestEventPattern", ask(pattern, text.into())).await;
        assert_eq!(name, "ValidationException");
        assert!(message.starts_with("Parameter Event is not valid."), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn invocations_over_the_quota_come_later_and_calls_over_it_are_refused() {
    let house = house().await;
    let targets: Vec<Value> = (1..=5).map(|id| json!({"Id": id.to_string(), "Arn": QUEUE})).collect();
    house.rule("r", "busy", json!(targets)).await;
    let entries = vec![json!({"Source": "busy", "DetailType": "T", "Detail": "{}"}); 10];
    for _ in 0..400 {
        house.done("PutEvents", json!({"Entries": entries})).await;
    }
    let rule = || house.rules.status()[0].rules[0].clone();
    assert_eq!((rule().triggered, rule().throttled), (4_000, 20_000 - 18_750));
    assert_eq!(house.taken().await.len(), 20_000, "nothing is lost");
    let start =
        house.world.meter.samples().into_iter().find(|(signal, names, _)| {
            (signal.name, names[..] == ["r"]) == ("IngestionToInvocationStartLatency", true)
        });
    assert_eq!(start.map(|(_, _, sample)| sample.count), Some(20_000));
    house.wait(Duration::from_secs(1)).await;
    let mut refused = None;
    for _ in 0..=10_000 {
        refused = house.ask("PutEvents", json!({"Entries": [entries[0]]})).await.err();
    }
    assert_eq!(refused.map(|error| error.model.name), Some("ThrottlingException"));
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_refuses_the_entries_that_would_add_to_it() {
    let (world, _) = World::simulated(7);
    let house = House::open_with(world, delivery::Options { backlog_bytes: 1 }).await;
    house.rule("r", "wanted", json!([{"Id": "1", "Arn": QUEUE}])).await;
    house.put("wanted", "{}").await;
    let entry = |source: &str| json!({"Source": source, "DetailType": "T", "Detail": "{}"});
    let both = json!({"Entries": [entry("wanted"), entry("nobody's")]});
    let answer = house.done("PutEvents", both.clone()).await;
    assert_eq!(
        (&answer["FailedEntryCount"], &answer["Entries"][0]["ErrorCode"]),
        (&json!(1), &json!("ThrottlingException"))
    );
    let said = answer["Entries"][0]["ErrorMessage"].as_str().unwrap();
    assert!(said.starts_with("the backlog of deliveries is full"), "{said}");
    assert!(answer["Entries"][1]["EventId"].is_string(), "what leads to nothing needs no room");
    // What would end the backlog is never refused.
    house.done("RemoveTargets", json!({"Rule": "r", "Ids": ["1"]})).await;
    house.done("PutTargets", json!({"Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE}]})).await;

    house.start();
    assert_eq!(house.taken().await.len(), 1);
    let answer = house.done("PutEvents", both).await;
    assert_eq!(answer["FailedEntryCount"], 0, "there is room again");
    assert_eq!(house.taken().await.len(), 1);
}
