//! The one way records go into a stream: for `PutRecord`, for `PutRecords` and for what delivery brings.

use crate::Streams;
use crate::hash::HashKey;
use crate::live::LiveStream;
use crate::record::{self, Payload};
use crate::signals::note;
use crate::streams::Asked;
use names::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, KeyId, StoreError};
use tokio::sync::OwnedRwLockReadGuard;
use wire::ApiError;

/// A record to be written.
#[derive(Clone, Copy)]
pub(crate) struct Put<'a> {
    /// Its partition key.
    pub(crate) key: &'a str,
    /// Where it belongs: the hash of its key, or the one it was given.
    pub(crate) hash: HashKey,
    /// Its payload.
    pub(crate) data: Payload<'a>,
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
    /// By place.
    groups: Vec<Group>,
}

/// The records of one shard.
struct Group {
    place: usize,
    /// How many there are, and the bytes that count: key and payload.
    counted: (u64, u64),
    batch: Batch,
}

impl Plan {
    /// How many records there are, those included that were not let in.
    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }
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
        let placed = |put: &Put<'_>| Written { place: stream.place_of(put.hash), at: None };
        let mut written: Vec<Written> = puts.iter().map(placed).collect();
        let mut order: Vec<usize> = (0..puts.len()).collect();
        order.sort_by_key(|i| written[*i].place);
        let now = self.world().clock.monotonic();
        let (mut groups, mut framed) = (Vec::new(), 0);
        let mut rest = &order[..];
        while let Some(first) = rest.first() {
            let place = written[*first].place;
            let (run, others) = rest.split_at(rest.partition_point(|i| written[*i].place == place));
            let group = frame(stream, place, run, puts, &mut written, now);
            framed += group.batch.len();
            groups.push(group);
            rest = others;
        }
        groups.retain(|group| !group.batch.is_empty());
        if framed < puts.len() {
            stream.series.write_exceeded.record((puts.len() - framed) as u64);
        }
        Plan { written, groups }
    }

    /// Appends what was planned. Durable when it returns; all of it or, after an error, none.
    pub(crate) async fn commit(&self, entry: &Entry, plan: Plan) -> Result<Vec<Written>, StoreError> {
        let Plan { mut written, groups } = plan;
        let (mut counts, mut batches) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for Group { place, counted, batch } in groups {
            counts.push((place, counted));
            batches.push(batch);
        }
        if batches.is_empty() {
            return Ok(written);
        }
        let appended = self.store().append(batches).await?;
        for written in &mut written {
            if let (Some((offset, _)), Ok(i)) =
                (written.at, counts.binary_search_by_key(&written.place, |(place, _)| *place))
            {
                written.at = Some((appended[i].first + offset, appended[i].at));
            }
        }
        let stream = &entry.stream;
        let (mut records, mut bytes) = (0, 0);
        for (place, counted) in counts {
            let series = &stream.shards[place].series;
            note(&series.incoming_records, counted.0);
            note(&series.incoming_bytes, counted.1);
            records += counted.0;
            bytes += counted.1;
        }
        stream.intake.add(records, bytes);
        stream.series.incoming_records.record(records);
        stream.series.incoming_bytes.record(bytes);
        Ok(written)
    }
}

/// Frames the records of one shard, `run` of `puts`, as far as its limits let them in.
fn frame(
    stream: &LiveStream,
    place: usize,
    run: &[usize],
    puts: &[Put<'_>],
    written: &mut [Written],
    now: Duration,
) -> Group {
    let shard = &stream.shards[place];
    let size = |put: &Put<'_>| record::size(put.key, put.data);
    let bytes = run.iter().map(|i| Batch::RECORD_BYTES + size(&puts[*i])).sum();
    let mut group = Group { place, counted: (0, 0), batch: Batch::with_capacity(shard.log, bytes) };
    if let Some(encryption) = &stream.def.encryption {
        group.batch.seal_under(KeyId(encryption.key));
    }
    let mut flow = shard.flow(now);
    for i in run {
        let put = &puts[*i];
        if flow.as_mut().is_some_and(|flow| !flow.admit(put.counted())) {
            note(&shard.series.write_exceeded, 1);
            continue;
        }
        written[*i].at = Some((group.batch.len() as u64, Timestamp::default()));
        group.counted.0 += 1;
        group.counted.1 += put.counted() as u64;
        group.batch.push_with(size(put), |out| record::write(put.key, put.data, out));
    }
    group
}
