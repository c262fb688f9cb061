//! Answers that their clients have not taken yet.
//!
//! A client of HTTP/2 may acknowledge every byte that TCP brings and open no window: its answers then wait inside the
//! connection, as many as it has streams, for as long as it likes. A client of HTTP/1 may ask for much and read nothing. So large
//! answers are counted until the connection has let go of them.
//!
//! No answer is refused for that: what its handler has done, such as to hand out a message, would be done for nobody. The bounds
//! are before the handlers. While an eighth of what may wait in the house waits on one connection, its further requests wait. While
//! all of it is taken, requests whose answers may be large are refused; all others are served. Answers that are being made when a
//! bound is reached go past it.
//!
//! Of an answer that comes in pieces one piece is on its way at a time, and needs no count: streams are not to hold up one another.
//!
//! A stream whose client takes nothing of a piece for long is reset; one on which nothing waits may be silent.

use super::{Body, Broken};
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep};

/// Answers up to this size are not watched: a stream of HTTP/2 costs as much by itself.
const SMALL: usize = 4 << 10;
/// A large answer is handed over in pieces of this size.
const PIECE: usize = 1 << 20;

/// What waits in the house.
pub(super) struct Answers {
    held: AtomicUsize,
    limit: usize,
}

impl Answers {
    pub(super) fn new(limit: usize) -> Arc<Answers> {
        Arc::new(Answers { held: AtomicUsize::new(0), limit })
    }

    /// Whether nothing more is to be made that may have to wait.
    pub(super) fn are_full(&self) -> bool {
        self.held.load(SeqCst) >= self.limit
    }
}

/// What waits on one connection.
pub(super) struct Share {
    held: AtomicUsize,
    /// Rung when it is low again.
    low: Notify,
    answers: Arc<Answers>,
}

impl Share {
    pub(super) fn new(answers: &Arc<Answers>) -> Arc<Share> {
        Arc::new(Share { held: AtomicUsize::new(0), low: Notify::new(), answers: answers.clone() })
    }

    fn limit(&self) -> usize {
        self.answers.limit / 8
    }

    fn is_low(&self) -> bool {
        self.held.load(SeqCst) < self.limit()
    }

    /// Waits until this connection holds less than its share.
    pub(super) async fn low(&self) {
        loop {
            let rung = self.low.notified();
            if self.is_low() {
                return;
            }
            rung.await;
        }
    }

    fn hold(self: &Arc<Share>, bytes: usize) -> Arc<Hold> {
        self.held.fetch_add(bytes, SeqCst);
        self.answers.held.fetch_add(bytes, SeqCst);
        Arc::new(Hold { bytes, share: self.clone() })
    }
}

/// Bytes that wait.
struct Hold {
    bytes: usize,
    share: Arc<Share>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let share = &self.share;
        share.answers.held.fetch_sub(self.bytes, SeqCst);
        let before = share.held.fetch_sub(self.bytes, SeqCst);
        if before >= share.limit() && share.is_low() {
            share.low.notify_waiters();
        }
    }
}

/// A piece in the hands of the connection.
pub(super) struct Piece {
    bytes: Bytes,
    watch: Option<PieceWatch>,
}

struct PieceWatch {
    since: Option<Since>,
    _whole: Option<Arc<Hold>>,
    _gone: oneshot::Sender<()>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    /// The connection has sent so much of it: the client is there, however slow.
    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        note(self.watch.as_ref().and_then(|watch| watch.since.as_ref()), Some(Instant::now()));
    }
}

fn note(since: Option<&Since>, now: Option<Instant>) {
    if let Some(since) = since {
        *since.lock().expect("no panic holds this lock") = now;
    }
}

/// The body of an answer on its way to the client.
pub(super) struct Outgoing {
    body: Body,
    watch: Option<Watch>,
}

struct Watch {
    /// All of a whole body waits until its last piece is gone.
    whole: Option<Arc<Hold>>,
    /// The piece that is in the hands of the connection; there is never a second one.
    on_its_way: Option<oneshot::Receiver<()>>,
    /// None with HTTP/1: the kernel watches over it.
    since: Option<Since>,
}

impl Outgoing {
    /// Counts and watches what waits for the client.
    pub(super) fn new(answer: http::Response<Body>, share: &Arc<Share>) -> http::Response<Outgoing> {
        let len = answer.body().whole().map(Bytes::len);
        if len.is_some_and(|len| len <= SMALL) {
            return answer.map(|body| Outgoing { body, watch: None });
        }
        let whole = len.map(|len| share.hold(len));
        let since = SINCE.try_with(Since::clone).ok();
        let watch = Watch { whole, on_its_way: None, since };
        answer.map(|body| Outgoing { body, watch: Some(watch) })
    }
}

impl Watch {
    /// Ready when the piece before is gone.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(piece) = &mut self.on_its_way {
            // It is dropped, never sent.
            let _ = ready!(Pin::new(piece).poll(context));
            self.on_its_way = None;
            note(self.since.as_ref(), None);
        }
        Poll::Ready(())
    }

    fn send(&mut self, bytes: Bytes) -> Piece {
        let (gone, on_its_way) = oneshot::channel();
        self.on_its_way = Some(on_its_way);
        note(self.since.as_ref(), Some(Instant::now()));
        let watch = PieceWatch { since: self.since.clone(), _whole: self.whole.clone(), _gone: gone };
        Piece { bytes, watch: Some(watch) }
    }
}

impl http_body::Body for Outgoing {
    type Data = Piece;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, Broken>>> {
        let Outgoing { body, watch } = self.get_mut();
        let Some(watch) = watch else {
            let frame = ready!(Pin::new(body).poll_frame(context));
            return Poll::Ready(
                frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| Piece { bytes, watch: None }))),
            );
        };
        ready!(watch.poll_gone(context));
        if let Body::Whole(rest) = body {
            let piece = rest.split_to(rest.len().min(PIECE));
            return Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(watch.send(piece)))));
        }
        let frame = ready!(Pin::new(body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| watch.send(bytes)))))
    }

    /// Not before the last piece is gone: who sees the end of a stream looks after it no more.
    fn is_end_stream(&self) -> bool {
        let on_its_way = self.watch.as_ref().is_some_and(|watch| watch.on_its_way.is_some());
        !on_its_way && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Since when a piece waits for the client of a stream, or its rest.
type Since = Arc<Mutex<Option<Instant>>>;

tokio::task_local! {
    /// Of the stream of HTTP/2 that is being polled.
    static SINCE: Since;
}

/// Runs the streams of HTTP/2, and resets those of which the client takes nothing.
#[derive(Clone, Copy)]
pub(super) struct Streams {
    /// For so long.
    pub(super) pause: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    #[allow(clippy::disallowed_methods)] // this is the port: one task per stream
    fn execute(&self, stream: F) {
        tokio::spawn(Watched { inner: Box::pin(stream), since: Since::default(), timer: None, pause: self.pause });
    }
}

/// Ends, and drops the stream, which resets it, once a piece has waited too long.
struct Watched<F> {
    inner: Pin<Box<F>>,
    since: Since,
    timer: Option<Pin<Box<Sleep>>>,
    pause: Duration,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Watched { inner, since, timer, pause } = &mut *self;
        if SINCE.sync_scope(since.clone(), || inner.as_mut().poll(context)).is_ready() {
            return Poll::Ready(());
        }
        let Some(begun) = *since.lock().expect("no panic holds this lock") else { return Poll::Pending };
        let end = begun + *pause;
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= end {
                tracing::debug!("a stream is reset: its client takes nothing");
                return Poll::Ready(());
            }
            // It was that of a piece before.
            timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // time is what is tested
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    const PAUSE: Duration = Duration::from_secs(300);

    /// Runs a stream that hands the pieces of a body to a connection; when it was reset, if it was.
    async fn reset(body: Body, connection: mpsc::Sender<Piece>) -> Option<u64> {
        let begun = Instant::now();
        let share = Share::new(&Answers::new(64 << 20));
        let (done, ended) = oneshot::channel();
        let stream = async move {
            let mut body = Outgoing::new(http::Response::new(body), &share).into_body();
            while let Some(frame) = body.frame().await {
                connection.send(frame.unwrap().into_data().ok().unwrap()).await.unwrap();
            }
            done.send(()).unwrap();
        };
        hyper::rt::Executor::execute(&Streams { pause: PAUSE }, stream);
        ended.await.is_err().then(|| begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_reset_when_nothing_of_a_piece_is_taken() {
        let (connection, _untaken) = mpsc::channel(16);
        let whole = Body::from(Bytes::from(vec![0; 3 * PIECE]));
        assert_eq!(reset(whole, connection.clone()).await, Some(PAUSE.as_secs()));
        let (sender, body) = Body::pieces();
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        assert_eq!(reset(body, connection).await, Some(PAUSE.as_secs()));
        assert!(sender.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_lives_while_its_pieces_are_taken_or_none_waits() {
        let slow = |mut connection: mpsc::Receiver<Piece>| async move {
            let mut taken = 0;
            while let Some(piece) = connection.recv().await {
                tokio::time::sleep(PAUSE - Duration::from_secs(1)).await;
                taken += piece.remaining();
            }
            taken
        };
        let (connection, pieces) = mpsc::channel(16);
        let whole = Body::from(Bytes::from(vec![0; 3 * PIECE + 1]));
        let (reset_at, taken) = tokio::join!(reset(whole, connection), slow(pieces));
        assert_eq!((reset_at, taken), (None, 3 * PIECE + 1));

        let (connection, pieces) = mpsc::channel(16);
        let (sender, body) = Body::pieces();
        let silent = async move {
            for _ in 0..3 {
                sender.send(Bytes::from_static(b"a")).await.unwrap();
                tokio::time::sleep(PAUSE * 3).await;
            }
        };
        let (reset_at, taken, ()) = tokio::join!(reset(body, connection), slow(pieces), silent);
        assert_eq!((reset_at, taken), (None, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_lives_while_a_little_of_a_piece_is_taken() {
        let (connection, mut pieces) = mpsc::channel(16);
        let taken = async {
            let mut piece: Piece = pieces.recv().await.unwrap();
            for _ in 0..10 {
                tokio::time::sleep(PAUSE - Duration::from_secs(1)).await;
                piece.advance(1);
            }
            piece
        };
        let whole = Body::from(Bytes::from(vec![0; PIECE]));
        let begun = Instant::now();
        let (reset_at, ()) = tokio::join!(reset(whole, connection), async { drop(taken.await) });
        assert_eq!((reset_at, begun.elapsed()), (None, (PAUSE - Duration::from_secs(1)) * 10));

        let (connection, mut pieces) = mpsc::channel(16);
        let once = async {
            let mut piece: Piece = pieces.recv().await.unwrap();
            tokio::time::sleep(Duration::from_secs(7)).await;
            piece.advance(1);
            std::future::pending::<()>().await;
        };
        let whole = Body::from(Bytes::from(vec![0; PIECE]));
        let reset_at = tokio::select! { reset_at = reset(whole, connection) => reset_at, () = once => None };
        assert_eq!(reset_at, Some(PAUSE.as_secs() + 7), "from the last byte that was taken");
    }
}
