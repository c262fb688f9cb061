//! The pushed door.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, Verdict, attribute, code};
use names::Arn;
use serde_json::json;
use support::House;

fn envelope(house: &House, to: &str, body: &'static [u8]) -> Envelope {
    Envelope {
        id: "e".into(),
        to: Arn::new("sqs", "us-east-1", "000000000000", to),
        body: Bytes::from_static(body),
        attributes: Default::default(),
        from: None,
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: RetryPolicy::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: house.world.now(),
    }
}

/// What lets rules send.
fn open() -> String {
    let service = json!({ "Service": "events.amazonaws.com" });
    let sends = json!({ "Effect": "Allow", "Principal": service, "Action": "sqs:SendMessage", "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": sends }).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_arrives_as_a_message() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "Policy": open() })).await;
    let mut e = envelope(&house, "orders", b"pushed");
    let carried = json!({
        "RULE_ARN": { "DataType": "String", "StringValue": "arn:aws:events:us-east-1:000000000000:rule/r" },
        "raw": { "DataType": "Binary", "BinaryValue": "AQI=" },
    });
    e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), carried.to_string());
    let Verdict::Accepted(id) = house.queues.target().deliver(&e).await else { panic!("accepted") };
    let got = house.receive(&url, json!({})).await;
    assert_eq!(
        (got[0]["Body"].as_str(), got[0]["MessageId"].as_str()),
        (Some("pushed"), std::str::from_utf8(&id).ok())
    );
    assert_eq!(got[0]["MessageAttributes"], carried);
    assert_eq!(got[0]["Attributes"]["SenderId"], "events.amazonaws.com");
}

#[tokio::test(start_paused = true)]
async fn what_can_never_arrive_is_refused() {
    let house = House::new().await;
    house.create("orders", json!({ "MaximumMessageSize": "1024", "Policy": open() })).await;
    let target = house.queues.target();
    let code = async |e: &Envelope| match target.deliver(e).await {
        Verdict::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&envelope(&house, "nobody", b"a")).await, "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(code(&envelope(&house, "orders", b"\xff")).await, "InvalidMessageContents");
    assert_eq!(code(&envelope(&house, "orders", &[b'a'; 1025])).await, "InvalidParameterValue");
    let mut e = envelope(&house, "orders", b"a");
    e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), "[]".into());
    assert_eq!(code(&e).await, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn fifo_queues_take_a_push_once() {
    let house = House::new().await;
    let settings = json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true", "Policy": open() });
    let url = house.create("orders.fifo", settings).await;
    let target = house.queues.target();
    let mut e = envelope(&house, "orders.fifo", b"pushed");
    let Verdict::Refused { code, .. } = target.deliver(&e).await else { panic!("it has no group") };
    assert_eq!(code, "MissingParameter");
    e.attributes.insert(attribute::MESSAGE_GROUP_ID.into(), "g".into());
    let (first, second) = (target.deliver(&e).await, target.deliver(&e).await);
    assert!(matches!(&first, Verdict::Accepted(_)) && first == second, "a second attempt is answered with the first");
    e.attributes.insert(attribute::MESSAGE_DEDUPLICATION_ID.into(), "other".into());
    assert_ne!(target.deliver(&e).await, first);
    assert_eq!(house.bodies(&url).await, ["pushed", "pushed"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_says_who_comes_in() {
    let house = House::new().await;
    let rule = Arn::new("events", "us-east-1", "000000000000", "rule/r");
    let policy = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" }, "Action": "sqs:SendMessage",
        "Resource": "arn:aws:sqs:us-east-1:000000000000:orders", "Condition": { "ArnEquals": { "aws:SourceArn": rule } },
    } });
    let url = house.create("orders", json!({ "Policy": policy.to_string() })).await;
    let target = house.queues.target();
    let e = Envelope { from: Some(rule), ..envelope(&house, "orders", b"a") };
    assert!(matches!(target.deliver(&e).await, Verdict::Accepted(_)));
    for stranger in
        [Envelope { from: None, ..e.clone() }, Envelope { principal: "sns.amazonaws.com".into(), ..e.clone() }]
    {
        let Verdict::Refused { code, .. } = target.deliver(&stranger).await else { panic!("refused") };
        assert_eq!(code, "AccessDenied");
    }
    house.ask("SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": { "Policy": "" } })).await.unwrap();
    let Verdict::Refused { code, why } = target.deliver(&e).await else { panic!("nobody let it in") };
    assert_eq!(code, "AccessDenied");
    assert!(why.ends_with("because no resource-based policy allows the sqs:SendMessage action"), "{why}");
    let role = Some(Arn::new("iam", "", "000000000000", "role/r"));
    assert!(matches!(target.deliver(&Envelope { role, ..e }).await, Verdict::Accepted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_denial_holds_for_the_accounts_own() {
    let house = House::new().await;
    let deny = |action: &str, condition: serde_json::Value| {
        let statement =
            json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", "Condition": condition });
        json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
    };
    let plain = json!({ "Bool": { "aws:SecureTransport": false } });
    let url = house.create("orders", json!({ "Policy": deny("sqs:SendMessage", plain) })).await;
    let send = json!({ "QueueUrl": url, "Entries": [{ "Id": "1", "MessageBody": "a" }] });
    let (name, why) = house.refused("SendMessageBatch", send).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(why.ends_with("with an explicit deny in a resource-based policy"), "{why}");
    assert_eq!(house.bodies(&url).await, Vec::<String>::new());
    let others = json!({ "StringNotEquals": { "aws:username": "alice" } });
    let set = json!({ "QueueUrl": url, "Attributes": { "Policy": deny("sqs:*", others) } });
    house.ask("SetQueueAttributes", set).await.unwrap();
    house.send(&url, "b").await;
    assert_eq!(house.bodies(&url).await, ["b"]);
    let odd =
        json!({ "QueueUrl": url, "Attributes": { "Policy": deny("sqs:*", json!({ "StringMatches": { "a": "b" } })) } });
    assert!(house.refused("SetQueueAttributes", odd).await.1.contains("StringMatches"));
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_together_keeps_its_order_and_each_has_its_verdict() {
    let house = House::new().await;
    let target = house.queues.target();
    for queue in ["orders", "orders.fifo"] {
        let mut settings = json!({ "Policy": open() });
        if queue.ends_with(".fifo") {
            settings["FifoQueue"] = "true".into();
        }
        let url = house.create(queue, settings).await;
        let bodies: [&[u8]; 6] = [b"0", b"1", b"2", b"\xff", b"4", b"5"];
        let push = |round: &str| {
            let one = |(i, body): (usize, &&'static [u8])| {
                let mut e = envelope(&house, queue, body);
                if queue.ends_with(".fifo") {
                    e.attributes.insert(attribute::MESSAGE_GROUP_ID.into(), "g".into());
                    e.attributes.insert(attribute::MESSAGE_DEDUPLICATION_ID.into(), format!("{round}{i}"));
                }
                e
            };
            bodies.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let shown = |verdicts: Vec<Verdict>| {
            let letter = |verdict: &Verdict| match verdict {
                Verdict::Accepted(_) => 'a',
                Verdict::Refused { .. } => 'r',
                Verdict::Again { code, .. } if code == code::NOT_TRIED => 'n',
                other => panic!("{other:?}"),
            };
            verdicts.iter().map(letter).collect::<String>()
        };
        let all = push("a");
        assert!(target.batch(&all[0].to) >= all.len());
        assert_eq!(shown(target.deliver_all(&all).await), "aaaraa", "each on its own");
        let all = house.bodies(&url).await;
        assert_eq!(all, ["0", "1", "2", "4", "5"]);
        house.ask("PurgeQueue", json!({ "QueueUrl": url })).await.unwrap();
        assert_eq!(shown(target.deliver_in_order(&push("b")).await), "aaarnn", "nothing passes the one that is stuck");
        assert_eq!(house.bodies(&url).await, ["0", "1", "2"]);
        let gone = Envelope { to: Arn::new("sqs", "us-east-1", "000000000000", "none"), ..push("c").remove(0) };
        assert_eq!(shown(target.deliver_all(&[gone.clone(), gone]).await), "rr");
    }
}
