//! LookupEvents.

use crate::support::{House, alice};
use audit::Settings;
use serde_json::{Value as Json, json};
use shapes::cloudtrail::Event;
use shapes::{ec2, iam};
use std::time::Duration;

async fn make_user(house: &House, name: &str) {
    let input = iam::CreateUserRequest { user_name: name.into(), ..Default::default() };
    house.tell::<iam::CreateUserOp>(&iam::SERVICE, alice(), input, Ok(Default::default())).await;
    tokio::time::advance(Duration::from_secs(10)).await;
}

async fn find(house: &House, key: &str, value: &str) -> Vec<Event> {
    let asked = json!({ "LookupAttributes": [{ "AttributeKey": key, "AttributeValue": value }] });
    house.look_up(asked).await.unwrap().events.unwrap()
}

fn user(event: &Event) -> String {
    let record: Json = serde_json::from_str(event.cloud_trail_event.as_ref().unwrap()).unwrap();
    record["requestParameters"]["userName"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn events_are_found_by_every_attribute() {
    let house = House::new(Settings::default()).await;
    make_user(&house, "bob").await;
    let input = ec2::DescribeInstancesRequest::default();
    house.tell::<ec2::DescribeInstancesOp>(&ec2::SERVICE, alice(), input, Ok(Default::default())).await;
    let all = house.look_up(json!({})).await.unwrap().events.unwrap();
    let names: Vec<_> = all.iter().map(|event| event.event_name.as_deref().unwrap()).collect();
    assert_eq!(names, ["DescribeInstances", "CreateUser"], "newest first");
    let id = all[1].event_id.clone().unwrap();
    for (key, value, expected) in [
        ("EventId", id.as_str(), 1),
        ("EventName", "CreateUser", 1),
        ("ReadOnly", "true", 1),
        ("ReadOnly", "false", 1),
        ("Username", "alice", 2),
        ("Username", "carol", 0),
        ("ResourceType", "AWS::IAM::User", 1),
        ("ResourceName", "bob", 1),
        ("EventSource", "iam.amazonaws.com", 1),
        ("AccessKeyId", "AKIA1", 2),
    ] {
        assert_eq!(find(&house, key, value).await.len(), expected, "{key} {value}");
    }
    let resource = &all[1].resources.as_ref().unwrap()[0];
    assert_eq!(resource.resource_name.as_deref(), Some("bob"));
}

#[tokio::test(start_paused = true)]
async fn pages_and_times_across_a_restart() {
    let house = House::new(Settings::default()).await;
    for n in 0..7 {
        make_user(&house, &format!("u{n}")).await;
    }
    let House { world, disk, store, audit, .. } = house;
    store.close().await;
    drop((store, audit));
    disk.crash();
    let house = House::open(world, disk, Settings::default()).await;
    let query = json!({ "LookupAttributes": [{ "AttributeKey": "EventName", "AttributeValue": "CreateUser" }], "MaxResults": 3 });
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut asked = query.clone();
        if let Some(token) = token {
            asked["NextToken"] = token.into();
        }
        let page = house.look_up(asked).await.unwrap();
        seen.extend(page.events.unwrap().iter().map(user));
        token = page.next_token;
        if token.is_none() {
            break;
        }
        // What happens meanwhile does not shift the pages.
        make_user(&house, "late").await;
    }
    assert_eq!(seen, ["u6", "u5", "u4", "u3", "u2", "u1", "u0"]);

    let from = |start: i64, end: i64| json!({ "StartTime": start, "EndTime": end });
    let start = 1_767_225_600;
    let between = house.look_up(from(start + 20, start + 40)).await.unwrap().events.unwrap();
    assert_eq!(between.iter().map(user).collect::<Vec<_>>(), ["u4", "u3", "u2"]);
    let error = house.look_up(from(start + 1, start)).await.unwrap_err();
    assert_eq!(error.model.name, "InvalidTimeRangeException");
    let mut other = json!({ "MaxResults": 1 });
    let page = house.look_up(other.clone()).await.unwrap();
    other["NextToken"] = page.next_token.unwrap().into();
    other["StartTime"] = start.into();
    assert_eq!(house.look_up(other).await.unwrap_err().model.name, "InvalidNextTokenException");
}

#[tokio::test(start_paused = true)]
async fn records_go_after_ninety_days() {
    let house = House::new(Settings::default()).await;
    make_user(&house, "old").await;
    house.world.clock.sleep(Duration::from_secs(60 * 86_400)).await;
    make_user(&house, "young").await;
    house.audit.start();
    house.world.clock.sleep(Duration::from_secs(40 * 86_400)).await;
    house.world.tasks.shut_down(Duration::from_secs(1)).await;
    let left = house.look_up(json!({})).await.unwrap().events.unwrap();
    assert_eq!(left.iter().map(user).collect::<Vec<_>>(), ["young"]);
}
