//! What a caller of the store may rely on, kept beside it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::{State, Timestamp};
use world::{Entropy, SeededEntropy};

/// A payload that no other call makes: its call's number, and noise.
pub(crate) fn payload(random: &SeededEntropy, call: u64, max: u64) -> Vec<u8> {
    let mut bytes = vec![0x55; 40 + random.below(max) as usize];
    random.fill(&mut bytes[..40]);
    bytes[..8].copy_from_slice(&call.to_le_bytes());
    bytes
}

/// An append that was not acknowledged: all of it is there after a crash, or nothing.
pub(crate) struct Call {
    pub(crate) sent: Vec<(u64, Vec<Vec<u8>>)>,
    /// The store said that nothing was written.
    pub(crate) refused: bool,
}

#[derive(Default)]
struct Log {
    acknowledged: BTreeMap<u64, (Timestamp, Vec<u8>)>,
    trimmed: u64,
}

/// How far a message has come. After `AckTried` it may or may not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Tried,
    Sent,
    AckTried,
    Acked,
}

#[derive(Default)]
struct Mailbox {
    messages: BTreeMap<Vec<u8>, Step>,
    /// Ids seen in this life, or earlier: ids are for ever.
    ids: BTreeMap<u64, Vec<u8>>,
}

#[derive(Default)]
pub(crate) struct Model {
    next_call: u64,
    pub(crate) open: BTreeMap<u64, Call>,
    logs: BTreeMap<u64, Log>,
    mailboxes: BTreeMap<u64, Mailbox>,
    pub(crate) tried: BTreeSet<u64>,
    pub(crate) changed: Vec<u64>,
}

impl Model {
    pub(crate) fn new_call(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call
    }

    pub(crate) fn acknowledged(&mut self, log: u64, first: u64, at: Timestamp, records: Vec<Vec<u8>>) {
        let log = self.logs.entry(log).or_default();
        for (index, record) in (first..).zip(records) {
            let before = log.acknowledged.insert(index, (at, record));
            assert!(before.is_none(), "index {index} was given out twice");
        }
    }

    pub(crate) fn trimmed(&mut self, log: u64, before: u64) {
        let log = self.logs.entry(log).or_default();
        log.trimmed = log.trimmed.max(before);
    }

    /// Everything acknowledged and not trimmed is there as it was written, and what else is there was sent: whole calls.
    pub(crate) fn verify_logs(&mut self, contents: Vec<Vec<(u64, Timestamp, Vec<u8>)>>, lossless: bool) {
        let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
        for (n, content) in contents.iter().enumerate() {
            let log = self.logs.entry(n as u64).or_default();
            let there: BTreeMap<u64, _> = content.iter().map(|(i, at, r)| (*i, (*at, r.clone()))).collect();
            for (index, record) in log.acknowledged.range(log.trimmed..) {
                assert!(there.get(index) == Some(record), "log {n}: record {index} is lost or changed");
            }
            assert!(content.windows(2).all(|w| w[0].1 <= w[1].1), "log {n}: time goes back");
            for (index, _, record) in content {
                if let Some((_, known)) = log.acknowledged.get(index) {
                    assert!(known == record, "log {n}: record {index} is another");
                    continue;
                }
                *calls.entry(u64::from_le_bytes(record[..8].try_into().unwrap())).or_default() += 1;
            }
        }
        for (id, found) in calls {
            let call = self.open.get(&id).unwrap_or_else(|| panic!("nobody sent call {id}"));
            assert!(!call.refused, "call {id} was refused, yet it is there");
            let sent: usize = call.sent.iter().map(|(_, records)| records.len()).sum();
            // Trims may have taken some of it; otherwise it is whole.
            let trimmed = call.sent.iter().any(|(log, _)| self.logs.get(log).is_some_and(|log| log.trimmed > 0));
            assert!(found == sent as u64 || trimmed && found < sent as u64, "call {id}: {found} of {sent}");
            for (log, records) in &call.sent {
                let content = &contents[*log as usize];
                let start = content.iter().position(|(_, _, r)| *r == records[0]);
                let Some(start) = start else { continue };
                let stored = content[start..].iter().map(|(_, _, r)| r).take(records.len());
                assert!(stored.eq(records.iter()), "call {id}: its batch for log {log} is torn");
            }
        }
        if lossless {
            assert!(self.open.is_empty(), "verified twice in a row");
        }
        // What is there now stays there.
        self.open.clear();
        for (n, content) in contents.into_iter().enumerate() {
            let log = self.logs.entry(n as u64).or_default();
            let first = content.first().map_or(log.trimmed, |(index, _, _)| *index);
            log.trimmed = first;
            log.acknowledged = content.into_iter().map(|(i, at, r)| (i, (at, r))).collect();
        }
    }

    pub(crate) fn sending(&mut self, queue: u64, bodies: &[Vec<u8>]) {
        let mailbox = self.mailboxes.entry(queue).or_default();
        mailbox.messages.extend(bodies.iter().map(|body| (body.clone(), Step::Tried)));
    }

    pub(crate) fn sent(&mut self, queue: u64, bodies: &[Vec<u8>]) {
        let mailbox = self.mailboxes.entry(queue).or_default();
        for body in bodies {
            let step = mailbox.messages.get_mut(body).expect("it was being sent");
            *step = Step::Sent.max(*step);
        }
    }

    pub(crate) fn received(&mut self, queue: u64, id: u64, body: &[u8]) {
        let mailbox = self.mailboxes.entry(queue).or_default();
        let step = mailbox.messages.get_mut(body).unwrap_or_else(|| panic!("queue {queue}: nobody sent message {id}"));
        assert!(*step < Step::AckTried, "queue {queue}: message {id} came back although it was acknowledged");
        *step = Step::Sent;
        let known = mailbox.ids.insert(id, body.to_vec());
        assert!(known.is_none_or(|known| known == body), "queue {queue}: id {id} names two messages");
    }

    /// A message to acknowledge. Some stay, so that the start of the log is not free.
    pub(crate) fn pick(&self, queue: u64, random: &SeededEntropy) -> Option<u64> {
        let mailbox = self.mailboxes.get(&queue)?;
        let wanted = |id: &u64| !id.is_multiple_of(13) && mailbox.messages.get(&mailbox.ids[id]) == Some(&Step::Sent);
        let ids: Vec<u64> = mailbox.ids.keys().copied().filter(|id| wanted(id)).collect();
        (!ids.is_empty()).then(|| ids[random.below(ids.len() as u64) as usize])
    }

    pub(crate) fn step(&mut self, queue: u64, id: u64, step: Step) {
        let mailbox = self.mailboxes.entry(queue).or_default();
        let now = mailbox.messages.get_mut(&mailbox.ids[&id]).expect("it was received");
        *now = step.max(*now);
    }

    /// What a restart finds in a queue: everything that was sent and not acknowledged, nothing that was.
    pub(crate) fn verify_queue(&mut self, queue: u64, found: Vec<(u64, Vec<u8>)>, lossless: bool) {
        let mailbox = self.mailboxes.entry(queue).or_default();
        let bodies: BTreeSet<_> = found.iter().map(|(_, body)| body.clone()).collect();
        assert_eq!(bodies.len(), found.len(), "queue {queue}: a message is there twice");
        for (body, step) in &mailbox.messages {
            let there = bodies.contains(body);
            assert!(there || *step != Step::Sent, "queue {queue}: a message is lost");
            assert!(!there || *step != Step::Acked, "queue {queue}: an acknowledged message came back");
        }
        assert!(!lossless || bodies.len() == mailbox.messages.len(), "queue {queue}: a clean end lost something");
        for (id, body) in &found {
            assert!(mailbox.messages.contains_key(body), "queue {queue}: nobody sent message {id}");
            assert!(mailbox.ids.get(id).is_none_or(|known| known == body), "queue {queue}: id {id} names two messages");
        }
        mailbox.messages = bodies.into_iter().map(|body| (body, Step::Sent)).collect();
        mailbox.ids = found.into_iter().collect();
    }

    pub(crate) fn held(&self, queue: u64) -> Vec<u64> {
        self.mailboxes.get(&queue).map(|mailbox| mailbox.ids.keys().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn verify_catalog(&mut self, state: &Counter) {
        let kept: Vec<u64> = state.changes.iter().step_by(2).copied().collect();
        assert!(state.changes.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]), "half a decision");
        assert!(kept.iter().all(|id| self.tried.contains(id)), "nobody made that change");
        for id in &self.changed {
            assert!(kept.contains(id), "change {id} is lost");
        }
        let order: Vec<_> = kept.iter().filter(|id| self.changed.contains(id)).collect();
        assert!(order.iter().copied().eq(self.changed.iter()), "changes are in another order");
        self.changed = kept;
    }
}

/// A catalog's state: the calls that changed it, each twice.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    changes: Vec<u64>,
}

impl Counter {
    pub(crate) fn has_twice(&self, call: u64) -> bool {
        self.changes.iter().filter(|id| **id == call).count() == 2
    }
}

impl State for Counter {
    type Change = (u64, String);
    fn apply(&mut self, change: &Self::Change) {
        self.changes.push(change.0);
    }
}
