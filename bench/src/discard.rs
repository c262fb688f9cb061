//! The yardstick for requests per second: the same server stack, and nothing behind it.

use anyhow::Result;
use bytes::Bytes;
use std::sync::Arc;
use world::net::{Asked, Body, HttpService, Listen};
use world::{BoxFuture, Stage, World};

struct Discard;

impl HttpService for Discard {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>> {
        drop(asked);
        Box::pin(async { http::Response::new(Bytes::from_static(b"{}").into()) })
    }
    fn body_limit(&self, _: &http::request::Parts) -> usize {
        64 << 20
    }
    fn too_large(&self, _: &http::request::Parts) -> http::Response<Bytes> {
        http::Response::new(Bytes::new())
    }
}

/// Serves on a free port until killed; prints `listening ADDRESS`.
pub async fn run() -> Result<()> {
    let world = World::real();
    let listen = Listen { address: ([127, 0, 0, 1], 0).into(), tls: None };
    let (address, work) = world.net.serve(listen, Arc::new(Discard), world.tasks.stop(Stage::Sockets))?;
    println!("listening {address}");
    work.await;
    Ok(())
}
