//! A mapping that reads a stream: batches of each shard in order, a failing one blocking its own lane and no other, until
//! it succeeds or is given up.

use super::failure::{self, Last, Route};
use super::live::{Live, Reply};
use super::signals::Count;
use super::window::{self, Part, Window};
use crate::event;
use crate::limits;
use consume::shape::Origin;
use consume::{
    End, Follow, Gather, Handler, Outcome, Piece, Plan, Progress, Record, Rules, Source, Step, Turn, Wanted, Why,
    expiry,
};
use delivery::{Ordered, Try, Verdict};
use std::sync::Arc;
use std::time::Duration;
use world::BoxFuture;

/// Deals with the turns of a stream.
struct Batches {
    live: Arc<Live>,
    source: Arc<dyn Source>,
}

/// The walk is to end before the batch is dealt with.
struct Ended;

pub(super) async fn run(live: Arc<Live>, source: Arc<dyn Source>) -> End {
    let mapping = &live.mapping;
    let gather = Gather {
        records: mapping.batch_size as usize,
        // Base64 makes four bytes of three, and each record has its envelope; what is still too much is split.
        bytes: limits::SYNC_PAYLOAD / 4 * 3,
        window: mapping.window(),
        lanes: mapping.lanes as usize,
    };
    let walker = live.functions.walker(mapping, source.clone());
    let batches = Batches { live: live.clone(), source };
    End::of_walk(walker.run(live.cease.wait(), gather, &batches).await, &live.cease)
}

impl Handler for Batches {
    fn wants(&self, shard: &str, record: &Record) -> bool {
        let live = &self.live;
        live.signals.count(Count::Polled, 1);
        if live.filters.is_empty() {
            return true;
        }
        let origin = Origin { source: &live.mapping.source, shard, role: &live.role() };
        let pass = live.filters.pass_record(&origin, record);
        if !pass {
            live.signals.count(Count::FilteredOut, 1);
        }
        pass
    }

    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress> {
        Box::pin(async move {
            let dealt = match self.live.mapping.tumble_s {
                0 => self.deal(&turn, &turn.records, &mut None).await,
                width_s => self.tumble(&turn, Duration::from_secs(u64::from(width_s))).await,
            };
            if dealt.is_ok() { Progress::Done } else { Progress::Stop }
        })
    }
}

impl Batches {
    /// Puts records into their windows, and closes those that are over.
    async fn tumble(&self, turn: &Turn, width: Duration) -> Result<(), Ended> {
        let mut open = turn.note.as_ref().and_then(Window::read);
        let mut rest = &turn.records[..];
        loop {
            let (first, now) = (rest.first().map(|record| record.at), self.live.now());
            match window::next(&mut open, first, width, turn.ended, turn.tip, now) {
                window::Next::Fill(end) => {
                    let count = rest.iter().take_while(|record| record.at < end).count();
                    self.deal(turn, &rest[..count], &mut open).await?;
                    rest = &rest[count..];
                }
                window::Next::Close => {
                    if let Some(window) = open.take() {
                        self.finish(turn, &window, Part::Final).await?;
                    }
                    turn.mark(0, None);
                }
                window::Next::Wait => return Ok(()),
            }
        }
    }

    /// Deals with records: each is accepted by the function, or dropped and told of.
    async fn deal(&self, turn: &Turn, records: &[Record], open: &mut Option<Window>) -> Result<(), Ended> {
        let mapping = &self.live.mapping;
        let mut plan = Plan::new(records.len(), Rules { retries: mapping.retries, bisect: mapping.bisect });
        let mut last = Last::default();
        loop {
            match plan.next(self.expiry(turn, records, &plan)) {
                Step::Done => return Ok(()),
                Step::Drop(piece, why) => self.drop(turn, records, &piece, why, &last).await?,
                Step::Invoke(piece) => self.invoke(turn, records, &piece, &mut plan, open, &mut last).await?,
            }
            let reached = plan.done().checked_sub(1).map(|i| records[i].position + 1);
            match (reached, &*open) {
                (reached, Some(window)) => turn.mark(reached.unwrap_or(0), Some(window.note())),
                (Some(reached), None) => turn.reach(reached),
                (None, None) => {}
            }
        }
    }

    /// Which records are too old by now: for the mapping, or for the stream, which no longer keeps them.
    fn expiry<'r>(&self, turn: &Turn, records: &'r [Record], plan: &Plan) -> impl Fn(usize) -> bool + Send + use<'r> {
        let max_age = self.live.mapping.max_age_s.map(|s| Duration::from_secs(u64::from(s)));
        expiry(self.source.as_ref(), &turn.shard, records, plan, max_age, self.live.now())
    }

    /// Invokes the function with the first piece of the plan, or as much of it as fits, until the plan has another.
    async fn invoke(
        &self,
        turn: &Turn,
        records: &[Record],
        piece: &Piece,
        plan: &mut Plan,
        open: &mut Option<Window>,
        last: &mut Last,
    ) -> Result<(), Ended> {
        let (live, mapping) = (&self.live, &self.live.mapping);
        let role = live.role();
        let origin = Origin { source: &mapping.source, shard: &turn.shard, role: &role };
        let tail = open.as_ref().map_or_else(|| "}".to_owned(), |w| w.tail(Part::Some, &turn.shard, &mapping.source));
        let rest = &records[piece.range.clone()];
        let write = |out: &mut Vec<u8>, record: &Record| event::record(out, &origin, record);
        let (body, count) = event::payload(rest, &tail, limits::SYNC_PAYLOAD, write);
        plan.cut(count);
        let piece = &records[piece.range.start..piece.range.start + count];
        let (oldest, arrived) = (piece[0].at, piece[count - 1].at);
        // The last try is made when the first record is as old as it may be.
        let max_age = mapping.max_age_s.map_or(Duration::MAX, |s| Duration::from_secs(u64::from(s)));
        let envelope = live.envelope(body, oldest, max_age);
        last.request_id.clone_from(&envelope.id);
        let wanted = Wanted { items: mapping.report, state: open.is_some() };
        let mut state = None;
        let elapsed = live.stopwatch();
        let mut tried = None;
        let again = |this: Try, verdict: &Verdict| {
            live.signals.count(Count::Invoked, count);
            tried = Some(this);
            let reply = live.reply(verdict, wanted, this.number);
            let (outcome, error) = judge(reply, records, plan, &mut state);
            last.error = error.or(last.error);
            if outcome == Outcome::Success {
                live.through(arrived);
            } else {
                live.signals.count(Count::FailedInvoke, count);
            }
            let expired = self.expiry(turn, records, plan);
            plan.after(outcome) == Follow::Again && !expired(plan.done())
        };
        let ordered = live.functions.delivery.in_order(&envelope, live.cease.wait(), again).await;
        if let Some(last) = tried {
            live.paced(count, last, elapsed());
        }
        if let (Some(window), Some(state)) = (open.as_mut(), state)
            && window.carry(state)
        {
            self.finish(turn, window, Part::Early).await?;
            window.restart();
        }
        if ordered == Ordered::Stopped { Err(Ended) } else { Ok(()) }
    }

    /// The last invocation with a window's state: it is repeated until it succeeds.
    async fn finish(&self, turn: &Turn, window: &Window, part: Part) -> Result<(), Ended> {
        let live = &self.live;
        let tail = window.tail(part, &turn.shard, &live.mapping.source);
        let (body, _) = event::payload(&[], &tail, limits::SYNC_PAYLOAD, |_, (): &()| ());
        let envelope = live.envelope(body, live.now(), Duration::MAX);
        let again = |this: Try, verdict: &Verdict| {
            let reply = live.reply(verdict, Wanted::default(), this.number);
            !matches!(reply, Reply::Answer(_))
        };
        let ordered = live.functions.delivery.in_order(&envelope, live.cease.wait(), again).await;
        if ordered == Ordered::Stopped { Err(Ended) } else { Ok(()) }
    }

    /// Gives records up; where there is a destination, it is told, durably, before anything else happens.
    async fn drop(&self, turn: &Turn, records: &[Record], piece: &Piece, why: Why, last: &Last) -> Result<(), Ended> {
        let (live, records) = (&self.live, &records[piece.range.clone()]);
        let (mapping, count) = (&live.mapping, records.len());
        tracing::warn!(mapping = %mapping.uuid, shard = %turn.shard, count, ?why, "records are given up");
        live.signals.count(Count::Dropped, count);
        let Some(to) = &mapping.on_failure else { return Ok(()) };
        let route = Route { stream: &mapping.source, shard: &turn.shard, function: &live.function() };
        let body = failure::body(&route, records, piece, why, last, live.now());
        if let Err(error) = live.functions.delivery.send(vec![live.letter(to, body)]).await {
            tracing::warn!(%error, mapping = %mapping.uuid, "a destination could not be told of given up records");
            return Err(Ended);
        }
        live.signals.count(Count::ToDestination, count);
        Ok(())
    }
}

/// What a reply means for the first piece of the plan, and whether the function answered with an error. Takes the state to
/// carry on with, where the function got anywhere.
fn judge(reply: Reply, records: &[Record], plan: &Plan, state: &mut Option<String>) -> (Outcome, Option<bool>) {
    let from = plan.done();
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Failed { error } => return (Outcome::FailedAt(from), Some(error)),
        Reply::Unreached => return (Outcome::Unreached, None),
    };
    let outcome = plan.judge(&answer.failed, records.iter().map(|record| record.sequence.as_str()));
    if !matches!(outcome, Outcome::FailedAt(at) if at == from) {
        *state = answer.state;
    }
    (outcome, Some(false))
}
