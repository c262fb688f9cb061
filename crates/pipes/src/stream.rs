//! A pipe that reads a stream: batches of each shard in order, a failing one blocking its own lane and no other, until it
//! succeeds or is given up. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-kinesis.html>

use crate::carry::{Batch, Ran};
use crate::item::Item;
use crate::letter;
use crate::limits;
use crate::live::Live;
use consume::shape::Origin;
use consume::{
    End, Follow, Gather, Handler, Outcome, Piece, Plan, Progress, Record, Rules, Source, Step, Turn, Why, expiry,
};
use delivery::{Ordered, Try, Verdict};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::BoxFuture;

/// Deals with the turns of a stream.
struct Records {
    live: Arc<Live>,
    source: Arc<dyn Source>,
}

/// The walk is to end before the batch is dealt with.
struct Ended;

pub(crate) async fn run(live: Arc<Live>, source: Arc<dyn Source>) -> End {
    let reading = &live.pipe.reading;
    let gather = Gather {
        records: reading.batch as usize,
        // Base64 makes four bytes of three, and each record has its envelope; what is still too much is split.
        bytes: limits::PAYLOAD / 4 * 3,
        window: reading.window(),
        lanes: reading.lanes as usize,
    };
    let walker = live.pipes.walker(&live.pipe, source.clone());
    let records = Records { live: live.clone(), source };
    End::of_walk(walker.run(live.cease.wait(), gather, &records).await, &live.cease)
}

impl Handler for Records {
    fn wants(&self, shard: &str, record: &Record) -> bool {
        let live = &self.live;
        live.filters.is_empty() || live.filters.pass_record(&self.origin(shard), record)
    }

    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress> {
        Box::pin(async move {
            match self.deal(&turn).await {
                Ok(()) => Progress::Done,
                Err(Ended) => Progress::Stop,
            }
        })
    }
}

impl Records {
    fn origin<'a>(&'a self, shard: &'a str) -> Origin<'a> {
        Origin { source: &self.live.pipe.source, shard, role: self.live.pipe.role.as_str() }
    }

    /// Deals with records: each is accepted by the target, or dropped and told of.
    async fn deal(&self, turn: &Turn) -> Result<(), Ended> {
        let (records, reading) = (&turn.records[..], &self.live.pipe.reading);
        let mut plan = Plan::new(records.len(), Rules { retries: reading.retries, bisect: reading.bisect });
        loop {
            match plan.next(self.expiry(turn, &plan)) {
                Step::Done => return Ok(()),
                Step::Drop(piece, why) => self.drop(turn, &piece, why).await?,
                Step::Invoke(piece) => self.carry(turn, &piece, &mut plan).await?,
            }
            if let Some(last) = plan.done().checked_sub(1) {
                turn.reach(records[last].position + 1);
            }
        }
    }

    fn expiry<'r>(&self, turn: &'r Turn, plan: &Plan) -> impl Fn(usize) -> bool + Send + use<'r> {
        let max_age = self.live.pipe.reading.max_age();
        expiry(self.source.as_ref(), &turn.shard, &turn.records, plan, max_age, self.live.now())
    }

    /// Carries the first piece of the plan, or as much of it as fits, until the plan has another.
    async fn carry(&self, turn: &Turn, piece: &Piece, plan: &mut Plan) -> Result<(), Ended> {
        let (live, origin) = (&self.live, self.origin(&turn.shard));
        let records = &turn.records[piece.range.clone()];
        let items: Vec<Item> = records.iter().map(|record| Item::of_record(&origin, record)).collect();
        let id = |record: &Record| format!("{}:{}", turn.shard, record.sequence);
        let ids: Vec<String> = records.iter().map(id).collect();
        let count = live.first().fit(&live.sender(), &items);
        plan.cut(count);
        let batch = Batch { items: &items[..count], ids: &ids[..count], in_order: true };
        let ran = Mutex::new(Ran::Unreached);
        let attempt = || -> BoxFuture<'_, Verdict> {
            Box::pin(async {
                let (now, verdict) = live.carry(batch).await;
                *ran.lock().expect("no panic holds this lock") = now;
                verdict
            })
        };
        let again = |_: Try, _: &Verdict| {
            let outcome = match &*ran.lock().expect("no panic holds this lock") {
                Ran::Through(failed) => plan.judge(failed, turn.records.iter().map(id)),
                Ran::Stuck(failed) => match plan.judge(failed, turn.records.iter().map(id)) {
                    Outcome::FailedAt(at) => Outcome::Until(at),
                    other => other,
                },
                Ran::Failed => Outcome::FailedAt(plan.done()),
                Ran::Unreached => Outcome::Unreached,
            };
            let expired = self.expiry(turn, plan);
            plan.after(outcome) == Follow::Again && !expired(plan.done())
        };
        // The last try is made when the first record is as old as it may be.
        let course = live.course(records[0].at, live.pipe.reading.max_age().unwrap_or(Duration::MAX));
        let ordered = live.pipes.delivery.in_order_by(&course, live.cease.wait(), attempt, again).await;
        if ordered == Ordered::Stopped { Err(Ended) } else { Ok(()) }
    }

    /// Gives records up; where there is a dead-letter target, it is told, durably, before anything else happens.
    async fn drop(&self, turn: &Turn, piece: &Piece, why: Why) -> Result<(), Ended> {
        let (live, records) = (&self.live, &turn.records[piece.range.clone()]);
        let pipe = &live.pipe;
        tracing::warn!(pipe = pipe.name, shard = %turn.shard, count = records.len(), ?why, "records are given up");
        let Some(to) = &pipe.reading.dead_letter else { return Ok(()) };
        let body = letter::body(&live.arn, &pipe.source, &turn.shard, records, (why, piece.invokes), live.now());
        if let Err(error) = live.pipes.delivery.send(vec![live.letter(to, body)]).await {
            tracing::warn!(%error, pipe = pipe.name, "a dead-letter target could not be told of given up records");
            return Err(Ended);
        }
        Ok(())
    }
}
