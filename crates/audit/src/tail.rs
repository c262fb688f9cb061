//! The trail as it grows, for whoever follows it.

use crate::Audit;
use crate::entry::Entry;
use names::Timestamp;
use store::{ReadLimit, StoreError};
use tokio::sync::watch;

impl Audit {
    /// Records from an index on, each with the time it was made durable, and the index after them. Damaged ones are
    /// passed over: LookupEvents names them.
    pub fn read(&self, from: u64, limit: usize) -> Result<(Vec<(Timestamp, String)>, u64), StoreError> {
        let (limit, mut next) = (ReadLimit { records: limit, bytes: 4 << 20 }, from);
        let records = self.store.read_over(self.log, from, limit, |lost, _| next = lost.end)?;
        next = records.last().map_or(next, |r| r.index + 1);
        let texts = records.iter().filter_map(|r| Some((r.at, Entry::decode(&r.data).ok()?.event)));
        Ok((texts.collect(), next))
    }

    /// The index that the next record gets, and a receiver that changes with it.
    pub fn end(&self) -> (u64, watch::Receiver<u64>) {
        (self.store.extent(self.log).next, self.store.watch(self.log))
    }
}
