use super::{Connection, HttpService, Listen, Net, SendError};
use crate::{BoxFuture, Stop};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = dyn Fn(&http::Request<Bytes>) -> Result<http::Response<Bytes>, SendError> + Send + Sync;

type Accept = dyn Fn(&str, u16) -> Result<Connection, SendError> + Send + Sync;

/// A network without sockets: what is sent is answered by a function of the test, or refused.
#[derive(Default)]
pub struct SimNet {
    answer: Mutex<Option<Arc<Answer>>>,
    accept: Mutex<Option<Arc<Accept>>>,
}

impl SimNet {
    /// Sets who answers.
    pub fn answer_with(
        &self,
        answer: impl Fn(&http::Request<Bytes>) -> Result<http::Response<Bytes>, SendError> + Send + Sync + 'static,
    ) {
        *self.answer.lock().expect("no panic holds this lock") = Some(Arc::new(answer));
    }

    /// Sets who takes connections.
    pub fn accept_with(&self, accept: impl Fn(&str, u16) -> Result<Connection, SendError> + Send + Sync + 'static) {
        *self.accept.lock().expect("no panic holds this lock") = Some(Arc::new(accept));
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
    fn connect<'a>(&'a self, host: &'a str, port: u16, _: Duration) -> BoxFuture<'a, Result<Connection, SendError>> {
        let accept = self.accept.lock().expect("no panic holds this lock").clone();
        Box::pin(async move {
            match accept {
                Some(accept) => accept(host, port),
                None => Err(SendError::Connect("nobody answers in this world".to_owned())),
            }
        })
    }
    fn secure<'a>(
        &'a self,
        connection: Connection,
        _: &'a str,
        _: Option<&'a [u8]>,
        _: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>> {
        // Nobody listens in on this one.
        Box::pin(async move { Ok(connection) })
    }
}
