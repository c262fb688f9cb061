//! Modelled constraints, with AWS's own messages.

mod pattern;

use crate::codec::{ec2_parameter, lower_first};
use crate::{ApiError, Kind, Member, Schema, ServiceModel, Value, common};
use std::fmt::Write;

/// More violations than this are not listed: the answer's size is bounded.
const MAX_LISTED: usize = 50;
/// A value is shown up to this length.
const MAX_SHOWN: usize = 1024;

/// Checks a decoded input against its model.
pub fn validate(service: &ServiceModel, schema: &Schema, value: &Value) -> Result<(), ApiError> {
    let mut check = Check { found: Vec::new(), path: Vec::new() };
    match service {
        ServiceModel { protocol: "ec2", .. } => return ec2(schema, value),
        ServiceModel { query_compatible: true, .. } => {
            if let Some(member) = missing(schema, value) {
                let text = format!("The request must contain the parameter {}.", member.name);
                return Err(common::MISSING_REQUIRED_PARAMETER.because(text));
            }
        }
        _ => {}
    }
    check.structure(schema, value);
    if check.found.is_empty() {
        return Ok(());
    }
    let count = check.found.len();
    let errors = if count == 1 { "error" } else { "errors" };
    // CloudWatch Logs tells the same under another name:
    // <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
    let model = if service.name == "logs" { &common::INVALID_PARAMETER } else { &common::VALIDATION };
    Err(model.because(format!("{count} validation {errors} detected: {}", check.found.join("; "))))
}

/// Whether a model's pattern can be enforced. One that cannot constrains nothing, and a test lists those.
#[doc(hidden)]
pub fn compiles(pattern: &str) -> bool {
    pattern::compile(pattern).is_some()
}

/// A required member of the structure itself that is not there.
fn missing(schema: &Schema, value: &Value) -> Option<&'static Member> {
    schema.members().iter().find(|m| m.required && value.get(m.name).is_none())
}

/// EC2 has words of its own.
/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
fn ec2(schema: &Schema, value: &Value) -> Result<(), ApiError> {
    for member in schema.members() {
        let called = &ec2_parameter(member);
        match value.get(member.name) {
            None if member.required => {
                let text = format!("The request must contain the parameter {called}");
                return Err(common::MISSING_PARAMETER.because(text));
            }
            None => {}
            Some(inner @ Value::Struct(_)) => ec2(member.schema, inner)?,
            Some(Value::List(items)) => {
                for item in items {
                    let schema = member.schema.list_member().unwrap_or(member.schema);
                    ec2_scalar(called, schema, item)?;
                    ec2(schema, item)?;
                }
            }
            Some(value) => ec2_scalar(called, member.schema, value)?,
        }
    }
    Ok(())
}

fn ec2_scalar(called: &str, schema: &Schema, value: &Value) -> Result<(), ApiError> {
    if violations(schema, value).is_empty() {
        return Ok(());
    }
    let value = if schema.sensitive { String::new() } else { shown(schema, value) };
    let text = format!("Value ({value}) for parameter {called} is invalid.");
    Err(common::INVALID_PARAMETER_VALUE.because(text))
}

/// A step on the way to a value. The way is only written down when something is wrong at its end.
enum Step<'a> {
    Member(&'static str),
    Item(usize),
    Entry(&'a str),
}

struct Check<'a> {
    found: Vec<String>,
    path: Vec<Step<'a>>,
}

impl<'a> Check<'a> {
    /// `records.1.member.data`
    fn path(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Member(name) => lower_first(name),
            Step::Item(index) => format!("{}.member", index + 1),
            Step::Entry(key) => format!("{key}.member"),
        });
        steps.collect::<Vec<_>>().join(".")
    }

    fn report(&mut self, value: Option<(&Schema, &Value)>, constraint: &str) {
        if self.found.len() >= MAX_LISTED {
            return;
        }
        let shown = match value {
            None => "null ".to_owned(),
            Some((schema, _)) if sensitive(schema) => String::new(),
            Some((schema, value)) => format!("'{}' ", shown(schema, value)),
        };
        self.found.push(format!("Value {shown}at '{}' failed to satisfy constraint: {constraint}", self.path()));
    }

    fn below(&mut self, step: Step<'a>, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn structure(&mut self, schema: &Schema, value: &'a Value) {
        for member in schema.members() {
            match value.get(member.name) {
                None if member.required => {
                    self.below(Step::Member(member.name), |check| check.report(None, "Member must not be null"));
                }
                None => {}
                Some(_) if unconstrained(member.schema) => {}
                Some(value) => self.below(Step::Member(member.name), |check| check.value(member.schema, value)),
            }
        }
    }

    fn value(&mut self, schema: &Schema, value: &'a Value) {
        for constraint in violations(schema, value) {
            self.report(Some((schema, value)), &constraint);
        }
        match (&schema.kind, value) {
            (Kind::Structure { .. }, _) => self.structure(schema, value),
            (Kind::List { member, .. }, Value::List(items)) => self.list(schema, member, value, items),
            (Kind::Map { key, value: inner, .. }, Value::Map(entries)) => self.map(schema, key, inner, value, entries),
            _ => {}
        }
    }

    /// Items that are no structures are judged together, with all their constraints named.
    fn list(&mut self, schema: &Schema, member: &Schema, value: &Value, items: &'a [Value]) {
        if is_scalar(member) {
            if items.iter().any(|item| !violations(member, item).is_empty()) {
                let constraint = format!("Member must satisfy constraint: [{}]", constraints(member).join(", "));
                self.report(Some((schema, value)), &constraint);
            }
            return;
        }
        for (i, item) in items.iter().enumerate() {
            self.below(Step::Item(i), |check| check.value(member, item));
        }
    }

    fn map(&mut self, schema: &Schema, key: &Schema, inner: &Schema, value: &Value, entries: &'a [(String, Value)]) {
        if !unconstrained(key) && entries.iter().any(|(text, _)| !text_violations(key, text).is_empty()) {
            let constraint = format!("Map keys must satisfy constraint: [{}]", constraints(key).join(", "));
            self.report(Some((schema, value)), &constraint);
        }
        if is_scalar(inner) {
            if entries.iter().any(|(_, item)| !violations(inner, item).is_empty()) {
                let constraint = format!("Map value must satisfy constraint: [{}]", constraints(inner).join(", "));
                self.report(Some((schema, value)), &constraint);
            }
            return;
        }
        for (name, item) in entries {
            self.below(Step::Entry(name), |check| check.value(inner, item));
        }
    }
}

fn is_scalar(schema: &Schema) -> bool {
    !matches!(schema.kind, Kind::List { .. } | Kind::Map { .. } | Kind::Structure { .. })
}

/// Whether nothing of this shape can be wrong: the common case, decided without looking at the value.
fn unconstrained(schema: &Schema) -> bool {
    let limits = &schema.limits;
    is_scalar(schema)
        && limits.min.is_none()
        && limits.max.is_none()
        && limits.pattern.is_none()
        && limits.values.is_empty()
}

/// Whether a value of this shape must not be shown.
fn sensitive(schema: &Schema) -> bool {
    schema.sensitive
        || match schema.kind {
            Kind::List { member, .. } => member.sensitive,
            Kind::Map { key, value, .. } => key.sensitive || value.sensitive,
            _ => false,
        }
}

/// The constraints that a value breaks, as AWS words them.
fn violations(schema: &Schema, value: &Value) -> Vec<String> {
    match value {
        Value::Text(text) => text_violations(schema, text),
        Value::Blob(bytes) => measured(schema, bytes.len() as i64),
        Value::List(items) => measured(schema, items.len() as i64),
        Value::Map(entries) => measured(schema, entries.len() as i64),
        Value::Int(number) => measured(schema, *number),
        Value::Float(number) => {
            let fits = schema.limits.max.is_none_or(|max| *number <= max as f64)
                && schema.limits.min.is_none_or(|min| *number >= min as f64);
            if fits { Vec::new() } else { constraints(schema) }
        }
        Value::Bool(_) | Value::Time(_) | Value::Struct(_) => Vec::new(),
    }
}

fn measured(schema: &Schema, measure: i64) -> Vec<String> {
    let limits = &schema.limits;
    let mut found = Vec::new();
    found.extend(limits.max.filter(|max| measure > *max).map(|max| at_most(schema, max)));
    found.extend(limits.min.filter(|min| measure < *min).map(|min| at_least(schema, min)));
    found
}

fn text_violations(schema: &Schema, text: &str) -> Vec<String> {
    let limits = &schema.limits;
    let mut found = Vec::new();
    if limits.max.is_some() || limits.min.is_some() {
        found = measured(schema, text.chars().count() as i64);
    }
    if let Some(pattern) = limits.pattern
        && !pattern::matches(pattern, text)
    {
        found.push(satisfy_pattern(pattern));
    }
    if !limits.values.is_empty() && !limits.values.contains(&text) {
        found.push(enum_set(limits.values));
    }
    found
}

/// All constraints of a shape, broken or not.
fn constraints(schema: &Schema) -> Vec<String> {
    let limits = &schema.limits;
    let mut all = Vec::new();
    all.extend(limits.max.map(|max| at_most(schema, max)));
    all.extend(limits.min.map(|min| at_least(schema, min)));
    all.extend(limits.pattern.map(satisfy_pattern));
    all.extend((!limits.values.is_empty()).then(|| enum_set(limits.values)));
    all
}

fn measure_word(schema: &Schema) -> &'static str {
    match schema.kind {
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double => "value",
        _ => "length",
    }
}

fn at_most(schema: &Schema, max: i64) -> String {
    format!("Member must have {} less than or equal to {max}", measure_word(schema))
}

fn at_least(schema: &Schema, min: i64) -> String {
    format!("Member must have {} greater than or equal to {min}", measure_word(schema))
}

fn satisfy_pattern(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn enum_set(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

/// A value as Java's `toString` would show it, which is what AWS's messages carry.
fn shown(schema: &Schema, value: &Value) -> String {
    let mut out = String::new();
    show(schema, value, &mut out);
    if let Some((end, _)) = out.char_indices().nth(MAX_SHOWN) {
        out.truncate(end);
        out.push_str("...");
    }
    out
}

fn show(schema: &Schema, value: &Value, out: &mut String) {
    // Writing into a String cannot fail.
    let _ = match value {
        Value::Bool(b) => write!(out, "{b}"),
        Value::Int(i) => write!(out, "{i}"),
        Value::Float(f) => write!(out, "{f:?}"),
        Value::Text(text) => out.write_str(text),
        Value::Blob(bytes) => write!(out, "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
        Value::Time(at) => out.write_str(&at.iso_secs()),
        Value::Struct(_) => out.write_str(schema.name),
        Value::List(items) => {
            let member = schema.list_member().unwrap_or(schema);
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if out.len() > MAX_SHOWN * 4 {
                    break;
                }
                out.push_str(if i > 0 { ", " } else { "" });
                show(member, item, out);
            }
            out.write_str("]")
        }
        Value::Map(entries) => {
            let member = schema.map_value().unwrap_or(schema);
            out.push('{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if out.len() > MAX_SHOWN * 4 {
                    break;
                }
                out.extend([if i > 0 { ", " } else { "" }, key, "="]);
                show(member, item, out);
            }
            out.write_str("}")
        }
    };
}
