use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// In one piece.
    Whole(Bytes),
    /// In pieces, as they come; it ends where its sender is dropped.
    Pieces(mpsc::Receiver<Bytes>),
    /// The same, where it may turn out that there is no rest: the client then sees the connection break.
    Breakable(mpsc::Receiver<Result<Bytes, Broken>>),
}

/// There is no rest of a body that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the body cannot be had")]
pub struct Broken;

impl Body {
    /// A body in pieces, and where they are to be put. There is room for one that the client has not taken yet: whoever
    /// makes them waits for a slow client instead of filling the memory. The sender sees when the client has gone.
    pub fn pieces() -> (mpsc::Sender<Bytes>, Body) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Body::Pieces(receiver))
    }

    /// The same of a body that may break.
    pub fn breakable() -> (mpsc::Sender<Result<Bytes, Broken>>, Body) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Body::Breakable(receiver))
    }

    /// The body, where it came in one piece.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Body::Whole(bytes) => Some(bytes),
            Body::Pieces(_) | Body::Breakable(_) => None,
        }
    }

    /// The next piece, a whole body being one; `None` at the end, and where it broke.
    pub async fn next(&mut self) -> Option<Bytes> {
        match self {
            Body::Whole(bytes) if bytes.is_empty() => None,
            Body::Whole(bytes) => Some(std::mem::take(bytes)),
            Body::Pieces(pieces) => pieces.recv().await,
            Body::Breakable(pieces) => pieces.recv().await.and_then(Result::ok),
        }
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::Whole(Bytes::new())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::Whole(bytes)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = match self.get_mut() {
            Body::Whole(bytes) if bytes.is_empty() => None,
            Body::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Body::Pieces(pieces) => std::task::ready!(pieces.poll_recv(context)).map(Ok),
            Body::Breakable(pieces) => std::task::ready!(pieces.poll_recv(context)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.whole().is_some_and(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.whole().map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_wait_for_each_other_and_end_with_their_sender() {
        let (sender, mut body) = Body::pieces();
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        assert!(sender.try_send(Bytes::from_static(b"b")).is_err(), "one is on its way");
        assert_eq!(body.next().await.as_deref(), Some(&b"a"[..]));
        sender.try_send(Bytes::from_static(b"b")).unwrap();
        drop(sender);
        assert_eq!(body.next().await.as_deref(), Some(&b"b"[..]));
        assert_eq!(body.next().await, None);
    }

    #[tokio::test]
    async fn the_sender_sees_that_the_client_has_gone() {
        let (sender, body) = Body::pieces();
        drop(body);
        sender.closed().await;
        assert!(sender.is_closed());
    }
}
