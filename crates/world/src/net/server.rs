use super::again::Again;
use super::outgoing::{Answers, Outgoing, Share, Streams};
use super::{Asked, Body, HttpService, Inflow, Listen};
use crate::{BoxFuture, Stop};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

/// Connections served at once; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// A client has this long between two pieces of a body.
const BODY_PAUSE: Duration = Duration::from_secs(30);
/// And this long for all of it.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);
/// A client has this long to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answer for so long is cut off, with HTTP/2 from that answer alone: what waits for it
/// would be held for as long as it likes. No subscription to a shard lasts longer.
const TAKE_PAUSE: Duration = Duration::from_secs(300);
/// After `stop`, answers in flight have this long.
const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn serve(
    listen: Listen,
    service: Arc<dyn HttpService>,
    stop: Stop,
) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)> {
    let socket = std::net::TcpListener::bind(listen.address)?;
    let address = socket.local_addr()?;
    Ok((address, serve_on(socket, listen.tls, service, stop)?))
}

pub(super) fn serve_on(
    socket: std::net::TcpListener,
    tls: Option<(PathBuf, PathBuf)>,
    service: Arc<dyn HttpService>,
    stop: Stop,
) -> io::Result<BoxFuture<'static, ()>> {
    let tls = tls.map(|(cert, key)| acceptor(&cert, &key)).transpose()?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    Ok(Box::pin(accept(listener, tls, service, stop)))
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

/// What connections share.
#[derive(Clone)]
struct House {
    service: Arc<dyn HttpService>,
    /// Room for bodies, in KiB.
    bodies: Arc<Semaphore>,
    answers: Arc<Answers>,
    /// [`TAKE_PAUSE`], except in tests.
    pause: Duration,
}

/// Lets this process have as many file handles as it may give itself; how many that is. To be called before a journal is
/// opened, which holds two for each of its segments.
pub fn raise_handles() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    if raised { limit.maximum } else { soft }.unwrap_or(u64::MAX)
}

/// As many connections as leave a quarter of the handles to the journal and to functions: a journal that cannot open its
/// next segment stops for good.
fn connections(handles: u64) -> usize {
    usize::try_from(handles / 4 * 3).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
}

#[allow(clippy::disallowed_methods)] // this is the port: one task per connection
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<dyn HttpService>, mut stop: Stop) {
    let most = connections(raise_handles());
    let room = Arc::new(Semaphore::new(most));
    let house = House {
        bodies: Arc::new(Semaphore::new(service.bodies_limit().div_ceil(1024))),
        answers: Answers::new(service.answers_limit()),
        pause: TAKE_PAUSE,
        service,
    };
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            biased;
            () = stop.wait() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            // A socket for both kinds of addresses shows the old kind in the clothes of the new.
            Ok((stream, peer)) => (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Err(error) => {
                // Out of file handles, mostly: say so, and leave time for some to be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, house, stop) = (tls.clone(), house.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            Again::new(serve_stream(stream, peer, tls, house, stop)).await;
        });
    }
    drop(listener);
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN, room.acquire_many(all)).await;
}

async fn serve_stream(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, house: House, stop: Stop) {
    // Small answers in two writes would wait for the peer's delayed acknowledgement otherwise.
    let _ = stream.set_nodelay(true);
    cut_off(&stream, house.pause);
    match tls {
        None => serve_io(stream, peer, house, stop).await,
        Some(tls) => match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_io(stream, peer, house, stop).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "tls handshake failed"),
            Err(_) => tracing::debug!(%peer, "tls handshake took too long"),
        },
    }
}

/// Has the kernel end a connection whose other side has taken nothing of what waits for it for so long, alive or not. A client
/// of HTTP/2 that acknowledges bytes and opens no window is not seen here, but by [`Streams`].
fn cut_off(stream: &TcpStream, pause: Duration) {
    let millis = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, millis);
}

async fn serve_io<S>(stream: S, peer: SocketAddr, house: House, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(Streams { pause: house.pause });
    let share = Share::new(&house.answers);
    let answer = service_fn(move |request: http::Request<Incoming>| {
        let (house, share) = (house.clone(), share.clone());
        async move {
            if request.version() == http::Version::HTTP_2 {
                // What comes of its body meanwhile is bounded by the connection's window.
                share.low().await;
            }
            Ok::<_, Infallible>(Outgoing::new(answer(request, peer, house).await, &share))
        }
    });
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

async fn answer(request: http::Request<Incoming>, peer: SocketAddr, house: House) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    if house.answers.are_full() && house.service.may_answer_much(&head) {
        return refusal(http::StatusCode::SERVICE_UNAVAILABLE);
    }
    if house.service.takes_inflow(&head) {
        return house.service.call_with_inflow(head, Inflow::new(body), peer).await;
    }
    let limit = house.service.body_limit(&head);
    match collect(body, limit, &house.bodies).await {
        // The room is given back with the answer: until then a handler may hold the body.
        Ok((body, _room)) => house.service.call(Asked { head, body, peer }).await,
        Err(Broken::TooLarge) => closing(house.service.too_large(&head).map(Body::from)),
        Err(broken) => {
            tracing::debug!(%peer, ?broken, "the body of a request was not taken");
            refusal(match broken {
                Broken::NoRoom => http::StatusCode::SERVICE_UNAVAILABLE,
                Broken::Slow => http::StatusCode::REQUEST_TIMEOUT,
                Broken::TooLarge | Broken::Off(_) => http::StatusCode::BAD_REQUEST,
            })
        }
    }
}

fn refusal(status: http::StatusCode) -> http::Response<Body> {
    let mut answer = http::Response::new(Body::default());
    *answer.status_mut() = status;
    closing(answer)
}

/// What is left of the body is not read.
fn closing(mut answer: http::Response<Body>) -> http::Response<Body> {
    answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    answer
}

/// Why there is no body.
#[derive(Debug)]
enum Broken {
    TooLarge,
    /// Too many bodies are held already.
    NoRoom,
    Slow,
    Off(#[allow(dead_code)] hyper::Error), // shown in the log
}

/// The whole body in one piece, and its room among all bodies.
async fn collect(
    mut body: Incoming,
    limit: usize,
    bodies: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Broken> {
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(Broken::TooLarge);
    }
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut patience = Patience::default();
    while let Some(frame) = patience.next(&mut body).await.map_err(|Late| Broken::Slow)? {
        let Ok(data) = frame.map_err(Broken::Off)?.into_data() else { continue };
        let have = first.as_ref().map_or(0, Bytes::len).max(rest.len());
        if have + data.len() > limit {
            return Err(Broken::TooLarge);
        }
        take_room(bodies, &mut room, have + data.len())?;
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(data),
            (Some(start), true) => {
                // A body in more than one piece is copied once, into a buffer of its final size where that is known.
                let whole = usize::try_from(hint.exact().unwrap_or(0)).unwrap_or(0).max(have + data.len());
                take_room(bodies, &mut room, whole)?;
                rest.reserve(whole);
                rest.extend_from_slice(start);
                rest.extend_from_slice(&data);
            }
            _ => rest.extend_from_slice(&data),
        }
    }
    Ok((if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() }, room))
}

/// How long a body may take, and each piece of it. One timer for all of them, and none where nothing has to be waited for.
#[derive(Default)]
struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the body and its last piece began.
    begun: Option<(Instant, Instant)>,
}

/// It took too long.
#[derive(Debug, PartialEq, Eq)]
struct Late;

impl Patience {
    async fn next<B>(&mut self, body: &mut B) -> Result<Option<Result<Frame<Bytes>, B::Error>>, Late>
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        let mut looked = false;
        let frame = std::future::poll_fn(|context| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(Ok(frame));
            }
            // What is there already is handed over once it was asked for.
            if !std::mem::replace(&mut looked, true) && self.begun.is_none() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.poll_late(context).map(|()| Err(Late))
        });
        let frame = frame.await?;
        if let Some((_, last)) = &mut self.begun {
            *last = Instant::now();
        }
        Ok(frame)
    }

    /// Ready once it has taken too long.
    #[allow(clippy::disallowed_methods)] // this is the port
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (begun, last) = *self.begun.get_or_insert_with(|| (Instant::now(), Instant::now()));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_PAUSE)));
        loop {
            std::task::ready!(timer.as_mut().poll(context));
            // Pieces came meanwhile, mostly.
            let end = (last + BODY_PAUSE).min(begun + BODY_TIMEOUT);
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}

/// Makes the room of a body as large as the body.
fn take_room(bodies: &Arc<Semaphore>, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Broken> {
    let more = bytes.div_ceil(1024).saturating_sub(room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
    if more == 0 {
        return Ok(());
    }
    let more = u32::try_from(more).map_err(|_| Broken::NoRoom)?;
    let more = bodies.clone().try_acquire_many_owned(more).map_err(|_| Broken::NoRoom)?;
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // time and sockets are what is tested
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};

    #[test]
    fn connections_leave_handles_to_the_journal() {
        assert_eq!(connections(1024), 768);
        assert_eq!(connections(u64::MAX), MAX_CONNECTIONS);
        assert_eq!(connections(0), 1);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        use tokio::io::AsyncWriteExt;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        cut_off(&stream, Duration::from_millis(200));
        let endless = async { while stream.write_all(&[0; 1 << 16]).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), endless).await.expect("the connection ends");
        drop(client);
    }

    /// Answers with many bytes, and counts those who ask.
    struct Generous(std::sync::atomic::AtomicUsize);

    impl HttpService for Generous {
        fn call(self: Arc<Self>, _: Asked) -> BoxFuture<'static, http::Response<Body>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async { http::Response::new(Body::from(Bytes::from(vec![7; 1 << 20]))) })
        }
        fn body_limit(&self, _: &http::request::Parts) -> usize {
            0
        }
        fn too_large(&self, _: &http::request::Parts) -> http::Response<Bytes> {
            http::Response::new(Bytes::new())
        }
    }

    /// With no window the answer waits in the stream's task, with a small one in the connection.
    #[tokio::test]
    async fn a_stream_of_which_nothing_is_taken_is_reset_and_its_answer_forgotten() {
        for window in [0, 65_535] {
            forgotten(window).await;
        }
    }

    #[tokio::test]
    async fn a_stream_of_which_a_little_is_taken_all_the_time_is_not_reset() {
        let pause = Duration::from_secs(1);
        let (mut client, _) = connect(Answers::new(4 << 20), pause, 65_535).await;
        let mut body = client.send_request(request()).await.unwrap().into_body();
        let begun = Instant::now();
        while begun.elapsed() < pause * 3 {
            body.frame().await.expect("there is more").expect("it is not reset");
            tokio::time::sleep(pause / 10).await;
        }
        assert!(!body.is_end_stream(), "all of it was one piece");
    }

    type Client = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

    fn request() -> http::Request<Empty<Bytes>> {
        http::Request::get("http://localhost/").body(Empty::new()).unwrap()
    }

    /// Serves one connection, whose client opens such windows.
    async fn connect(answers: Arc<Answers>, pause: Duration, window: u32) -> (Client, Arc<Generous>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        let service = Arc::new(Generous(Default::default()));
        let house = House { service: service.clone(), bodies: Arc::new(Semaphore::new(1)), answers, pause };
        let tasks = crate::Tasks::default();
        let stop = tasks.stop(crate::Stage::Sockets);
        tokio::spawn(async move {
            let _tasks = tasks;
            serve_stream(accepted, peer, None, house, stop).await;
        });
        let mut builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        (client, service)
    }

    async fn forgotten(window: u32) {
        // There is room for one answer, whose stream is then all that the connection may wait with.
        let (mut client, service) = connect(Answers::new(4 << 20), Duration::from_millis(300), window).await;
        let untaken = client.send_request(request()).await.unwrap();
        let next = tokio::time::timeout(Duration::from_secs(20), client.send_request(request()));
        let next = next.await.expect("the first one makes room").unwrap();
        assert_eq!(service.0.load(std::sync::atomic::Ordering::SeqCst), 2);
        assert!(untaken.into_body().collect().await.is_err());
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_may_take_their_time_but_not_each_and_not_together() {
        let late = |pause: Duration| async move {
            let (sender, mut body) = Body::pieces();
            let (mut patience, begun) = (Patience::default(), Instant::now());
            let pieces = async {
                while sender.send(Bytes::from_static(b"a")).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            };
            let taken = async {
                while let Ok(Some(piece)) = patience.next(&mut body).await {
                    piece.unwrap();
                }
                begun.elapsed().as_secs()
            };
            tokio::select! { biased; taken = taken => taken, () = pieces => unreachable!("the body is read") }
        };
        assert_eq!(late(BODY_PAUSE * 2).await, BODY_PAUSE.as_secs());
        let together = late(BODY_PAUSE - Duration::from_secs(1)).await;
        assert_eq!(together, BODY_TIMEOUT.as_secs());
    }

    #[test]
    fn bodies_share_one_room() {
        let bodies = Arc::new(Semaphore::new(10));
        let (mut one, mut two) = (None, None);
        take_room(&bodies, &mut one, 1).unwrap();
        take_room(&bodies, &mut one, 1024).unwrap();
        assert_eq!(bodies.available_permits(), 9, "it grows by what is missing");
        take_room(&bodies, &mut one, 6 * 1024).unwrap();
        assert!(matches!(take_room(&bodies, &mut two, 5 * 1024), Err(Broken::NoRoom)));
        drop(one);
        take_room(&bodies, &mut two, 5 * 1024).unwrap();
        assert_eq!(bodies.available_permits(), 5);
    }
}
