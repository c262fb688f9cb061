//! The policies of topics and subscriptions that act: how often an HTTP endpoint is tried, and where what cannot be
//! delivered goes.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>

use crate::limits::{HTTP_MAX_AGE, HTTP_MAX_RETRIES, HTTP_PAUSE_S, HTTP_RETRIES};
use delivery::{Backoff, RetryPolicy};
use names::Arn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// A delivery policy for HTTP(S).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeliveryPolicy {
    /// As it was given.
    pub(crate) text: String,
    /// What it says about retries.
    pub(crate) retries: Option<HttpRetries>,
    /// The `Content-Type` of the requests.
    pub(crate) content_type: Option<String>,
    /// Whether subscriptions may not have one of their own (topics only).
    pub(crate) final_word: bool,
}

/// How often, and how long in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpRetries {
    /// Tries after the first.
    pub(crate) count: u32,
    /// The first pause, in seconds.
    pub(crate) min_s: u32,
    /// The longest pause, in seconds.
    pub(crate) max_s: u32,
}

impl Default for HttpRetries {
    fn default() -> HttpRetries {
        HttpRetries { count: HTTP_RETRIES, min_s: HTTP_PAUSE_S, max_s: HTTP_PAUSE_S }
    }
}

impl HttpRetries {
    /// As `delivery` carries it out: the pauses grow from the least to the greatest in equal proportions.
    pub(crate) fn policy(self) -> RetryPolicy {
        let growth = f64::from(self.max_s.max(1)) / f64::from(self.min_s.max(1));
        let backoff = Backoff {
            first: Duration::from_secs(u64::from(self.min_s)),
            factor: growth.powf(1.0 / f64::from(self.count.saturating_sub(1).max(1))),
            cap: Duration::from_secs(u64::from(self.max_s)),
            jitter: false,
            steps: Vec::new(),
        };
        RetryPolicy { max_attempts: self.count + 1, max_age: HTTP_MAX_AGE, backoff }
    }

    fn json(self) -> Value {
        json!({
            "minDelayTarget": self.min_s, "maxDelayTarget": self.max_s, "numRetries": self.count,
            "numMaxDelayRetries": 0, "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "exponential",
        })
    }
}

impl DeliveryPolicy {
    /// A topic's: `{"http":{"defaultHealthyRetryPolicy":{..},"disableSubscriptionOverrides":false}}`.
    pub(crate) fn of_topic(text: &str) -> Result<Option<DeliveryPolicy>, String> {
        let Some(policy) = object(text)? else { return Ok(None) };
        only(&policy, &["http"])?;
        let http = policy.get("http").cloned().unwrap_or_else(|| json!({}));
        only(&http, &["defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultRequestPolicy"])?;
        let final_word = match http.get("disableSubscriptionOverrides") {
            None => false,
            Some(Value::Bool(b)) => *b,
            Some(_) => return Err("disableSubscriptionOverrides must be true or false".into()),
        };
        Ok(Some(DeliveryPolicy {
            text: text.to_owned(),
            retries: http.get("defaultHealthyRetryPolicy").map(retries).transpose()?,
            content_type: content_type(http.get("defaultRequestPolicy"))?,
            final_word,
        }))
    }

    /// A subscription's: `{"healthyRetryPolicy":{..}}`.
    pub(crate) fn of_subscription(text: &str) -> Result<Option<DeliveryPolicy>, String> {
        let Some(policy) = object(text)? else { return Ok(None) };
        only(&policy, &["healthyRetryPolicy", "requestPolicy"])?;
        Ok(Some(DeliveryPolicy {
            text: text.to_owned(),
            retries: policy.get("healthyRetryPolicy").map(retries).transpose()?,
            content_type: content_type(policy.get("requestPolicy"))?,
            final_word: false,
        }))
    }

    /// What holds for a subscription: its own, its topic's, or SNS's default.
    pub(crate) fn effective(
        topic: Option<&DeliveryPolicy>,
        own: Option<&DeliveryPolicy>,
    ) -> (HttpRetries, Option<String>) {
        let own = own.filter(|_| !topic.is_some_and(|t| t.final_word));
        let retries = own.and_then(|p| p.retries).or(topic.and_then(|p| p.retries)).unwrap_or_default();
        let content_type =
            own.and_then(|p| p.content_type.clone()).or_else(|| topic.and_then(|p| p.content_type.clone()));
        (retries, content_type)
    }

    /// A topic's `EffectiveDeliveryPolicy`.
    pub(crate) fn effective_of_topic(topic: Option<&DeliveryPolicy>) -> String {
        let (retries, _) = DeliveryPolicy::effective(topic, None);
        let final_word = topic.is_some_and(|t| t.final_word);
        json!({ "http": {
            "defaultHealthyRetryPolicy": retries.json(), "disableSubscriptionOverrides": final_word,
        }})
        .to_string()
    }

    /// A subscription's `EffectiveDeliveryPolicy`.
    pub(crate) fn effective_of_subscription(topic: Option<&DeliveryPolicy>, own: Option<&DeliveryPolicy>) -> String {
        json!({ "healthyRetryPolicy": DeliveryPolicy::effective(topic, own).0.json() }).to_string()
    }
}

fn object(text: &str) -> Result<Option<Value>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(Some(value)),
        _ => Err("not a JSON object".into()),
    }
}

/// What is not served is refused by name.
fn only(object: &Value, known: &[&str]) -> Result<(), String> {
    let members = object.as_object().ok_or("not a JSON object")?;
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("Headwater does not serve {key} yet")),
        None => Ok(()),
    }
}

fn retries(policy: &Value) -> Result<HttpRetries, String> {
    const UNSERVED: [&str; 3] = ["numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries"];
    only(
        policy,
        &[&["minDelayTarget", "maxDelayTarget", "numRetries", "backoffFunction"][..], &UNSERVED[..]].concat(),
    )?;
    if let Some(phase) = UNSERVED.iter().find(|phase| policy.get(**phase).is_some_and(|n| n.as_u64() != Some(0))) {
        return Err(format!("Headwater does not serve {phase} other than 0 yet"));
    }
    let default = HttpRetries::default();
    let number = |name: &str, default: u32, max: u32| match policy.get(name) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|n| *n <= u64::from(max))
            .map(|n| n as u32)
            .ok_or_else(|| format!("{name} must be a number from 0 to {max}")),
    };
    let read = HttpRetries {
        count: number("numRetries", default.count, HTTP_MAX_RETRIES)?,
        min_s: number("minDelayTarget", default.min_s, HTTP_MAX_AGE.as_secs() as u32)?,
        max_s: number("maxDelayTarget", default.max_s, HTTP_MAX_AGE.as_secs() as u32)?,
    };
    if read.min_s == 0 || read.min_s > read.max_s {
        return Err("minDelayTarget must be at least 1 and not more than maxDelayTarget".into());
    }
    match policy.get("backoffFunction").map(|f| f.as_str().unwrap_or_default()) {
        None | Some("exponential" | "geometric") => Ok(read),
        // Where all pauses are the same, all functions are.
        Some("linear" | "arithmetic") if read.min_s == read.max_s => Ok(read),
        Some(other) => Err(format!("Headwater does not serve the backoffFunction {other:?} yet")),
    }
}

fn content_type(policy: Option<&Value>) -> Result<Option<String>, String> {
    let Some(policy) = policy else { return Ok(None) };
    only(policy, &["headerContentType"])?;
    match policy.get("headerContentType") {
        None => Ok(None),
        Some(Value::String(text)) if http::HeaderValue::from_str(text).is_ok() => Ok(Some(text.clone())),
        Some(_) => Err("headerContentType must be a content type".into()),
    }
}

/// The queue of a redrive policy: `{"deadLetterTargetArn":"arn:aws:sqs:..."}`; nothing for an empty one.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html>
pub(crate) fn dead_letter(text: &str) -> Result<Option<Arn>, String> {
    let Some(policy) = object(text)? else { return Ok(None) };
    only(&policy, &["deadLetterTargetArn"])?;
    let Some(arn) = policy.get("deadLetterTargetArn").and_then(Value::as_str) else { return Ok(None) };
    match arn.parse::<Arn>() {
        Ok(arn) if arn.service() == "sqs" => Ok(Some(arn)),
        _ => Err("deadLetterTargetArn is an invalid arn".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriptions_policy_comes_before_its_topics() {
        let topic = DeliveryPolicy::of_topic(
            r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":5,"minDelayTarget":1,"maxDelayTarget":16,"backoffFunction":"exponential"}}}"#,
        )
        .unwrap();
        let own = DeliveryPolicy::of_subscription(
            r#"{"healthyRetryPolicy":{"numRetries":1},"requestPolicy":{"headerContentType":"application/json"}}"#,
        )
        .unwrap();
        let (retries, kind) = DeliveryPolicy::effective(topic.as_ref(), own.as_ref());
        assert_eq!((retries.count, retries.min_s, kind.as_deref()), (1, 20, Some("application/json")));
        let (retries, kind) = DeliveryPolicy::effective(topic.as_ref(), None);
        assert_eq!((retries, kind), (HttpRetries { count: 5, min_s: 1, max_s: 16 }, None));
        let policy = retries.policy();
        assert_eq!((policy.max_attempts, policy.backoff.first.as_secs(), policy.backoff.factor), (6, 1, 2.0));
        let strict = DeliveryPolicy { final_word: true, ..topic.unwrap() };
        assert_eq!(DeliveryPolicy::effective(Some(&strict), own.as_ref()).0.count, 5);
        assert_eq!(DeliveryPolicy::effective(None, None).0, HttpRetries::default());
    }

    #[test]
    fn what_is_not_served_is_refused_by_name() {
        for (text, word) in [
            (r#"{"throttlePolicy":{"maxReceivesPerSecond":1}}"#, "throttlePolicy"),
            (r#"{"healthyRetryPolicy":{"numNoDelayRetries":2}}"#, "numNoDelayRetries"),
            (r#"{"healthyRetryPolicy":{"minDelayTarget":1,"backoffFunction":"linear"}}"#, "linear"),
            (r#"{"healthyRetryPolicy":{"numRetries":101}}"#, "numRetries"),
            (r#"{"healthyRetryPolicy":{"minDelayTarget":30}}"#, "minDelayTarget"),
            ("[]", "JSON object"),
        ] {
            let why = DeliveryPolicy::of_subscription(text).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        assert!(DeliveryPolicy::of_topic(r#"{"sqs":{}}"#).is_err());
        assert_eq!(DeliveryPolicy::of_topic(""), Ok(None));
    }

    #[test]
    fn dead_letters_go_to_queues() {
        let arn = "arn:aws:sqs:us-east-1:000000000000:dead";
        let text = format!(r#"{{"deadLetterTargetArn":"{arn}"}}"#);
        assert_eq!(dead_letter(&text).unwrap().unwrap().as_str(), arn);
        assert_eq!(dead_letter(""), Ok(None));
        assert!(dead_letter(r#"{"deadLetterTargetArn":"arn:aws:sns:us-east-1:000000000000:dead"}"#).is_err());
        assert!(dead_letter(r#"{"maxReceiveCount":3}"#).is_err());
    }
}
