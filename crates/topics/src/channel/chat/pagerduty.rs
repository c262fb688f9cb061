//! PagerDuty: events. Source: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>

use super::digest::{Action, Digest, cut};
use serde_json::{Map, Value, json};

/// Characters of a summary and of a deduplication key.
const SUMMARY: usize = 1_024;
const KEY: usize = 255;
/// Characters of the text: an event has at most 512 KB.
const TEXT: usize = 60_000;

pub(super) fn body(digest: &Digest, routing_key: &str) -> Value {
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": digest.action.as_str(),
        "dedup_key": key(&digest.key),
    });
    // What is acknowledged or resolved is known already.
    if digest.action == Action::Trigger {
        let mut details: Map<String, Value> =
            digest.facts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        details.insert("Text".into(), cut(&digest.text, TEXT).into());
        details.insert("Topic".into(), digest.topic.as_str().into());
        event["payload"] = json!({
            "summary": cut(&digest.title, SUMMARY),
            "source": digest.source,
            "severity": digest.severity.as_str(),
            "timestamp": digest.at,
            "custom_details": details,
        });
        event["client"] = "Headwater".into();
    }
    event
}

/// A key that is too long is told by its hash.
fn key(key: &str) -> String {
    if key.chars().count() <= KEY {
        return key.to_owned();
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The key of the integration that a URL names: `?routing_key=...`.
pub(super) fn routing_key(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let key = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "routing_key")?.1;
    (!key.is_empty()).then(|| key.into_owned())
}

/// The URL without it.
pub(super) fn without_key(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::attribute::Attributes;

    #[test]
    fn what_is_resolved_needs_no_payload() {
        let alarm = |state: &str| json!({ "AlarmName": "cpu", "NewStateValue": state }).to_string();
        let event = |state: &str| body(&Digest::of(&alarm(state), &sample(), &Attributes::new()), "key");
        let (bad, good) = (event("ALARM"), event("OK"));
        assert_eq!((&bad["event_action"], &bad["dedup_key"]), (&json!("trigger"), &json!("cpu")));
        assert_eq!((&bad["payload"]["severity"], &bad["payload"]["source"]), (&json!("critical"), &json!("cpu")));
        assert_eq!(good, json!({ "routing_key": "key", "event_action": "resolve", "dedup_key": "cpu" }));
    }

    #[test]
    fn keys() {
        assert_eq!(routing_key("https://h/v2/enqueue?a=b&routing_key=k%2B").as_deref(), Some("k+"));
        assert_eq!(routing_key("https://h/v2/enqueue?routing_key="), None);
        assert_eq!(without_key("https://h/v2/enqueue?routing_key=k"), "https://h/v2/enqueue");
        assert_eq!(key(&"a".repeat(300)).len(), 64);
    }
}
