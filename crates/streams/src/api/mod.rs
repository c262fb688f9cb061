//! The handlers, and the table they are registered in.

mod capacity;
mod consumers;
mod create;
mod describe;
mod encryption;
pub(crate) mod get;
mod list;
mod monitoring;
mod policy;
pub(crate) mod put;
mod reshard;
mod retention;
mod subscribe;
mod tags;

pub(crate) use get::children;

use crate::{Streams, hot};
use shapes::kinesis as k;
use std::sync::Arc;
use wire::Service;

/// The largest body: 10 MiB of records in base64, and the rest of the call.
const BODY_LIMIT: usize = 16 << 20;

pub(crate) fn service(streams: &Arc<Streams>) -> Service {
    Service::new(&k::SERVICE)
        .body_limit(BODY_LIMIT)
        .on::<k::AddTagsToStreamOp, _, _, _>(streams, tags::add_tags_to_stream)
        .on::<k::CreateStreamOp, _, _, _>(streams, create::create_stream)
        .on::<k::DecreaseStreamRetentionPeriodOp, _, _, _>(streams, retention::decrease_stream_retention_period)
        .on::<k::DeleteResourcePolicyOp, _, _, _>(streams, policy::delete_resource_policy)
        .on::<k::DeleteStreamOp, _, _, _>(streams, create::delete_stream)
        .on::<k::DeregisterStreamConsumerOp, _, _, _>(streams, consumers::deregister_stream_consumer)
        .on::<k::DescribeAccountSettingsOp, _, _, _>(streams, capacity::describe_account_settings)
        .on::<k::DescribeLimitsOp, _, _, _>(streams, describe::describe_limits)
        .on::<k::DescribeStreamOp, _, _, _>(streams, describe::describe_stream)
        .on::<k::DescribeStreamConsumerOp, _, _, _>(streams, consumers::describe_stream_consumer)
        .on::<k::DescribeStreamSummaryOp, _, _, _>(streams, describe::describe_stream_summary)
        .on::<k::DisableEnhancedMonitoringOp, _, _, _>(streams, monitoring::disable_enhanced_monitoring)
        .on::<k::EnableEnhancedMonitoringOp, _, _, _>(streams, monitoring::enable_enhanced_monitoring)
        .on_hot::<k::GetRecordsOp, _, _, _, _, _>(streams, hot::get_records, get::get_records)
        .on::<k::GetResourcePolicyOp, _, _, _>(streams, policy::get_resource_policy)
        .on::<k::GetShardIteratorOp, _, _, _>(streams, get::get_shard_iterator)
        .on::<k::IncreaseStreamRetentionPeriodOp, _, _, _>(streams, retention::increase_stream_retention_period)
        .on::<k::ListShardsOp, _, _, _>(streams, list::list_shards)
        .on::<k::ListStreamConsumersOp, _, _, _>(streams, consumers::list_stream_consumers)
        .on::<k::ListStreamsOp, _, _, _>(streams, list::list_streams)
        .on::<k::ListTagsForResourceOp, _, _, _>(streams, tags::list_tags_for_resource)
        .on::<k::ListTagsForStreamOp, _, _, _>(streams, tags::list_tags_for_stream)
        .on::<k::MergeShardsOp, _, _, _>(streams, reshard::merge_shards)
        .on_hot::<k::PutRecordOp, _, _, _, _, _>(streams, hot::put_record, put::put_record)
        .on_hot::<k::PutRecordsOp, _, _, _, _, _>(streams, hot::put_records, put::put_records)
        .on::<k::PutResourcePolicyOp, _, _, _>(streams, policy::put_resource_policy)
        .on::<k::RegisterStreamConsumerOp, _, _, _>(streams, consumers::register_stream_consumer)
        .on::<k::RemoveTagsFromStreamOp, _, _, _>(streams, tags::remove_tags_from_stream)
        .on::<k::SplitShardOp, _, _, _>(streams, reshard::split_shard)
        .on::<k::StartStreamEncryptionOp, _, _, _>(streams, encryption::start_stream_encryption)
        .on::<k::StopStreamEncryptionOp, _, _, _>(streams, encryption::stop_stream_encryption)
        .on_events::<k::SubscribeToShardOp, _, _, _>(streams, subscribe::subscribe_to_shard)
        .on::<k::TagResourceOp, _, _, _>(streams, tags::tag_resource)
        .on::<k::UntagResourceOp, _, _, _>(streams, tags::untag_resource)
        .on::<k::UpdateAccountSettingsOp, _, _, _>(streams, capacity::update_account_settings)
        .on::<k::UpdateMaxRecordSizeOp, _, _, _>(streams, retention::update_max_record_size)
        .on::<k::UpdateShardCountOp, _, _, _>(streams, reshard::update_shard_count)
        .on::<k::UpdateStreamModeOp, _, _, _>(streams, capacity::update_stream_mode)
        .on::<k::UpdateStreamWarmThroughputOp, _, _, _>(streams, capacity::update_stream_warm_throughput)
}
