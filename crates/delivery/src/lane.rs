use crate::attempt::{attempt_all, caught};
use crate::backlog::{Backlog, Weight};
use crate::letter::{Failure, letter, shown};
use crate::limits::{AHEAD, LANE_IDLE, MAX_CONCURRENCY, OUT_FOR, READ_AHEAD, STORE_PAUSE, UNREADABLE_PAUSE};
use crate::retry::{Count, Next, next};
use crate::signals::LaneSignals;
use crate::{Delivery, Envelope, Settled, Verdict, attribute, codec};
use names::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use store::{Queue, QueueCounts, Received, StoreError};
use tokio::task::JoinSet;
use world::{Stop, World};

/// What a lane is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Its name: the target's ARN unless the target says otherwise.
    pub lane: String,
    /// Envelopes not on their way: new, delayed or between two tries.
    pub waiting: u64,
    /// Envelopes at the target now.
    pub in_flight: u64,
    /// About how many bytes all of them take.
    pub bytes: u64,
    /// What went wrong last, if nothing has gone right since.
    pub last_error: Option<String>,
    /// When the envelope that failed last is tried again.
    pub retry_at: Option<Timestamp>,
}

/// One backlog with its own concurrency.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) queue: Queue,
    pub(crate) weight: Weight,
    signals: LaneSignals,
    /// How many may be on their way. One until the first envelope tells whose lane it is.
    width: AtomicUsize,
    /// How many go together.
    batch: AtomicUsize,
    on_way: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the lane has a task.
    running: bool,
    last_error: Option<String>,
    retry_at: Option<Timestamp>,
    /// By message, how often its target was too busy to begin, or another before it had to come first. Known to this process only, as the tries are.
    busy: BTreeMap<u64, u32>,
}

impl Lane {
    pub(crate) fn new(world: &World, name: String, queue: Queue, backlog: &Arc<Backlog>) -> Lane {
        let weight = Weight::of(&queue, backlog);
        let signals = LaneSignals::new(world, &name);
        Lane {
            name,
            queue,
            weight,
            signals,
            width: AtomicUsize::new(1),
            batch: AtomicUsize::new(1),
            on_way: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Claims the right to start the lane's task.
    pub(crate) fn begin(&self) -> bool {
        !std::mem::replace(&mut self.state().running, true)
    }

    /// Ends the lane's task unless there is something to do: what is sent before this finds a task, what is sent after
    /// it starts one.
    fn end(&self) -> bool {
        let mut state = self.state();
        state.running = !self.is_empty();
        if !state.running {
            self.weight.emptied();
        }
        !state.running
    }

    /// Whether it has neither a task nor a backlog.
    pub(crate) fn is_idle(&self) -> bool {
        !self.state().running && self.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let QueueCounts { visible, in_flight, delayed } = self.queue.counts();
        visible + in_flight + delayed == 0
    }

    pub(crate) fn status(&self) -> LaneStatus {
        let QueueCounts { visible, in_flight, delayed } = self.queue.counts();
        let on_way = self.on_way.load(Relaxed) as u64;
        let state = self.state();
        LaneStatus {
            lane: self.name.clone(),
            waiting: (visible + in_flight + delayed).saturating_sub(on_way),
            in_flight: on_way,
            bytes: self.weight.bytes(),
            last_error: state.last_error.clone(),
            retry_at: state.retry_at,
        }
    }

    fn went_well(&self) {
        let mut state = self.state();
        (state.last_error, state.retry_at) = (None, None);
    }

    fn went_wrong(&self, code: &str, why: &str, retry_at: Option<Timestamp>) {
        let mut state = self.state();
        (state.last_error, state.retry_at) = (Some(format!("{code}: {}", shown(why))), retry_at);
    }

    /// The number of the try that a message is handed over for, the `received`th time.
    fn number(&self, id: u64, received: u32) -> u32 {
        received.saturating_sub(self.state().busy.get(&id).copied().unwrap_or(0))
    }

    /// Counts one more time that a message was handed to its target, the `received`th.
    fn count(&self, id: u64, received: u32, verdict: &Verdict) -> Count {
        let mut state = self.state();
        let busy = state.busy.get(&id).copied().unwrap_or(0);
        let count = Count { tries: received.saturating_sub(busy + 1), busy }.after(verdict);
        if count.busy > busy {
            state.busy.insert(id, count.busy);
        }
        count
    }

    /// Forgets what was counted of a message that is done.
    fn forget(&self, id: u64) {
        self.state().busy.remove(&id);
    }

    /// Whether one more may be on its way.
    fn has_room(&self) -> bool {
        self.on_way.load(Relaxed) < self.width.load(Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds this lock")
    }
}

/// The lane's task: keeps as many envelopes on their way as the target allows. A stop lets those under way end.
pub(crate) async fn run(delivery: Arc<Delivery>, lane: Arc<Lane>, mut stop: Stop) {
    let mut work = Work::default();
    let mut stopping = stop.is_set();
    while !(stopping && work.on_way.is_empty()) {
        if !stopping {
            work.set_out(&delivery, &lane).await;
        }
        let room = lane.has_room() && work.ahead.len() < AHEAD;
        tokio::select! {
            biased;
            () = stop.wait(), if !stopping => stopping = true,
            Some(done) = work.on_way.join_next() => {
                for done in done.expect("a carrier catches panics, and only dropping the set aborts it") {
                    lane.on_way.fetch_sub(1, Relaxed);
                    work.end(&lane, done).await;
                }
            }
            () = lane.queue.arrival(), if room && !stopping => {}
            () = delivery.world.clock.sleep(LANE_IDLE), if work.on_way.is_empty() => if lane.end() {
                return;
            },
        }
    }
}

/// What the lane's task has in hand.
#[derive(Default)]
struct Work {
    /// The tries under way. The set is the task's: when that is aborted, so are they.
    on_way: JoinSet<Vec<Done>>,
    /// Received, and waiting for a place: the journal is read in blocks, so one message costs as much as many.
    ahead: VecDeque<Ready>,
    /// Of all these.
    ids: BTreeSet<u64>,
    /// The orders of those under way: no two of one are.
    orders: BTreeSet<u64>,
}

/// An envelope in hand.
struct Ready {
    id: u64,
    tries: u32,
    bytes: u64,
    order: Option<u64>,
    envelope: Envelope,
}

/// A try that has ended.
struct Done {
    id: u64,
    order: Option<u64>,
    /// When it is tried again.
    again: Option<Timestamp>,
}

/// What an envelope is ordered by, as a number.
pub(crate) fn order(envelope: &Envelope) -> Option<u64> {
    // FNV-1a: stands on disk, and so must never change.
    let hash = |name: &String| {
        name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    envelope.attributes.get(attribute::ORDER).map(hash)
}

impl Work {
    /// Starts what is due, as far as there are places.
    async fn set_out(&mut self, delivery: &Arc<Delivery>, lane: &Arc<Lane>) {
        if self.next().is_none() && self.ahead.len() < AHEAD && lane.has_room() {
            self.receive(delivery, lane).await;
        }
        while lane.has_room() {
            let Some(ready) = self.next().and_then(|at| self.ahead.remove(at)) else { return };
            self.orders.extend(ready.order);
            let mut together = vec![ready];
            self.join(lane, &mut together);
            lane.on_way.fetch_add(together.len(), Relaxed);
            self.on_way.spawn(carry(delivery.clone(), lane.clone(), together));
        }
    }

    /// Adds what may go with an envelope: those at the front that are for the same ARN and ask for no order.
    fn join(&mut self, lane: &Lane, together: &mut Vec<Ready>) {
        let most = lane.batch.load(Relaxed).min(lane.width.load(Relaxed).saturating_sub(lane.on_way.load(Relaxed)));
        while together.len() < most && together[0].order.is_none() {
            let fits = |ready: &Ready| ready.order.is_none() && ready.envelope.to == together[0].envelope.to;
            if !self.ahead.front().is_some_and(fits) {
                return;
            }
            together.extend(self.ahead.pop_front());
        }
    }

    /// The first in hand that waits for no other.
    fn next(&self) -> Option<usize> {
        self.ahead.iter().position(|ready| ready.order.is_none_or(|order| !self.orders.contains(&order)))
    }

    /// A try has ended. Where it comes again, so do those in hand that are ordered behind it: together, and in order.
    async fn end(&mut self, lane: &Lane, done: Done) {
        self.ids.remove(&done.id);
        let Some(order) = done.order else { return };
        self.orders.remove(&order);
        let Some(again) = done.again else { return };
        for ready in self.ahead.iter().filter(|ready| ready.order == Some(order)) {
            self.ids.remove(&ready.id);
            // It was handed out and not tried.
            *lane.state().busy.entry(ready.id).or_default() += 1;
            postpone(lane, ready.id, again).await;
        }
        self.ahead.retain(|ready| ready.order != Some(order));
    }

    async fn receive(&mut self, delivery: &Delivery, lane: &Lane) {
        let received = match lane.queue.receive(READ_AHEAD.max(lane.batch.load(Relaxed)), OUT_FOR).await {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(lane = lane.name, %error, "a lane cannot be read");
                return delivery.world.clock.sleep(STORE_PAUSE).await;
            }
        };
        for Received { id, body, receives, .. } in received {
            // The wall clock may have jumped past `OUT_FOR` while it is in hand.
            if self.ids.contains(&id) {
                continue;
            }
            let bytes = body.len() as u64;
            match codec::decode(body) {
                Ok(envelope) => {
                    let target = delivery.targets.find(&envelope.to);
                    let (width, batch) =
                        target.map_or((1, 1), |t| (t.concurrency(&envelope.to), t.batch(&envelope.to)));
                    lane.width.store(width.clamp(1, MAX_CONCURRENCY), Relaxed);
                    lane.batch.store(batch.clamp(1, AHEAD), Relaxed);
                    self.ids.insert(id);
                    self.ahead.push_back(Ready { id, tries: receives, bytes, order: order(&envelope), envelope });
                }
                Err(why) => {
                    // Written by a newer program, perhaps: it stays until one comes that can read it.
                    tracing::error!(lane = lane.name, id, why, "an envelope cannot be read and stays where it is");
                    postpone(lane, id, delivery.world.now().plus(UNREADABLE_PAUSE)).await;
                }
            }
        }
    }
}

/// Carries each envelope once, and settles what follows from it, whatever happens.
async fn carry(delivery: Arc<Delivery>, lane: Arc<Lane>, together: Vec<Ready>) -> Vec<Done> {
    let mut tokens = Vec::with_capacity(together.len());
    let mut envelopes = Vec::with_capacity(together.len());
    for Ready { id, tries, bytes, order, mut envelope } in together {
        set_off(&delivery, &lane, id, tries, &mut envelope);
        tokens.push((id, tries, bytes, order));
        envelopes.push(envelope);
    }
    let verdicts = attempt_all(&delivery.world, &delivery.targets, &envelopes, false).await;
    let (mut all, mut accepted) = (Vec::with_capacity(tokens.len()), Vec::with_capacity(tokens.len()));
    for ((&(id, tries, bytes, order), envelope), verdict) in tokens.iter().zip(envelopes).zip(verdicts) {
        let why = match caught(settle(&delivery, &lane, id, tries, envelope, verdict)).await {
            Ok(Ok(Outcome::Again(at))) => {
                all.push(Done { id, order, again: Some(at) });
                continue;
            }
            Ok(Ok(Outcome::Over)) => {
                accepted.push((id, bytes));
                all.push(Done { id, order, again: None });
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("panic: {panic}"),
        };
        all.push(Done { id, order, again: Some(unsettled(&delivery, &lane, id, &why).await) });
    }
    let ids: Vec<u64> = accepted.iter().map(|(id, _)| *id).collect();
    match lane.queue.ack_all(&ids).await {
        Ok(()) => accepted.into_iter().for_each(|(id, bytes)| lane.weight.done(id, bytes)),
        Err(error) => {
            for done in all.iter_mut().filter(|done| done.again.is_none()) {
                done.again = Some(unsettled(&delivery, &lane, done.id, &error.to_string()).await);
            }
        }
    }
    all
}

/// An envelope that nothing is known of comes again.
async fn unsettled(delivery: &Delivery, lane: &Lane, id: u64, why: &str) -> Timestamp {
    tracing::error!(lane = lane.name, id, why, "a delivery was not settled and comes again");
    let again = delivery.world.now().plus(STORE_PAUSE);
    postpone(lane, id, again).await;
    again
}

/// What follows on a try.
enum Outcome {
    /// It is tried again then.
    Again(Timestamp),
    /// It may be acknowledged.
    Over,
}

async fn postpone(lane: &Lane, id: u64, until: Timestamp) {
    if let Err(error) = lane.queue.postpone(id, until).await {
        tracing::error!(lane = lane.name, id, %error, "an envelope could not be postponed");
    }
}

/// Counts a try that begins.
fn set_off(delivery: &Delivery, lane: &Lane, id: u64, received: u32, envelope: &mut Envelope) {
    lane.signals.invocations.record(1);
    if received > 1 {
        lane.signals.retries.record(1);
        envelope.attributes.insert(attribute::TRY.to_owned(), lane.number(id, received).to_string());
    } else {
        lane.signals.start_ms.record(delivery.world.now().since(envelope.created).as_millis() as u64);
        delivery.tell_start(envelope);
    }
}

/// Does what a verdict asks for, but for acknowledging.
async fn settle(
    delivery: &Delivery,
    lane: &Lane,
    id: u64,
    received: u32,
    mut envelope: Envelope,
    verdict: Verdict,
) -> Result<Outcome, StoreError> {
    envelope.attributes.remove(attribute::TRY);
    let now = delivery.world.now();
    let count = lane.count(id, received, &verdict);
    let tries = count.tries;
    let failure = match &verdict {
        Verdict::Accepted(answer) => {
            lane.signals.latency_ms.record(now.since(envelope.created).as_millis() as u64);
            lane.went_well();
            lane.forget(id);
            delivery.tell(&envelope, &Settled::Accepted { answer, tries });
            return Ok(Outcome::Over);
        }
        Verdict::Refused { code, why } => Failure { code: code.clone(), why: why.clone(), tries, exhausted: None },
        Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } => {
            match next(&envelope, count, &verdict, now, delivery.world.entropy.u64()) {
                Next::Pause(pause) => {
                    let again = now.plus(pause);
                    lane.went_wrong(code, why, Some(again));
                    let why = shown(why);
                    tracing::debug!(lane = lane.name, id = envelope.id, tries, code, why, ?pause, "a delivery waits");
                    lane.queue.postpone(id, again).await?;
                    return Ok(Outcome::Again(again));
                }
                Next::Over(exhausted) => {
                    Failure { code: code.clone(), why: why.clone(), tries, exhausted: Some(exhausted) }
                }
            }
        }
    };
    lane.went_wrong(&failure.code, &failure.why, None);
    give_up(delivery, lane, envelope, failure).await?;
    lane.forget(id);
    Ok(Outcome::Over)
}

/// Moves an envelope on: durable elsewhere when it returns.
async fn give_up(delivery: &Delivery, lane: &Lane, envelope: Envelope, failure: Failure) -> Result<(), StoreError> {
    lane.signals.failed.record(1);
    let now = delivery.world.now();
    tracing::warn!(
        lane = lane.name,
        id = envelope.id,
        tries = failure.tries,
        code = failure.code,
        why = shown(&failure.why),
        dead_letter = envelope.dead_letter.as_ref().map(tracing::field::display),
        "a delivery was given up"
    );
    delivery.tell(&envelope, &Settled::GivenUp(&failure));
    let target = delivery.targets.find(&envelope.to);
    let mut letters = target.map_or_else(Vec::new, |target| target.given_up(&envelope, &failure, now));
    if let Some(queue) = envelope.dead_letter.as_ref().filter(|_| letters.is_empty()) {
        letters.push(letter(&envelope, queue, &failure, now));
    }
    if letters.is_empty() {
        delivery.dead.keep(envelope, failure).await?;
        lane.signals.kept.record(1);
    } else {
        delivery.send(letters).await?;
        lane.signals.to_dead_letter.record(1);
    }
    Ok(())
}
