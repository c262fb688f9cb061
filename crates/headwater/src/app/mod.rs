//! What answers on the socket: AWS's protocols through `wire`, and our own routes under `/_headwater/`.

mod routes;
mod tail;

use crate::config::Settings;
use crate::wiring::House;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use std::sync::Arc;
use world::BoxFuture;
use world::net::{Asked, Body, HttpService};

const OWN: &str = "/_headwater";
/// Our own routes take no bodies.
const OWN_BODY_LIMIT: usize = 64 << 10;

/// The house behind its socket.
pub struct App {
    house: Arc<House>,
    /// `Basic ...` of the root key: what our own routes ask of callers from other machines.
    authorization: String,
    started: std::time::Duration,
    durability: &'static str,
    limits: &'static str,
}

impl App {
    pub fn new(house: Arc<House>, settings: &Settings) -> App {
        let root = &settings.credentials;
        let basic = STANDARD.encode(format!("{}:{}", root.access_key_id, root.secret_access_key));
        let started = house.world.clock.monotonic();
        App {
            house,
            authorization: format!("Basic {basic}"),
            started,
            durability: match settings.durability {
                crate::cli::Durability::Fsync => "fsync",
                crate::cli::Durability::Os => "os",
            },
            limits: match settings.limits {
                crate::cli::LimitsMode::Aws => "aws",
                crate::cli::LimitsMode::Off => "off",
            },
        }
    }
}

fn own(head: &Parts) -> Option<&str> {
    let rest = head.uri.path().strip_prefix(OWN)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

impl HttpService for App {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(async move {
            match own(&asked.head).map(str::to_owned) {
                Some(route) => self.answer_own(&route, &asked).await.map(Body::from),
                None => self.house.front.answer(asked).await,
            }
        })
    }
    fn body_limit(&self, head: &Parts) -> usize {
        if own(head).is_some() { OWN_BODY_LIMIT } else { self.house.front.body_limit(head) }
    }
    fn too_large(&self, head: &Parts) -> http::Response<Bytes> {
        self.house.front.too_large(head)
    }
}
