//! Consumers with a throughput of their own: registered, described, listed, deregistered.

use super::tags;
use crate::Streams;
use crate::consumer::{Consumer, ConsumerChange, ConsumerId, ConsumerStatus};
use crate::error;
use crate::limits::{CONSUMERS, CONSUMERS_CREATING, CONSUMERS_ON_DEMAND, LIST_CONSUMERS, TOKEN_LIFE};
use crate::live::LiveStream;
use crate::state::{Change, Mode, State, Stream};
use crate::streams::Asked;
use crate::token::Page;
use names::{Arn, Timestamp};
use shapes::kinesis::{
    self as k, ConsumerDescription, DeregisterStreamConsumerInput, DescribeStreamConsumerInput,
    DescribeStreamConsumerOutput, ListStreamConsumersInput, ListStreamConsumersOutput, RegisterStreamConsumerInput,
    RegisterStreamConsumerOutput, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>
pub(crate) async fn register_stream_consumer(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: RegisterStreamConsumerInput,
) -> Result<RegisterStreamConsumerOutput, ApiError> {
    let asked = Asked { name: None, arn: Some(&input.stream_arn), id: input.stream_id.as_deref() };
    streams.admit(&call, asked.text())?;
    let stream = streams.name_of(asked)?.to_owned();
    let tags = input.tags.unwrap_or_default();
    tags::check_new(&streams, &stream, &tags)?;
    tags::check_count(&streams, &stream, tags.len())?;
    let consumer = Consumer {
        name: input.consumer_name,
        created: Timestamp::from_millis(streams.world().now().millis()),
        status: ConsumerStatus::Creating,
        tags,
    };
    let (registered, changed, home) = (consumer.clone(), stream.clone(), streams.home().clone());
    let now = streams.world().now();
    let decided = streams.update(stream.clone(), move |state, stream| {
        if stream.consumers.contains_key(&registered.name) {
            return Err(error::consumer_exists(&home, &changed, &registered.name));
        }
        check_room(&home, state, stream, now)?;
        let consumer = registered.name.clone();
        let change = ConsumerChange::Registered(registered);
        Ok(vec![Change::Consumer { name: changed, consumer, change }])
    });
    decided.await?;
    Ok(RegisterStreamConsumerOutput { consumer: shape(&consumer, &streams.arn(&stream)) })
}

/// Refuses more consumers than a stream may have, or than may be made at a time.
fn check_room(home: &names::Home, state: &State, stream: &Stream, now: Timestamp) -> Result<(), ApiError> {
    let advantage = stream.mode == Mode::OnDemand && state.is_committed(now);
    let limit = if advantage { CONSUMERS_ON_DEMAND } else { CONSUMERS };
    if stream.consumers.len() >= limit {
        return Err(error::too_many_consumers(home, &stream.name, limit));
    }
    let all = state.streams.values().flat_map(|stream| stream.consumers.values());
    if all.filter(|consumer| consumer.status == ConsumerStatus::Creating).count() >= CONSUMERS_CREATING {
        return Err(error::too_many_creating(home, CONSUMERS_CREATING, "consumers"));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeregisterStreamConsumer.html>
pub(crate) async fn deregister_stream_consumer(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DeregisterStreamConsumerInput,
) -> Result<Nothing, ApiError> {
    let named = Named {
        stream: input.stream_arn.as_deref(),
        name: input.consumer_name.as_deref(),
        arn: input.consumer_arn.as_deref(),
        id: input.stream_id.as_deref(),
    };
    let (stream, consumer) = named.find(&streams)?;
    streams.admit_to_consumer(&call, &stream, &consumer)?;
    change(&streams, &stream, consumer, ConsumerChange::Deregistered).await
}

/// Changes a consumer that is still what it was when it was found.
pub(super) async fn change(
    streams: &Arc<Streams>,
    stream: &LiveStream,
    consumer: Consumer,
    change: ConsumerChange,
) -> Result<Nothing, ApiError> {
    let (name, arn, home) = (stream.def.name.clone(), consumer.arn(&stream.arn), streams.home().clone());
    let decide = move |state: &State| {
        let known = state.streams.get(&name).and_then(|stream| stream.consumers.get(&consumer.name));
        if known.is_none_or(|known| known.created != consumer.created) {
            return Err(error::no_consumer(&arn, home.account.as_str()));
        }
        Ok(vec![Change::Consumer { name, consumer: consumer.name, change }])
    };
    streams.change(stream.def.name.clone(), decide).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamConsumer.html>
pub(crate) async fn describe_stream_consumer(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DescribeStreamConsumerInput,
) -> Result<DescribeStreamConsumerOutput, ApiError> {
    let named = Named {
        stream: input.stream_arn.as_deref(),
        name: input.consumer_name.as_deref(),
        arn: input.consumer_arn.as_deref(),
        id: input.stream_id.as_deref(),
    };
    let (stream, consumer) = named.find(&streams)?;
    streams.admit_to_consumer(&call, &stream, &consumer)?;
    let consumer_description = ConsumerDescription {
        consumer_arn: consumer.arn(&stream.arn),
        consumer_name: consumer.name,
        consumer_status: status_shape(consumer.status),
        consumer_creation_timestamp: consumer.created,
        stream_arn: stream.arn.to_string(),
    };
    Ok(DescribeStreamConsumerOutput { consumer_description })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreamConsumers.html>
pub(crate) async fn list_stream_consumers(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: ListStreamConsumersInput,
) -> Result<ListStreamConsumersOutput, ApiError> {
    let now = streams.world().now();
    let asked = Asked { name: None, arn: Some(&input.stream_arn), id: input.stream_id.as_deref() };
    let stream = streams.find(asked)?;
    streams.admit(&call, Some(&stream.def.name))?;
    if input.stream_creation_timestamp.is_some_and(|at| at.millis() != stream.def.created.millis()) {
        return Err(error::no_stream(streams.home(), &stream.def.name));
    }
    let after = match &input.next_token {
        None => None,
        Some(_) if input.stream_creation_timestamp.is_some() => {
            return Err(error::argument("NextToken and StreamCreationTimestamp cannot be provided together."));
        }
        Some(token) => match streams.tokens().open_page(token) {
            Some(Page::Consumers { issued, .. }) if now.since(issued) > TOKEN_LIFE => {
                return Err(errors::EXPIRED_NEXT_TOKEN_EXCEPTION.because("The provided NextToken has expired."));
            }
            Some(Page::Consumers { created, after, .. }) if created == stream.def.created => Some(after),
            _ => return Err(error::argument("Invalid NextToken.")),
        },
    };
    let limit = input.max_results.map_or(LIST_CONSUMERS, |limit| (limit.max(1) as usize).min(LIST_CONSUMERS));
    let mut rest = stream.def.consumers.values().filter(|c| after.as_ref().is_none_or(|after| c.name > *after));
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let next_token = last.map(|last| {
        let page = Page::Consumers { issued: now, created: stream.def.created, after: last.name.clone() };
        streams.tokens().seal_page(&page)
    });
    let consumers = page.into_iter().map(|consumer| shape(consumer, &stream.arn)).collect();
    Ok(ListStreamConsumersOutput { consumers: Some(consumers), next_token })
}

/// How a call names a consumer: by its ARN, by its stream and its name, or by all where they agree.
struct Named<'a> {
    stream: Option<&'a str>,
    name: Option<&'a str>,
    arn: Option<&'a str>,
    id: Option<&'a str>,
}

impl Named<'_> {
    fn find(&self, streams: &Streams) -> Result<(Arc<LiveStream>, Consumer), ApiError> {
        let by_arn = self.arn.map(|arn| streams.consumer(arn, self.id)).transpose()?;
        let by_name = match (self.stream, self.name) {
            (Some(stream), Some(name)) => Some(streams.consumer_of(stream, name, self.id)?),
            (None, None) if by_arn.is_some() => None,
            _ => {
                return Err(error::argument(
                    "Either ConsumerARN, or both StreamARN and ConsumerName should be provided.",
                ));
            }
        };
        match (by_arn, by_name) {
            (Some(one), Some(other)) if one.1 != other.1 || one.0.def.name != other.0.def.name => {
                Err(error::argument("ConsumerARN does not name the same consumer as StreamARN and ConsumerName do."))
            }
            (one, other) => one.or(other).ok_or_else(|| ApiError::fault("a consumer was named and not looked for")),
        }
    }
}

impl Streams {
    /// The consumer with this ARN, and its stream.
    pub(crate) fn consumer(&self, arn: &str, id: Option<&str>) -> Result<(Arc<LiveStream>, Consumer), ApiError> {
        if id.is_some() {
            return Err(error::argument("StreamId is reserved for future use and cannot be specified."));
        }
        let found = arn.parse::<Arn>().ok().and_then(|arn| self.consumer_in(&arn));
        found.ok_or_else(|| error::no_consumer(arn, self.home().account.as_str()))
    }

    /// The same, without AWS's words for its absence.
    pub(crate) fn consumer_in(&self, arn: &Arn) -> Option<(Arc<LiveStream>, Consumer)> {
        let id = ConsumerId::parse(self.name_in(arn)?)?;
        let stream = self.lookup(id.stream)?;
        let consumer = stream.def.consumers.get(id.name).filter(|known| known.created.secs() == id.created)?.clone();
        Some((stream, consumer))
    }

    fn consumer_of(&self, stream: &str, name: &str, id: Option<&str>) -> Result<(Arc<LiveStream>, Consumer), ApiError> {
        let stream = self.find(Asked { name: None, arn: Some(stream), id })?;
        let consumer = stream.def.consumers.get(name).cloned();
        let consumer = consumer.ok_or_else(|| error::no_consumer(name, self.home().account.as_str()))?;
        Ok((stream, consumer))
    }
}

fn shape(consumer: &Consumer, stream: &Arn) -> k::Consumer {
    k::Consumer {
        consumer_name: consumer.name.clone(),
        consumer_arn: consumer.arn(stream),
        consumer_status: status_shape(consumer.status),
        consumer_creation_timestamp: consumer.created,
    }
}

fn status_shape(status: ConsumerStatus) -> k::ConsumerStatus {
    match status {
        ConsumerStatus::Creating => k::ConsumerStatus::Creating,
        ConsumerStatus::Active => k::ConsumerStatus::Active,
        ConsumerStatus::Deleting => k::ConsumerStatus::Deleting,
    }
}
