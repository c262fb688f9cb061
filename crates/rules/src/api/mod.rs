//! The handlers, and the table they are registered in.

mod bus;
mod events;
mod page;
mod rule;
mod tags;
mod targets;

use crate::Rules;
use shapes::events as e;
use std::sync::Arc;
use wire::Service;

pub(crate) fn service(rules: &Arc<Rules>) -> Service {
    Service::new(&e::SERVICE)
        .on::<e::CreateEventBusOp, _, _, _>(rules, bus::create_event_bus)
        .on::<e::DeleteEventBusOp, _, _, _>(rules, bus::delete_event_bus)
        .on::<e::DeleteRuleOp, _, _, _>(rules, rule::delete_rule)
        .on::<e::DescribeEventBusOp, _, _, _>(rules, bus::describe_event_bus)
        .on::<e::DescribeRuleOp, _, _, _>(rules, rule::describe_rule)
        .on::<e::DisableRuleOp, _, _, _>(rules, rule::disable_rule)
        .on::<e::EnableRuleOp, _, _, _>(rules, rule::enable_rule)
        .on::<e::ListEventBusesOp, _, _, _>(rules, bus::list_event_buses)
        .on::<e::ListRuleNamesByTargetOp, _, _, _>(rules, rule::list_rule_names_by_target)
        .on::<e::ListRulesOp, _, _, _>(rules, rule::list_rules)
        .on::<e::ListTagsForResourceOp, _, _, _>(rules, tags::list_tags_for_resource)
        .on::<e::ListTargetsByRuleOp, _, _, _>(rules, targets::list_targets_by_rule)
        .on::<e::PutEventsOp, _, _, _>(rules, events::put_events)
        .on::<e::PutRuleOp, _, _, _>(rules, rule::put_rule)
        .on::<e::PutTargetsOp, _, _, _>(rules, targets::put_targets)
        .on::<e::RemoveTargetsOp, _, _, _>(rules, targets::remove_targets)
        .on::<e::TagResourceOp, _, _, _>(rules, tags::tag_resource)
        .on::<e::TestEventPatternOp, _, _, _>(rules, events::test_event_pattern)
        .on::<e::UntagResourceOp, _, _, _>(rules, tags::untag_resource)
}
