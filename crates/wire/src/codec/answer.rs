//! Heads of answers and bodies of errors, per protocol.

use super::{cbor, json, query_names, xml};
use crate::{ApiError, Call, ErrorModel, Fault, Protocol, ServiceModel, Value};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// A success whose body is encoded already.
pub fn success(call: &Call, protocol: Protocol, body: Bytes) -> http::Response<Bytes> {
    let status = StatusCode::from_u16(call.operation.status).unwrap_or(StatusCode::OK);
    reply(protocol, status, &call.request_id, body)
}

fn reply(protocol: Protocol, status: StatusCode, request_id: &str, body: Bytes) -> http::Response<Bytes> {
    let content_type = match protocol {
        Protocol::AwsJson10 => "application/x-amz-json-1.0",
        Protocol::AwsJson11 => "application/x-amz-json-1.1",
        Protocol::AwsCbor => "application/x-amz-cbor-1.1",
        Protocol::RpcCbor => "application/cbor",
        Protocol::Query => "text/xml",
        Protocol::Ec2Query => "text/xml;charset=UTF-8",
        Protocol::RestJson => "application/json",
    };
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.reserve(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if protocol == Protocol::RpcCbor {
        headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

/// The answer to a call that failed.
pub fn encode_error(
    service: Option<&ServiceModel>,
    operation: Option<&str>,
    protocol: Protocol,
    request_id: &str,
    error: &ApiError,
) -> http::Response<Bytes> {
    tracing::debug!(
        service = service.map_or("", |s| s.name),
        operation = operation.unwrap_or(""),
        request_id,
        code = error.model.name,
        message = error.message,
        "a call was refused"
    );
    let body = match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson => {
            let mut out = BytesMut::with_capacity(128);
            json::write(None, &Value::Struct(members(protocol, error)), &mut out);
            out.freeze()
        }
        Protocol::AwsCbor => cbor::encode_members(&members(protocol, error), cbor::Dialect::Amazon),
        Protocol::RpcCbor => cbor::encode_members(&members(protocol, error), cbor::Dialect::Smithy),
        Protocol::Query => xml::query_error(service, request_id, error),
        Protocol::Ec2Query => xml::ec2_error(request_id, error),
    };
    let mut answer = reply(protocol, status(protocol, error.model), request_id, body);
    if service.is_some_and(|s| s.query_compatible) && !protocol.is_query() {
        let text = format!("{};{}", query_names::code(service, error.model), party(error.model.fault));
        answer.headers_mut().extend(HeaderValue::from_str(&text).ok().map(|v| (QUERY_ERROR, v)));
    }
    if protocol == Protocol::RestJson {
        answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.model.name));
    }
    answer
}

/// The members of an error in the protocols that write it as a structure.
fn members(protocol: Protocol, error: &ApiError) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut found = Vec::with_capacity(error.extra.len() + 3);
    if protocol == Protocol::RestJson {
        found.push(("Type", text(if error.model.fault == Fault::Client { "User" } else { "Server" })));
        // Some of Lambda's error shapes call it `Message`, others `message`; a client reads the one its model names.
        found.push(("Message", text(&error.message)));
    } else {
        found.push(("__type", text(error.model.name)));
    }
    found.push(("message", text(&error.message)));
    for (name, value) in &error.extra {
        found.retain(|(taken, _)| taken != name);
        found.push((*name, value.clone()));
    }
    found
}

/// `Sender` or `Receiver`, the query protocols' words for whose fault it is.
pub(super) fn party(fault: Fault) -> &'static str {
    match fault {
        Fault::Client => "Sender",
        Fault::Server => "Receiver",
    }
}

/// Errors of signing are 400 in AWS's RPC protocols, whatever they are elsewhere, and unknown paths are not found.
fn status(protocol: Protocol, model: &ErrorModel) -> StatusCode {
    use crate::common::{
        ACCESS_DENIED, EXPIRED_TOKEN, INCOMPLETE_SIGNATURE, INVALID_SIGNATURE, MISSING_TOKEN, UNKNOWN_OPERATION,
        UNRECOGNIZED_CLIENT,
    };
    let signing = [
        &MISSING_TOKEN,
        &INCOMPLETE_SIGNATURE,
        &INVALID_SIGNATURE,
        &UNRECOGNIZED_CLIENT,
        &EXPIRED_TOKEN,
        &ACCESS_DENIED,
    ];
    let rpc = !protocol.is_query() && protocol != Protocol::RestJson;
    let code = if signing.contains(&model) {
        if rpc { 400 } else { 403 }
    } else if *model == UNKNOWN_OPERATION && protocol == Protocol::RestJson {
        404
    } else {
        model.status
    };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
