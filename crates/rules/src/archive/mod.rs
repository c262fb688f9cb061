//! Archives keep the events of a bus; replays send them again.
//!
//! An archive is a rule of its bus, managed by the house, whose target is the archive: events go there by the way of all
//! targets, durable before `PutEvents` answers, and each is one record of the archive's log. A replay goes through the log
//! minute by minute of the events' own times. After a crash it goes on where it was noted to be, so that some events may
//! come twice and none is left out.

mod plan;
mod record;
mod replay;
pub(crate) mod state;
mod target;

pub(crate) use replay::resume;
pub(crate) use target::ArchiveTarget;

use crate::Rules;
use crate::limits::{DAY, REPLAYS_KEPT, RETENTION_PAUSE};
use crate::state::{Change, Definition, Status, Tags, Target};
use names::Arn;
use state::{Archive, ArchiveChange};
use std::sync::Arc;
use store::{Extent, LogId, StoreError};
use world::{Stage, Stop};

/// Who manages the rules of archives, in AWS's word.
pub(crate) const MANAGER: &str = "prod.vhs.events.aws.internal";

/// The log that holds an archive's events.
fn log_name(id: &str) -> String {
    format!("rules/archive/{id}")
}

/// The name of an archive's rule.
pub(crate) fn rule_name(archive: &str) -> String {
    format!("Events-Archive-{archive}")
}

/// The pattern of an archive's rule: what the archive asks for, and never what a replay sends.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html>
pub(crate) fn rule_pattern(pattern: Option<&str>) -> String {
    const ORIGINAL: &str = r#""replay-name":[{"exists":false}]"#;
    // Written into the text, because numbers of a pattern are kept to the last digit.
    match pattern.and_then(|pattern| pattern.trim_start().strip_prefix('{')) {
        None => format!("{{{ORIGINAL}}}"),
        Some(rest) => format!("{{{ORIGINAL},{rest}"),
    }
}

/// The changes that give an archive its rule, as it is to be.
pub(crate) fn rule_changes(rules: &Rules, name: &str, archive: &Archive) -> Vec<Change> {
    let (bus, rule) = (archive.bus.clone(), rule_name(name));
    let definition = Definition {
        status: Status::Enabled,
        pattern: Some(rule_pattern(archive.pattern.as_deref())),
        schedule: None,
        description: None,
        role: None,
    };
    let target = Target::to(arn(rules, name));
    vec![
        Change::RulePut {
            bus: bus.clone(),
            rule: rule.clone(),
            at: rules.world.now(),
            definition,
            created_by: rules.home.account.as_str().to_owned(),
            tags: Tags::new(),
            managed_by: Some(MANAGER.to_owned()),
        },
        Change::TargetsPut { bus, rule, targets: [("archive".to_owned(), target)].into() },
    ]
}

pub(crate) fn arn(rules: &Rules, name: &str) -> Arn {
    rules.home.arn("events", &format!("archive/{name}"))
}

impl Rules {
    /// The log of an archive, made where there is none.
    pub(crate) async fn archive_log(&self, id: &str) -> Result<LogId, StoreError> {
        self.store.log(&log_name(id)).await
    }

    /// What an archive holds.
    pub(crate) fn archive_extent(&self, id: &str) -> Extent {
        self.store.find_log(&log_name(id)).map(|log| self.store.extent(log)).unwrap_or_default()
    }

    pub(crate) async fn drop_archive_log(&self, id: &str) -> Result<(), StoreError> {
        match self.store.find_log(&log_name(id)) {
            Some(log) => self.store.drop_log(log).await,
            None => Ok(()),
        }
    }
}

/// Replays go on where they were.
pub(crate) fn start(rules: &Arc<Rules>) {
    start_retention(rules);
    let running = rules.catalog.read(|state| {
        let all = state.archives.replays.iter();
        all.filter(|(_, replay)| !replay.status.is_over()).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    });
    running.into_iter().for_each(|name| resume(rules, name));
}

/// Events leave archives in their time, old replays are forgotten, and logs that a crash left without their archive go.
fn start_retention(rules: &Arc<Rules>) {
    let me = rules.clone();
    rules.world.tasks.spawn(Stage::Sources, "rules: archives", |stop| keep_house(me, stop));
}

async fn keep_house(rules: Arc<Rules>, mut stop: Stop) {
    loop {
        if let Err(error) = sweep(&rules).await {
            tracing::error!(%error, "archives could not be looked through");
        }
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = rules.world.clock.sleep(RETENTION_PAUSE) => {}
        }
    }
}

async fn sweep(rules: &Rules) -> Result<(), StoreError> {
    let now = rules.world.now();
    let logs = rules.store.logs(&log_name(""));
    let archives: Vec<Archive> = rules.catalog.read(|state| state.archives.archives.values().cloned().collect());
    for archive in archives.iter().filter(|archive| archive.retention_days > 0) {
        let Some(log) = rules.store.find_log(&log_name(&archive.id)) else { continue };
        let oldest = names::Timestamp(now.micros() - (DAY * archive.retention_days).as_micros() as i64);
        rules.store.trim(log, rules.store.find_time(log, oldest))?;
    }
    let orphan = |name: &str| !archives.iter().any(|archive| log_name(&archive.id) == name);
    for (_, log) in logs.iter().filter(|(name, _)| orphan(name)) {
        rules.store.drop_log(*log).await?;
    }
    rules
        .catalog
        .change(|state| {
            let old = state
                .archives
                .replays
                .iter()
                .filter(|(_, replay)| replay.ended.is_some_and(|ended| now.since(ended) > REPLAYS_KEPT));
            let changes = old.map(|(name, _)| Change::Archive(ArchiveChange::ReplayForgotten { name: name.clone() }));
            Ok::<_, StoreError>((changes.collect(), ()))
        })
        .await
}
