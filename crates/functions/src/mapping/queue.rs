//! A mapping that empties a queue. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use super::live::{Live, Reply};
use super::signals::Count;
use crate::{event, limits, lineage};
use consume::shape::Origin;
use consume::{Dealt, Emptied, Emptier, End, Fate, Gathering, Growth, Inbox, Message, Taker, Wanted};
use delivery::{Envelope, Ordered, Try, Verdict};
use names::TraceContext;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use world::BoxFuture;

pub(super) async fn run(live: Arc<Live>, inbox: Arc<dyn Inbox>) -> End {
    let mapping = &live.mapping;
    let gathering =
        Gathering { messages: mapping.batch_size as usize, bytes: limits::SYNC_PAYLOAD, window: mapping.window() };
    let growth = Growth {
        step: limits::QUEUE_CONCURRENCY,
        most: mapping.concurrency.map_or(limits::CONCURRENCY, |most| most as usize),
        after: limits::QUEUE_SCALE_AFTER,
    };
    let emptier = Emptier::new(live.functions.world.clone(), mapping.uuid.clone(), inbox, gathering, growth);
    End::of_queue(emptier.run(&live.cease, &Messages { live: live.clone() }).await)
}

/// Deals with the messages of a queue.
struct Messages {
    live: Arc<Live>,
}

impl Messages {
    fn origin(&self) -> Origin<'_> {
        Origin { source: &self.live.mapping.source, shard: "", role: "" }
    }

    /// The chain of invocations that messages come out of: of several, that in which the function is most often.
    /// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
    fn trace(&self, messages: &[Message]) -> Option<TraceContext> {
        let function = self.live.function();
        let name = function.resource_after("function:").and_then(|called| called.split(':').next()).unwrap_or_default();
        let own = self.live.functions.home.arn("lambda", &format!("function:{name}"));
        let headers = messages.iter().filter_map(|message| message.system.get("AWSTraceHeader"));
        let traces = headers.filter_map(|header| TraceContext::from_header(header));
        traces.max_by_key(|trace| lineage::extend(trace, &own).count)
    }

    /// Invokes the function with as many of `messages` as fit.
    async fn invoke(&self, messages: &[Message], visibility: Duration) -> Dealt {
        let (live, origin) = (&self.live, self.origin());
        let write = |out: &mut Vec<u8>, message: &Message| event::message(out, &origin, message);
        let (body, count) = event::payload(messages, "}", limits::SYNC_PAYLOAD, write);
        let trace = self.trace(&messages[..count]);
        let envelope = Envelope { trace, ..live.envelope(body, live.now(), visibility) };
        let wanted = Wanted { items: live.mapping.report, state: false };
        let mut failed: Option<Vec<String>> = None;
        let again = |this: Try, verdict: &Verdict| {
            live.signals.count(Count::Invoked, count);
            let reply = live.reply(verdict, wanted, this.number);
            let unreached = reply == Reply::Unreached;
            if let Reply::Answer(answer) = reply {
                failed = Some(answer.failed);
            } else {
                live.signals.count(Count::FailedInvoke, count);
            }
            // The queue brings back what the function failed on; only where it was not reached it is tried again here.
            unreached
        };
        let ordered = live.functions.delivery.in_order(&envelope, live.cease.wait(), again).await;
        let fate = match failed {
            Some(failed) => {
                let names: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
                let failures = messages[..count].iter().filter(|message| names.contains(message.id.as_str())).count();
                live.signals.count(Count::FailedInvoke, failures);
                Fate::Through(failed)
            }
            None if ordered == Ordered::Stopped => Fate::Untouched,
            None => Fate::Failed,
        };
        Dealt { count, fate }
    }
}

impl Taker for Messages {
    fn wants(&self, message: &Message) -> bool {
        self.live.filters.pass_message(&self.origin(), message)
    }

    fn handle<'a>(&'a self, messages: &'a [Message], visibility: Duration) -> BoxFuture<'a, Dealt> {
        Box::pin(self.invoke(messages, visibility))
    }

    fn tell(&self, what: Emptied, messages: usize) {
        let count = match what {
            Emptied::Taken => Count::Polled,
            Emptied::Unwanted => Count::FilteredOut,
            Emptied::Deleted => Count::Deleted,
        };
        self.live.signals.count(count, messages);
    }
}
