//! The one way records go into a stream: for `PutRecord`, for `PutRecords` and for what delivery brings.

use crate::Streams;
use crate::hash::HashKey;
use crate::live::LiveStream;
use crate::record;
use crate::signals::note;
use crate::streams::Asked;
use names::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Batch, KeyId, StoreError};
use tokio::sync::OwnedRwLockReadGuard;
use wire::ApiError;

/// A record to be written.
pub(crate) struct Put<'a> {
    /// Its partition key.
    pub(crate) key: &'a str,
    /// Where it belongs: the hash of its key, or the one it was given.
    pub(crate) hash: HashKey,
    /// Its payload.
    pub(crate) data: &'a [u8],
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The place of its shard in the stream's list.
    pub(crate) place: usize,
    /// Where it lies and since when; `None` where the shard was too busy.
    pub(crate) at: Option<(u64, Timestamp)>,
}

/// A stream that takes records. As long as this is held, its open shards stay open.
pub(crate) struct Entry {
    /// The stream.
    pub(crate) stream: Arc<LiveStream>,
    _gate: OwnedRwLockReadGuard<()>,
}

/// Records that are about to be appended, all in one call of the store.
pub(crate) struct Plan {
    written: Vec<Written>,
    groups: BTreeMap<usize, Group>,
}

/// The records of one shard.
#[derive(Default)]
struct Group {
    /// What their stored forms take.
    bytes: usize,
    /// How many there are, and the bytes that count: key and payload.
    counted: (u64, u64),
    batch: Option<Batch>,
}

impl Put<'_> {
    /// The bytes that AWS counts.
    pub(crate) fn counted(&self) -> usize {
        self.key.len() + self.data.len()
    }
}

impl Streams {
    /// The stream a call wants to write to, once no shard of it is just ending.
    pub(crate) async fn enter(&self, asked: Asked<'_>) -> Result<Entry, ApiError> {
        loop {
            let gate = self.find_active(asked)?.gate.clone();
            let pass = gate.clone().read_owned().await;
            // What was found before the gate was passed may have been resharded meanwhile, or be another stream.
            let stream = self.find_active(asked)?;
            if Arc::ptr_eq(&stream.gate, &gate) {
                return Ok(Entry { stream, _gate: pass });
            }
        }
    }

    /// Sorts records by shard, refuses what the shards' limits do not let in, and frames the rest.
    /// Within a shard their order stays.
    pub(crate) fn plan(&self, stream: &LiveStream, puts: &[Put<'_>]) -> Plan {
        let mut groups = BTreeMap::<usize, Group>::new();
        let mut written = Vec::with_capacity(puts.len());
        for put in puts {
            let place = stream.place_of(put.hash);
            groups.entry(place).or_default().bytes += record::size(put.key, put.data);
            written.push(Written { place, at: None });
        }
        let now = self.world().clock.monotonic();
        let mut framed = 0;
        for (place, group) in &mut groups {
            let shard = &stream.shards[*place];
            let mut flow = shard.flow(now);
            let mut batch = Batch::with_capacity(shard.log, group.bytes + 8 * puts.len());
            if let Some(encryption) = &stream.def.encryption {
                batch.seal_under(KeyId(encryption.key));
            }
            for (put, written) in puts.iter().zip(&mut written).filter(|(_, written)| written.place == *place) {
                if flow.as_mut().is_some_and(|flow| !flow.admit(put.counted())) {
                    note(&shard.series.write_exceeded, 1);
                    continue;
                }
                written.at = Some((batch.len() as u64, Timestamp::default()));
                group.counted.0 += 1;
                group.counted.1 += put.counted() as u64;
                batch.push_with(record::size(put.key, put.data), |out| record::write(put.key, put.data, out));
            }
            framed += batch.len();
            group.batch = (!batch.is_empty()).then_some(batch);
        }
        if framed < puts.len() {
            stream.series.write_exceeded.record((puts.len() - framed) as u64);
        }
        Plan { written, groups }
    }

    /// Appends what was planned. Durable when it returns; all of it or, after an error, none.
    pub(crate) async fn commit(&self, entry: &Entry, plan: Plan) -> Result<Vec<Written>, StoreError> {
        let Plan { mut written, groups } = plan;
        let (mut places, mut batches) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        let mut counted = Vec::with_capacity(places.capacity());
        let (mut records, mut bytes) = (0, 0);
        for (place, group) in groups {
            if let Some(batch) = group.batch {
                places.push(place);
                batches.push(batch);
                records += group.counted.0;
                bytes += group.counted.1;
                counted.push(group.counted);
            }
        }
        if batches.is_empty() {
            return Ok(written);
        }
        let appended = self.store().append(batches).await?;
        for written in &mut written {
            if let (Some((offset, _)), Ok(i)) = (written.at, places.binary_search(&written.place)) {
                written.at = Some((appended[i].first + offset, appended[i].at));
            }
        }
        let stream = &entry.stream;
        for (place, (records, bytes)) in places.iter().zip(counted) {
            let series = &stream.shards[*place].series;
            note(&series.incoming_records, records);
            note(&series.incoming_bytes, bytes);
        }
        stream.intake.add(records, bytes);
        stream.series.incoming_records.record(records);
        stream.series.incoming_bytes.record(bytes);
        Ok(written)
    }
}
