use super::format::Sent;
use super::held::{Entry, Held};
use super::{Queue, Received};
use crate::{ReadLimit, Record, StoreError, Timestamp};
use bytes::Bytes;
use std::time::Duration;

impl Entry {
    pub(super) fn untouched(position: u64, due: Timestamp, sent_at: Timestamp) -> Entry {
        Entry { position, due, receipt: 0, receives: 0, first_received_at: Timestamp::default(), sent_at }
    }
}

/// Until a held message whose record could not be read is tried again.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);

/// What became of a record of the untouched rest.
enum Look {
    /// It is to be received now.
    Due(u64, Entry, Bytes),
    /// It was acknowledged, is held, or is held from now on.
    Done,
}

impl Queue {
    /// Receives up to `max` messages that are due now, maybe none, roughly in the order they were sent. They stay
    /// invisible for `visibility` unless they are acknowledged or postponed.
    ///
    /// A message that cannot be read holds up no other: it is looked at again after a while.
    pub async fn receive(&self, max: usize, visibility: Duration) -> Result<Vec<Received>, StoreError> {
        let mut out = Vec::new();
        match self.receive_into(&mut out, max, visibility) {
            // What was received by then is in flight and must not be forgotten.
            Err(error) if !out.is_empty() => tracing::error!(%error, "a queue cannot be read further"),
            result => result?,
        }
        Ok(out)
    }

    fn receive_into(&self, out: &mut Vec<Received>, max: usize, visibility: Duration) -> Result<(), StoreError> {
        let now = self.0.world.now();
        let until = now.plus(visibility);
        let mut held = self.held();
        while out.len() < max {
            let Some(id) = held.due(now) else { break };
            let entry = held.get(id).cloned().expect("what is due is held");
            match self.body(entry.position) {
                Ok(body) => out.push(received(&mut held, id, entry, body, now, until)),
                Err(error) => {
                    held.put(id, Entry { due: now.plus(UNREADABLE_PAUSE), ..entry });
                    return Err(error);
                }
            }
        }
        while out.len() < max && held.has_room() {
            let limit = ReadLimit { records: max - out.len(), bytes: 1 << 20 };
            let records = self.0.store.read(self.0.messages, held.cursor, limit)?;
            if records.is_empty() {
                break;
            }
            for record in records {
                if !held.has_room() {
                    break;
                }
                held.cursor = record.index + 1;
                if let Look::Due(id, entry, body) = self.look(&mut held, record, now)? {
                    out.push(received(&mut held, id, entry, body, now, until));
                }
            }
        }
        Ok(())
    }

    fn look(&self, held: &mut Held, record: Record, now: Timestamp) -> Result<Look, StoreError> {
        let index = record.index;
        let at = record.at;
        let (id, entry, body) = match Sent::decode(record.data).ok_or_else(|| self.damaged(index))? {
            Sent::New { not_before, body } => (index, Entry::untouched(index, not_before.unwrap_or(at), at), body),
            Sent::Copy(copy) => {
                // Its index is the id of no message.
                held.acked.insert(index, index + 1);
                let entry = Entry {
                    position: index,
                    due: copy.not_before,
                    receipt: 0,
                    receives: copy.receives,
                    first_received_at: copy.first_received_at,
                    sent_at: copy.sent_at,
                };
                (copy.id, entry, copy.body)
            }
        };
        if held.acked.contains(id) {
            return Ok(Look::Done);
        }
        if let Some(known) = held.get(id).cloned() {
            held.put(id, Entry { position: index, ..known });
            return Ok(Look::Done);
        }
        if entry.due > now {
            held.put(id, entry);
            return Ok(Look::Done);
        }
        Ok(Look::Due(id, entry, body))
    }

    /// Reads a held message again.
    pub(super) fn body(&self, position: u64) -> Result<Bytes, StoreError> {
        let records = self.0.store.read(self.0.messages, position, ReadLimit { records: 1, bytes: 1 })?;
        let record =
            records.into_iter().next().filter(|r| r.index == position).ok_or_else(|| self.damaged(position))?;
        match Sent::decode(record.data).ok_or_else(|| self.damaged(position))? {
            Sent::New { body, .. } => Ok(body),
            Sent::Copy(copy) => Ok(copy.body),
        }
    }

    fn damaged(&self, index: u64) -> StoreError {
        StoreError::corrupt(format!("{:?}, message {index} is not readable", self.0.messages))
    }
}

fn received(held: &mut Held, id: u64, entry: Entry, body: Bytes, now: Timestamp, until: Timestamp) -> Received {
    let entry = held.receive(id, entry, now, until);
    Received {
        id,
        receipt: entry.receipt,
        body,
        sent_at: entry.sent_at,
        first_received_at: entry.first_received_at,
        receives: entry.receives,
    }
}
