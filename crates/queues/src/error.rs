//! The errors of SQS. The service model no longer carries the codes of the query protocol, on which older clients (and
//! boto3's `Error.Code`, through `x-amzn-query-error`) depend; so they stand here.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html> and each operation's page.

use crate::message::MessageError;
use crate::settings::SettingError;
use wire::{ApiError, ErrorModel, Fault};

macro_rules! errors {
    ($($id:ident $name:literal $code:literal $($status:literal)?;)*) => {
        $(pub(crate) static $id: ErrorModel =
            ErrorModel { name: $name, code: $code, status: errors!(@ $($status)?), fault: Fault::Client };)*
    };
    (@) => { 400 };
    (@ $status:literal) => { $status };
}

errors! {
    ACCESS_DENIED "AccessDeniedException" "AccessDenied" 403;
    BATCH_ENTRY_IDS_NOT_DISTINCT "BatchEntryIdsNotDistinct" "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
    BATCH_REQUEST_TOO_LONG "BatchRequestTooLong" "AWS.SimpleQueueService.BatchRequestTooLong";
    EMPTY_BATCH_REQUEST "EmptyBatchRequest" "AWS.SimpleQueueService.EmptyBatchRequest";
    INVALID_ADDRESS "InvalidAddress" "InvalidAddress";
    INVALID_ATTRIBUTE_NAME "InvalidAttributeName" "InvalidAttributeName";
    INVALID_ATTRIBUTE_VALUE "InvalidAttributeValue" "InvalidAttributeValue";
    INVALID_BATCH_ENTRY_ID "InvalidBatchEntryId" "AWS.SimpleQueueService.InvalidBatchEntryId";
    INVALID_MESSAGE_CONTENTS "InvalidMessageContents" "InvalidMessageContents";
    INVALID_PARAMETER_VALUE "InvalidParameterValueException" "InvalidParameterValue";
    MESSAGE_NOT_INFLIGHT "MessageNotInflight" "AWS.SimpleQueueService.MessageNotInflight";
    MISSING_PARAMETER "MissingRequiredParameterException" "MissingParameter";
    OVER_LIMIT "OverLimit" "OverLimit";
    PURGE_QUEUE_IN_PROGRESS "PurgeQueueInProgress" "AWS.SimpleQueueService.PurgeQueueInProgress";
    QUEUE_DELETED_RECENTLY "QueueDeletedRecently" "AWS.SimpleQueueService.QueueDeletedRecently";
    QUEUE_DOES_NOT_EXIST "QueueDoesNotExist" "AWS.SimpleQueueService.NonExistentQueue";
    QUEUE_NAME_EXISTS "QueueNameExists" "QueueAlreadyExists";
    RECEIPT_HANDLE_IS_INVALID "ReceiptHandleIsInvalid" "ReceiptHandleIsInvalid";
    REQUEST_THROTTLED "RequestThrottled" "RequestThrottled" 403;
    RESOURCE_NOT_FOUND "ResourceNotFoundException" "ResourceNotFoundException" 404;
    TOO_MANY_ENTRIES "TooManyEntriesInBatchRequest" "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
    UNSUPPORTED "UnsupportedOperation" "AWS.SimpleQueueService.UnsupportedOperation";
}

/// There is no such queue.
pub(crate) fn no_queue() -> ApiError {
    QUEUE_DOES_NOT_EXIST.because("The specified queue does not exist.")
}

/// A parameter's value is not what it may be, in SQS's usual words.
pub(crate) fn bad_value(parameter: &str, value: impl std::fmt::Display, reason: &str) -> ApiError {
    INVALID_PARAMETER_VALUE.because(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

impl From<MessageError> for ApiError {
    fn from(error: MessageError) -> ApiError {
        let model = match &error {
            MessageError::EmptyBody => &MISSING_PARAMETER,
            MessageError::Characters => &INVALID_MESSAGE_CONTENTS,
            MessageError::TooLong(_) | MessageError::TooManyAttributes(_) | MessageError::Attribute { .. } => {
                &INVALID_PARAMETER_VALUE
            }
        };
        model.because(error.to_string())
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> ApiError {
        let model = match &error {
            SettingError::Unknown(_) => &INVALID_ATTRIBUTE_NAME,
            SettingError::Value { .. } | SettingError::NotServed { .. } => &INVALID_ATTRIBUTE_VALUE,
            SettingError::Redrive { .. } => &INVALID_PARAMETER_VALUE,
        };
        model.because(error.to_string())
    }
}
