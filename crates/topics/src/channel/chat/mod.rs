//! Where people talk and are called: Slack, PagerDuty and Microsoft Teams, as `https` subscriptions whose URL says which.
//! None of them can answer a question, so none is asked one: who has a webhook's URL may use it.

mod digest;
mod pagerduty;
mod slack;
mod teams;

use super::pace::Pace;
use super::template::{Escape, fill};
use super::{ENDPOINT, Way, answer, authority, no_answer};
use crate::attribute::{self, Attributes};
use crate::limits::{CHAT_TIMEOUT, PAGERDUTY_GAP, SLACK_GAP, TEAMS_GAP};
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict};
use digest::Digest;
use http::{Request, header};
use names::Arn;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use world::BoxFuture;

/// Whom an `https` endpoint reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chat {
    /// An incoming webhook of Slack. Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
    Slack,
    /// The Events API v2 of PagerDuty. Source: <https://developer.pagerduty.com/docs/events-api-v2/overview/>
    PagerDuty,
    /// A workflow's webhook of Teams.
    /// Source: <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>
    Teams,
}

/// What the configuration says of one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatOptions {
    /// Further hosts that speak as it does, with a port where that is not 443.
    pub hosts: Vec<String>,
    /// A template of the request's body instead of the house's own.
    pub template: Option<String>,
}

impl Chat {
    pub(crate) const ALL: [Chat; 3] = [Chat::Slack, Chat::PagerDuty, Chat::Teams];

    /// As ARNs and the configuration call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Chat::Slack => "slack",
            Chat::PagerDuty => "pagerduty",
            Chat::Teams => "teams",
        }
    }

    /// Whose an endpoint is, if one of theirs. `options` are in the order of [`Chat::ALL`].
    pub(crate) fn of(endpoint: &str, options: &[ChatOptions; 3]) -> Option<Chat> {
        let authority = authority(endpoint);
        let host = authority.strip_suffix(":443").unwrap_or(&authority);
        let known = |(chat, options): &(Chat, &ChatOptions)| {
            chat.owns(host, endpoint) || options.hosts.iter().any(|named| named.eq_ignore_ascii_case(host))
        };
        Chat::ALL.into_iter().zip(options).find(known).map(|(chat, _)| chat)
    }

    fn owns(self, host: &str, endpoint: &str) -> bool {
        match self {
            Chat::Slack => matches!(host, "hooks.slack.com" | "hooks.slack-gov.com"),
            // An integration of SNS's own kind takes SNS's messages as they are, and confirms by itself.
            Chat::PagerDuty => {
                matches!(host, "events.pagerduty.com" | "events.eu.pagerduty.com") && endpoint.contains("/v2/")
            }
            Chat::Teams => [".logic.azure.com", ".webhook.office.com", ".api.powerplatform.com"]
                .iter()
                .any(|domain| host.ends_with(domain)),
        }
    }

    /// Refuses an endpoint that lacks what it needs.
    pub(crate) fn check(self, endpoint: &str) -> Result<(), &'static str> {
        match self {
            Chat::PagerDuty if pagerduty::routing_key(endpoint).is_none() => {
                Err("the URL must end with ?routing_key= and the key of the integration")
            }
            _ => Ok(()),
        }
    }

    fn gap(self) -> Duration {
        match self {
            Chat::Slack => SLACK_GAP,
            Chat::PagerDuty => PAGERDUTY_GAP,
            Chat::Teams => TEAMS_GAP,
        }
    }

    fn body(self, digest: &Digest, endpoint: &str, template: Option<&str>) -> String {
        let key = pagerduty::routing_key(endpoint).unwrap_or_default();
        if let Some(template) = template {
            return fill(template, Escape::Json, &digest.places(&key));
        }
        let body = match self {
            Chat::Slack => slack::body(digest),
            Chat::PagerDuty => pagerduty::body(digest, &key),
            Chat::Teams => teams::body(digest),
        };
        body.to_string()
    }
}

impl ChatOptions {
    /// Whether the template makes JSON: to be asked when the configuration is read.
    pub fn check(&self) -> Result<(), String> {
        let Some(template) = &self.template else { return Ok(()) };
        let digest = Digest::of("{\"a\":\"\\\"{title}\"}", &Envelope { ..sample() }, &Attributes::new());
        let filled = fill(template, Escape::Json, &digest.places("key"));
        let read: Result<Value, _> = serde_json::from_str(&filled);
        read.map(|_| ()).map_err(|error| format!("the template does not make JSON: {error}"))
    }
}

fn sample() -> Envelope {
    Envelope {
        id: "sample".into(),
        to: Arn::new("sns", "us-east-1", "000000000000", "sample"),
        body: Bytes::new(),
        attributes: Default::default(),
        from: None,
        principal: String::new(),
        role: None,
        policy: Default::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: Default::default(),
    }
}

/// Takes envelopes for one of them: `arn:headwater:slack:REGION:ACCOUNT:HOST/HASH`, a lane for each webhook.
pub(crate) struct ChatTarget {
    chat: Chat,
    way: Way,
    template: Option<String>,
    pace: Pace,
}

impl ChatTarget {
    pub(crate) fn new(chat: Chat, way: Way, options: &ChatOptions) -> ChatTarget {
        ChatTarget { chat, way, template: options.template.clone(), pace: Pace::default() }
    }

    async fn send(&self, envelope: &Envelope, endpoint: &str) -> Verdict {
        if let Err(busy) = self.pace.turn(&self.way.world, endpoint, self.chat.gap()).await {
            return busy;
        }
        let carried = envelope.attributes.get(delivery::attribute::MESSAGE_ATTRIBUTES);
        let attributes = carried.and_then(|text| attribute::read(text).ok()).unwrap_or_default();
        let digest = Digest::of(&String::from_utf8_lossy(&envelope.body), envelope, &attributes);
        let body = self.chat.body(&digest, endpoint, self.template.as_deref());
        let url = if self.chat == Chat::PagerDuty { pagerduty::without_key(endpoint) } else { endpoint.to_owned() };
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/json").body(Bytes::from(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Verdict::Refused { code: "InvalidEndpoint".into(), why: error.to_string() },
        };
        let verdict = match self.way.world.net.send(request, CHAT_TIMEOUT).await {
            Ok(got) if self.chat == Chat::Teams && teams::is_refusal(got.body()) => {
                let why = String::from_utf8_lossy(got.body()).chars().take(200).collect();
                Verdict::Again { code: "429".into(), why, after: None }
            }
            Ok(got) => answer(&got, got.body().slice(..got.body().len().min(200))),
            Err(error) => no_answer(&error),
        };
        if let Verdict::Again { after: Some(after), .. } = &verdict {
            self.pace.hold(&self.way.world, endpoint, *after);
        }
        verdict
    }
}

impl Target for ChatTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let endpoint = envelope.attributes.get(ENDPOINT).map(String::as_str).unwrap_or_default();
            let verdict = self.send(envelope, endpoint).await;
            // The path of a webhook is its password.
            let shown = format!("https://{}/...", authority(endpoint));
            self.way.settle(envelope, self.chat.as_str(), &shown, verdict, false).await
        })
    }

    fn concurrency(&self, _: &Arn) -> usize {
        1
    }

    fn time_limit(&self, _: &Arn) -> Duration {
        CHAT_TIMEOUT + Duration::from_secs(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_whose_they_are() {
        let mut options: [ChatOptions; 3] = Default::default();
        options[1].hosts = vec!["pager.example.com:8443".into()];
        for (url, chat) in [
            ("https://hooks.slack.com/services/T/B/x", Some(Chat::Slack)),
            ("https://hooks.slack.com:443/services/T/B/x", Some(Chat::Slack)),
            ("https://events.pagerduty.com/v2/enqueue?routing_key=k", Some(Chat::PagerDuty)),
            ("https://events.pagerduty.com/integration/k/enqueue", None),
            ("https://pager.example.com:8443/v2/enqueue?routing_key=k", Some(Chat::PagerDuty)),
            ("https://prod-1.westeurope.logic.azure.com:443/workflows/x", Some(Chat::Teams)),
            ("https://acme.webhook.office.com/webhookb2/x", Some(Chat::Teams)),
            ("https://hooks.slack.com.example.com/", None),
            ("https://example.com/hooks.slack.com", None),
        ] {
            assert_eq!(Chat::of(url, &options), chat, "{url}");
        }
        assert!(Chat::PagerDuty.check("https://events.pagerduty.com/v2/enqueue").is_err());
        assert!(Chat::PagerDuty.check("https://events.pagerduty.com/v2/enqueue?routing_key=k").is_ok());
    }

    #[test]
    fn templates_make_json_or_are_refused() {
        let with = |template: &str| ChatOptions { template: Some(template.into()), ..ChatOptions::default() };
        assert_eq!(with(r#"{"text":"{title}: {text}","n":{}}"#).check(), Ok(()));
        assert!(with(r#"{"text":{title}}"#).check().unwrap_err().contains("JSON"));
        let digest = Digest::of("hello \"you\"", &sample(), &Attributes::new());
        let body = Chat::Slack.body(&digest, "", Some(r#"{"text":"{text}"}"#));
        assert_eq!(body, r#"{"text":"hello \"you\""}"#);
    }
}
