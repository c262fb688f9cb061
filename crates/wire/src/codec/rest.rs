//! REST with JSON bodies: members travel in the path, the query string, headers, the status and the body.
//! Source: <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html>

use super::query::scalar;
use super::{answer, json, time};
use crate::route::Pattern;
use crate::{
    ApiError, Call, Kind, Member, OperationModel, Place, Protocol, Request, Schema, TimeFormat, Value, common,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Decodes an operation's input.
pub(super) fn decode(operation: &OperationModel, request: &Request) -> Result<Value, ApiError> {
    let schema = operation.input;
    let mut found = body(schema, &request.body)?;
    let labels = Pattern::parse(operation.uri).labels(request.head.uri.path()).unwrap_or_default();
    let query: Vec<(_, _)> = form_urlencoded::parse(request.head.uri.query().unwrap_or("").as_bytes()).collect();
    for member in schema.members() {
        let value = match member.place {
            Place::Body | Place::Status => None,
            Place::Uri => labels
                .iter()
                .find(|(name, _)| *name == member.wire)
                .map(|(_, text)| scalar(text, member.schema, member.wire))
                .transpose()?,
            Place::Query => from_query(member, &query)?,
            Place::Header => from_header(member, &request.head.headers)?,
            Place::Headers => from_headers(member, &request.head.headers),
        };
        found.extend(value.map(|value| (member.name, value)));
    }
    Ok(Value::Struct(found))
}

fn payload(schema: &Schema) -> Option<&'static Member> {
    match schema.kind {
        Kind::Structure { members, payload: Some(name) } => members.iter().find(|m| m.name == name),
        _ => None,
    }
}

fn body(schema: &'static Schema, bytes: &Bytes) -> Result<Vec<(&'static str, Value)>, ApiError> {
    let Some(member) = payload(schema) else {
        if !schema.members().iter().any(|m| m.place == Place::Body) {
            return Ok(Vec::new());
        }
        return match json::decode(schema, bytes)? {
            Value::Struct(found) => Ok(found),
            _ => Ok(Vec::new()),
        };
    };
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let value = match member.schema.kind {
        Kind::Blob => Value::Blob(bytes.clone()),
        Kind::String => {
            let text =
                std::str::from_utf8(bytes).map_err(|_| common::SERIALIZATION.because("The body is not UTF-8"))?;
            Value::Text(text.to_owned())
        }
        _ => json::decode(member.schema, bytes)?,
    };
    Ok(vec![(member.name, value)])
}

fn from_query<K: AsRef<str>, V: AsRef<str>>(member: &Member, query: &[(K, V)]) -> Result<Option<Value>, ApiError> {
    let mut values = query.iter().filter(|(name, _)| name.as_ref() == member.wire).map(|(_, v)| v.as_ref());
    if let Kind::List { member: item, .. } = member.schema.kind {
        let items: Vec<Value> = values.map(|text| scalar(text, item, member.wire)).collect::<Result<_, _>>()?;
        return Ok((!items.is_empty()).then_some(Value::List(items)));
    }
    values.next().map(|text| scalar(text, member.schema, member.wire)).transpose()
}

fn from_header(member: &Member, headers: &HeaderMap) -> Result<Option<Value>, ApiError> {
    let Some(text) = headers.get(member.wire).and_then(|v| v.to_str().ok()) else { return Ok(None) };
    if let Kind::List { member: item, .. } = member.schema.kind {
        let items = text.split(',').map(|text| scalar(text.trim(), item, member.wire)).collect::<Result<_, _>>()?;
        return Ok(Some(Value::List(items)));
    }
    scalar(text, member.schema, member.wire).map(Some)
}

fn from_headers(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let prefix = member.wire.to_ascii_lowercase();
    let entries: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix(&prefix)?;
            Some((key.to_owned(), Value::Text(value.to_str().ok()?.to_owned())))
        })
        .collect();
    (!entries.is_empty()).then_some(Value::Map(entries))
}

/// Encodes an operation's output.
pub(super) fn encode(call: &Call, output: &Value) -> Result<http::Response<Bytes>, ApiError> {
    let schema = call.operation.output;
    let body = match payload(schema) {
        Some(member) => match output.get(member.name) {
            Some(Value::Blob(bytes)) => bytes.clone(),
            Some(Value::Text(text)) => Bytes::copy_from_slice(text.as_bytes()),
            Some(value) => json::encode(member.schema, value),
            None => Bytes::new(),
        },
        None if schema.members().iter().any(|m| m.place == Place::Body) => json::encode(schema, output),
        None => Bytes::new(),
    };
    let mut answer = answer::success(call, Protocol::RestJson, body);
    for member in schema.members() {
        if let Some(value) = output.get(member.name) {
            place(member, value, &mut answer)?;
        }
    }
    if answer.body().is_empty() {
        answer.headers_mut().remove(CONTENT_TYPE);
    }
    Ok(answer)
}

fn place(member: &Member, value: &Value, answer: &mut http::Response<Bytes>) -> Result<(), ApiError> {
    match (member.place, value) {
        (Place::Status, Value::Int(code)) => {
            let code = u16::try_from(*code).map_err(ApiError::fault)?;
            *answer.status_mut() = http::StatusCode::from_u16(code).map_err(ApiError::fault)?;
        }
        (Place::Header, value) => {
            let text = HeaderValue::from_str(&header_text(member.schema, value)).map_err(ApiError::fault)?;
            let name = HeaderName::from_bytes(member.wire.as_bytes()).map_err(ApiError::fault)?;
            answer.headers_mut().insert(name, text);
        }
        (Place::Headers, Value::Map(entries)) => {
            for (key, value) in entries {
                let name = format!("{}{key}", member.wire);
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(ApiError::fault)?;
                let text = HeaderValue::from_str(&header_text(member.schema, value)).map_err(ApiError::fault)?;
                answer.headers_mut().insert(name, text);
            }
        }
        _ => {}
    }
    Ok(())
}

fn header_text(schema: &Schema, value: &Value) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => json::float_text(*f),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => base64_simd::STANDARD.encode_to_string(bytes),
        Value::Time(at) => match schema.kind {
            Kind::Timestamp(Some(format)) => time::write(*at, format),
            _ => time::write(*at, TimeFormat::Rfc822),
        },
        Value::List(items) => {
            let member = schema.list_member().unwrap_or(schema);
            items.iter().map(|item| header_text(member, item)).collect::<Vec<_>>().join(", ")
        }
        Value::Map(_) | Value::Struct(_) => String::new(),
    }
}
