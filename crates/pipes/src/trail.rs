//! What an execution leaves in a log group. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-logs-schema.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-logs-execution-steps.html>

use crate::item::Item;
use crate::limits::LOG_FIELD;
use crate::settings::{Level, Log};
use delivery::Verdict;
use names::{Arn, Timestamp};
use serde_json::{Value, json};

macro_rules! steps {
    ($($id:ident $level:ident,)*) => {
        /// A step of an execution, by AWS's name; it is told of at its level and at all that tell more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Step {
            $(#[doc = stringify!($id)] $id,)*
        }
        impl Step {
            fn told(self) -> (&'static str, Level) {
                match self {
                    $(Step::$id => (stringify!($id), Level::$level),)*
                }
            }
        }
    };
}

steps! {
    ExecutionStarted Info,
    ExecutionSucceeded Info,
    ExecutionPartiallyFailed Error,
    ExecutionFailed Error,
    ExecutionThrottled Error,
    ExecutionTimeout Error,
    EnrichmentStageEntered Info,
    EnrichmentInvocationStarted Trace,
    EnrichmentInvocationSucceeded Trace,
    EnrichmentInvocationFailed Error,
    EnrichmentStageExited Info,
    TargetStageEntered Info,
    TargetInvocationStarted Trace,
    TargetInvocationSucceeded Trace,
    TargetInvocationPartiallyFailed Error,
    TargetInvocationFailed Error,
    TargetStageSucceeded Info,
    TargetStagePartiallyFailed Error,
    TargetStageFailed Error,
    TargetStageSkipped Info,
}

/// What is said of a step beside its name.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    /// The events.
    pub(crate) payload: Option<&'a [Item]>,
    /// What a service was sent.
    pub(crate) request: Option<&'a [u8]>,
    /// What it answered.
    pub(crate) response: Option<&'a [u8]>,
    /// What failed, and whose it is.
    pub(crate) failed: Option<(&'a Verdict, &'a Arn)>,
}

/// The records of one execution; none where its pipe has no log.
pub(crate) struct Trail<'a> {
    log: Option<&'a Log>,
    pipe: &'a Arn,
    execution: String,
    records: Vec<Record>,
}

/// What a log group gets.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

impl<'a> Trail<'a> {
    pub(crate) fn new(log: Option<&'a Log>, pipe: &'a Arn, execution: impl FnOnce() -> String) -> Trail<'a> {
        let execution = log.map(|_| execution()).unwrap_or_default();
        Trail { log, pipe, execution, records: Vec::new() }
    }

    /// Notes a step, where the pipe's level asks for it.
    pub(crate) fn step(&mut self, step: Step, at: Timestamp, said: Said<'_>) {
        let Some(log) = self.log else { return };
        let (name, level) = step.told();
        if level > log.level {
            return;
        }
        let mut record = json!({
            "resourceArn": self.pipe,
            "timestamp": at.millis(),
            "executionId": self.execution,
            "messageType": name,
            "logLevel": log.level.name(),
        });
        if log.data {
            let payload = said.payload.map(|items| {
                let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
                format!("[{}]", texts.join(","))
            });
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields = [
                ("payload", payload),
                ("awsRequest", said.request.map(text)),
                ("awsResponse", said.response.map(text)),
            ];
            add(&mut record, fields);
        }
        if let Some((
            Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } | Verdict::Refused { code, why },
            arn,
        )) = said.failed
        {
            record["error"] = json!({"message": code, "details": why, "awsService": arn.service()});
        }
        self.records.push(Record { at, text: record.to_string() });
    }

    /// All of them, in order.
    pub(crate) fn records(self) -> Vec<Record> {
        self.records
    }
}

/// Adds what there is, cut where it is too long for a log event.
fn add(record: &mut Value, fields: [(&str, Option<String>); 3]) {
    let mut cut = Vec::new();
    for (name, text) in fields {
        let Some(mut text) = text else { continue };
        if text.len() > LOG_FIELD {
            text.truncate(text.floor_char_boundary(LOG_FIELD));
            cut.push(name);
        }
        record[name] = text.into();
    }
    if !cut.is_empty() {
        record["truncatedFields"] = json!(cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(level: Level, data: bool, step: Step) -> Option<Value> {
        let group = "arn:aws:logs:us-east-1:000000000000:log-group:g".parse().unwrap();
        let log = Log { level, group, data };
        let pipe: Arn = "arn:aws:pipes:us-east-1:000000000000:pipe/p".parse().unwrap();
        let target: Arn = "arn:aws:lambda:us-east-1:000000000000:function:f".parse().unwrap();
        let mut trail = Trail::new(Some(&log), &pipe, || "e".to_owned());
        let refused = Verdict::Refused { code: "C".into(), why: "w".into() };
        let items = [Item { text: "1".into() }, Item { text: "é".repeat(LOG_FIELD) }];
        let said = Said { payload: Some(&items), failed: Some((&refused, &target)), ..Said::default() };
        trail.step(step, Timestamp::from_millis(7), said);
        trail.records().pop().map(|record| serde_json::from_str(&record.text).unwrap())
    }

    #[test]
    fn levels_say_what_is_told() {
        for (step, error, info, trace) in [
            (Step::ExecutionFailed, true, true, true),
            (Step::ExecutionStarted, false, true, true),
            (Step::TargetInvocationStarted, false, false, true),
        ] {
            let has = |level| told(level, false, step).is_some();
            assert_eq!((has(Level::Error), has(Level::Info), has(Level::Trace)), (error, info, trace), "{step:?}");
        }
    }

    #[test]
    fn the_documented_fields() {
        let record = told(Level::Error, false, Step::TargetStageFailed).unwrap();
        assert_eq!(
            record,
            json!({
                "resourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/p", "timestamp": 7, "executionId": "e",
                "messageType": "TargetStageFailed", "logLevel": "ERROR",
                "error": {"message": "C", "details": "w", "awsService": "lambda"},
            })
        );
        let whole = told(Level::Error, true, Step::TargetStageFailed).unwrap();
        assert!(
            whole["payload"].as_str().unwrap().starts_with("[1,é")
                && whole["payload"].as_str().unwrap().len() <= LOG_FIELD
        );
        assert_eq!(whole["truncatedFields"], json!(["payload"]));
    }
}
