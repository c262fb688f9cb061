//! Looking back: the log is walked from its end, with the latest summaries at hand.

use crate::Audit;
use crate::entry::{Damaged, Entry, Summary};
use crate::limits::{BLOCK, BLOCK_BYTES, RECENT, SCAN};
use names::Timestamp;
use shapes::cloudtrail::LookupAttributeKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{ReadLimit, StoreError};

/// The latest summaries by their place in the log. Bounded; there may be gaps, which the log fills.
#[derive(Default)]
pub(crate) struct Recent(BTreeMap<u64, Arc<Summary>>);

impl Recent {
    pub(crate) fn add(&mut self, index: u64, summary: Summary) {
        self.0.insert(index, Arc::new(summary));
        while self.0.len() > RECENT {
            self.0.pop_first();
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) attribute: Option<(LookupAttributeKey, String)>,
    /// Whole seconds, both included.
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
}

impl Query {
    fn fits(&self, summary: &Summary) -> bool {
        let at = summary.at.secs();
        if self.start.is_some_and(|start| at < start) || self.end.is_some_and(|end| at > end) {
            return false;
        }
        let Some((key, value)) = &self.attribute else { return true };
        match key {
            LookupAttributeKey::EventId => summary.id == *value,
            LookupAttributeKey::EventName => summary.name == *value,
            LookupAttributeKey::ReadOnly => summary.read_only.to_string() == value.to_ascii_lowercase(),
            LookupAttributeKey::Username => summary.user == *value,
            LookupAttributeKey::ResourceType => summary.resources.iter().any(|(kind, _)| kind == value),
            LookupAttributeKey::ResourceName => summary.resources.iter().any(|(_, name)| is_named(name, value)),
            LookupAttributeKey::EventSource => summary.source == *value,
            LookupAttributeKey::AccessKeyId => summary.access_key_id == *value,
        }
    }

    /// A number that stands for the query, so that a token goes on with the query it came from.
    pub(crate) fn fingerprint(&self) -> u64 {
        let attribute = self.attribute.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        let text = format!("{attribute:?} {:?} {:?}", self.start, self.end);
        // FNV-1a: <https://www.rfc-editor.org/rfc/rfc9923>
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

/// A resource is called by its ARN or URL and by the name at its end.
fn is_named(name: &str, asked: &str) -> bool {
    name == asked || (asked.len() < name.len() && name.rsplit(['/', ':']).next() == Some(asked))
}

/// What one look back found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// Where to go on: everything from this index on has been looked at.
    pub(crate) rest: Option<u64>,
}

/// Why the past could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

impl world::Fault for HistoryError {
    fn passes(&self) -> bool {
        match self {
            HistoryError::Store(error) => error.passes(),
            HistoryError::Damaged(error) => error.passes(),
        }
    }
}

impl Audit {
    /// The newest `max` entries below the index `before` that fit.
    pub(crate) async fn look_back(
        &self,
        query: &Query,
        before: Option<u64>,
        max: usize,
    ) -> Result<Found, HistoryError> {
        let extent = self.store.extent(self.log);
        // A record is appended after its call arrived, so it never lies before its own time.
        let first = query.start.map_or(0, |start| self.store.find_time(self.log, Timestamp(start * 1_000_000)));
        let first = first.max(extent.first);
        let mut high = before.unwrap_or(extent.next).min(extent.next);
        let lowest = first.max(high.saturating_sub(SCAN));
        let mut found = Found { entries: Vec::new(), rest: None };
        while high > lowest {
            let low = lowest.max(high.saturating_sub(BLOCK));
            for (index, entry) in self.block(query, low, high)?.into_iter().rev() {
                found.entries.push(entry);
                if found.entries.len() == max {
                    found.rest = (index > first).then_some(index);
                    return Ok(found);
                }
            }
            high = low;
            // A long look back must not keep others from this thread.
            tokio::task::yield_now().await;
        }
        found.rest = (high > first).then_some(high);
        Ok(found)
    }

    /// The entries in `low..high` that fit, oldest first.
    fn block(&self, query: &Query, low: u64, high: u64) -> Result<Vec<(u64, Entry)>, HistoryError> {
        let (known, fitting) = {
            let recent = self.recent.lock().expect("no panic holds this lock");
            let known = recent.0.range(low..high);
            let fitting = known.clone().filter(|(_, summary)| query.fits(summary)).count();
            (known.count() as u64 == high - low, fitting)
        };
        if known && fitting == 0 {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        let mut from = low;
        while from < high {
            let limit = ReadLimit { records: (high - from) as usize, bytes: BLOCK_BYTES };
            let records = self.store.read(self.log, from, limit)?;
            let Some(last) = records.last() else { break };
            from = last.index + 1;
            for record in records.iter().filter(|record| record.index < high) {
                let (summary, event) = Entry::split(&record.data)?;
                if query.fits(&summary) {
                    out.push((record.index, Entry::new(summary, event)?));
                }
            }
        }
        Ok(out)
    }
}
