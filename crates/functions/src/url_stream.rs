//! Responses of functions that a URL passes on as they come.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/config-rs-invoke-furls.html>

use crate::functions::Functions;
use crate::limits;
use crate::runtime::Chunk;
use crate::streaming::{Step, Streaming, patience};
use crate::url;
use crate::url_door::not_run;
use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;
use world::net::{Body, Broken};
use world::{Stage, Stop};

/// The content type of a response that begins with its own status and headers.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/response-streaming-tutorial.html>
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
/// What stands between those and the body.
const BORDER: [u8; 8] = [0; 8];
/// What a body is where nobody says.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Status and headers as the function asks for them. `None`: they make no sense.
fn prelude(text: &[u8]) -> Option<Response<()>> {
    let value: Value = serde_json::from_slice(text).ok().filter(Value::is_object)?;
    url::head(&value, OCTETS)
}

/// Takes the beginning of a response, up to where its body begins.
#[derive(Default)]
struct Beginning(BytesMut);

impl Beginning {
    /// Takes one more piece: the head and the rest of the piece, once they are there. An error: it is none.
    fn take(&mut self, piece: &[u8]) -> Result<Option<(Response<()>, Bytes)>, ()> {
        // A border may begin in what was there before.
        let from = self.0.len().saturating_sub(BORDER.len() - 1);
        self.0.extend_from_slice(piece);
        match self.0[from..].windows(BORDER.len()).position(|window| window == BORDER) {
            Some(at) => {
                let mut rest = self.0.split_off(from + at);
                let head = prelude(&self.0).ok_or(())?;
                Ok(Some((head, rest.split_off(BORDER.len()).freeze())))
            }
            None if self.0.len() > limits::STREAM_PRELUDE => Err(()),
            None => Ok(None),
        }
    }
}

impl Functions {
    /// Answers a request by the response of an invocation that has begun, as it comes.
    pub(crate) async fn pass_on(self: &Arc<Self>, function: &str, mut streaming: Streaming) -> Response<Body> {
        let mut beginning = None;
        let (head, first) = loop {
            match streaming.next().await {
                Step::End(Err(error)) => return not_run(&error).map(Body::from),
                Step::End(Ok(outcome)) if outcome.error.is_some() => return url::bad_gateway().map(Body::from),
                Step::End(Ok(_)) if beginning.is_some() => return url::malformed(function).map(Body::from),
                // It did not come in pieces, and is passed on as it is.
                Step::End(Ok(outcome)) => return url::plain(outcome.payload).map(Body::from),
                Step::Chunk(Chunk::Begin(kind)) if kind.as_deref().is_some_and(is_integration) => {
                    beginning = Some(Beginning::default());
                }
                Step::Chunk(Chunk::Begin(kind)) => {
                    let mut head = Response::new(());
                    let kind = kind.and_then(|kind| HeaderValue::from_str(&kind).ok());
                    head.headers_mut().insert(CONTENT_TYPE, kind.unwrap_or(OCTETS));
                    break (head, Bytes::new());
                }
                Step::Chunk(Chunk::Data(piece)) => match beginning.get_or_insert_default().take(&piece) {
                    Ok(None) => {}
                    Ok(Some(found)) => break found,
                    Err(()) => {
                        self.world.tasks.spawn(Stage::Sockets, "functions: response", |_| streaming.abandon());
                        return url::malformed(function).map(Body::from);
                    }
                },
            }
        };
        let (pieces, body) = Body::breakable();
        let clock = self.world.clock.clone();
        self.world.tasks.spawn(Stage::Sockets, "functions: response", |mut stop: Stop| async move {
            tokio::select! {
                biased;
                () = pass(streaming, first, &pieces) => {}
                () = patience(&mut stop, &*clock) => drop(pieces.try_send(Err(Broken))),
            }
        });
        head.map(|()| body)
    }
}

fn is_integration(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(INTEGRATION))
}

/// Passes a body on. One that does not come to its end breaks: the client must not take a half for the whole.
async fn pass(mut streaming: Streaming, first: Bytes, pieces: &mpsc::Sender<Result<Bytes, Broken>>) {
    let mut piece = first;
    loop {
        if !piece.is_empty() && pieces.send(Ok(piece)).await.is_err() {
            return streaming.abandon().await;
        }
        let step = tokio::select! {
            biased;
            () = pieces.closed() => return streaming.abandon().await,
            step = streaming.next() => step,
        };
        piece = match step {
            Step::Chunk(Chunk::Data(bytes)) => bytes,
            Step::Chunk(Chunk::Begin(_)) => Bytes::new(),
            Step::End(Ok(outcome)) if outcome.error.is_none() => return,
            Step::End(_) => return drop(pieces.send(Err(Broken)).await),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_head_is_found_wherever_it_is_cut() {
        let text = br#"{"statusCode":201,"headers":{"x-a":"1"},"cookies":["a=b","c=d"]}"#;
        let whole = [&text[..], &BORDER, b"body\0\0\0\0\0\0\0\0more"].concat();
        for cut in 0..whole.len() {
            let mut beginning = Beginning::default();
            let (one, two) = whole.split_at(cut);
            let found = beginning.take(one).unwrap();
            let (head, body) = match found {
                Some((head, body)) => (head, [&body[..], two].concat()),
                None => {
                    let (head, body) = beginning.take(two).unwrap().unwrap();
                    (head, body.to_vec())
                }
            };
            assert_eq!(body, b"body\0\0\0\0\0\0\0\0more", "{cut}");
            assert_eq!((head.status(), &head.headers()["x-a"]), (StatusCode::CREATED, &"1".parse().unwrap()));
            assert_eq!(head.headers().get_all("set-cookie").iter().count(), 2);
            assert_eq!(head.headers()[CONTENT_TYPE], OCTETS);
        }
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
        assert!(Beginning::default().take(&[&b"no json"[..], &BORDER].concat()).is_err());
        assert!(Beginning::default().take(&[&br#"{"statusCode":7}"#[..], &BORDER].concat()).is_err());
        assert!(Beginning::default().take(&[&br#"{"headers":{"x y":"1"}}"#[..], &BORDER].concat()).is_err());
        assert!(Beginning::default().take(&vec![b' '; limits::STREAM_PRELUDE + 1]).is_err());
        assert!(Beginning::default().take(b"{").unwrap().is_none());
    }
}
