//! A queue's attributes: what may be set, what it becomes, how it reads back. Every attribute acts or is refused.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use crate::limits;
use crate::policy;
use names::Arn;
use policies::Unfit;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a queue is set to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// `DelaySeconds`.
    pub(crate) delay_s: u32,
    /// `MaximumMessageSize`.
    pub(crate) max_bytes: u32,
    /// `MessageRetentionPeriod`.
    pub(crate) retention_s: u32,
    /// `ReceiveMessageWaitTimeSeconds`.
    pub(crate) wait_s: u32,
    /// `VisibilityTimeout`.
    pub(crate) visibility_s: u32,
    /// `Policy`, as it was given.
    pub(crate) policy: Option<String>,
    /// `RedrivePolicy`.
    pub(crate) redrive: Option<Redrive>,
    /// `RedriveAllowPolicy`.
    pub(crate) redrive_allow: Option<RedriveAllow>,
    /// What only FIFO queues are set to. Whether a queue is one never changes.
    #[serde(default)]
    pub(crate) fifo: Option<Fifo>,
}

/// What only FIFO queues are set to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fifo {
    /// `ContentBasedDeduplication`.
    pub(crate) by_content: bool,
    /// `DeduplicationScope`: each message group has its own deduplication ids.
    pub(crate) scope_group: bool,
    /// `FifoThroughputLimit`: the calls of the queue are not counted together. Each group keeps to its own pace all the
    /// same, as only one receive at a time can have messages of it.
    pub(crate) high_throughput: bool,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Redrive {
    /// The dead-letter queue.
    pub(crate) to: Arn,
    /// How often a message may be received before it goes there.
    pub(crate) max_receives: u32,
}

/// Which queues may use this one as their dead-letter queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum RedriveAllow {
    /// Every queue.
    All,
    /// None.
    None,
    /// These.
    Queues(Vec<String>),
}

/// Why an attribute cannot be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("Unknown Attribute {0}.")]
    Unknown(String),
    #[error("Invalid value for the parameter {name}.{why}")]
    Value { name: String, why: String },
    #[error("Headwater does not serve {what} yet, so {name} cannot be set to {value}.")]
    NotServed { name: String, value: String, what: &'static str },
    #[error("Value {value} for parameter {name} is invalid. Reason: {why}")]
    Redrive { name: &'static str, value: String, why: String },
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            delay_s: 0,
            max_bytes: limits::MESSAGE_BYTES as u32,
            retention_s: 345_600,
            wait_s: 0,
            visibility_s: 30,
            policy: None,
            redrive: None,
            redrive_allow: None,
            fifo: None,
        }
    }
}

impl Settings {
    /// These settings with some attributes changed.
    pub(crate) fn with(&self, attributes: &BTreeMap<String, String>) -> Result<Settings, SettingError> {
        let mut new = self.clone();
        for (name, value) in attributes {
            match name.as_str() {
                "DelaySeconds" => new.delay_s = number(name, value, limits::DELAY_S)?,
                "MaximumMessageSize" => new.max_bytes = number(name, value, limits::MAXIMUM_MESSAGE_SIZE)?,
                "MessageRetentionPeriod" => new.retention_s = number(name, value, limits::RETENTION_S)?,
                "ReceiveMessageWaitTimeSeconds" => new.wait_s = number(name, value, limits::WAIT_S)?,
                "VisibilityTimeout" => new.visibility_s = number(name, value, limits::VISIBILITY_S)?,
                "Policy" => new.policy = policy_text(value)?,
                "RedrivePolicy" => new.redrive = Redrive::parse(value)?,
                "RedriveAllowPolicy" => new.redrive_allow = RedriveAllow::parse(value)?,
                "FifoQueue"
                    if self.fifo.is_some() == (value == "true") && matches!(value.as_str(), "true" | "false") => {}
                "FifoQueue" => return Err(wrong(name, " Reason: Modifying queue type is not supported.")),
                "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => match &mut new.fifo {
                    Some(fifo) => fifo.set(name, value)?,
                    None => return Err(SettingError::Unknown(name.clone())),
                },
                _ => refuse(name, value)?,
            }
        }
        match new.fifo {
            Some(Fifo { high_throughput: true, scope_group: false, .. }) => Err(wrong(
                "FifoThroughputLimit",
                " Reason: perMessageGroupId needs DeduplicationScope to be set to messageGroup.",
            )),
            _ => Ok(new),
        }
    }

    /// The settings of a new queue.
    pub(crate) fn new(attributes: &BTreeMap<String, String>) -> Result<Settings, SettingError> {
        let fifo = match attributes.get("FifoQueue").map(String::as_str) {
            Some("true") => Some(Fifo::default()),
            Some("false") | None => None,
            Some(_) => return Err(wrong("FifoQueue", "")),
        };
        Settings { fifo, ..Settings::default() }.with(attributes)
    }

    /// The attributes as they read back.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("DelaySeconds", self.delay_s.to_string()),
            ("MaximumMessageSize", self.max_bytes.to_string()),
            ("MessageRetentionPeriod", self.retention_s.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait_s.to_string()),
            ("VisibilityTimeout", self.visibility_s.to_string()),
            ("SqsManagedSseEnabled", "false".to_owned()),
        ];
        all.extend(self.policy.clone().map(|text| ("Policy", text)));
        all.extend(self.redrive.as_ref().map(|redrive| ("RedrivePolicy", redrive.text())));
        all.extend(self.redrive_allow.as_ref().map(|allow| ("RedriveAllowPolicy", allow.text())));
        if let Some(fifo) = self.fifo {
            let text = |yes: bool, one: &str, other: &str| (if yes { one } else { other }).to_owned();
            all.push(("FifoQueue", "true".to_owned()));
            all.push(("ContentBasedDeduplication", fifo.by_content.to_string()));
            all.push(("DeduplicationScope", text(fifo.scope_group, "messageGroup", "queue")));
            all.push(("FifoThroughputLimit", text(fifo.high_throughput, "perMessageGroupId", "perQueue")));
        }
        all
    }

    /// The first attribute that is given and has another value: CreateQueue of a queue that exists must not change it.
    pub(crate) fn differs<'a>(&self, other: &Settings, given: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let (mine, theirs) = (self.attributes(), other.attributes());
        let read = |all: &[(&'static str, String)], name: &str| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        given.keys().map(String::as_str).find(|name| read(&mine, name) != read(&theirs, name))
    }
}

impl Fifo {
    fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        match (name, value) {
            ("ContentBasedDeduplication", "true" | "false") => self.by_content = value == "true",
            ("DeduplicationScope", "queue" | "messageGroup") => self.scope_group = value == "messageGroup",
            ("FifoThroughputLimit", "perQueue" | "perMessageGroupId") => {
                self.high_throughput = value == "perMessageGroupId";
            }
            _ => return Err(wrong(name, "")),
        }
        Ok(())
    }
}

impl SettingError {
    /// The policy cannot be set.
    pub(crate) fn policy(why: &Unfit) -> SettingError {
        wrong("Policy", &format!(" Reason: {why}"))
    }
}

fn wrong(name: &str, why: &str) -> SettingError {
    SettingError::Value { name: name.to_owned(), why: why.to_owned() }
}

fn number(name: &str, value: &str, range: RangeInclusive<i64>) -> Result<u32, SettingError> {
    match value.parse::<i64>() {
        Ok(number) if range.contains(&number) => Ok(number as u32),
        _ => Err(wrong(name, "")),
    }
}

fn policy_text(text: &str) -> Result<Option<String>, SettingError> {
    if text.is_empty() {
        return Ok(None);
    }
    policy::parse(text).map(|_| Some(text.to_owned())).map_err(|why| SettingError::policy(&why))
}

/// What is not served is refused by name; what does not exist is unknown.
fn refuse(name: &str, value: &str) -> Result<(), SettingError> {
    let not_served = |what| Err(SettingError::NotServed { name: name.to_owned(), value: value.to_owned(), what });
    match (name, value) {
        ("SqsManagedSseEnabled", "false") | ("KmsMasterKeyId", "") => Ok(()),
        ("SqsManagedSseEnabled" | "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds", _) => {
            not_served("encryption at rest")
        }
        _ => Err(SettingError::Unknown(name.to_owned())),
    }
}

impl Redrive {
    fn parse(text: &str) -> Result<Option<Redrive>, SettingError> {
        if text.is_empty() {
            return Ok(None);
        }
        let refuse = |why: String| SettingError::Redrive { name: "RedrivePolicy", value: text.to_owned(), why };
        let policy: Value = serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| refuse("Redrive policy is not a valid JSON map.".into()))?;
        let to = policy.get("deadLetterTargetArn").and_then(Value::as_str).ok_or_else(|| {
            refuse("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.".into())
        })?;
        let to: Arn = to
            .parse()
            .ok()
            .filter(|arn: &Arn| arn.service() == "sqs")
            .ok_or_else(|| refuse("Invalid value for deadLetterTargetArn.".into()))?;
        let count = policy
            .get("maxReceiveCount")
            .ok_or_else(|| refuse("Redrive policy does not contain mandatory attribute: maxReceiveCount.".into()))?;
        // Templates often write the number as text, which SQS takes as well.
        let max_receives = count
            .as_i64()
            .or_else(|| count.as_str()?.parse().ok())
            .filter(|count| limits::MAX_RECEIVE_COUNT.contains(count))
            .ok_or_else(|| {
                refuse(format!(
                    "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
                ))
            })?;
        Ok(Some(Redrive { to, max_receives: max_receives as u32 }))
    }

    fn text(&self) -> String {
        serde_json::json!({ "deadLetterTargetArn": self.to, "maxReceiveCount": self.max_receives }).to_string()
    }
}

impl RedriveAllow {
    fn parse(text: &str) -> Result<Option<RedriveAllow>, SettingError> {
        if text.is_empty() {
            return Ok(None);
        }
        let refuse = |why: &str| SettingError::Redrive {
            name: "RedriveAllowPolicy",
            value: text.to_owned(),
            why: why.to_owned(),
        };
        let policy: Value = serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| refuse("Redrive allow policy is not a valid JSON map."))?;
        match policy.get("redrivePermission").and_then(Value::as_str) {
            Some("allowAll") => Ok(Some(RedriveAllow::All)),
            Some("denyAll") => Ok(Some(RedriveAllow::None)),
            Some("byQueue") => {
                let sources: Option<Vec<String>> = policy
                    .get("sourceQueueArns")
                    .and_then(Value::as_array)
                    .and_then(|arns| arns.iter().map(|arn| arn.as_str().map(str::to_owned)).collect());
                match sources {
                    Some(arns) if (1..=limits::REDRIVE_SOURCES).contains(&arns.len()) => {
                        Ok(Some(RedriveAllow::Queues(arns)))
                    }
                    _ => Err(refuse("sourceQueueArns must name 1 to 10 queues when redrivePermission is byQueue.")),
                }
            }
            _ => Err(refuse("redrivePermission must be one of allowAll, denyAll and byQueue.")),
        }
    }

    fn text(&self) -> String {
        match self {
            RedriveAllow::All => serde_json::json!({ "redrivePermission": "allowAll" }),
            RedriveAllow::None => serde_json::json!({ "redrivePermission": "denyAll" }),
            RedriveAllow::Queues(arns) => {
                serde_json::json!({ "redrivePermission": "byQueue", "sourceQueueArns": arns })
            }
        }
        .to_string()
    }

    /// Whether this queue may move its messages here.
    pub(crate) fn allows(&self, source: &Arn) -> bool {
        match self {
            RedriveAllow::All => true,
            RedriveAllow::None => false,
            RedriveAllow::Queues(arns) => arns.iter().any(|arn| arn == source.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn attributes_act_and_read_back() {
        let given = map(&[
            ("DelaySeconds", "5"),
            ("VisibilityTimeout", "0"),
            (
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"3"}"#,
            ),
        ]);
        let settings = Settings::default().with(&given).unwrap();
        assert_eq!((settings.delay_s, settings.visibility_s), (5, 0));
        assert_eq!(settings.redrive.as_ref().unwrap().max_receives, 3);
        let all = settings.attributes();
        assert!(all.contains(&(
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}"#.to_owned()
        )));
        assert_eq!(settings.with(&map(&[("RedrivePolicy", "")])).unwrap().redrive, None);
    }

    #[test]
    fn what_is_unknown_wrong_or_not_served_is_refused_by_name() {
        let refusal = |name: &str, value: &str| Settings::default().with(&map(&[(name, value)])).unwrap_err();
        assert_eq!(refusal("Colour", "red"), SettingError::Unknown("Colour".into()));
        assert_eq!(refusal("DelaySeconds", "901").to_string(), "Invalid value for the parameter DelaySeconds.");
        assert_eq!(
            refusal("VisibilityTimeout", "soon").to_string(),
            "Invalid value for the parameter VisibilityTimeout."
        );
        assert!(refusal("FifoQueue", "true").to_string().contains("Modifying queue type is not supported."));
        assert_eq!(refusal("DeduplicationScope", "queue"), SettingError::Unknown("DeduplicationScope".into()));
        assert!(refusal("KmsMasterKeyId", "alias/aws/sqs").to_string().contains("encryption at rest"));
        assert!(refusal("Policy", "{}").to_string().contains("Policy"));
        let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1001}"#;
        assert!(refusal("RedrivePolicy", redrive).to_string().ends_with("from 1 to 1000 both inclusive."));
        assert!(
            refusal("RedriveAllowPolicy", r#"{"redrivePermission":"byQueue"}"#).to_string().contains("sourceQueueArns")
        );
    }

    #[test]
    fn fifo_queues_have_settings_of_their_own() {
        let fifo = Settings::new(&map(&[("FifoQueue", "true")])).unwrap();
        assert!(fifo.attributes().contains(&("FifoThroughputLimit", "perQueue".to_owned())));
        let high = map(&[("FifoThroughputLimit", "perMessageGroupId")]);
        assert!(fifo.with(&high).unwrap_err().to_string().contains("DeduplicationScope"));
        let scoped = fifo.with(&map(&[("DeduplicationScope", "messageGroup")])).unwrap();
        assert!(scoped.with(&high).unwrap().fifo.unwrap().high_throughput);
        assert!(fifo.with(&map(&[("FifoQueue", "false")])).is_err());
        assert_eq!(fifo.with(&map(&[("FifoQueue", "true")])).unwrap(), fifo);
        assert_eq!(Settings::new(&map(&[("FifoQueue", "false")])).unwrap(), Settings::default());
        assert!(fifo.with(&map(&[("ContentBasedDeduplication", "yes")])).is_err());
    }

    #[test]
    fn a_queue_differs_only_in_what_is_given() {
        let old = Settings::default().with(&map(&[("DelaySeconds", "5")])).unwrap();
        let given = map(&[("VisibilityTimeout", "30")]);
        assert_eq!(old.differs(&Settings::default().with(&given).unwrap(), &given), None);
        let given = map(&[("DelaySeconds", "6")]);
        assert_eq!(old.differs(&Settings::default().with(&given).unwrap(), &given), Some("DelaySeconds"));
    }

    #[test]
    fn redrive_may_be_limited_to_some_queues() {
        let source = Arn::new("sqs", "us-east-1", "000000000000", "a");
        let only = |text: &str| RedriveAllow::parse(text).unwrap().unwrap();
        assert!(only(r#"{"redrivePermission":"allowAll"}"#).allows(&source));
        assert!(!only(r#"{"redrivePermission":"denyAll"}"#).allows(&source));
        let named = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{source}"]}}"#);
        assert!(only(&named).allows(&source));
        assert!(!only(&named).allows(&Arn::new("sqs", "us-east-1", "000000000000", "b")));
    }
}
