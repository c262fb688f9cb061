//! An event as patterns see it, built once per event.

use crate::json::{Fault, Reader, Token};
use crate::value::{Number, Scalar};
use std::collections::BTreeMap;

/// Why a text is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or nested too deeply.
    #[error("event is not valid JSON: {0}")]
    Json(String),
    /// JSON, but not an object.
    #[error("event must be a JSON object")]
    NotObject,
}

/// An event, parsed for matching.
///
/// AWS joins the names on the way to a value with dots before it compares them, so `{"a.b": 1}` and `{"a": {"b": 1}}`
/// are the same event: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) root: Node,
}

/// All that an event holds at one path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Scalars found here, those standing directly in an array included.
    pub(crate) scalars: Vec<Scalar>,
    /// What lies below, by name.
    pub(crate) fields: BTreeMap<Box<str>, Node>,
    /// Objects and arrays that are elements of an array found here: fields matched below must come from one of them.
    pub(crate) elements: Vec<Node>,
}

impl Event {
    /// Parses an event; of a repeated name the last value counts.
    pub fn parse(text: &str) -> Result<Event, EventError> {
        let fault = |fault: Fault| EventError::Json(fault.reason);
        let mut reader = Reader::new(text);
        let mut root = Node::default();
        if reader.next().map_err(fault)? != Token::ObjectStart {
            return Err(EventError::NotObject);
        }
        read_object(&mut reader, &mut root).map_err(fault)?;
        match reader.next().map_err(fault)? {
            Token::End => Ok(Event { root }),
            _ => Err(EventError::Json("text after the object".into())),
        }
    }
}

impl Event {
    /// The event that a JSON value is.
    pub fn of(value: &serde_json::Value) -> Result<Event, EventError> {
        let serde_json::Value::Object(fields) = value else { return Err(EventError::NotObject) };
        let mut root = Node::default();
        root.add_fields(fields);
        Ok(Event { root })
    }
}

impl Node {
    fn add_fields(&mut self, fields: &serde_json::Map<String, serde_json::Value>) {
        for (name, value) in fields {
            let mut node = Node::default();
            node.add(value);
            merge(self.at_path(name), node);
        }
    }

    fn add(&mut self, value: &serde_json::Value) {
        use serde_json::Value;
        self.scalars.push(match value {
            Value::String(text) => Scalar::String(text.as_str().into()),
            Value::Number(number) => Scalar::Number(Number::new(&number.to_string())),
            Value::Bool(true) => Scalar::True,
            Value::Bool(false) => Scalar::False,
            Value::Null => Scalar::Null,
            Value::Object(fields) => return self.add_fields(fields),
            Value::Array(elements) => {
                for element in elements {
                    match element {
                        Value::Object(_) | Value::Array(_) => {
                            let mut node = Node::default();
                            node.add(element);
                            self.elements.push(node);
                        }
                        scalar => self.add(scalar),
                    }
                }
                return;
            }
        });
    }

    fn at_path(&mut self, name: &str) -> &mut Node {
        name.split('.').fold(self, |node, step| node.fields.entry(step.into()).or_default())
    }
}

fn read_object(reader: &mut Reader<'_>, into: &mut Node) -> Result<(), Fault> {
    let mut seen = BTreeMap::<Box<str>, Node>::new();
    while reader.next()? == Token::Field {
        let name: Box<str> = reader.name().into();
        let mut node = Node::default();
        let first = reader.next()?;
        read_value(reader, first, &mut node)?;
        seen.insert(name, node);
    }
    for (name, node) in seen {
        merge(into.at_path(&name), node);
    }
    Ok(())
}

fn read_value(reader: &mut Reader<'_>, first: Token, into: &mut Node) -> Result<(), Fault> {
    match first {
        Token::ObjectStart => read_object(reader, into)?,
        Token::ArrayStart => read_array(reader, into)?,
        Token::String => into.scalars.push(Scalar::String(reader.text()?.into())),
        Token::Number => into.scalars.push(Scalar::Number(Number::new(reader.text()?))),
        Token::True => into.scalars.push(Scalar::True),
        Token::False => into.scalars.push(Scalar::False),
        Token::Null => into.scalars.push(Scalar::Null),
        Token::ObjectEnd | Token::ArrayEnd | Token::Field | Token::End => {
            return Err(reader.fault("expected a value"));
        }
    }
    Ok(())
}

fn read_array(reader: &mut Reader<'_>, into: &mut Node) -> Result<(), Fault> {
    loop {
        match reader.next()? {
            Token::ArrayEnd => return Ok(()),
            nested @ (Token::ObjectStart | Token::ArrayStart) => {
                let mut element = Node::default();
                read_value(reader, nested, &mut element)?;
                into.elements.push(element);
            }
            scalar => read_value(reader, scalar, into)?,
        }
    }
}

/// Adds what was found under one spelling of a path to what was found under another.
fn merge(into: &mut Node, from: Node) {
    into.scalars.extend(from.scalars);
    into.elements.extend(from.elements);
    for (name, node) in from.fields {
        merge(into.fields.entry(name).or_default(), node);
    }
}
