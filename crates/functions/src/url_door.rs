//! The door that anybody may knock at: requests to the URLs of functions.

use crate::called::Called;
use crate::functions::Functions;
use crate::invocation::NotRun;
use crate::limits;
use crate::runtime::{Invocation, InvokeError};
use crate::state::{LATEST, State};
use crate::streaming::Streaming;
use crate::url::{self, Asked, Url};
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use names::{Caller, TraceContext};
use std::net::IpAddr;
use std::sync::Arc;
use world::net::Body;

/// A request to a URL of a function.
pub struct UrlRequest<'a> {
    /// The URL's id: what its host begins with.
    pub id: &'a str,
    /// The path below the URL, with its slash.
    pub path: &'a str,
    /// Method, target and headers.
    pub head: &'a Parts,
    /// The body.
    pub body: &'a Bytes,
    /// From where it came.
    pub peer: IpAddr,
}

impl Functions {
    /// Whether requests to a URL have to be signed; `None` where there is no such URL.
    pub fn url_is_signed(&self, id: &str) -> Option<bool> {
        self.catalog.read(|state| find(state, id).map(|(_, url)| url.signed))
    }

    /// The largest body of a request to a URL.
    pub fn url_body_limit(&self) -> usize {
        limits::SYNC_PAYLOAD
    }

    /// A function's URL as its clients write it: on the port of the house, by a name that leads to this machine.
    pub(crate) fn url_of(&self, url: &Url) -> String {
        let (scheme, port) = self.door();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}/", self.domain(url))
    }

    /// Scheme and port of the house, where it is one that clients must name.
    fn door(&self) -> (&str, Option<&str>) {
        let endpoint = self.endpoint().unwrap_or("http://127.0.0.1");
        let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", endpoint));
        (scheme, authority.rsplit_once(':').map(|(_, port)| port))
    }

    fn domain(&self, url: &Url) -> String {
        format!("{}.lambda-url.{}.localhost", url.id, self.home.region)
    }

    /// Answers a request to a URL. `caller` is who signed it, where it is signed.
    pub async fn answer_url(self: &Arc<Self>, request: UrlRequest<'_>, caller: Option<Caller>) -> Response<Body> {
        let Some((called, url)) = self.catalog.read(|state| find(state, request.id)) else {
            return url::refusal(StatusCode::FORBIDDEN, "Forbidden").map(Body::from);
        };
        let cors = url.cors.as_ref();
        if let Some(answer) = cors.and_then(|cors| cors.preflight(request.head)) {
            return answer.map(Body::from);
        }
        let mut answer = self.run_url(&called, &url, &request, caller).await;
        if let Some(cors) = cors {
            cors.apply(&request.head.headers, &mut answer);
        }
        answer
    }

    async fn run_url(
        self: &Arc<Self>,
        called: &Called,
        url: &Url,
        request: &UrlRequest<'_>,
        caller: Option<Caller>,
    ) -> Response<Body> {
        let forbidden = || url::refusal(StatusCode::FORBIDDEN, "Forbidden").map(Body::from);
        let signed = caller.as_ref().filter(|_| url.signed);
        let admitted = || self.admit_to_url(&called.name, called.qualifier.as_deref(), signed);
        if url.signed != signed.is_some() || !admitted() {
            return forbidden();
        }
        let request_id = self.world.uuid();
        let Ok(found) = self.catalog.read(|state| called.find(state, &self.home, &request_id)) else {
            return forbidden();
        };
        let event = url::event(&Asked {
            head: request.head,
            body: request.body,
            path: request.path,
            domain: &self.domain(url),
            door: self.door(),
            url_id: &url.id,
            peer: request.peer,
            caller: caller.as_ref(),
            request_id: &request_id,
            at: self.world.now(),
        });
        let trace = request.head.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
        let trace = trace.and_then(TraceContext::from_header);
        let payload = Bytes::from(event.to_string());
        let request_id_header = http::HeaderValue::from_str(&request_id);
        let invocation = Invocation { payload, request_id, trace, client_context: None, tail: false };
        let mut answer = if url.streams {
            self.pass_on(&called.name, Streaming::start(self.clone(), found, invocation)).await
        } else {
            let answer = match self.run(&found, invocation).await {
                Ok(outcome) if outcome.error.is_none() => {
                    url::response(&outcome.payload).unwrap_or_else(|| url::malformed(&called.name))
                }
                Ok(_) => url::bad_gateway(),
                Err(error) => not_run(&error),
            };
            answer.map(Body::from)
        };
        if let Ok(id) = request_id_header {
            answer.headers_mut().insert("x-amzn-requestid", id);
        }
        answer
    }
}

/// The answer where it was not run.
pub(crate) fn not_run(error: &NotRun) -> Response<Bytes> {
    match error {
        NotRun::Invoke(InvokeError::TooManyRequests(_)) => {
            url::refusal(StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded.")
        }
        error => {
            tracing::warn!(%error, "a function was not run for its url");
            url::bad_gateway()
        }
    }
}

/// The function or alias behind a URL.
fn find(state: &State, id: &str) -> Option<(Called, Url)> {
    let doors = state.families.iter().flat_map(|(name, family)| family.doors.iter().map(move |door| (name, door)));
    let mut urls = doors.filter_map(|(name, (qualifier, door))| Some((name, qualifier, door.url.as_ref()?)));
    let (name, qualifier, url) = urls.find(|(_, _, url)| url.id == id)?;
    let qualifier = Some(qualifier.clone()).filter(|qualifier| qualifier != LATEST);
    Some((Called { name: name.clone(), qualifier }, url.clone()))
}
