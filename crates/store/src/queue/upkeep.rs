use super::Queue;
use super::format::{Copy, OVERHEAD, Sent, encode_acks};
use crate::{Batch, StoreError};
use world::Stage;

/// So many records of the acknowledgement log are summed up in one.
const ACKS_PER_SUMMARY: u64 = 4096;

impl Queue {
    /// Lets the journal forget what is no longer wanted. Cheap; what needs writing is done by a task, one at a time.
    pub(super) fn keep_up(&self) {
        let mut held = self.held();
        let needed_from = held.needed_from();
        let due = held.ack_records >= ACKS_PER_SUMMARY || !held.stuck().is_empty();
        let start = due && !held.upkeep;
        held.upkeep |= due;
        drop(held);
        if needed_from > self.0.store.extent(self.0.messages).first {
            // Only a store that has failed refuses, and then the next append says so.
            let _ = self.0.store.trim(self.0.messages, needed_from);
        }
        if start {
            let queue = self.clone();
            self.0.world.tasks.spawn(Stage::Store, "queue upkeep", move |_| async move {
                let done = async {
                    queue.sum_up().await?;
                    queue.carry_forward().await
                };
                if let Err(error) = done.await {
                    tracing::warn!(%error, "a queue's upkeep failed");
                }
                queue.held().upkeep = false;
            });
        }
    }

    /// Replaces the acknowledgement log by one record of the same meaning.
    async fn sum_up(&self) -> Result<(), StoreError> {
        // Everything below this index was marked in memory before it was appended, so the summary holds it.
        let summed = self.0.store.extent(self.0.acks).next;
        let mut batch = Batch::new(self.0.acks);
        {
            let mut held = self.held();
            if held.ack_records < ACKS_PER_SUMMARY {
                return Ok(());
            }
            held.ack_records = 0;
            batch.push_with(1024, |out| encode_acks(held.acked.iter(), out));
        }
        self.0.store.append(vec![batch]).await?;
        self.0.store.trim(self.0.acks, summed)
    }

    /// Appends copies of the messages that keep the log's start from being forgotten. A copy keeps its message's id,
    /// and acknowledgements name ids, so it does not matter when a crash or an acknowledgement comes between. Of a damaged
    /// message nothing can be carried: here it ends.
    async fn carry_forward(&self) -> Result<(), StoreError> {
        let stuck = self.held().stuck();
        let mut batch = Batch::new(self.0.messages);
        let (mut carried, mut lost) = (Vec::new(), Vec::new());
        for id in stuck {
            let Some(entry) = self.held().get(id).cloned() else { continue };
            let body = match self.body(entry.position) {
                Ok(body) => body,
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(id, %error, "a damaged message of a queue is given up");
                    lost.push(id);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(id, %error, "a message of a queue cannot be carried forward now");
                    continue;
                }
            };
            let copy = Sent::Copy(Copy {
                id,
                not_before: entry.due,
                sent_at: entry.sent_at,
                first_received_at: entry.first_received_at,
                receives: entry.receives,
                group: entry.group,
                body,
            });
            batch.push_with(OVERHEAD, |out| copy.encode(out));
            carried.push((id, entry.position));
            if batch.bytes() > 1 << 20 {
                break;
            }
        }
        if let Some(acks) = self.take_acks(&lost).1 {
            self.0.store.append(vec![acks]).await?;
        }
        if carried.is_empty() {
            return Ok(());
        }
        let appended = self.0.store.append(vec![batch]).await?;
        let mut held = self.held();
        for (new, (id, old)) in (appended[0].first..).zip(carried) {
            if let Some(mut entry) = held.get(id).filter(|e| e.position == old).cloned() {
                entry.position = new;
                held.put(id, entry);
            }
        }
        Ok(())
    }
}
