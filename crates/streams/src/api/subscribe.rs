use super::get::Position;
use super::put::refuse_dry_run;
use crate::Streams;
use crate::consumer::ConsumerStatus;
use crate::error;
use crate::reader::Busy;
use crate::signals::ConsumerSeries;
use crate::source::StreamSource;
use crate::state::shard_number;
use crate::subscription::Subscription;
use shapes::kinesis::{SubscribeToShardInput, SubscribeToShardOp, SubscribeToShardOutput, errors};
use std::sync::Arc;
use wire::{ApiError, Call, EventAnswer, Opened};
use world::Stage;

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>
pub(crate) async fn subscribe_to_shard(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: SubscribeToShardInput,
    answer: EventAnswer<SubscribeToShardOp>,
) -> Result<Opened, ApiError> {
    let (home, world) = (streams.home(), streams.world());
    let (stream, consumer) = streams.consumer(&input.consumer_arn, input.stream_id.as_deref())?;
    streams.admit_to_consumer(&call, &stream, &consumer)?;
    let name = &stream.def.name;
    if consumer.status != ConsumerStatus::Active {
        return Err(error::consumer_not_active(home, name, &consumer));
    }
    let Some(number) = shard_number(&input.shard_id) else {
        return Err(error::no_shard(home, name, &input.shard_id));
    };
    let gone = || error::shard_gone(home, name, number);
    let shard = stream.shard(number).filter(|_| stream.def.is_open()).ok_or_else(gone)?;
    let start = &input.starting_position;
    let position = Position {
        kind: start.r#type,
        sequence: start.sequence_number.as_deref(),
        at: start.timestamp,
        operation: "SubscribeToShard",
    };
    let position = position.resolve(&streams, &stream, shard)?;
    refuse_dry_run(input.dry_run)?;
    let series = ConsumerSeries::new(&world.meter, name, &consumer.name);
    let reader =
        stream.reader(&consumer).ok_or_else(|| error::no_consumer(&input.consumer_arn, home.account.as_str()))?;
    let label = format!("{}:{name}:{}:{}", home.account, shard.id, consumer.name);
    let over = reader.subscribe(number, stream.limits, world.clock.monotonic()).map_err(|busy| {
        series.success.record(0);
        match busy {
            Busy::Held => error::other_subscription(&label),
            Busy::Exceeded => {
                series.rate_exceeded.record(1);
                errors::LIMIT_EXCEEDED_EXCEPTION.because(error::rate_exceeded(home, name, &shard.id))
            }
        }
    })?;
    series.success.record(1);
    let (opened, events) = answer.open(SubscribeToShardOutput {})?;
    let source = StreamSource::of_consumer(streams.clone(), &stream, &consumer);
    let shard = shard.id.clone();
    let subscription = Subscription { streams: streams.clone(), source, label, shard, position, series };
    world.tasks.spawn(Stage::Sockets, "streams: subscription", |stop| subscription.run(events, over, stop));
    Ok(opened)
}
