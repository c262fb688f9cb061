use crate::Streams;
use crate::error;
use crate::limits::RETENTION_HOURS;
use crate::state::Change;
use crate::streams::asked;
use crate::tasks;
use shapes::kinesis::{DecreaseStreamRetentionPeriodInput, IncreaseStreamRetentionPeriodInput};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html>
pub(crate) async fn increase_stream_retention_period(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: IncreaseStreamRetentionPeriodInput,
) -> Result<Nothing, ApiError> {
    let name = streams.name_of(asked!(input))?.to_owned();
    set(&streams, name, input.retention_period_hours, |now, wanted| wanted >= now, ("shorter", "Decrease")).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DecreaseStreamRetentionPeriod.html>
pub(crate) async fn decrease_stream_retention_period(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: DecreaseStreamRetentionPeriodInput,
) -> Result<Nothing, ApiError> {
    let name = streams.name_of(asked!(input))?.to_owned();
    set(&streams, name.clone(), input.retention_period_hours, |now, wanted| wanted <= now, ("longer", "Increase"))
        .await?;
    // "Any records older than the new period are no longer accessible": at once, not with the next round.
    if let Some(stream) = streams.lookup(&name) {
        tasks::trim(&streams, &stream)?;
    }
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
    let home = streams.home().clone();
    let decided = streams.change(name.clone(), move |state| {
        let stream = state.streams.get(&name).ok_or_else(|| error::no_stream(&home, &name))?;
        if !stream.is_active() {
            return Err(error::not_active(&home, &name, stream.status));
        }
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
