use crate::letter::Failure;
use crate::limits::MAX_DEAD;
use crate::{Envelope, codec, signals};
use bytes::{Buf, BufMut, Bytes};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Batch, LogId, ReadLimit, Store, StoreError};
use world::World;

/// What could not be delivered and had nowhere else to go.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The envelope as it was.
    pub envelope: Envelope,
    /// The last error's code.
    pub code: String,
    /// The last error's reason.
    pub why: String,
    /// How often it was tried, as far as is known after a crash.
    pub tries: u32,
    /// When it was given up.
    pub at: Timestamp,
}

/// The part of a record before the envelope, as JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    code: String,
    why: String,
    tries: u32,
    at: Timestamp,
}

/// The kept list: a log, bounded by forgetting the oldest, loudly.
///
/// A record is `length of head, u32 LE | head, JSON | envelope`, see [`codec`].
pub(crate) struct Dead {
    world: World,
    store: Store,
    log: LogId,
}

impl Dead {
    pub(crate) async fn open(world: &World, store: &Store) -> Result<Dead, StoreError> {
        Ok(Dead { world: world.clone(), store: store.clone(), log: store.log("delivery-dead").await? })
    }

    /// Keeps a letter; durable when it returns.
    pub(crate) async fn keep(&self, envelope: Envelope, failure: Failure) -> Result<(), StoreError> {
        let head = Head { code: failure.code, why: failure.why, tries: failure.tries, at: self.world.now() };
        let head = serde_json::to_vec(&head).expect("texts and numbers are JSON");
        let body = codec::encode(envelope);
        let mut batch = Batch::new(self.log);
        batch.push_with(4 + head.len() + body.len(), |out| {
            out.put_u32_le(u32::try_from(head.len()).expect("a head is far smaller than 4 GiB"));
            out.extend_from_slice(&head);
            out.extend_from_slice(&body);
        });
        self.store.append(vec![batch]).await?;
        let extent = self.store.extent(self.log);
        let from = extent.next.saturating_sub(MAX_DEAD);
        if from > extent.first {
            let dropped = from - extent.first;
            tracing::error!(dropped, kept = MAX_DEAD, "too many undeliverable envelopes are kept: the oldest are lost");
            signals::dropped(&self.world, dropped);
            self.store.trim(self.log, from)?;
        }
        Ok(())
    }

    /// The newest letters, the newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<DeadLetter> {
        let extent = self.store.extent(self.log);
        let mut from = extent.next.saturating_sub(limit as u64).max(extent.first);
        let mut out = Vec::new();
        while from < extent.next {
            let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
            let letters = self.store.read_over(self.log, from, limit, |lost, error| {
                tracing::error!(?lost, %error, "kept dead letters cannot be read");
            });
            let records = match letters {
                Ok(records) if records.is_empty() => break,
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(%error, "kept dead letters cannot be read further");
                    break;
                }
            };
            for record in records {
                from = record.index + 1;
                match read(record.data) {
                    Ok(letter) => out.push(letter),
                    Err(why) => tracing::error!(index = record.index, why, "a kept dead letter cannot be read"),
                }
            }
        }
        out.reverse();
        out.truncate(limit);
        out
    }
}

fn read(mut data: Bytes) -> Result<DeadLetter, String> {
    let length = data.try_get_u32_le().map_err(|_| "it is cut short")? as usize;
    if length > data.len() {
        return Err("it is cut short".into());
    }
    let head: Head = serde_json::from_slice(&data.split_to(length)).map_err(|error| error.to_string())?;
    let envelope = codec::decode(data)?;
    Ok(DeadLetter { envelope, code: head.code, why: head.why, tries: head.tries, at: head.at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::envelope;
    use std::path::Path;
    use store::{Durability, StoreOptions, Writer};
    use world::Disk;

    #[tokio::test(start_paused = true)]
    async fn past_the_limit_the_oldest_are_dropped_and_counted() {
        let (world, _) = World::simulated(1);
        let options = StoreOptions { durability: Durability::Os, writer: Writer::Inline, ..Default::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let dead = Dead::open(&world, &store).await.unwrap();
        for i in 0..MAX_DEAD + 3 {
            let failure = Failure { code: "C".into(), why: "w".into(), tries: 1, exhausted: None };
            dead.keep(Envelope { id: i.to_string(), ..envelope() }, failure).await.unwrap();
        }
        let kept = dead.newest(usize::MAX);
        assert_eq!(kept.len() as u64, MAX_DEAD);
        assert_eq!((kept[0].envelope.id.as_str(), kept[kept.len() - 1].envelope.id.as_str()), ("10002", "3"));
        let samples = world.meter.samples();
        let dropped = samples.iter().find(|(signal, _, _)| signal.name == "DeadLettersDropped").unwrap();
        assert_eq!(dropped.2.sum, 3);
    }
    #[tokio::test(start_paused = true)]
    async fn a_damaged_one_hides_no_other() {
        let (world, disk) = World::simulated(1);
        let options = StoreOptions { durability: Durability::Os, writer: Writer::Inline, ..Default::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let dead = Dead::open(&world, &store).await.unwrap();
        for i in 0..5 {
            let failure = Failure { code: format!("code{i}"), why: "w".into(), tries: 1, exhausted: None };
            dead.keep(envelope(), failure).await.unwrap();
        }
        let path = Path::new("/data/journal/0000000000000001.log");
        let at = disk.read(path).unwrap().windows(5).position(|bytes| bytes == b"code2").unwrap();
        disk.corrupt(path, at as u64);
        let codes: Vec<String> = dead.newest(9).into_iter().map(|letter| letter.code).collect();
        assert_eq!(codes, ["code4", "code3", "code1", "code0"]);
    }
}
