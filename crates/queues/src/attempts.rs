//! Receives of a FIFO queue that may be asked for again by their `ReceiveRequestAttemptId`. Pure.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use crate::limits::{ATTEMPTS, DEDUPLICATION};
use names::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// A message of a receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its number.
    pub(crate) message: u64,
    /// The number of the receive.
    pub(crate) receipt: u64,
    /// Until when it is invisible.
    pub(crate) until: Timestamp,
    /// When it was received.
    pub(crate) at: Timestamp,
}

/// The receives of the last five minutes that had an id.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    by_id: BTreeMap<String, (Timestamp, Vec<Given>)>,
    oldest_first: VecDeque<(Timestamp, String)>,
}

impl Attempts {
    /// What was given to a receive.
    pub(crate) fn get(&mut self, id: &str, now: Timestamp) -> Option<Vec<Given>> {
        self.forget(now);
        self.by_id.get(id).map(|(_, given)| given.clone())
    }

    /// Remembers what a receive was given, or is given again: the five minutes begin with the first time.
    pub(crate) fn put(&mut self, id: &str, now: Timestamp, given: Vec<Given>) {
        self.forget(now);
        if let Some((_, known)) = self.by_id.get_mut(id) {
            *known = given;
            return;
        }
        if self.by_id.len() >= ATTEMPTS
            && let Some((_, oldest)) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.by_id.insert(id.to_owned(), (now, given));
        self.oldest_first.push_back((now, id.to_owned()));
    }

    /// The next receive with this id is a new one.
    pub(crate) fn remove(&mut self, id: &str) {
        if self.by_id.remove(id).is_some() {
            self.oldest_first.retain(|(_, other)| other != id);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |entry: &mut (Timestamp, String)| now.since(entry.0) >= DEDUPLICATION;
        while let Some((_, id)) = self.oldest_first.pop_front_if(old) {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receive_is_known_for_five_minutes() {
        let (mut attempts, at) = (Attempts::default(), |secs: i64| Timestamp(secs * 1_000_000));
        let given = |secs| vec![Given { message: 1, receipt: 2, until: at(secs), at: at(0) }];
        attempts.put("a", at(0), given(30));
        attempts.put("a", at(200), given(230));
        assert_eq!(attempts.get("a", at(299)), Some(given(230)));
        assert_eq!(attempts.get("b", at(299)), None);
        assert_eq!(attempts.get("a", at(300)), None);
        attempts.put("c", at(300), vec![]);
        attempts.remove("c");
        assert_eq!(attempts.get("c", at(301)), None);
        for i in 0..ATTEMPTS + 5 {
            attempts.put(&i.to_string(), at(400), vec![]);
        }
        assert_eq!((attempts.by_id.len(), attempts.oldest_first.len()), (ATTEMPTS, ATTEMPTS));
        assert_eq!(attempts.get("4", at(400)), None);
    }
}
