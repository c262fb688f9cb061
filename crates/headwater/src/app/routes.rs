//! Our own routes.

use super::{App, Caller, tail};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use world::net::Asked;

/// How many notifications and dead letters a page shows.
const PAGE: usize = 1000;

impl App {
    pub(super) async fn answer_own(&self, route: &str, asked: &Asked, caller: Caller) -> Response<Bytes> {
        if asked.head.method != http::Method::GET && asked.head.method != http::Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "own routes are read with GET\n");
        }
        if route == "health" {
            return json(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
        }
        // Who verifies a notification may be anybody.
        if let Some(name) = route.strip_prefix("sns/") {
            return match self.house.topics.certificate(name).await {
                Some(certificate) => text(StatusCode::OK, &certificate),
                None => text(StatusCode::NOT_FOUND, "no such certificate\n"),
            };
        }
        if !self.may_read(asked, caller) {
            let mut answer = text(
                StatusCode::UNAUTHORIZED,
                "own routes ask functions and callers from other machines for the root key\n",
            );
            let realm = header::HeaderValue::from_static("Basic realm=\"headwater\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
            return answer;
        }
        match route {
            "" => page(self),
            "outbox" => match self.house.outbox(PAGE) {
                Ok(outbox) => json(&outbox),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("the outbox cannot be read: {error}\n")),
            },
            "metrics" => text(StatusCode::OK, &self.house.metrics()),
            "status" => json(&self.status()),
            "tail" => match tail::read(&self.house, asked.head.uri.query().unwrap_or_default()).await {
                Ok(lines) => json(&lines),
                Err(tail::Refused::Malformed(why)) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
                Err(tail::Refused::Missing(why)) => text(StatusCode::NOT_FOUND, &format!("{why}\n")),
            },
            _ => text(StatusCode::NOT_FOUND, "no such route: health, outbox, metrics, status, tail\n"),
        }
    }

    /// Callers on this machine may read, functions excepted; others prove that they hold the root key. A browser page of another site
    /// that reaches a loopback address by a name of its own shows in the Host header.
    fn may_read(&self, asked: &Asked, caller: Caller) -> bool {
        let host = asked.head.headers.get(header::HOST).and_then(|h| h.to_str().ok());
        let host = host.or_else(|| asked.head.uri.authority().map(|a| a.as_str())).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        let local_name = name == "localhost"
            || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let local = caller != Caller::Function && asked.peer.ip().is_loopback() && local_name;
        if local && !self.house.world.processes.is_child(asked.peer) {
            return true;
        }
        let given = asked.head.headers.get(header::AUTHORIZATION).map(|h| h.as_bytes()).unwrap_or_default();
        given.ct_eq(self.authorization.as_bytes()).into()
    }

    fn status(&self) -> Value {
        let house = &self.house;
        let mut status = house.status();
        let offers = house.world.processes.offers();
        let up = house.world.clock.monotonic().saturating_sub(self.started);
        let own = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "account": house.home.account.as_str(),
            "region": house.home.region.as_str(),
            "uptime_seconds": up.as_secs(),
            "durability": self.durability,
            "limits": self.limits,
            "enforcement": house.world.processes.enforcement(),
            "sandbox": {"mode": self.sandbox, "network": self.network, "held": offers.held, "missing": offers.missing},
        });
        if let (Value::Object(status), Value::Object(own)) = (&mut status, own) {
            status.extend(own);
        }
        status
    }
}

fn json(value: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(value.to_string()));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn text(status: StatusCode, body: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// A page for browsers: it reads the same routes as everybody else.
fn page(_: &App) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(include_bytes!("page.html")));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    answer
}
