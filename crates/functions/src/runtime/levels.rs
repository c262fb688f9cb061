//! How detailed a log is.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use world::processes::Line;

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
    /// `None`: of a line that goes on nothing can be told yet.
    fn of(line: &str, goes_on: bool) -> Option<Level> {
        if !line.trim_start().starts_with('{') {
            return Some(Level::Info);
        }
        let mut said = Said(None);
        match serde_json::Deserializer::from_str(line).deserialize_map(&mut said) {
            Ok(()) => Some(said.0.unwrap_or(Level::Info)),
            Err(error) if goes_on && error.is_eof() => said.0,
            Err(_) => Some(Level::Info),
        }
    }
}

/// What has been read of an object's level, as far as the object goes.
struct Said(Option<Level>);

impl<'de> Visitor<'de> for &mut Said {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == "level" {
                self.0 = Level::parse(&members.next_value::<Cow<'de, str>>()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
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

/// A line that has not said its level by this piece is `INFO`: no event of a log is longer.
const PIECES: usize = 4;

/// Lets through what is wanted of what a function writes, by the level of each line as a whole.
#[derive(Default)]
pub(super) struct Sieve {
    /// Of a line whose level is not known yet.
    pieces: Vec<String>,
    /// Whether the line that goes on is wanted.
    wanted: Option<bool>,
}

impl Sieve {
    /// What is to be written now that there is one more line, or piece of one.
    pub(super) fn pass(&mut self, levels: Levels, line: Line) -> Vec<String> {
        self.pieces.push(line.text);
        let wanted = self.wanted.or_else(|| self.judge(levels, line.cut));
        self.wanted = wanted.filter(|_| line.cut);
        match wanted {
            Some(true) => std::mem::take(&mut self.pieces),
            Some(false) => {
                self.pieces.clear();
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn judge(&self, levels: Levels, cut: bool) -> Option<bool> {
        // Where everything is wanted no line is looked into.
        if levels.application == Level::Trace {
            return Some(true);
        }
        let goes_on = cut && self.pieces.len() < PIECES;
        let level = match &self.pieces[..] {
            [line] => Level::of(line, goes_on),
            pieces => Level::of(&pieces.concat(), goes_on),
        };
        level.map(|level| level >= levels.application)
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
            assert_eq!(Level::of(line, false), Some(level), "{line}");
        }
    }

    /// What is written of lines that come in these pieces; each piece with a `+` goes on.
    fn passed(application: Level, pieces: &[&str]) -> Vec<String> {
        let (mut sieve, levels) = (Sieve::default(), Levels { application, ..Levels::default() });
        let line = |piece: &&str| {
            let text = piece.strip_suffix('+');
            Line { text: text.unwrap_or(piece).to_owned(), cut: text.is_some() }
        };
        pieces.iter().map(line).flat_map(|line| sieve.pass(levels, line)).collect()
    }

    #[test]
    fn lines_are_wanted_by_their_level() {
        let lines = [r#"{"level":"CRITICAL"}"#, "plain", r#"{"level":"error"}"#];
        assert_eq!(passed(Level::Error, &lines), [lines[0], lines[2]]);
        assert_eq!(passed(Level::Info, &lines), lines);
    }

    #[test]
    fn the_pieces_of_a_long_line_are_wanted_by_the_level_of_the_line() {
        let early = [r#"{"level":"DEBUG","msg":"a+"#, "b+", r#"c"}"#, "plain"];
        assert_eq!(passed(Level::Info, &early), ["plain"]);
        let early = [r#"{"level":"ERROR","msg":"a+"#, r#"b"}"#, "plain"];
        assert_eq!(passed(Level::Warn, &early), [r#"{"level":"ERROR","msg":"a"#, r#"b"}"#]);
        let late = [r#"{"msg":{"level":"ERROR","a":"a+"#, r#"b"},"level":"DE+"#, r#"BUG"}"#, "plain"];
        assert_eq!(passed(Level::Info, &late), ["plain"]);
        assert_eq!(passed(Level::Debug, &late).len(), 4);
        assert_eq!(passed(Level::Trace, &late[..2]).len(), 2, "nothing waits where all is wanted");
        let plain = ["a+", "b+", "c"];
        assert_eq!(passed(Level::Info, &plain), ["a", "b", "c"]);
        assert!(passed(Level::Warn, &plain).is_empty());
        let endless = [r#"{"msg":"a+"#, "b+", "c+", "d+", r#"e","level":"DEBUG"}"#];
        assert_eq!(passed(Level::Info, &endless[..3]), [""; 0]);
        assert_eq!(passed(Level::Info, &endless).len(), 5);
    }
}
