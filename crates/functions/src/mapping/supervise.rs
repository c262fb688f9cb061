//! The task of one mapping: runs what the catalog says, lets what is in hand finish when that changes, and tells when the
//! source is gone.

use super::live::Live;
use super::settings::Mapping;
use super::{Phase, Running, queue, stream};
use crate::functions::Functions;
use crate::limits;
use crate::state::Change;
use consume::{Cease, End, Kind};
use std::sync::Arc;
use store::StoreError;
use world::Stop;

pub(super) async fn supervise(functions: Arc<Functions>, uuid: String, running: Arc<Running>, stop: Stop) {
    let mut watch = running.watch();
    while !stop.is_set() {
        let cease = watch.look(&stop);
        let Some(mapping) = functions.catalog.read(|state| state.mappings.get(&uuid).cloned()) else {
            if let Err(error) = functions.mappings.checkpoints.forget(&uuid).await {
                tracing::warn!(%error, mapping = uuid, "the checkpoints of a deleted mapping stay");
            }
            if functions.dismiss_mapping(&uuid) {
                return;
            }
            continue;
        };
        if !mapping.enabled {
            running.rest(&watch, |seen| seen.phase = Phase::Disabled);
            cease.wait().await;
            continue;
        }
        running.rest(&watch, |seen| seen.phase = Phase::Enabled);
        match run(&functions, &mapping, &running, cease.clone()).await {
            End::Asked => {}
            End::Gone => disable(&functions, &mapping, &running).await,
            End::Fault(why) => {
                tracing::warn!(mapping = uuid, why, "an event source mapping ended, and will be started again");
                running.seen().result =
                    "PROBLEM: Lambda internal error. Please contact Lambda customer support.".to_owned();
                cease.pause(&*functions.world.clock, limits::RETRY_CAP).await;
            }
        }
    }
}

async fn run(functions: &Arc<Functions>, mapping: &Mapping, running: &Arc<Running>, cease: Cease) -> End {
    let live = match Live::new(functions, mapping, running, cease) {
        Ok(live) => live,
        Err(error) => return End::Fault(error.to_string()),
    };
    match mapping.kind() {
        Kind::Stream => match functions.neighbours.source(&mapping.source) {
            Some(source) => stream::run(live, source).await,
            None => End::Gone,
        },
        Kind::Queue => match functions.neighbours.inbox(&mapping.source) {
            Some(inbox) => queue::run(live, inbox).await,
            None => End::Gone,
        },
    }
}

/// Nothing will ever come of this source again, also where another is made under its name: its positions are other ones.
/// Who enables the mapping begins anew.
async fn disable(functions: &Functions, mapping: &Mapping, running: &Running) {
    let what = if mapping.kind() == Kind::Stream { "stream" } else { "queue" };
    tracing::warn!(mapping = mapping.uuid, source = %mapping.source, "the {what} of an event source mapping is gone");
    running.seen().result = format!("PROBLEM: The {what} does not exist.");
    let disabled = functions
        .catalog
        .change(|state| {
            let same = state.mappings.get(&mapping.uuid).filter(|known| *known == mapping);
            let reason = Some(format!(
                "The event source {} was deleted. To read one made anew under its name, enable the mapping.",
                mapping.source
            ));
            let change = same.map(|known| Mapping { enabled: false, reason, ..known.clone() });
            Ok::<_, StoreError>((change.map(|m| Change::PutMapping(Box::new(m))).into_iter().collect(), ()))
        })
        .await;
    if let Err(error) = disabled {
        tracing::warn!(%error, mapping = mapping.uuid, "a mapping without a source could not be disabled");
        functions.world.clock.sleep(limits::RETRY_CAP).await;
    }
}
