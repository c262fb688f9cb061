//! POST to web servers.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/http-header.html>

use super::pace::Pace;
use super::{Way, answer, no_answer};
use crate::endpoint::without_password;
use crate::limits::HTTP_TIMEOUT;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use http::{Request, header};
use names::Arn;
use std::time::Duration;
use world::BoxFuture;

/// The envelope's attribute with the URL.
pub(crate) const ENDPOINT: &str = "endpoint";
/// The envelope's attribute that becomes `x-amz-sns-message-type`.
pub(crate) const KIND: &str = "message-type";
/// The envelope's attribute with the subscription's ARN.
pub(crate) const SUBSCRIPTION: &str = "subscription";
/// The envelope's attribute that is there for raw delivery.
pub(crate) const RAW: &str = "raw";
/// The envelope's attribute with the content type, where a policy sets it.
pub(crate) const CONTENT_TYPE: &str = "content-type";

/// The envelope's attribute with how many may come in a second, where a policy sets it.
pub(crate) const PER_SECOND: &str = "per-second";

/// Takes envelopes for web servers: `arn:headwater:http:REGION:ACCOUNT:AUTHORITY/SUBSCRIPTION`, with
/// `paced/` before the authority where a policy limits how fast they come.
pub(crate) struct HttpTarget {
    way: Way,
    pace: Pace,
}

/// Before the authority of ARNs.
const PACED: &str = "paced/";

impl HttpTarget {
    pub(crate) fn new(way: Way) -> HttpTarget {
        HttpTarget { way, pace: Pace::default() }
    }

    async fn send(&self, envelope: &Envelope, url: &str) -> Verdict {
        let rate = envelope.attributes.get(PER_SECOND).and_then(|rate| rate.parse::<u32>().ok());
        if let Some(rate) = rate.filter(|rate| *rate > 0) {
            let turn = self.pace.turn(&self.way.world, envelope.to.as_str(), Duration::from_secs(1) / rate);
            if let Err(busy) = turn.await {
                return busy;
            }
        }
        match request(envelope, url) {
            Ok(request) => match self.way.world.net.send(request, HTTP_TIMEOUT).await {
                Ok(got) => answer(&got, Bytes::from(got.status().canonical_reason().unwrap_or_default())),
                Err(error) => no_answer(&error),
            },
            Err(why) => Verdict::Refused { code: "InvalidEndpoint".into(), why },
        }
    }
}

impl Target for HttpTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let url = envelope.attributes.get(ENDPOINT).map(String::as_str).unwrap_or_default();
            let verdict = self.send(envelope, url).await;
            let channel = url.split("://").next().unwrap_or("http");
            self.way.settle(envelope, channel, &without_password(url), verdict, false).await
        })
    }

    /// One lane for each server, so that a dead one delays nobody else's notifications.
    fn lane(&self, to: &Arn) -> String {
        if to.resource().starts_with(PACED) {
            return format!("http/{}", to.resource());
        }
        format!("http/{}", to.resource().split('/').next().unwrap_or_default())
    }

    fn time_limit(&self, _: &Arn) -> Duration {
        HTTP_TIMEOUT + Duration::from_secs(10)
    }
}

fn request(envelope: &Envelope, url: &str) -> Result<Request<Bytes>, String> {
    let of = |name: &str| envelope.attributes.get(name).map(String::as_str);
    let (url, login) = without_login(url);
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, of(CONTENT_TYPE).unwrap_or("text/plain; charset=UTF-8"))
        .header(header::USER_AGENT, "Amazon Simple Notification Service Agent")
        .header("x-amz-sns-message-type", of(KIND).unwrap_or("Notification"))
        .header("x-amz-sns-message-id", of(attribute::MESSAGE_ID).unwrap_or_default());
    if let Some(topic) = &envelope.from {
        request = request.header("x-amz-sns-topic-arn", topic.as_str());
    }
    // A server that has not confirmed has no subscription yet.
    if let Some(subscription) = of(SUBSCRIPTION) {
        request = request.header("x-amz-sns-subscription-arn", subscription);
    }
    if of(RAW).is_some() {
        request = request.header("x-amz-sns-rawdelivery", "true");
    }
    if let Some(login) = login {
        request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(login)));
    }
    request.body(envelope.body.clone()).map_err(|error| error.to_string())
}

/// A URL's user and password go into a header of their own.
fn without_login(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, host) = authority.rsplit_once('@')?;
        // The plain words, where they were written with escapes.
        let form = login.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        let plain = form_urlencoded::parse(form.as_bytes()).next().map(|(name, _)| name.into_owned());
        Some((format!("{scheme}://{host}{path}"), plain))
    });
    parts.unwrap_or_else(|| (url.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_leave_the_url() {
        assert_eq!(
            without_login("https://me:a%40b+c=d&@example.com:8443/x?y=@z"),
            ("https://example.com:8443/x?y=@z".to_owned(), Some("me:a@b+c=d&".to_owned()))
        );
        assert_eq!(without_login("https://example.com/x@y"), ("https://example.com/x@y".to_owned(), None));
    }
}
