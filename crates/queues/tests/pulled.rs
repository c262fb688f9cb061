//! The pulled door.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use names::Arn;
use queues::{PullError, PullLimit};
use serde_json::json;
use std::time::Duration;
use support::House;

const ALL: PullLimit = PullLimit { messages: 10_000, bytes: 6 << 20 };

fn arn(name: &str) -> Arn {
    Arn::new("sqs", "us-east-1", "000000000000", name)
}

#[tokio::test(start_paused = true)]
async fn a_mapping_pulls_deletes_and_gives_back() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "VisibilityTimeout": "30" })).await;
    for i in 0..25 {
        let attributes = json!({ "n": { "DataType": "Number", "StringValue": i.to_string() } });
        let input = json!({ "QueueUrl": url, "MessageBody": i.to_string(), "MessageAttributes": attributes });
        house.ask("SendMessage", input).await.unwrap();
    }
    assert!(house.queues.source(&arn("nobody")).is_none());
    let source = house.queues.source(&arn("orders")).unwrap();
    assert!(!source.is_fifo());
    assert_eq!(source.visibility(), Ok(Duration::from_secs(30)));
    let few = source.receive(PullLimit { messages: 10_000, bytes: 250 }, None).await.unwrap();
    assert!((1..10).contains(&few.len()), "{}", few.len());
    let rest = source.receive(ALL, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(few.len() + rest.len(), 25);
    assert_eq!(
        (rest[0].attributes["n"].data_type.as_str(), rest[0].system["ApproximateReceiveCount"].as_str()),
        ("Number", "1")
    );
    assert!(rest[0].md5_of_attributes.is_some());

    let mut handles: Vec<String> = rest.iter().map(|message| message.receipt_handle.clone()).collect();
    let last = handles.pop().unwrap();
    handles.push("made up".into());
    let outcomes = source.delete(&handles).await.unwrap();
    assert!(matches!(outcomes.last(), Some(Err(PullError::Refused(_)))));
    assert!(outcomes[..outcomes.len() - 1].iter().all(Result::is_ok));
    assert_eq!(source.change_visibility(std::slice::from_ref(&last), Duration::ZERO).await.unwrap(), [Ok(())]);
    source.arrival().await;
    let again = source.receive(ALL, None).await.unwrap();
    assert_eq!((again.len(), again[0].system["ApproximateReceiveCount"].as_str()), (1, "2"));
    house.wait(31).await;
    assert_eq!(source.receive(ALL, None).await.unwrap().len(), few.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_an_arrival_or_with_the_queue() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let source = house.queues.source(&arn("orders")).unwrap();
    let ((), _) = tokio::join!(source.arrival(), async {
        house.wait(5).await;
        house.send(&url, "a").await
    });
    assert_eq!(source.receive(ALL, None).await.unwrap()[0].body, "a");
    let ((), _) = tokio::join!(source.arrival(), async {
        house.wait(5).await;
        house.ask("DeleteQueue", json!({ "QueueUrl": url })).await.unwrap()
    });
    house.wait(61).await;
    house.create("orders", json!({})).await;
    assert_eq!(source.receive(ALL, None).await, Err(PullError::Gone(arn("orders"))), "another queue of that name");
}
