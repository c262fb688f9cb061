//! An `InputTemplate`: text, or JSON, with paths into the event and reserved variables. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html>

use crate::item::Item;
use names::Timestamp;
use patterns::JsonPath;
use patterns::template::{Filling, TooLong, ends_in_string};
use serde_json::Value;
use std::borrow::Cow;

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Whether values are to stand in it as JSON does.
    is_json: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// Where JSON is to stand as it is, or as a part of a text.
    Hole(Variable, bool),
}

#[derive(Clone, Debug)]
enum Variable {
    Path(JsonPath),
    Fact(Fact),
    /// When the event came to the template.
    Ingested,
    /// The event as it came.
    Event,
    /// The event with its payload taken apart.
    EventJson,
}

#[derive(Clone, Copy, Debug)]
enum Fact {
    PipeArn,
    PipeName,
    SourceArn,
    EnrichmentArn,
    TargetArn,
}

/// What templates may say of their pipe.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) pipe_arn: String,
    pub(crate) pipe_name: String,
    pub(crate) source_arn: String,
    pub(crate) enrichment_arn: String,
    pub(crate) target_arn: String,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("Invalid InputTemplate: {0}")]
    Path(#[from] patterns::PathError),
    #[error("Invalid InputTemplate: <{0}> is not a reserved variable.")]
    Variable(String),
}

impl Template {
    pub(crate) fn compile(text: &str) -> Result<Template, TemplateError> {
        let is_json = text.trim_start().starts_with(['{', '[']);
        let (mut parts, mut seen, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, name, after)) = next_placeholder(rest) {
            seen.push_str(before);
            let as_text = !is_json || ends_in_string(&seen).0;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Hole(variable(name)?, as_text));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template { is_json, parts })
    }

    /// Adds what an event becomes to `out`. `decoded` is the event with its payload taken apart.
    pub(crate) fn fill(
        &self,
        facts: &Facts,
        item: &Item,
        decoded: &Value,
        now: Timestamp,
        out: &mut Filling,
    ) -> Result<(), TooLong> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.text(text)?,
                Part::Hole(variable, as_text) => match variable.value(facts, item, decoded, now).as_ref() {
                    // In a text that is no JSON nothing is escaped.
                    Value::String(text) if *as_text && !self.is_json => out.text(text)?,
                    value => out.value(value, *as_text)?,
                },
            }
        }
        Ok(())
    }
}

impl Variable {
    fn value<'a>(&self, facts: &Facts, item: &Item, decoded: &'a Value, now: Timestamp) -> Cow<'a, Value> {
        let string = |text: &str| Cow::Owned(Value::String(text.to_owned()));
        match self {
            // A path that leads nowhere gives an empty text.
            Variable::Path(path) => path.apply(decoded).unwrap_or_else(|| string("")),
            Variable::Fact(fact) => string(match fact {
                Fact::PipeArn => &facts.pipe_arn,
                Fact::PipeName => &facts.pipe_name,
                Fact::SourceArn => &facts.source_arn,
                Fact::EnrichmentArn => &facts.enrichment_arn,
                Fact::TargetArn => &facts.target_arn,
            }),
            Variable::Ingested => string(&now.iso_secs()),
            Variable::Event => Cow::Owned(serde_json::from_str(&item.text).unwrap_or(Value::Null)),
            Variable::EventJson => Cow::Borrowed(decoded),
        }
    }
}

fn variable(name: &str) -> Result<Variable, TemplateError> {
    if name.starts_with('$') {
        return Ok(Variable::Path(JsonPath::compile(name)?));
    }
    Ok(match name {
        "aws.pipes.pipe-arn" => Variable::Fact(Fact::PipeArn),
        "aws.pipes.pipe-name" => Variable::Fact(Fact::PipeName),
        "aws.pipes.source-arn" => Variable::Fact(Fact::SourceArn),
        "aws.pipes.enrichment-arn" => Variable::Fact(Fact::EnrichmentArn),
        "aws.pipes.target-arn" => Variable::Fact(Fact::TargetArn),
        "aws.pipes.event.ingestion-time" => Variable::Ingested,
        "aws.pipes.event" => Variable::Event,
        "aws.pipes.event.json" => Variable::EventJson,
        _ => return Err(TemplateError::Variable(name.to_owned())),
    })
}

/// The text before the next `<$path>` or `<aws.pipes.name>`, what stands between, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('<').map(|at| from + at) {
        let inner = &text[open + 1..];
        if inner.starts_with('$') || inner.starts_with("aws.pipes.") {
            let len = inner.find(|c: char| c == '>' || c == '<' || c.is_whitespace()).unwrap_or(inner.len());
            if inner[len..].starts_with('>') {
                return Some((&text[..open], &inner[..len], &inner[len + 1..]));
            }
        }
        from = open + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts() -> Facts {
        Facts {
            pipe_arn: "arn:p".into(),
            pipe_name: "p".into(),
            source_arn: "arn:s".into(),
            enrichment_arn: String::new(),
            target_arn: "arn:t".into(),
        }
    }

    fn filled(template: &str, event: &Value) -> String {
        of(template, Item { text: event.to_string() }, 1 << 20).unwrap()
    }

    fn of(template: &str, item: Item, most: usize) -> Result<String, TooLong> {
        let (template, mut out) = (Template::compile(template).unwrap(), Filling::new(most));
        let now = Timestamp::from_millis(1_545_084_650_987);
        template.fill(&facts(), &item, &item.decoded(), now, &mut out)?;
        Ok(out.done())
    }

    fn message(body: &str) -> Value {
        json!({"eventSource": "aws:sqs", "body": body, "attributes": {"SenderId": "AIDA\"X"}})
    }

    #[test]
    fn the_documented_forms() {
        let event = message(r#"{"key":"value","n":1,"list":[{"x":1},2],"o":{"a":"b"}}"#);
        for (template, wanted) in [
            ("Hello, sender", "Hello, sender"),
            ("<$.attributes.SenderId>", "AIDA\"X"),
            ("Hello, <$.attributes.SenderId>", "Hello, AIDA\"X"),
            (r#"{"key1": "value1"}"#, r#"{"key1": "value1"}"#),
            (r#"{"k": <$.body.key>}"#, r#"{"k": "value"}"#),
            (r#"{"k": "<$.body.key> of <$.attributes.SenderId>"}"#, r#"{"k": "value of AIDA\"X"}"#),
            (r#"{"k": <$.body.list[0]>, "n": <$.body.n>}"#, r#"{"k": {"x":1}, "n": 1}"#),
            (r#"{"k": "<$.body.o>"}"#, r#"{"k": "{a:b}"}"#),
            (r#"{"d": <aws.pipes.event.ingestion-time>}"#, r#"{"d": "2018-12-17T22:10:50Z"}"#),
            (r#"{"none": <$.body.nothing>}"#, r#"{"none": ""}"#),
            ("<$.body.o>", "{a:b}"),
            (r#"["<aws.pipes.pipe-name>", <aws.pipes.target-arn>, "a < b"]"#, r#"["p", "arn:t", "a < b"]"#),
        ] {
            assert_eq!(filled(template, &event), wanted, "{template}");
        }
    }

    #[test]
    fn the_event_whole() {
        let event = message(r#"{"key":"value"}"#);
        let of = |template: &str| serde_json::from_str::<Value>(&filled(template, &event)).unwrap();
        assert_eq!(of(r#"{"e": <aws.pipes.event>}"#)["e"]["body"], r#"{"key":"value"}"#);
        assert_eq!(of(r#"{"e": <aws.pipes.event.json>}"#)["e"]["body"]["key"], "value");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert!(matches!(Template::compile("<$..a>"), Err(TemplateError::Path(_))));
        assert_eq!(
            Template::compile("<aws.pipes.colour>").unwrap_err(),
            TemplateError::Variable("aws.pipes.colour".into())
        );
        assert!(Template::compile("<b>bold</b> <$").is_ok(), "other brackets are text");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[{\\[]?[<>$.a\\[\\]*0\" \\\\é]{0,24}") {
            if Template::compile(&text).is_ok() {
                let _ = of(&text, Item { text: "{\"a\":[1]}".into() }, 1 << 20);
            }
        }

        #[test]
        fn strings_in_json_templates_stay_json(text in ".*") {
            let body = json!({"t": text}).to_string();
            let filled = filled(r#"{"a": <$.body.t>, "b": "x<$.body.t>"}"#, &message(&body));
            let value: Value = serde_json::from_str(&filled).unwrap();
            proptest::prop_assert_eq!(value["a"].as_str(), Some(text.as_str()));
            proptest::prop_assert_eq!(&value["b"], &Value::String(format!("x{text}")));
        }
    }
}
