//! What Lambda itself writes into a function's log: as text, or as JSON where the function's log is that.
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html> (the level of each),
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html> (the shape of each)

use super::levels::Level;
use super::report::{self, Ending, Status};
use super::{FunctionSpec, Report};
use names::{Arn, Timestamp};
use serde_json::{Value, json};

/// Something that Lambda says.
pub(super) enum Word<'a> {
    /// A process starts: by which runtime, and into which stream it writes.
    InitStart { runtime: &'a str, kept: bool, log_stream: &'a str },
    /// Its start went so, which took so long. Text tells only of one that failed.
    InitEnd { status: Status, kept: bool, phase: &'static str, ms: f64 },
    /// An invocation begins.
    Start { id: &'a str, arn: &'a Arn },
    /// The runtime is through with it.
    Done { id: &'a str, ending: &'a Ending, report: &'a Report },
    /// What it took.
    Report { id: &'a str, ending: &'a Ending, report: &'a Report },
    /// Another runtime stands in for the one that was asked for.
    StandsIn(&'a str),
    /// A layer of the sandbox is missing.
    Unconfined(&'a str),
}

/// One event of a log that is JSON: its type, its level and its record.
type Event = (&'static str, Level, Value);

impl Word<'_> {
    /// As it stands in a log that is text.
    pub(super) fn text(&self, spec: &FunctionSpec, now: Timestamp) -> Vec<String> {
        match self {
            Word::InitStart { runtime, .. } => vec![format!("INIT_START Runtime Version: {runtime}")],
            Word::InitEnd { status, .. } if status.is_success() => Vec::new(),
            Word::InitEnd { status, phase, ms, .. } => vec![report::init_line(status, *ms, phase)],
            Word::Start { id, .. } => vec![format!("START RequestId: {id} Version: {}", spec.version)],
            Word::Done { id, ending, .. } => {
                let late = matches!(ending, Ending::TimedOut)
                    .then(|| format!("{} {id} {}", now.iso_millis(), report::timed_out(spec.timeout)));
                let end = format!("END RequestId: {id}");
                late.into_iter().chain(ending.log_line(id)).chain([end]).collect()
            }
            Word::Report { id, ending, report } => vec![ending.report_line(id, report)],
            Word::StandsIn(warning) => vec![format!("[WARN] {warning}")],
            Word::Unconfined(missing) => vec![format!("SANDBOX Missing {missing}")],
        }
    }

    /// As it stands in a log that is JSON, down to a level.
    pub(super) fn json(&self, spec: &FunctionSpec, now: Timestamp, system: Level) -> Vec<String> {
        let events = self.events(&spec.name, &spec.version, spec.memory_mb).into_iter();
        let time = now.iso_millis();
        let line = |(kind, _, record)| json!({"time": time, "type": kind, "record": record}).to_string();
        events.filter(|(_, level, _)| *level >= system).map(line).collect()
    }

    fn events(&self, name: &str, version: &str, memory_mb: u64) -> Vec<Event> {
        match self {
            Word::InitStart { runtime, kept, log_stream } => {
                let record = json!({
                    "initializationType": kind(*kept), "phase": "init", "runtimeVersion": runtime,
                    "functionName": name, "functionVersion": version,
                    "instanceId": log_stream, "instanceMaxMemory": memory_mb << 20,
                });
                vec![("platform.initStart", Level::Info, record)]
            }
            Word::InitEnd { status, kept, phase, ms } => init_end(status, *kept, phase, *ms),
            Word::Start { id, arn } => {
                let record = json!({"requestId": id, "functionArn": arn.to_string(), "version": version});
                vec![("platform.start", Level::Info, record)]
            }
            Word::Done { id, ending, report } => {
                let status = ending.status();
                let mut metrics = json!({"durationMs": rounded(report.duration_ms)});
                // What went in pieces is not here any more.
                if let Some(bytes) = ending.produced() {
                    metrics["producedBytes"] = json!(bytes);
                }
                vec![("platform.runtimeDone", level(&status, Level::Debug), of_invocation(id, &status, metrics))]
            }
            Word::Report { id, ending, report } => {
                let status = ending.status();
                let mut metrics = json!({
                    "durationMs": rounded(report.duration_ms), "billedDurationMs": report.billed_ms,
                    "memorySizeMB": report.memory_mb, "maxMemoryUsedMB": report.max_memory_mb,
                });
                if let Some(ms) = report.init_ms {
                    metrics["initDurationMs"] = json!(rounded(ms));
                }
                vec![("platform.report", level(&status, Level::Info), of_invocation(id, &status, metrics))]
            }
            Word::StandsIn(warning) => vec![("headwater.runtime", Level::Warn, json!({"message": warning}))],
            Word::Unconfined(missing) => vec![("headwater.sandbox", Level::Warn, json!({"missing": missing}))],
        }
    }
}

fn kind(kept: bool) -> &'static str {
    if kept { "provisioned-concurrency" } else { "on-demand" }
}

/// As Lambda shows them: to the microsecond.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

fn of_invocation(id: &str, status: &Status, metrics: Value) -> Value {
    let mut record = record(status);
    record["requestId"] = json!(id);
    record["metrics"] = metrics;
    record
}

fn record(status: &Status) -> Value {
    let mut record = json!({"status": status.name});
    if let Some(error_type) = &status.error_type {
        record["errorType"] = json!(error_type);
    }
    record
}

/// The level of what is said of an end: what went wrong is always a warning.
fn level(status: &Status, success: Level) -> Level {
    if status.is_success() { success } else { Level::Warn }
}

fn init_end(status: &Status, kept: bool, phase: &str, ms: f64) -> Vec<Event> {
    let mut done = record(status);
    done["initializationType"] = json!(kind(kept));
    done["phase"] = json!(phase);
    let mut report = done.clone();
    report["metrics"] = json!({"durationMs": rounded(ms)});
    let reported = if kept { Level::Info } else { Level::Debug };
    vec![
        ("platform.initRuntimeDone", level(status, Level::Debug), done),
        ("platform.initReport", level(status, reported), report),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::processes::Exit;

    const REPORT: Report =
        Report { duration_ms: 12.3456, billed_ms: 113, memory_mb: 128, max_memory_mb: 37, init_ms: Some(100.0) };

    fn said(word: &Word, system: Level) -> Vec<(String, Value)> {
        let lines = word.events("f", "$LATEST", 128).into_iter().filter(|(_, level, _)| *level >= system);
        lines.map(|(kind, _, record)| (kind.to_owned(), record)).collect()
    }

    #[test]
    fn what_went_well_is_told_in_detail_alone() {
        let fine = Ending::Response("ok!".into());
        let done = Word::Done { id: "i", ending: &fine, report: &REPORT };
        assert_eq!(said(&done, Level::Info), []);
        let record =
            json!({"requestId": "i", "status": "success", "metrics": {"durationMs": 12.346, "producedBytes": 3}});
        assert_eq!(said(&done, Level::Debug), [("platform.runtimeDone".to_owned(), record)]);
        let report = Word::Report { id: "i", ending: &fine, report: &REPORT };
        assert_eq!(said(&report, Level::Warn), []);
        let metrics = json!({
            "durationMs": 12.346, "billedDurationMs": 113, "memorySizeMB": 128, "maxMemoryUsedMB": 37, "initDurationMs": 100.0
        });
        let record = json!({"requestId": "i", "status": "success", "metrics": metrics});
        assert_eq!(said(&report, Level::Info), [("platform.report".to_owned(), record)]);
        let start = |kept| Word::InitEnd { status: Status::SUCCESS, kept, phase: "init", ms: 1.0 };
        assert_eq!((said(&start(false), Level::Info).len(), said(&start(true), Level::Info).len()), (0, 1));
    }

    #[test]
    fn what_went_wrong_is_a_warning() {
        let late = Ending::TimedOut;
        for word in [
            Word::Done { id: "i", ending: &late, report: &REPORT },
            Word::Report { id: "i", ending: &late, report: &REPORT },
        ] {
            assert_eq!(said(&word, Level::Warn)[0].1["status"], "timeout");
        }
        let status = Ending::Exited(Exit::Code(1)).init_status();
        let told = said(&Word::InitEnd { status, kept: false, phase: "init", ms: 1.0 }, Level::Warn);
        let record = json!({
            "status": "error", "errorType": "Runtime.ExitError", "initializationType": "on-demand", "phase": "init"
        });
        assert_eq!(told[0], ("platform.initRuntimeDone".to_owned(), record));
        assert_eq!(told[1].1["metrics"], json!({"durationMs": 1.0}));
    }
}
