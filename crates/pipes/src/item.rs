//! An event on its way through a pipe. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html#input-transform-implicit>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consume::shape::{Data, Origin, flat_record, message_value};
use consume::{Message, Record};
use serde_json::Value;
use serde_json::value::RawValue;

/// One event, as its source or an enrichment gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// As JSON.
    pub(crate) text: String,
}

/// Why an enrichment's answer cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the enrichment's answer is no JSON")]
pub(crate) struct NotJson;

impl Item {
    pub(crate) fn of_record(origin: &Origin<'_>, record: &Record) -> Item {
        let mut out = Vec::with_capacity(record.data.len() * 4 / 3 + 512);
        flat_record(&mut out, origin, record, &Data::Base64(&record.data));
        Item { text: String::from_utf8(out).expect("JSON is UTF-8") }
    }

    pub(crate) fn of_message(origin: &Origin<'_>, message: &Message) -> Item {
        Item { text: message_value(origin, message, Value::String(message.body.clone())).to_string() }
    }

    /// The events that an enrichment answered with: each of an array, or the one. Nothing, where the answer is empty.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/pipes-enrichment.html#pipes-enrichment-filtering>
    pub(crate) fn answered(body: &[u8]) -> Result<Vec<Item>, NotJson> {
        let text = std::str::from_utf8(body).map_err(|_| NotJson)?.trim();
        if matches!(text, "" | "\"\"" | "{}" | "[]" | "null") {
            return Ok(Vec::new());
        }
        if !text.starts_with('[') {
            let one: &RawValue = serde_json::from_str(text).map_err(|_| NotJson)?;
            return Ok(vec![Item { text: one.get().to_owned() }]);
        }
        let all: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NotJson)?;
        Ok(all.into_iter().map(|one| Item { text: one.get().to_owned() }).collect())
    }

    /// Its parts, with what its source escaped or encoded taken apart: a queue's body and a stream's data, where those are
    /// JSON.
    pub(crate) fn decoded(&self) -> Value {
        let mut value: Value = serde_json::from_str(&self.text).unwrap_or(Value::Null);
        let (name, parsed) = match value.get("eventSource").and_then(Value::as_str) {
            Some("aws:sqs") => ("body", value["body"].as_str().and_then(|body| serde_json::from_str(body).ok())),
            Some("aws:kinesis") => {
                let data = value["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
                ("data", data.and_then(|data| serde_json::from_slice::<Value>(&data).ok()))
            }
            _ => return value,
        };
        if let (Some(parsed), Some(fields)) = (parsed, value.as_object_mut()) {
            fields.insert(name.to_owned(), parsed);
        }
        value
    }

    /// What tells it from others of its batch: a message's id, or that of a record.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html#pipes-partial-batch-failure>
    pub(crate) fn id(&self) -> Option<String> {
        let value: Value = serde_json::from_str(&self.text).ok()?;
        let id = value.get("messageId").or_else(|| value.get("eventID"))?;
        id.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(value: &Value) -> Value {
        Item { text: value.to_string() }.decoded()
    }

    #[test]
    fn payloads_are_taken_apart_where_they_are_json() {
        let message = |body: &str| json!({"eventSource": "aws:sqs", "body": body});
        assert_eq!(decoded(&message(r#"{"a":[1]}"#))["body"], json!({"a": [1]}));
        assert_eq!(decoded(&message("plain {"))["body"], "plain {");
        let record = |data: &str| json!({"eventSource": "aws:kinesis", "data": STANDARD.encode(data)});
        assert_eq!(decoded(&record(r#"{"a":1}"#))["data"]["a"], 1);
        assert_eq!(decoded(&record("plain"))["data"], STANDARD.encode("plain"), "what is no JSON stays encoded");
        assert_eq!(decoded(&json!({"body": "{}"}))["body"], "{}", "of no known source");
    }

    #[test]
    fn answers_of_enrichments() {
        let texts = |body: &str| Item::answered(body.as_bytes()).map(|all| all.into_iter().map(|i| i.text).collect());
        let ok = |texts: &[&str]| Ok(texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        for empty in ["", " ", "\"\"", "{}", "[]", "null"] {
            assert_eq!(texts(empty), ok(&[]), "{empty}");
        }
        assert_eq!(texts("[{}]"), ok(&["{}"]));
        assert_eq!(texts(r#" [{"a": 1.50}, "x"] "#), ok(&[r#"{"a": 1.50}"#, "\"x\""]), "each as it was written");
        assert_eq!(texts(r#"{"a":1}"#), ok(&[r#"{"a":1}"#]));
        assert_eq!(texts("[1"), Err(NotJson));
        assert_eq!(texts("oops"), Err(NotJson));
    }

    #[test]
    fn items_know_their_ids() {
        let id = |value: Value| Item { text: value.to_string() }.id();
        assert_eq!(id(json!({"messageId": "m"})).as_deref(), Some("m"));
        assert_eq!(id(json!({"eventID": "shard:1"})).as_deref(), Some("shard:1"));
        assert_eq!(id(json!({"id": "x"})), None);
    }
}
