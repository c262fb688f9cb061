//! A queue in memory, for the tests of whoever takes from queues: pipes and mappings.
#![allow(dead_code)] // each of them uses a part

use consume::{Inbox, InboxError, Message, ReadLimit};
use names::Arn;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use world::{BoxFuture, Clock};

/// A queue that the test fills: visible messages, and those that were taken with when they come back.
pub(crate) struct Queue {
    arn: Arn,
    clock: Arc<dyn Clock>,
    visible: Mutex<Vec<Message>>,
    taken: Mutex<Vec<(Duration, Message)>>,
    deleted: Mutex<Vec<String>>,
    bell: Notify,
    /// How often there was something to take.
    receives: Mutex<usize>,
    pub(crate) fifo: Mutex<bool>,
}

impl Queue {
    pub(crate) fn new(arn: &str, clock: Arc<dyn Clock>) -> Queue {
        Queue {
            arn: arn.parse().unwrap(),
            clock,
            visible: Mutex::default(),
            taken: Mutex::default(),
            deleted: Mutex::default(),
            bell: Notify::new(),
            receives: Mutex::default(),
            fifo: Mutex::default(),
        }
    }

    pub(crate) fn send(&self, bodies: &[&str]) {
        for body in bodies {
            let (id, handle) = (format!("id-{body}"), format!("handle-{body}"));
            let message = Message { handle, body: (*body).to_owned(), id, ..Message::default() };
            self.visible.lock().unwrap().push(message);
        }
        self.bell.notify_one();
    }

    /// How many messages others could take.
    pub(crate) fn visible(&self) -> usize {
        self.visible.lock().unwrap().len()
    }

    pub(crate) fn receives(&self) -> usize {
        *self.receives.lock().unwrap()
    }

    /// The bodies of what was deleted, sorted.
    pub(crate) fn deleted(&self) -> Vec<String> {
        let mut all = self.deleted.lock().unwrap().clone();
        all.sort();
        all
    }
}

impl Inbox for Queue {
    fn arn(&self) -> Arn {
        self.arn.clone()
    }
    fn is_fifo(&self) -> bool {
        *self.fifo.lock().unwrap()
    }
    fn visibility(&self) -> Result<Duration, InboxError> {
        Ok(Duration::from_secs(30))
    }
    fn receive(&self, limit: ReadLimit, visibility: Duration) -> BoxFuture<'_, Result<Vec<Message>, InboxError>> {
        Box::pin(async move {
            let now = self.clock.monotonic();
            let (mut visible, mut taken) = (self.visible.lock().unwrap(), self.taken.lock().unwrap());
            let back = taken.extract_if(.., |(until, _)| *until <= now).map(|(_, message)| message);
            visible.extend(back);
            let count = visible.len().min(limit.records);
            let out: Vec<Message> = visible.drain(..count).collect();
            *self.receives.lock().unwrap() += usize::from(count > 0);
            taken.extend(out.iter().map(|message| (now + visibility, message.clone())));
            Ok(out)
        })
    }
    fn arrival(&self) -> BoxFuture<'_, ()> {
        let next = self.taken.lock().unwrap().iter().map(|(until, _)| *until).min();
        let left = next.map_or(Duration::from_secs(1 << 30), |until| until.saturating_sub(self.clock.monotonic()));
        Box::pin(async move {
            tokio::select! {
                biased;
                () = self.bell.notified() => {}
                () = self.clock.sleep(left) => {}
            }
        })
    }
    fn delete<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            self.taken.lock().unwrap().retain(|(_, message)| !handles.contains(&message.handle));
            self.deleted.lock().unwrap().extend(handles.iter().map(|h| h.replace("handle-", "")));
            Ok(())
        })
    }
    fn give_back<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            let mut taken = self.taken.lock().unwrap();
            let back = taken.extract_if(.., |(_, message)| handles.contains(&message.handle));
            self.visible.lock().unwrap().extend(back.map(|(_, message)| message));
            self.bell.notify_one();
            Ok(())
        })
    }
}
