//! A client of HTTP/2 may acknowledge bytes and open no window: what waits for it must not fill the memory.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // sockets are what is tested; the lint knows tests by their attribute only

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Semaphore;
use world::net::{Asked, Body, HttpService, Listen, RealNet};
use world::{BoxFuture, Net, Stage, Tasks};

/// All answers that wait may have so much, and those of one connection a quarter of it.
const LIMIT: usize = 8 << 20;
const SHARE: usize = LIMIT / 4;
const ANSWER: usize = 256 << 10;

/// Counts the bytes of answers that are in memory.
#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
}

struct Piece(Vec<u8>, Arc<Held>);

impl Piece {
    fn bytes(held: &Arc<Held>) -> Bytes {
        let now = held.now.fetch_add(ANSWER, SeqCst) + ANSWER;
        held.most.fetch_max(now, SeqCst);
        Bytes::from_owner(Piece(vec![7; ANSWER], held.clone()))
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.now.fetch_sub(ANSWER, SeqCst);
    }
}

/// Answers with many bytes, once it may.
struct Generous {
    held: Arc<Held>,
    may: Semaphore,
}

impl HttpService for Generous {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(async move {
            self.held.calls.fetch_add(1, SeqCst);
            self.may.acquire().await.unwrap().forget();
            if asked.head.uri.path() == "/pieces" {
                let (sender, body) = Body::pieces();
                let held = self.held.clone();
                tokio::spawn(async move {
                    while let Ok(room) = sender.reserve().await {
                        room.send(Piece::bytes(&held));
                    }
                });
                return http::Response::new(body);
            }
            http::Response::new(Body::from(Piece::bytes(&self.held)))
        })
    }
    fn body_limit(&self, _: &http::request::Parts) -> usize {
        0
    }
    fn answers_limit(&self) -> usize {
        LIMIT
    }
    fn too_large(&self, _: &http::request::Parts) -> http::Response<Bytes> {
        http::Response::new(Bytes::new())
    }
}

struct Server {
    service: Arc<Generous>,
    address: SocketAddr,
    /// It is stopped where this is dropped.
    _tasks: Tasks,
}

impl Server {
    fn start(may: usize) -> Server {
        let service = Arc::new(Generous { held: Arc::default(), may: Semaphore::new(may) });
        let (tasks, listen) = (Tasks::default(), Listen { address: ([127, 0, 0, 1], 0).into(), tls: None });
        let (address, work) = RealNet::new().serve(listen, service.clone(), tasks.stop(Stage::Sockets)).unwrap();
        tokio::spawn(work);
        Server { service, address, _tasks: tasks }
    }

    async fn client(&self) -> SendRequest<Empty<Bytes>> {
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        // The connection's window is no obstacle: each stream's own is.
        builder.initial_stream_window_size(65_535).initial_connection_window_size(1 << 30).max_concurrent_streams(1024);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Waits until nothing happens any more; how many bytes were held at most.
    async fn settled(&self) -> usize {
        let held = &self.service.held;
        let look = || (held.calls.load(SeqCst), held.now.load(SeqCst), held.most.load(SeqCst));
        let mut before = look();
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if look() == before && before.0 > 0 {
                return before.2;
            }
            before = look();
        }
    }
}

type Asking = tokio::task::JoinHandle<http::Response<Incoming>>;

fn ask(client: &SendRequest<Empty<Bytes>>, path: &str) -> Asking {
    let mut client = client.clone();
    let request = http::Request::get(format!("http://localhost{path}")).body(Empty::new()).unwrap();
    tokio::spawn(async move { client.send_request(request).await.unwrap() })
}

/// Reads all answers; how many of them were answers and how many were refusals.
async fn take(asked: Vec<Asking>) -> (usize, usize) {
    let (mut answers, mut refusals) = (0, 0);
    for asking in asked {
        let answer = asking.await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        match status {
            http::StatusCode::OK => assert_eq!(body.len(), ANSWER),
            _ => assert_eq!((status, body.len()), (http::StatusCode::SERVICE_UNAVAILABLE, 0)),
        }
        if status.is_success() { answers += 1 } else { refusals += 1 }
    }
    (answers, refusals)
}

#[tokio::test]
async fn requests_wait_while_their_client_takes_nothing() {
    let server = Server::start(1000);
    let client = server.client().await;
    let asked = (0..100).map(|_| ask(&client, "/")).collect();
    let most = server.settled().await;
    assert!((SHARE / 2..SHARE).contains(&most), "{most} bytes waited");
    assert_eq!(take(asked).await, (100, 0), "whoever waited is answered");
    let held = &server.service.held;
    assert!(held.most.load(SeqCst) < SHARE);
    assert_eq!(held.now.load(SeqCst), 0);
}

#[tokio::test]
async fn answers_that_come_at_once_are_refused_past_the_share_of_a_connection() {
    let server = Server::start(0);
    let client = server.client().await;
    let asked: Vec<_> = (0..100).map(|_| ask(&client, "/")).collect();
    server.settled().await;
    assert_eq!(server.service.held.calls.load(SeqCst), 100, "nothing waits for the client yet");
    server.service.may.add_permits(1000);
    let most = server.settled().await;
    assert!(most <= SHARE + ANSWER, "{most} bytes waited");
    assert_eq!(take(asked).await, (SHARE / ANSWER, 100 - SHARE / ANSWER));
    assert_eq!(take(vec![ask(&client, "/")]).await, (1, 0), "there is room again");
}

#[tokio::test]
async fn all_connections_together_have_their_limit() {
    let server = Server::start(0);
    let mut asked = Vec::new();
    for _ in 0..6 {
        let client = server.client().await;
        asked.extend((0..8).map(|_| ask(&client, "/")));
    }
    server.settled().await;
    server.service.may.add_permits(1000);
    let most = server.settled().await;
    assert!(most <= LIMIT + ANSWER, "{most} bytes waited");
    assert_eq!(take(asked).await, (LIMIT / ANSWER, 48 - LIMIT / ANSWER));
}

#[tokio::test]
async fn one_piece_is_on_its_way_and_streams_do_not_hold_up_one_another() {
    let server = Server::start(1000);
    let client = server.client().await;
    let streams = 40;
    let mut answers = Vec::new();
    for asking in (0..streams).map(|_| ask(&client, "/pieces")).collect::<Vec<_>>() {
        answers.push(asking.await.unwrap());
    }
    let most = server.settled().await;
    assert_eq!(most, streams * 2 * ANSWER, "one piece of each stream is on its way, one in its channel");
    for answer in &mut answers {
        let mut taken = 0;
        while taken < 3 * ANSWER {
            taken += answer.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
    }
}
