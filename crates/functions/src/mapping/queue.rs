//! A mapping that empties a queue: batches side by side, each deleted after success; what failed stays invisible until its
//! visibility time-out brings it back. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use super::answer::Wanted;
use super::live::{Live, Reply};
use super::signals::Count;
use super::supervise::End;
use crate::event::{self, Origin};
use crate::limits;
use consume::{Inbox, InboxError, Message, ReadLimit, Set};
use delivery::{Ordered, Try, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(live: Arc<Live>, inbox: Arc<dyn Inbox>) -> End {
    let mut scale = Scale::new(live.mapping.concurrency, live.functions.world.clock.monotonic());
    let desk = QueueDesk { live, inbox };
    let mut flights: Set<'_, ()> = Set::new();
    let mut batch = Batch::default();
    let end = loop {
        match desk.step(&mut flights, &mut batch, &mut scale).await {
            Ok(false) => {}
            Ok(true) => break End::Asked,
            Err(InboxError::Gone(_)) => break End::Gone,
            Err(error) => break End::Fault(error.to_string()),
        }
    };
    desk.give_back(batch.messages).await;
    while flights.next().await.is_some() {}
    end
}

struct QueueDesk {
    live: Arc<Live>,
    inbox: Arc<dyn Inbox>,
}

/// Messages that are being gathered.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    /// By the monotonic clock: when it goes as it is.
    due: Option<Duration>,
}

/// How many invocations there may be at once: more from second to second while all of them are at work, as with AWS.
struct Scale {
    now: usize,
    most: usize,
    /// By the monotonic clock: since when it is so many.
    since: Duration,
}

impl Scale {
    fn new(most: Option<u32>, now: Duration) -> Scale {
        let most = most.map_or(limits::CONCURRENCY, |most| most as usize);
        Scale { now: limits::QUEUE_CONCURRENCY.min(most), most, since: now }
    }

    /// Whether there may be one more than `busy`.
    fn has_room(&mut self, busy: usize, now: Duration) -> bool {
        if busy == 0 {
            (self.now, self.since) = (limits::QUEUE_CONCURRENCY.min(self.most), now);
        }
        if busy >= self.now && self.next().is_some_and(|next| now >= next) {
            (self.now, self.since) = ((self.now + limits::QUEUE_CONCURRENCY).min(self.most), now);
        }
        busy < self.now
    }

    /// When there may be more.
    fn next(&self) -> Option<Duration> {
        (self.now < self.most).then(|| self.since.saturating_add(limits::QUEUE_SCALE_AFTER))
    }
}

impl QueueDesk {
    /// Takes what there is, sends off what is due, and waits for the next thing to happen; whether that was the end.
    async fn step<'a>(
        &'a self,
        flights: &mut Set<'a, ()>,
        batch: &mut Batch,
        scale: &mut Scale,
    ) -> Result<bool, InboxError> {
        let clock = &self.live.functions.world.clock;
        let free = scale.has_room(flights.len(), clock.monotonic());
        let room = self.room(batch);
        let took = free && room.is_some_and(|room| room.records > 0) && self.take(batch, room).await?;
        let now = clock.monotonic();
        let due = batch.due.is_some_and(|due| now >= due) || self.room(batch).is_none();
        if free && due && !batch.messages.is_empty() {
            let messages = std::mem::take(batch).messages;
            flights.push(Box::pin(self.process(messages)));
        }
        let free = scale.has_room(flights.len(), now);
        let due = if free { batch.due } else { scale.next() };
        let left = due.map(|due| due.saturating_sub(now));
        tokio::select! {
            biased;
            () = self.live.cease.wait() => return Ok(true),
            Some(()) = flights.next() => {}
            () = tokio::task::yield_now(), if took => {}
            () = self.inbox.arrival(), if free && !took => {}
            () = clock.sleep(left.unwrap_or_default()), if left.is_some() => {}
        }
        Ok(false)
    }

    /// What still fits into the batch; `None` where it is full.
    fn room(&self, batch: &Batch) -> Option<ReadLimit> {
        let records = (self.live.mapping.batch_size as usize).saturating_sub(batch.messages.len());
        let bytes = limits::SYNC_PAYLOAD.saturating_sub(batch.bytes);
        (records > 0 && bytes > 0).then_some(ReadLimit { records, bytes })
    }

    /// Takes messages; whether there were any. What no filter lets through is deleted.
    async fn take(&self, batch: &mut Batch, room: Option<ReadLimit>) -> Result<bool, InboxError> {
        let Some(room) = room else { return Ok(false) };
        let live = &self.live;
        let now = live.functions.world.clock.monotonic();
        let left = batch.due.map_or(live.mapping.window(), |due| due.saturating_sub(now));
        // The queue's time-out counts from the invocation, not from the waiting for a full batch.
        let visibility = self.inbox.visibility()?.saturating_add(left);
        let taken = self.inbox.receive(room, visibility).await?;
        if taken.is_empty() {
            return Ok(false);
        }
        live.signals.count(Count::Polled, taken.len());
        let origin = Origin { source: &live.mapping.source, shard: "", role: "" };
        let (wanted, others): (Vec<Message>, Vec<Message>) =
            taken.into_iter().partition(|message| live.filters.pass_message(&origin, message));
        if !others.is_empty() {
            live.signals.count(Count::FilteredOut, others.len());
            self.delete(&others).await;
        }
        if !wanted.is_empty() {
            batch.bytes += wanted.iter().map(|message| message.body.len()).sum::<usize>();
            batch.due.get_or_insert(now + live.mapping.window());
            batch.messages.extend(wanted);
        }
        Ok(true)
    }

    /// Invokes the function with messages, in as many parts as their size asks for.
    async fn process(&self, messages: Vec<Message>) {
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let count = self.invoke(rest).await;
            rest = &rest[count..];
        }
    }

    /// Invokes the function with as many of `messages` as fit, and deletes what it is through with; how many those were.
    async fn invoke(&self, messages: &[Message]) -> usize {
        let live = &self.live;
        let origin = Origin { source: &live.mapping.source, shard: "", role: "" };
        let write = |out: &mut Vec<u8>, message: &Message| event::message(out, &origin, message);
        let (body, count) = event::payload(messages, "}", limits::SYNC_PAYLOAD, write);
        let messages = &messages[..count];
        // After that others may have the messages.
        let max_age = self.inbox.visibility().unwrap_or_default();
        let envelope = live.envelope(body, live.now(), max_age);
        let wanted = Wanted { items: live.mapping.report, state: false };
        let mut failed: Option<Vec<String>> = None;
        let again = |this: Try, verdict: &Verdict| {
            live.signals.count(Count::Invoked, count);
            let reply = live.reply(verdict, wanted, this.number);
            let unreached = reply == Reply::Unreached;
            if let Reply::Answer(answer) = reply {
                live.tell("OK");
                failed = Some(answer.failed);
            } else {
                live.signals.count(Count::FailedInvoke, count);
            }
            // The queue brings back what the function failed on; only where it was not reached it is tried again here.
            unreached
        };
        let ordered = live.functions.delivery.in_order(&envelope, live.cease.wait(), again).await;
        let messages = messages.to_vec();
        match failed {
            Some(failed) => self.settle(messages, &failed).await,
            None if ordered == Ordered::Stopped => self.give_back(messages).await,
            None => {}
        }
        count
    }

    /// Deletes messages but those that failed. An item that is none of the batch's makes all of it fail.
    async fn settle(&self, messages: Vec<Message>, failed: &[String]) {
        let failed: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
        let (failures, through): (Vec<Message>, Vec<Message>) =
            messages.into_iter().partition(|message| failed.contains(message.id.as_str()));
        if failures.len() == failed.len() {
            self.delete(&through).await;
        }
        if !failed.is_empty() {
            self.live.signals.count(Count::FailedInvoke, failures.len());
        }
    }

    async fn delete(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let handles: Vec<String> = messages.iter().map(|message| message.handle.clone()).collect();
        match self.inbox.delete(&handles).await {
            Ok(()) => self.live.signals.count(Count::Deleted, handles.len()),
            // They come again, as they would at AWS.
            Err(error) => tracing::warn!(%error, mapping = %self.live.mapping.uuid, "messages could not be deleted"),
        }
    }

    async fn give_back(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let handles: Vec<String> = messages.into_iter().map(|message| message.handle).collect();
        if let Err(error) = self.inbox.give_back(&handles).await {
            tracing::debug!(%error, mapping = %self.live.mapping.uuid, "messages come back by themselves only");
        }
    }
}
