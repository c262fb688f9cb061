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

/// While so much of all answers waits, requests for much are refused; while an eighth of it waits on one connection, its requests
/// wait.
const LIMIT: usize = 8 << 20;
const SHARE: usize = LIMIT / 8;
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
            if asked.head.uri.path() == "/small" {
                return http::Response::new(Body::from(Bytes::from_static(b"small")));
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
    fn may_answer_much(&self, head: &http::request::Parts) -> bool {
        head.uri.path() == "/much"
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

/// Reads all answers, which are whole.
async fn take(asked: Vec<Asking>) {
    for asking in asked {
        let answer = asking.await.unwrap();
        assert_eq!(answer.status(), http::StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), ANSWER);
    }
}

#[tokio::test]
async fn requests_wait_while_their_client_takes_nothing() {
    let server = Server::start(1000);
    let client = server.client().await;
    let asked = (0..100).map(|_| ask(&client, "/")).collect();
    let most = server.settled().await;
    assert!((SHARE..SHARE * 2).contains(&most), "{most} bytes waited");
    take(asked).await;
    let held = &server.service.held;
    assert!(held.most.load(SeqCst) < SHARE * 2);
    assert_eq!(held.now.load(SeqCst), 0);
}

#[tokio::test]
async fn answers_whose_handlers_ran_are_given_whatever_waits() {
    let server = Server::start(0);
    let client = server.client().await;
    let asked: Vec<_> = (0..100).map(|_| ask(&client, "/much")).collect();
    server.settled().await;
    let held = &server.service.held;
    assert_eq!(held.calls.load(SeqCst), 100, "nothing waits for the client yet");
    server.service.may.add_permits(1000);
    assert_eq!(server.settled().await, 100 * ANSWER);
    let next = ask(&client, "/much");
    server.settled().await;
    assert_eq!(held.calls.load(SeqCst), 100, "nothing more is made for this client");
    take(asked).await;
    take(vec![next]).await;
}

#[tokio::test]
async fn requests_for_much_are_refused_before_their_handler_while_the_house_is_full() {
    let server = Server::start(0);
    let mut asked = Vec::new();
    for _ in 0..6 {
        let client = server.client().await;
        asked.extend((0..8).map(|_| ask(&client, "/much")));
    }
    server.settled().await;
    server.service.may.add_permits(1000);
    assert_eq!(server.settled().await, 48 * ANSWER, "more than the limit, for all were being made");
    let held = &server.service.held;
    for client in [server.client().await, server.client().await] {
        let calls = held.calls.load(SeqCst);
        let refused = ask(&client, "/much").await.unwrap();
        assert_eq!(refused.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.into_body().collect().await.unwrap().to_bytes(), Bytes::new());
        assert_eq!(held.calls.load(SeqCst), calls, "nothing was done for it");
        let small = ask(&client, "/small").await.unwrap();
        assert_eq!(small.into_body().collect().await.unwrap().to_bytes(), "small");
        take(vec![ask(&client, "/")]).await;
    }
    take(asked).await;
    let client = server.client().await;
    take(vec![ask(&client, "/much")]).await;
}

#[tokio::test]
async fn with_the_older_http_requests_for_much_are_refused_before_their_handler_too() {
    let server = Server::start(1000);
    let mut asked = Vec::new();
    for _ in 0..LIMIT / ANSWER + 10 {
        asked.push(ask(&server.client().await, "/"));
    }
    server.settled().await;
    let calls = server.service.held.calls.load(SeqCst);
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/much").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.service.held.calls.load(SeqCst), calls);
    take(asked).await;
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
