//! A mapping as it is configured.

use consume::Kind;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a mapping starts to read a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum From {
    /// The oldest record.
    TrimHorizon,
    /// What comes after the mapping was made.
    Latest,
    /// The first record at or after this time.
    At(Timestamp),
}

/// An event source mapping as configured. Fields with defaults came later than the first version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    /// Its id.
    pub(crate) uuid: String,
    /// The function's name, with the version or alias where one was given: `name:qualifier`.
    pub(crate) function: String,
    /// The stream or queue.
    pub(crate) source: Arn,
    /// Records an invocation gets at most.
    pub(crate) batch_size: u32,
    /// Seconds to wait for a full batch.
    pub(crate) window_s: u32,
    /// Where it started; of no meaning for a queue.
    pub(crate) from: From,
    /// Whether it reads.
    pub(crate) enabled: bool,
    /// Why the house disabled it, where nobody asked for that.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// When it last changed.
    pub(crate) last_modified: Timestamp,
    /// Batches of one shard at once.
    #[serde(default = "one")]
    pub(crate) lanes: u32,
    /// Retries after a function's error; `None` for as long as the records last.
    #[serde(default)]
    pub(crate) retries: Option<u32>,
    /// The age of a record, in seconds, from which it is no longer handed over.
    #[serde(default)]
    pub(crate) max_age_s: Option<u32>,
    /// Whether a batch is halved after a function's error.
    #[serde(default)]
    pub(crate) bisect: bool,
    /// Whether the function's answer tells which items failed.
    #[serde(default)]
    pub(crate) report: bool,
    /// Patterns, one of which a record has to match; none for all records.
    #[serde(default)]
    pub(crate) filters: Vec<String>,
    /// Where discarded batches are told of.
    #[serde(default)]
    pub(crate) on_failure: Option<Arn>,
    /// The length of a tumbling window in seconds; 0 for none.
    #[serde(default)]
    pub(crate) tumble_s: u32,
    /// Whether events are counted (`EventCount`).
    #[serde(default)]
    pub(crate) counted: bool,
    /// Invocations at once for a queue.
    #[serde(default)]
    pub(crate) concurrency: Option<u32>,
    /// Tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

impl Mapping {
    /// What it reads.
    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.source)
    }

    /// How long a batch is waited for.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.window_s))
    }
}

/// What an ARN names.
pub(crate) fn kind_of(source: &Arn) -> Kind {
    if source.service() == "sqs" { Kind::Queue } else { Kind::Stream }
}
