//! An entry of `PutEvents`: whether it is one, what it counts, and the event it becomes. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>

use crate::limits::{DETAIL_TYPE_CHARS, TIME_BYTES};
use names::{Home, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use shapes::events::PutEventsRequestEntry;

/// Why an entry fails. What shows is AWS's message; its code is [`EntryError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("Parameter {0} is not valid. Reason: {0} is a required argument.")]
    Missing(&'static str),
    /// AWS answers with an id and drops the event.
    #[error("Parameter DetailType is not valid. Reason: DetailType has more than {DETAIL_TYPE_CHARS} characters.")]
    LongDetailType,
    #[error("Not authorized for the source.")]
    Source,
    #[error("Detail is malformed.")]
    Detail,
    #[error("Parameter EventBusName is not valid. Reason: {0} is not a bus of this account and region.")]
    ForeignBus(String),
    #[error("{0}")]
    Denied(String),
    #[error("{0}: try again later.")]
    Full(#[from] delivery::BacklogFull),
}

impl EntryError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            EntryError::Missing(_) | EntryError::LongDetailType | EntryError::ForeignBus(_) => "InvalidArgument",
            EntryError::Source => "NotAuthorizedForSourceException",
            EntryError::Detail => "MalformedDetail",
            EntryError::Denied(_) => "AccessDeniedException",
            // One of the two that callers are told to try again:
            // <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>
            EntryError::Full(_) => "ThrottlingException",
        }
    }
}

/// What an entry counts against the limit of a call.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size>
pub(crate) fn counted(entry: &PutEventsRequestEntry) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let time = if entry.time.is_some() { TIME_BYTES } else { 0 };
    let resources: usize = entry.resources.iter().flatten().map(String::len).sum();
    time + length(&entry.source) + length(&entry.detail_type) + length(&entry.detail) + resources
}

/// An event as targets get it. The detail is what the caller wrote, byte for byte.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>
#[derive(Serialize)]
struct Event<'a> {
    version: &'static str,
    id: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: &'a str,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: &'a [String],
    detail: &'a RawValue,
}

impl Event<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("an event has only keys that JSON can carry")
    }
}

/// The event that an entry becomes, as JSON text.
pub(crate) fn event(
    home: &Home,
    entry: &PutEventsRequestEntry,
    id: &str,
    now: Timestamp,
) -> Result<String, EntryError> {
    let source = required(&entry.source, "Source")?;
    let detail_type = required(&entry.detail_type, "DetailType")?;
    let detail = required(&entry.detail, "Detail")?;
    // Only AWS's own services write such sources; the house's come in through its push door.
    if source.starts_with("aws.") {
        return Err(EntryError::Source);
    }
    if detail_type.chars().count() > DETAIL_TYPE_CHARS {
        return Err(EntryError::LongDetailType);
    }
    let detail: &RawValue = serde_json::from_str(detail).map_err(|_| EntryError::Detail)?;
    if !detail.get().starts_with('{') {
        return Err(EntryError::Detail);
    }
    let event = Event {
        version: "0",
        id,
        detail_type,
        source,
        account: home.account.as_str(),
        time: entry.time.unwrap_or(now).iso_secs(),
        region: home.region.as_str(),
        resources: entry.resources.as_deref().unwrap_or_default(),
        detail,
    };
    Ok(event.text())
}

fn required<'a>(value: &'a Option<String>, name: &'static str) -> Result<&'a str, EntryError> {
    value.as_deref().filter(|text| !text.is_empty()).ok_or(EntryError::Missing(name))
}

/// The event of a schedule that is due.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html>
pub(crate) fn scheduled(home: &Home, rule_arn: &str, id: &str, due: Timestamp) -> String {
    let event = Event {
        version: "0",
        id,
        detail_type: "Scheduled Event",
        source: "aws.events",
        account: home.account.as_str(),
        time: due.iso_secs(),
        region: home.region.as_str(),
        resources: &[rule_arn.to_owned()],
        detail: serde_json::from_str("{}").expect("an empty object is JSON"),
    };
    event.text()
}

/// The event that a schedule of the scheduler puts on a bus.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html>
pub(crate) fn of_schedule(
    home: &Home,
    (detail_type, source): (&str, &str),
    schedule_arn: &str,
    id: &str,
    due: Timestamp,
    detail: &RawValue,
) -> String {
    let event = Event {
        version: "0",
        id,
        detail_type,
        source,
        account: home.account.as_str(),
        time: due.iso_secs(),
        region: home.region.as_str(),
        resources: &[schedule_arn.to_owned()],
        detail,
    };
    event.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> PutEventsRequestEntry {
        PutEventsRequestEntry {
            source: Some("shop".into()),
            detail_type: Some("Order \"placed\"".into()),
            detail: Some(r#" {"b": 1.50, "a": "é", "big": 12345678901234567890123} "#.into()),
            resources: Some(vec!["arn:1".into()]),
            ..Default::default()
        }
    }

    #[test]
    fn an_event_keeps_its_detail_as_written() {
        let text = event(&Home::default(), &entry(), "id-1", Timestamp::from_millis(1_507_060_005_123)).unwrap();
        assert_eq!(
            text,
            r#"{"version":"0","id":"id-1","detail-type":"Order \"placed\"","source":"shop","account":"000000000000","#
                .to_owned()
                + r#""time":"2017-10-03T19:46:45Z","region":"us-east-1","resources":["arn:1"],"#
                + r#""detail":{"b": 1.50, "a": "é", "big": 12345678901234567890123}}"#
        );
    }

    #[test]
    fn entries_fail_with_awss_codes() {
        let refuse = |change: fn(&mut PutEventsRequestEntry)| {
            let mut entry = entry();
            change(&mut entry);
            let error = event(&Home::default(), &entry, "id", Timestamp(0)).unwrap_err();
            (error.code(), error.to_string())
        };
        let required = |name| {
            ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
        };
        assert_eq!(refuse(|e| e.source = None), required("Source"));
        assert_eq!(refuse(|e| e.detail_type = Some(String::new())), required("DetailType"));
        assert_eq!(refuse(|e| e.detail = None), required("Detail"));
        let malformed = ("MalformedDetail", "Detail is malformed.".to_owned());
        for detail in ["[]", "\"{}\"", "{", "{}{}", "{},\"source\":\"aws.ec2\"", "null", "nonsense"] {
            let entry = PutEventsRequestEntry { detail: Some(detail.into()), ..entry() };
            let error = event(&Home::default(), &entry, "id", Timestamp(0)).unwrap_err();
            assert_eq!((error.code(), error.to_string()), malformed, "{detail}");
        }
        let reserved = ("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned());
        assert_eq!(refuse(|e| e.source = Some("aws.ec2".into())), reserved);
        assert_eq!(refuse(|e| e.detail_type = Some("x".repeat(129))).0, "InvalidArgument");
    }

    #[test]
    fn what_counts() {
        let mut entry = entry();
        let without = counted(&entry);
        assert_eq!(without, 4 + 14 + entry.detail.as_ref().unwrap().len() + 5);
        entry.time = Some(Timestamp(0));
        assert_eq!(counted(&entry), without + 14);
    }
}
