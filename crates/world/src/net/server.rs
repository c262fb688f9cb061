use super::{Asked, HttpService, Listen};
use crate::{BoxFuture, Stop};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Connections served at once; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// A client has this long to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After `stop`, answers in flight have this long.
const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn serve(
    listen: Listen,
    service: Arc<dyn HttpService>,
    stop: Stop,
) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)> {
    let tls = listen.tls.map(|(cert, key)| acceptor(&cert, &key)).transpose()?;
    let socket = std::net::TcpListener::bind(listen.address)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    let address = listener.local_addr()?;
    Ok((address, Box::pin(accept(listener, tls, service, stop))))
}

fn acceptor(cert: &std::path::Path, key: &std::path::Path) -> io::Result<TlsAcceptor> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
    };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|error| wrong(cert, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| wrong(cert, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[allow(clippy::disallowed_methods)] // this is the port: one task per connection
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<dyn HttpService>, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            biased;
            () = stop.wait() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(pair) => pair,
            Err(error) => {
                // Out of file handles, mostly: say so, and leave time for some to be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, service, stop) = (tls.clone(), service.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            serve_stream(stream, peer, tls, service, stop).await;
        });
    }
    drop(listener);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN, room.acquire_many(all)).await;
}

async fn serve_stream(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: Arc<dyn HttpService>,
    stop: Stop,
) {
    // Small answers in two writes would wait for the peer's delayed acknowledgement otherwise.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_io(stream, peer, service, stop).await,
        Some(tls) => match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_io(stream, peer, service, stop).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "tls handshake failed"),
            Err(_) => tracing::debug!(%peer, "tls handshake took too long"),
        },
    }
}

async fn serve_io<S>(stream: S, peer: SocketAddr, service: Arc<dyn HttpService>, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: http::Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, service).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(1 << 20);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1024)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(256 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = stop.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

async fn answer(
    request: http::Request<Incoming>,
    peer: SocketAddr,
    service: Arc<dyn HttpService>,
) -> http::Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let limit = service.body_limit(&head);
    match collect(body, limit).await {
        Ok(Some(body)) => service.call(Asked { head, body, peer }).await.map(Full::new),
        Ok(None) => {
            let mut answer = service.too_large(&head).map(Full::new);
            answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            answer
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "the body of a request broke off");
            let mut answer = http::Response::new(Full::default());
            *answer.status_mut() = http::StatusCode::BAD_REQUEST;
            answer
        }
    }
}

/// The whole body in one piece; `None` where it is larger than the limit.
async fn collect(mut body: Incoming, limit: usize) -> Result<Option<Bytes>, hyper::Error> {
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Ok(None);
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let have = first.as_ref().map_or(0, Bytes::len).max(rest.len());
        if have + data.len() > limit {
            return Ok(None);
        }
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(data),
            (Some(start), true) => {
                // A body in more than one piece is copied once, into a buffer of its final size where that is known.
                rest.reserve(usize::try_from(hint.exact().unwrap_or(0)).unwrap_or(0).max(have + data.len()));
                rest.extend_from_slice(start);
                rest.extend_from_slice(&data);
            }
            _ => rest.extend_from_slice(&data),
        }
    }
    Ok(Some(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() }))
}
