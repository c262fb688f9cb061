//! EC2's model lists no errors; its documentation does.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use wire::{ApiError, ErrorModel, Fault};

macro_rules! errors {
    ($($id:ident $code:literal $status:literal;)*) => {
        $(pub(crate) static $id: ErrorModel =
            ErrorModel { name: $code, code: $code, status: $status, fault: Fault::Client };)*
    };
}

errors! {
    DRY_RUN "DryRunOperation" 412;
    FILTER_LIMIT "FilterLimitExceeded" 400;
    GROUP_NOT_FOUND "InvalidGroup.NotFound" 400;
    IDEMPOTENT_MISMATCH "IdempotentParameterMismatch" 400;
    IMAGE_MALFORMED "InvalidAMIID.Malformed" 400;
    INCORRECT_STATE "IncorrectInstanceState" 400;
    INSTANCE_LIMIT "InstanceLimitExceeded" 400;
    INSTANCE_MALFORMED "InvalidInstanceID.Malformed" 400;
    INSTANCE_NOT_FOUND "InvalidInstanceID.NotFound" 400;
    INVALID_COMBINATION "InvalidParameterCombination" 400;
    INVALID_ID "InvalidID" 400;
    INVALID_NEXT_TOKEN "InvalidNextToken" 400;
    INVALID_VALUE "InvalidParameterValue" 400;
    IP_IN_USE "InvalidIPAddress.InUse" 400;
    MISSING_PARAMETER "MissingParameter" 400;
    TAG_LIMIT "TagLimitExceeded" 400;
    UNSUPPORTED "UnsupportedOperation" 400;
    ZONE_INVALID "InvalidZone.NotFound" 400;
}

/// The refusal of what the registry would neither do nor show again.
pub(crate) fn unsupported(parameter: &str) -> ApiError {
    UNSUPPORTED
        .because(format!("Headwater registers instances and runs none: it does not support the parameter {parameter}."))
}

/// The answer to a dry run that would have succeeded.
pub(crate) fn dry_run(asked: Option<bool>) -> Result<(), ApiError> {
    if asked == Some(true) {
        return Err(DRY_RUN.because("Request would have succeeded, but DryRun flag is set."));
    }
    Ok(())
}
