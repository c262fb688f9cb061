//! Sockets: an HTTP/1.1 and h2c server on one port (TLS where asked), and an HTTP client.

mod again;
mod body;
mod client;
mod connect;
mod inflow;
mod outgoing;
mod server;
mod simulated;

pub use body::{Body, Broken};
pub use client::RealNet;
pub use inflow::Inflow;
pub use server::raise_handles;
pub use simulated::SimNet;

use crate::{BoxFuture, Stop};
use bytes::Bytes;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request as it came: the head, the whole body, and from where.
pub struct Asked {
    /// Method, target and headers.
    pub head: http::request::Parts,
    /// The body.
    pub body: Bytes,
    /// The address it came from.
    pub peer: SocketAddr,
}

/// What answers requests.
pub trait HttpService: Send + Sync + 'static {
    /// Answers one request.
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>>;
    /// The largest body this request may have; a larger one is answered by [`HttpService::too_large`].
    fn body_limit(&self, head: &http::request::Parts) -> usize;
    /// Bytes of bodies held at once, finished or not; past it requests are refused, and clients try again.
    fn bodies_limit(&self) -> usize {
        512 << 20
    }
    /// Bytes of answers held at once, because their clients have not taken them yet; past it requests are refused
    /// whose answers may be large.
    fn answers_limit(&self) -> usize {
        512 << 20
    }
    /// Whether the answer to a request may be large, as far as its head tells. All other requests are served whatever waits.
    fn may_answer_much(&self, _head: &http::request::Parts) -> bool {
        false
    }
    /// Whether a request's body is taken as it comes, by [`HttpService::call_with_inflow`], instead of whole.
    fn takes_inflow(&self, _head: &http::request::Parts) -> bool {
        false
    }
    /// Answers a request whose body is still on its way. Who sends it waits for who reads it.
    fn call_with_inflow(
        self: Arc<Self>,
        _head: http::request::Parts,
        _body: Inflow,
        _peer: SocketAddr,
    ) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(async {
            let mut answer = http::Response::new(Body::default());
            *answer.status_mut() = http::StatusCode::NOT_IMPLEMENTED;
            answer
        })
    }
    /// The answer to a body over the limit.
    fn too_large(&self, head: &http::request::Parts) -> http::Response<Bytes>;
}

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port; port 0 for a free one.
    pub address: SocketAddr,
    /// Certificate chain and key (PEM files) for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Why a request that the house sent got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody could be reached.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The address or answer makes no sense, or the connection broke.
    #[error("{0}")]
    Other(String),
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that the house opened.
pub type Connection = Box<dyn Stream>;

/// The network.
pub trait Net: Send + Sync {
    /// Listens and serves until `stop`; answers in flight are finished. Returns the bound address and the work to spawn.
    fn serve(
        &self,
        listen: Listen,
        service: Arc<dyn HttpService>,
        stop: Stop,
    ) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)>;
    /// The same on a socket that listens already, such as one in the network of a child.
    fn serve_on(
        &self,
        _socket: TcpListener,
        _tls: Option<(PathBuf, PathBuf)>,
        _service: Arc<dyn HttpService>,
        _stop: Stop,
    ) -> io::Result<BoxFuture<'static, ()>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this world has no sockets"))
    }
    /// Sends a request and reads the whole answer (at most 1 MiB of it).
    fn send(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, SendError>>;
    /// Opens a connection for a protocol of the caller's own.
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>>;
    /// Puts TLS on a connection; whoever is there must prove that it is `host`. `authority` are the certificates (PEM)
    /// that vouch for it, in place of the machine's own.
    fn secure<'a>(
        &'a self,
        connection: Connection,
        host: &'a str,
        authority: Option<&'a [u8]>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>>;
}
