//! A pipe as it is configured.

use consume::{Kind, Start};
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A pipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pipe {
    /// What its checkpoints are under: another for each pipe of a name.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Whether it is to run.
    pub(crate) running: bool,
    /// Why the house stopped it, where nobody asked for that.
    pub(crate) halted: Option<String>,
    pub(crate) source: Arn,
    pub(crate) reading: Reading,
    /// Patterns, one of which a record has to match; none for all records.
    pub(crate) filters: Vec<String>,
    pub(crate) enrichment: Option<Enrichment>,
    pub(crate) target: Target,
    pub(crate) role: Arn,
    /// Where its executions are told of.
    #[serde(default)]
    pub(crate) log: Option<Log>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// How the source is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) batch: u32,
    /// Seconds to wait for a full batch.
    pub(crate) window_s: u32,
    /// Batches of one shard at once.
    pub(crate) lanes: u32,
    /// Retries of a stream's batch; `None` for as long as its records last.
    pub(crate) retries: Option<u32>,
    /// The age of a stream's record, in seconds, from which it is given up.
    pub(crate) max_age_s: Option<u32>,
    /// Whether a batch that failed is halved.
    pub(crate) bisect: bool,
    /// Where given up records are told of.
    pub(crate) dead_letter: Option<Arn>,
    /// Where a stream is begun; of no meaning for a queue.
    pub(crate) start: Start,
}

/// What enriches a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Enrichment {
    pub(crate) arn: Arn,
    pub(crate) template: Option<String>,
    pub(crate) http: Option<Http>,
}

/// Where a batch goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) arn: Arn,
    pub(crate) template: Option<String>,
    /// For a function: whether it is invoked without waiting for what it answers.
    pub(crate) forget: Option<bool>,
    /// For a stream.
    pub(crate) partition_key: Option<String>,
    /// For a queue.
    pub(crate) queue: Option<QueueParameters>,
    /// For an event bus.
    pub(crate) bus: Option<BusParameters>,
    /// For an API destination.
    pub(crate) http: Option<Http>,
    /// For a log group.
    #[serde(default)]
    pub(crate) logs: Option<LogParameters>,
}

/// What a queue's messages get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueueParameters {
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
}

/// What an event bus's events get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BusParameters {
    pub(crate) detail_type: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) resources: Option<Vec<String>>,
    pub(crate) time: Option<String>,
}

/// What a log group's events get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogParameters {
    pub(crate) stream: Option<String>,
    /// A path to milliseconds since 1970.
    pub(crate) timestamp: Option<String>,
}

/// Where executions are told of, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) group: Arn,
    /// Whether events, requests and answers are told.
    pub(crate) data: bool,
}

/// How much is told; each tells all that those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    Error,
    Info,
    Trace,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Info => "INFO",
            Level::Trace => "TRACE",
        }
    }
}

/// What a request gets beside its body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Http {
    pub(crate) path: Option<Vec<String>>,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    pub(crate) query: Option<BTreeMap<String, String>>,
}

impl Pipe {
    /// What it reads.
    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.source)
    }

    /// What its checkpoints are under. The slash tells them from those of event source mappings.
    pub(crate) fn consumer(&self) -> String {
        format!("pipe/{}", self.id)
    }
}

impl Reading {
    /// How long a batch is waited for.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.window_s))
    }

    /// From which age records are given up.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        self.max_age_s.map(|s| Duration::from_secs(u64::from(s)))
    }
}

/// What an ARN names, as a source.
pub(crate) fn kind_of(source: &Arn) -> Kind {
    if source.service() == "sqs" { Kind::Queue } else { Kind::Stream }
}
