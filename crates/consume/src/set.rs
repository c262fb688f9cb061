use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use world::BoxFuture;

/// Futures that run together inside one future: each is polled only when it was woken, and dropping the set drops them at
/// once, which tasks of their own would not promise.
pub struct Set<'a, T> {
    futures: BTreeMap<u64, (BoxFuture<'a, T>, Arc<Flag>)>,
    next: u64,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken {
    /// Each future is in here at most once.
    queue: Mutex<VecDeque<u64>>,
    parent: Mutex<Option<Waker>>,
}

struct Flag {
    id: u64,
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        self.woken.queue.lock().expect("no panic holds this lock").push_back(self.id);
        let parent = self.woken.parent.lock().expect("no panic holds this lock").take();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl<T> Default for Set<'_, T> {
    fn default() -> Self {
        Set { futures: BTreeMap::new(), next: 0, woken: Arc::default() }
    }
}

impl<'a, T> Set<'a, T> {
    /// A set without futures.
    pub fn new() -> Set<'a, T> {
        Set::default()
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.futures.len()
    }

    /// Whether all of them have ended and were seen to.
    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// One more.
    pub fn push(&mut self, future: BoxFuture<'a, T>) {
        let flag = Arc::new(Flag { id: self.next, queued: AtomicBool::new(false), woken: self.woken.clone() });
        self.futures.insert(self.next, (future, flag.clone()));
        self.next += 1;
        flag.wake();
    }

    /// The output of the next future that ends; `None` while there is none in the set.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.futures.is_empty() {
            return Poll::Ready(None);
        }
        *self.woken.parent.lock().expect("no panic holds this lock") = Some(context.waker().clone());
        // A future that wakes itself waits for the next round, so that it starves nobody outside.
        let round = self.woken.queue.lock().expect("no panic holds this lock").len();
        for _ in 0..round {
            let Some(id) = self.woken.queue.lock().expect("no panic holds this lock").pop_front() else { break };
            let Some((future, flag)) = self.futures.get_mut(&id) else { continue };
            flag.queued.store(false, Ordering::Release);
            let waker = Waker::from(flag.clone());
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.futures.remove(&id);
                return Poll::Ready(Some(output));
            }
        }
        if !self.woken.queue.lock().expect("no panic holds this lock").is_empty() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn only_the_woken_is_polled() {
        let polls: [AtomicU32; 3] = Default::default();
        let bells: [Notify; 3] = Default::default();
        let mut set = Set::new();
        for i in 0..3 {
            let (polls, bells) = (&polls, &bells);
            set.push(Box::pin(async move {
                let mut rung = Box::pin(bells[i].notified());
                poll_fn(|context| {
                    polls[i].fetch_add(1, Ordering::Relaxed);
                    rung.as_mut().poll(context)
                })
                .await;
                i
            }));
        }
        bells[1].notify_one();
        assert_eq!(set.next().await, Some(1));
        bells[2].notify_one();
        assert_eq!(set.next().await, Some(2));
        bells[0].notify_one();
        assert_eq!(set.next().await, Some(0));
        assert_eq!(set.next().await, None);
        assert!(polls.iter().all(|p| p.load(Ordering::Relaxed) <= 2), "{polls:?}");
    }

    #[tokio::test]
    async fn one_that_is_always_ready_to_go_on_starves_nobody() {
        let mut set = Set::new();
        set.push(Box::pin(async {
            loop {
                tokio::task::yield_now().await;
            }
        }));
        set.push(Box::pin(async { 7 }));
        assert_eq!(set.next().await, Some(7));
        let outside = async { 8 };
        let won = tokio::select! { biased; out = set.next() => out, out = outside => Some(out) };
        assert_eq!(won, Some(8));
    }
}
