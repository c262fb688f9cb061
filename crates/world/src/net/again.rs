//! A connection that wakes itself while it is polled is polled again at once.
//!
//! The two halves of an HTTP/1.1 connection, the one that reads and the handler that waits for the body, live in one task and
//! wake each other twice a request. The scheduler would put that task behind all others and wake another thread for it, which
//! takes longer than the body does.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// As often is it polled again; then others have their turn.
const TURNS: usize = 8;

pub(super) struct Again<F: ?Sized> {
    bell: Arc<Bell>,
    waker: Waker,
    inner: Pin<Box<F>>,
}

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    /// Whoever polls will see that it was rung.
    heard: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// Has it wake the task of this context from now on.
    fn hang(&self, context: &Context<'_>) {
        let mut task = self.task.lock().expect("no panic holds this lock");
        match &mut *task {
            Some(waker) => waker.clone_from(context.waker()),
            None => *task = Some(context.waker().clone()),
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Exchanged, not stored: whoever polls has seen what was done before it rang.
        self.rung.swap(true, SeqCst);
        if !self.heard.load(SeqCst) {
            let task = self.task.lock().expect("no panic holds this lock").clone();
            task.into_iter().for_each(Waker::wake);
        }
    }
}

impl<F: Future> Again<F> {
    pub(super) fn new(inner: F) -> Again<F> {
        let bell = Arc::new(Bell::default());
        Again { waker: bell.clone().into(), bell, inner: Box::pin(inner) }
    }
}

impl<F: Future> Future for Again<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Again { bell, waker, inner } = &mut *self;
        bell.hang(context);
        for _ in 0..TURNS {
            bell.rung.swap(false, SeqCst);
            bell.heard.store(true, SeqCst);
            let polled = inner.as_mut().poll(&mut Context::from_waker(waker));
            // Who rings from now on wakes the task; who rang before is seen.
            bell.heard.store(false, SeqCst);
            if polled.is_ready() || !bell.rung.swap(false, SeqCst) {
                return polled;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often the task around is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// Wakes itself so many times before it is ready, and then waits for its waker to be taken.
    fn restless(times: usize) -> impl Future<Output = usize> {
        let mut polls = 0;
        std::future::poll_fn(move |context| {
            polls += 1;
            if polls > times {
                return Poll::Ready(polls);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn what_wakes_itself_is_polled_again_without_the_scheduler_but_not_for_ever() {
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut few = Again::new(restless(3));
        assert_eq!(Pin::new(&mut few).poll(&mut context), Poll::Ready(4));
        assert_eq!(woken.0.load(SeqCst), 0);
        let mut many = Again::new(restless(TURNS + 1));
        assert_eq!(Pin::new(&mut many).poll(&mut context), Poll::Pending);
        assert_eq!(woken.0.load(SeqCst), 1, "others have their turn");
        assert_eq!(Pin::new(&mut many).poll(&mut context), Poll::Ready(TURNS + 2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[allow(clippy::disallowed_methods)] // tasks on two threads are what is tested
    async fn no_wake_from_another_thread_is_lost() {
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<tokio::sync::oneshot::Sender<u32>>();
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                let _ = answer.send(1);
            }
        });
        let work = async move {
            let mut sum = 0;
            for _ in 0..100_000 {
                let (answer, answered) = tokio::sync::oneshot::channel();
                ask.send(answer).unwrap();
                sum += answered.await.unwrap();
            }
            sum
        };
        let sum = tokio::time::timeout(std::time::Duration::from_secs(60), tokio::spawn(Again::new(work))).await;
        assert_eq!(sum.expect("nobody waits for ever").unwrap(), 100_000);
    }
}
