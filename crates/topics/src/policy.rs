//! The policies of topics and subscriptions that act: how often and how fast an HTTP endpoint is tried, and where what
//! cannot be delivered goes.
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
    /// Deliveries a second, at most.
    #[serde(default)]
    pub(crate) per_second: Option<u32>,
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
    /// How many of them come at once.
    #[serde(default)]
    pub(crate) at_once: u32,
    /// How many follow with the least pause.
    #[serde(default)]
    pub(crate) at_min: u32,
    /// How many come last, with the longest.
    #[serde(default)]
    pub(crate) at_max: u32,
    /// How pauses grow in between.
    #[serde(default)]
    pub(crate) growth: Growth,
}

/// How pauses grow from the least to the greatest. SNS draws these curves and gives no formulas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Growth {
    /// By the same amount each time.
    #[default]
    Linear,
    /// By an amount that itself grows evenly.
    Arithmetic,
    /// By the same factor each time.
    Geometric,
    /// By an amount that doubles each time.
    Exponential,
}

impl Default for HttpRetries {
    fn default() -> HttpRetries {
        let (count, pause) = (HTTP_RETRIES, HTTP_PAUSE_S);
        HttpRetries { count, min_s: pause, max_s: pause, at_once: 0, at_min: 0, at_max: 0, growth: Growth::default() }
    }
}

/// What holds for a subscription.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Effective {
    pub(crate) retries: HttpRetries,
    pub(crate) content_type: Option<String>,
    pub(crate) per_second: Option<u32>,
}

impl Growth {
    fn as_str(self) -> &'static str {
        match self {
            Growth::Linear => "linear",
            Growth::Arithmetic => "arithmetic",
            Growth::Geometric => "geometric",
            Growth::Exponential => "exponential",
        }
    }

    /// Pause number `n` of `of`, from zero, in milliseconds.
    fn pause_ms(self, n: u32, of: u32, min_s: u32, max_s: u32) -> u32 {
        if of < 2 {
            return min_s * 1_000;
        }
        let part = f64::from(n) / f64::from(of - 1);
        let (min, max) = (f64::from(min_s) * 1_000.0, f64::from(max_s) * 1_000.0);
        let pause = match self {
            Growth::Linear => min + (max - min) * part,
            Growth::Arithmetic => min + (max - min) * part * part,
            Growth::Geometric => min * (max / min).powf(part),
            Growth::Exponential => {
                let doubled = |n: u32| f64::from(n.min(60)).exp2() - 1.0;
                min + (max - min) * doubled(n) / doubled(of - 1)
            }
        };
        pause.round() as u32
    }
}

impl HttpRetries {
    /// As `delivery` carries it out: all pauses, phase by phase.
    pub(crate) fn policy(self) -> RetryPolicy {
        let cap = Duration::from_secs(u64::from(self.max_s));
        let backoff = Backoff { first: cap, factor: 1.0, cap, jitter: false, steps: self.pauses_ms() };
        RetryPolicy { max_attempts: self.count + 1, max_age: HTTP_MAX_AGE, backoff }
    }

    fn pauses_ms(self) -> Vec<u32> {
        let growing = self.count - self.at_once - self.at_min - self.at_max;
        let immediate = (0..self.at_once).map(|_| 0);
        let least = (0..self.at_min).map(|_| self.min_s * 1_000);
        let between = (0..growing).map(|n| self.growth.pause_ms(n, growing, self.min_s, self.max_s));
        let greatest = (0..self.at_max).map(|_| self.max_s * 1_000);
        immediate.chain(least).chain(between).chain(greatest).collect()
    }

    fn json(self) -> Value {
        json!({
            "minDelayTarget": self.min_s, "maxDelayTarget": self.max_s, "numRetries": self.count,
            "numMaxDelayRetries": self.at_max, "numNoDelayRetries": self.at_once, "numMinDelayRetries": self.at_min,
            "backoffFunction": self.growth.as_str(),
        })
    }
}

impl DeliveryPolicy {
    /// A topic's: `{"http":{"defaultHealthyRetryPolicy":{..},"disableSubscriptionOverrides":false}}`.
    pub(crate) fn of_topic(text: &str) -> Result<Option<DeliveryPolicy>, String> {
        let Some(policy) = object(text)? else { return Ok(None) };
        only(&policy, &["http"])?;
        let http = policy.get("http").cloned().unwrap_or_else(|| json!({}));
        let known = [
            "defaultHealthyRetryPolicy",
            "disableSubscriptionOverrides",
            "defaultRequestPolicy",
            "defaultThrottlePolicy",
        ];
        only(&http, &known)?;
        let final_word = match http.get("disableSubscriptionOverrides") {
            None => false,
            Some(Value::Bool(b)) => *b,
            Some(_) => return Err("disableSubscriptionOverrides must be true or false".into()),
        };
        let of = |name: &str| http.get(name).filter(|value| !value.is_null());
        Ok(Some(DeliveryPolicy {
            text: text.to_owned(),
            retries: of("defaultHealthyRetryPolicy").map(retries).transpose()?,
            content_type: content_type(of("defaultRequestPolicy"))?,
            per_second: per_second(of("defaultThrottlePolicy"))?,
            final_word,
        }))
    }

    /// A subscription's: `{"healthyRetryPolicy":{..}}`.
    pub(crate) fn of_subscription(text: &str) -> Result<Option<DeliveryPolicy>, String> {
        let Some(policy) = object(text)? else { return Ok(None) };
        only(&policy, &["healthyRetryPolicy", "requestPolicy", "throttlePolicy"])?;
        let of = |name: &str| policy.get(name).filter(|value| !value.is_null());
        Ok(Some(DeliveryPolicy {
            text: text.to_owned(),
            retries: of("healthyRetryPolicy").map(retries).transpose()?,
            content_type: content_type(of("requestPolicy"))?,
            per_second: per_second(of("throttlePolicy"))?,
            final_word: false,
        }))
    }

    /// What holds for a subscription: its own, its topic's, or SNS's default.
    pub(crate) fn effective(topic: Option<&DeliveryPolicy>, own: Option<&DeliveryPolicy>) -> Effective {
        let own = own.filter(|_| !topic.is_some_and(|t| t.final_word));
        let both = || own.into_iter().chain(topic);
        Effective {
            retries: both().find_map(|policy| policy.retries).unwrap_or_default(),
            content_type: both().find_map(|policy| policy.content_type.clone()),
            per_second: both().find_map(|policy| policy.per_second),
        }
    }

    /// A topic's `EffectiveDeliveryPolicy`.
    pub(crate) fn effective_of_topic(topic: Option<&DeliveryPolicy>) -> String {
        let effective = DeliveryPolicy::effective(topic, None);
        let mut http = json!({
            "defaultHealthyRetryPolicy": effective.retries.json(),
            "disableSubscriptionOverrides": topic.is_some_and(|t| t.final_word),
        });
        effective.show(&mut http, "defaultThrottlePolicy", "defaultRequestPolicy");
        json!({ "http": http }).to_string()
    }

    /// A subscription's `EffectiveDeliveryPolicy`.
    pub(crate) fn effective_of_subscription(topic: Option<&DeliveryPolicy>, own: Option<&DeliveryPolicy>) -> String {
        let effective = DeliveryPolicy::effective(topic, own);
        let mut out = json!({ "healthyRetryPolicy": effective.retries.json() });
        effective.show(&mut out, "throttlePolicy", "requestPolicy");
        out.to_string()
    }
}

impl Effective {
    fn show(&self, out: &mut Value, throttle: &str, request: &str) {
        if let Some(rate) = self.per_second {
            out[throttle] = json!({ "maxReceivesPerSecond": rate });
        }
        if let Some(kind) = &self.content_type {
            out[request] = json!({ "headerContentType": kind });
        }
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
    const PHASES: [&str; 3] = ["numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries"];
    only(policy, &[&["minDelayTarget", "maxDelayTarget", "numRetries", "backoffFunction"][..], &PHASES[..]].concat())?;
    let default = HttpRetries::default();
    let number = |name: &str, default: u32, max: u32| match policy.get(name).filter(|value| !value.is_null()) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|n| *n <= u64::from(max))
            .map(|n| n as u32)
            .ok_or_else(|| format!("{name} must be a number from 0 to {max}")),
    };
    let longest = HTTP_MAX_AGE.as_secs() as u32;
    let read = HttpRetries {
        count: number("numRetries", default.count, HTTP_MAX_RETRIES)?,
        min_s: number("minDelayTarget", default.min_s, longest)?,
        max_s: number("maxDelayTarget", default.max_s, longest)?,
        at_once: number(PHASES[0], 0, HTTP_MAX_RETRIES)?,
        at_min: number(PHASES[1], 0, HTTP_MAX_RETRIES)?,
        at_max: number(PHASES[2], 0, HTTP_MAX_RETRIES)?,
        growth: growth(policy.get("backoffFunction"))?,
    };
    if read.min_s == 0 || read.min_s > read.max_s {
        return Err("minDelayTarget must be at least 1 and not more than maxDelayTarget".into());
    }
    if read.at_once + read.at_min + read.at_max > read.count {
        return Err("the retries of the phases are more than numRetries".into());
    }
    let total: u64 = read.pauses_ms().into_iter().map(u64::from).sum();
    if total > HTTP_MAX_AGE.as_millis() as u64 {
        return Err(format!("all retries together may not take longer than {longest} seconds"));
    }
    Ok(read)
}

fn growth(given: Option<&Value>) -> Result<Growth, String> {
    let all = [Growth::Linear, Growth::Arithmetic, Growth::Geometric, Growth::Exponential];
    let Some(given) = given.filter(|value| !value.is_null()) else { return Ok(Growth::default()) };
    let named = |growth: &Growth| given.as_str().is_some_and(|text| text.eq_ignore_ascii_case(growth.as_str()));
    let wrong = || "backoffFunction must be one of linear, arithmetic, geometric and exponential".to_owned();
    all.into_iter().find(named).ok_or_else(wrong)
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

fn per_second(policy: Option<&Value>) -> Result<Option<u32>, String> {
    let Some(policy) = policy else { return Ok(None) };
    only(policy, &["maxReceivesPerSecond"])?;
    match policy.get("maxReceivesPerSecond").filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(rate) => Ok(Some(rate)),
            None => Err("maxReceivesPerSecond must be a number of at least 1".into()),
        },
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
            r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":5,"minDelayTarget":1,"maxDelayTarget":16,"backoffFunction":"exponential"},
                "defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}"#,
        )
        .unwrap();
        let own = DeliveryPolicy::of_subscription(
            r#"{"healthyRetryPolicy":{"numRetries":1},"requestPolicy":{"headerContentType":"application/json"}}"#,
        )
        .unwrap();
        let both = DeliveryPolicy::effective(topic.as_ref(), own.as_ref());
        assert_eq!((both.retries.count, both.retries.min_s, both.per_second), (1, 20, Some(7)));
        assert_eq!(both.content_type.as_deref(), Some("application/json"));
        let general = DeliveryPolicy::effective(topic.as_ref(), None);
        assert_eq!(general.content_type, None);
        let policy = general.retries.policy();
        assert_eq!((policy.max_attempts, policy.backoff.steps), (6, vec![1_000, 2_000, 4_000, 8_000, 16_000]));
        let strict = DeliveryPolicy { final_word: true, ..topic.unwrap() };
        assert_eq!(DeliveryPolicy::effective(Some(&strict), own.as_ref()).retries.count, 5);
        assert_eq!(DeliveryPolicy::effective(None, None), Effective::default());
    }

    #[test]
    fn phases_follow_one_another() {
        let pauses = |function: &str| {
            let text = format!(
                r#"{{"healthyRetryPolicy":{{"numRetries":10,"numNoDelayRetries":2,"numMinDelayRetries":1,"numMaxDelayRetries":2,
                    "minDelayTarget":1,"maxDelayTarget":81,"backoffFunction":"{function}"}}}}"#
            );
            let policy = DeliveryPolicy::of_subscription(&text).unwrap().unwrap();
            policy.retries.unwrap().policy().backoff.steps
        };
        let around = |middle: [u32; 5]| {
            let seconds = [[0, 0, 1].as_slice(), &middle, &[81, 81]].concat();
            seconds.into_iter().map(|s| s * 1_000).collect::<Vec<_>>()
        };
        assert_eq!(pauses("linear"), around([1, 21, 41, 61, 81]));
        assert_eq!(pauses("arithmetic"), around([1, 6, 21, 46, 81]));
        assert_eq!(pauses("GEOMETRIC"), around([1, 3, 9, 27, 81]));
        let doubled = pauses("exponential");
        assert_eq!((doubled[3], doubled[4], doubled[7]), (1_000, 6_333, 81_000));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, word) in [
            (r#"{"sicklyRetryPolicy":{}}"#, "sicklyRetryPolicy"),
            (r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#, "maxReceivesPerSecond"),
            (r#"{"healthyRetryPolicy":{"numNoDelayRetries":2,"numRetries":1}}"#, "phases"),
            (r#"{"healthyRetryPolicy":{"backoffFunction":"cubic"}}"#, "backoffFunction"),
            (r#"{"healthyRetryPolicy":{"numRetries":101}}"#, "numRetries"),
            (r#"{"healthyRetryPolicy":{"minDelayTarget":30}}"#, "minDelayTarget"),
            (r#"{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":60,"maxDelayTarget":60}}"#, "3600"),
            ("[]", "JSON object"),
        ] {
            let why = DeliveryPolicy::of_subscription(text).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        assert!(DeliveryPolicy::of_topic(r#"{"sqs":{}}"#).is_err());
        assert_eq!(DeliveryPolicy::of_topic(""), Ok(None));
    }

    #[test]
    fn policies_kept_by_an_older_program_are_read() {
        let old = r#"{"text":"{}","retries":{"count":2,"min_s":1,"max_s":4},"content_type":null,"final_word":false}"#;
        let read: DeliveryPolicy = serde_json::from_str(old).unwrap();
        assert_eq!(read.retries.unwrap().policy().backoff.steps, [1_000, 4_000]);
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
