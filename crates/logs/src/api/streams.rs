//! Log streams.

use super::{limit, named};
use crate::Logs;
use crate::chunk::Seen;
use crate::error::{bad_token, invalid, no_group, no_stream};
use crate::limits::DESCRIBED;
use crate::state::{Change, Stream};
use shapes::logs::{
    CreateLogStreamRequest, DeleteLogStreamRequest, DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream,
    OrderBy,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing, page};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html>
pub(super) async fn create_log_stream(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: CreateLogStreamRequest,
) -> Result<Nothing, ApiError> {
    logs.create_stream(input.log_group_name, input.log_stream_name).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogStream.html>
pub(super) async fn delete_log_stream(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DeleteLogStreamRequest,
) -> Result<Nothing, ApiError> {
    let (group, name) = (input.log_group_name, input.log_stream_name);
    let room = logs.room(&group)?;
    let here = logs.clone();
    logs.finish("logs: stream", async move {
        let number = here.catalog.change(|state| {
            let known = state.groups.get(&group).ok_or_else(no_group)?;
            let number = known.streams.get(&name).ok_or_else(no_stream)?.number;
            Ok::<_, ApiError>((vec![Change::StreamDeleted { group: group.clone(), name: name.clone() }], number))
        });
        room.drop_stream(number.await?);
        Ok(Nothing {})
    })
    .await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html>
pub(super) async fn describe_log_streams(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, ApiError> {
    let group = named(&logs, input.log_group_name, input.log_group_identifier)?;
    let by_time = input.order_by == Some(OrderBy::LastEventTime);
    if by_time && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let (prefix, descending) = (input.log_stream_name_prefix.unwrap_or_default(), input.descending == Some(true));
    let room = logs.room(&group)?;
    // Those without events come first, as time stamps go.
    let key = |name: &str, stream: &Stream| {
        let seen = room.streams().get(&stream.number).and_then(|live| live.seen);
        (if by_time { seen.map_or(-1, |seen| seen.newest) } else { 0 }, name.to_owned())
    };
    let list = format!("streams of {group}");
    let after = input.next_token.as_deref().map(|token| place(&list, token)).transpose()?;
    let all = logs.catalog.read(|state| {
        let known = state.groups.get(&group).ok_or_else(no_group)?;
        let fitting = known.streams.iter().filter(|(name, _)| name.starts_with(&prefix));
        let rest = fitting.map(|(name, stream)| (key(name, stream), stream.clone())).filter(|(key, _)| {
            let behind = |after: &(i64, String)| if descending { key < after } else { key > after };
            after.as_ref().is_none_or(behind)
        });
        Ok::<_, ApiError>(rest.collect::<Vec<_>>())
    });
    let mut all = all?;
    all.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
    let arn = logs.arn(&group);
    let rest = all.into_iter().map(|((at, name), stream)| (format!("{at}/{name}"), (name, stream)));
    let pick = |_: &str, (name, stream): (String, Stream)| {
        let seen = room.streams().get(&stream.number).and_then(|live| live.seen);
        Some(shape(&arn.to_string(), name, &stream, seen))
    };
    let (streams, next_token) = page::cut(&list, rest, limit(input.limit, DESCRIBED), pick);
    Ok(DescribeLogStreamsResponse { log_streams: Some(streams), next_token })
}

/// What a token stands for: the last stream given.
fn place(list: &str, token: &str) -> Result<(i64, String), ApiError> {
    let last = page::after(list, token);
    let parts = last.as_deref().and_then(|last| last.split_once('/'));
    let parts = parts.and_then(|(at, name)| Some((at.parse().ok()?, name.to_owned())));
    parts.ok_or_else(bad_token)
}

fn shape(group: &str, name: String, stream: &Stream, seen: Option<Seen>) -> LogStream {
    LogStream {
        creation_time: Some(stream.created.millis()),
        first_event_timestamp: seen.map(|seen| seen.oldest),
        last_event_timestamp: seen.map(|seen| seen.newest),
        last_ingestion_time: seen.map(|seen| seen.ingested),
        // AWS gives one as soon as there are events, and ignores it.
        upload_sequence_token: seen.map(|seen| format!("{:056}", seen.ingested)),
        arn: Some(format!("{group}:log-stream:{name}")),
        stored_bytes: Some(0),
        log_stream_name: Some(name),
    }
}
