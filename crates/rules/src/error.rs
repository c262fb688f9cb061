//! What goes wrong, in AWS's words.

use shapes::events::errors;
use wire::{ApiError, common};

pub(crate) fn no_bus(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Event bus {name} does not exist."))
}

pub(crate) fn no_rule(bus: &str, rule: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Rule {rule} does not exist on EventBus {bus}."))
}

/// A rule that a service made for itself.
pub(crate) fn managed(rule: &str, by: &str) -> ApiError {
    errors::MANAGED_RULE_EXCEPTION.because(format!("Rule {rule} is managed by {by} and can only be changed by it."))
}

pub(crate) fn too_many() -> ApiError {
    errors::LIMIT_EXCEEDED_EXCEPTION.because("The requested resource exceeds the maximum number allowed.")
}

/// A token that the list did not give. AWS's own words could not be confirmed.
pub(crate) fn bad_token() -> ApiError {
    invalid("Parameter NextToken is not valid.")
}

/// A value that the model lets through and the service does not.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    common::VALIDATION.because(message)
}

pub(crate) fn not_an_arn(text: &str) -> ApiError {
    invalid(format!("Parameter {text} is not valid. Reason: Provided Arn is not in correct format."))
}

/// What AWS has and this server has not yet is refused, never ignored.
pub(crate) fn not_served(what: &str) -> ApiError {
    common::NOT_IMPLEMENTED.because(format!("Headwater does not serve {what} yet."))
}
