//! What operators see: buses and rules, archives and replays, schedules.

use crate::Rules;
use crate::archive::state::ReplayStatus;
use crate::scheduler::Scheduler;
use serde::Serialize;
use shapes::events::RuleState;

/// Schedules that are shown one by one.
const SHOWN: usize = 100;

/// A bus as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusStatus {
    /// Its name.
    pub name: String,
    /// Its rules, by name.
    pub rules: Vec<RuleStatus>,
}

/// A rule as operators see it; counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// Its state, in AWS's word.
    pub state: &'static str,
    /// How many targets it has.
    pub targets: usize,
    /// Events that matched.
    pub matched: u64,
    /// Times it ran, by event or by schedule.
    pub triggered: u64,
    /// Invocations of its targets that ended, well or not.
    pub invocations: u64,
    /// Those that were given up.
    pub failed: u64,
    /// Those that were delayed, for there were too many.
    pub throttled: u64,
}

/// An archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveStatus {
    /// Its name.
    pub name: String,
    /// The bus whose events it keeps.
    pub bus: String,
    /// How many it has.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// For how many days it keeps them; 0 for ever.
    pub retention_days: u32,
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayProgress {
    /// Its name.
    pub name: String,
    /// The archive it reads.
    pub archive: String,
    /// The bus it sends to.
    pub bus: String,
    /// Its state, in AWS's word.
    pub state: &'static str,
    /// The time of the event that was sent last.
    pub last_event: Option<String>,
}

/// The schedules of the scheduler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchedulerStatus {
    /// How many there are.
    pub total: usize,
    /// How many of them are enabled.
    pub enabled: usize,
    /// Some of them, by group and name.
    pub first: Vec<ScheduleStatus>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleStatus {
    /// Its group and name.
    pub name: String,
    /// When it is due.
    pub expression: String,
    /// Its target.
    pub target: String,
    /// `ENABLED` or `DISABLED`.
    pub state: &'static str,
    /// When it was due last.
    pub last: Option<String>,
    /// When it fires next.
    pub next: Option<String>,
}

impl Rules {
    /// Every bus with its rules.
    pub fn status(&self) -> Vec<BusStatus> {
        let table = self.table();
        let buses = table.buses().map(|(name, bus)| {
            let rules = bus.rules().iter().map(|rule| RuleStatus {
                name: rule.name.to_string(),
                state: RuleState::from(rule.status()).as_str(),
                targets: rule.targets.len(),
                matched: rule.series.matched.sample().sum,
                triggered: rule.series.triggered.sample().sum,
                invocations: rule.series.invocations.sample().sum,
                failed: rule.series.failed.sample().sum,
                throttled: rule.series.throttled.sample().sum,
            });
            BusStatus { name: name.clone(), rules: rules.collect() }
        });
        buses.collect()
    }

    /// Every archive, by name.
    pub fn archives(&self) -> Vec<ArchiveStatus> {
        let known = self.catalog.read(|state| state.archives.archives.clone());
        let shown = known.into_iter().map(|(name, archive)| {
            let held = self.archive_extent(&archive.id);
            let (bus, retention_days) = (archive.bus, archive.retention_days);
            ArchiveStatus { name, bus, events: held.next - held.first, bytes: held.bytes, retention_days }
        });
        shown.collect()
    }

    /// Every replay, by name.
    pub fn replays(&self) -> Vec<ReplayProgress> {
        let known = self.catalog.read(|state| state.archives.replays.clone());
        let shown = known.into_iter().map(|(name, replay)| ReplayProgress {
            name,
            archive: replay.archive,
            bus: replay.bus,
            state: word(replay.status),
            last_event: replay.place.last.map(|at| at.iso_secs()),
        });
        shown.collect()
    }
}

fn word(status: ReplayStatus) -> &'static str {
    match status {
        ReplayStatus::Starting => "STARTING",
        ReplayStatus::Running => "RUNNING",
        ReplayStatus::Cancelling => "CANCELLING",
        ReplayStatus::Completed => "COMPLETED",
        ReplayStatus::Cancelled => "CANCELLED",
        ReplayStatus::Failed => "FAILED",
    }
}

impl Scheduler {
    /// How many schedules there are, and some of them.
    pub fn status(&self) -> SchedulerStatus {
        self.catalog.read(|state| {
            let first = state.schedules.iter().take(SHOWN).map(|(key, known)| ScheduleStatus {
                name: key.clone(),
                expression: known.spec.expression.clone(),
                target: known.spec.target.arn.to_string(),
                state: if known.spec.enabled { "ENABLED" } else { "DISABLED" },
                last: known.last.map(|at| at.iso_secs()),
                next: self.next(key, known).map(|at| at.iso_secs()),
            });
            SchedulerStatus {
                total: state.schedules.len(),
                enabled: state.schedules.values().filter(|known| known.spec.enabled).count(),
                first: first.collect(),
            }
        })
    }
}
