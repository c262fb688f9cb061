//! What is counted and logged of deliveries once they have ended.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-topic-attributes.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html>

use crate::channel::{ENDPOINT, KIND};
use crate::texting::{LOG_RATE, LOG_ROLE, is_percentage, is_role};
use crate::{Topics, signals};
use delivery::{Envelope, Settled, attribute};
use names::Arn;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::Signal;

/// Takes a line for a log group and a log stream.
pub type LogSink = Arc<dyn Fn(&str, &str, String) + Send + Sync>;

const PROTOCOLS: [&str; 3] = ["HTTP", "Lambda", "SQS"];
const SUCCESS_ROLE: &str = "SuccessFeedbackRoleArn";
const SUCCESS_RATE: &str = "SuccessFeedbackSampleRate";
const FAILURE_ROLE: &str = "FailureFeedbackRoleArn";

/// Whether a topic's attribute asks for logs.
pub(crate) fn is_attribute(name: &str) -> bool {
    let rest = PROTOCOLS.iter().find_map(|protocol| name.strip_prefix(protocol));
    rest.is_some_and(|rest| [SUCCESS_ROLE, SUCCESS_RATE, FAILURE_ROLE].contains(&rest))
}

/// Refuses what such an attribute cannot be.
pub(crate) fn check(name: &str, value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Ok(());
    }
    if name.ends_with(SUCCESS_RATE) {
        return if is_percentage(value) { Ok(()) } else { Err("must be a number from 0 to 100") };
    }
    if is_role(value) { Ok(()) } else { Err("must be the ARN of a role") }
}

/// What settings ask for.
struct Wanted {
    on_success: bool,
    /// Of a hundred successes, so many.
    rate: u64,
    on_failure: bool,
}

impl Wanted {
    fn of_topic(feedback: &BTreeMap<String, String>, protocol: &str) -> Wanted {
        let of = |what: &str| feedback.get(&format!("{protocol}{what}"));
        Wanted {
            on_success: of(SUCCESS_ROLE).is_some(),
            // AWS logs none where no rate is given.
            rate: of(SUCCESS_RATE).and_then(|rate| rate.parse().ok()).unwrap_or(0),
            on_failure: of(FAILURE_ROLE).is_some(),
        }
    }
}

impl Topics {
    /// Told by `delivery`.
    pub(crate) fn settled(&self, envelope: &Envelope, settled: &Settled<'_>) {
        let topic = envelope.from.as_ref().map_or(signals::DIRECT, Arn::resource);
        let count = |signal: &'static Signal| self.world.meter.record(signal, &[topic], 1);
        let accepted = matches!(settled, Settled::Accepted { .. });
        if envelope.attributes.contains_key(attribute::LETTER) {
            return count(if accepted { &signals::REDRIVEN } else { &signals::REDRIVE_FAILED });
        }
        // Questions are no notifications.
        if envelope.attributes.get(KIND).is_some_and(|kind| kind != "Notification") {
            return;
        }
        count(if accepted { &signals::DELIVERED } else { &signals::FAILED });
        if envelope.to.service() == "sms" {
            self.world.meter.record(&signals::SMS_SUCCESS, &[topic], u64::from(accepted));
        }
        let Some((wanted, group)) = self.wanted(envelope) else { return };
        let Some(log) = self.log.get() else { return };
        let sampled = || self.world.entropy.below(100) < wanted.rate;
        if accepted && wanted.on_success && sampled() {
            log(&group, &envelope.id, self.line(envelope, settled));
        }
        if !accepted && wanted.on_failure {
            log(&format!("{group}/Failure"), &envelope.id, self.line(envelope, settled));
        }
    }

    fn wanted(&self, envelope: &Envelope) -> Option<(Wanted, String)> {
        let group = |name: &str| format!("sns/{}/{}/{name}", self.home.region, self.home.account);
        let protocol = match envelope.to.service() {
            "sqs" => "SQS",
            "lambda" => "Lambda",
            "http" => "HTTP",
            "sms" => {
                let wanted = self.catalog.read(|state| {
                    let role = state.texting.of(LOG_ROLE).is_some_and(|role| !role.is_empty());
                    let rate = state.texting.of(LOG_RATE).and_then(|rate| rate.parse().ok()).unwrap_or(0);
                    Wanted { on_success: role, rate, on_failure: role }
                });
                return Some((wanted, group("DirectPublishToPhoneNumber")));
            }
            _ => return None,
        };
        let name = envelope.from.as_ref()?.resource();
        let wanted = self
            .catalog
            .read(|state| state.topics.get(name).map(|topic| Wanted::of_topic(&topic.settings.feedback, protocol)))?;
        Some((wanted, group(name)))
    }

    fn line(&self, envelope: &Envelope, settled: &Settled<'_>) -> String {
        let (status, code, response, tries) = match settled {
            Settled::Accepted { answer, tries } => {
                ("SUCCESS", "200", String::from_utf8_lossy(answer).into_owned(), tries)
            }
            Settled::GivenUp(failure) => {
                ("FAILURE", failure.code.as_str(), failure.why.chars().take(1_000).collect(), &failure.tries)
            }
        };
        let code = code.parse::<u16>().map_or_else(|_| Value::from(code), Value::from);
        let destination = envelope.attributes.get(ENDPOINT).map_or(envelope.to.as_str(), String::as_str);
        let destination = if envelope.to.service() == "sms" { envelope.to.resource() } else { destination };
        let mut notification = json!({
            "messageId": envelope.attributes.get(attribute::MESSAGE_ID),
            "timestamp": envelope.created.iso_millis().replace('T', " ").trim_end_matches('Z'),
        });
        if let Some(topic) = &envelope.from {
            notification["topicArn"] = topic.as_str().into();
        }
        json!({
            "notification": notification,
            "delivery": {
                "deliveryId": envelope.id,
                "destination": crate::endpoint::without_password(destination),
                "providerResponse": response,
                "dwellTimeMs": self.world.now().since(envelope.created).as_millis() as u64,
                "attempts": tries,
                "statusCode": code,
            },
            "status": status,
        })
        .to_string()
    }
}
