//! The woken door: schedules.

use crate::Rules;
use crate::agenda::{Scheduled, Tick, agenda};
use crate::entry;
use crate::limits::{LONGEST_SLEEP, RETRY_PAUSE};
use crate::route::{Incoming, trigger};
use crate::state::{Change, DEFAULT_BUS};
use bytes::Bytes;
use delivery::Claim;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use world::{Stage, Stop};

pub(crate) fn start(rules: &Arc<Rules>) {
    let clock = rules.clone();
    rules.world.tasks.spawn(Stage::Sources, "rules: schedules", |stop| run(clock, stop));
}

async fn run(rules: Arc<Rules>, mut stop: Stop) {
    loop {
        let pause = match tick(&rules).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "the schedules have to wait");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = rules.rescheduled.notified() => {}
            () = rules.world.clock.sleep(pause) => {}
        }
    }
}

/// Sends what is due and says how long to sleep. A crash between the sending and the noting repeats the tick.
async fn tick(rules: &Rules) -> Result<Duration, StoreError> {
    let (table, now) = (rules.table(), rules.world.now());
    let Some(bus) = table.bus(DEFAULT_BUS) else { return Ok(LONGEST_SLEEP) };
    let (ticks, next) = rules.catalog.read(|state| {
        let scheduled = bus.rules().iter().filter_map(|rule| {
            let since = state.rule(DEFAULT_BUS, &rule.name)?.since;
            Some(Scheduled { rule, schedule: rule.schedule.as_ref()?, since })
        });
        agenda(scheduled, now)
    });
    let (mut envelopes, mut changes) = (Vec::new(), Vec::new());
    for Tick { rule, due, since } in ticks {
        if let Some(due) = due {
            let id = rules.world.uuid();
            let body = Bytes::from(entry::scheduled(&rules.home, rule.arn.as_str(), &id, due));
            let incoming =
                Incoming { id, body, ingested: now, now, read_only: false, forwarded: false, only: None, trace: None };
            trigger(rule, &incoming, &mut envelopes).expect("the house's own event is one");
        }
        changes.push(Change::Ticked { rule: rule.name.to_string(), since });
    }
    if !envelopes.is_empty()
        && let Err(full) = rules.delivery.admit(Claim::Request)
    {
        tracing::warn!(%full, "the schedules have to wait");
        return Ok(RETRY_PAUSE);
    }
    if !changes.is_empty() {
        rules.delivery.send(envelopes).await?;
        rules.catalog.change(|_| Ok::<_, StoreError>((changes, ()))).await?;
    }
    Ok(next.map_or(LONGEST_SLEEP, |next| next.since(now).min(LONGEST_SLEEP)))
}
