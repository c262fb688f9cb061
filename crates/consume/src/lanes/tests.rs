//! Lanes against what was put in.

use super::*;
use names::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: Duration = Duration::from_secs(1);

fn record(position: u64, key: &str, size: usize) -> Record {
    let (sequence, data) = (position.to_string(), vec![0; size].into());
    Record { position, sequence, key: key.into(), at: Timestamp(0), data, sealed: false }
}

fn chunk(records: Vec<Record>, ended: bool) -> Chunk {
    let next = records.last().map_or(0, |r| r.position + 1);
    Chunk { records, next, ended, behind: Duration::ZERO }
}

fn gather(records: usize, lanes: usize) -> Gather {
    Gather { records, bytes: 100, window: Duration::ZERO, lanes }
}

fn positions(batch: &[Record]) -> Vec<u64> {
    batch.iter().map(|r| r.position).collect()
}

#[test]
fn a_record_over_the_limit_comes_alone() {
    let mut lanes = Lanes::new(gather(10, 1), 5);
    lanes.take(chunk(vec![record(5, "a", 1000), record(6, "a", 1)], true), Duration::ZERO, |_| true);
    let (_, batch) = lanes.ready(Duration::ZERO).unwrap();
    assert_eq!(positions(&batch), [5]);
    assert!(lanes.ready(Duration::ZERO).is_none(), "one batch of a key at a time");
    lanes.landed(0);
    assert_eq!(positions(&lanes.ready(Duration::ZERO).unwrap().1), [6]);
}

#[test]
fn what_is_filtered_moves_the_floor_but_not_past_what_waits() {
    let mut lanes = Lanes::new(gather(10, 1), 0);
    lanes.take(chunk(vec![record(0, "a", 1), record(1, "a", 1)], false), Duration::ZERO, |_| false);
    assert_eq!(lanes.floor(), 2);
    lanes.take(chunk(vec![record(2, "a", 1), record(3, "a", 1)], false), Duration::ZERO, |r| r.position == 2);
    assert_eq!(lanes.floor(), 2);
    let (lane, _) = lanes.ready(Duration::ZERO).unwrap();
    lanes.reach(lane, 3);
    assert_eq!(lanes.floor(), 3, "as far as the batch in hand came");
    lanes.landed(lane);
    assert_eq!(lanes.floor(), 4);
}

#[test]
fn a_window_is_waited_for_unless_the_batch_is_full_or_the_shard_ended() {
    let mut lanes = Lanes::new(Gather { window: SECOND * 10, ..gather(2, 1) }, 0);
    lanes.take(chunk(vec![record(0, "a", 1)], false), SECOND, |_| true);
    assert!(lanes.ready(SECOND * 10).is_none());
    assert_eq!(lanes.deadline(), Some(SECOND * 11));
    lanes.take(chunk(vec![record(1, "a", 1)], false), SECOND * 2, |_| true);
    assert_eq!(lanes.ready(SECOND * 2).unwrap().1.len(), 2);
    lanes.landed(0);
    lanes.take(chunk(vec![record(2, "a", 1)], true), SECOND * 3, |_| true);
    assert_eq!(lanes.ready(SECOND * 3).unwrap().1.len(), 1);
}

#[derive(Debug, Clone)]
enum Act {
    Read(usize),
    Ready,
    Reach(usize, u64),
    Land(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1usize..6).prop_map(Act::Read),
        Just(Act::Ready),
        (0usize..4, 0u64..5).prop_map(|(lane, more)| Act::Reach(lane, more)),
        (0usize..4).prop_map(Act::Land),
    ];
    proptest::collection::vec(act, 1..120)
}

proptest! {
    /// Whatever is read and however batches come and go: each wanted record is handed over once, in order within its key;
    /// no two batches in hand share a key; the floor never passes a record that is not dealt with and never goes back.
    #[test]
    fn lanes_lose_and_reorder_nothing(
        acts in acts(), count in 1usize..5, most in 1usize..4, keys in proptest::collection::vec(0u8..6, 60),
        unwanted in 2u64..9,
    ) {
        let mut lanes = Lanes::new(gather(most, count), 0);
        let wanted = |r: &Record| !r.position.is_multiple_of(unwanted);
        let all: Vec<Record> = keys.iter().enumerate().map(|(i, k)| record(i as u64, &k.to_string(), 3)).collect();
        let mut in_hand: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        let mut open: BTreeSet<u64> = all.iter().filter(|r| wanted(r)).map(|r| r.position).collect();
        let mut handed: Vec<Record> = Vec::new();
        let mut floor = 0;
        let finish = std::iter::repeat_with(|| [Act::Read(5), Act::Ready, Act::Land(0), Act::Land(1), Act::Land(2), Act::Land(3)]);
        for act in acts.into_iter().chain(finish.take(200).flatten()) {
            match act {
                Act::Read(n) => {
                    let from = lanes.next() as usize;
                    let Some(room) = lanes.room() else { continue };
                    prop_assert!(room.records <= most * count);
                    let to = (from + n.min(room.records)).min(all.len());
                    let next = to as u64;
                    let records = all[from..to].to_vec();
                    let ended = to == all.len();
                    lanes.take(Chunk { records, next, ended, behind: Duration::ZERO }, Duration::ZERO, wanted);
                }
                Act::Ready => {
                    let Some((lane, batch)) = lanes.ready(Duration::ZERO) else { continue };
                    prop_assert!(!batch.is_empty() && batch.len() <= most);
                    prop_assert!(!in_hand.contains_key(&lane));
                    let keys: BTreeSet<&str> = in_hand.values().flatten().map(|r| r.key.as_str()).collect();
                    prop_assert!(batch.iter().all(|r| !keys.contains(r.key.as_str())));
                    handed.extend(batch.iter().cloned());
                    in_hand.insert(lane, batch);
                }
                Act::Reach(lane, more) => {
                    let Some(batch) = in_hand.get(&lane) else { continue };
                    let upto = batch[0].position + more;
                    for record in batch.iter().filter(|r| r.position < upto) {
                        open.remove(&record.position);
                    }
                    let upto = upto.min(batch[batch.len() - 1].position + 1);
                    lanes.reach(lane, upto);
                }
                Act::Land(lane) => {
                    let Some(batch) = in_hand.remove(&lane) else { continue };
                    open.retain(|position| batch.iter().all(|r| r.position != *position));
                    lanes.landed(lane);
                }
            }
            prop_assert!(lanes.floor() >= floor, "the floor went back");
            floor = lanes.floor();
            prop_assert!(open.first().is_none_or(|first| floor <= *first), "the floor passed an open record");
        }
        prop_assert!(open.is_empty() && lanes.is_empty() && lanes.floor() == all.len() as u64);
        let wanted: Vec<u64> = all.iter().filter(|r| wanted(r)).map(|r| r.position).collect();
        prop_assert_eq!(handed.len(), wanted.len());
        for key in 0..6 {
            let of_key = handed.iter().filter(|r| r.key == key.to_string()).map(|r| r.position);
            prop_assert!(of_key.is_sorted());
        }
    }
}
