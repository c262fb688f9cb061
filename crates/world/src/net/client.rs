use super::{Connection, HttpService, Listen, Net, SendError, connect, server};
use crate::{BoxFuture, Stop};
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The machine's network.
pub struct RealNet {
    /// Authorities that are trusted beside those of the machine (PEM).
    authorities: Vec<u8>,
    client: OnceLock<Result<reqwest::Client, String>>,
}

/// More of an answer than this is not read.
const ANSWER_LIMIT: usize = 1 << 20;

impl RealNet {
    /// The client inside is built on first use: loading the root certificates takes longer than starting the house may.
    pub fn new() -> RealNet {
        RealNet { authorities: Vec::new(), client: OnceLock::new() }
    }

    /// One that trusts the authorities of a PEM file, too.
    pub fn trusting(authorities: Vec<u8>) -> RealNet {
        RealNet { authorities, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&reqwest::Client, SendError> {
        let build = || {
            // Another part of the process may have installed the same provider already; that is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let authorities = reqwest::Certificate::from_pem_bundle(&self.authorities);
            let builder = reqwest::Client::builder()
                .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none());
            let built = authorities.and_then(|authorities| builder.tls_certs_merge(authorities).build());
            built.map_err(|error| chain(&error))
        };
        self.client.get_or_init(build).as_ref().map_err(|error| SendError::Other(error.clone()))
    }
}

impl Default for RealNet {
    fn default() -> Self {
        RealNet::new()
    }
}

impl Net for RealNet {
    fn serve(
        &self,
        listen: Listen,
        service: Arc<dyn HttpService>,
        stop: Stop,
    ) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)> {
        server::serve(listen, service, stop)
    }

    fn serve_on(
        &self,
        socket: TcpListener,
        tls: Option<(PathBuf, PathBuf)>,
        service: Arc<dyn HttpService>,
        stop: Stop,
    ) -> io::Result<BoxFuture<'static, ()>> {
        server::serve_on(socket, tls, service, stop)
    }

    fn send(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, SendError>> {
        Box::pin(async move {
            let other = |error: reqwest::Error| SendError::Other(error.to_string());
            let request = reqwest::Request::try_from(request).map_err(other)?;
            let exchange = async {
                let mut answer = self.client()?.execute(request).await.map_err(|error| {
                    if error.is_connect() { SendError::Connect(root(&error)) } else { SendError::Other(chain(&error)) }
                })?;
                let mut out = http::Response::new(Bytes::new());
                *out.status_mut() = answer.status();
                *out.headers_mut() = answer.headers().clone();
                let mut body = BytesMut::new();
                while body.len() < ANSWER_LIMIT {
                    let Some(chunk) = answer.chunk().await.map_err(other)? else { break };
                    body.extend_from_slice(&chunk);
                }
                *out.body_mut() = body.freeze();
                Ok(out)
            };
            tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(SendError::Timeout(timeout)))
        })
    }

    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>> {
        Box::pin(connect::connect(host, port, timeout))
    }

    fn secure<'a>(
        &'a self,
        connection: Connection,
        host: &'a str,
        authority: Option<&'a [u8]>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>> {
        Box::pin(connect::secure(connection, host, authority, timeout))
    }
}

/// What is at the bottom of an error: for a connection, what the system or TLS says.
fn root(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    inner.to_string()
}

/// The error with its causes: the outermost one alone seldom says what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
