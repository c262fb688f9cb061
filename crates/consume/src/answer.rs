//! What a function's answer says about its batch: what of it failed. Pure.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html>: an empty answer, an empty
//! list or none is success; an item that names no record makes the whole batch fail.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>: with a tumbling window, an answer without
//! `state` is a failure.

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What is looked for in an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// `batchItemFailures`.
    pub items: bool,
    /// `state`.
    pub state: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The items that failed; none where all succeeded.
    pub failed: Vec<String>,
    /// The state to carry on with, as JSON.
    pub state: Option<String>,
}

impl Answer {
    /// Reads an answer; the error is why the whole batch failed.
    pub fn read(body: &[u8], wanted: Wanted) -> Result<Answer, &'static str> {
        read(body, wanted)
    }
}

fn read(body: &[u8], wanted: Wanted) -> Result<Answer, &'static str> {
    let mut answer = Answer { failed: Vec::new(), state: None };
    if !wanted.items && !wanted.state {
        return Ok(answer);
    }
    let body = body.trim_ascii();
    let fields: Option<BTreeMap<String, &RawValue>> = match body {
        b"" => None,
        _ => serde_json::from_slice(body).map_err(|_| "its answer is no JSON object")?,
    };
    let field = |name: &str| fields.as_ref()?.get(name).map(|value| value.get()).filter(|text| *text != "null");
    if wanted.state {
        let state = field("state").ok_or("its answer has no state")?;
        answer.state = Some(state.to_owned());
    }
    if let Some(items) = field("batchItemFailures").filter(|_| wanted.items) {
        let items: Vec<Value> = serde_json::from_str(items).map_err(|_| "its batchItemFailures are no list")?;
        for item in &items {
            let id = item.get("itemIdentifier").and_then(Value::as_str).filter(|id| !id.is_empty());
            answer.failed.push(id.ok_or("a failed item of its answer has no itemIdentifier")?.to_owned());
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(body: &str) -> Result<Vec<String>, &'static str> {
        read(body.as_bytes(), Wanted { items: true, state: false }).map(|answer| answer.failed)
    }

    #[test]
    fn success_in_all_its_forms() {
        for body in ["", "null", " {}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, r#"{"x":1}"#] {
            assert_eq!(items(body), Ok(vec![]), "{body}");
        }
        assert_eq!(read(b"anything", Wanted::default()).unwrap().failed, [] as [&str; 0], "nobody asked");
    }

    #[test]
    fn failures_are_named_or_are_of_the_whole_batch() {
        let two = r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#;
        assert_eq!(items(two), Ok(vec!["a".to_owned(), "b".to_owned()]));
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":"a"}"#,
            r#"{"batchItemFailures":["a"]}"#,
            r#""done""#,
            "[1]",
            "{",
        ] {
            assert!(items(body).is_err(), "{body}");
        }
    }

    #[test]
    fn state_is_carried_as_it_is() {
        let read = |body: &str| read(body.as_bytes(), Wanted { items: false, state: true });
        assert_eq!(read(r#"{"state":{"a": 1.50}}"#).unwrap().state.as_deref(), Some(r#"{"a": 1.50}"#));
        for body in ["null", "{}", r#"{"state":null}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
