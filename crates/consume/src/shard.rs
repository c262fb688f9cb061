//! One shard's walk: reads as there is room, hands over what is due, and waits for whatever comes next.

use crate::desk::{Desk, Mark, Work};
use crate::lanes::Lanes;
use crate::limits::FAULT_PAUSE;
use crate::set::Set;
use crate::walk::Walk;
use crate::{Progress, Record, SourceError, Start, Turn};
use names::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How a shard's walk ended.
pub(crate) enum End {
    /// All its records were dealt with, or it is gone.
    Done,
    /// The walk is halting, or is to.
    Halted,
    /// The source is gone.
    Gone(SourceError),
}

struct ShardWalk<'a> {
    walk: &'a Walk<'a>,
    id: Arc<str>,
    desk: Arc<Desk>,
    /// Batches in handlers' hands.
    flights: Set<'a, Landing>,
    /// Nothing was left when the source was read last.
    tip: bool,
    faults: u32,
    /// By the monotonic clock: no reading before this, after a fault or where the source asked to wait.
    read_at: Duration,
    /// By the monotonic clock: no waking before this, after a handler that was woken and did not move its note.
    wake_from: Duration,
}

/// A handler's answer.
struct Landing {
    lane: usize,
    progress: Progress,
    /// When the last of its records had arrived, and how many they were.
    last: Option<(Timestamp, usize)>,
    /// When it had asked to be woken.
    woken_for: Option<Timestamp>,
}

pub(crate) async fn walk_shard<'a>(walk: &'a Walk<'a>, shard: &str) -> End {
    let mut halt = walk.halt.subscribe();
    let mark = match begin(walk, shard, &mut halt).await {
        Ok(mark) => mark,
        Err(end) => return end,
    };
    let id: Arc<str> = shard.into();
    let lanes = Lanes::new(walk.gather, mark.position);
    let desk = Desk::new(id.clone(), lanes, mark.note, walk.noted.clone());
    let shard = ShardWalk {
        walk,
        id,
        desk,
        flights: Set::new(),
        tip: false,
        faults: 0,
        read_at: Duration::ZERO,
        wake_from: Duration::ZERO,
    };
    shard.run(halt).await
}

/// Where to begin: at the checkpoint, or with the first record of a shard that was not there when the consumer was pinned.
async fn begin(walk: &Walk<'_>, shard: &str, halt: &mut watch::Receiver<bool>) -> Result<Mark, End> {
    let mut faults = 0;
    loop {
        if let Some(mark) = walk.walker.checkpoints.mark(&walk.walker.consumer, shard) {
            return Ok(mark);
        }
        match walk.walker.source.start_at(shard, Start::TrimHorizon) {
            Ok(position) => return Ok(Mark { position, note: None }),
            Err(error @ SourceError::Gone(_)) => return Err(End::Gone(error)),
            Err(SourceError::NoShard(_)) => return Err(End::Done),
            Err(error) => walk.complain(&error, "a shard cannot be read"),
        }
        faults += 1;
        tokio::select! {
            biased;
            _ = halt.wait_for(|halt| *halt) => return Err(End::Halted),
            () = walk.walker.world.clock.sleep(walk.pause(faults)) => {}
        }
    }
}

impl<'a> ShardWalk<'a> {
    async fn run(mut self, mut halt: watch::Receiver<bool>) -> End {
        loop {
            if *halt.borrow() {
                return self.drain().await;
            }
            self.dispatch();
            if self.is_done() {
                return End::Done;
            }
            let busy = match self.read() {
                Ok(busy) => busy,
                Err(error) => {
                    self.drain().await;
                    return End::Gone(error);
                }
            };
            if self.wait(&mut halt, busy).await == Progress::Stop {
                return self.drain().await;
            }
        }
    }

    /// Nothing more is handed over; what is in hand is waited for.
    async fn drain(&mut self) -> End {
        while let Some(landing) = self.flights.next().await {
            self.land(&landing);
        }
        End::Halted
    }

    fn is_done(&self) -> bool {
        let work = self.desk.work();
        self.flights.is_empty() && work.lanes.has_ended() && work.lanes.is_empty() && work.note.is_none()
    }

    /// Hands over every batch that is due.
    fn dispatch(&mut self) {
        let clock = &self.walk.walker.world.clock;
        let now = clock.monotonic();
        loop {
            let turn = {
                let mut work = self.desk.work();
                let due = work.lanes.ready(now).map(|(lane, records)| (lane, records, None));
                due.or_else(|| self.woken(&mut work, now)).map(|(lane, records, woken_for)| {
                    let ended = work.lanes.has_ended() && !work.lanes.has_waiting(lane);
                    let note = work.note.clone();
                    let (shard, desk) = (self.id.clone(), self.desk.clone());
                    (Turn { shard, records, tip: self.tip, ended, note, lane, desk }, woken_for)
                })
            };
            let Some((turn, woken_for)) = turn else { return };
            let (handler, lane) = (self.walk.handler, turn.lane);
            let last = turn.records.last().map(|record| (record.at, turn.records.len()));
            self.flights.push(Box::pin(async move {
                let progress = handler.handle(turn).await;
                Landing { lane, progress, last, woken_for }
            }));
        }
    }

    /// What is there of the first lane, where the handler asked to be called by now or the shard has ended.
    fn woken(&self, work: &mut Work, now: Duration) -> Option<(usize, Vec<Record>, Option<Timestamp>)> {
        let wake_at = work.note.as_ref()?.wake_at;
        let due = work.lanes.has_ended() || self.walk.walker.world.now() >= wake_at;
        let all_read = self.tip || work.lanes.room().is_none();
        if !due || !all_read || now < self.wake_from {
            return None;
        }
        work.lanes.early(0, now).map(|records| (0, records, Some(wake_at)))
    }

    /// Reads what there is room for; whether it did, and so knows more than before.
    fn read(&mut self) -> Result<bool, SourceError> {
        let now = self.walk.walker.world.clock.monotonic();
        let (room, next) = {
            let work = self.desk.work();
            (work.lanes.room(), work.lanes.next())
        };
        let Some(room) = room.filter(|_| !self.tip && now >= self.read_at) else { return Ok(false) };
        let chunk = match self.walk.walker.source.read(&self.id, next, room) {
            Ok(chunk) => chunk,
            Err(error @ SourceError::Gone(_)) => return Err(error),
            Err(SourceError::NoShard(_)) => {
                self.desk.work().lanes.end();
                return Ok(true);
            }
            Err(SourceError::NotYet(wait)) => {
                self.read_at = now + wait;
                return Ok(false);
            }
            Err(error) => {
                self.faults += 1;
                self.walk.complain(&error, "a shard cannot be read");
                self.read_at = now + self.walk.pause(self.faults);
                return Ok(false);
            }
        };
        self.faults = 0;
        self.tip = chunk.records.is_empty();
        let news = chunk.next != next;
        let handler = self.walk.handler;
        self.desk.work().lanes.take(chunk, now, |record| handler.wants(&self.id, record));
        if news {
            self.desk.note();
        }
        Ok(true)
    }

    /// Waits for the first thing to happen, unless `busy`; what a handler answers is passed on.
    async fn wait(&mut self, halt: &mut watch::Receiver<bool>, busy: bool) -> Progress {
        let (clock, source) = (&self.walk.walker.world.clock, &self.walk.walker.source);
        let (next, hungry, timer) = {
            let work = self.desk.work();
            (work.lanes.next(), work.lanes.room().is_some(), self.timer(&work))
        };
        let faulty = clock.monotonic() < self.read_at;
        tokio::select! {
            biased;
            _ = halt.wait_for(|halt| *halt) => {}
            Some(landing) = self.flights.next() => {
                self.land(&landing);
                return landing.progress;
            }
            () = source.changed(&self.id, next), if hungry && !faulty && !busy => self.tip = false,
            // A source that always has more, and a handler that never waits, starve nobody.
            () = tokio::task::yield_now(), if busy => {}
            () = clock.sleep(timer.unwrap_or_default()), if timer.is_some() && !busy => self.tip = false,
        }
        Progress::Done
    }

    /// How long until something is due by itself.
    fn timer(&self, work: &Work) -> Option<Duration> {
        let world = &self.walk.walker.world;
        let now = world.clock.monotonic();
        let after_fault = Some(self.read_at).filter(|at| *at > now);
        // A handler that is at work is not woken, and none is before all was read.
        let wake = work.note.as_ref().filter(|_| self.flights.is_empty() && after_fault.is_none());
        let wake = wake.map(|note| (now + note.wake_at.since(world.now())).max(self.wake_from));
        let all = [work.lanes.deadline(), after_fault, wake];
        all.into_iter().flatten().min().map(|at| at.saturating_sub(now))
    }

    fn land(&mut self, landing: &Landing) {
        let world = &self.walk.walker.world;
        if landing.progress == Progress::Stop {
            return;
        }
        let unmoved = {
            let mut work = self.desk.work();
            work.lanes.landed(landing.lane);
            let wake_at = work.note.as_ref().map(|note| note.wake_at);
            if landing.woken_for.is_some() && work.lanes.has_ended() && work.lanes.is_empty() {
                // The shard's last call: a note that outlives it has no use.
                work.note = None;
            }
            landing.woken_for.is_some() && landing.woken_for == wake_at
        };
        if unmoved {
            self.wake_from = world.clock.monotonic() + FAULT_PAUSE;
        }
        self.desk.note();
        if let Some((at, count)) = landing.last {
            self.walk.signals.age_ms.record(world.now().since(at).as_millis() as u64);
            self.walk.signals.records.record(count as u64);
        }
    }
}
