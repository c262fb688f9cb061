//! What the streams service knows for certain: the catalog's state and how it changes.

use crate::consumer::{self, Consumer, ConsumerChange, ConsumerStatus};
use crate::demand::{Peak, Peaks};
use crate::hash::HashKey;
use crate::limits;
use crate::reshape::Reshape;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All streams.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) streams: BTreeMap<String, Stream>,
    /// What shard iterators and page tokens are authenticated with.
    pub(crate) token_key: Vec<u8>,
    /// What the account has committed itself to.
    #[serde(default)]
    pub(crate) commitment: Commitment,
}

/// The account's promise to pay for a least throughput, which opens warm throughput to it.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_MinimumThroughputBillingCommitmentOutput.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commitment {
    /// When it was last given.
    pub(crate) started: Option<Timestamp>,
    /// When it ends or ended: not before a day has passed since it was given.
    pub(crate) ends: Option<Timestamp>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Its name.
    pub(crate) name: String,
    /// When it was created, to the millisecond: with the name, what tells it from its predecessors.
    pub(crate) created: Timestamp,
    /// Where it is in its life.
    pub(crate) status: Status,
    /// How its capacity is chosen.
    pub(crate) mode: Mode,
    /// How many shards it was asked to start with.
    pub(crate) first_shards: u32,
    /// How long records are kept.
    pub(crate) retention_hours: u32,
    /// The greatest record it takes.
    pub(crate) record_kib: u32,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its shards by number, closed ones too; none while it is being created.
    pub(crate) shards: Vec<Shard>,
    /// How its shards are being cut anew, while it is UPDATING for that.
    #[serde(default)]
    pub(crate) reshape: Option<Reshape>,
    /// When `UpdateShardCount` was last called, within a day.
    #[serde(default)]
    pub(crate) scaled: Vec<Timestamp>,
    /// When its mode was last changed, within a day.
    #[serde(default)]
    pub(crate) switched: Vec<Timestamp>,
    /// What it took at most, day by day: what an on-demand stream is measured by.
    #[serde(default)]
    pub(crate) peaks: Peaks,
    /// The MiB per second an on-demand stream is to be ready for, whatever it took so far.
    #[serde(default)]
    pub(crate) warm_mibps: Option<u32>,
    /// The metrics it has per shard.
    #[serde(default)]
    pub(crate) shard_metrics: BTreeSet<ShardMetric>,
    /// Resource policies by the ARN they are attached to: the stream's or one of its consumers'.
    #[serde(default)]
    pub(crate) policies: BTreeMap<String, String>,
    /// Its registered consumers by name.
    #[serde(default)]
    pub(crate) consumers: BTreeMap<String, Consumer>,
    /// How its records are encrypted on disk from now on, if they are.
    #[serde(default)]
    pub(crate) encryption: Option<Encryption>,
    /// When encryption was started, within a day.
    #[serde(default)]
    pub(crate) encrypted: Vec<Timestamp>,
    /// When it was stopped, within a day.
    #[serde(default)]
    pub(crate) decrypted: Vec<Timestamp>,
}

/// How a stream's records are encrypted on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    /// The KMS key as its owner named it.
    pub(crate) key_id: String,
    /// The store's data key.
    pub(crate) key: u32,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Its shards are being made.
    Creating,
    /// It works.
    Active,
    /// It works, and is being changed meanwhile.
    Updating,
    /// Its shards are being forgotten.
    Deleting,
}

/// How a stream's capacity is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// By its owner.
    Provisioned,
    /// By the service.
    OnDemand,
}

/// A metric that streams have per shard where that is asked for.
/// <https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html#kinesis-metrics-shard>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ShardMetric {
    IncomingBytes,
    IncomingRecords,
    OutgoingBytes,
    OutgoingRecords,
    WriteProvisionedThroughputExceeded,
    ReadProvisionedThroughputExceeded,
    IteratorAgeMilliseconds,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Its number in its stream.
    pub(crate) number: u32,
    /// The shard it was split from, or the first of the two it was merged from.
    pub(crate) parent: Option<u32>,
    /// The second of the two it was merged from.
    pub(crate) adjacent_parent: Option<u32>,
    /// Its first hash key.
    pub(crate) start: HashKey,
    /// Its last hash key.
    pub(crate) end: HashKey,
    /// What its sequence numbers begin with: later than that of any shard it comes from, so that the numbers of a partition
    /// key grow across reshards. At AWS a child begins a second after its parent has ended, and so it does here.
    pub(crate) created: Timestamp,
    /// When it was opened: the moment its parents were closed.
    #[serde(default)]
    pub(crate) opened: Timestamp,
    /// The log that holds its records.
    pub(crate) log: u64,
    /// Where it ends, once it takes no more records.
    pub(crate) closed: Option<Closed>,
}

/// The end of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// When it was closed: later than any of its records.
    pub(crate) at: Timestamp,
    /// The position no record of it reaches.
    pub(crate) position: u64,
}

/// A change of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The key for tokens was made.
    TokenKey(Vec<u8>),
    /// A stream is asked for.
    Created(Box<Stream>),
    /// It has its shards.
    Activated {
        /// The stream.
        name: String,
        /// Its shards.
        shards: Vec<Shard>,
    },
    /// A stream is no longer wanted.
    Deleting {
        /// The stream.
        name: String,
    },
    /// It is gone.
    Deleted {
        /// The stream.
        name: String,
    },
    /// A stream is to be changed in the background.
    Updating {
        /// The stream.
        name: String,
        /// How its shards are to be cut, where that is the change.
        reshape: Option<Reshape>,
    },
    /// That is done, and its shards are as they were.
    Settled {
        /// The stream.
        name: String,
    },
    /// That is done: some shards have ended and others go on in their place.
    Resharded {
        /// The stream.
        name: String,
        /// The numbers of those that have ended, and where.
        closed: Vec<(u32, Closed)>,
        /// The new ones. Those that were only a step on the way have ended already.
        opened: Vec<Shard>,
    },
    /// Shards that ended longer ago than records are kept are no longer known.
    Forgotten {
        /// The stream.
        name: String,
        /// Their numbers.
        shards: Vec<u32>,
    },
    /// `UpdateShardCount` was called.
    Scaled {
        /// On this stream.
        name: String,
        /// At this time.
        at: Timestamp,
    },
    /// A stream's capacity is chosen another way.
    Switched {
        /// The stream.
        name: String,
        /// From now on.
        mode: Mode,
        /// Since when.
        at: Timestamp,
    },
    /// An on-demand stream took more on a day than was known.
    Peaked {
        /// The stream.
        name: String,
        /// The day since 1970.
        day: i64,
        /// What it took.
        peak: Peak,
    },
    /// An on-demand stream is to be ready for so much, and what it took before no longer counts.
    Warmed {
        /// The stream.
        name: String,
        /// MiB per second; none if it is not to be.
        mibps: Option<u32>,
    },
    /// Greater or smaller records are taken.
    RecordSize {
        /// The stream.
        name: String,
        /// The greatest.
        kib: u32,
    },
    /// Metrics per shard are wanted, or no longer.
    ShardMetrics {
        /// The stream.
        name: String,
        /// All that are.
        metrics: BTreeSet<ShardMetric>,
    },
    /// A resource policy is attached or taken off.
    Policy {
        /// The stream.
        name: String,
        /// The ARN of the stream or of its consumer.
        arn: String,
        /// The policy, if there is to be one.
        policy: Option<String>,
    },
    /// Something happens to a consumer.
    Consumer {
        /// The stream.
        name: String,
        /// The consumer.
        consumer: String,
        /// What happens.
        change: ConsumerChange,
    },
    /// Its records are encrypted from now on, under another key, or no longer.
    Encrypted {
        /// The stream.
        name: String,
        /// How, if so.
        encryption: Option<Encryption>,
        /// Since when.
        at: Timestamp,
    },
    /// The account's commitment.
    Committed(Commitment),
    /// Records are kept longer or shorter.
    Retention {
        /// The stream.
        name: String,
        /// From now on.
        hours: u32,
    },
    /// Tags are set or removed.
    Tagged {
        /// The stream.
        name: String,
        /// Set these.
        set: BTreeMap<String, String>,
        /// Remove these.
        remove: Vec<String>,
    },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::TokenKey(key) => self.token_key.clone_from(key),
            Change::Created(stream) => {
                self.streams.insert(stream.name.clone(), Stream::clone(stream));
            }
            Change::Activated { name, shards } => self.with(name, |stream| {
                stream.shards.clone_from(shards);
                stream.status = Status::Active;
            }),
            Change::Deleting { name } => self.with(name, |stream| stream.status = Status::Deleting),
            Change::Updating { name, reshape } => self.with(name, |stream| {
                stream.status = Status::Updating;
                stream.reshape = *reshape;
            }),
            Change::Settled { name } => self.with(name, Stream::settle),
            Change::Resharded { name, closed, opened } => self.with(name, |stream| {
                stream.reshard(closed, opened);
                stream.settle();
            }),
            Change::Forgotten { name, shards } => {
                self.with(name, |stream| stream.shards.retain(|shard| !shards.contains(&shard.number)));
            }
            Change::Scaled { name, at } => self.with(name, |stream| remember(&mut stream.scaled, *at)),
            Change::Switched { name, mode, at } => self.with(name, |stream| {
                stream.mode = *mode;
                remember(&mut stream.switched, *at);
            }),
            Change::Peaked { name, day, peak } => self.with(name, |stream| stream.peaks.note(*day, *peak)),
            Change::Warmed { name, mibps } => self.with(name, |stream| {
                stream.warm_mibps = *mibps;
                stream.peaks = Peaks::default();
            }),
            Change::RecordSize { name, kib } => self.with(name, |stream| stream.record_kib = *kib),
            Change::ShardMetrics { name, metrics } => {
                self.with(name, |stream| stream.shard_metrics.clone_from(metrics));
            }
            Change::Policy { name, arn, policy } => self.with(name, |stream| match policy {
                Some(policy) => drop(stream.policies.insert(arn.clone(), policy.clone())),
                None => drop(stream.policies.remove(arn)),
            }),
            Change::Consumer { name, consumer, change } => {
                self.with(name, |stream| consumer::apply(&mut stream.consumers, consumer, change));
            }
            Change::Encrypted { name, encryption, at } => self.with(name, |stream| {
                remember(if encryption.is_some() { &mut stream.encrypted } else { &mut stream.decrypted }, *at);
                stream.encryption.clone_from(encryption);
            }),
            Change::Committed(commitment) => self.commitment = *commitment,
            Change::Deleted { name } => {
                self.streams.remove(name);
            }
            Change::Retention { name, hours } => self.with(name, |stream| stream.retention_hours = *hours),
            Change::Tagged { name, set, remove } => self.with(name, |stream| {
                stream.tags.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
                stream.tags.retain(|key, _| !remove.contains(key));
            }),
        }
    }
}

impl State {
    fn with(&mut self, name: &str, edit: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(name) {
            edit(stream);
        }
    }

    /// Open shards of the account, those of streams that are being created included.
    pub(crate) fn open_shards(&self) -> usize {
        self.streams.values().map(Stream::shards_to_come).sum()
    }

    /// Whether the account may ask for warm throughput.
    pub(crate) fn is_committed(&self, now: Timestamp) -> bool {
        self.commitment.started.is_some() && self.commitment.ends.is_none_or(|ends| ends > now)
    }

    /// Streams in on-demand mode.
    pub(crate) fn on_demand_streams(&self) -> usize {
        self.streams.values().filter(|stream| stream.mode == Mode::OnDemand).count()
    }
}

impl Stream {
    /// How many shards take records.
    pub(crate) fn open_shards(&self) -> usize {
        match self.status {
            Status::Creating => self.first_shards as usize,
            Status::Active | Status::Updating | Status::Deleting => self.open().count(),
        }
    }

    /// How many that will be when it is no longer being changed.
    fn shards_to_come(&self) -> usize {
        let open = self.open_shards();
        self.reshape.map_or(open, |reshape| open.max(reshape.shards_after(open)))
    }

    /// The shards that take records.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|shard| shard.closed.is_none())
    }

    /// Whether it may be changed.
    pub(crate) fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Whether something of it is still to be done in the background.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.status != Status::Active || self.consumers.values().any(|c| c.status != ConsumerStatus::Active)
    }

    /// Whether records go in and out: also while it is being changed.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, Status::Active | Status::Updating)
    }

    fn settle(&mut self) {
        self.status = Status::Active;
        self.reshape = None;
    }

    fn reshard(&mut self, closed: &[(u32, Closed)], opened: &[Shard]) {
        for (number, end) in closed {
            if let Ok(i) = self.shards.binary_search_by_key(number, |shard| shard.number) {
                self.shards[i].closed = Some(*end);
            }
        }
        self.shards.extend_from_slice(opened);
    }

    /// The greatest record in bytes.
    pub(crate) fn record_bytes(&self) -> usize {
        (self.record_kib as usize * 1024).min(limits::LARGEST_RECORD)
    }

    /// What was put before this moment is no longer shown.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.micros().saturating_sub(i64::from(self.retention_hours) * 3_600_000_000))
    }
}

impl Shard {
    /// Whether nothing of it is left to be read: it ended longer ago than its stream keeps records.
    pub(crate) fn is_expired(&self, stream: &Stream, now: Timestamp) -> bool {
        self.closed.is_some_and(|closed| closed.at < stream.horizon(now))
    }

    /// `shardId-000000000000`
    pub(crate) fn id(&self) -> String {
        shard_id(self.number)
    }
}

impl ShardMetric {
    /// All there are.
    pub(crate) const ALL: [ShardMetric; 7] = [
        ShardMetric::IncomingBytes,
        ShardMetric::IncomingRecords,
        ShardMetric::OutgoingBytes,
        ShardMetric::OutgoingRecords,
        ShardMetric::WriteProvisionedThroughputExceeded,
        ShardMetric::ReadProvisionedThroughputExceeded,
        ShardMetric::IteratorAgeMilliseconds,
    ];
}

/// Adds a time to those of the last day.
fn remember(times: &mut Vec<Timestamp>, at: Timestamp) {
    times.retain(|time| at.since(*time) < limits::DAY);
    times.push(at);
}

/// The id of a shard's number.
pub(crate) fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number of a shard's id. Like AWS it takes anything before the hyphen, and ids without one.
pub(crate) fn shard_number(id: &str) -> Option<u32> {
    let digits = id.rsplit_once('-').map_or(id, |(_, digits)| digits);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32) } else { None }
}

/// The log that holds a shard's records.
pub(crate) fn log_name(stream: &str, shard: u32) -> String {
    log_prefix(stream) + &shard_id(shard)
}

/// What the names of a stream's logs begin with.
pub(crate) fn log_prefix(stream: &str) -> String {
    format!("streams/{stream}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ids_are_read_as_aws_reads_them() {
        for (id, number) in [
            ("shardId-000000000012", Some(12)),
            ("12", Some(12)),
            ("any-2147483647", Some(2_147_483_647)),
            ("shardId-002147483648", None),
            ("2.14E4", None),
            ("ABKLFD8", None),
            ("shardId-", None),
        ] {
            assert_eq!(shard_number(id), number, "{id}");
        }
        assert_eq!(shard_id(7), "shardId-000000000007");
    }
}
