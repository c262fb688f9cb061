//! The notifications that left the house, or would have left it: kept on disk, a bounded number of them.

use crate::limits::{OUTBOX_BODY_BYTES, OUTBOX_KEPT};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{Batch, LogId, ReadLimit, Store, StoreError};

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
            let read = self.store.read(self.log, from, ReadLimit { records: (to - from) as usize, bytes: 64 << 20 })?;
            for record in read.into_iter().filter(|record| record.index < to).rev() {
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
}
