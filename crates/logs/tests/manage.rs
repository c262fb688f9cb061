//! Groups, streams, tags and policies.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::House;

fn names(answer: &Value, list: &str, name: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn groups_are_made_described_and_deleted() {
    let house = House::new().await;
    let tags = json!({"team": "blue"});
    house.fine("CreateLogGroup", json!({"logGroupName": "/app/one", "tags": tags})).await;
    house.create("/app/two", &["s"]).await;
    house.create("other", &[]).await;
    let again = house.refused("CreateLogGroup", json!({"logGroupName": "other"})).await;
    assert_eq!(again, ("ResourceAlreadyExistsException", "The specified log group already exists".to_owned()));
    let (code, why) = house.refused("CreateLogGroup", json!({"logGroupName": "with space"})).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(why.contains("Member must satisfy regular expression pattern"), "{why}");
    for refused in [json!({"kmsKeyId": "k"}), json!({"logGroupClass": "INFREQUENT_ACCESS"})] {
        let mut input = json!({"logGroupName": "new"});
        input.as_object_mut().unwrap().extend(refused.as_object().unwrap().clone());
        assert!(house.refused("CreateLogGroup", input).await.1.starts_with("Headwater does not serve"));
    }

    let of = |answer: &Value| names(answer, "logGroups", "logGroupName");
    let all = house.fine("DescribeLogGroups", json!({})).await;
    assert_eq!(of(&all), ["/app/one", "/app/two", "other"]);
    let one = &all["logGroups"][0];
    assert_eq!(one["arn"], "arn:aws:logs:us-east-1:000000000000:log-group:/app/one:*");
    assert_eq!(one["logGroupArn"], "arn:aws:logs:us-east-1:000000000000:log-group:/app/one");
    assert_eq!(
        (&one["storedBytes"], &one["metricFilterCount"], one.get("retentionInDays")),
        (&json!(0), &json!(0), None)
    );
    let page = house.fine("DescribeLogGroups", json!({"limit": 2})).await;
    assert_eq!(of(&page).len(), 2);
    let rest = house.fine("DescribeLogGroups", json!({"nextToken": page["nextToken"]})).await;
    assert_eq!((of(&rest), rest.get("nextToken")), (vec!["other".to_owned()], None));
    let some = house.fine("DescribeLogGroups", json!({"logGroupNamePrefix": "/app/"})).await;
    assert_eq!(of(&some).len(), 2);
    let some = house.fine("DescribeLogGroups", json!({"logGroupNamePattern": "two"})).await;
    assert_eq!(of(&some), ["/app/two"]);
    let some = house.fine("ListLogGroups", json!({"logGroupNamePattern": "^/app/o|oth"})).await;
    assert_eq!(of(&some), ["/app/one", "other"]);

    house.fine("DeleteLogGroup", json!({"logGroupName": "/app/two"})).await;
    let gone = house.refused("DescribeLogStreams", json!({"logGroupName": "/app/two"})).await;
    assert_eq!(gone, ("ResourceNotFoundException", "The specified log group does not exist.".to_owned()));
    let house = house.restart().await;
    assert_eq!(of(&house.fine("DescribeLogGroups", json!({})).await), ["/app/one", "other"]);
    assert_eq!(house.store.logs("logs/").len(), 4, "the logs of a deleted group are gone");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_no_list_gave_are_refused() {
    let house = House::new().await;
    for name in ["a", "b"] {
        house.create(name, &["s", "t"]).await;
    }
    let page = house.fine("DescribeLogGroups", json!({"limit": 1})).await;
    let of_groups = page["nextToken"].as_str().unwrap();
    for (operation, input, tokens) in [
        ("DescribeLogGroups", json!({}), ["a", "YQ=="]),
        ("ListLogGroups", json!({}), ["a", "YQ=="]),
        ("DescribeResourcePolicies", json!({}), ["p", of_groups]),
        ("DescribeLogStreams", json!({"logGroupName": "a"}), ["0/s", of_groups]),
        ("FilterLogEvents", json!({"logGroupName": "a"}), ["x", of_groups]),
        ("GetLogEvents", json!({"logGroupName": "a", "logStreamName": "s"}), ["f/1/s", of_groups]),
    ] {
        for token in tokens {
            let mut input = input.clone();
            input["nextToken"] = token.into();
            let refused = house.refused(operation, input).await;
            let told = ("InvalidParameterException", "The specified nextToken is invalid.".to_owned());
            assert_eq!(refused, told, "{operation} {token}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_made_again_is_another() {
    let house = House::new().await;
    house.create("g", &["s"]).await;
    house.put("g", "s", &[(house.now(), "old")]).await;
    let (_, token, _) = house.get("g", "s", json!({})).await;
    house.fine("DeleteLogGroup", json!({"logGroupName": "g"})).await;
    house.create("g", &["s"]).await;
    assert!(house.get("g", "s", json!({})).await.0.is_empty());
    let stale = json!({"logGroupName": "g", "logStreamName": "s", "nextToken": token});
    assert_eq!(house.refused("GetLogEvents", stale).await.0, "InvalidParameterException");
    house.fine("DeleteLogStream", json!({"logGroupName": "g", "logStreamName": "s"})).await;
    house.fine("CreateLogStream", json!({"logGroupName": "g", "logStreamName": "s"})).await;
    house.put("g", "s", &[(house.now(), "new")]).await;
    assert_eq!(house.get("g", "s", json!({})).await.0, ["new"]);
}

#[tokio::test(start_paused = true)]
async fn streams_are_listed_by_name_and_by_last_event() {
    let house = House::new().await;
    house.create("g", &["a", "b", "c/1", "c/2"]).await;
    let now = house.now();
    house.put("g", "c/1", &[(now - 5, "x"), (now - 3, "y")]).await;
    house.put("g", "a", &[(now - 4, "x")]).await;
    let of = |answer: &Value| names(answer, "logStreams", "logStreamName");
    let by_name = house.fine("DescribeLogStreams", json!({"logGroupName": "g"})).await;
    assert_eq!(of(&by_name), ["a", "b", "c/1", "c/2"]);
    let c = &by_name["logStreams"][2];
    assert_eq!((&c["firstEventTimestamp"], &c["lastEventTimestamp"]), (&json!(now - 5), &json!(now - 3)));
    assert_eq!(c["arn"], "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:c/1");
    assert_eq!(by_name["logStreams"][1].get("lastEventTimestamp"), None);
    let arn = json!({"logGroupIdentifier": "arn:aws:logs:us-east-1:000000000000:log-group:g", "descending": true});
    assert_eq!(of(&house.fine("DescribeLogStreams", arn).await), ["c/2", "c/1", "b", "a"]);
    let mut input = json!({"logGroupName": "g", "orderBy": "LastEventTime", "descending": true, "limit": 2});
    let page = house.fine("DescribeLogStreams", input.clone()).await;
    assert_eq!(of(&page), ["c/1", "a"]);
    input["nextToken"] = page["nextToken"].clone();
    let rest = house.fine("DescribeLogStreams", input).await;
    assert_eq!((of(&rest), rest.get("nextToken")), (vec!["c/2".to_owned(), "b".to_owned()], None));
    let prefixed = house.fine("DescribeLogStreams", json!({"logGroupName": "g", "logStreamNamePrefix": "c/"})).await;
    assert_eq!(of(&prefixed), ["c/1", "c/2"]);
    let both = json!({"logGroupName": "g", "orderBy": "LastEventTime", "logStreamNamePrefix": "c"});
    assert_eq!(house.refused("DescribeLogStreams", both).await.0, "InvalidParameterException");
    let again = house.refused("CreateLogStream", json!({"logGroupName": "g", "logStreamName": "a"})).await;
    assert_eq!(again, ("ResourceAlreadyExistsException", "The specified log stream already exists".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_streams_events_are_gone() {
    let house = House::new().await;
    house.create("g", &["s", "t"]).await;
    let now = house.now();
    house.put("g", "s", &[(now, "of s")]).await;
    house.put("g", "t", &[(now, "of t")]).await;
    house.fine("DeleteLogStream", json!({"logGroupName": "g", "logStreamName": "s"})).await;
    let house = house.restart().await;
    assert_eq!(house.filter("g", json!({})).await.0, ["of t"]);
    let gone = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(house.refused("GetLogEvents", gone.clone()).await.1, "The specified log stream does not exist.");
    assert_eq!(house.refused("DeleteLogStream", gone).await.0, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn tags_by_arn_and_by_name_are_the_same() {
    let house = House::new().await;
    house.create("g", &[]).await;
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    house.fine("TagResource", json!({"resourceArn": arn, "tags": {"a": "1", "b": "2"}})).await;
    house.fine("TagLogGroup", json!({"logGroupName": "g", "tags": {"c": "3"}})).await;
    house.fine("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})).await;
    let tags = json!({"tags": {"b": "2", "c": "3"}});
    assert_eq!(house.fine("ListTagsForResource", json!({"resourceArn": arn})).await, tags);
    house.fine("UntagLogGroup", json!({"logGroupName": "g", "tags": ["c"]})).await;
    assert_eq!(house.fine("ListTagsLogGroup", json!({"logGroupName": "g"})).await, json!({"tags": {"b": "2"}}));
    let other = json!({"resourceArn": "arn:aws:logs:us-east-1:000000000000:log-group:h"});
    assert_eq!(house.refused("ListTagsForResource", other).await.0, "ResourceNotFoundException");
    let reserved = json!({"resourceArn": arn, "tags": {"aws:x": "1"}});
    assert_eq!(house.refused("TagResource", reserved).await.0, "InvalidParameterException");
    let many: serde_json::Map<String, Value> = (0..50).map(|i| (format!("k{i}"), json!("v"))).collect();
    assert_eq!(house.refused("TagResource", json!({"resourceArn": arn, "tags": many})).await.0, "TooManyTagsException");
}

#[tokio::test(start_paused = true)]
async fn protected_groups_stay_and_policies_are_kept() {
    let house = House::new().await;
    house.create("g", &[]).await;
    house
        .fine("PutLogGroupDeletionProtection", json!({"logGroupIdentifier": "g", "deletionProtectionEnabled": true}))
        .await;
    assert_eq!(house.refused("DeleteLogGroup", json!({"logGroupName": "g"})).await.0, "InvalidOperationException");
    house
        .fine("PutLogGroupDeletionProtection", json!({"logGroupIdentifier": "g", "deletionProtectionEnabled": false}))
        .await;
    house.fine("DeleteLogGroup", json!({"logGroupName": "g"})).await;

    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal":
        {"Service": "events.amazonaws.com"}, "Action": "logs:PutLogEvents", "Resource": "*"}]})
    .to_string();
    house.fine("PutResourcePolicy", json!({"policyName": "p", "policyDocument": document})).await;
    let kept = house.restart().await.fine("DescribeResourcePolicies", json!({})).await;
    assert_eq!(kept["resourcePolicies"][0]["policyDocument"], document);
    assert_eq!(kept["resourcePolicies"][0]["policyScope"], "ACCOUNT");
    let house = House::new().await;
    let bad = json!({"policyName": "p", "policyDocument": "{}"});
    let (code, why) = house.refused("PutResourcePolicy", bad).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(why.starts_with("Invalid policy document: "), "{why}");
    let of = |account: &str| document.replace(r#""Service":"events.amazonaws.com""#, &format!(r#""AWS":"{account}""#));
    house.fine("PutResourcePolicy", json!({"policyName": "p", "policyDocument": of("111122223333")})).await;
    for arn in ["arn:aws:iam::111122223333:root", "arn:aws:iam::000000000000:role/r"] {
        let (code, why) =
            house.refused("PutResourcePolicy", json!({"policyName": "p", "policyDocument": of(arn)})).await;
        assert_eq!(code, "InvalidParameterException");
        assert_eq!(why, "Principal section of policy contains ARN instead of account ID");
    }
    assert_eq!(house.refused("DeleteResourcePolicy", json!({"policyName": "q"})).await.0, "ResourceNotFoundException");
}
