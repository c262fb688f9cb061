//! How detailed a log is.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use serde::{Deserialize, Serialize};

/// The level of a line, from the most detailed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
    /// `FATAL`
    Fatal,
}

impl Level {
    /// By its name in any case, or by the name that Python's `logging` has for it.
    pub fn parse(name: &str) -> Option<Level> {
        Some(match name.to_ascii_uppercase().as_str() {
            "TRACE" => Level::Trace,
            "DEBUG" => Level::Debug,
            "INFO" => Level::Info,
            "WARN" | "WARNING" => Level::Warn,
            "ERROR" => Level::Error,
            "FATAL" | "CRITICAL" => Level::Fatal,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }

    /// Of a line that a function wrote: what a JSON object says of itself under `level`, and `INFO` where nothing is said.
    fn of(line: &str) -> Level {
        #[derive(Deserialize)]
        struct Said<'a> {
            #[serde(borrow)]
            level: Option<std::borrow::Cow<'a, str>>,
        }
        let object = line.trim_start().starts_with('{');
        let said = object.then(|| serde_json::from_str::<Said>(line).ok()).flatten().and_then(|said| said.level);
        said.and_then(|level| Level::parse(&level)).unwrap_or(Level::Info)
    }
}

/// What is written of a log that is written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Of what the function writes.
    pub application: Level,
    /// Of what Lambda writes.
    pub system: Level,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { application: Level::Info, system: Level::Info }
    }
}

impl Levels {
    /// Whether a line of the function is written.
    pub(super) fn admit(&self, line: &str) -> bool {
        // Where everything is wanted no line is looked into.
        self.application == Level::Trace || Level::of(line) >= self.application
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_level_they_say() {
        for (line, level) in [
            (r#"{"level":"debug","msg":"m"}"#, Level::Debug),
            (r#" {"message":{"level":"ERROR"},"level":"WARNING"}"#, Level::Warn),
            (r#"{"level":"\u0046ATAL"}"#, Level::Fatal),
            (r#"{"level":"loud"}"#, Level::Info),
            (r#"{"level":7}"#, Level::Info),
            (r#"{"level":"DEBUG""#, Level::Info),
            (r#"["level"]"#, Level::Info),
            ("plain", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(Level::of(line), level, "{line}");
        }
        let errors = Levels { application: Level::Error, ..Levels::default() };
        assert!(errors.admit(r#"{"level":"CRITICAL"}"#) && errors.admit(r#"{"level":"error"}"#));
        assert!(!errors.admit("plain") && Levels::default().admit("plain"));
    }
}
