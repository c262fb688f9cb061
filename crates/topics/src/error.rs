//! SNS's errors in SNS's words.

use crate::attribute::AttributeError;
use crate::endpoint::EndpointError;
use crate::post::PostError;
use crate::settings::SettingError;
use shapes::sns::errors::{INVALID_PARAMETER_EXCEPTION, INVALID_PARAMETER_VALUE_EXCEPTION, NOT_FOUND_EXCEPTION};
use wire::ApiError;

/// `Invalid parameter: WHAT`.
pub(crate) fn invalid(what: impl std::fmt::Display) -> ApiError {
    INVALID_PARAMETER_EXCEPTION.because(format!("Invalid parameter: {what}"))
}

/// `Invalid parameter: WHAT Reason: WHY`.
pub(crate) fn invalid_because(what: &str, why: impl std::fmt::Display) -> ApiError {
    invalid(format!("{what} Reason: {why}"))
}

/// What AWS has and Headwater does not serve yet is refused by name.
pub(crate) fn not_served(what: &str, feature: &str) -> ApiError {
    invalid_because(what, format!("Headwater does not serve {feature} yet"))
}

/// There is no such topic.
pub(crate) fn no_topic() -> ApiError {
    NOT_FOUND_EXCEPTION.because("Topic does not exist")
}

/// There is no such subscription.
pub(crate) fn no_subscription() -> ApiError {
    NOT_FOUND_EXCEPTION.because("Subscription does not exist")
}

impl From<PostError> for ApiError {
    fn from(error: PostError) -> ApiError {
        invalid(error)
    }
}

impl From<EndpointError> for ApiError {
    fn from(error: EndpointError) -> ApiError {
        invalid(error)
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> ApiError {
        invalid(error)
    }
}

impl From<AttributeError> for ApiError {
    fn from(error: AttributeError) -> ApiError {
        INVALID_PARAMETER_VALUE_EXCEPTION.because(error.to_string())
    }
}
