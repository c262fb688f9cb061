//! An InputTemplate: JSON text with placeholders, in strings and out of them.

use super::{InputError, Matched, TooLarge};
use crate::limits::INPUT_BYTES;
use crate::path::JsonPath;
use patterns::json;
use patterns::template::{ends_in_string, inside_string};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Hole { variable: Variable, in_string: bool },
}

#[derive(Clone, Debug)]
enum Variable {
    Path(JsonPath),
    RuleArn,
    RuleName,
    IngestionTime,
    /// The event without its detail.
    Event,
    /// The event whole.
    EventJson,
}

impl Template {
    pub(super) fn compile(
        target: &str,
        paths: &BTreeMap<&str, JsonPath>,
        template: &str,
    ) -> Result<Template, InputError> {
        let is_object = template.trim_start().starts_with('{');
        let mut parts = Vec::new();
        let mut checked = String::new();
        let mut rest = template;
        while let Some((before, name, after)) = next_placeholder(rest) {
            let variable = variable(name, paths)
                .ok_or_else(|| InputError::Placeholder { target: target.to_owned(), placeholder: name.to_owned() })?;
            if let (false, Some(placeholder)) = (is_object, variable.only_in_objects()) {
                return Err(InputError::OnlyInObjects { target: target.to_owned(), placeholder });
            }
            checked.push_str(before);
            let (in_string, escaped) = ends_in_string(&checked);
            if escaped {
                // It would escape the first character of every value: `\null` is JSON, `\RUNNING` is not.
                return Err(InputError::Template {
                    target: target.to_owned(),
                    place: json::place(&checked, checked.len()),
                });
            }
            checked.push_str("null");
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Hole { variable, in_string });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        checked.push_str(rest);
        // AWS checks the template with null in place of each placeholder. Lines of strings are as good as one value.
        json::check(&checked, true).map_err(|fault| InputError::Template {
            target: target.to_owned(),
            place: json::place(&checked, fault.at.unwrap_or(0)),
        })?;
        Ok(Template { parts })
    }

    /// Holes may be many and each as large as the event: it stops where the whole is too large.
    pub(super) fn fill(&self, matched: &Matched<'_>) -> Result<String, TooLarge> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Hole { variable, in_string } => {
                    let value = variable.value(matched);
                    filled.push_str(&if *in_string { inside_string(&value) } else { value.to_string() });
                }
            }
            if filled.len() > INPUT_BYTES {
                return Err(TooLarge);
            }
        }
        Ok(filled)
    }
}

impl Variable {
    fn value<'a>(&self, matched: &Matched<'a>) -> Cow<'a, Value> {
        let string = |text: &str| Cow::Owned(Value::String(text.to_owned()));
        match self {
            // A path that leads nowhere gives an empty string, in strings and out of them.
            Variable::Path(path) => path.apply(matched.event).unwrap_or_else(|| string("")),
            Variable::RuleArn => string(matched.rule_arn),
            Variable::RuleName => string(matched.rule_name),
            Variable::IngestionTime => string(&matched.ingested.iso_secs()),
            Variable::Event => Cow::Owned(without_detail(matched.event)),
            Variable::EventJson => Cow::Borrowed(matched.event),
        }
    }

    fn only_in_objects(&self) -> Option<&'static str> {
        match self {
            Variable::Event => Some("aws.events.event"),
            Variable::EventJson => Some("aws.events.event.json"),
            _ => None,
        }
    }
}

fn variable(name: &str, paths: &BTreeMap<&str, JsonPath>) -> Option<Variable> {
    Some(match name {
        "aws.events.rule-arn" => Variable::RuleArn,
        "aws.events.rule-name" => Variable::RuleName,
        "aws.events.event.ingestion-time" => Variable::IngestionTime,
        "aws.events.event" => Variable::Event,
        "aws.events.event.json" => Variable::EventJson,
        _ => Variable::Path(paths.get(name)?.clone()),
    })
}

/// The text before the next `<name>`, the name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('<').map(|at| from + at) {
        let inner = &text[open + 1..];
        let len = inner.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c))).unwrap_or(inner.len());
        if len > 0 && inner[len..].starts_with('>') {
            return Some((&text[..open], &inner[..len], &inner[len + 1..]));
        }
        from = open + 1;
    }
    None
}

/// The event as `<aws.events.event>` shows it: AWS leaves out the detail and spells `detailType` as one word.
fn without_detail(event: &Value) -> Value {
    let Value::Object(fields) = event else {
        return event.clone();
    };
    let kept: Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| *name != "detail")
        .map(|(name, value)| (if name == "detail-type" { "detailType".into() } else { name.clone() }, value.clone()))
        .collect();
    Value::Object(kept)
}
