//! Lines that nobody waits for, and events that delivery brings.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use delivery::{Envelope, Verdict};
use logs::Line;
use names::Home;
use serde_json::{Value, json};
use std::time::Duration;
use support::{DAY_MS, House};

fn line(house: &House, stream: &str, text: &str) -> Line {
    Line { at: house.world.now(), stream: stream.to_owned(), text: text.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn lines_make_their_group_and_stream_and_survive_a_clean_stop() {
    let house = House::new().await;
    assert!(house.logs.end("/aws/lambda/f").is_none());
    for i in 0..100 {
        house.logs.write("/aws/lambda/f", line(&house, "2026/11/27/[$LATEST]ab", &format!("line {i}")));
    }
    house.wait(Duration::from_secs(1)).await;
    assert_eq!(house.filter("/aws/lambda/f", json!({})).await.0.len(), 100);
    let (end, _) = house.logs.end("/aws/lambda/f").unwrap();
    let page = house.logs.follow("/aws/lambda/f", end - 1, 10).unwrap().unwrap();
    assert_eq!((page.lines.len(), page.lines[0].1.as_str(), page.next), (1, "line 99", end));
    // Nobody waits for these: the stop does.
    house.logs.write("/aws/lambda/f", line(&house, "2026/11/27/[$LATEST]ab", "last words"));
    house.logs.write("other", line(&house, "s", ""));
    let house = house.restart().await;
    let (all, _) = house.filter("/aws/lambda/f", json!({"filterPattern": "\"last words\""})).await;
    assert_eq!(all, ["last words"]);
    let streams = house.fine("DescribeLogStreams", json!({"logGroupName": "/aws/lambda/f"})).await;
    assert_eq!(streams["logStreams"].as_array().unwrap().len(), 1);
    assert!(house.logs.end("other").is_none(), "an empty line is no event");
}

#[tokio::test(start_paused = true)]
async fn lines_that_come_too_fast_are_counted() {
    let house = House::new().await;
    let text = "x".repeat(1 << 20);
    for _ in 0..20 {
        house.logs.write("g", line(&house, "s", &text));
    }
    house.wait(Duration::from_secs(1)).await;
    let (told, _) = house.filter("g", json!({"logStreamNames": ["headwater"]})).await;
    assert_eq!(told, ["5 log lines came faster than they could be kept"]);
}

fn envelope(house: &House, group: &str, body: &Value) -> Envelope {
    let home = Home::default();
    Envelope {
        id: "e".into(),
        to: home.arn("logs", &format!("log-group:{group}")),
        body: Bytes::from(body.to_string()),
        attributes: Default::default(),
        from: Some(home.arn("events", "rule/r")),
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: Default::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: house.world.now(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_rule_becomes_an_event_of_the_group() {
    let house = House::new().await;
    house.create("/aws/events/g", &[]).await;
    let_in(&house, &json!(["logs:CreateLogStream", "logs:PutLogEvents"])).await;
    let target = house.logs.target();
    let at = names::Timestamp::from_millis(house.now() - 5_000);
    let event = json!({"version": "0", "id": "1", "detail-type": "d", "time": at.iso_secs(), "detail": {"timestamp": 1, "message": "m"}});
    let made = json!({"timestamp": at.iso_millis(), "message": "made"});
    let counted = json!({"timestamp": at.millis(), "message": "counted"});
    let mut bodies: Vec<Envelope> =
        [&event, &made, &counted].map(|body| envelope(&house, "/aws/events/g:*", body)).into();
    for verdict in target.deliver_all(&bodies).await {
        assert_eq!(verdict, Verdict::Accepted(Bytes::new()));
    }
    let mut twice = bodies[1].clone();
    twice.body =
        Bytes::from(format!(r#"{{"timestamp":1,"message":"old","timestamp":{},"message":"twice"}}"#, at.millis()));
    assert_eq!(target.deliver(&twice).await, Verdict::Accepted(Bytes::new()));
    bodies[0].from = Some(Home::default().arn("events", "rule/other"));
    assert_eq!(target.deliver(&bodies[0]).await, Verdict::Accepted(Bytes::new()));
    let page = house.fine("FilterLogEvents", json!({"logGroupName": "/aws/events/g"})).await;
    let events = page["events"].as_array().unwrap();
    let texts: Vec<&str> = events.iter().map(|event| event["message"].as_str().unwrap()).collect();
    let whole = event.to_string();
    assert_eq!(texts, [&whole, "made", "counted", "twice", &whole]);
    assert_eq!(events[1]["timestamp"], at.millis());
    assert_eq!(events[0]["timestamp"], at.secs() * 1000);
    let streams: std::collections::BTreeSet<_> =
        events.iter().map(|event| event["logStreamName"].as_str().unwrap()).collect();
    assert_eq!(streams.len(), 2, "one for each rule");
    assert!(streams.iter().all(|name| name.len() == 36 && name.matches('-').count() == 4));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_an_event_of_the_group_is_refused() {
    let house = House::new().await;
    house.create("g", &[]).await;
    let target = house.logs.target();
    let now = house.now();
    let code = |verdict: Verdict| match verdict {
        Verdict::Refused { code, why } => (code, why),
        other => panic!("{other:?}"),
    };
    let nowhere = envelope(&house, "nowhere", &json!({"timestamp": now, "message": "m"}));
    assert_eq!(code(target.deliver(&nowhere).await).0, "ResourceNotFoundException");
    for body in [
        json!({"timestamp": now - 15 * DAY_MS, "message": "m"}),
        json!({"timestamp": "soon", "message": "m"}),
        json!({"timestamp": now, "message": ""}),
        json!({"timestamp": now, "message": "x".repeat(1 << 20)}),
    ] {
        let (code, why) = code(target.deliver(&envelope(&house, "g", &body)).await);
        assert_eq!(code, "InvalidParameterException", "{why}");
    }
    assert!(house.filter("g", json!({})).await.0.is_empty());
}

/// Lets rules do this with every group.
async fn let_in(house: &House, actions: &Value) {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": actions,
         "Resource": "arn:aws:logs:us-east-1:000000000000:log-group:*:*",
         "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}}}]});
    house.fine("PutResourcePolicy", json!({"policyName": "in", "policyDocument": document.to_string()})).await;
}

#[track_caller]
fn denied(verdict: Verdict, why: &str) {
    match verdict {
        Verdict::Refused { code, why: said } => {
            assert_eq!(code, "AccessDeniedException");
            assert!(said.contains(why), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn rules_need_a_grant_and_roles_do_not() {
    let house = House::new().await;
    house.create("g", &[]).await;
    let target = house.logs.target();
    let rule = envelope(&house, "g", &json!({"timestamp": house.now(), "message": "m"}));
    denied(target.deliver(&rule).await, "no resource-based policy allows the logs:CreateLogStream action");
    let role = Some("arn:aws:iam::000000000000:role/r".parse().unwrap());
    let mut with_role = Envelope { role, ..rule.clone() };
    with_role.from = Some(Home::default().arn("pipes", "pipe/p"));
    assert_eq!(target.deliver(&with_role).await, Verdict::Accepted(Bytes::new()));
    let_in(&house, &json!("logs:PutLogEvents")).await;
    denied(target.deliver(&rule).await, "logs:CreateLogStream");
    let_in(&house, &json!("logs:CreateLogStream")).await;
    denied(target.deliver(&rule).await, "logs:PutLogEvents");
    let_in(&house, &json!(["logs:CreateLogStream", "logs:PutLogEvents"])).await;
    assert_eq!(target.deliver(&rule).await, Verdict::Accepted(Bytes::new()));
    let_in(&house, &json!("logs:PutLogEvents")).await;
    assert_eq!(target.deliver(&rule).await, Verdict::Accepted(Bytes::new()), "its stream is there");
    let other = Envelope { principal: "sns.amazonaws.com".into(), ..rule };
    denied(target.deliver(&other).await, "no resource-based policy");
}

#[tokio::test(start_paused = true)]
async fn whom_a_policy_denies_it_is_kept_out() {
    let house = House::new().await;
    house.create("g", &[]).await;
    house.create("h", &[]).await;
    let_in(&house, &json!("logs:*")).await;
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": {"Service": "events.amazonaws.com"}, "Action": "logs:PutLogEvents",
         "Resource": "arn:aws:logs:us-east-1:000000000000:log-group:g:*"}]});
    house.fine("PutResourcePolicy", json!({"policyName": "p", "policyDocument": document.to_string()})).await;
    let target = house.logs.target();
    let body = json!({"timestamp": house.now(), "message": "m"});
    denied(target.deliver(&envelope(&house, "g", &body)).await, "explicit deny");
    assert_eq!(target.deliver(&envelope(&house, "h", &body)).await, Verdict::Accepted(Bytes::new()));
    house.fine("DeleteResourcePolicy", json!({"policyName": "p"})).await;
    assert_eq!(target.deliver(&envelope(&house, "g", &body)).await, Verdict::Accepted(Bytes::new()));
}
