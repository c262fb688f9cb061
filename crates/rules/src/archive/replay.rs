//! The woken door of replays: one task for each that runs.

use super::log_name;
use super::plan::{Plan, Run, minute};
use super::record::{decode, id, replayed};
use super::state::{ArchiveChange, Place, Replay, ReplayStatus};
use crate::Rules;
use crate::limits::{REPLAY_BACKLOG, REPLAY_BATCH, REPLAY_BATCH_BYTES, REPLAY_PAUSE, REPLAY_RUNS, RETRY_PAUSE};
use crate::route::Incoming;
use crate::state::Change;
use names::Arn;
use std::sync::Arc;
use store::{LogId, ReadLimit, StoreError};
use world::{Stage, Stop};

/// Why a replay does not go on.
enum Halt {
    /// The house stops; it goes on at the next start.
    Stopped,
    Cancelled,
    Failed(String),
    Store(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Halt {
        Halt::Store(error)
    }
}

/// Starts the task of a replay.
pub(crate) fn resume(rules: &Arc<Rules>, name: String) {
    let me = rules.clone();
    rules.world.tasks.spawn(Stage::Sources, format!("rules: replay {name}"), |stop| run(me, name, stop));
}

async fn run(rules: Arc<Rules>, name: String, mut stop: Stop) {
    loop {
        let (status, reason) = match replay(&rules, &name, &stop).await {
            Ok(0) => (ReplayStatus::Completed, None),
            Ok(unreadable) => (ReplayStatus::Failed, Some(partial(unreadable))),
            Err(Halt::Stopped) => return,
            Err(Halt::Cancelled) => (ReplayStatus::Cancelled, None),
            Err(Halt::Failed(why)) => (ReplayStatus::Failed, Some(why)),
            Err(Halt::Store(error)) => {
                tracing::error!(replay = name, %error, "a replay has to wait");
                tokio::select! {
                    biased;
                    () = stop.wait() => return,
                    () = rules.world.clock.sleep(RETRY_PAUSE) => continue,
                }
            }
        };
        let at = rules.world.now();
        let ended = ArchiveChange::ReplayEnded { name: name.clone(), at, status, reason };
        match rules.catalog.change(|_| Ok::<_, StoreError>((vec![Change::Archive(ended)], ()))).await {
            Ok(()) => return,
            Err(error) => tracing::error!(replay = name, %error, "the end of a replay could not be noted"),
        }
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = rules.world.clock.sleep(RETRY_PAUSE) => {}
        }
    }
}

fn partial(unreadable: u64) -> String {
    let records = if unreadable == 1 { "record" } else { "records" };
    format!("{unreadable} {records} of the archive cannot be read, of whatever time. All other events were replayed.")
}

/// Sends what is left of a replay; how many records of the archive cannot be read.
async fn replay(rules: &Rules, name: &str, stop: &Stop) -> Result<u64, Halt> {
    loop {
        let known = current(rules, name, stop)?;
        let same = |id: &String| *id == known.archive_id;
        let id = rules.catalog.read(|state| state.archives.archives.get(&known.archive).map(|a| a.id.clone()));
        if !id.as_ref().is_some_and(same) {
            return Err(Halt::Failed(format!("Archive {} does not exist.", known.archive)));
        }
        // An archive that nothing came to yet has no log.
        let Some(log) = rules.store.find_log(&log_name(&known.archive_id)) else { return Ok(0) };
        let (runs, more, unreadable) = plan(rules, name, stop, &known, log).await?;
        for run in runs {
            send_run(rules, name, stop, log, run).await?;
        }
        if !more {
            return Ok(unreadable);
        }
    }
}

/// A replay as it stands, unless it is to end.
fn current(rules: &Rules, name: &str, stop: &Stop) -> Result<Replay, Halt> {
    if stop.is_set() {
        return Err(Halt::Stopped);
    }
    let known = rules.catalog.read(|state| state.archives.replays.get(name).cloned());
    match known {
        Some(known) if known.status == ReplayStatus::Cancelling => Err(Halt::Cancelled),
        Some(known) => Ok(known),
        None => Err(Halt::Stopped),
    }
}

/// Looks through the whole log for what is left: runs, whether there are more, and how many records cannot be read.
async fn plan(
    rules: &Rules,
    name: &str,
    stop: &Stop,
    known: &Replay,
    log: LogId,
) -> Result<(Vec<Run>, bool, u64), Halt> {
    let (mut plan, mut unreadable) = (Plan::new(known.place, REPLAY_RUNS), 0);
    let mut next = rules.store.extent(log).first;
    while next < known.until {
        current(rules, name, stop)?;
        let limit = ReadLimit { records: 10_000, bytes: 4 << 20 };
        let records = rules.store.read_over(log, next, limit, |lost, error| {
            unreadable += lost.end.min(known.until).saturating_sub(lost.start);
            tracing::error!(replay = name, ?lost, %error, "archived events cannot be read");
        })?;
        let Some(last) = records.last() else { break };
        next = last.index + 1;
        for record in records.into_iter().filter(|record| record.index < known.until) {
            match decode(record.data) {
                Ok((at, _)) if known.from <= at && at < known.to => plan.add(record.index, at),
                Ok(_) => {}
                Err(why) => return Err(Halt::Failed(format!("record {} cannot be read: {why}", record.index))),
            }
        }
        tokio::task::yield_now().await;
    }
    let (runs, more) = plan.finish();
    Ok((runs, more, unreadable))
}

/// Sends the events of one run, in batches; what was sent is noted after each.
async fn send_run(rules: &Rules, name: &str, stop: &Stop, log: LogId, run: Run) -> Result<(), Halt> {
    let mut next = run.first;
    while next <= run.last {
        let known = current(rules, name, stop)?;
        wait_for_room(rules, stop).await?;
        let limit = ReadLimit { records: REPLAY_BATCH, bytes: REPLAY_BATCH_BYTES };
        // What cannot be read was counted when the run was planned.
        let records = rules.store.read_over(log, next, limit, |_, _| {})?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.index + 1;
        let (mut envelopes, mut sent) = (Vec::new(), known.place.last);
        let (table, now) = (rules.table(), rules.world.now());
        let only: Option<Arc<[Arn]>> = (!known.only.is_empty()).then(|| known.only.clone().into());
        for record in records.into_iter().filter(|record| record.index <= run.last) {
            let (at, event) = decode(record.data).map_err(Halt::Failed)?;
            if minute(at) != run.minute || at < known.from || at >= known.to {
                continue;
            }
            let Some(body) = replayed(&event, name) else { continue };
            let incoming = Incoming {
                id: id(&event).unwrap_or_else(|| rules.world.uuid()),
                body,
                ingested: now,
                now,
                read_only: false,
                forwarded: false,
                only: only.clone(),
                trace: None,
            };
            if let Err(error) = rules.route(&table, &known.bus, &incoming, &mut envelopes) {
                tracing::warn!(replay = name, event = incoming.id, %error, "an archived event cannot be replayed");
            }
            sent = Some(at);
        }
        rules.delivery.send(envelopes).await?;
        let place = Place { minute: Some(run.minute), next: next.min(run.last + 1), last: sent };
        let moved = Change::Archive(ArchiveChange::ReplayMoved { name: name.to_owned(), place });
        rules.catalog.change(|_| Ok::<_, StoreError>((vec![moved], ()))).await?;
    }
    Ok(())
}

/// A replay is never the reason for a long backlog.
async fn wait_for_room(rules: &Rules, stop: &Stop) -> Result<(), Halt> {
    loop {
        let waiting: u64 = rules.delivery.status().iter().map(|lane| lane.waiting).sum();
        let (bytes, limit) = rules.delivery.backlog();
        if waiting < REPLAY_BACKLOG && bytes < limit {
            return Ok(());
        }
        if stop.is_set() {
            return Err(Halt::Stopped);
        }
        rules.world.clock.sleep(REPLAY_PAUSE).await;
    }
}
