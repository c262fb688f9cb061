//! Messages of `application/vnd.amazon.eventstream`: headers and a payload between two checksums.
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use super::{cbor, json};
use crate::{ApiError, Kind, Protocol, Schema, Value};
use bytes::{BufMut, Bytes, BytesMut};

/// What an answer that is a stream of events calls itself.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Both lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;
/// The type of a header's value that is a text; the specification's others are not needed.
const TEXT: u8 = 7;

/// An event: which, and what is in it.
pub(crate) fn event(protocol: Protocol, name: &str, schema: &Schema, value: &Value) -> Bytes {
    let (content_type, payload) = payload(protocol, schema, value);
    message(&[(":message-type", "event"), (":event-type", name), (":content-type", content_type)], &payload)
}

/// What the protocols without members in headers send first: the members of the output beside the stream.
pub(crate) fn initial_response(protocol: Protocol, schema: &Schema, value: &Value) -> Bytes {
    event(protocol, "initial-response", schema, value)
}

/// The error that ends a stream: one that the stream's model has, or any other.
pub(crate) fn exception(protocol: Protocol, modelled: bool, error: &ApiError) -> Bytes {
    if !modelled {
        let headers =
            [(":message-type", "error"), (":error-code", error.model.name), (":error-message", &error.message)];
        return message(&headers, &[]);
    }
    let mut members = vec![("message", Value::Text(error.message.clone()))];
    members.extend(error.extra.iter().cloned());
    let (content_type, payload) = payload(protocol, &crate::NOTHING, &Value::Struct(members));
    let name = error.model.name;
    message(&[(":message-type", "exception"), (":exception-type", name), (":content-type", content_type)], &payload)
}

fn payload(protocol: Protocol, schema: &Schema, value: &Value) -> (&'static str, Bytes) {
    if let Kind::Structure { payload: Some(name), .. } = schema.kind {
        return match value.get(name) {
            Some(Value::Blob(bytes)) => ("application/octet-stream", bytes.clone()),
            Some(Value::Text(text)) => ("text/plain", Bytes::copy_from_slice(text.as_bytes())),
            _ => ("application/octet-stream", Bytes::new()),
        };
    }
    match protocol {
        Protocol::AwsJson10 => ("application/x-amz-json-1.0", json::encode(schema, value)),
        Protocol::AwsJson11 => ("application/x-amz-json-1.1", json::encode(schema, value)),
        Protocol::AwsCbor => ("application/x-amz-cbor-1.1", cbor::encode(schema, value, cbor::Dialect::Amazon)),
        Protocol::RpcCbor => ("application/cbor", cbor::encode(schema, value, cbor::Dialect::Smithy)),
        // The query protocols know no streams.
        Protocol::RestJson | Protocol::Query | Protocol::Ec2Query => ("application/json", json::encode(schema, value)),
    }
}

/// A message of text headers and a payload.
fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let headers_len: usize = headers.iter().map(|(name, value)| 4 + cut(name).len() + cut(value).len()).sum();
    let total = PRELUDE + headers_len + payload.len() + TRAILER;
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(u32::try_from(total).expect("an event is bounded far below 4 GiB"));
    out.put_u32(headers_len as u32);
    out.put_u32(crc32fast::hash(&out));
    for (name, value) in headers {
        let (name, value) = (cut(name), cut(value));
        out.put_u8(name.len() as u8);
        out.put_slice(name.as_bytes());
        out.put_u8(TEXT);
        out.put_u16(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

/// As much of a header as is surely taken; only the message of an error is ever longer.
fn cut(text: &str) -> &str {
    const MOST: usize = 4096;
    &text[..text.floor_char_boundary(MOST)]
}
