//! What a message says, in the pieces that people look for: alarms and recorded calls are known by their form. Pure.

use crate::attribute::Attributes;
use delivery::{Envelope, attribute};
use names::Arn;
use serde_json::Value;

/// How bad it is, in PagerDuty's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

/// What an on-call system is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

/// A message in pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Digest {
    /// One line.
    pub(super) title: String,
    /// The rest, where it is text for people.
    pub(super) text: String,
    /// Whether `text` is a document, to be shown as it stands.
    pub(super) is_code: bool,
    /// Names and short values.
    pub(super) facts: Vec<(String, String)>,
    pub(super) severity: Severity,
    pub(super) action: Action,
    /// What tells its incident from others.
    pub(super) key: String,
    /// What it is about.
    pub(super) source: String,
    /// The topic's ARN.
    pub(super) topic: String,
    /// When, in ISO 8601.
    pub(super) at: String,
    /// The message as it was published.
    pub(super) message: String,
    /// The facts, a line each.
    lines: String,
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Action::Trigger => "trigger",
            Action::Acknowledge => "acknowledge",
            Action::Resolve => "resolve",
        }
    }

    fn read(text: &str) -> Option<Action> {
        [Action::Trigger, Action::Acknowledge, Action::Resolve].into_iter().find(|action| action.as_str() == text)
    }
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl Digest {
    /// Reads a message. Its attributes `event_action`, `dedup_key` and `severity` come before what it says itself.
    pub(super) fn of(message: &str, envelope: &Envelope, attributes: &Attributes) -> Digest {
        let subject = envelope.attributes.get(attribute::SUBJECT).map(String::as_str);
        let topic = envelope.from.as_ref().map(Arn::to_string).unwrap_or_default();
        let name = envelope.from.as_ref().map_or("Headwater", Arn::resource);
        let mut digest = Digest {
            title: subject.map_or_else(|| format!("Notification from {name}"), str::to_owned),
            text: message.to_owned(),
            is_code: false,
            facts: Vec::new(),
            severity: Severity::Info,
            action: Action::Trigger,
            key: envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_else(|| envelope.id.clone()),
            source: name.to_owned(),
            topic,
            at: envelope.created.iso_millis(),
            message: message.to_owned(),
            lines: String::new(),
        };
        if let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(message) {
            digest.read(&value, subject);
        }
        let of = |name: &str| attributes.get(name).and_then(|a| a.text());
        digest.action = of("event_action").and_then(Action::read).unwrap_or(digest.action);
        digest.key = of("dedup_key").map_or(digest.key, str::to_owned);
        let severities = [Severity::Critical, Severity::Warning, Severity::Info];
        let named = of("severity").and_then(|name| severities.into_iter().find(|s| s.as_str() == name));
        digest.severity = named.unwrap_or(digest.severity);
        digest.lines = digest.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        digest
    }

    fn read(&mut self, value: &Value, subject: Option<&str>) {
        let detail = value.get("detail").unwrap_or(&Value::Null);
        if text(value, "/AlarmName").is_some() && text(value, "/NewStateValue").is_some() {
            self.alarm(value);
        } else if text(detail, "/alarmName").is_some() && text(detail, "/state/value").is_some() {
            self.alarm_event(value, detail);
        } else if text(detail, "/eventName").is_some() && text(detail, "/eventSource").is_some() {
            self.call(detail);
        } else if text(value, "/eventName").is_some() && text(value, "/eventSource").is_some() {
            self.call(value);
        } else {
            if let Some(kind) = text(value, "/detail-type") {
                self.title = subject.map_or_else(|| kind.to_owned(), str::to_owned);
                self.fact("Source", text(value, "/source"));
                self.fact("Account", text(value, "/account"));
                self.fact("Region", text(value, "/region"));
                self.source = text(value, "/source").unwrap_or(&self.source).to_owned();
            }
            self.is_code = true;
            self.text =
                serde_json::to_string_pretty(if detail.is_object() { detail } else { value }).unwrap_or_default();
        }
    }

    fn fact(&mut self, name: &str, value: Option<&str>) {
        self.facts.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// As CloudWatch tells a topic of an alarm.
    /// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html>
    fn alarm(&mut self, value: &Value) {
        let state = text(value, "/NewStateValue").unwrap_or_default();
        self.state(text(value, "/AlarmName").unwrap_or_default(), state);
        self.text = text(value, "/NewStateReason").or(text(value, "/AlarmDescription")).unwrap_or_default().to_owned();
        let before = text(value, "/OldStateValue").map_or_else(|| state.to_owned(), |old| format!("{old} → {state}"));
        self.fact("State", Some(&before));
        self.fact("Description", text(value, "/AlarmDescription"));
        let metric = text(value, "/Trigger/Namespace").zip(text(value, "/Trigger/MetricName"));
        self.fact("Metric", metric.map(|(space, name)| format!("{space} {name}")).as_deref());
        self.fact("Account", text(value, "/AWSAccountId"));
        self.fact("Region", text(value, "/Region"));
        self.fact("Since", text(value, "/StateChangeTime"));
        self.key = text(value, "/AlarmArn").or(text(value, "/AlarmName")).unwrap_or_default().to_owned();
    }

    /// As CloudWatch tells a bus of an alarm.
    fn alarm_event(&mut self, value: &Value, detail: &Value) {
        let state = text(detail, "/state/value").unwrap_or_default();
        self.state(text(detail, "/alarmName").unwrap_or_default(), state);
        self.text = text(detail, "/state/reason").unwrap_or_default().to_owned();
        let old = text(detail, "/previousState/value");
        self.fact("State", Some(&old.map_or_else(|| state.to_owned(), |old| format!("{old} → {state}"))));
        self.fact("Description", text(detail, "/configuration/description"));
        self.fact("Account", text(value, "/account"));
        self.fact("Region", text(value, "/region"));
        self.fact("Since", text(detail, "/state/timestamp"));
        self.key = text(value, "/resources/0").or(text(detail, "/alarmName")).unwrap_or_default().to_owned();
    }

    fn state(&mut self, name: &str, state: &str) {
        self.title = format!("{state}: {name}");
        self.source = name.to_owned();
        (self.severity, self.action) = match state {
            "OK" => (Severity::Info, Action::Resolve),
            "ALARM" => (Severity::Critical, Action::Trigger),
            // Nobody knows: somebody should look.
            _ => (Severity::Warning, Action::Trigger),
        };
    }

    /// A call that CloudTrail recorded.
    /// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
    fn call(&mut self, record: &Value) {
        let (name, service) = (text(record, "/eventName").unwrap_or_default(), text(record, "/eventSource"));
        let who = ["/userIdentity/arn", "/userIdentity/userName", "/userIdentity/principalId", "/userIdentity/type"];
        let who = who.iter().find_map(|path| text(record, path));
        self.title = match (who, text(record, "/errorCode")) {
            (Some(who), None) => format!("{name} by {}", who.rsplit(':').next().unwrap_or(who)),
            (Some(who), Some(error)) => format!("{name} by {} failed: {error}", who.rsplit(':').next().unwrap_or(who)),
            (None, _) => name.to_owned(),
        };
        self.fact("Service", service);
        self.fact("Who", who);
        self.fact("From", text(record, "/sourceIPAddress"));
        self.fact("Region", text(record, "/awsRegion"));
        self.fact("Time", text(record, "/eventTime"));
        self.fact("Error", text(record, "/errorCode"));
        self.text = text(record, "/errorMessage").unwrap_or_default().to_owned();
        if let Some(asked) = record.get("requestParameters").filter(|asked| asked.is_object()) {
            (self.text, self.is_code) = (serde_json::to_string_pretty(asked).unwrap_or_default(), true);
        }
        self.source = service.unwrap_or(&self.source).to_owned();
        self.severity = if text(record, "/errorCode").is_some() { Severity::Warning } else { Severity::Info };
        self.key = text(record, "/eventID").map_or_else(|| self.key.clone(), str::to_owned);
    }

    /// The places of templates.
    pub(super) fn places<'a>(&'a self, routing_key: &'a str) -> [(&'static str, &'a str); 11] {
        [
            ("title", &self.title),
            ("text", &self.text),
            ("message", &self.message),
            ("facts", &self.lines),
            ("severity", self.severity.as_str()),
            ("event_action", self.action.as_str()),
            ("dedup_key", &self.key),
            ("source", &self.source),
            ("topic", &self.topic),
            ("time", &self.at),
            ("routing_key", routing_key),
        ]
    }
}

/// At most so many characters, with an ellipsis where some were cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::attribute::{Attribute, AttributeValue};
    use serde_json::json;

    pub(crate) fn alarm(state: &str) -> Value {
        json!({
            "AlarmName": "cpu", "AlarmDescription": "too hot", "AWSAccountId": "000000000000", "NewStateValue": state,
            "NewStateReason": "1 datapoint", "StateChangeTime": "2026-01-01T00:00:00.000+0000", "Region": "US East",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:cpu", "OldStateValue": "OK",
            "Trigger": { "MetricName": "CPUUtilization", "Namespace": "AWS/EC2" },
        })
    }

    fn of(value: &Value) -> Digest {
        Digest::of(&value.to_string(), &sample(), &Attributes::new())
    }

    #[test]
    fn alarms() {
        let bad = of(&alarm("ALARM"));
        assert_eq!((bad.title.as_str(), bad.text.as_str()), ("ALARM: cpu", "1 datapoint"));
        assert_eq!((bad.severity, bad.action), (Severity::Critical, Action::Trigger));
        assert!(bad.facts.contains(&("State".into(), "OK → ALARM".into())));
        assert!(bad.facts.contains(&("Metric".into(), "AWS/EC2 CPUUtilization".into())));
        let good = of(&alarm("OK"));
        assert_eq!((good.action, &good.key), (Action::Resolve, &bad.key));
        assert_eq!(of(&alarm("INSUFFICIENT_DATA")).severity, Severity::Warning);
        let event = of(&json!({
            "detail-type": "CloudWatch Alarm State Change", "resources": ["arn:aws:cloudwatch:us-east-1:000000000000:alarm:cpu"],
            "detail": { "alarmName": "cpu", "state": { "value": "OK", "reason": "fine" }, "previousState": { "value": "ALARM" } },
        }));
        assert_eq!((event.action, &event.key), (Action::Resolve, &bad.key));
    }

    #[test]
    fn calls() {
        let record = json!({
            "eventName": "TerminateInstances", "eventSource": "ec2.amazonaws.com", "awsRegion": "us-east-1",
            "sourceIPAddress": "192.0.2.1", "userIdentity": { "arn": "arn:aws:iam::000000000000:user/ann" },
            "errorCode": "Client.UnauthorizedOperation", "requestParameters": { "instancesSet": {} },
        });
        let event = json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "detail": record });
        for value in [&record, &event] {
            let call = of(value);
            assert_eq!(call.title, "TerminateInstances by user/ann failed: Client.UnauthorizedOperation");
            assert!(call.is_code && call.facts.contains(&("From".into(), "192.0.2.1".into())), "{call:?}");
            assert_eq!((call.severity, call.source.as_str()), (Severity::Warning, "ec2.amazonaws.com"));
        }
    }

    #[test]
    fn texts_and_other_events() {
        let plain = Digest::of("hello", &sample(), &Attributes::new());
        assert_eq!((plain.title.as_str(), plain.text.as_str()), ("Notification from Headwater", "hello"));
        let event = of(&json!({ "detail-type": "Order", "source": "shop", "detail": { "n": 1 } }));
        assert_eq!((event.title.as_str(), event.is_code), ("Order", true));
        assert_eq!(event.text, "{\n  \"n\": 1\n}");
        assert_eq!(cut("häuser", 4), "häu…");
    }

    #[test]
    fn attributes_come_first() {
        let attribute =
            |value: &str| Attribute { data_type: "String".into(), value: AttributeValue::Text(value.into()) };
        let given = [("event_action", "acknowledge"), ("dedup_key", "mine"), ("severity", "info")];
        let attributes = given.into_iter().map(|(name, value)| (name.to_owned(), attribute(value))).collect();
        let digest = Digest::of(&alarm("ALARM").to_string(), &sample(), &attributes);
        assert_eq!(
            (digest.action, digest.key.as_str(), digest.severity),
            (Action::Acknowledge, "mine", Severity::Info)
        );
    }
}
