//! What the hot paths need of a stream, ready made: a projection of the catalog's state, replaced when that changes.

use crate::consumer::Consumer;
use crate::hash::HashKey;
use crate::limits::{
    ITERATORS_PER_SECOND, LIMITS_TAG, Limits, READ_BYTES_PER_SECOND, READS_PER_SECOND, WRITE_BYTES_PER_SECOND,
    WRITE_RECORDS_PER_SECOND,
};
use crate::policy;
use crate::reader::Reader;
use crate::sequence::Sequence;
use crate::signals::{ShardSeries, StreamSeries};
use crate::state::{Shard, Stream, shard_number};
use names::{Arn, Timestamp};
use policies::Policy;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::LogId;
use tokio::sync::RwLock;
use world::{Bucket, Meter};

/// A stream as the hot paths see it.
pub(crate) struct LiveStream {
    /// What the catalog says.
    pub(crate) def: Stream,
    /// Its ARN.
    pub(crate) arn: Arn,
    /// Its shards by number.
    pub(crate) shards: Vec<LiveShard>,
    /// Its resource policy and those of its consumers, by ARN.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// Whether its limits are kept: the server's choice, unless its own tag says otherwise.
    pub(crate) limits: Limits,
    /// Its metrics.
    pub(crate) series: Arc<StreamSeries>,
    /// Held open by every append that is on its way; shut while shards end, so that no record comes after their end.
    pub(crate) gate: Arc<RwLock<()>>,
    /// What it took since the server started.
    pub(crate) intake: Arc<Intake>,
    /// Who reads for its consumers, by their names.
    readers: BTreeMap<String, Arc<Reader>>,
    /// The last hash key of each open shard, ascending, with the shard's place in `shards`.
    open: Vec<(HashKey, usize)>,
}

/// What a stream took.
#[derive(Default)]
pub(crate) struct Intake {
    bytes: AtomicU64,
    records: AtomicU64,
}

/// A shard as the hot paths see it.
pub(crate) struct LiveShard {
    /// What the catalog says.
    pub(crate) def: Shard,
    /// Its id.
    pub(crate) id: String,
    /// Its log.
    pub(crate) log: LogId,
    /// Its own metrics, those that are switched on.
    pub(crate) series: ShardSeries,
    flow: Option<Arc<Mutex<Flow>>>,
}

/// What a shard lets through.
pub(crate) struct Flow {
    write_bytes: Bucket,
    write_records: Bucket,
    read_bytes: Bucket,
    reads: Bucket,
    iterators: Bucket,
}

impl LiveStream {
    /// Of a stream's definition. What the shards have let through so far is taken over from `before`.
    pub(crate) fn new(
        def: Stream,
        arn: Arn,
        (meter, series): (&Meter, Arc<StreamSeries>),
        limits: Limits,
        now: Duration,
        before: Option<&LiveStream>,
    ) -> LiveStream {
        let before = before.filter(|before| before.def.created == def.created);
        let limits = def.tags.get(LIMITS_TAG).and_then(|value| Limits::named(value)).unwrap_or(limits);
        let shard_series = |shard: &Shard| ShardSeries::new(meter, &def.name, &shard.id(), &def.shard_metrics);
        let shards: Vec<LiveShard> =
            def.shards.iter().map(|shard| LiveShard::new(shard, shard_series(shard), limits, now, before)).collect();
        let taking = shards.iter().enumerate().filter(|(_, shard)| shard.def.closed.is_none());
        let mut open: Vec<_> = taking.map(|(place, shard)| (shard.def.end, place)).collect();
        open.sort_unstable();
        let (gate, intake) = match before {
            Some(before) => (before.gate.clone(), before.intake.clone()),
            None => Default::default(),
        };
        let reader = |consumer: &Consumer| before.and_then(|before| before.reader(consumer)).unwrap_or_default();
        let readers: BTreeMap<_, _> = def.consumers.iter().map(|(name, c)| (name.clone(), reader(c))).collect();
        for reader in readers.values() {
            reader.keep(|number| def.shards.binary_search_by_key(&number, |shard| shard.number).is_ok());
        }
        LiveStream { policies: policy::kept(&def), def, arn, shards, limits, series, gate, intake, readers, open }
    }

    /// Who reads for a consumer, where that is one of the stream's.
    pub(crate) fn reader(&self, consumer: &Consumer) -> Option<Arc<Reader>> {
        self.def.consumers.get(&consumer.name).filter(|known| known.created == consumer.created)?;
        self.readers.get(&consumer.name).cloned()
    }

    /// The place of the shard that takes records with this hash key.
    pub(crate) fn place_of(&self, key: HashKey) -> usize {
        let i = self.open.partition_point(|(end, _)| *end < key);
        self.open.get(i).expect("the open shards of an active stream cover the whole space of hash keys").1
    }

    /// The shard with this id, spelt as AWS spells it.
    pub(crate) fn shard_by_id(&self, id: &str) -> Option<&LiveShard> {
        self.shard(shard_number(id)?).filter(|shard| shard.id == id)
    }

    /// The shard with this number.
    pub(crate) fn shard(&self, number: u32) -> Option<&LiveShard> {
        self.place_by_number(number).map(|place| &self.shards[place])
    }

    /// The place of the shard with this number.
    pub(crate) fn place_by_number(&self, number: u32) -> Option<usize> {
        self.shards.binary_search_by_key(&number, |shard| shard.def.number).ok()
    }
}

impl Intake {
    pub(crate) fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Records and bytes.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.records.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl LiveShard {
    fn new(def: &Shard, series: ShardSeries, limits: Limits, now: Duration, before: Option<&LiveStream>) -> LiveShard {
        let flow = match (limits, before.and_then(|stream| stream.shard(def.number))) {
            (Limits::Off, _) => None,
            (Limits::Aws, before) => {
                let flow = before.and_then(|shard| shard.flow.clone());
                Some(flow.unwrap_or_else(|| Arc::new(Mutex::new(Flow::new(now)))))
            }
        };
        LiveShard { def: def.clone(), id: def.id(), log: LogId(def.log), series, flow }
    }

    /// The limits of this shard; `None` where there are none.
    pub(crate) fn flow(&self, now: Duration) -> Option<MutexGuard<'_, Flow>> {
        let mut flow = self.flow.as_ref()?.lock().expect("no panic holds this lock");
        flow.refill(now);
        Some(flow)
    }

    /// The sequence number of the record at a position.
    pub(crate) fn sequence(&self, position: u64, at: Timestamp) -> Sequence {
        self.def.sequence(position + 1, at)
    }
}

impl Shard {
    /// The number that stands for the shard's start.
    pub(crate) fn first_sequence(&self) -> Sequence {
        self.sequence(0, self.created)
    }

    /// The number that stands for the shard's end, greater than that of any of its records: as at AWS, that of the last
    /// record a shard could have.
    pub(crate) fn last_sequence(&self) -> Option<Sequence> {
        self.closed.map(|closed| self.sequence(i64::MAX as u64, closed.at))
    }

    fn sequence(&self, index: u64, at: Timestamp) -> Sequence {
        let seconds = |time: Timestamp| time.secs().max(0) as u64;
        Sequence { created: seconds(self.created), shard: self.number, index, at: seconds(at) }
    }
}

impl Flow {
    fn new(now: Duration) -> Flow {
        Flow {
            write_bytes: Bucket::per_second(WRITE_BYTES_PER_SECOND, now),
            write_records: Bucket::per_second(WRITE_RECORDS_PER_SECOND, now),
            read_bytes: Bucket::per_second(READ_BYTES_PER_SECOND, now),
            reads: Bucket::per_second(READS_PER_SECOND, now),
            iterators: Bucket::per_second(ITERATORS_PER_SECOND, now),
        }
    }

    fn refill(&mut self, now: Duration) {
        let Flow { write_bytes, write_records, read_bytes, reads, iterators } = self;
        for bucket in [write_bytes, write_records, read_bytes, reads, iterators] {
            bucket.refill(now);
        }
    }

    /// Whether a record of so many bytes may come in now; counts it if so.
    pub(crate) fn admit(&mut self, bytes: usize) -> bool {
        let admitted = self.write_bytes.has(bytes) && self.write_records.has(1);
        if admitted {
            self.write_bytes.take(bytes);
            self.write_records.take(1);
        }
        admitted
    }

    /// Whether a reader may be answered now; counts the call if so.
    pub(crate) fn admit_read(&mut self) -> bool {
        let admitted = self.reads.has(1) && self.read_bytes.is_paid();
        if admitted {
            self.reads.take(1);
        }
        admitted
    }

    /// Whether an iterator may be handed out now; counts it if so.
    pub(crate) fn admit_iterator(&mut self) -> bool {
        let admitted = self.iterators.has(1);
        if admitted {
            self.iterators.take(1);
        }
        admitted
    }

    /// Counts what a reader was given.
    pub(crate) fn gave(&mut self, bytes: usize) {
        self.read_bytes.take(bytes);
    }
}
