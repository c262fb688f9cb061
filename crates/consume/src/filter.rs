//! `FilterCriteria`: which records a consumer wants. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html>

use crate::shape::{self, Data, Origin};
use crate::{Message, Record};
use patterns::{Dialect, Event, Pattern};
use serde::de::IgnoredAny;
use serde_json::Value;

/// What is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records of a stream.
    Stream,
    /// Messages of a queue.
    Queue,
}

/// Patterns, one of which has to match; without any, everything does.
pub struct Filters(Vec<Filter>);

struct Filter {
    pattern: Pattern,
    /// What it says of the payload (`data` or `body`).
    payload: Payload,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Payload {
    /// Nothing: payloads of any form pass.
    Any,
    /// It asks for fields: a payload that is no JSON does not match.
    Json,
    /// It asks for a text: a payload that is a JSON object does not match.
    Text,
}

/// Why filters cannot be had. What shows is Lambda's text, which does not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter pattern definition.")]
pub struct InvalidFilter {
    /// What is wrong, and where.
    pub why: String,
}

impl Filters {
    /// Compiles patterns.
    pub fn compile(patterns: &[String], kind: Kind) -> Result<Filters, InvalidFilter> {
        let compile = |text: &String| {
            let pattern = Pattern::parse_as(Dialect::EventSource, text);
            let pattern = pattern.map_err(|error| InvalidFilter { why: error.reason + &error.place })?;
            let value: Value = serde_json::from_str(text).map_err(|error| InvalidFilter { why: error.to_string() })?;
            let key = if kind == Kind::Stream { "data" } else { "body" };
            let payload = match (value.get(key), kind) {
                (None, _) => Payload::Any,
                (Some(Value::Array(_)), Kind::Queue) => Payload::Text,
                // Patterns on the data of a stream are on its fields.
                (Some(Value::Array(_)), Kind::Stream) => {
                    return Err(InvalidFilter { why: "\"data\" of a stream's records must be an object".to_owned() });
                }
                (Some(_), _) => Payload::Json,
            };
            Ok(Filter { pattern, payload })
        };
        Ok(Filters(patterns.iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record of a stream is wanted.
    pub fn pass_record(&self, origin: &Origin<'_>, record: &Record) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let json =
            std::str::from_utf8(&record.data).ok().filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let mut text = Vec::with_capacity(record.data.len() + 512);
        shape::flat_record(&mut text, origin, record, &json.map_or(Data::None, Data::Json));
        let seen = std::str::from_utf8(&text).ok().and_then(|text| Event::parse(text).ok());
        let Some(seen) = seen else { return false };
        self.pass(&seen, json.is_some())
    }

    /// Whether a message of a queue is wanted.
    pub fn pass_message(&self, origin: &Origin<'_>, message: &Message) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let object = Some(message.body.trim_start()).filter(|body| body.starts_with('{'));
        let body = object.and_then(|body| serde_json::from_str::<Value>(body).ok());
        let json = body.is_some();
        let body = body.unwrap_or_else(|| message.body.clone().into());
        let Ok(seen) = Event::of(&shape::message_value(origin, message, body)) else { return false };
        self.pass(&seen, json)
    }

    fn pass(&self, seen: &Event, json: bool) -> bool {
        self.0.iter().any(|filter| {
            let fits = match filter.payload {
                Payload::Any => true,
                Payload::Json => json,
                Payload::Text => !json,
            };
            fits && filter.pattern.matches(seen)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::{Arn, Timestamp};

    fn passes(pattern: &str, data: &str) -> bool {
        let source: Arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s".parse().unwrap();
        let origin = Origin { source: &source, shard: "shardId-000000000000", role: "r" };
        let record = Record {
            position: 0,
            sequence: "1".into(),
            key: "k".into(),
            at: Timestamp::default(),
            data: data.to_owned().into(),
            sealed: false,
        };
        Filters::compile(&[pattern.to_owned()], Kind::Stream).unwrap().pass_record(&origin, &record)
    }

    #[test]
    fn data_is_matched_by_its_fields() {
        let pattern = r#"{"data":{"order":{"type":["buy"]},"n":[{"numeric":[">",3]}]}}"#;
        assert!(passes(pattern, r#"{"order":{"type":"buy"},"n":4}"#));
        assert!(!passes(pattern, r#"{"order":{"type":"buy"},"n":3}"#));
        assert!(!passes(pattern, "buy"), "what is no JSON matches no pattern on its fields");
        assert!(!passes(r#"{"data":{"x":[{"exists":false}]}}"#, "\u{1}"), "not even that a field is not there");
    }

    #[test]
    fn metadata_is_matched_whatever_the_data() {
        assert!(passes(r#"{"partitionKey":["k"]}"#, "no JSON"));
        assert!(passes(r#"{"partitionKey":["k"]}"#, r#"{"a":1}"#));
        assert!(!passes(r#"{"partitionKey":["l"]}"#, "no JSON"));
        assert!(!passes(r#"{"partitionKey":["l"]}"#, r#"1,"partitionKey":"l""#), "data stay data");
    }

    #[test]
    fn one_of_several_is_enough_and_none_lets_all_pass() {
        let source: Arn = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
        let origin = Origin { source: &source, shard: "", role: "r" };
        let message = |body: &str| Message { body: body.to_owned(), ..Message::default() };
        let two = [r#"{"body":["plain"]}"#.to_owned(), r#"{"body":{"a":[1]}}"#.to_owned()];
        let filters = Filters::compile(&two, Kind::Queue).unwrap();
        assert!(filters.pass_message(&origin, &message("plain")));
        assert!(filters.pass_message(&origin, &message(r#" {"a":1}"#)));
        assert!(!filters.pass_message(&origin, &message(r#"{"a":2}"#)));
        assert!(!filters.pass_message(&origin, &message("other")));
        assert!(Filters::compile(&[], Kind::Queue).unwrap().pass_message(&origin, &message("other")));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "[]", r#"{"data":"x"}"#, r#"{"data":["x"]}"#, r#"{"data":{"x":[{"wildcard":"a*"}]}}"#] {
            let refused = Filters::compile(&[text.to_owned()], Kind::Stream).err().unwrap();
            assert!(!refused.why.is_empty() && refused.to_string() == "Invalid filter pattern definition.", "{text}");
        }
    }
}
