//! The handlers, and the table they are registered in.

mod archives;
mod bus;
mod connections;
mod destinations;
mod events;
mod permission;
mod replays;
mod rule;
mod tags;
mod targets;

use crate::Rules;
use shapes::events as e;
use std::sync::Arc;
use wire::Service;

pub(crate) fn service(rules: &Arc<Rules>) -> Service {
    Service::new(&e::SERVICE)
        .on::<e::CancelReplayOp, _, _, _>(rules, replays::cancel_replay)
        .on::<e::CreateApiDestinationOp, _, _, _>(rules, destinations::create_api_destination)
        .on::<e::CreateArchiveOp, _, _, _>(rules, archives::create_archive)
        .on::<e::CreateConnectionOp, _, _, _>(rules, connections::create_connection)
        .on::<e::CreateEventBusOp, _, _, _>(rules, bus::create_event_bus)
        .on::<e::DeauthorizeConnectionOp, _, _, _>(rules, connections::deauthorize_connection)
        .on::<e::DeleteApiDestinationOp, _, _, _>(rules, destinations::delete_api_destination)
        .on::<e::DeleteArchiveOp, _, _, _>(rules, archives::delete_archive)
        .on::<e::DeleteConnectionOp, _, _, _>(rules, connections::delete_connection)
        .on::<e::DeleteEventBusOp, _, _, _>(rules, bus::delete_event_bus)
        .on::<e::DeleteRuleOp, _, _, _>(rules, rule::delete_rule)
        .on::<e::DescribeApiDestinationOp, _, _, _>(rules, destinations::describe_api_destination)
        .on::<e::DescribeArchiveOp, _, _, _>(rules, archives::describe_archive)
        .on::<e::DescribeConnectionOp, _, _, _>(rules, connections::describe_connection)
        .on::<e::DescribeEventBusOp, _, _, _>(rules, bus::describe_event_bus)
        .on::<e::DescribeReplayOp, _, _, _>(rules, replays::describe_replay)
        .on::<e::DescribeRuleOp, _, _, _>(rules, rule::describe_rule)
        .on::<e::DisableRuleOp, _, _, _>(rules, rule::disable_rule)
        .on::<e::EnableRuleOp, _, _, _>(rules, rule::enable_rule)
        .on::<e::ListApiDestinationsOp, _, _, _>(rules, destinations::list_api_destinations)
        .on::<e::ListArchivesOp, _, _, _>(rules, archives::list_archives)
        .on::<e::ListConnectionsOp, _, _, _>(rules, connections::list_connections)
        .on::<e::ListEventBusesOp, _, _, _>(rules, bus::list_event_buses)
        .on::<e::ListReplaysOp, _, _, _>(rules, replays::list_replays)
        .on::<e::ListRuleNamesByTargetOp, _, _, _>(rules, rule::list_rule_names_by_target)
        .on::<e::ListRulesOp, _, _, _>(rules, rule::list_rules)
        .on::<e::ListTagsForResourceOp, _, _, _>(rules, tags::list_tags_for_resource)
        .on::<e::ListTargetsByRuleOp, _, _, _>(rules, targets::list_targets_by_rule)
        .on::<e::PutEventsOp, _, _, _>(rules, events::put_events)
        .on::<e::PutPermissionOp, _, _, _>(rules, permission::put_permission)
        .on::<e::PutRuleOp, _, _, _>(rules, rule::put_rule)
        .on::<e::PutTargetsOp, _, _, _>(rules, targets::put_targets)
        .on::<e::RemovePermissionOp, _, _, _>(rules, permission::remove_permission)
        .on::<e::RemoveTargetsOp, _, _, _>(rules, targets::remove_targets)
        .on::<e::StartReplayOp, _, _, _>(rules, replays::start_replay)
        .on::<e::TagResourceOp, _, _, _>(rules, tags::tag_resource)
        .on::<e::TestEventPatternOp, _, _, _>(rules, events::test_event_pattern)
        .on::<e::UntagResourceOp, _, _, _>(rules, tags::untag_resource)
        .on::<e::UpdateApiDestinationOp, _, _, _>(rules, destinations::update_api_destination)
        .on::<e::UpdateArchiveOp, _, _, _>(rules, archives::update_archive)
        .on::<e::UpdateConnectionOp, _, _, _>(rules, connections::update_connection)
        .on::<e::UpdateEventBusOp, _, _, _>(rules, bus::update_event_bus)
}
