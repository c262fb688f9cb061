//! Mappings of a queue.

use super::*;

async fn map(house: &House, set: impl FnOnce(&mut Mapping)) {
    house
        .map(|mapping| {
            (mapping.source, mapping.counted) = (queue_arn(), true);
            set(mapping);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_deleted_after_success_and_come_back_after_failure() {
    let house = House::new().await;
    house.script(|number, _| if number == 0 { fails() } else { ok() });
    house.queue.send(&["a"]);
    house.queue.send(&["b"]);
    map(&house, |_| ()).await;
    house.pass(29).await;
    assert_eq!(
        (house.batches().len(), house.queue.deleted().len()),
        (1, 0),
        "they stay invisible for the queue's time-out"
    );
    house.pass(2).await;
    assert_eq!(house.batches(), [["a", "b"], ["a", "b"]]);
    assert_eq!(house.queue.deleted(), ["a", "b"]);
    assert_eq!(house.counted("DeletedEventCount"), 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_comes_back() {
    let house = House::new().await;
    house.script(|number, _| match number {
        0 => answers(json!({"batchItemFailures": [{"itemIdentifier": "id-b"}]})),
        1 => answers(json!({"batchItemFailures": [{"itemIdentifier": "nobody's"}]})),
        _ => ok(),
    });
    house.queue.send(&["a", "b", "c"]);
    map(&house, |mapping| mapping.report = true).await;
    house.pass(1).await;
    assert_eq!(house.queue.deleted(), ["a", "c"]);
    house.pass(40).await;
    assert_eq!(house.queue.deleted(), ["a", "c"], "an answer about nobody's message is about the whole batch");
    house.pass(40).await;
    assert_eq!(house.queue.deleted(), ["a", "b", "c"]);
    assert_eq!(house.batches(), [vec!["a", "b", "c"], vec!["b"], vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_waited_for_and_no_more_run_at_once_than_are_allowed() {
    let house = House::new().await;
    *house.lambda.takes.lock().unwrap() = Duration::from_secs(10);
    map(&house, |mapping| (mapping.batch_size, mapping.window_s, mapping.concurrency) = (3, 5, Some(2))).await;
    house.queue.send(&["0"]);
    house.pass(3).await;
    house.queue.send(&["1"]);
    assert_eq!(house.batches().len(), 0);
    house.pass(3).await;
    assert_eq!(house.batches(), [["0", "1"]], "after five seconds");
    (2..11).for_each(|i| house.queue.send(&[&i.to_string()]));
    house.pass(1).await;
    assert_eq!(house.batches().len(), 2, "full, so at once; and no third beside them");
    house.pass(60).await;
    let sizes: Vec<usize> = house.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 3, 3, 3]);
    assert_eq!(house.queue.deleted().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn what_no_filter_lets_through_is_deleted() {
    let house = House::new().await;
    house.queue.send(&[r#"{"t":1}"#]);
    house.queue.send(&["plain"]);
    map(&house, |mapping| mapping.filters = vec![r#"{"body":{"t":[1]}}"#.into()]).await;
    house.pass(1).await;
    assert_eq!(house.batches(), [[r#"{"t":1}"#]]);
    assert_eq!(house.queue.deleted().len(), 2);
    assert_eq!(house.counted("FilteredOutEventCount"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_busy_is_tried_again_while_the_messages_are_ours() {
    let house = House::new().await;
    let busy = || Verdict::Again { code: "TooManyRequestsException".into(), why: "busy".into(), after: None };
    house.script(move |number, _| if number < 4 { busy() } else { ok() });
    house.queue.send(&["a"]);
    map(&house, |_| ()).await;
    house.pass(29).await;
    assert_eq!((house.batches().len(), house.queue.deleted()), (5, vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_ends_gives_back_what_it_gathered_and_finishes_what_runs() {
    let house = House::new().await;
    *house.lambda.takes.lock().unwrap() = Duration::from_secs(20);
    map(&house, |mapping| (mapping.batch_size, mapping.window_s) = (2, 100)).await;
    house.queue.send(&["a", "b", "c"]);
    house.pass(1).await;
    map(&house, |mapping| mapping.enabled = false).await;
    house.pass(1).await;
    assert_eq!(house.queue.visible(), 1, "the third is there for others");
    house.pass(20).await;
    assert_eq!(house.queue.deleted(), ["a", "b"]);
    assert_eq!(house.seen().phase, Phase::Disabled);
}

#[tokio::test(start_paused = true)]
async fn more_run_at_once_while_there_is_more_to_do() {
    let house = House::new().await;
    *house.lambda.takes.lock().unwrap() = Duration::from_secs(20);
    (0..40).for_each(|i| house.queue.send(&[&i.to_string()]));
    map(&house, |mapping| mapping.batch_size = 1).await;
    let mut running = Vec::new();
    for _ in 0..4 {
        house.world.clock.sleep(Duration::from_millis(500)).await;
        running.push(house.batches().len());
        house.world.clock.sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(running, [5, 10, 15, 20]);
    house.pass(60).await;
    assert_eq!(house.queue.deleted().len(), 40);
}
