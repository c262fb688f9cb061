//! Metrics per shard, on and off.

use crate::Streams;
use crate::state::{Change, ShardMetric};
use crate::streams::{Asked, asked};
use shapes::kinesis::{
    DisableEnhancedMonitoringInput, EnableEnhancedMonitoringInput, EnhancedMetrics, EnhancedMonitoringOutput,
    MetricsName,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_EnableEnhancedMonitoring.html>
pub(crate) async fn enable_enhanced_monitoring(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: EnableEnhancedMonitoringInput,
) -> Result<EnhancedMonitoringOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let asked = metrics(&input.shard_level_metrics);
    edit(&streams, asked!(input), move |current| current.union(&asked).copied().collect()).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DisableEnhancedMonitoring.html>
pub(crate) async fn disable_enhanced_monitoring(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DisableEnhancedMonitoringInput,
) -> Result<EnhancedMonitoringOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let asked = metrics(&input.shard_level_metrics);
    edit(&streams, asked!(input), move |current| current.difference(&asked).copied().collect()).await
}

async fn edit(
    streams: &Arc<Streams>,
    asked: Asked<'_>,
    edit: impl FnOnce(&BTreeSet<ShardMetric>) -> BTreeSet<ShardMetric> + Send + 'static,
) -> Result<EnhancedMonitoringOutput, ApiError> {
    let name = streams.name_of(asked)?.to_owned();
    let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let (changed, told) = (name.clone(), seen.clone());
    let decided = streams.update(name.clone(), move |_, stream| {
        let metrics = edit(&stream.shard_metrics);
        *told.lock().expect("no panic holds this lock") = (shapes_of(&stream.shard_metrics), shapes_of(&metrics));
        Ok(vec![Change::ShardMetrics { name: changed, metrics }])
    });
    decided.await?;
    let (before, after) = std::mem::take(&mut *seen.lock().expect("no panic holds this lock"));
    Ok(EnhancedMonitoringOutput {
        stream_arn: Some(streams.arn(&name).to_string()),
        stream_name: Some(name),
        current_shard_level_metrics: Some(before),
        desired_shard_level_metrics: Some(after),
    })
}

/// What is shown of a stream's metrics per shard.
pub(crate) fn monitoring_shape(metrics: &BTreeSet<ShardMetric>) -> Vec<EnhancedMetrics> {
    vec![EnhancedMetrics { shard_level_metrics: Some(shapes_of(metrics)) }]
}

fn shapes_of(metrics: &BTreeSet<ShardMetric>) -> Vec<MetricsName> {
    let shape = |metric: &ShardMetric| match metric {
        ShardMetric::IncomingBytes => MetricsName::IncomingBytes,
        ShardMetric::IncomingRecords => MetricsName::IncomingRecords,
        ShardMetric::OutgoingBytes => MetricsName::OutgoingBytes,
        ShardMetric::OutgoingRecords => MetricsName::OutgoingRecords,
        ShardMetric::WriteProvisionedThroughputExceeded => MetricsName::WriteProvisionedThroughputExceeded,
        ShardMetric::ReadProvisionedThroughputExceeded => MetricsName::ReadProvisionedThroughputExceeded,
        ShardMetric::IteratorAgeMilliseconds => MetricsName::IteratorAgeMilliseconds,
    };
    metrics.iter().map(shape).collect()
}

fn metrics(asked: &[MetricsName]) -> BTreeSet<ShardMetric> {
    let metrics = asked.iter().flat_map(|name| match name {
        MetricsName::All => ShardMetric::ALL.to_vec(),
        MetricsName::IncomingBytes => vec![ShardMetric::IncomingBytes],
        MetricsName::IncomingRecords => vec![ShardMetric::IncomingRecords],
        MetricsName::OutgoingBytes => vec![ShardMetric::OutgoingBytes],
        MetricsName::OutgoingRecords => vec![ShardMetric::OutgoingRecords],
        MetricsName::WriteProvisionedThroughputExceeded => vec![ShardMetric::WriteProvisionedThroughputExceeded],
        MetricsName::ReadProvisionedThroughputExceeded => vec![ShardMetric::ReadProvisionedThroughputExceeded],
        MetricsName::IteratorAgeMilliseconds => vec![ShardMetric::IteratorAgeMilliseconds],
    });
    metrics.collect()
}
