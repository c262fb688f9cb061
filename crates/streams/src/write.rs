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
use store::{Batch, KeyId, LogId, StoreError};
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
    /// One for each shard that has records among them, in the order of the batch.
    groups: Vec<Group>,
    /// The records, shard by shard; `None` where no shard lets any in.
    batch: Option<Batch>,
}

/// The records of one shard.
struct Group {
    place: usize,
    /// How many there are, and the bytes that count: key and payload.
    counted: (u64, u64),
}

impl Plan {
    /// How many records there are, those included that were not let in.
    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }

    /// Frames the records of one shard, a run of `puts` with its place, as far as its limits let them in. All records
    /// together take `bytes`.
    fn frame(&mut self, stream: &LiveStream, run: &[(usize, usize)], puts: &[Put<'_>], bytes: usize, now: Duration) {
        let place = run[0].0;
        let shard = &stream.shards[place];
        let mut counted = (0, 0);
        let mut flow = shard.flow(now);
        for (_, i) in run {
            let put = &puts[*i];
            self.written[*i].place = place;
            if flow.as_mut().is_some_and(|flow| !flow.admit(put.counted())) {
                note(&shard.series.write_exceeded, 1);
                continue;
            }
            self.written[*i].at = Some((counted.0, Timestamp::default()));
            let batch = self.batch.get_or_insert_with(|| begin(stream, shard.log, bytes));
            if counted.0 == 0 && !batch.is_empty() {
                batch.turn_to(shard.log);
            }
            batch.push_with(record::size(put.key, put.data), |out| record::write(put.key, put.data, out));
            counted = (counted.0 + 1, counted.1 + put.counted() as u64);
        }
        if counted.0 > 0 {
            self.groups.push(Group { place, counted });
        }
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

    /// The same, where there is no policy that would have to be asked first.
    pub(crate) async fn enter_freely(&self, asked: Asked<'_>) -> Option<Entry> {
        self.enter(asked).await.ok().filter(|entry| entry.stream.policies.is_empty())
    }

    /// Sorts records by shard, refuses what the shards' limits do not let in, and frames the rest.
    /// Within a shard their order stays.
    pub(crate) fn plan(&self, stream: &LiveStream, puts: &[Put<'_>]) -> Plan {
        let mut order: Vec<(usize, usize)> =
            puts.iter().enumerate().map(|(i, put)| (stream.place_of(put.hash), i)).collect();
        order.sort_unstable();
        let bytes = puts.iter().map(|put| Batch::RECORD_BYTES + record::size(put.key, put.data)).sum();
        let mut plan =
            Plan { written: vec![Written { place: 0, at: None }; puts.len()], groups: Vec::new(), batch: None };
        let now = self.world().clock.monotonic();
        for run in order.chunk_by(|(a, _), (b, _)| a == b) {
            plan.frame(stream, run, puts, bytes, now);
        }
        let framed = plan.batch.as_ref().map_or(0, Batch::len);
        if framed < puts.len() {
            stream.series.write_exceeded.record((puts.len() - framed) as u64);
        }
        plan
    }

    /// Appends what was planned. Durable when it returns; all of it or, after an error, none.
    pub(crate) async fn commit(&self, entry: &Entry, plan: Plan) -> Result<Vec<Written>, StoreError> {
        let Plan { mut written, groups, batch } = plan;
        let Some(batch) = batch else { return Ok(written) };
        let appended = self.store().append(vec![batch]).await?;
        for written in &mut written {
            if let (Some((offset, _)), Ok(i)) =
                (written.at, groups.binary_search_by_key(&written.place, |group| group.place))
            {
                written.at = Some((appended[i].first + offset, appended[i].at));
            }
        }
        let stream = &entry.stream;
        let (mut records, mut bytes) = (0, 0);
        for Group { place, counted } in groups {
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

fn begin(stream: &LiveStream, log: LogId, bytes: usize) -> Batch {
    let mut batch = Batch::with_capacity(log, bytes);
    if let Some(encryption) = &stream.def.encryption {
        batch.seal_under(KeyId(encryption.key));
    }
    batch
}
