//! One codec per protocol, all driven by the schemas of the model and all working on [`Value`].

mod answer;
mod cbor;
pub(crate) mod eventstream;
pub mod fast;
mod json;
mod plain;
mod query;
mod query_names;
mod rest;
mod time;
mod xml;

pub use answer::{encode_error, success};
pub(crate) use plain::lower_first;
pub use plain::{Style, to_json};
pub(crate) use query_names::ec2_parameter;
pub(crate) use time::read as read_time;

use crate::{ApiError, Call, Protocol, Request, Value};
use bytes::Bytes;

/// Decodes an operation's input.
pub fn decode(call: &Call, request: &Request) -> Result<Value, ApiError> {
    let schema = call.operation.input;
    match request.protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 => json::decode(schema, &request.body),
        Protocol::AwsCbor => cbor::decode(schema, &request.body, cbor::Dialect::Amazon),
        Protocol::RpcCbor => cbor::decode(schema, &request.body, cbor::Dialect::Smithy),
        Protocol::Query | Protocol::Ec2Query => query::decode(call, request),
        Protocol::RestJson => rest::decode(call.operation, request),
    }
}

/// Encodes an operation's output: status from the model, headers, request id, body.
pub fn encode(call: &Call, protocol: Protocol, output: &Value) -> Result<http::Response<Bytes>, ApiError> {
    let schema = call.operation.output;
    let body = match protocol {
        // Operations without an output answer with nothing at all, as Kinesis' CreateStream does.
        Protocol::AwsJson10 | Protocol::AwsJson11 if std::ptr::eq(schema, &crate::NOTHING) => Bytes::new(),
        Protocol::AwsJson10 | Protocol::AwsJson11 => json::encode(schema, output),
        Protocol::AwsCbor => cbor::encode(schema, output, cbor::Dialect::Amazon),
        Protocol::RpcCbor => cbor::encode(schema, output, cbor::Dialect::Smithy),
        Protocol::Query => xml::query_answer(call, output),
        Protocol::Ec2Query => xml::ec2_answer(call, output),
        Protocol::RestJson => return rest::encode(call, output),
    };
    Ok(success(call, protocol, body))
}
