//! Events become what their targets take.

use super::*;
use crate::settings::{BusParameters, Http, QueueParameters};
use serde_json::json;

fn facts() -> Facts {
    Facts {
        pipe_arn: "arn:aws:pipes:us-east-1:000000000000:pipe/p".into(),
        pipe_name: "p".into(),
        source_arn: "arn:aws:sqs:us-east-1:000000000000:s".into(),
        enrichment_arn: String::new(),
        target_arn: String::new(),
    }
}

fn to(arn: &str) -> Target {
    let arn: Arn = format!("arn:aws:{arn}").parse().unwrap();
    Target { arn, template: None, forget: None, partition_key: None, queue: None, bus: None, http: None, logs: None }
}

fn message(body: &str) -> Item {
    Item { text: json!({"messageId": body, "eventSource": "aws:sqs", "body": body}).to_string() }
}

fn sent(target: &Target, items: &[Item]) -> Vec<Result<Envelope, Unfit>> {
    let (facts, role) = (facts(), "arn:aws:iam::000000000000:role/r".parse().unwrap());
    let pipe: Arn = facts.pipe_arn.parse().unwrap();
    let now = Timestamp::from_millis(1_000);
    let sender = Sender { facts: &facts, pipe: &pipe, role: &role, now };
    let mut n = 0;
    let mut id = || {
        n += 1;
        format!("id{n}")
    };
    let aim = Aim::target(target).unwrap();
    aim.parts(items).map(|part| aim.sends(&sender, part, id())).collect()
}

#[test]
fn a_function_gets_the_array_of_all() {
    let target = Target { template: Some("<$.body.n>".into()), ..to("lambda:us-east-1:000000000000:function:f") };
    let all = sent(&target, &[message(r#"{"n":1}"#), message(r#"{"n":2}"#)]);
    let one = all[0].as_ref().unwrap();
    assert_eq!((all.len(), one.body.as_ref()), (1, &b"[1,2]"[..]));
    assert_eq!(one.attributes[attribute::INVOCATION], "RequestResponse");
    assert_eq!((one.principal.as_str(), one.role.as_ref().unwrap().resource()), (PRINCIPAL, "role/r"));
}

#[test]
fn a_stream_and_a_queue_get_each_with_its_key() {
    let stream = Target { partition_key: Some("$.body.n".into()), ..to("kinesis:us-east-1:000000000000:stream/s") };
    let all = sent(&stream, &[message(r#"{"n":7}"#), message("{}")]);
    assert_eq!(all[0].as_ref().unwrap().attributes[attribute::PARTITION_KEY], "7");
    assert_eq!(all[1], Err(Unfit("PartitionKey is empty for an event".into())));
    let queue = QueueParameters { group: Some("g".into()), deduplication: Some("$.messageId".into()) };
    let queue = Target { queue: Some(queue), ..to("sqs:us-east-1:000000000000:q.fifo") };
    let all = sent(&queue, &[message("m")]);
    let attributes = &all[0].as_ref().unwrap().attributes;
    assert_eq!(attributes[attribute::MESSAGE_GROUP_ID], "g");
    assert_eq!(attributes[attribute::MESSAGE_DEDUPLICATION_ID], "m");
}

#[test]
fn a_bus_gets_events() {
    let bus = |bus: BusParameters, template: Option<&str>, body: &str| {
        let arn = "events:us-east-1:000000000000:event-bus/b";
        let target = Target { bus: Some(bus), template: template.map(str::to_owned), ..to(arn) };
        let one = sent(&target, &[message(body)]).remove(0)?;
        Ok::<Value, Unfit>(serde_json::from_slice(&one.body).unwrap())
    };
    let plain = bus(BusParameters::default(), None, "x").unwrap();
    assert_eq!((plain["detail-type"].as_str(), plain["source"].as_str()), (Some("Event from aws:sqs"), Some("Pipe p")));
    assert_eq!((plain["detail"]["body"].as_str(), plain["time"].as_str()), (Some("x"), Some("1970-01-01T00:00:01Z")));
    let set = BusParameters {
        detail_type: Some("$.body.kind".into()),
        source: Some("shop".into()),
        resources: Some(vec!["$.body.arn".into(), "arn:fixed".into()]),
        time: Some("$.body.at".into()),
    };
    let body = r#"{"kind":"order","arn":"arn:x","at":"2024-02-03T04:05:06+01:00"}"#;
    let event = bus(set.clone(), Some(r#"{"k": <$.body.kind>}"#), body).unwrap();
    let of = |name: &str| event[name].clone();
    assert_eq!((of("detail-type"), of("source"), of("detail")), (json!("order"), json!("shop"), json!({"k": "order"})));
    assert_eq!((of("resources"), of("time")), (json!(["arn:x", "arn:fixed"]), json!("2024-02-03T03:05:06Z")));
    assert!(bus(set, None, r#"{"at":"yesterday"}"#).is_err());
    assert!(bus(BusParameters::default(), Some("<$.body>"), "x").is_err(), "a detail is an object");
}

#[test]
fn a_request_gets_its_parameters() {
    let http = Http {
        path: Some(vec!["$.body.id".into()]),
        headers: Some([("X".to_owned(), "$.nothing".to_owned())].into()),
        query: None,
    };
    let target = Target { http: Some(http), ..to("events:us-east-1:000000000000:api-destination/d/1") };
    let all = sent(&target, &[message(r#"{"id":3}"#)]);
    let http: Value = serde_json::from_str(&all[0].as_ref().unwrap().attributes[attribute::HTTP]).unwrap();
    assert_eq!(http, json!({"path": ["3"], "headers": {"X": ""}, "query": {}}));
}

#[test]
fn other_targets_are_none() {
    for arn in ["states:us-east-1:000000000000:stateMachine:m", "events:us-east-1:000000000000:rule/r"] {
        assert!(matches!(Aim::target(&to(arn)), Err(AimError::Unserved(_))), "{arn}");
    }
}

#[test]
fn a_log_group_gets_a_time_and_a_message() {
    let logs = crate::settings::LogParameters { stream: Some("s".into()), timestamp: Some("$.body.at".into()) };
    let target = Target {
        logs: Some(logs),
        template: Some("at <$.body.at>".into()),
        ..to("logs:us-east-1:000000000000:log-group:g")
    };
    let all = sent(&target, &[message(r#"{"at":1700000000123}"#), message(r#"{"at":"noon"}"#)]);
    let one = all[0].as_ref().unwrap();
    let body: Value = serde_json::from_slice(&one.body).unwrap();
    assert_eq!(body, json!({"timestamp": 1_700_000_000_123_i64, "message": "at 1700000000123"}));
    assert_eq!(one.attributes[attribute::LOG_STREAM], "s");
    assert!(all[1].is_err());
}

#[test]
fn no_template_makes_more_than_the_target_takes() {
    let holes = "<$.body>".repeat(200);
    for (arn, most) in [
        ("sqs:us-east-1:000000000000:q", QUEUE_MESSAGE),
        ("sns:us-east-1:000000000000:t", TOPIC_MESSAGE),
        ("kinesis:us-east-1:000000000000:stream/s", STREAM_BYTES),
        ("events:us-east-1:000000000000:event-bus/b", BUS_EVENT),
        ("events:us-east-1:000000000000:api-destination/d/1", PAYLOAD),
        ("logs:us-east-1:000000000000:log-group:g", LOG_EVENT),
        ("lambda:us-east-1:000000000000:function:f", PAYLOAD),
    ] {
        let target = Target { template: Some(holes.clone()), partition_key: Some("k".into()), ..to(arn) };
        let error = sent(&target, &[message(&"x".repeat(1 << 20))]).remove(0).expect_err(arn);
        assert!(error.0.ends_with(&format!("more than {most} bytes")), "{arn}: {error}");
    }
}

#[test]
fn the_parameters_of_an_event_are_bounded_too() {
    let big = [message(&"x".repeat(1 << 20))];
    let http =
        Http { path: None, headers: Some((0..10).map(|i| (i.to_string(), "$.body".into())).collect()), query: None };
    let request = Target { http: Some(http), ..to("events:us-east-1:000000000000:api-destination/d/1") };
    let bus = BusParameters { resources: Some(vec!["$.body".into(); 10]), ..BusParameters::default() };
    let event =
        Target { bus: Some(bus), template: Some("{}".into()), ..to("events:us-east-1:000000000000:event-bus/b") };
    for target in [request, event] {
        let error = sent(&target, &big).remove(0).unwrap_err();
        assert!(error.0.contains("more than"), "{error}");
    }
}

#[test]
fn a_function_gets_as_many_as_fit() {
    let target = to("lambda:us-east-1:000000000000:function:f");
    let item = |bytes: usize| Item { text: "1".repeat(bytes) };
    let fit = |target: &Target, items: &[Item]| {
        let (facts, role) = (facts(), "arn:aws:iam::000000000000:role/r".parse().unwrap());
        let pipe: Arn = facts.pipe_arn.parse().unwrap();
        let sender = Sender { facts: &facts, pipe: &pipe, role: &role, now: Timestamp::default() };
        Aim::target(target).unwrap().fit(&sender, items)
    };
    // Two brackets and one comma.
    let just = [item(PAYLOAD - 4), item(1)];
    assert_eq!(fit(&target, &just), 2);
    assert_eq!(sent(&target, &just)[0].as_ref().unwrap().body.len(), PAYLOAD);
    let over = [item(PAYLOAD - 4), item(2)];
    assert_eq!(fit(&target, &over), 1);
    assert!(sent(&target, &over)[0].is_err());
    let templated = Target { template: Some("<$.body><$.body>".into()), ..target };
    assert_eq!(fit(&templated, &[message(&"x".repeat(2 << 20)), message(&"x".repeat(2 << 20))]), 1);
}
