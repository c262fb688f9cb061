//! The woken door: a subscription that nobody confirms within three days is forgotten.

use crate::Topics;
use crate::limits::CONFIRM_TICK;
use crate::state::{Change, State};
use std::sync::Arc;
use store::StoreError;
use world::{Stage, Timestamp};

pub(crate) fn start(topics: &Arc<Topics>) {
    let topics = topics.clone();
    let tasks = topics.world.tasks.clone();
    tasks.spawn(Stage::Sources, "topics confirmations", move |mut stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = topics.world.clock.sleep(CONFIRM_TICK) => {}
            }
            let now = topics.world.now();
            let result = topics.catalog.change::<_, StoreError>(|state| Ok((overdue(state, now), ()))).await;
            if let Err(error) = result {
                tracing::warn!(%error, "unconfirmed subscriptions could not be forgotten; the next tick tries again");
            }
        }
    });
}

fn overdue(state: &State, now: Timestamp) -> Vec<Change> {
    let late = |(name, topic): (&String, &crate::state::Topic)| {
        let ids = topic
            .subscriptions
            .iter()
            .chain(&topic.ended)
            .filter(|(_, s)| s.pending_until.is_some_and(|until| until <= now));
        ids.map(|(id, _)| Change::Unsubscribed { topic: name.clone(), id: id.clone() }).collect::<Vec<_>>()
    };
    state.topics.iter().flat_map(late).collect()
}
