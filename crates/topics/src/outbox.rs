//! The notifications that left the house, or would have left it: kept on disk, a bounded number of them.

use crate::limits::{OUTBOX_BODY_BYTES, OUTBOX_KEPT};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{Batch, LogId, ReadLimit, Record, Store, StoreError};

/// One notification to somebody outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its own id: the same for all tries to send it.
    pub id: String,
    /// `sms`, `email`, `email-json`, `http` or `https`.
    pub channel: String,
    /// The number, the address or the URL.
    pub to: String,
    /// Its subject, where the channel has one.
    pub subject: Option<String>,
    /// What was sent; at most 16 KiB of it.
    pub body: String,
    /// When it was tried last.
    pub time: Timestamp,
    /// What became of it.
    pub status: Status,
    /// The message's id, as Publish answered it.
    pub message_id: String,
    /// What a message centre said later of its delivery, such as `DELIVRD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The provider or the endpoint took it.
    Sent,
    /// Nobody is configured to take it: here it ends.
    NoProvider,
    /// The latest try failed, for this reason.
    Failed(String),
}

/// The log of them. One JSON text per record; see `docs/formats/topics.md`.
pub(crate) struct Outbox {
    store: Store,
    log: LogId,
}

impl Outbox {
    pub(crate) async fn open(store: &Store) -> Result<Outbox, StoreError> {
        Ok(Outbox { store: store.clone(), log: store.log("topics/notifications").await? })
    }

    /// Keeps one; durable when it returns.
    pub(crate) async fn keep(&self, mut notification: Notification) -> Result<(), StoreError> {
        let body = &mut notification.body;
        body.truncate(body.floor_char_boundary(OUTBOX_BODY_BYTES));
        let record = serde_json::to_vec(&notification).expect("texts are always JSON");
        let mut batch = Batch::new(self.log);
        batch.push(&record);
        let at = self.store.append(vec![batch]).await?[0].first;
        // Not with every record, because the journal takes a note of each trim.
        if at % 256 == 0 && at > OUTBOX_KEPT {
            self.store.trim(self.log, at - OUTBOX_KEPT)?;
        }
        Ok(())
    }

    /// The latest `limit` notifications, each as it stands after its latest try; the newest first.
    pub(crate) fn latest(&self, limit: usize) -> Result<Vec<Notification>, StoreError> {
        let extent = self.store.extent(self.log);
        let mut latest: BTreeMap<String, (u64, Notification)> = BTreeMap::new();
        let mut to = extent.next;
        let oldest = extent.first.max(extent.next.saturating_sub(OUTBOX_KEPT));
        while to > oldest && latest.len() < limit {
            let from = to.saturating_sub(256).max(oldest);
            for record in self.between(from, to)?.into_iter().rev() {
                match serde_json::from_slice::<Notification>(&record.data) {
                    Ok(one) => drop(latest.entry(one.id.clone()).or_insert((record.index, one))),
                    Err(error) => tracing::error!(%error, index = record.index, "a kept notification is unreadable"),
                }
            }
            to = from;
        }
        let mut all: Vec<_> = latest.into_values().collect();
        all.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        Ok(all.into_iter().take(limit).map(|(_, notification)| notification).collect())
    }

    /// The records from one index to below another, but for those that a damaged disk does not give.
    fn between(&self, mut from: u64, to: u64) -> Result<Vec<Record>, StoreError> {
        let mut out = Vec::new();
        while from < to {
            let limit = ReadLimit { records: (to - from) as usize, bytes: 64 << 20 };
            let read = self.store.read_over(self.log, from, limit, |lost, error| {
                tracing::error!(?lost, %error, "kept notifications are unreadable");
            })?;
            let Some(last) = read.last() else { break };
            from = last.index + 1;
            out.extend(read.into_iter().filter(|record| record.index < to));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use store::{StoreOptions, Writer};
    use world::{Disk, World};

    #[tokio::test(start_paused = true)]
    async fn a_damaged_one_hides_no_other() {
        let (world, disk) = World::simulated(1);
        let options = StoreOptions { writer: Writer::Inline, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let outbox = Outbox::open(&store).await.unwrap();
        for i in 0..5 {
            let notification = Notification {
                id: format!("id{i}"),
                channel: "sms".into(),
                to: "+1".into(),
                subject: None,
                body: "b".into(),
                time: Timestamp(i),
                status: Status::Sent,
                message_id: "m".into(),
                receipt: None,
            };
            outbox.keep(notification).await.unwrap();
        }
        let path = Path::new("/data/journal/0000000000000001.log");
        let at = disk.read(path).unwrap().windows(3).position(|bytes| bytes == b"id2").unwrap();
        disk.corrupt(path, at as u64);
        let ids: Vec<String> = outbox.latest(9).unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["id4", "id3", "id1", "id0"]);
    }
}
