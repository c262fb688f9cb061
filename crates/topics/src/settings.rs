//! The attributes of topics and subscriptions: every one acts, or is refused by name.
//! Source: <https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html>,
//! <https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html>

use crate::access::FORM;
use crate::endpoint::Protocol;
use crate::feedback;
use crate::filter::Filters;
use crate::limits::DISPLAY_NAME_LENGTH;
use crate::policy::{DeliveryPolicy, dead_letter};
use crate::signing::Version;
use names::Arn;
use policies::Unfit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a topic is set to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopicSettings {
    /// `DisplayName`: the sender's name of mails and text messages.
    pub(crate) display_name: String,
    /// `Policy`, as it was given.
    pub(crate) policy: Option<String>,
    /// `DeliveryPolicy`.
    pub(crate) delivery: Option<DeliveryPolicy>,
    /// `FifoTopic`: for good.
    #[serde(default)]
    pub(crate) fifo: bool,
    /// `ContentBasedDeduplication`.
    #[serde(default)]
    pub(crate) by_content: bool,
    /// `FifoThroughputScope`: whether each group has deduplication ids of its own.
    #[serde(default)]
    pub(crate) by_group: bool,
    /// `SignatureVersion`.
    #[serde(default)]
    pub(crate) signature: Version,
    /// The attributes that ask for logs of deliveries.
    #[serde(default)]
    pub(crate) feedback: BTreeMap<String, String>,
}

/// What a subscription is set to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubscriptionSettings {
    /// `RawMessageDelivery`.
    pub(crate) raw: bool,
    /// `FilterPolicy`.
    pub(crate) filter: Option<String>,
    /// `FilterPolicyScope`.
    pub(crate) scope: Scope,
    /// The queue of the `RedrivePolicy`.
    pub(crate) dead_letter: Option<Arn>,
    /// `DeliveryPolicy`.
    pub(crate) delivery: Option<DeliveryPolicy>,
}

/// What a filter policy looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Scope {
    /// The message's attributes.
    #[default]
    MessageAttributes,
    /// The message itself, which must be JSON.
    MessageBody,
}

/// Why an attribute cannot be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("AttributeName")]
    Unknown,
    #[error("{name}: {why}")]
    Value { name: String, why: String },
    #[error("{name} Reason: Headwater does not serve {what} yet")]
    NotServed { name: String, what: &'static str },
    #[error("{0} can only be set for FIFO topics")]
    NotFifo(&'static str),
    #[error("Attributes Reason: Delivery protocol [{0}] does not support {1}.")]
    Protocol(&'static str, &'static str),
}

impl SettingError {
    /// The policy cannot be set.
    pub(crate) fn policy(why: &Unfit) -> SettingError {
        wrong("Policy", format!("Error parsing policy document. {why}"))
    }
}

fn wrong(name: &str, why: impl Into<String>) -> SettingError {
    SettingError::Value { name: name.to_owned(), why: why.into() }
}

fn truth(name: &str, value: &str) -> Result<bool, SettingError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(name, format!("Invalid value [{value}]. Must be true or false."))),
    }
}

impl TopicSettings {
    /// Changes one attribute.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        match name {
            "DisplayName" => {
                if value.chars().count() > DISPLAY_NAME_LENGTH || value.chars().any(char::is_control) {
                    return Err(wrong(name, "at most 100 characters, none of them a control character"));
                }
                self.display_name = value.to_owned();
            }
            "Policy" => self.policy = policy(value)?,
            "DeliveryPolicy" => {
                self.delivery = DeliveryPolicy::of_topic(value).map_err(|why| wrong(name, why))?;
            }
            "FifoTopic" if truth(name, value)? == self.fifo => {}
            // What a topic is, its first call says.
            "FifoTopic" => return Err(SettingError::Unknown),
            "ContentBasedDeduplication" => {
                let on = truth(name, value)?;
                if on && !self.fifo {
                    return Err(SettingError::NotFifo("Content-based deduplication"));
                }
                self.by_content = on;
            }
            "FifoThroughputScope" => {
                if !self.fifo {
                    return Err(SettingError::NotFifo("FifoThroughputScope"));
                }
                self.by_group = match value {
                    "MessageGroup" => true,
                    "Topic" => false,
                    _ => return Err(wrong(name, format!("Invalid value [{value}]. Use Topic or MessageGroup."))),
                };
            }
            "SignatureVersion" => {
                self.signature = match value {
                    "1" => Version::One,
                    "2" => Version::Two,
                    _ => return Err(wrong(name, format!("Invalid value [{value}]. Use 1 or 2."))),
                };
            }
            _ if feedback::is_attribute(name) => {
                feedback::check(name, value).map_err(|why| wrong(name, why))?;
                if value.is_empty() {
                    self.feedback.remove(name);
                } else {
                    self.feedback.insert(name.to_owned(), value.to_owned());
                }
            }
            _ => refuse_topic(name, value)?,
        }
        Ok(())
    }
}

fn policy(text: &str) -> Result<Option<String>, SettingError> {
    if text.is_empty() {
        return Ok(None);
    }
    FORM.parse(text).map(|_| Some(text.to_owned())).map_err(|why| SettingError::policy(&why))
}

fn refuse_topic(name: &str, value: &str) -> Result<(), SettingError> {
    let not_served = |what| Err(SettingError::NotServed { name: name.to_owned(), what });
    match (name, value) {
        // The defaults, spelt out.
        ("TracingConfig", "PassThrough") | ("KmsMasterKeyId" | "DataProtectionPolicy" | "ArchivePolicy", "") => Ok(()),
        ("ArchivePolicy", _) => not_served("message archives"),
        ("KmsMasterKeyId", _) => not_served("encryption at rest"),
        ("TracingConfig", _) => not_served("active tracing of topics"),
        ("DataProtectionPolicy", _) => not_served("data protection policies"),
        // Nothing is asked for: Terraform says so of every protocol.
        (_, "") if name.ends_with("FeedbackRoleArn") => Ok(()),
        (_, "" | "0") if name.ends_with("FeedbackSampleRate") => Ok(()),
        _ if name.ends_with("FeedbackRoleArn") || name.ends_with("FeedbackSampleRate") => {
            not_served("mobile push and Firehose subscriptions")
        }
        _ => Err(SettingError::Unknown),
    }
}

impl SubscriptionSettings {
    /// Changes one attribute.
    pub(crate) fn set(
        &mut self,
        protocol: Protocol,
        filters: &Filters,
        name: &str,
        value: &str,
    ) -> Result<(), SettingError> {
        let http = matches!(protocol, Protocol::Http | Protocol::Https);
        match name {
            "RawMessageDelivery" => {
                self.raw = truth(name, value)?;
                if self.raw && !protocol.takes_raw() {
                    return Err(SettingError::Protocol(protocol.as_str(), "raw message delivery"));
                }
            }
            "FilterPolicy" if value.is_empty() || value == "{}" => self.filter = None,
            "FilterPolicy" => {
                filters.get(self.scope, value).map_err(|why| wrong(name, why))?;
                self.filter = Some(value.to_owned());
            }
            "FilterPolicyScope" => {
                self.scope = match value {
                    "MessageAttributes" => Scope::MessageAttributes,
                    "MessageBody" => Scope::MessageBody,
                    _ => {
                        return Err(wrong(
                            name,
                            format!("Invalid value [{value}]. Please use either MessageBody or MessageAttributes"),
                        ));
                    }
                };
                if let Some(policy) = &self.filter {
                    filters.get(self.scope, policy).map_err(|why| wrong("FilterPolicy", why))?;
                }
            }
            "RedrivePolicy" => self.dead_letter = dead_letter(value).map_err(|why| wrong(name, why))?,
            "DeliveryPolicy" => {
                self.delivery = DeliveryPolicy::of_subscription(value).map_err(|why| wrong(name, why))?;
                if self.delivery.is_some() && !http {
                    return Err(SettingError::Protocol(protocol.as_str(), "delivery policies"));
                }
            }
            "ReplayPolicy" if value.is_empty() => {}
            "ReplayPolicy" => {
                return Err(SettingError::NotServed { name: name.to_owned(), what: "message archives" });
            }
            "SubscriptionRoleArn" => {
                return Err(SettingError::NotServed { name: name.to_owned(), what: "Firehose subscriptions" });
            }
            _ => return Err(SettingError::Unknown),
        }
        Ok(())
    }

    /// These settings with all of these attributes.
    pub(crate) fn from(
        protocol: Protocol,
        filters: &Filters,
        attributes: &BTreeMap<String, String>,
    ) -> Result<SubscriptionSettings, SettingError> {
        let mut settings = SubscriptionSettings::default();
        // What a filter policy may say depends on its scope.
        let is_scope = |name: &str| name == "FilterPolicyScope";
        let (scope, others): (Vec<_>, Vec<_>) = attributes.iter().partition(|(name, _)| is_scope(name));
        for (name, value) in scope.into_iter().chain(others) {
            settings.set(protocol, filters, name, value)?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        let mut settings = TopicSettings::default();
        settings.set("DisplayName", "Alarms").unwrap();
        settings.set("FifoTopic", "false").unwrap();
        assert_eq!(settings.display_name, "Alarms");
        assert_eq!(settings.set("Colour", "red"), Err(SettingError::Unknown));
        for (name, value, word) in [
            ("FifoTopic", "true", "AttributeName"),
            ("ContentBasedDeduplication", "true", "FIFO topics"),
            ("FifoThroughputScope", "Topic", "FIFO topics"),
            ("ArchivePolicy", "{}", "archives"),
            ("KmsMasterKeyId", "alias/aws/sns", "encryption"),
            ("SignatureVersion", "3", "Use 1 or 2"),
            ("LambdaSuccessFeedbackRoleArn", "arn", "role"),
            ("SQSSuccessFeedbackSampleRate", "101", "0 to 100"),
            ("FirehoseFailureFeedbackRoleArn", "arn", "Firehose"),
            ("FirehoseSuccessFeedbackSampleRate", "1", "Firehose"),
            ("Policy", "{}", "policy document"),
            ("DisplayName", "a\nb", "control"),
        ] {
            let why = settings.set(name, value).unwrap_err().to_string();
            assert!(why.contains(word), "{why}");
        }
        let mut fifo = TopicSettings { fifo: true, ..TopicSettings::default() };
        for (name, value) in [
            ("FifoTopic", "true"),
            ("ContentBasedDeduplication", "true"),
            ("FifoThroughputScope", "MessageGroup"),
            ("SignatureVersion", "2"),
            ("SQSSuccessFeedbackSampleRate", "5"),
            ("SQSFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
            ("FirehoseSuccessFeedbackSampleRate", "0"),
            ("ApplicationFailureFeedbackRoleArn", ""),
        ] {
            assert_eq!(fifo.set(name, value), Ok(()), "{name}");
        }
        assert!(fifo.by_content && fifo.by_group && fifo.signature == Version::Two && fifo.feedback.len() == 2);
        fifo.set("SQSFailureFeedbackRoleArn", "").unwrap();
        assert_eq!(fifo.feedback.len(), 1);
        assert_eq!(fifo.set("FifoTopic", "false"), Err(SettingError::Unknown));
    }

    #[test]
    fn subscriptions() {
        let filters = Filters::default();
        let mut settings = SubscriptionSettings::default();
        settings.set(Protocol::Sqs, &filters, "RawMessageDelivery", "true").unwrap();
        assert!(settings.raw);
        assert!(settings.set(Protocol::Lambda, &filters, "RawMessageDelivery", "true").is_err());
        settings.set(Protocol::Sqs, &filters, "FilterPolicy", r#"{"a":["b"]}"#).unwrap();
        assert!(settings.set(Protocol::Sqs, &filters, "FilterPolicy", "{").is_err());
        settings.set(Protocol::Sqs, &filters, "FilterPolicyScope", "MessageBody").unwrap();
        settings.set(Protocol::Sqs, &filters, "FilterPolicy", r#"{"a":{"b":["c"]}}"#).unwrap();
        let nested = settings.set(Protocol::Sqs, &filters, "FilterPolicyScope", "MessageAttributes").unwrap_err();
        assert!(nested.to_string().contains("does not support nested filter policy"), "{nested}");
        let both = [("FilterPolicy", r#"{"a":{"b":["c"]}}"#), ("FilterPolicyScope", "MessageBody")];
        let both = both.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(SubscriptionSettings::from(Protocol::Sqs, &filters, &both.clone().into()).is_ok());
        assert!(SubscriptionSettings::from(Protocol::Sqs, &filters, &both[..1].iter().cloned().collect()).is_err());
        settings.set(Protocol::Sqs, &filters, "FilterPolicyScope", "MessageBody").unwrap();
        settings.set(Protocol::Sqs, &filters, "FilterPolicy", r#"{"a":["b"]}"#).unwrap();
        assert_eq!((settings.filter.as_deref(), settings.scope), (Some(r#"{"a":["b"]}"#), Scope::MessageBody));
        assert!(settings.set(Protocol::Sqs, &filters, "DeliveryPolicy", r#"{"healthyRetryPolicy":{}}"#).is_err());
        assert_eq!(settings.set(Protocol::Sqs, &filters, "Colour", "red"), Err(SettingError::Unknown));
    }
}
