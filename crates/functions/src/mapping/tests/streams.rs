//! Mappings of a stream.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_mapping_waits_for_a_function_that_is_gone() {
    let house = House::new().await;
    house.change(Change::DeleteFunction("f".into())).await;
    house.put(&["a"]);
    house.map(|_| ()).await;
    house.pass(10).await;
    assert_eq!(house.seen().result, "PROBLEM: The function does not exist.");
    house.change(function()).await;
    house.pass(60).await;
    assert_eq!(house.seen().result, "OK");
    assert_eq!(house.batches(), [["a"]], "no record was lost meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_what_the_catalog_says_whatever_the_order_of_calls() {
    let house = House::new().await;
    house.put(&["a"]);
    // Two calls changed the mapping, and the one that enabled it comes last to here.
    house.map(|_| ()).await;
    house.change(Change::PutMapping(Box::new(Mapping { enabled: false, ..mapping() }))).await;
    house.functions.settle_mapping(UUID, Phase::Disabling, None);
    house.functions.settle_mapping(UUID, Phase::Enabling, None);
    house.pass(10).await;
    assert_eq!(house.seen().phase, Phase::Disabled);
    assert_eq!(house.batches().len(), 0);
    house.map(|_| ()).await;
    house.change(Change::DeleteMapping(UUID.into())).await;
    house.functions.settle_mapping(UUID, Phase::Deleting, Some(mapping()));
    assert!(house.functions.find_mapping(UUID).is_some(), "it is shown until it is gone");
    house.pass(10).await;
    assert!(house.functions.find_mapping(UUID).is_none());
    assert!(!house.functions.mappings.checkpoints.is_pinned(UUID));
    let running = house.world.tasks.running();
    assert!(running.iter().all(|name| !name.starts_with("mapping")), "{running:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_hand_is_finished_before_new_settings_act() {
    let house = House::new().await;
    *house.lambda.takes.lock().unwrap() = Duration::from_secs(50);
    house.put(&["a", "b"]);
    house.map(|mapping| mapping.batch_size = 1).await;
    house.pass(1).await;
    house.map(|mapping| mapping.batch_size = 10).await;
    house.functions.settle_mapping(UUID, Phase::Updating, None);
    house.put(&["c"]);
    house.pass(30).await;
    assert_eq!(house.seen().phase, Phase::Updating);
    assert_eq!(house.batches(), [["a"]]);
    house.pass(120).await;
    assert_eq!(house.seen().phase, Phase::Enabled);
    assert_eq!(house.batches(), [vec!["a"], vec!["b", "c"]], "the first is not seen again");
}

#[tokio::test(start_paused = true)]
async fn a_failing_batch_that_is_disabled_comes_again_when_enabled() {
    let house = House::new().await;
    house.script(|_, _| fails());
    house.put(&["a"]);
    house.map(|_| ()).await;
    house.pass(5).await;
    house.map(|mapping| mapping.enabled = false).await;
    house.pass(1).await;
    assert_eq!(house.seen().phase, Phase::Disabled, "it does not wait for a success that may never come");
    let before = house.batches().len();
    house.pass(600).await;
    assert_eq!(house.batches().len(), before);
    house.script(|_, _| ok());
    house.map(|_| ()).await;
    house.pass(1).await;
    assert_eq!(house.batches().len(), before + 1);
    assert_eq!(house.position(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_bad_record_is_found_told_of_and_passed() {
    let house = House::new().await;
    house.script(|_, event| if data(event).contains(&"bad".to_owned()) { fails() } else { ok() });
    house.put(&["a", "b", "c", "bad", "d", "e", "f", "g"]);
    house
        .map(|mapping| {
            (mapping.bisect, mapping.retries, mapping.counted) = (true, Some(1), true);
            mapping.on_failure = Some(queue_arn());
        })
        .await;
    house.pass(60).await;
    let letters = house.lambda.letters.lock().unwrap().clone();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["KinesisBatchInfo"]["startSequenceNumber"], "00003");
    assert_eq!(letters[0]["KinesisBatchInfo"]["batchSize"], 1);
    assert_eq!(letters[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], 5);
    assert_eq!(letters[0]["responseContext"]["functionError"], "Unhandled");
    let batches = house.batches();
    assert_eq!(batches.iter().filter(|batch| **batch == ["bad"]).count(), 2);
    assert_eq!(house.position(), Some(8));
    assert_eq!(house.seen().result, "OK");
    let counts = ["PolledEventCount", "DroppedEventCount", "OnFailureDestinationDeliveredEventCount"];
    assert_eq!(counts.map(|name| house.counted(name)), [8, 1, 1]);
    assert_eq!(house.counted("InvokedEventCount"), batches.iter().map(Vec::len).sum::<usize>() as u64);
    assert_eq!(house.counted("FailedInvokeEventCount"), 8 + 4 + 2 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn reported_failures_are_where_it_goes_on() {
    let house = House::new().await;
    house.script(|number, event| match number {
        // Not in order, and the lowest counts.
        0 => answers(json!({"batchItemFailures": [{"itemIdentifier": "00003"}, {"itemIdentifier": "00002"}]})),
        1 => answers(json!({"batchItemFailures": [{"itemIdentifier": "nobody's"}]})),
        _ => answers(json!({"batchItemFailures": [], "got": data(event).len()})),
    });
    house.put(&["a", "b", "c", "d"]);
    house.map(|mapping| mapping.report = true).await;
    house.pass(10).await;
    let expected: [&[&str]; 3] = [&["a", "b", "c", "d"], &["c", "d"], &["c", "d"]];
    assert_eq!(house.batches(), expected);
    assert_eq!(house.position(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_reports_failures_went_well() {
    let house = House::new().await;
    house.script(|_, _| answers(json!({"batchItemFailures": [{"itemIdentifier": "00000"}]})));
    house.put(&["a"]);
    house.map(|mapping| mapping.report = true).await;
    house.pass(10).await;
    assert!(house.batches().len() > 1 && house.position() == Some(0));
    assert_eq!(house.seen().result, "OK");
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_an_answer_is_only_an_answer() {
    let house = House::new().await;
    house.script(|_, _| answers(json!({"batchItemFailures": [{"itemIdentifier": "00000"}]})));
    house.put(&["a"]);
    house.map(|_| ()).await;
    house.pass(10).await;
    assert_eq!((house.batches().len(), house.position()), (1, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn old_records_are_dropped_and_younger_ones_go_on() {
    let house = House::new().await;
    house.script(|_, event| if data(event).contains(&"old".to_owned()) { fails() } else { ok() });
    house.put(&["old"]);
    house.pass(30).await;
    house.put(&["young"]);
    house
        .map(|mapping| {
            mapping.max_age_s = Some(60);
            mapping.on_failure = Some(queue_arn());
        })
        .await;
    house.pass(29).await;
    assert!(house.batches().iter().all(|batch| *batch == ["old", "young"]));
    house.pass(10).await;
    assert_eq!(house.batches().last().unwrap(), &["young"]);
    let letters = house.lambda.letters.lock().unwrap().clone();
    assert_eq!(letters[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(letters[0]["KinesisBatchInfo"]["batchSize"], 1);
    assert_eq!(house.position(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn records_that_the_stream_no_longer_keeps_are_given_up() {
    let house = House::new().await;
    house.script(|_, event| if data(event).contains(&"a".to_owned()) { fails() } else { ok() });
    house.put(&["a", "b"]);
    house.map(|_| ()).await;
    house.pass(100).await;
    assert_eq!(house.position(), Some(0));
    *house.stream.oldest.lock().unwrap() = 1;
    house.pass(120).await;
    assert_eq!(house.batches().last().unwrap(), &["b"]);
    assert_eq!(house.position(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn throttles_cost_no_retry() {
    let house = House::new().await;
    house.script(|number, _| match number {
        0..6 => Verdict::Again { code: "TooManyRequestsException".into(), why: "busy".into(), after: None },
        6 => fails(),
        _ => ok(),
    });
    house.put(&["a"]);
    house.map(|mapping| mapping.retries = Some(1)).await;
    house.pass(120).await;
    assert_eq!((house.batches().len(), house.position()), (8, Some(1)));
    assert_eq!(house.lambda.letters.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_keeps_its_order_while_others_go_on() {
    let house = House::new().await;
    house.script(|_, event| if data(event).iter().any(|d| d.starts_with("stuck")) { fails() } else { ok() });
    for i in 0..20 {
        let key = if i % 5 == 0 { "stuck".to_owned() } else { format!("key {i}") };
        house.stream.put("shard", &key, &format!("{key} {i}"), house.world.now());
    }
    house.map(|mapping| (mapping.lanes, mapping.batch_size) = (10, 1)).await;
    house.pass(60).await;
    assert_eq!(house.position(), Some(0), "the checkpoint is the lowest that is not dealt with");
    let stuck = house.batches().into_iter().flatten().filter(|d| d.starts_with("stuck"));
    assert!(stuck.clone().count() > 1 && stuck.clone().all(|d| d == "stuck 0"), "one batch of a key at a time");
    house.script(|_, _| ok());
    house.pass(120).await;
    assert_eq!(house.position(), Some(20));
    let mut of_key: Vec<String> = house.batches().into_iter().flatten().filter(|d| d.starts_with("stuck")).collect();
    of_key.dedup();
    assert_eq!(of_key, ["stuck 0", "stuck 5", "stuck 10", "stuck 15"]);
}

#[tokio::test(start_paused = true)]
async fn filters_keep_records_from_the_function_and_not_the_checkpoint_from_them() {
    let house = House::new().await;
    house.put(&[r#"{"t":"buy"}"#, r#"{"t":"sell"}"#, "no JSON", r#"{"t":"buy","n":2}"#, r#"{"t":"sell"}"#]);
    house
        .map(|mapping| {
            mapping.filters = vec![r#"{"data":{"t":["buy"]}}"#.into()];
            mapping.counted = true;
        })
        .await;
    house.pass(1).await;
    assert_eq!(house.batches(), [[r#"{"t":"buy"}"#, r#"{"t":"buy","n":2}"#]]);
    assert_eq!(house.position(), Some(5));
    assert_eq!(house.counted("FilteredOutEventCount"), 3);
}

/// A function that counts, as the documentation's does.
fn counts(event: &Value) -> Verdict {
    let sum = event["state"]["sum"].as_u64().unwrap_or(0) + data(event).len() as u64;
    answers(json!({"state": {"sum": sum}}))
}

#[tokio::test(start_paused = true)]
async fn a_window_sums_up_and_ends_by_itself() {
    let house = House::new().await;
    house.script(|_, event| counts(event));
    house.map(|mapping| (mapping.tumble_s, mapping.batch_size) = (60, 2)).await;
    house.put(&["a", "b", "c"]);
    house.pass(61).await;
    house.put(&["d"]);
    house.pass(61).await;
    let events: Vec<Value> = house.lambda.events.lock().unwrap().iter().map(|(_, event)| event.clone()).collect();
    let finals: Vec<&Value> = events.iter().filter(|e| e["isFinalInvokeForWindow"] == true).collect();
    assert_eq!(finals.len(), 2, "{events:?}");
    assert_eq!(finals[0]["state"], json!({"sum": 3}));
    assert_eq!(finals[0]["window"], json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}));
    assert_eq!(finals[0]["Records"], json!([]));
    assert_eq!(finals[1]["state"], json!({"sum": 1}), "each window begins without state");
    assert_eq!(events[0]["state"], json!({}));
    assert_eq!((&events[0]["shardId"], &events[0]["isWindowTerminatedEarly"]), (&json!("shard"), &json!(false)));
    assert_eq!(house.position(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_window_outlives_its_mapping_task_and_ends_with_its_shard() {
    let house = House::new().await;
    house.script(|_, event| counts(event));
    house.map(|mapping| mapping.tumble_s = 600).await;
    house.put(&["a", "b"]);
    house.pass(10).await;
    house.map(|mapping| (mapping.tumble_s, mapping.batch_size) = (600, 1)).await;
    house.put(&["c"]);
    house.pass(10).await;
    house.stream.close("shard");
    house.pass(10).await;
    let events: Vec<Value> = house.lambda.events.lock().unwrap().iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(events.iter().map(|e| data(e).len()).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(events[1]["state"], json!({"sum": 2}));
    assert_eq!((&events[2]["state"], &events[2]["isFinalInvokeForWindow"]), (&json!({"sum": 3}), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_state_fails_and_one_with_too_much_ends_the_window_early() {
    let house = House::new().await;
    let large = "x".repeat(1 << 20);
    house.script(move |number, _| match number {
        0 => ok(),
        1 => answers(json!({"state": {"large": large}})),
        _ => answers(json!({"state": {"small": 1}})),
    });
    house.map(|mapping| mapping.tumble_s = 600).await;
    house.put(&["a"]);
    house.pass(10).await;
    house.put(&["b"]);
    house.pass(10).await;
    let events: Vec<Value> = house.lambda.events.lock().unwrap().iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(events.iter().map(|e| data(e).len()).collect::<Vec<_>>(), [1, 1, 0, 1]);
    assert_eq!(events[2]["isWindowTerminatedEarly"], true);
    assert_eq!(events[2]["isFinalInvokeForWindow"], false);
    assert_eq!(events[2]["state"]["large"].as_str().unwrap().len(), 1 << 20);
    assert_eq!((&events[3]["state"], &events[3]["window"]), (&json!({}), &events[0]["window"]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_deleted_disables_its_mapping_and_says_why() {
    let house = House::new().await;
    house.put(&["a"]);
    house.map(|_| ()).await;
    house.pass(1).await;
    house.stream.remove();
    house.pass(1).await;
    let known = house.functions.find_mapping(UUID).unwrap();
    assert!(!known.enabled);
    assert_eq!(
        known.reason.as_deref(),
        Some(
            "The event source arn:aws:kinesis:us-east-1:000000000000:stream/s was deleted. To read one made anew under its name, \
             enable the mapping."
        )
    );
    assert_eq!(
        (house.seen().phase, house.seen().result.as_str()),
        (Phase::Disabled, "PROBLEM: The stream does not exist.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_made_again_under_its_name_is_not_read_by_the_old_positions() {
    let house = House::new().await;
    house.put(&["a", "b"]);
    house.map(|_| ()).await;
    house.pass(1).await;
    house.map(|mapping| mapping.enabled = false).await;
    house.pass(1).await;
    // Deleted and made again while nobody read it.
    *house.stream.since.lock().unwrap() = house.world.now();
    house.stream.shards.lock().unwrap().insert("shard".into(), vec![]);
    house.put(&["new"]);
    house.map(|_| ()).await;
    house.pass(1).await;
    assert_eq!(house.batches(), [["a", "b"]]);
    assert!(!house.functions.find_mapping(UUID).unwrap().enabled, "whoever enables it says that it begins anew");
}

#[tokio::test(start_paused = true)]
async fn two_mappings_of_a_stream_read_all_of_it_each() {
    let house = House::new().await;
    house.put(&["a", "b"]);
    house.map(|_| ()).await;
    let second = Mapping { uuid: "mapping-2".into(), ..mapping() };
    house.change(Change::PutMapping(Box::new(second))).await;
    house.functions.settle_mapping("mapping-2", Phase::Creating, None);
    house.pass(1).await;
    assert_eq!(house.batches(), [["a", "b"], ["a", "b"]]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_shard_delays_no_other() {
    let house = House::new().await;
    house.script(|_, event| if data(event).contains(&"bad".to_owned()) { fails() } else { ok() });
    house.put(&["bad"]);
    house.stream.put("other", "k", "good", house.world.now());
    house.map(|_| ()).await;
    house.pass(1).await;
    assert_eq!(house.functions.mappings.checkpoints.position(UUID, "other"), Some(1));
    assert_eq!(house.position(), Some(0));
}
