//! Events go in and come out: in the order of their time stamps, page by page, until their retention ends.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::time::Duration;
use support::{DAY_MS, House, messages};
use world::Disk;

#[tokio::test(start_paused = true)]
async fn events_are_read_forward_and_backward() {
    let house = House::new().await;
    house.create("g", &["s", "other"]).await;
    let now = house.now();
    house.put("g", "s", &[(now - 3, "c"), (now - 2, "d"), (now - 1, "e")]).await;
    house.put("g", "other", &[(now - 4, "not of this stream")]).await;
    // Later in coming, earlier by time stamp.
    house.put("g", "s", &[(now - 9, "a"), (now - 5, "b")]).await;
    let (all, ..) = house.get("g", "s", json!({})).await;
    assert_eq!(all, ["a", "b", "c", "d", "e"]);

    let (last, forward, backward) = house.get("g", "s", json!({"limit": 2})).await;
    assert_eq!(last, ["d", "e"]);
    let (before, _, again) = house.get("g", "s", json!({"limit": 2, "nextToken": backward})).await;
    assert_eq!(before, ["b", "c"]);
    let (first, on, start) = house.get("g", "s", json!({"limit": 2, "nextToken": again})).await;
    assert_eq!(first, ["a"]);
    let (none, _, same) = house.get("g", "s", json!({"nextToken": start})).await;
    assert_eq!((none.len(), same), (0, start), "at its beginning the token comes back");
    let (onwards, ..) = house.get("g", "s", json!({"nextToken": on})).await;
    assert_eq!(onwards, ["b", "c", "d", "e"]);

    let (none, same, _) = house.get("g", "s", json!({"nextToken": forward})).await;
    assert_eq!((none.len(), &same), (0, &forward), "at its end the token comes back");
    house.put("g", "s", &[(now, "f")]).await;
    let (new, moved, _) = house.get("g", "s", json!({"nextToken": forward})).await;
    assert_eq!(new, ["f"]);
    assert_ne!(moved, forward);

    let (head, next, _) = house.get("g", "s", json!({"limit": 4, "startFromHead": true})).await;
    assert_eq!(head, ["a", "b", "c", "d"]);
    let (rest, ..) = house.get("g", "s", json!({"limit": 4, "startFromHead": true, "nextToken": next})).await;
    assert_eq!(rest, ["e", "f"]);
    // The start is included, the end is not.
    let (middle, ..) = house.get("g", "s", json!({"startTime": now - 5, "endTime": now - 2})).await;
    assert_eq!(middle, ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_has_tokens_that_find_its_first_event() {
    let house = House::new().await;
    house.create("g", &["true", "false"]).await;
    for head in [true, false] {
        let stream = head.to_string();
        let (none, forward, _) = house.get("g", &stream, json!({"startFromHead": head})).await;
        assert!(none.is_empty());
        let (_, same, _) = house.get("g", &stream, json!({"nextToken": forward})).await;
        assert_eq!(same, forward);
        house.put("g", &stream, &[(house.now(), "first")]).await;
        let (found, ..) = house.get("g", &stream, json!({"nextToken": forward})).await;
        assert_eq!(found, ["first"]);
    }
    let refused =
        house.refused("GetLogEvents", json!({"logGroupName": "g", "logStreamName": "true", "nextToken": "x"}));
    assert_eq!(refused.await, ("InvalidParameterException", "The specified nextToken is invalid.".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_must_be_is_asked() {
    let house = House::new().await;
    house.create("g", &["s"]).await;
    let now = house.now();
    let put = |events: serde_json::Value| json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events, "sequenceToken": "whatever"});
    let event = |at: i64, text: &str| json!({"timestamp": at, "message": text});
    let (code, why) = house.refused("PutLogEvents", put(json!([event(now, "b"), event(now - 1, "a")]))).await;
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(why, "Log events in a single PutLogEvents request must be in chronological order.");
    let (code, why) = house.refused("PutLogEvents", put(json!([event(now, "")]))).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(why.starts_with("1 validation error detected: Value '' at 'logEvents.1.member.message'"), "{why}");
    let answer = house
        .fine(
            "PutLogEvents",
            put(json!([event(now - 20 * DAY_MS, "old"), event(now, "fine"), event(now + DAY_MS, "new")])),
        )
        .await;
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}));
    assert_eq!(answer["nextSequenceToken"].as_str().unwrap().len(), 56);
    assert_eq!(house.get("g", "s", json!({})).await.0, ["fine"]);
    let all_old = house.put("g", "s", &[(now - 15 * DAY_MS, "old")]).await;
    assert_eq!(all_old["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1}));
    let nowhere = json!({"logGroupName": "g", "logStreamName": "t", "logEvents": [event(now, "a")]});
    let refused = house.refused("PutLogEvents", nowhere).await;
    assert_eq!(refused, ("ResourceNotFoundException", "The specified log stream does not exist.".to_owned()));
    let entity = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": [event(now, "kept")], "entity": {}});
    let answer = house.fine("PutLogEvents", entity).await;
    assert_eq!(answer["rejectedEntityInfo"]["errorType"], "UnsupportedLogGroupType");
}

#[tokio::test(start_paused = true)]
async fn filtering_goes_over_streams_in_the_order_of_time_stamps() {
    let house = House::new().await;
    house.create("g", &["a/1", "a/2", "b"]).await;
    let now = house.now();
    for i in 0..30i64 {
        let stream = ["a/1", "a/2", "b"][i as usize % 3];
        // Comes in another order than it happened.
        let at = now - (i * 7) % 30;
        let text = format!(r#"{{"n": {}, "stream": "{stream}"}}"#, 30 - (i * 7) % 30);
        house.put("g", stream, &[(at, &text)]).await;
    }
    let (all, pages) = house.filter("g", json!({"limit": 7})).await;
    let number = |text: &String| serde_json::from_str::<serde_json::Value>(text).unwrap()["n"].as_i64().unwrap();
    let numbers: Vec<i64> = all.iter().map(number).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!(pages, 5);
    let (some, _) = house.filter("g", json!({"filterPattern": "{ $.n >= 10 && $.stream = a* }", "limit": 3})).await;
    assert_eq!(some.len(), 14);
    let (some, _) = house.filter("g", json!({"logStreamNamePrefix": "a/"})).await;
    assert_eq!(some.len(), 20);
    let (some, _) = house.filter("g", json!({"logStreamNames": ["b"], "startTime": now - 9, "endTime": now})).await;
    // The end is included.
    assert!(some.iter().all(|text| number(text) >= 21) && some.iter().any(|text| text.contains("\"b\"")));
    let (latest, _) = house.filter("g", json!({"startFromHead": false, "limit": 4})).await;
    let numbers: Vec<i64> = latest.iter().map(number).collect();
    assert_eq!(numbers, (1..=30).rev().collect::<Vec<_>>());

    let page = house.fine("FilterLogEvents", json!({"logGroupName": "g", "limit": 1})).await;
    let token = page["nextToken"].clone();
    assert_eq!(page["events"][0]["logStreamName"], "b");
    assert_eq!(page["searchedLogStreams"], json!([]));
    let other = json!({"logGroupName": "g", "filterPattern": "x", "nextToken": token});
    assert_eq!(house.refused("FilterLogEvents", other).await.1, "The specified nextToken is invalid.");
    let (code, why) = house.refused("FilterLogEvents", json!({"logGroupName": "g", "filterPattern": "{ a }"})).await;
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(why, "Invalid filter pattern: a selector begins with $, not with 'a '");
    let both = json!({"logGroupName": "g", "logStreamNames": ["b"], "logStreamNamePrefix": "a"});
    assert_eq!(house.refused("FilterLogEvents", both).await.0, "InvalidParameterException");
    let absent = json!({"logGroupName": "g", "logStreamNames": ["c"]});
    assert_eq!(house.refused("FilterLogEvents", absent).await.0, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn events_end_with_their_retention() {
    let house = House::new().await;
    house.create("g", &["s"]).await;
    let now = house.now();
    house.put("g", "s", &[(now - 2 * DAY_MS, "two days")]).await;
    let filler = "x".repeat(100_000);
    for i in 0..8 {
        house.put("g", "s", &[(now - 2 * DAY_MS + i, &filler)]).await;
    }
    house.put("g", "s", &[(now - DAY_MS / 2, "half a day")]).await;
    house.fine("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 3})).await;
    assert_eq!(house.get("g", "s", json!({})).await.0.len(), 10);
    house.fine("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 1})).await;
    assert_eq!(house.get("g", "s", json!({})).await.0, ["half a day"]);
    assert_eq!(house.filter("g", json!({})).await.0, ["half a day"]);
    let rejected = house.put("g", "s", &[(now - 2 * DAY_MS, "expired"), (now - DAY_MS + 1000, "fine")]).await;
    assert_eq!(rejected["rejectedLogEventsInfo"], json!({"expiredLogEventEndIndex": 1}));
    // The disk is given back in whole chunks; the rest waits for more.
    let stored = |answer: serde_json::Value| answer["logGroups"][0]["storedBytes"].as_i64().unwrap();
    let before = stored(house.fine("DescribeLogGroups", json!({})).await);
    house.wait(Duration::from_secs(120)).await;
    let after = stored(house.fine("DescribeLogGroups", json!({})).await);
    assert!(before > 800_000 && after < 400_000, "{before} {after}");
    house.fine("DeleteRetentionPolicy", json!({"logGroupName": "g"})).await;
    assert!(house.get("g", "s", json!({})).await.0.len() < 6, "what was given up stays away");
    let (code, why) = house.refused("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 2})).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(why.starts_with("1 validation error detected: Value '2' at 'retentionInDays'"), "{why}");
    let house = house.restart().await;
    assert!(house.get("g", "s", json!({})).await.0.contains(&"half a day".to_owned()));
}

/// More than a page, more than a chunk, out of order and over several streams: nothing is missing, also after a restart.
#[tokio::test(start_paused = true)]
async fn many_events_are_found_page_by_page() {
    let mut house = House::new().await;
    house.create("g", &["s", "t"]).await;
    let now = house.now();
    let mut put = Vec::new();
    for batch in 0..40i64 {
        let stream = if batch % 4 == 0 { "t" } else { "s" };
        // Batches overlap one another in time.
        let texts: Vec<(i64, String)> = (0..500)
            .map(|i| (now - 3_600_000 + (batch % 5) * 60_000 + i * 200, format!("{batch:03}-{i:03}")))
            .collect();
        let events: Vec<(i64, &str)> = texts.iter().map(|(at, text)| (*at, text.as_str())).collect();
        house.put("g", stream, &events).await;
        put.extend(texts.iter().map(|(at, text)| (*at, text.clone(), stream)));
    }
    put.sort_by_key(|(at, ..)| *at);
    for life in 0..2 {
        let (all, pages) = house.filter("g", json!({})).await;
        assert_eq!((all.len(), pages), (20_000, 2), "life {life}");
        let stamps = |texts: &[String]| {
            let of = |text: &String| put.iter().find(|(_, known, _)| known == text).unwrap().0;
            texts.iter().step_by(97).map(of).collect::<Vec<_>>()
        };
        assert!(stamps(&all).is_sorted());
        let (mut found, mut token) = (Vec::new(), json!({"startFromHead": true, "limit": 1700}));
        loop {
            let (page, next, _) = house.get("g", "t", token.clone()).await;
            if page.is_empty() {
                assert_eq!(token["nextToken"], next);
                break;
            }
            found.extend(page);
            token = json!({"nextToken": next, "limit": 1700});
        }
        assert_eq!(found.len(), 5000);
        let streams = house.fine("DescribeLogStreams", json!({"logGroupName": "g", "orderBy": "LastEventTime"})).await;
        let last = put.iter().filter(|(.., stream)| *stream == "t").map(|(at, ..)| *at).max().unwrap();
        let t = streams["logStreams"].as_array().unwrap().iter().find(|s| s["logStreamName"] == "t").unwrap();
        assert_eq!(t["lastEventTimestamp"], last, "life {life}");
        house = house.restart().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_holds_a_mebibyte_and_always_an_event() {
    let house = House::new().await;
    house.create("g", &["s"]).await;
    let now = house.now();
    let large = "y".repeat(600_000);
    for i in 0..4 {
        house.put("g", "s", &[(now + i, &large)]).await;
    }
    let page = house.fine("FilterLogEvents", json!({"logGroupName": "g"})).await;
    assert_eq!(messages(&page).len(), 1);
    assert_eq!(house.filter("g", json!({})).await, (vec![large; 4], 4));
    let whole = "z".repeat((1 << 20) - 26);
    house.put("g", "s", &[(now + 9, &whole)]).await;
    let too_large = json!({"logGroupName": "g", "logStreamName": "s",
        "logEvents": [{"timestamp": now, "message": "z".repeat((1 << 20) - 25)}]});
    assert_eq!(house.refused("PutLogEvents", too_large).await.0, "InvalidParameterException");
}

/// Flips a bit where this text is in the first segment.
fn damage(house: &House, text: &[u8]) {
    let path = std::path::Path::new("/data/journal/0000000000000001.log");
    let content = house.disk.read(path).unwrap();
    let at = content.windows(text.len()).position(|bytes| bytes == text).unwrap();
    house.disk.corrupt(path, at as u64);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_event_is_an_error_to_its_reader_and_to_nobody_else() {
    let house = House::new().await;
    house.create("quiet", &["s"]).await;
    house.create("loud", &["s"]).await;
    let start = house.now();
    for i in 0..5 {
        house.put("quiet", "s", &[(start + i, &format!("event {i}"))]).await;
    }
    // Damage in the newest segment would refuse to start.
    let long = "x".repeat(100_000);
    for _ in 0..20 {
        house.put("loud", "s", &[(start, &long)]).await;
    }
    damage(&house, b"event 2");
    let house = house.restart().await;
    assert_eq!(house.filter("loud", json!({})).await.0.len(), 20);
    let (error, _) = house.refused("FilterLogEvents", json!({"logGroupName": "quiet"})).await;
    assert_eq!(error, "InternalFailure");
    for _ in 0..3 {
        house.put("quiet", "s", &[(start + DAY_MS / 2, &long)]).await;
    }
    let house = house.restart().await;
    let (error, _) = house.refused("FilterLogEvents", json!({"logGroupName": "quiet"})).await;
    assert_eq!(error, "InternalFailure", "in a chunk as well");
}

#[tokio::test(start_paused = true)]
async fn damaged_summaries_are_made_anew() {
    let house = House::new().await;
    house.create("g", &["a stream"]).await;
    let start = house.now();
    let long = "x".repeat(100_000);
    for i in 0..40 {
        house.put("g", "a stream", &[(start + i, &format!("{i:02}{long}"))]).await;
    }
    house.wait(Duration::from_secs(60)).await;
    let before = house.filter("g", json!({})).await.0;
    let summaries: Vec<_> = house.store.logs("").into_iter().filter(|(name, _)| name.contains("chunks")).collect();
    let [(_, log)] = &summaries[..] else { panic!("{:?}", house.store.logs("")) };
    let all = store::ReadLimit { records: 100, bytes: 1 << 20 };
    let kept = house.store.read(*log, 0, all).unwrap();
    assert!(kept.len() > 5, "{}", kept.len());
    damage(&house, &kept[1].data);
    let house = house.restart().await;
    assert!(house.store.read(*log, 1, all).is_err());
    assert_eq!(house.filter("g", json!({})).await.0, before);
    let late = json!({"startTime": start + 8, "endTime": start + 9});
    assert_eq!(house.filter("g", late).await.0.len(), 2);
}
