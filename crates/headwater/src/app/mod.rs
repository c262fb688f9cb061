//! What answers on the socket: AWS's protocols through `wire`, and our own routes under `/_headwater/`.

mod much;
mod routes;
mod tail;
mod urls;

use crate::config::Settings;
use crate::wiring::House;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use std::sync::{Arc, Weak};
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
    sandbox: &'static str,
    network: &'static str,
}

/// What functions meet when they call the endpoint from a network of their own: they are on this machine, and yet
/// nobody to whom its own routes belong.
pub struct FunctionsDoor(Weak<App>);

impl FunctionsDoor {
    /// The house holds the functions that hold this: it must not hold the house.
    pub fn of(app: &Arc<App>) -> Arc<dyn HttpService> {
        Arc::new(FunctionsDoor(Arc::downgrade(app)))
    }
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
            sandbox: match settings.sandbox {
                crate::cli::SandboxMode::Require => "require",
                crate::cli::SandboxMode::Best => "best",
                crate::cli::SandboxMode::Off => "off",
            },
            network: match settings.network {
                crate::cli::FunctionNetwork::Endpoint => "endpoint",
                crate::cli::FunctionNetwork::All => "all",
            },
        }
    }
}

fn own(head: &Parts) -> Option<&str> {
    let rest = head.uri.path().strip_prefix(OWN)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anybody,
    Function,
}

impl App {
    async fn answer(&self, asked: Asked, caller: Caller) -> http::Response<Body> {
        if let Some((id, path)) = urls::place(&asked.head) {
            return self.answer_url(&id, &path, &asked).await;
        }
        let uri = &asked.head.uri;
        if let Some(package) = self.house.functions.package(uri.path(), uri.query()).await {
            return urls::package(package).map(Body::from);
        }
        match own(&asked.head).map(str::to_owned) {
            Some(route) => self.answer_own(&route, &asked, caller).await.map(Body::from),
            None => self.house.front.answer(asked).await,
        }
    }
}

impl HttpService for FunctionsDoor {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(app) => app.answer(asked, Caller::Function).await,
                None => closed().map(Body::from),
            }
        })
    }
    fn body_limit(&self, head: &Parts) -> usize {
        self.0.upgrade().map_or(0, |app| app.body_limit(head))
    }
    fn may_answer_much(&self, head: &Parts) -> bool {
        much::is_asked(head)
    }
    fn too_large(&self, head: &Parts) -> http::Response<Bytes> {
        self.0.upgrade().map_or_else(closed, |app| app.too_large(head))
    }
}

/// The house is on its way out.
fn closed() -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    answer
}

impl HttpService for App {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, http::Response<Body>> {
        Box::pin(async move { self.answer(asked, Caller::Anybody).await })
    }
    fn body_limit(&self, head: &Parts) -> usize {
        if urls::place(head).is_some() {
            return self.house.functions.url_body_limit();
        }
        if own(head).is_some() { OWN_BODY_LIMIT } else { self.house.front.body_limit(head) }
    }
    fn may_answer_much(&self, head: &Parts) -> bool {
        much::is_asked(head)
    }
    fn too_large(&self, head: &Parts) -> http::Response<Bytes> {
        self.house.front.too_large(head)
    }
}
