//! Listing log groups.

use super::{identified, limit};
use crate::Logs;
use crate::error::{bad_token, invalid, refuse};
use crate::limits::{DESCRIBED, LISTED};
use crate::state::Group;
use shapes::logs::{
    DescribeLogGroupsRequest, DescribeLogGroupsResponse, ListLogGroupsRequest, ListLogGroupsResponse, LogGroup,
    LogGroupClass, LogGroupSummary, TagFilter,
};
use std::sync::Arc;
use wire::page::page;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
pub(super) async fn describe_log_groups(
    logs: Arc<Logs>,
    call: Arc<Call>,
    input: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, ApiError> {
    refuse(&[("accounts linked for observability", input.include_linked_accounts == Some(true))])?;
    let (prefix, pattern) = (input.log_group_name_prefix, input.log_group_name_pattern);
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let names = input
        .log_group_identifiers
        .map(|asked| asked.iter().map(|identifier| identified(&logs, identifier)).collect::<Result<Vec<_>, _>>());
    let names = names.transpose()?;
    if names.is_some() && (prefix.is_some() || pattern.is_some() || input.log_group_class.is_some()) {
        return Err(invalid("logGroupIdentifiers cannot be combined with another filter."));
    }
    let fits = |name: &str| {
        prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && pattern.as_ref().is_none_or(|pattern| name.contains(pattern.as_str()))
            && names.as_ref().is_none_or(|names| names.iter().any(|asked| asked == name))
            && matches!(input.log_group_class, None | Some(LogGroupClass::Standard))
    };
    let part = (input.next_token.as_deref(), limit(input.limit, DESCRIBED));
    logs.catalog.read(|state| {
        let pick = |name: &str, group| fits(name).then(|| shape(&logs, name, group));
        let page = page(call.operation.name, &state.groups, part, pick);
        let (groups, next_token) = page.ok_or_else(bad_token)?;
        Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token })
    })
}

fn shape(logs: &Logs, name: &str, group: &Group) -> LogGroup {
    let arn = logs.arn(name);
    LogGroup {
        log_group_name: Some(name.to_owned()),
        creation_time: Some(group.created.millis()),
        retention_in_days: group.retention_days,
        metric_filter_count: Some(0),
        arn: Some(format!("{arn}:*")),
        stored_bytes: Some(logs.room(name).map_or(0, |room| i64::try_from(room.bytes()).unwrap_or(i64::MAX))),
        log_group_class: Some(LogGroupClass::Standard),
        log_group_arn: Some(arn.to_string()),
        deletion_protection_enabled: Some(group.protected),
        ..LogGroup::default()
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListLogGroups.html>
pub(super) async fn list_log_groups(
    logs: Arc<Logs>,
    call: Arc<Call>,
    input: ListLogGroupsRequest,
) -> Result<ListLogGroupsResponse, ApiError> {
    refuse(&[
        ("accounts linked for observability", input.include_linked_accounts == Some(true)),
        ("dataSources", input.data_sources.is_some()),
        ("fieldIndexNames", input.field_index_names.is_some()),
    ])?;
    let pattern = input.log_group_name_pattern;
    let fits = |name: &str, group: &Group| {
        pattern.as_ref().is_none_or(|pattern| pattern.split('|').any(|part| is_like(name, part)))
            && input.log_group_tags.iter().flatten().all(|filter| is_tagged(group, filter))
            && matches!(input.log_group_class, None | Some(LogGroupClass::Standard))
    };
    let part = (input.next_token.as_deref(), limit(input.limit, LISTED));
    logs.catalog.read(|state| {
        let shape = |name: &str| LogGroupSummary {
            log_group_name: Some(name.to_owned()),
            log_group_arn: Some(logs.arn(name).to_string()),
            log_group_class: Some(LogGroupClass::Standard),
        };
        let pick = |name: &str, group| fits(name, group).then(|| shape(name));
        let page = page(call.operation.name, &state.groups, part, pick);
        let (groups, next_token) = page.ok_or_else(bad_token)?;
        Ok(ListLogGroupsResponse { log_groups: Some(groups), next_token })
    })
}

/// A part of the pattern: `^` and a prefix, or a part of the name. The model admits no other signs of expressions.
fn is_like(name: &str, part: &str) -> bool {
    part.strip_prefix('^').map_or_else(|| name.contains(part), |prefix| name.starts_with(prefix))
}

fn is_tagged(group: &Group, filter: &TagFilter) -> bool {
    let value = group.tags.get(&filter.key);
    value.is_some_and(|value| filter.values.as_ref().is_none_or(|values| values.is_empty() || values.contains(value)))
}
