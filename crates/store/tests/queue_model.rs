//! The queue against a plain list of messages that is looked through from end to end, over thousands of histories with
//! crashes in them.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Message, Order, Queue, ReadLimit, Store, StoreOptions, Timestamp, Writer};
use world::World;
use world::disk::SimDisk;

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<(u64, u64)>),
    Receive(usize, usize, u64),
    Ack(Vec<usize>),
    Postpone(usize, u64),
    Repeat,
    Pass(u64),
    Forward(usize),
    Expire(u64),
    Purge,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let message = (0u64..4, prop_oneof![4 => Just(0u64), 1 => 1u64..40]);
    let step = prop_oneof![
        6 => proptest::collection::vec(message, 1..6).prop_map(Step::Send),
        8 => (1usize..6, prop_oneof![3 => Just(usize::MAX), 1 => 0usize..40], 0u64..40)
            .prop_map(|(max, bytes, secs)| Step::Receive(max, bytes, secs)),
        6 => proptest::collection::vec(0usize..30, 1..4).prop_map(Step::Ack),
        2 => (0usize..30, 0u64..40).prop_map(|(which, secs)| Step::Postpone(which, secs)),
        1 => Just(Step::Repeat),
        4 => (1u64..30).prop_map(Step::Pass),
        1 => (0usize..30).prop_map(Step::Forward),
        1 => (1u64..60).prop_map(Step::Expire),
        1 => Just(Step::Purge),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A message that is not acknowledged.
#[derive(Clone, Debug)]
struct Plain {
    group: u64,
    body: String,
    sent_at: Timestamp,
    due: Timestamp,
    in_flight: bool,
    receives: u32,
}

struct Model {
    order: Order,
    messages: BTreeMap<u64, Plain>,
    /// What was received last, for a repeat.
    last: Vec<(u64, u64, Timestamp)>,
}

impl Model {
    fn advance(&mut self, now: Timestamp) {
        for message in self.messages.values_mut().filter(|m| m.due <= now) {
            message.in_flight = false;
        }
    }

    /// Whether a message may be received, where `taken` are received by the same call.
    fn may_come(&self, id: u64, now: Timestamp, taken: &BTreeSet<u64>) -> bool {
        let message = &self.messages[&id];
        if message.due > now || taken.contains(&id) {
            return false;
        }
        let others = self.messages.iter().filter(|(other, m)| m.group == message.group && **other != id);
        self.order == Order::Loose
            || others.into_iter().all(|(other, m)| taken.contains(other) || !m.in_flight && *other > id)
    }

    fn totals(&self, now: Timestamp) -> (u64, u64) {
        let in_flight = self.messages.values().filter(|m| m.in_flight && m.due > now).count();
        (self.messages.len() as u64, in_flight as u64)
    }
}

struct Run {
    world: World,
    disk: Arc<SimDisk>,
    store: Store,
    queue: Queue,
    other: Queue,
    model: Model,
    forwarded: Vec<String>,
    sent: u64,
}

async fn open(world: &World, order: Order) -> (Store, Queue, Queue) {
    let options = StoreOptions { segment_bytes: 64 << 10, writer: Writer::Inline, ..StoreOptions::default() };
    let store = Store::open(world, Path::new("/data"), options).await.unwrap();
    let queue = Queue::open_as(&store, world, "q", order).await.unwrap();
    let other = Queue::open(&store, world, "other").await.unwrap();
    (store, queue, other)
}

impl Run {
    async fn new(order: Order) -> Run {
        let (world, disk) = World::simulated(1);
        let (store, queue, other) = open(&world, order).await;
        let model = Model { order, messages: BTreeMap::new(), last: Vec::new() };
        Run { world, disk, store, queue, other, model, forwarded: Vec::new(), sent: 0 }
    }

    async fn send(&mut self, messages: &[(u64, u64)]) {
        let now = self.world.now();
        let later = |secs: u64| now.plus(Duration::from_secs(secs));
        let bodies: Vec<String> = messages.iter().map(|_| self.next_body()).collect();
        let all = messages.iter().zip(&bodies).map(|((group, delay), body)| Message {
            body: body.clone().into(),
            not_before: (*delay > 0).then(|| later(*delay)),
            group: Some(*group),
        });
        let ids = self.queue.send(all.collect()).await.unwrap();
        for ((id, (group, delay)), body) in ids.into_iter().zip(messages).zip(bodies) {
            let (group, due) = (*group, later(*delay));
            let plain = Plain { group, body, sent_at: now, due, in_flight: false, receives: 0 };
            assert!(self.model.messages.insert(id, plain).is_none(), "an id is new");
        }
    }

    fn next_body(&mut self) -> String {
        self.sent += 1;
        format!("message {}", self.sent)
    }

    async fn receive(&mut self, max: usize, bytes: usize, secs: u64) {
        let now = self.world.now();
        self.model.advance(now);
        let visibility = Duration::from_secs(secs);
        let limit = ReadLimit { records: max, bytes };
        let got = self.queue.receive_up_to(limit, visibility).await.unwrap();
        let mut taken = BTreeSet::new();
        for message in &got {
            assert!(self.model.may_come(message.id, now, &taken), "{} may not come: {got:?}", message.id);
            taken.insert(message.id);
            let plain = self.model.messages.get_mut(&message.id).unwrap();
            assert_eq!(plain.body.as_bytes(), &message.body[..]);
            assert_eq!((plain.receives + 1, plain.sent_at), (message.receives, message.sent_at));
            (plain.receives, plain.due, plain.in_flight) = (message.receives, now.plus(visibility), true);
        }
        let size: usize = got.iter().map(|m| m.body.len()).sum();
        assert!(got.len() <= max && (size <= bytes || got.len() == 1));
        let more: Vec<u64> =
            self.model.messages.keys().copied().filter(|id| self.model.may_come(*id, now, &taken)).collect();
        if bytes == usize::MAX && got.len() < max {
            assert!(more.is_empty(), "{more:?} could have come as well");
        }
        assert!(!got.is_empty() || more.is_empty(), "at least one comes");
        self.model.last = got.iter().map(|m| (m.id, m.receipt, m.until)).collect();
    }

    async fn ack(&mut self, which: &[usize]) {
        let ids: Vec<u64> = which.iter().filter_map(|i| self.model.messages.keys().nth(*i).copied()).collect();
        let fresh = self.queue.ack_durable(&ids).await.unwrap();
        for (id, fresh) in ids.iter().zip(fresh) {
            assert_eq!(self.model.messages.remove(id).is_some(), fresh);
        }
    }

    async fn postpone(&mut self, which: usize, secs: u64) {
        let received = self.model.messages.iter_mut().filter(|(_, m)| m.receives > 0);
        let Some((id, message)) = received.into_iter().nth(which) else { return };
        let until = self.world.now().plus(Duration::from_secs(secs));
        // After a crash the queue may not know it any more.
        if self.queue.postpone(*id, until).await.unwrap() {
            (message.due, message.in_flight) = (until, true);
        }
    }

    async fn repeat(&mut self) {
        let now = self.world.now();
        self.model.advance(now);
        let last = self.model.last.clone();
        let same = last.iter().all(|(id, _, until)| {
            self.model.messages.get(id).is_some_and(|m| m.in_flight && m.due == *until && m.due > now)
        });
        let again = self.queue.repeat(&last, Duration::from_secs(9)).await.unwrap();
        assert_eq!(again.is_some(), same, "{last:?}");
        for message in again.into_iter().flatten() {
            let plain = self.model.messages.get_mut(&message.id).unwrap();
            assert_eq!((plain.body.as_bytes(), plain.receives), (&message.body[..], message.receives));
            plain.due = now.plus(Duration::from_secs(9));
        }
        self.model.last.clear();
    }

    async fn forward(&mut self, which: usize) {
        let Some((&id, plain)) = self.model.messages.iter().nth(which) else { return };
        let message = Message { body: plain.body.clone().into(), ..Message::default() };
        self.forwarded.push(plain.body.clone());
        self.queue.forward(&[id], &self.other, vec![message], Vec::new()).await.unwrap().durable().await.unwrap();
        self.model.messages.remove(&id);
    }

    async fn crash(&mut self) {
        self.disk.crash();
        (self.store, self.queue, self.other) = open(&self.world, self.model.order).await;
        let now = self.world.now();
        for message in self.model.messages.values_mut() {
            if message.receives > 0 {
                (message.due, message.receives, message.in_flight) = (now, 0, false);
            }
        }
        self.model.last.clear();
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Send(messages) => self.send(messages).await,
            Step::Receive(max, bytes, secs) => self.receive(*max, *bytes, *secs).await,
            Step::Ack(which) => self.ack(which).await,
            Step::Postpone(which, secs) => self.postpone(*which, *secs).await,
            Step::Repeat => self.repeat().await,
            Step::Pass(secs) => self.world.clock.sleep(Duration::from_secs(*secs)).await,
            Step::Forward(which) => self.forward(*which).await,
            Step::Expire(secs) => {
                let at = Timestamp(self.world.now().micros() - i64::try_from(secs * 1_000_000).unwrap());
                self.queue.expire(at).await.unwrap();
                self.model.messages.retain(|_, m| m.sent_at >= at);
            }
            Step::Purge => {
                self.queue.purge().await.unwrap();
                self.model.messages.clear();
            }
            Step::Crash => self.crash().await,
        }
        let now = self.world.now();
        self.model.advance(now);
        let counts = self.queue.counts();
        let total = counts.visible + counts.in_flight + counts.delayed;
        assert_eq!((total, counts.in_flight), self.model.totals(now), "after {step:?}");
    }

    /// Everything comes in the end, and all that was forwarded is at the other queue, once.
    async fn drain(&mut self) {
        self.world.clock.sleep(Duration::from_secs(3600)).await;
        while !self.model.messages.is_empty() {
            let before = self.model.messages.len();
            self.receive(5, usize::MAX, 60).await;
            let ids: Vec<u64> = self.model.last.iter().map(|(id, ..)| *id).collect();
            self.queue.ack_durable(&ids).await.unwrap();
            self.model.messages.retain(|id, _| !ids.contains(id));
            assert!(self.model.messages.len() < before);
        }
        let got = self.other.receive(1000, Duration::ZERO).await.unwrap();
        let got: Vec<String> = got.iter().map(|m| String::from_utf8(m.body.to_vec()).unwrap()).collect();
        assert_eq!(got, self.forwarded);
    }
}

fn run(order: Order, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut run = Run::new(order).await;
        for step in steps {
            run.take(step).await;
        }
        run.drain().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn groups_in_their_order(steps in steps()) {
        run(Order::Groups, &steps);
    }

    #[test]
    fn without_an_order(steps in steps()) {
        run(Order::Loose, &steps);
    }
}
