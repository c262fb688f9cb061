//! Asynchronous invocations: how long an event is tried, and what is told of its end. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use crate::limits;
use bytes::Bytes;
use delivery::{Backoff, Exhausted, Failure, RetryPolicy};
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What is set for asynchronous invocations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AsyncSettings {
    /// Retries after a function's error.
    pub(crate) retries: Option<u32>,
    /// The age, in seconds, after which an event is no longer tried.
    pub(crate) max_age_s: Option<u32>,
    /// Where successes are told.
    pub(crate) on_success: Option<Arn>,
    /// Where failures are told.
    pub(crate) on_failure: Option<Arn>,
    /// When it last changed.
    pub(crate) last_modified: Timestamp,
}

/// Error codes of verdicts that the end of an event is told by.
pub(crate) mod code {
    /// The function answered with an error, which is the reason.
    pub(crate) const FUNCTION_ERROR: &str = "FunctionError";
    /// A limit of concurrency.
    pub(crate) const THROTTLED: &str = "TooManyRequestsException";
    /// The function's reserved concurrency is zero.
    pub(crate) const SWITCHED_OFF: &str = "ZeroReservedConcurrency";
    /// It invoked itself again and again.
    pub(crate) const LOOP: &str = "RecursiveInvocationException";
}

/// How an event is tried: retries after one minute, then two.
pub(crate) fn policy(settings: Option<&AsyncSettings>) -> RetryPolicy {
    let retries = settings.and_then(|s| s.retries).unwrap_or(limits::ASYNC_RETRIES);
    let max_age = settings.and_then(|s| s.max_age_s).map_or(limits::ASYNC_AGE, |s| Duration::from_secs(u64::from(s)));
    RetryPolicy {
        max_attempts: retries + 1,
        max_age,
        backoff: Backoff {
            first: limits::ASYNC_FIRST,
            factor: 2.0,
            cap: limits::ASYNC_FIRST * 2,
            jitter: false,
            steps: Vec::new(),
        },
    }
}

/// At which pace an event comes again that was not begun: from a second up to five minutes.
pub(crate) fn pace() -> Backoff {
    Backoff { first: limits::BUSY_FIRST, factor: 2.0, cap: limits::BUSY_CAP, jitter: true, steps: Vec::new() }
}

/// One event and what it came to.
pub(crate) struct Told<'a> {
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// The function's ARN with its qualifier.
    pub(crate) function: &'a Arn,
    /// The event.
    pub(crate) event: &'a [u8],
    /// How often the function was invoked with it.
    pub(crate) invokes: u32,
    /// The version that ran, where one did.
    pub(crate) version: Option<&'a str>,
}

/// The record for a destination on success.
pub(crate) fn success(told: &Told<'_>, answer: &[u8], now: Timestamp) -> Value {
    let mut record = head(told, "Success", now);
    record["responseContext"] = json!({"statusCode": 200, "executedVersion": told.version});
    record["responsePayload"] = payload(answer);
    record
}

/// The record for a destination on failure.
pub(crate) fn failure(told: &Told<'_>, failure: &Failure, now: Timestamp) -> Value {
    let mut record = head(told, condition(failure), now);
    if failure.code == code::FUNCTION_ERROR {
        record["responseContext"] =
            json!({"statusCode": 200, "executedVersion": told.version, "functionError": "Unhandled"});
        record["responsePayload"] = payload(failure.why.as_bytes());
    }
    record
}

fn condition(failure: &Failure) -> &str {
    match failure.exhausted {
        Some(Exhausted::Attempts) => "RetriesExhausted",
        Some(Exhausted::Age) => "EventAgeExceeded",
        None => &failure.code,
    }
}

fn head(told: &Told<'_>, condition: &str, now: Timestamp) -> Value {
    json!({
        "version": "1.0",
        "timestamp": now.iso_millis(),
        "requestContext": {
            "requestId": told.request_id,
            "functionArn": told.function,
            "condition": condition,
            "approximateInvokeCount": told.invokes,
        },
        "requestPayload": payload(told.event),
    })
}

/// JSON as JSON, anything else as text.
fn payload(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

/// The record as it travels: without the payloads where it would be too large.
pub(crate) fn fit(mut record: Value, to: &Arn) -> String {
    let most = if to.service() == "sns" { limits::RECORD_SNS } else { limits::RECORD };
    let text = record.to_string();
    if text.len() <= most {
        return text;
    }
    if let Some(members) = record.as_object_mut() {
        members.remove("requestPayload");
        members.remove("responsePayload");
    }
    record.to_string()
}

/// The event that tells a bus.
pub(crate) fn bus_event(id: &str, record: Value, function: &Arn, bus: &Arn, now: Timestamp) -> Value {
    let well = record["requestContext"]["condition"] == "Success";
    json!({
        "version": "0",
        "id": id,
        "detail-type": format!("Lambda Function Invocation Result - {}", if well { "Success" } else { "Failure" }),
        "source": "lambda",
        "account": function.account(),
        "time": now.iso_secs(),
        "region": function.region(),
        "resources": [function, bus],
        "detail": record,
    })
}

/// The attributes of a dead letter, which otherwise is the event itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq>
pub(crate) fn dead_letter_attributes(request_id: &str, failure: &Failure) -> String {
    let (status, message) = match failure.code.as_str() {
        code::FUNCTION_ERROR => (200, error_message(&failure.why)),
        code::THROTTLED | code::SWITCHED_OFF => (429, failure.why.clone()),
        code::LOOP => (400, failure.why.clone()),
        _ => (500, failure.why.clone()),
    };
    let mut cut = message.len().min(limits::ERROR_MESSAGE);
    while !message.is_char_boundary(cut) {
        cut -= 1;
    }
    let text = if cut == 0 { "-" } else { &message[..cut] };
    json!({
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": status.to_string()},
        "ErrorMessage": {"DataType": "String", "StringValue": text},
    })
    .to_string()
}

fn error_message(answer: &str) -> String {
    let value: Option<Value> = serde_json::from_str(answer).ok();
    let message = value.as_ref().and_then(|v| v.get("errorMessage")?.as_str());
    message.unwrap_or(answer).to_owned()
}

/// As much of a function's error as travels with a failure: the whole of any sensible one.
pub(crate) fn error_text(answer: &Bytes) -> String {
    String::from_utf8_lossy(&answer[..answer.len().min(limits::RECORD)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(function: &'a Arn, event: &'a [u8]) -> Told<'a> {
        Told { request_id: "r-1", function, event, invokes: 3, version: Some("$LATEST") }
    }

    fn function() -> Arn {
        Arn::new("lambda", "us-east-2", "123456789012", "function:my-function:$LATEST")
    }

    #[test]
    fn the_documented_record_of_a_failure() {
        let arn = function();
        let why = r#"{"errorMessage":"no","errorType":"E"}"#.to_owned();
        let failed = Failure { code: code::FUNCTION_ERROR.into(), why, tries: 3, exhausted: Some(Exhausted::Attempts) };
        let at = Timestamp::from_millis(1_573_755_365_568);
        assert_eq!(
            failure(&told(&arn, br#"{"ORDER_IDS":[1]}"#), &failed, at),
            json!({
                "version": "1.0", "timestamp": "2019-11-14T18:16:05.568Z",
                "requestContext": {
                    "requestId": "r-1", "functionArn": arn, "condition": "RetriesExhausted",
                    "approximateInvokeCount": 3,
                },
                "requestPayload": {"ORDER_IDS": [1]},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
                "responsePayload": {"errorMessage": "no", "errorType": "E"},
            })
        );
        let attributes: Value = serde_json::from_str(&dead_letter_attributes("r-1", &failed)).unwrap();
        assert_eq!(attributes["ErrorCode"], json!({"DataType": "Number", "StringValue": "200"}));
        assert_eq!(attributes["ErrorMessage"]["StringValue"], "no");
    }

    #[test]
    fn what_was_never_begun_has_no_response() {
        let arn = function();
        let late = Failure {
            code: code::THROTTLED.into(),
            why: "Rate Exceeded.".into(),
            tries: 0,
            exhausted: Some(Exhausted::Age),
        };
        let record = failure(&Told { invokes: 0, version: None, ..told(&arn, b"1") }, &late, Timestamp(0));
        assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
        assert_eq!((record.get("responseContext"), record.get("responsePayload")), (None, None));
    }

    #[test]
    fn a_bus_is_told_by_an_event_and_large_payloads_stay_behind() {
        let (arn, topic) = (function(), Arn::new("sns", "us-east-2", "123456789012", "t"));
        let record = success(&told(&arn, b"1"), b"not json", Timestamp(0));
        assert_eq!(record["responsePayload"], "not json");
        let event = bus_event("e", record, &arn, &topic, Timestamp(0));
        assert_eq!(event["detail-type"], "Lambda Function Invocation Result - Success");
        assert_eq!(event["resources"], json!([arn, topic]));
        let large = vec![b'x'; 300 << 10];
        let text = fit(success(&told(&arn, &large), b"2", Timestamp(0)), &topic);
        let kept: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(kept["requestContext"]["condition"], "Success");
        assert!(kept.get("requestPayload").is_none());
    }
}
