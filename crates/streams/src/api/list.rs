use super::describe::{mode_shape, shard_shape, shards_kept, status_shape};
use crate::Streams;
use crate::error;
use crate::limits::{LIST_SHARDS, LIST_STREAMS, TOKEN_LIFE};
use crate::live::LiveStream;
use crate::state::{self, shard_number};
use crate::streams::asked;
use crate::token::{Page, ShardFilter};
use names::Timestamp;
use shapes::kinesis::{
    self, ListShardsInput, ListShardsOutput, ListStreamsInput, ListStreamsOutput, ShardFilterType, StreamSummary,
    errors,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreams.html>
pub(crate) async fn list_streams(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: ListStreamsInput,
) -> Result<ListStreamsOutput, ApiError> {
    streams.admit(&call, None)?;
    let after = match input.next_token.as_deref() {
        None => input.exclusive_start_stream_name,
        Some(token) => match streams.tokens().open_page(token) {
            Some(Page::Streams { after }) => Some(after),
            _ => return Err(invalid_token()),
        },
    };
    let limit = input.limit.map_or(LIST_STREAMS, |limit| limit.max(1) as usize);
    let all = streams.all();
    let mut rest = all.iter().filter(|stream| after.as_ref().is_none_or(|after| stream.def.name > *after));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    Ok(ListStreamsOutput {
        stream_names: page.iter().map(|stream| stream.def.name.clone()).collect(),
        has_more_streams: last.is_some(),
        next_token: last.map(|last| streams.tokens().seal_page(&Page::Streams { after: last.def.name.clone() })),
        stream_summaries: Some(page.iter().map(|stream| summary(stream)).collect()),
    })
}

fn summary(stream: &LiveStream) -> StreamSummary {
    StreamSummary {
        stream_name: stream.def.name.clone(),
        stream_arn: stream.arn.to_string(),
        stream_status: status_shape(stream.def.status),
        stream_mode_details: Some(mode_shape(stream.def.mode)),
        stream_creation_timestamp: Some(stream.def.created),
    }
}

/// What a `ListShards` call goes through.
struct Listing {
    stream: Arc<LiveStream>,
    after: Option<u32>,
    filter: ShardFilter,
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>
pub(crate) async fn list_shards(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: ListShardsInput,
) -> Result<ListShardsOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let now = streams.world().now();
    let Listing { stream, after, filter } = match &input.next_token {
        Some(token) => {
            let page = next_page(&streams, &input, token, now)?;
            streams.admit_to(&call, &page.stream)?;
            page
        }
        None => first_page(&streams, &input, now)?,
    };
    let limit = input.max_results.map_or(LIST_SHARDS, |limit| (limit.max(1) as usize).min(LIST_SHARDS));
    let mut rest = shards_kept(&stream, now)
        .filter(|shard| after.is_none_or(|after| shard.number > after))
        .filter(|shard| filter.shows(shard));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let next_token = last.map(|last| {
        streams.tokens().seal_page(&Page::Shards {
            issued: now,
            stream: stream.def.name.clone(),
            created: stream.def.created,
            after: last.number,
            filter,
        })
    });
    Ok(ListShardsOutput { shards: Some(page.into_iter().map(shard_shape).collect()), next_token })
}

fn first_page(streams: &Streams, input: &ListShardsInput, now: Timestamp) -> Result<Listing, ApiError> {
    if input.stream_name.is_none() && input.stream_arn.is_none() {
        return Err(error::argument("Either NextToken or StreamName should be provided."));
    }
    let stream = streams.find(asked!(input))?;
    if input.stream_creation_timestamp.is_some_and(|at| at.millis() != stream.def.created.millis()) {
        return Err(error::no_stream(streams.home(), &stream.def.name));
    }
    filtered(streams, stream, input.exclusive_start_shard_id.as_deref(), input.shard_filter.as_ref(), now)
}

fn next_page(streams: &Streams, input: &ListShardsInput, token: &str, now: Timestamp) -> Result<Listing, ApiError> {
    let also = [
        (input.stream_name.is_some(), "StreamName"),
        (input.stream_arn.is_some(), "StreamARN"),
        (input.stream_creation_timestamp.is_some(), "StreamCreationTimestamp"),
        (input.exclusive_start_shard_id.is_some(), "ExclusiveStartShardId"),
        (input.shard_filter.is_some(), "ShardFilter"),
    ];
    if let Some((_, member)) = also.iter().find(|(given, _)| *given) {
        return Err(error::argument(format!("NextToken and {member} cannot be provided together.")));
    }
    let Some(Page::Shards { issued, stream: name, created, after, filter }) = streams.tokens().open_page(token) else {
        return Err(invalid_token());
    };
    if now.since(issued) > TOKEN_LIFE {
        return Err(errors::EXPIRED_NEXT_TOKEN_EXCEPTION.because("The provided NextToken has expired."));
    }
    let stream = streams.lookup(&name).filter(|stream| stream.def.created == created);
    let stream = stream.ok_or_else(|| error::no_stream(streams.home(), &name))?;
    Ok(Listing { stream, after: Some(after), filter })
}

fn filtered(
    streams: &Streams,
    stream: Arc<LiveStream>,
    start: Option<&str>,
    asked: Option<&kinesis::ShardFilter>,
    now: Timestamp,
) -> Result<Listing, ApiError> {
    let number = |id: &str| shard_number(id).ok_or_else(|| error::no_shard(streams.home(), &stream.def.name, id));
    let mut after = start.map(number).transpose()?;
    let horizon = stream.def.horizon(now).max(stream.def.created);
    let mut filter = ShardFilter::All;
    if let Some(asked) = asked {
        let needs =
            |member: &str| error::argument(format!("{member} must be provided for ShardFilter {}.", asked.r#type));
        let at = || asked.timestamp.ok_or_else(|| needs("Timestamp"));
        filter = match asked.r#type {
            ShardFilterType::AfterShardId => {
                let id = asked.shard_id.as_deref().ok_or_else(|| needs("ShardId"))?;
                after = after.max(Some(number(id)?));
                ShardFilter::All
            }
            ShardFilterType::FromTrimHorizon => ShardFilter::All,
            ShardFilterType::AtTrimHorizon => ShardFilter::OpenAt(horizon),
            ShardFilterType::AtLatest => ShardFilter::OpenNow,
            ShardFilterType::AtTimestamp => ShardFilter::OpenAt(at()?),
            ShardFilterType::FromTimestamp => ShardFilter::OpenFrom(at()?.max(horizon)),
        };
    }
    Ok(Listing { stream, after, filter })
}

impl ShardFilter {
    /// A shard ends at the moment its children begin, and is no longer open then: at any moment the open ones cover the
    /// hash keys once.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ShardFilter.html>
    fn shows(self, shard: &state::Shard) -> bool {
        match self {
            ShardFilter::All => true,
            ShardFilter::OpenAt(at) => shard.opened <= at && shard.closed.is_none_or(|closed| closed.at > at),
            ShardFilter::OpenFrom(at) => shard.closed.is_none_or(|closed| closed.at >= at),
            ShardFilter::OpenNow => shard.closed.is_none(),
        }
    }
}

fn invalid_token() -> ApiError {
    error::argument("Invalid NextToken.")
}
