//! A pipe that empties a queue. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-sqs.html>

use crate::carry::{Batch, Ran};
use crate::item::Item;
use crate::limits;
use crate::live::Live;
use consume::shape::Origin;
use consume::{Dealt, Emptied, Emptier, End, Fate, Gathering, Growth, Inbox, Message, Taker};
use delivery::{Ordered, Try, Verdict};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::BoxFuture;

pub(crate) async fn run(live: Arc<Live>, inbox: Arc<dyn Inbox>) -> End {
    let reading = &live.pipe.reading;
    let gathering = Gathering { messages: reading.batch as usize, bytes: limits::PAYLOAD, window: reading.window() };
    let growth = Growth { step: limits::QUEUE_STEP, most: limits::QUEUE_MOST, after: limits::QUEUE_STEP_AFTER };
    let messages = Messages { live: live.clone(), is_fifo: inbox.is_fifo() };
    let emptier = Emptier::new(live.pipes.world.clone(), live.pipe.name.clone(), inbox, gathering, growth);
    End::of_queue(emptier.run(&live.cease, &messages).await)
}

/// Deals with the messages of a queue.
struct Messages {
    live: Arc<Live>,
    is_fifo: bool,
}

impl Messages {
    fn origin(&self) -> Origin<'_> {
        Origin { source: &self.live.pipe.source, shard: "", role: "" }
    }

    async fn carry(&self, messages: &[Message], visibility: Duration) -> Dealt {
        let (live, origin) = (&self.live, self.origin());
        let items: Vec<Item> = messages.iter().map(|message| Item::of_message(&origin, message)).collect();
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let count = live.first().fit(&live.sender(), &items);
        let batch = Batch { items: &items[..count], ids: &ids[..count], in_order: self.is_fifo };
        let ran = Mutex::new(Ran::Unreached);
        let attempt = || -> BoxFuture<'_, Verdict> {
            Box::pin(async {
                let (now, verdict) = live.carry(batch).await;
                *ran.lock().expect("no panic holds this lock") = now;
                verdict
            })
        };
        let last = || ran.lock().expect("no panic holds this lock").clone();
        // The queue brings back what failed; only what was not reached is tried again here.
        let again = |_: Try, _: &Verdict| last() == Ran::Unreached;
        let course = live.course(live.now(), visibility);
        let ordered = live.pipes.delivery.in_order_by(&course, live.cease.wait(), attempt, again).await;
        let fate = match last() {
            Ran::Through(failed) | Ran::Stuck(failed) => Fate::Through(failed),
            Ran::Failed => Fate::Failed,
            Ran::Unreached if ordered == Ordered::Stopped => Fate::Untouched,
            Ran::Unreached => Fate::Failed,
        };
        Dealt { count, fate }
    }
}

impl Taker for Messages {
    fn wants(&self, message: &Message) -> bool {
        self.live.filters.pass_message(&self.origin(), message)
    }

    fn handle<'a>(&'a self, messages: &'a [Message], visibility: Duration) -> BoxFuture<'a, Dealt> {
        Box::pin(self.carry(messages, visibility))
    }

    fn tell(&self, what: Emptied, messages: usize) {
        tracing::trace!(pipe = self.live.pipe.name, ?what, messages, "a pipe's queue");
    }
}
