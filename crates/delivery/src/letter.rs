//! What a dead letter says. Pure.

use crate::limits::{MAX_ERROR_CHARS, MAX_MESSAGE_ATTRIBUTES};
use crate::retry::Exhausted;
use crate::{Envelope, RetryPolicy, attribute, code};
use names::{Arn, Timestamp};
use serde_json::{Map, Value, json};

/// Why an envelope was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The last error's code.
    pub code: String,
    /// The last error's reason.
    pub why: String,
    /// How often it was tried.
    pub tries: u32,
    /// `None` where the target refused.
    pub exhausted: Option<Exhausted>,
}

/// The envelope that tells `queue` of another's failure: the same body, with the attributes EventBridge gives it.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
///
/// It has no dead-letter target itself, so letters make no loops.
pub(crate) fn letter(envelope: &Envelope, queue: &Arn, failure: &Failure, now: Timestamp) -> Envelope {
    let mut attributes = envelope.attributes.clone();
    let given = attributes.get(attribute::MESSAGE_ATTRIBUTES).map(String::as_str);
    attributes.insert(attribute::MESSAGE_ATTRIBUTES.to_owned(), explain(given, envelope, failure));
    attributes.remove(attribute::INVOCATION);
    attributes.remove(attribute::UNFIT);
    attributes.insert(attribute::LETTER.to_owned(), "true".to_owned());
    Envelope {
        id: envelope.id.clone(),
        to: queue.clone(),
        body: envelope.body.clone(),
        attributes,
        from: envelope.from.clone(),
        principal: envelope.principal.clone(),
        role: envelope.role.clone().filter(|_| is_schedule(envelope)),
        policy: RetryPolicy::default(),
        dead_letter: None,
        trace: envelope.trace.clone(),
        not_before: None,
        created: now,
    }
}

/// Whether a schedule sends it. What it cannot deliver it sends to its queue with its role; rules and topics send theirs in
/// their service's own name.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html>
fn is_schedule(envelope: &Envelope) -> bool {
    envelope.from.as_ref().is_some_and(|from| from.service() == "scheduler")
}

/// As much of a reason as is shown to people: a target's may be a whole document.
pub(crate) fn shown(why: &str) -> String {
    why.chars().take(MAX_ERROR_CHARS).collect()
}

fn explain(given: Option<&str>, envelope: &Envelope, failure: &Failure) -> String {
    let mut all: Map<String, Value> = given.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let why = shown(&failure.why);
    // SQS takes no empty value.
    let text = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let by_schedule = is_schedule(envelope);
    // The most telling first: what does not fit beside the message's own attributes is left out.
    let ours = [
        ("ERROR_CODE", Some(text(code_of(envelope, failure)))),
        ("ERROR_MESSAGE", Some(text(&why))),
        ("TARGET_ARN", Some(envelope.to.to_string())),
        (if by_schedule { "SCHEDULE_ARN" } else { "RULE_ARN" }, envelope.from.as_ref().map(Arn::to_string)),
        ("EXHAUSTED_RETRY_CONDITION", failure.exhausted.map(|e| e.condition().to_owned())),
        ("RETRY_ATTEMPTS", Some(failure.tries.saturating_sub(1).to_string())),
    ];
    for (name, value) in ours {
        let Some(value) = value else { continue };
        if all.len() < MAX_MESSAGE_ATTRIBUTES || all.contains_key(name) {
            all.insert(name.to_owned(), json!({ "DataType": "String", "StringValue": value }));
        }
    }
    Value::Object(all).to_string()
}

/// The error code of a letter. EventBridge and its scheduler have words of their own for what went wrong; other senders
/// say what the target said.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
fn code_of<'a>(envelope: &Envelope, failure: &'a Failure) -> &'a str {
    let code = failure.code.as_str();
    if !matches!(envelope.principal.as_str(), "events.amazonaws.com" | "scheduler.amazonaws.com") {
        return code;
    }
    // Such words are upper case already.
    if code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') && !code.is_empty() {
        return code;
    }
    match code {
        code::NO_TARGET | "ResourceNotFoundException" | "NotFound" | "NotFoundException" => "NO_RESOURCE",
        "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => "NO_RESOURCE",
        code::ACCESS_DENIED | "AccessDeniedException" | "AuthorizationError" => "NO_PERMISSIONS",
        "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "RequestThrottled" => "THROTTLING",
        "ProvisionedThroughputExceededException" | "LimitExceededException" => "THROTTLING",
        "MalformedDetail" => "INVALID_JSON",
        // It is one of AWS's words; that this is where it is said could not be confirmed.
        code::UNFIT => "INVALID_PARAMETER",
        _ if failure.exhausted.is_none() => "SDK_CLIENT_ERROR",
        _ => "ERROR_FROM_TARGET",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::envelope;

    fn failure(exhausted: Option<Exhausted>) -> Failure {
        Failure { code: "THROTTLING".into(), why: "too fast".into(), tries: 4, exhausted }
    }

    fn attributes(letter: &Envelope) -> Value {
        serde_json::from_str(&letter.attributes[attribute::MESSAGE_ATTRIBUTES]).unwrap()
    }

    #[test]
    fn a_letter_tells_what_happened_and_keeps_the_body() {
        let mut e = envelope();
        e.from = Some(Arn::new("events", "us-east-1", "000000000000", "rule/r"));
        e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), r#"{"mine":{"DataType":"Number"}}"#.into());
        let queue = Arn::new("sqs", "us-east-1", "000000000000", "dead");
        let letter = letter(&e, &queue, &failure(Some(Exhausted::Attempts)), Timestamp(9));
        assert_eq!((letter.to.clone(), letter.body.clone(), letter.dead_letter.clone()), (queue, e.body, None));
        let said = attributes(&letter);
        assert_eq!(said["mine"]["DataType"], "Number");
        for (name, value) in [
            ("ERROR_CODE", "THROTTLING"),
            ("ERROR_MESSAGE", "too fast"),
            ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
            ("RETRY_ATTEMPTS", "3"),
            ("RULE_ARN", "arn:aws:events:us-east-1:000000000000:rule/r"),
            ("TARGET_ARN", "arn:aws:sqs:us-east-1:000000000000:orders"),
        ] {
            assert_eq!(said[name]["StringValue"], value, "{name}");
            assert_eq!(said[name]["DataType"], "String", "{name}");
        }
    }

    #[test]
    fn eventbridge_has_words_of_its_own() {
        let said = |code: &str, exhausted| {
            let failure = Failure { code: code.into(), ..failure(exhausted) };
            let letter = letter(&envelope(), &envelope().to, &failure, Timestamp(9));
            attributes(&letter)["ERROR_CODE"]["StringValue"].as_str().unwrap().to_owned()
        };
        assert_eq!(said("ResourceNotFoundException", None), "NO_RESOURCE");
        assert_eq!(said("AccessDeniedException", None), "NO_PERMISSIONS");
        assert_eq!(said("TooManyRequestsException", Some(Exhausted::Age)), "THROTTLING");
        assert_eq!(said("InvalidParameterValue", None), "SDK_CLIENT_ERROR");
        assert_eq!(said("FunctionError", Some(Exhausted::Attempts)), "ERROR_FROM_TARGET");
        assert_eq!(said("CONNECTION_FAILURE", None), "CONNECTION_FAILURE");
        assert_eq!(said(code::UNFIT, None), "INVALID_PARAMETER");
    }

    #[test]
    fn a_refused_envelope_exhausted_nothing() {
        let queue = Arn::new("sqs", "us-east-1", "000000000000", "dead");
        let said = attributes(&letter(&envelope(), &queue, &failure(None), Timestamp(9)));
        assert!(said.get("EXHAUSTED_RETRY_CONDITION").is_none());
        assert!(said.get("RULE_ARN").is_none());
    }

    #[test]
    fn ten_attributes_are_enough() {
        let mut e = envelope();
        let many: Map<String, Value> = (0..9).map(|i| (format!("a{i}"), json!({"DataType": "String"}))).collect();
        e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), Value::Object(many).to_string());
        let said = attributes(&letter(&e, &e.to, &failure(None), Timestamp(9)));
        assert_eq!(said.as_object().unwrap().len(), 10);
        assert_eq!(said["ERROR_CODE"]["StringValue"], "THROTTLING");
    }
}
