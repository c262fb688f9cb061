use crate::attempt::{attempt, caught};
use crate::letter::{Failure, letter, shown};
use crate::limits::{LANE_IDLE, MAX_CONCURRENCY, OUT_FOR, READ_AHEAD, STORE_PAUSE, UNREADABLE_PAUSE};
use crate::retry::{Count, Next, next};
use crate::signals::LaneSignals;
use crate::{Delivery, Envelope, Verdict, codec};
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
    /// What went wrong last, if nothing has gone right since.
    pub last_error: Option<String>,
    /// When the envelope that failed last is tried again.
    pub retry_at: Option<Timestamp>,
}

/// One backlog with its own concurrency.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) queue: Queue,
    signals: LaneSignals,
    /// How many may be on their way. One until the first envelope tells whose lane it is.
    width: AtomicUsize,
    on_way: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the lane has a task.
    running: bool,
    last_error: Option<String>,
    retry_at: Option<Timestamp>,
    /// By message, how often its target was too busy to begin. Known to this process only, as the tries are.
    busy: BTreeMap<u64, u32>,
}

impl Lane {
    pub(crate) fn new(world: &World, name: String, queue: Queue) -> Lane {
        let signals = LaneSignals::new(world, &name);
        Lane { name, queue, signals, width: AtomicUsize::new(1), on_way: AtomicUsize::new(0), state: Mutex::default() }
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

    async fn done(&self, id: u64) -> Result<(), StoreError> {
        self.state().busy.remove(&id);
        self.queue.ack(id).await.map(|_| ())
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
        let free = work.on_way.len() < lane.width.load(Relaxed);
        tokio::select! {
            biased;
            () = stop.wait(), if !stopping => stopping = true,
            Some(done) = work.on_way.join_next() => {
                lane.on_way.fetch_sub(1, Relaxed);
                work.ids.remove(&done.expect("a carrier catches panics, and only dropping the set aborts it"));
            }
            () = lane.queue.arrival(), if free && !stopping => {}
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
    on_way: JoinSet<u64>,
    /// Received, and waiting for a place: the journal is read in blocks, so one message costs as much as many.
    ahead: VecDeque<(u64, u32, Envelope)>,
    /// Of all these.
    ids: BTreeSet<u64>,
}

impl Work {
    /// Starts what is due, as far as there are places.
    async fn set_out(&mut self, delivery: &Arc<Delivery>, lane: &Arc<Lane>) {
        if self.ahead.is_empty() && self.on_way.len() < lane.width.load(Relaxed) {
            self.receive(delivery, lane).await;
        }
        while self.on_way.len() < lane.width.load(Relaxed) {
            let Some((id, tries, envelope)) = self.ahead.pop_front() else { return };
            lane.on_way.fetch_add(1, Relaxed);
            self.on_way.spawn(carry(delivery.clone(), lane.clone(), id, tries, envelope));
        }
    }

    async fn receive(&mut self, delivery: &Delivery, lane: &Lane) {
        let received = match lane.queue.receive(READ_AHEAD, OUT_FOR).await {
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
            match codec::decode(body) {
                Ok(envelope) => {
                    let width = delivery.targets.find(&envelope.to).map_or(1, |t| t.concurrency(&envelope.to));
                    lane.width.store(width.clamp(1, MAX_CONCURRENCY), Relaxed);
                    self.ids.insert(id);
                    self.ahead.push_back((id, receives, envelope));
                }
                Err(why) => {
                    // Written by a newer program, perhaps: it stays until one comes that can read it.
                    tracing::error!(lane = lane.name, id, why, "an envelope cannot be read and stays where it is");
                    postpone(delivery, lane, id, UNREADABLE_PAUSE).await;
                }
            }
        }
    }
}

/// Carries one envelope once, and settles what follows from it. Returns its id, whatever happens.
async fn carry(delivery: Arc<Delivery>, lane: Arc<Lane>, id: u64, tries: u32, envelope: Envelope) -> u64 {
    let why = match caught(carry_once(&delivery, &lane, id, tries, envelope)).await {
        Ok(Ok(())) => return id,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panic: {panic}"),
    };
    tracing::error!(lane = lane.name, id, why, "a delivery was not settled and comes again");
    postpone(&delivery, &lane, id, STORE_PAUSE).await;
    id
}

async fn postpone(delivery: &Delivery, lane: &Lane, id: u64, by: std::time::Duration) {
    if let Err(error) = lane.queue.postpone(id, delivery.world.now().plus(by)).await {
        tracing::error!(lane = lane.name, id, %error, "an envelope could not be postponed");
    }
}

async fn carry_once(
    delivery: &Delivery,
    lane: &Lane,
    id: u64,
    received: u32,
    envelope: Envelope,
) -> Result<(), StoreError> {
    lane.signals.invocations.record(1);
    if received > 1 {
        lane.signals.retries.record(1);
    }
    let verdict = attempt(&delivery.world, &delivery.targets, &envelope).await;
    let now = delivery.world.now();
    let count = lane.count(id, received, &verdict);
    let tries = count.tries;
    let failure = match &verdict {
        Verdict::Accepted(_) => {
            lane.signals.latency_ms.record(now.since(envelope.created).as_millis() as u64);
            lane.went_well();
            return lane.done(id).await;
        }
        Verdict::Refused { code, why } => Failure { code: code.clone(), why: why.clone(), tries, exhausted: None },
        Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } => {
            match next(&envelope, count, &verdict, now, delivery.world.entropy.u64()) {
                Next::Pause(pause) => {
                    lane.went_wrong(code, why, Some(now.plus(pause)));
                    let why = shown(why);
                    tracing::debug!(lane = lane.name, id = envelope.id, tries, code, why, ?pause, "a delivery waits");
                    lane.queue.postpone(id, now.plus(pause)).await?;
                    return Ok(());
                }
                Next::Over(exhausted) => {
                    Failure { code: code.clone(), why: why.clone(), tries, exhausted: Some(exhausted) }
                }
            }
        }
    };
    lane.went_wrong(&failure.code, &failure.why, None);
    give_up(delivery, lane, envelope, failure).await?;
    lane.done(id).await
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
