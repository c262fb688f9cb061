//! Ends shards and opens others in their place, so that no record is lost, doubled or put on the wrong side.
//!
//! The new shards' logs are made first, while writing goes on. Then the stream's gate is shut: appends that are on their
//! way are waited for, and new ones wait. The parents' ends are read, and one change of the catalog closes the parents and
//! opens the children. When it is durable and everybody sees it, the gate opens. A crash before that change leaves the
//! parents open, and the work is begun again; a crash after it finds it done.

use crate::Streams;
use crate::live::LiveStream;
use crate::reshape::{Plan, Reshape};
use crate::state::{Change, Closed, Shard, log_name};
use names::Timestamp;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use store::{Appended, Batch, LogId, StoreError};
use wire::ApiError;

/// How many logs are made at once.
const LOGS_AT_ONCE: usize = 256;

/// Does what was asked for.
pub(crate) async fn reshard(streams: &Arc<Streams>, stream: &LiveStream, reshape: Reshape) -> Result<(), ApiError> {
    let (name, shards) = (&stream.def.name, &stream.def.shards);
    let plan = reshape.plan(shards);
    if plan.is_empty() {
        let change = Change::Settled { name: name.clone() };
        return streams.change(name.clone(), |_| Ok(vec![change])).await;
    }
    let logs = make_logs(streams, name, plan.births.iter().map(|birth| birth.number)).await?;
    let gate = stream.gate.clone().write_owned().await;
    let ends = ends(streams, &plan, shards).await?;
    let (closed, opened) = turn(&plan, shards, &logs, &ends, streams.world().now());
    let change = Change::Resharded { name: name.clone(), closed, opened };
    streams.change_behind(name.clone(), gate, |_| Ok(vec![change])).await
}

/// Makes the logs of shards, or finds them where a crash came after they were made. Many at once: they share the journal's
/// groups.
pub(crate) async fn make_logs(
    streams: &Streams,
    stream: &str,
    shards: impl Iterator<Item = u32>,
) -> Result<Vec<u64>, StoreError> {
    let names: Vec<String> = shards.map(|number| log_name(stream, number)).collect();
    let mut logs = Vec::with_capacity(names.len());
    for names in names.chunks(LOGS_AT_ONCE) {
        let mut asked: Vec<_> = names.iter().map(|name| Box::pin(streams.store().log(name))).collect();
        let mut made = vec![None; asked.len()];
        let all = poll_fn(|context| {
            for (asked, made) in asked.iter_mut().zip(&mut made).filter(|(_, made)| made.is_none()) {
                if let Poll::Ready(log) = asked.as_mut().poll(context) {
                    *made = Some(log);
                }
            }
            if made.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
        });
        all.await;
        for log in made.into_iter().flatten() {
            logs.push(log?.0);
        }
    }
    Ok(logs)
}

/// Where the shards that are to close end. An empty batch goes through the journal like any other, and so behind every
/// append that is on its way, also one whose caller has gone and no longer holds the gate.
async fn ends(streams: &Streams, plan: &Plan, shards: &[Shard]) -> Result<Vec<Appended>, StoreError> {
    streams.store().append(plan.ending(shards).map(|shard| Batch::new(LogId(shard.log))).collect()).await
}

/// What ends, and what begins in its place.
fn turn(
    plan: &Plan,
    shards: &[Shard],
    logs: &[u64],
    ends: &[Appended],
    now: Timestamp,
) -> (Vec<(u32, Closed)>, Vec<Shard>) {
    // Later than every record of the parents: who asks for what was open at the time of one finds its shard.
    let at = ends.iter().map(|end| Timestamp(end.at.micros() + 1)).fold(now, Timestamp::max);
    let closed = plan.ending(shards).zip(ends).map(|(shard, end)| (shard.number, Closed { at, position: end.first }));
    (closed.collect(), plan.shards(shards, logs, at))
}
