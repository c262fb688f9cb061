//! Invoke.

use super::not_served;
use crate::called::{Called, Found};
use crate::functions::Functions;
use crate::invocation::NotRun;
use crate::limits;
use crate::mailbox::Event;
use crate::runtime::{FunctionError, Invocation, InvokeError, Throttle};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::Claim;
use shapes::lambda::{InvocationRequest, InvocationResponse, InvocationType, LogType, errors};
use std::sync::Arc;
use wire::{ApiError, Call, ErrorModel, Fault};

/// What is asked for, checked: how, of which function and with what.
pub(super) fn check(
    functions: &Functions,
    call: &Call,
    input: InvocationRequest,
) -> Result<(InvocationType, Found, Invocation), ApiError> {
    if input.durable_execution_name.is_some() || input.tenant_id.is_some() {
        return Err(not_served("DurableExecutionName and TenantId"));
    }
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let found = functions.catalog.read(|state| called.find(state, &functions.home, &call.request_id))?;
    let payload = input.payload.filter(|p| !p.is_empty()).unwrap_or_else(|| Bytes::from_static(b"{}"));
    let kind = input.invocation_type.unwrap_or(InvocationType::RequestResponse);
    let limit = if kind == InvocationType::Event { limits::ASYNC_PAYLOAD } else { limits::SYNC_PAYLOAD };
    if payload.len() > limit {
        return Err(errors::REQUEST_TOO_LARGE_EXCEPTION.because(format!(
            "{} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
            payload.len()
        )));
    }
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        return Err(errors::INVALID_REQUEST_CONTENT_EXCEPTION
            .because(format!("Could not parse request body into json: {error}")));
    }
    let client_context = client_context(input.client_context)?;
    let tail = input.log_type == Some(LogType::Tail);
    let (request_id, trace) = (call.request_id.clone(), call.trace.clone());
    Ok((kind, found, Invocation { payload, request_id, trace, client_context, tail }))
}

pub(crate) async fn invoke(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: InvocationRequest,
) -> Result<InvocationResponse, ApiError> {
    let (kind, found, invocation) = check(&functions, &call, input)?;
    match kind {
        InvocationType::DryRun => Ok(InvocationResponse { status_code: Some(204), ..Default::default() }),
        InvocationType::Event => {
            let Invocation { payload, request_id, trace, .. } = invocation;
            let envelope = functions.event(&found, Event { body: payload, request_id, from: None, trace });
            functions.delivery.admit(Claim::Request)?;
            functions.delivery.send(vec![envelope]).await?;
            Ok(InvocationResponse { status_code: Some(202), payload: Some(Bytes::new()), ..Default::default() })
        }
        InvocationType::RequestResponse => {
            let executed_version = Some(found.function.version.clone());
            let tail = invocation.tail;
            let outcome = functions.run(&found, invocation).await.map_err(refused)?;
            Ok(InvocationResponse {
                status_code: Some(200),
                function_error: outcome.error.map(|_| FunctionError::HEADER.to_owned()),
                log_result: tail.then(|| STANDARD.encode(&outcome.log_tail)),
                payload: Some(outcome.payload),
                executed_version,
                ..Default::default()
            })
        }
    }
}

/// The client context travels as base64 of JSON and reaches the runtime as JSON.
fn client_context(given: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let json = STANDARD.decode(&given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let refuse = || {
        errors::INVALID_REQUEST_CONTENT_EXCEPTION.because("Client context must be a valid Base64-encoded JSON object.")
    };
    let json = json.ok_or_else(refuse)?;
    serde_json::from_str::<serde_json::Value>(&json).map_err(|_| refuse())?;
    Ok(Some(json))
}

/// Not in the model: one of the errors common to all services.
/// <https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html>
static ACCESS_DENIED: ErrorModel =
    ErrorModel { name: "AccessDeniedException", code: "AccessDeniedException", status: 403, fault: Fault::Client };

/// What Lambda says of a role that is not there or does not trust it.
pub(crate) const CANNOT_ASSUME: &str = "The role defined for the function cannot be assumed by Lambda.";

/// Who sends Lambda's own envelopes and takes on functions' roles.
pub(crate) const PRINCIPAL: &str = "lambda.amazonaws.com";

pub(super) fn refused(error: NotRun) -> ApiError {
    match error {
        NotRun::Loop => errors::RECURSIVE_INVOCATION_EXCEPTION.because(error.to_string()),
        NotRun::Invoke(InvokeError::TooManyRequests(throttle)) => errors::TOO_MANY_REQUESTS_EXCEPTION
            .because(message(throttle))
            .with("Reason", wire::Value::Text(reason(throttle).to_owned())),
        // The role was there when the function was made; what became of it is in the log.
        NotRun::Invoke(InvokeError::Credentials(why)) => {
            tracing::warn!(%why, "a function was not invoked");
            ACCESS_DENIED.because(CANNOT_ASSUME)
        }
        NotRun::Runtime(_) | NotRun::Invoke(InvokeError::Runtime(_)) => {
            errors::INVALID_RUNTIME_EXCEPTION.because(error.to_string())
        }
        NotRun::Invoke(other) => ApiError::fault(other),
    }
}

/// AWS has memory without end, so that Lambda has no word for a lack of it.
fn message(throttle: Throttle) -> &'static str {
    match throttle {
        Throttle::Function | Throttle::Total => "Rate Exceeded.",
        Throttle::Memory => {
            "Rate Exceeded. Functions at work hold the memory that all may have, three quarters of the \
             machine's: a smaller MemorySize lets more of them run, and so does a machine with more."
        }
    }
}

fn reason(throttle: Throttle) -> &'static str {
    match throttle {
        Throttle::Function => "ReservedFunctionConcurrentInvocationLimitExceeded",
        Throttle::Total | Throttle::Memory => "ConcurrentInvocationLimitExceeded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_memory_is_told_from_other_limits() {
        for (throttle, speaks, reason) in [
            (Throttle::Memory, true, "ConcurrentInvocationLimitExceeded"),
            (Throttle::Total, false, "ConcurrentInvocationLimitExceeded"),
            (Throttle::Function, false, "ReservedFunctionConcurrentInvocationLimitExceeded"),
        ] {
            let error = refused(NotRun::Invoke(InvokeError::TooManyRequests(throttle)));
            assert_eq!(error.model.name, "TooManyRequestsException");
            assert!(error.message.starts_with("Rate Exceeded."), "{}", error.message);
            assert_eq!(error.message.contains("MemorySize"), speaks, "{throttle:?}: {}", error.message);
            assert_eq!(error.extra, [("Reason", wire::Value::Text(reason.into()))]);
        }
    }
}
