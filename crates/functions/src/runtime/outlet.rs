//! A response that comes in pieces: from the runtime to whoever waits for it, no faster than that one takes it.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming>

use super::pace::Pace;
use super::report::Ending;
use super::{MAX_RESPONSE, MAX_STREAM};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{mpsc, oneshot};
use world::net::Inflow;

const MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A part of a response that comes in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// It begins, and this is its content type.
    Begin(Option<String>),
    /// More of it.
    Data(Bytes),
}

/// Where a response goes.
pub(super) struct Outlet {
    /// Who takes it in pieces; otherwise it is kept until its end.
    to: Option<mpsc::Sender<Chunk>>,
    /// How fast it goes there, where there is a limit.
    pace: Option<Pace>,
    /// Its other side goes when the invocation is over.
    over: oneshot::Receiver<()>,
}

/// Whether a response is sent in pieces.
pub(super) fn is_streamed(headers: &HeaderMap) -> bool {
    headers.get(MODE).is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

/// The content type of a response.
pub(super) fn content_type(head: &Parts) -> Option<String> {
    text(head.headers.get(http::header::CONTENT_TYPE))
}

fn text(value: Option<&HeaderValue>) -> Option<String> {
    value?.to_str().ok().map(str::to_owned)
}

impl Outlet {
    pub(super) fn new(to: Option<mpsc::Sender<Chunk>>, pace: Option<Pace>, over: oneshot::Receiver<()>) -> Outlet {
        Outlet { to, pace, over }
    }

    /// Passes a response on, and tells what that makes of its invocation. `None`: that was over before.
    pub(super) async fn relay(self, content_type: Option<String>, body: Inflow) -> Option<Ending> {
        let Outlet { to, pace, over } = self;
        tokio::select! {
            biased;
            _ = over => None,
            ending = pass(to, pace, content_type, body) => Some(ending),
        }
    }
}

/// One that nobody takes any more is read to its end: the function is not stopped by a client that goes.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>
async fn pass(
    to: Option<mpsc::Sender<Chunk>>,
    mut pace: Option<Pace>,
    content_type: Option<String>,
    mut body: Inflow,
) -> Ending {
    let most = if to.is_some() { MAX_STREAM } else { MAX_RESPONSE };
    let (mut size, mut whole) = (0, BytesMut::new());
    if let Some(to) = &to {
        let _ = to.send(Chunk::Begin(content_type)).await;
    }
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { return Ending::Truncated };
        size += piece.len();
        if size > most {
            return Ending::ResponseTooLarge(most);
        }
        match &to {
            Some(to) => {
                if let Some(pace) = &mut pace {
                    tokio::select! {
                        () = pace.next(piece.len()) => {}
                        () = to.closed() => {}
                    }
                }
                let _ = to.send(Chunk::Data(piece)).await;
            }
            None => whole.extend_from_slice(&piece),
        }
    }
    match (failure(body.trailers()), to) {
        (None, _) => Ending::Response(whole.freeze()),
        (Some((body, error_type)), Some(_)) => Ending::Midstream { body, error_type },
        // Who takes a response whole has not seen any of it.
        (Some((body, error_type)), None) => Ending::Error { body, error_type },
    }
}

/// The error that is told behind a response, and its type.
fn failure(trailers: &HeaderMap) -> Option<(Bytes, Option<String>)> {
    let (error_type, body) = (trailers.get(ERROR_TYPE), trailers.get(ERROR_BODY));
    if error_type.is_none() && body.is_none() {
        return None;
    }
    let raw = body.map(HeaderValue::as_bytes).unwrap_or_default();
    let body = STANDARD.decode(raw).map_or_else(|_| Bytes::copy_from_slice(raw), Bytes::from);
    Some((body, text(error_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_behind_a_response_are_read() {
        let mut trailers = HeaderMap::new();
        assert_eq!(failure(&trailers), None);
        trailers.insert(ERROR_TYPE, HeaderValue::from_static("Runtime.Sad"));
        let told = |body: &'static [u8]| Some((Bytes::from_static(body), Some("Runtime.Sad".to_owned())));
        assert_eq!(failure(&trailers), told(b""));
        trailers.insert(ERROR_BODY, HeaderValue::from_static("eyJhIjoxfQ=="));
        assert_eq!(failure(&trailers), told(br#"{"a":1}"#));
        trailers.insert(ERROR_BODY, HeaderValue::from_static("{not base64}"));
        assert_eq!(failure(&trailers), told(b"{not base64}"));
    }

    #[test]
    fn who_streams_says_so() {
        let mut headers = HeaderMap::new();
        assert!(!is_streamed(&headers));
        headers.insert(MODE, HeaderValue::from_static("Streaming"));
        assert!(is_streamed(&headers));
        headers.insert(MODE, HeaderValue::from_static("buffered"));
        assert!(!is_streamed(&headers));
    }
}
