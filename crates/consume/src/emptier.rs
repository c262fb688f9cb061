//! Empties a queue: batches side by side, each deleted after success; what failed stays invisible until its visibility
//! time-out brings it back. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use crate::{Cease, Inbox, InboxError, Message, Set};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::ReadLimit;
use world::{BoxFuture, World};

/// What a consumer does with the messages of a queue.
pub trait Taker: Send + Sync {
    /// Whether a message is wanted. What is not is deleted.
    fn wants(&self, message: &Message) -> bool;
    /// Deals with as many of the messages, from the first, as fit; at least one. Several calls may be under way at once.
    /// After `visibility` others may have the messages.
    fn handle<'a>(&'a self, messages: &'a [Message], visibility: Duration) -> BoxFuture<'a, Dealt>;
    /// Is told what happens to messages.
    fn tell(&self, what: Emptied, messages: usize);
}

/// How a call of [`Taker::handle`] came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// How many messages it was about.
    pub count: usize,
    /// What is to become of those.
    pub fate: Fate,
}

/// What is to become of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All are dealt with but those with these ids. An id that is none of theirs makes all fail.
    Through(Vec<String>),
    /// None was tried: they may be taken again at once.
    Untouched,
    /// They come again by themselves.
    Failed,
}

/// What an emptier tells of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// They were taken.
    Taken,
    /// They were not wanted.
    Unwanted,
    /// They were dealt with and deleted.
    Deleted,
}

/// How messages are gathered into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// A batch holds at most so many messages,
    pub messages: usize,
    /// and about so many bytes of bodies.
    pub bytes: usize,
    /// How long to wait for a full batch.
    pub window: Duration,
}

/// How many batches are in hand at once: more from step to step while all of them are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// At first, and more at each step.
    pub step: usize,
    /// At most.
    pub most: usize,
    /// How long a step takes.
    pub after: Duration,
}

/// Empties one queue for one consumer.
pub struct Emptier {
    world: World,
    consumer: String,
    inbox: Arc<dyn Inbox>,
    gathering: Gathering,
    growth: Growth,
}

/// Messages that are being gathered.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    /// By the monotonic clock: when it goes as it is.
    due: Option<Duration>,
}

struct Scale {
    growth: Growth,
    now: usize,
    /// By the monotonic clock: since when it is so many.
    since: Duration,
}

impl Scale {
    fn new(growth: Growth, now: Duration) -> Scale {
        Scale { now: growth.step.min(growth.most), growth, since: now }
    }

    /// Whether there may be one more than `busy`.
    fn has_room(&mut self, busy: usize, now: Duration) -> bool {
        let Growth { step, most, .. } = self.growth;
        if busy == 0 {
            (self.now, self.since) = (step.min(most), now);
        }
        if busy >= self.now && self.next().is_some_and(|next| now >= next) {
            (self.now, self.since) = ((self.now + step).min(most), now);
        }
        busy < self.now
    }

    /// When there may be more.
    fn next(&self) -> Option<Duration> {
        (self.now < self.growth.most).then(|| self.since.saturating_add(self.growth.after))
    }
}

impl Emptier {
    /// One for a consumer, whose name is for logs.
    pub fn new(world: World, consumer: String, inbox: Arc<dyn Inbox>, gathering: Gathering, growth: Growth) -> Emptier {
        Emptier { world, consumer, inbox, gathering, growth }
    }

    /// Empties the queue until it is told to cease (then `Ok`), or the queue cannot be read. What is in a taker's hands by
    /// then is waited for.
    pub async fn run(&self, cease: &Cease, taker: &dyn Taker) -> Result<(), InboxError> {
        let mut scale = Scale::new(self.growth, self.world.clock.monotonic());
        let mut flights: Set<'_, ()> = Set::new();
        let mut batch = Batch::default();
        let end = loop {
            match self.step(cease, taker, &mut flights, &mut batch, &mut scale).await {
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.give_back(&batch.messages).await;
        while flights.next().await.is_some() {}
        end
    }

    /// Takes what there is, sends off what is due, and waits for the next thing to happen; whether that was the end.
    async fn step<'a>(
        &'a self,
        cease: &Cease,
        taker: &'a dyn Taker,
        flights: &mut Set<'a, ()>,
        batch: &mut Batch,
        scale: &mut Scale,
    ) -> Result<bool, InboxError> {
        if cease.is_set() {
            return Ok(true);
        }
        let clock = &self.world.clock;
        let free = scale.has_room(flights.len(), clock.monotonic());
        let room = self.room(batch);
        let took = free && room.is_some_and(|room| room.records > 0) && self.take(taker, batch, room).await?;
        let now = clock.monotonic();
        let due = batch.due.is_some_and(|due| now >= due) || self.room(batch).is_none();
        if free && due && !batch.messages.is_empty() {
            let messages = std::mem::take(batch).messages;
            flights.push(Box::pin(self.process(taker, messages)));
        }
        let free = scale.has_room(flights.len(), now);
        let due = if free { batch.due } else { scale.next() };
        let left = due.map(|due| due.saturating_sub(now));
        tokio::select! {
            biased;
            () = cease.wait() => return Ok(true),
            Some(()) = flights.next() => {}
            () = tokio::task::yield_now(), if took => {}
            () = self.inbox.arrival(), if free && !took => {}
            () = clock.sleep(left.unwrap_or_default()), if left.is_some() => {}
        }
        Ok(false)
    }

    /// What still fits into the batch; `None` where it is full.
    fn room(&self, batch: &Batch) -> Option<ReadLimit> {
        let records = self.gathering.messages.saturating_sub(batch.messages.len());
        let bytes = self.gathering.bytes.saturating_sub(batch.bytes);
        (records > 0 && bytes > 0).then_some(ReadLimit { records, bytes })
    }

    /// Takes messages; whether there were any. What is not wanted is deleted.
    async fn take(&self, taker: &dyn Taker, batch: &mut Batch, room: Option<ReadLimit>) -> Result<bool, InboxError> {
        let Some(room) = room else { return Ok(false) };
        let (now, window) = (self.world.clock.monotonic(), self.gathering.window);
        let left = batch.due.map_or(window, |due| due.saturating_sub(now));
        // The queue's time-out counts from the hand-over, not from the waiting for a full batch.
        let visibility = self.inbox.visibility()?.saturating_add(left);
        let taken = self.inbox.receive(room, visibility).await?;
        if taken.is_empty() {
            return Ok(false);
        }
        taker.tell(Emptied::Taken, taken.len());
        let (wanted, others): (Vec<Message>, Vec<Message>) =
            taken.into_iter().partition(|message| taker.wants(message));
        if !others.is_empty() {
            taker.tell(Emptied::Unwanted, others.len());
            self.delete(taker, others.iter()).await;
        }
        if !wanted.is_empty() {
            batch.bytes += wanted.iter().map(|message| message.body.len()).sum::<usize>();
            batch.due.get_or_insert(now + window);
            batch.messages.extend(wanted);
        }
        Ok(true)
    }

    /// Hands messages over, in as many parts as the taker asks for.
    async fn process(&self, taker: &dyn Taker, messages: Vec<Message>) {
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let visibility = self.inbox.visibility().unwrap_or_default();
            let Dealt { count, fate } = taker.handle(rest, visibility).await;
            let (these, others) = rest.split_at(count.clamp(1, rest.len()));
            match fate {
                Fate::Through(failed) => self.settle(taker, these, &failed).await,
                Fate::Untouched => self.give_back(these).await,
                Fate::Failed => {}
            }
            rest = others;
        }
    }

    /// Deletes messages but those that failed. An item that is none of the batch's makes all of it fail.
    async fn settle(&self, taker: &dyn Taker, messages: &[Message], failed: &[String]) {
        let failed: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
        let (failures, through): (Vec<&Message>, Vec<&Message>) =
            messages.iter().partition(|message| failed.contains(message.id.as_str()));
        if failures.len() == failed.len() {
            self.delete(taker, through.into_iter()).await;
        }
    }

    async fn delete(&self, taker: &dyn Taker, messages: impl Iterator<Item = &Message> + Send) {
        let handles: Vec<String> = messages.map(|message| message.handle.clone()).collect();
        if handles.is_empty() {
            return;
        }
        match self.inbox.delete(&handles).await {
            Ok(()) => taker.tell(Emptied::Deleted, handles.len()),
            // They come again, as they would at AWS.
            Err(error) => tracing::warn!(%error, consumer = self.consumer, "messages could not be deleted"),
        }
    }

    async fn give_back(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let handles: Vec<String> = messages.iter().map(|message| message.handle.clone()).collect();
        if let Err(error) = self.inbox.give_back(&handles).await {
            tracing::debug!(%error, consumer = self.consumer, "messages come back by themselves only");
        }
    }
}
