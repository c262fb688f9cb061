//! JSON 1.0 and 1.1, and the bodies of REST-JSON.
//! Source: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>; the texts of errors are AWS's own.

use super::fast::{self, Next, Scanner};
use super::time;
use crate::{ApiError, Kind, Member, Place, Schema, TimeFormat, Value, common};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::HashSet;

/// Decodes a structure. No body at all counts as an empty one.
pub(super) fn decode(schema: &'static Schema, body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Struct(Vec::new()));
    }
    let mut scanner = Scanner::new(body);
    let value = read(&mut scanner, schema)?;
    scanner.end()?;
    Ok(value.unwrap_or_else(|| Value::Struct(Vec::new())))
}

impl From<fast::Broken> for ApiError {
    fn from(broken: fast::Broken) -> ApiError {
        refuse(broken.to_string())
    }
}

fn refuse(why: impl Into<String>) -> ApiError {
    common::SERIALIZATION.because(why)
}

/// Reads the next value; `None` for null, which is the same as absent.
fn read(scanner: &mut Scanner<'_>, schema: &'static Schema) -> Result<Option<Value>, ApiError> {
    let next = scanner.peek()?;
    if next == Next::Null {
        scanner.null()?;
        return Ok(None);
    }
    let value = match (&schema.kind, next) {
        (Kind::Structure { members, .. }, Next::Object) => structure(scanner, members)?,
        (Kind::Map { value, .. }, Next::Object) => map(scanner, value)?,
        (Kind::List { member, .. }, Next::Array) => list(scanner, member)?,
        (Kind::String, Next::Text) => Value::Text(scanner.string()?.into_owned()),
        (Kind::Blob, Next::Text) => blob(&scanner.string()?)?,
        (Kind::Boolean, Next::True | Next::False) => Value::Bool(scanner.boolean()?),
        (Kind::Integer | Kind::Long, Next::Number) => integer(scanner.number()?, schema)?,
        (Kind::Float | Kind::Double, Next::Number) => {
            Value::Float(scanner.number()?.parse().map_err(|_| mismatch(schema, "NUMBER_VALUE"))?)
        }
        (Kind::Float | Kind::Double, Next::Text) => special_float(&scanner.string()?, schema)?,
        (Kind::Timestamp(_), Next::Number) => {
            let seconds: Option<f64> = scanner.number()?.parse().ok();
            Value::Time(seconds.and_then(time::from_secs).ok_or_else(|| mismatch(schema, "NUMBER_VALUE"))?)
        }
        (Kind::Timestamp(Some(TimeFormat::Iso8601 | TimeFormat::Rfc822)), Next::Text) => {
            Value::Time(time::read(&scanner.string()?).ok_or_else(|| mismatch(schema, "STRING_VALUE"))?)
        }
        (_, Next::Array) => return Err(refuse("Start of list found where not expected")),
        (_, Next::Object) => return Err(refuse("Start of structure or map found where not expected.")),
        (Kind::List { .. }, _) => return Err(refuse("Expected list or null")),
        (Kind::Map { .. }, _) => return Err(refuse("Expected map or null")),
        (Kind::Structure { .. }, _) => return Err(refuse("Expected null")),
        (_, Next::Text) => return Err(mismatch(schema, "STRING_VALUE")),
        (_, Next::True) => return Err(mismatch(schema, "TRUE_VALUE")),
        (_, Next::False) => return Err(mismatch(schema, "FALSE_VALUE")),
        (_, Next::Number | Next::Null) => return Err(mismatch(schema, "NUMBER_VALUE")),
    };
    Ok(Some(value))
}

fn mismatch(schema: &Schema, got: &str) -> ApiError {
    let wanted = match schema.kind {
        Kind::Boolean => "a Boolean",
        Kind::Integer => "an Integer",
        Kind::Long => "a Long",
        Kind::Float => "a Float",
        Kind::Double => "a Double",
        Kind::Blob => "a Blob",
        Kind::Timestamp(_) => "milliseconds since epoch",
        Kind::String | Kind::List { .. } | Kind::Map { .. } | Kind::Structure { .. } => "a String",
    };
    refuse(format!("{got} can not be converted to {wanted}"))
}

fn structure(scanner: &mut Scanner<'_>, members: &'static [Member]) -> Result<Value, ApiError> {
    let mut found: Vec<(&'static str, Value)> = Vec::with_capacity(members.len().min(8));
    let mut first = true;
    scanner.object()?;
    while let Some(key) = scanner.next_key(&mut first)? {
        let Some(member) = members.iter().find(|m| m.wire == key && m.place == Place::Body) else {
            scanner.skip()?;
            continue;
        };
        let value = read(scanner, member.schema)?;
        // The last of several equal keys wins, as with AWS's own parser.
        found.retain(|(name, _)| *name != member.name);
        found.extend(value.map(|value| (member.name, value)));
    }
    Ok(Value::Struct(found))
}

fn map(scanner: &mut Scanner<'_>, schema: &'static Schema) -> Result<Value, ApiError> {
    let mut found = Vec::new();
    let mut first = true;
    scanner.object()?;
    while let Some(key) = scanner.next_key(&mut first)? {
        if let Some(value) = read(scanner, schema)? {
            found.push((key.into_owned(), value));
        }
    }
    Ok(Value::Map(last_wins(found)))
}

/// Drops all but the last of entries with equal keys.
pub(super) fn last_wins(mut entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut seen = HashSet::with_capacity(entries.len());
    entries.reverse();
    entries.retain(|(key, _)| seen.insert(key.clone()));
    entries.reverse();
    entries
}

fn list(scanner: &mut Scanner<'_>, schema: &'static Schema) -> Result<Value, ApiError> {
    let mut found = Vec::new();
    let mut first = true;
    scanner.array()?;
    while scanner.next_item(&mut first)? {
        // None of the lists we serve is sparse.
        found.push(read(scanner, schema)?.ok_or_else(|| refuse("Unexpected null in a list"))?);
    }
    Ok(Value::List(found))
}

fn integer(text: &str, schema: &Schema) -> Result<Value, ApiError> {
    let kind = if text.contains(['.', 'e', 'E']) { "DECIMAL_VALUE" } else { "NUMBER_VALUE" };
    let value: i64 = text.parse().map_err(|_| mismatch(schema, kind))?;
    if matches!(schema.kind, Kind::Integer) && i32::try_from(value).is_err() {
        return Err(mismatch(schema, kind));
    }
    Ok(Value::Int(value))
}

fn special_float(text: &str, schema: &Schema) -> Result<Value, ApiError> {
    match text {
        "NaN" => Ok(Value::Float(f64::NAN)),
        "Infinity" => Ok(Value::Float(f64::INFINITY)),
        "-Infinity" => Ok(Value::Float(f64::NEG_INFINITY)),
        _ => Err(mismatch(schema, "STRING_VALUE")),
    }
}

/// Base64 as AWS takes it.
pub(super) fn blob(text: &str) -> Result<Value, ApiError> {
    fast::base64_decode(text.as_bytes()).map(Value::Blob).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        refuse(format!("'{shown}' can not be converted to a Blob: invalid Base64"))
    })
}

/// Encodes a structure; members that travel elsewhere (REST) are left out.
pub(super) fn encode(schema: &Schema, value: &Value) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write(Some(schema), value, &mut out);
    out.freeze()
}

/// Writes a value. Without a schema (members of errors) names and times are written the default way.
pub(super) fn write(schema: Option<&Schema>, value: &Value, out: &mut BytesMut) {
    match value {
        Value::Bool(true) => out.put_slice(b"true"),
        Value::Bool(false) => out.put_slice(b"false"),
        Value::Int(i) => fast::integer_into(*i, out),
        Value::Float(f) => write_float(*f, out),
        Value::Text(text) => fast::string_into(text, out),
        Value::Blob(bytes) => {
            out.put_u8(b'"');
            fast::base64_encode_into(bytes, out);
            out.put_u8(b'"');
        }
        Value::Time(at) => match schema.map(|s| &s.kind) {
            Some(Kind::Timestamp(Some(format @ (TimeFormat::Iso8601 | TimeFormat::Rfc822)))) => {
                fast::string_into(&time::write(*at, *format), out);
            }
            _ => fast::epoch_into(*at, out),
        },
        Value::List(items) => {
            let member = schema.and_then(Schema::list_member);
            out.put_u8(b'[');
            separated(items, out, |item, out| write(member, item, out));
            out.put_u8(b']');
        }
        Value::Map(entries) => {
            let member = schema.and_then(Schema::map_value);
            out.put_u8(b'{');
            separated(entries, out, |(key, item), out| {
                fast::string_into(key, out);
                out.put_u8(b':');
                write(member, item, out);
            });
            out.put_u8(b'}');
        }
        Value::Struct(found) => write_structure(schema, found, out),
    }
}

fn write_structure(schema: Option<&Schema>, found: &[(&'static str, Value)], out: &mut BytesMut) {
    let members = schema.map_or(&[][..], Schema::members);
    let mut comma = false;
    out.put_u8(b'{');
    for (name, value) in found {
        let member = members.iter().find(|m| m.name == *name);
        if member.is_some_and(|m| m.place != Place::Body) {
            continue;
        }
        if std::mem::replace(&mut comma, true) {
            out.put_u8(b',');
        }
        fast::string_into(member.map_or(name, |m| m.wire), out);
        out.put_u8(b':');
        write(member.map(|m| m.schema), value, out);
    }
    out.put_u8(b'}');
}

fn separated<T>(items: &[T], out: &mut BytesMut, mut write: impl FnMut(&T, &mut BytesMut)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        write(item, out);
    }
}

fn write_float(value: f64, out: &mut BytesMut) {
    let text = float_text(value);
    if value.is_finite() { out.put_slice(text.as_bytes()) } else { fast::string_into(&text, out) }
}

/// A floating-point number as text, the special ones by their Java names.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:?}")
    }
}
