use crate::Value;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: 4xx.
    Client,
    /// Ours: 5xx.
    Server,
}

/// An error as a service's model describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorModel {
    /// The shape's name, which is the code in JSON and CBOR, such as `ResourceNotFoundException`.
    pub name: &'static str,
    /// The code in query protocols (and `x-amzn-query-error`); the same where the model gives no other.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Whose fault it is.
    pub fault: Fault,
}

/// What a handler answers when it does not succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// Which error.
    pub model: &'static ErrorModel,
    /// The message for the caller.
    pub message: String,
    /// Further members of the error's shape.
    pub extra: Vec<(&'static str, Value)>,
}

impl ErrorModel {
    /// This error with a message.
    pub fn because(&'static self, message: impl Into<String>) -> ApiError {
        ApiError { model: self, message: message.into(), extra: Vec::new() }
    }
}

impl ApiError {
    /// Adds a member of the error's shape.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> ApiError {
        self.extra.push((name, value));
        self
    }
    /// A fault of ours. The cause is logged whole and not shown: it is of no use to the caller and may hold secrets.
    pub fn fault(cause: impl std::fmt::Display) -> ApiError {
        tracing::error!(%cause, "a call failed inside the house");
        common::INTERNAL_FAILURE
            .because("The request processing has failed because of an unknown error, exception or failure.")
    }
}

/// So that handlers can use `?` on any fault of the house (`store::StoreError` and its like).
impl<F: world::Fault> From<F> for ApiError {
    fn from(fault: F) -> ApiError {
        if fault.passes() {
            tracing::warn!(cause = %fault, "a call could not be served now");
            return common::SERVICE_UNAVAILABLE
                .because(format!("The service cannot take this now: {fault}. Try again later."));
        }
        ApiError::fault(fault)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.model.name, self.message)
    }
}

impl std::error::Error for ApiError {}

/// Errors that every AWS service shares.
/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html> and each service's "Common Errors" page.
pub mod common {
    use super::{ErrorModel, Fault};

    macro_rules! errors {
        ($($(#[$doc:meta])* $id:ident $name:literal $code:literal $status:literal $fault:ident;)*) => {
            $($(#[$doc])* pub static $id: ErrorModel =
                ErrorModel { name: $name, code: $code, status: $status, fault: Fault::$fault };)*
        };
    }

    /// What services call it when somebody asks too much or too often, by the codes that SDKs try again on.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
    const THROTTLES: [&str; 9] = [
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ];

    /// Whether an error's code says that the same may succeed later.
    pub fn is_throttle(code: &str) -> bool {
        THROTTLES.contains(&code)
    }

    errors! {
        /// Something failed on our side.
        INTERNAL_FAILURE "InternalFailure" "InternalFailure" 500 Server;
        /// The house is shutting down or its disk is full.
        SERVICE_UNAVAILABLE "ServiceUnavailable" "ServiceUnavailable" 503 Server;
        /// The input breaks a constraint of its model.
        VALIDATION "ValidationException" "ValidationError" 400 Client;
        /// The same, where a service calls it so (CloudWatch Logs).
        INVALID_PARAMETER "InvalidParameterException" "InvalidParameter" 400 Client;
        /// The body is not what the protocol says it is.
        SERIALIZATION "SerializationException" "MalformedInput" 400 Client;
        /// No such operation.
        UNKNOWN_OPERATION "UnknownOperationException" "InvalidAction" 400 Client;
        /// A query request without an action.
        MISSING_ACTION "MissingAction" "MissingAction" 400 Client;
        /// A parameter that the model requires is missing (EC2).
        MISSING_PARAMETER "MissingParameter" "MissingParameter" 400 Client;
        /// The same, in services that moved from the query protocol to JSON.
        MISSING_REQUIRED_PARAMETER "MissingRequiredParameterException" "MissingParameter" 400 Client;
        /// A parameter breaks a constraint of its model (EC2).
        INVALID_PARAMETER_VALUE "InvalidParameterValue" "InvalidParameterValue" 400 Client;
        /// The operation exists at AWS and is not served here yet. SDKs repeat 500, 502, 503 and 504, but not 501: they
        /// fail fast.
        NOT_IMPLEMENTED "NotImplementedException" "NotImplemented" 501 Server;
        /// The caller may not do this.
        ACCESS_DENIED "AccessDeniedException" "AccessDenied" 400 Client;
        /// The request carries no signature.
        MISSING_TOKEN "MissingAuthenticationTokenException" "MissingAuthenticationToken" 403 Client;
        /// The request's signature is incomplete or malformed.
        INCOMPLETE_SIGNATURE "IncompleteSignatureException" "IncompleteSignature" 403 Client;
        /// The signature is wrong, or the request too old.
        INVALID_SIGNATURE "InvalidSignatureException" "SignatureDoesNotMatch" 403 Client;
        /// No such access key, or its session token is wrong.
        UNRECOGNIZED_CLIENT "UnrecognizedClientException" "InvalidClientTokenId" 403 Client;
        /// The session token has expired.
        EXPIRED_TOKEN "ExpiredTokenException" "ExpiredToken" 403 Client;
        /// The body is over the limit.
        TOO_LARGE "RequestEntityTooLargeException" "RequestEntityTooLarge" 413 Client;
        /// Too many calls.
        THROTTLING "ThrottlingException" "Throttling" 400 Client;
    }
}
