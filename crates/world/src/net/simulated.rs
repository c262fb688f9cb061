use super::{HttpService, Listen, Net, SendError};
use crate::{BoxFuture, Stop};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = dyn Fn(&http::Request<Bytes>) -> Result<http::Response<Bytes>, SendError> + Send + Sync;

/// A network without sockets: what is sent is answered by a function of the test, or refused.
#[derive(Default)]
pub struct SimNet {
    answer: Mutex<Option<Arc<Answer>>>,
}

impl SimNet {
    /// Sets who answers.
    pub fn answer_with(
        &self,
        answer: impl Fn(&http::Request<Bytes>) -> Result<http::Response<Bytes>, SendError> + Send + Sync + 'static,
    ) {
        *self.answer.lock().expect("no panic holds this lock") = Some(Arc::new(answer));
    }
}

impl Net for SimNet {
    fn serve(&self, _: Listen, _: Arc<dyn HttpService>, _: Stop) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this world has no sockets"))
    }
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, SendError>> {
        let answer = self.answer.lock().expect("no panic holds this lock").clone();
        Box::pin(async move {
            match answer {
                Some(answer) => answer(&request),
                None => Err(SendError::Connect("nobody answers in this world".to_owned())),
            }
        })
    }
}
