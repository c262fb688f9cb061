//! Requests of the query protocols: `Action=Publish&MessageAttributes.entry.1.Name=a&...`, in a form or a query string.
//! Source: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use super::query_names::{Dialect, flattened_map};
use super::{json, time};
use crate::{ApiError, Call, Kind, Request, Schema, Value, common};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Names with more parts than this are refused: each part is a level of recursion.
const MAX_PARTS: usize = 32;
/// More parameters than this are refused: a body of nothing but ampersands would take many times its size in memory.
const MAX_PARAMETERS: usize = 50_000;

/// The parameters as a tree: `A.1.B=x` is `x` below `B` below `1` below `A`.
#[derive(Default)]
struct Node<'p> {
    text: Option<&'p str>,
    below: BTreeMap<&'p str, Node<'p>>,
}

/// Decodes an operation's input.
pub(super) fn decode(call: &Call, request: &Request) -> Result<Value, ApiError> {
    let dialect = Dialect::of(call.service, request.protocol);
    let query = request.head.uri.query().unwrap_or("");
    let all = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(&request.body));
    let parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = all.take(MAX_PARAMETERS + 1).collect();
    if parameters.len() > MAX_PARAMETERS {
        return Err(common::SERIALIZATION.because(format!("The request has over {MAX_PARAMETERS} parameters")));
    }
    let mut root = Node::default();
    for (name, value) in &parameters {
        let mut node = &mut root;
        for (depth, part) in name.split('.').enumerate() {
            if depth == MAX_PARTS {
                return Err(common::SERIALIZATION.because(format!("The parameter name has over {MAX_PARTS} parts")));
            }
            node = node.below.entry(part).or_default();
        }
        node.text = Some(value);
    }
    let mut value = structure(&root, call.operation.input, dialect)?;
    if dialect == Dialect::Compatible {
        queue_url_from_path(&mut value, call, request);
    }
    Ok(value)
}

/// Services that moved to JSON took requests at the URL of the resource itself: `POST /123456789012/queue`.
/// The path then stands for the member that names the resource by its URL.
fn queue_url_from_path(value: &mut Value, call: &Call, request: &Request) {
    let path = request.head.uri.path();
    let named = path.trim_matches('/').split('/').count() >= 2;
    let Some(member) = call.operation.input.members().iter().find(|m| m.name == "QueueUrl") else { return };
    if let Value::Struct(found) = value
        && named
        && !found.iter().any(|(name, _)| *name == member.name)
    {
        let scheme = if call.tls { "https" } else { "http" };
        found.push((member.name, Value::Text(format!("{scheme}://{}{path}", call.host))));
    }
}

fn structure(node: &Node<'_>, schema: &'static Schema, dialect: Dialect) -> Result<Value, ApiError> {
    let mut found = Vec::new();
    for member in schema.members() {
        let called = dialect.parameter(member);
        if let Some(below) = node.below.get(&*called)
            && let Some(value) = read(below, member.schema, &called, dialect)?
        {
            found.push((member.name, value));
        }
    }
    Ok(Value::Struct(found))
}

fn read(node: &Node<'_>, schema: &'static Schema, called: &str, dialect: Dialect) -> Result<Option<Value>, ApiError> {
    match &schema.kind {
        Kind::Structure { .. } => structure(node, schema, dialect).map(Some),
        Kind::List { member, .. } => {
            // EC2 flattens all lists in requests, whatever the model says.
            let level = if dialect == Dialect::Ec2 { None } else { dialect.item(schema) };
            let items = level.map_or(Some(node), |level| node.below.get(level));
            let mut found = Vec::new();
            for item in numbered(items) {
                found.extend(read(item, member, called, dialect)?);
            }
            // A parameter without a value (`Tags=`) is an empty list.
            Ok((!found.is_empty() || node.text == Some("")).then_some(Value::List(found)))
        }
        Kind::Map { value, .. } => {
            let entries = if flattened_map(schema) { Some(node) } else { node.below.get("entry") };
            let (key_name, value_name) = dialect.key_and_value(schema, called);
            let mut found = Vec::new();
            for entry in numbered(entries) {
                let key = entry.below.get(key_name).and_then(|n| n.text);
                let item = entry.below.get(value_name).map(|n| read(n, value, value_name, dialect)).transpose()?;
                if let (Some(key), Some(Some(item))) = (key, item) {
                    found.push((key.to_owned(), item));
                }
            }
            Ok((!found.is_empty() || node.text == Some("")).then(|| Value::Map(json::last_wins(found))))
        }
        _ => node.text.map(|text| scalar(text, schema, called)).transpose(),
    }
}

/// The items below a node in the order of their numbers, gaps closed, as AWS does.
fn numbered<'n, 'p>(node: Option<&'n Node<'p>>) -> impl Iterator<Item = &'n Node<'p>> {
    let mut items: Vec<(u32, &Node<'_>)> = node
        .into_iter()
        .flat_map(|node| node.below.iter())
        .filter_map(|(name, item)| Some((name.parse().ok()?, item)))
        .collect();
    items.sort_by_key(|(number, _)| *number);
    items.into_iter().map(|(_, item)| item)
}

/// A single value out of text: also how headers, labels and query strings of REST carry values.
pub(super) fn scalar(text: &str, schema: &Schema, called: &str) -> Result<Value, ApiError> {
    let value = match schema.kind {
        Kind::String => Some(Value::Text(text.to_owned())),
        Kind::Blob => return json::blob(text),
        Kind::Boolean => match text {
            "true" | "True" | "TRUE" | "1" => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Integer => text.trim().parse::<i32>().ok().map(|i| Value::Int(i.into())),
        Kind::Long => text.trim().parse().ok().map(Value::Int),
        Kind::Float | Kind::Double => text.trim().parse().ok().map(Value::Float),
        Kind::Timestamp(_) => time::read(text).map(Value::Time),
        Kind::List { .. } | Kind::Map { .. } | Kind::Structure { .. } => None,
    };
    value.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        common::SERIALIZATION.because(format!("Invalid value '{shown}' for {called}"))
    })
}
