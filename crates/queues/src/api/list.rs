//! Queues are found.

use crate::error::{bad_value, no_queue};
use crate::state::Queue;
use crate::{Queues, address, limits};
use shapes::sqs::{
    GetQueueUrlRequest, GetQueueUrlResult, ListDeadLetterSourceQueuesRequest, ListDeadLetterSourceQueuesResult,
    ListQueuesRequest, ListQueuesResult,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>
pub(super) async fn get_queue_url(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: GetQueueUrlRequest,
) -> Result<GetQueueUrlResult, ApiError> {
    let ours = input.queue_owner_aws_account_id.is_none_or(|owner| owner == queues.home.account.as_str());
    let room = queues.room(&input.queue_name).filter(|_| ours).ok_or_else(no_queue)?;
    Ok(GetQueueUrlResult { queue_url: Some(address::url(call.tls, &call.host, &queues.home, &room.name)) })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
pub(super) async fn list_queues(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ListQueuesRequest,
) -> Result<ListQueuesResult, ApiError> {
    let prefix = input.queue_name_prefix.unwrap_or_default();
    let wanted = |name: &str, _: &Queue| name.starts_with(&prefix);
    let (urls, next_token) = page(&queues, &call, "queues", (input.max_results, input.next_token), wanted)?;
    Ok(ListQueuesResult { queue_urls: (!urls.is_empty()).then_some(urls), next_token })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html>
pub(super) async fn list_dead_letter_source_queues(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ListDeadLetterSourceQueuesRequest,
) -> Result<ListDeadLetterSourceQueuesResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    let wanted = |_: &str, queue: &Queue| queue.settings.redrive.as_ref().is_some_and(|redrive| redrive.to == room.arn);
    let list = format!("sources of {}", room.name);
    let (queue_urls, next_token) = page(&queues, &call, &list, (input.max_results, input.next_token), wanted)?;
    Ok(ListDeadLetterSourceQueuesResult { queue_urls, next_token })
}

/// A page of the URLs of queues, and the token for the next one. Without `MaxResults` there is one page of a thousand, and
/// no token.
fn page(
    queues: &Queues,
    call: &Call,
    list: &str,
    (max, token): (Option<i32>, Option<String>),
    wanted: impl Fn(&str, &Queue) -> bool,
) -> Result<(Vec<String>, Option<String>), ApiError> {
    let paged = max.is_some();
    let max = i64::from(max.unwrap_or(*limits::LIST.end() as i32));
    if !limits::LIST.contains(&max) {
        return Err(bad_value("MaxResults", max, "MaxResults must be an integer between 1 and 1000."));
    }
    let pick =
        |name: &str, queue: &Queue| wanted(name, queue).then(|| address::url(call.tls, &call.host, &queues.home, name));
    let part = (token.as_deref(), max as usize);
    let page = queues.catalog.read(|state| wire::page::page(list, &state.queues, part, pick));
    let token = token.unwrap_or_default();
    let (urls, next) = page.ok_or_else(|| bad_value("NextToken", token, "It was not given by this operation."))?;
    Ok((urls, next.filter(|_| paged)))
}
