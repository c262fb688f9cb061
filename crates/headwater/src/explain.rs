//! `headwater explain`: whether an event matches a pattern and, where it does not, which field fails and why.

use crate::cli::ExplainArgs;
use crate::out::say;
use anyhow::{Context, Result, anyhow, ensure};
use patterns::{Dialect, Event, Explanation, Pattern};
use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

/// The exit code of an event that does not match.
const NO_MATCH: u8 = 1;
/// The exit code of a pattern or an event that is none.
const INVALID: u8 = 2;

pub fn run(args: &ExplainArgs) -> ExitCode {
    let explained = explained(args);
    match &explained {
        Ok(explanation) => say!("{}", text(explanation).trim_end()),
        Err(error) => eprintln!("error: {error:#}"),
    }
    ExitCode::from(code(&explained))
}

fn code(explained: &Result<Explanation>) -> u8 {
    match explained {
        Ok(explanation) if explanation.matches => 0,
        Ok(_) => NO_MATCH,
        Err(_) => INVALID,
    }
}

fn explained(args: &ExplainArgs) -> Result<Explanation> {
    ensure!(args.pattern != "-" || args.event != "-", "only one of the two can come from standard input");
    let pattern = Pattern::parse_as(Dialect::from(args.language), &read(&args.pattern)?).map_err(|error| {
        // Lambda's message does not tell the reason.
        let reason = if error.to_string().contains(&error.reason) { "" } else { &error.reason };
        anyhow!("{error} {reason}")
    })?;
    let event = Event::parse(&read(&args.event)?)?;
    Ok(Explanation::new(&pattern, &event))
}

/// JSON given as it is, or from a file, or from standard input.
fn read(given: &str) -> Result<String> {
    if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    if given.trim_start().starts_with(['{', '[']) {
        return Ok(given.to_owned());
    }
    std::fs::read_to_string(given)
        .with_context(|| format!("{given} is neither JSON in braces nor a file that can be read"))
}

fn text(explanation: &Explanation) -> String {
    let mut text = String::from(if explanation.matches { "the event matches\n" } else { "the event does not match\n" });
    let width = explanation.fields.iter().map(|field| field.path.chars().count()).max().unwrap_or(0);
    for field in &explanation.fields {
        let sign = if field.holds { "ok  " } else { "FAIL" };
        let name = format!("{:width$}", field.path);
        write!(text, "  {sign}  {name}  wanted {}  found {}", field.asked, field.found).expect("a string takes all");
        if let Some(hint) = &field.hint {
            write!(text, "\n        {:width$}  {hint}", "").expect("a string takes all");
        }
        text.push('\n');
    }
    if explanation.scattered {
        text.push_str("every field holds by itself, but not all of them in the same element of an array\n");
    }
    if explanation.alternatives > 1 {
        let which = if explanation.matches { "the first that matches" } else { "the one that comes nearest" };
        writeln!(text, "the pattern has {} alternatives; shown is {which}", explanation.alternatives)
            .expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(pattern: &str, event: &str) -> String {
        text(&Explanation::new(&Pattern::parse(pattern).unwrap(), &Event::parse(event).unwrap()))
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // it is the test's own file
    fn exit_codes_tell_matching_from_not_matching_and_from_invalid() {
        use crate::cli::Language::{EventFilter, Rule};
        let code_of = |pattern: &str, event: &str, language| {
            code(&explained(&ExplainArgs { pattern: pattern.into(), event: event.into(), language }))
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("event.json");
        std::fs::write(&file, r#"{"a":"10.1.2.3"}"#).unwrap();
        let (file, cidr) = (file.to_str().unwrap(), r#"{"a":[{"cidr":"10.0.0.0/8"}]}"#);
        assert_eq!(code_of(cidr, file, Rule), 0);
        assert_eq!(code_of(cidr, r#"{"a":"11.1.2.3"}"#, Rule), NO_MATCH);
        for (pattern, event, language) in [
            (cidr, file, EventFilter),
            ("{}", file, Rule),
            (cidr, "[]", Rule),
            (cidr, "no such file", Rule),
            ("-", "-", Rule),
        ] {
            assert_eq!(code_of(pattern, event, language), INVALID, "{pattern} {event}");
        }
    }

    #[test]
    fn each_field_is_named_with_what_was_wanted_and_found() {
        assert_eq!(
            explain(
                r#"{"source":["aws.ec2"],"detail":{"State":["stopped"]}}"#,
                r#"{"source":"aws.ec2","detail":{"state":"stopped"}}"#
            ),
            "the event does not match\n  FAIL  detail.State  wanted [\"stopped\"]  found nothing\n                      the event has \"state\", the pattern \"State\"\n  ok    source        wanted [\"aws.ec2\"]  found \"aws.ec2\"\n"
        );
        let or = explain(r#"{"$or":[{"a":[1]},{"b":[{"exists":false}]}]}"#, r#"{"a":2}"#);
        assert!(or.starts_with("the event matches\n  ok    b  wanted [{\"exists\":false}]  found nothing\n"), "{or}");
        assert!(or.ends_with("the pattern has 2 alternatives; shown is the first that matches\n"), "{or}");
    }
}
