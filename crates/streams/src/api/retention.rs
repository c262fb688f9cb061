use crate::Streams;
use crate::error;
use crate::limits::RETENTION_HOURS;
use crate::state::Change;
use crate::streams::{Asked, asked};
use crate::tasks;
use shapes::kinesis::{
    DecreaseStreamRetentionPeriodInput, IncreaseStreamRetentionPeriodInput, UpdateMaxRecordSizeInput,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html>
pub(crate) async fn increase_stream_retention_period(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: IncreaseStreamRetentionPeriodInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    set(&streams, name, input.retention_period_hours, |now, wanted| wanted >= now, ("shorter", "Decrease")).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DecreaseStreamRetentionPeriod.html>
pub(crate) async fn decrease_stream_retention_period(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DecreaseStreamRetentionPeriodInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    set(&streams, name.clone(), input.retention_period_hours, |now, wanted| wanted <= now, ("longer", "Increase"))
        .await?;
    // "Any records older than the new period are no longer accessible": at once, not with the next round.
    if let Some(stream) = streams.lookup(&name) {
        tasks::trim(&streams, &stream)?;
    }
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateMaxRecordSize.html>
pub(crate) async fn update_max_record_size(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UpdateMaxRecordSizeInput,
) -> Result<Nothing, ApiError> {
    let asked = Asked { name: None, arn: input.stream_arn.as_deref(), id: input.stream_id.as_deref() };
    let name = streams.name_of(asked)?.to_owned();
    streams.admit(&call, Some(&name))?;
    // The model keeps it between 1024 and 10240.
    let kib = input.max_record_size_in_ki_b.max(0) as u32;
    let change = Change::RecordSize { name: name.clone(), kib };
    streams.update(name, |_, _| Ok(vec![change])).await?;
    Ok(Nothing {})
}

async fn set(
    streams: &Arc<Streams>,
    name: String,
    hours: i32,
    allowed: fn(u32, u32) -> bool,
    (word, other): (&'static str, &'static str),
) -> Result<Nothing, ApiError> {
    let (least, greatest) = (*RETENTION_HOURS.start(), *RETENTION_HOURS.end());
    let wanted = u32::try_from(hours).unwrap_or(0);
    if wanted < least {
        return Err(error::argument(format!(
            "Minimum allowed retention period is {least} hours. Requested retention period ({hours} hours) is too short."
        )));
    }
    if wanted > greatest {
        return Err(error::argument(format!(
            "Maximum allowed retention period is {greatest} hours. Requested retention period ({hours} hours) is too long."
        )));
    }
    let decided = streams.update(name.clone(), move |_, stream| {
        if !allowed(stream.retention_hours, wanted) {
            return Err(error::argument(format!(
                "Requested retention period ({hours} hours) for stream {name} can not be {word} than existing retention \
                 period ({} hours). Use {other}RetentionPeriod API.",
                stream.retention_hours
            )));
        }
        Ok(vec![Change::Retention { name, hours: wanted }])
    });
    decided.await?;
    Ok(Nothing {})
}
