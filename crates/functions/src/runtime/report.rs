//! The lines and errors Lambda itself writes around a function's own.
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html>

use super::{FunctionError, LOG_TAIL, Report, Teller};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;
use world::processes::Exit;

/// By the name that Lambda's own emulator of the Runtime API has for it.
/// Source: <https://github.com/aws/aws-lambda-runtime-interface-emulator>
const TRUNCATED: &str = "Runtime.TruncatedResponse";

/// How an invocation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The function answered.
    Response(Bytes),
    /// The function, or its runtime while starting, told an error.
    Error { body: Bytes, error_type: Option<String> },
    /// The same behind a response that had begun.
    Midstream { body: Bytes, error_type: Option<String> },
    /// The function answered more than this.
    ResponseTooLarge(usize),
    /// Its response broke off.
    Truncated,
    /// It did not answer in time.
    TimedOut,
    /// Its process ended.
    Exited(Exit),
    /// An extension failed: the error's type, and what is told of it.
    Extension(String, String),
}

/// How something is called that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) name: &'static str,
    pub(super) error_type: Option<String>,
}

impl Status {
    pub(super) const SUCCESS: Status = Status { name: "success", error_type: None };

    fn error(error_type: impl Into<String>) -> Status {
        Status { name: "error", error_type: Some(error_type.into()) }
    }

    pub(super) fn is_success(&self) -> bool {
        *self == Status::SUCCESS
    }

    fn text(&self) -> String {
        let error_type = self.error_type.as_ref().map(|error_type| format!("\tError Type: {error_type}"));
        format!("Status: {}{}", self.name, error_type.unwrap_or_default())
    }
}

impl Ending {
    /// Whether the process may run another invocation.
    pub(super) fn leaves_process(&self) -> bool {
        match self {
            Ending::Response(_) | Ending::Error { .. } | Ending::Midstream { .. } | Ending::ResponseTooLarge(_) => true,
            Ending::Truncated | Ending::TimedOut | Ending::Exited(_) | Ending::Extension(..) => false,
        }
    }

    /// The payload and error to answer with.
    pub(super) fn answer(&self, id: &str, timeout: Duration) -> (Bytes, Option<FunctionError>) {
        let lambda = |error_type: &str, message: String| {
            let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
            (Bytes::from(body), Some(FunctionError { error_type: error_type.to_owned(), teller: Teller::Lambda }))
        };
        let told = |body: &Bytes, error_type: &Option<String>, teller| {
            let error_type = error_type.clone().or_else(|| type_in(body)).unwrap_or_else(|| "Unhandled".to_owned());
            (body.clone(), Some(FunctionError { error_type, teller }))
        };
        match self {
            Ending::Response(body) => (body.clone(), None),
            Ending::Error { body, error_type } => told(body, error_type, Teller::Function),
            Ending::Midstream { body, error_type } => told(body, error_type, Teller::Midstream),
            Ending::ResponseTooLarge(most) => lambda(
                "Function.ResponseSizeTooLarge",
                format!("Response payload size exceeded maximum allowed payload size ({most} bytes)."),
            ),
            Ending::Truncated => lambda(TRUNCATED, format!("RequestId: {id} Error: the response broke off")),
            Ending::TimedOut => lambda("Sandbox.Timedout", format!("RequestId: {id} Error: {}", timed_out(timeout))),
            Ending::Exited(exit) => lambda(exit_type(*exit), exit_message(id, *exit)),
            Ending::Extension(error_type, why) => lambda(error_type, format!("RequestId: {id} Error: {why}")),
        }
    }

    /// How a start is called that came to this, and the type of its error.
    pub(super) fn init_status(&self) -> Status {
        match self {
            Ending::Error { body, error_type } | Ending::Midstream { body, error_type } => {
                let error_type = error_type.clone().or_else(|| type_in(body));
                Status::error(error_type.unwrap_or_else(|| "Runtime.Unknown".to_owned()))
            }
            other => other.status(),
        }
    }

    /// How many bytes of it there are to answer with.
    pub(super) fn produced(&self) -> Option<usize> {
        match self {
            Ending::Response(body) | Ending::Error { body, .. } => Some(body.len()).filter(|size| *size > 0),
            _ => None,
        }
    }

    /// What the log says of it before END.
    pub(super) fn log_line(&self, id: &str) -> Option<String> {
        match self {
            Ending::Exited(exit) => Some(format!("{}\n{}", exit_message(id, *exit), exit_type(*exit))),
            Ending::Extension(error_type, why) => Some(format!("RequestId: {id} Error: {why}\n{error_type}")),
            _ => None,
        }
    }

    /// How an invocation is called that came to this. An error that a function tells is an answer.
    pub(super) fn status(&self) -> Status {
        match self {
            Ending::Response(_) | Ending::Error { .. } | Ending::Midstream { .. } => Status::SUCCESS,
            Ending::TimedOut => Status { name: "timeout", error_type: None },
            Ending::Truncated => Status::error(TRUNCATED),
            Ending::ResponseTooLarge(_) => Status::error("Function.ResponseSizeTooLarge"),
            Ending::Exited(exit) => Status::error(exit_type(*exit)),
            Ending::Extension(error_type, _) => Status::error(error_type),
        }
    }

    /// The REPORT line.
    pub(super) fn report_line(&self, id: &str, report: &Report) -> String {
        let mut line = format!(
            "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            report.duration_ms, report.billed_ms, report.memory_mb, report.max_memory_mb
        );
        if let Some(init) = report.init_ms {
            line.push_str(&format!("Init Duration: {init:.2} ms\t"));
        }
        let status = self.status();
        if !status.is_success() {
            line.push_str(&status.text());
        }
        line
    }
}

/// What the log says of a start that went so.
pub(super) fn init_line(status: &Status, init_ms: f64, phase: &str) -> String {
    format!("INIT_REPORT Init Duration: {init_ms:.2} ms\tPhase: {phase}\t{}", status.text())
}

pub(super) fn timed_out(timeout: Duration) -> String {
    format!("Task timed out after {:.2} seconds", timeout.as_secs_f64())
}

fn exit_type(exit: Exit) -> &'static str {
    match exit {
        Exit::OutOfMemory => "Runtime.OutOfMemory",
        Exit::Code(_) | Exit::Signal(_) => "Runtime.ExitError",
    }
}

fn exit_message(id: &str, exit: Exit) -> String {
    let why = match exit {
        Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
        Exit::Code(code) => format!("Runtime exited with error: exit status {code}"),
        Exit::Signal(signal) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        Exit::OutOfMemory => "Runtime exited with error: signal: killed".to_owned(),
    };
    format!("RequestId: {id} Error: {why}")
}

/// Signals as Lambda's own language, Go, names them.
fn signal_name(signal: i32) -> String {
    match signal {
        4 => "illegal instruction".to_owned(),
        6 => "aborted".to_owned(),
        7 => "bus error".to_owned(),
        8 => "floating point exception".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        15 => "terminated".to_owned(),
        other => other.to_string(),
    }
}

fn type_in(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(value.get("errorType")?.as_str()?.to_owned())
}

/// Duration and initialisation, billed as Lambda does since August 2025: initialisation counts.
/// Source: <https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/>
pub(super) fn billed_ms(duration_ms: f64, init_ms: Option<f64>) -> u64 {
    (duration_ms + init_ms.unwrap_or(0.0)).ceil() as u64
}

/// The end of an invocation's log.
#[derive(Default)]
pub(super) struct Tail(String);

impl Tail {
    pub(super) fn push(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
        if self.0.len() > 4 * LOG_TAIL {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let mut start = self.0.len().saturating_sub(LOG_TAIL);
        while !self.0.is_char_boundary(start) {
            start += 1;
        }
        self.0.drain(..start);
    }

    pub(super) fn finish(mut self) -> String {
        self.cut();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_as_lambda_writes_them() {
        let report =
            Report { duration_ms: 12.345, billed_ms: 113, memory_mb: 128, max_memory_mb: 37, init_ms: Some(100.0) };
        assert_eq!(
            Ending::Response(Bytes::new()).report_line("id", &report),
            "REPORT RequestId: id\tDuration: 12.35 ms\tBilled Duration: 113 ms\tMemory Size: 128 MB\t\
             Max Memory Used: 37 MB\tInit Duration: 100.00 ms\t"
        );
        let warm = Report { init_ms: None, ..report };
        assert!(Ending::TimedOut.report_line("id", &warm).ends_with("Max Memory Used: 37 MB\tStatus: timeout"));
        assert_eq!(billed_ms(12.345, Some(100.0)), 113);
    }

    #[test]
    fn ends_are_told_as_lambda_tells_them() {
        let told = |ending: Ending| {
            let (body, error) = ending.answer("id", Duration::from_secs(3));
            (String::from_utf8(body.to_vec()).unwrap(), error.map(|e| e.error_type))
        };
        assert_eq!(
            told(Ending::Exited(Exit::Code(1))),
            (
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 1"}"#.to_owned(),
                Some("Runtime.ExitError".to_owned())
            )
        );
        assert_eq!(
            told(Ending::TimedOut).0,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 3.00 seconds"}"#
        );
        assert!(told(Ending::Exited(Exit::OutOfMemory)).0.contains("signal: killed"));
        let own = Ending::Error { body: Bytes::from_static(br#"{"errorType":"KeyError"}"#), error_type: None };
        assert_eq!(told(own).1.as_deref(), Some("KeyError"));
    }

    #[test]
    fn tails_keep_the_end() {
        let mut tail = Tail::default();
        for _ in 0..10_000 {
            tail.push("ü line");
        }
        tail.push("the end");
        let text = tail.finish();
        assert!(text.len() <= LOG_TAIL && text.ends_with("ü line\nthe end\n"));
    }
}
