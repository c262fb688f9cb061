//! What goes wrong. AWS documents the errors' names; their texts could not be confirmed.

use shapes::pipes::errors;
use wire::{ApiError, Value, common};

pub(crate) fn no_pipe(name: &str) -> ApiError {
    errors::NOT_FOUND_EXCEPTION.because(format!("Pipe {name} does not exist."))
}

pub(crate) fn exists(name: &str) -> ApiError {
    conflict(name, format!("Pipe {name} already exists."))
}

pub(crate) fn conflict(name: &str, why: String) -> ApiError {
    let error = errors::CONFLICT_EXCEPTION.because(why);
    error.with("resourceId", text(name)).with("resourceType", text("pipe"))
}

pub(crate) fn too_many(name: &str, what: &str) -> ApiError {
    let error = errors::SERVICE_QUOTA_EXCEEDED_EXCEPTION
        .because(format!("The requested resource exceeds the maximum number of {what} allowed."));
    let error = error.with("resourceId", text(name)).with("resourceType", text("pipe"));
    error.with("serviceCode", text("pipes")).with("quotaCode", text(""))
}

/// A value that the model lets through and the service does not.
pub(crate) fn invalid(why: impl Into<String>) -> ApiError {
    errors::VALIDATION_EXCEPTION.because(why)
}

/// What AWS has and this server has not yet is refused, never ignored.
pub(crate) fn not_served(what: &str) -> ApiError {
    common::NOT_IMPLEMENTED.because(format!("Headwater does not serve {what} yet."))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
