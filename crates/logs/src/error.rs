//! What goes wrong, in AWS's words where they are known.

use shapes::logs::errors::{
    INVALID_PARAMETER_EXCEPTION, LIMIT_EXCEEDED_EXCEPTION, RESOURCE_ALREADY_EXISTS_EXCEPTION,
    RESOURCE_NOT_FOUND_EXCEPTION,
};
use wire::ApiError;

pub(crate) fn no_group() -> ApiError {
    RESOURCE_NOT_FOUND_EXCEPTION.because("The specified log group does not exist.")
}

pub(crate) fn no_stream() -> ApiError {
    RESOURCE_NOT_FOUND_EXCEPTION.because("The specified log stream does not exist.")
}

pub(crate) fn group_exists() -> ApiError {
    RESOURCE_ALREADY_EXISTS_EXCEPTION.because("The specified log group already exists")
}

pub(crate) fn stream_exists() -> ApiError {
    RESOURCE_ALREADY_EXISTS_EXCEPTION.because("The specified log stream already exists")
}

pub(crate) fn invalid(why: impl Into<String>) -> ApiError {
    INVALID_PARAMETER_EXCEPTION.because(why)
}

pub(crate) fn too_many(what: &str) -> ApiError {
    LIMIT_EXCEEDED_EXCEPTION.because(format!("Resource limit exceeded: {what}."))
}

pub(crate) fn bad_token() -> ApiError {
    invalid("The specified nextToken is invalid.")
}

/// The refusal of a setting that would not act.
pub(crate) fn unserved(what: &str) -> ApiError {
    invalid(format!("Headwater does not serve {what}."))
}

/// Refuses the settings that are given and would not act.
pub(crate) fn refuse(settings: &[(&str, bool)]) -> Result<(), ApiError> {
    settings.iter().find(|(_, given)| *given).map_or(Ok(()), |(name, _)| Err(unserved(name)))
}
