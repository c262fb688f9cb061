use super::Broken;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The body of a request while it comes. Nothing of it is read ahead of who asks for it but what the connection's own
/// buffer holds.
#[derive(Debug)]
pub struct Inflow {
    body: Incoming,
    trailers: HeaderMap,
}

impl Inflow {
    pub(super) fn new(body: Incoming) -> Inflow {
        Inflow { body, trailers: HeaderMap::new() }
    }

    /// The next piece; `None` at the end. An error: whoever sent it has gone, or sent nonsense.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            match self.body.frame().await?.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                Ok(Err(frame)) => self.trailers.extend(frame.into_trailers().unwrap_or_default()),
                Err(error) => {
                    tracing::debug!(%error, "a body broke");
                    return Some(Err(Broken));
                }
            }
        }
    }

    /// What was said behind the end of the body.
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }
}
