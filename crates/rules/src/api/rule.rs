//! Rules.

use super::tags;
use crate::Rules;
use crate::error::{bad_token, invalid, managed, no_bus, no_rule, too_many};
use crate::limits::{PAGE, RULES};
use crate::policy::About;
use crate::route::PRINCIPAL;
use crate::schedule::Schedule;
use crate::state::{Change, DEFAULT_BUS, Definition, Rule, Status};
use crate::table::rule_arn;
use names::Arn;
use patterns::Pattern;
use serde_json::Value;
use shapes::events::{
    DeleteRuleRequest, DescribeRuleRequest, DescribeRuleResponse, DisableRuleRequest, EnableRuleRequest,
    ListRuleNamesByTargetRequest, ListRuleNamesByTargetResponse, ListRulesRequest, ListRulesResponse, PutRuleRequest,
    PutRuleResponse, RuleState, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
///
/// A rule that exists is defined anew: what the call does not say is gone, except targets and tags.
pub(super) async fn put_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: PutRuleRequest,
) -> Result<PutRuleResponse, ApiError> {
    let asked = |field: &str| asked_for(input.event_pattern.as_deref(), field);
    let (sources, kinds) = (asked("source"), asked("detail-type"));
    let sources = sources.iter().map(|source| ("events:source", source.as_str()));
    let told: Vec<_> = sources.chain(kinds.iter().map(|kind| ("events:detail-type", kind.as_str()))).collect();
    let about = About::Rule(&input.name);
    let bus = rules.asked_of(&call, input.event_bus_name.as_deref(), about, &told)?.to_owned();
    let tags = tags::given(input.tags.as_deref().unwrap_or_default())?;
    let rule = input.name.clone();
    let definition = definition(&bus, input)?;
    if let Some(role) = &definition.role {
        check_role(&rules, role, &rule_arn(&rules.home, &bus, &rule))?;
    }
    let put = Change::RulePut {
        bus: bus.clone(),
        rule: rule.clone(),
        at: rules.world.now(),
        definition,
        created_by: rules.home.account.as_str().to_owned(),
        tags,
        managed_by: None,
    };
    rules
        .change(|state| {
            let known = state.buses.get(&bus).ok_or_else(|| no_bus(&bus))?;
            match known.rules.get(&rule) {
                Some(known) => free(&rule, known, false)?,
                // Those that services manage do not count.
                None if known.rules.values().filter(|rule| rule.managed_by.is_none()).count() >= RULES => {
                    return Err(too_many());
                }
                None => {}
            }
            Ok((vec![put], ()))
        })
        .await?;
    Ok(PutRuleResponse { rule_arn: Some(rule_arn(&rules.home, &bus, &rule).to_string()) })
}

/// A role that is there and lets rules take it on. Targets have their own, which AWS is not known to look at before it sends.
fn check_role(rules: &Rules, text: &str, rule: &Arn) -> Result<(), ApiError> {
    let trusted = text.parse().is_ok_and(|role| rules.identities.trusts(&role, PRINCIPAL, Some(rule)));
    if trusted {
        return Ok(());
    }
    Err(invalid(format!("Provided role '{text}' cannot be assumed by principal '{PRINCIPAL}'.")))
}

/// Whether a caller may change a rule: one that a service manages only by force.
pub(super) fn free(name: &str, rule: &Rule, force: bool) -> Result<(), ApiError> {
    match &rule.managed_by {
        Some(by) if !force => Err(managed(name, by)),
        _ => Ok(()),
    }
}

/// What a rule is to be, where that is possible.
fn definition(bus: &str, input: PutRuleRequest) -> Result<Definition, ApiError> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let definition = Definition {
        status: input.state.unwrap_or(RuleState::Enabled).into(),
        pattern: given(input.event_pattern),
        schedule: given(input.schedule_expression),
        description: input.description,
        role: input.role_arn,
    };
    if definition.pattern.is_none() && definition.schedule.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(schedule) = &definition.schedule {
        if bus != DEFAULT_BUS {
            return Err(invalid("ScheduleExpression is supported only on the default event bus."));
        }
        Schedule::parse(schedule).map_err(|error| invalid(error.to_string()))?;
    }
    if let Some(pattern) = &definition.pattern {
        compile(pattern)?;
    }
    Ok(definition)
}

/// Which values of a field a pattern asks for by name.
fn asked_for(pattern: Option<&str>, field: &str) -> Vec<String> {
    let pattern: Option<Value> = pattern.and_then(|text| serde_json::from_str(text).ok());
    let all = pattern.as_ref().and_then(|pattern| pattern.get(field)?.as_array());
    all.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Compiles a pattern or says what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Pattern, ApiError> {
    Pattern::parse(pattern).map_err(|error| errors::INVALID_EVENT_PATTERN_EXCEPTION.because(error.to_string()))
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html>
///
/// Deleting what is not there succeeds. `Force` is for rules that services manage.
pub(super) async fn delete_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: DeleteRuleRequest,
) -> Result<Nothing, ApiError> {
    let bus = rules.asked(&call, input.event_bus_name.as_deref(), About::Rule(&input.name))?.to_owned();
    let rule = input.name;
    let force = input.force == Some(true);
    rules
        .change(|state| match state.rule(&bus, &rule) {
            None => Ok((vec![], Nothing {})),
            Some(known) if !force && known.managed_by.is_some() => {
                free(&rule, known, force).map(|()| (vec![], Nothing {}))
            }
            Some(known) if !known.targets.is_empty() => Err(invalid("Rule can't be deleted since it has targets.")),
            Some(_) => Ok((vec![Change::RuleDeleted { bus, rule }], Nothing {})),
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EnableRule.html>
pub(super) async fn enable_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: EnableRuleRequest,
) -> Result<Nothing, ApiError> {
    set(&rules, &call, input.event_bus_name.as_deref(), input.name, Status::Enabled).await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html>
pub(super) async fn disable_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: DisableRuleRequest,
) -> Result<Nothing, ApiError> {
    set(&rules, &call, input.event_bus_name.as_deref(), input.name, Status::Disabled).await
}

async fn set(rules: &Rules, call: &Call, bus: Option<&str>, rule: String, status: Status) -> Result<Nothing, ApiError> {
    let bus = rules.asked(call, bus, About::Rule(&rule))?.to_owned();
    let at = rules.world.now();
    rules
        .change(|state| match state.rule(&bus, &rule) {
            None => Err(no_rule(&bus, &rule)),
            Some(known) if known.managed_by.is_some() => free(&rule, known, false).map(|()| (vec![], Nothing {})),
            Some(known) if known.definition.status == status => Ok((vec![], Nothing {})),
            Some(_) => Ok((vec![Change::RuleSet { bus, rule, at, status }], Nothing {})),
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeRule.html>
pub(super) async fn describe_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: DescribeRuleRequest,
) -> Result<DescribeRuleResponse, ApiError> {
    let (bus, name) = (rules.asked(&call, input.event_bus_name.as_deref(), About::Rule(&input.name))?, &input.name);
    rules.catalog.read(|state| {
        let known = state.rule(bus, name).ok_or_else(|| no_rule(bus, name))?;
        let shown = shown(&rules, bus, name, known);
        Ok(DescribeRuleResponse {
            name: shown.name,
            arn: shown.arn,
            event_pattern: shown.event_pattern,
            schedule_expression: shown.schedule_expression,
            state: shown.state,
            description: shown.description,
            role_arn: shown.role_arn,
            managed_by: shown.managed_by,
            event_bus_name: shown.event_bus_name,
            created_by: Some(known.created_by.clone()),
        })
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html>
pub(super) async fn list_rules(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListRulesRequest,
) -> Result<ListRulesResponse, ApiError> {
    let bus = rules.bus_of(input.event_bus_name.as_deref())?;
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let pick = |name: &str, rule: &Rule| name.starts_with(prefix).then(|| shown(&rules, bus, name, rule));
    rules.catalog.read(|state| {
        let known = state.buses.get(bus).ok_or_else(|| no_bus(bus))?;
        let part = (input.next_token.as_deref(), size(input.limit, PAGE));
        let page = page(&format!("rules of {bus}"), &known.rules, part, pick);
        let (found, next_token) = page.ok_or_else(bad_token)?;
        Ok(ListRulesResponse { rules: Some(found), next_token })
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRuleNamesByTarget.html>
pub(super) async fn list_rule_names_by_target(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListRuleNamesByTargetRequest,
) -> Result<ListRuleNamesByTargetResponse, ApiError> {
    let bus = rules.bus_of(input.event_bus_name.as_deref())?;
    let pick = |name: &str, rule: &Rule| {
        rule.targets.values().any(|target| target.arn.as_str() == input.target_arn).then(|| name.to_owned())
    };
    rules.catalog.read(|state| {
        let known = state.buses.get(bus).ok_or_else(|| no_bus(bus))?;
        let part = (input.next_token.as_deref(), size(input.limit, PAGE));
        let list = format!("rules of {bus} by target {}", input.target_arn);
        let (names, next_token) = page(&list, &known.rules, part, pick).ok_or_else(bad_token)?;
        Ok(ListRuleNamesByTargetResponse { rule_names: Some(names), next_token })
    })
}

fn shown(rules: &Rules, bus: &str, name: &str, rule: &Rule) -> shapes::events::Rule {
    let Definition { status, pattern, schedule, description, role } = rule.definition.clone();
    shapes::events::Rule {
        name: Some(name.to_owned()),
        arn: Some(rule_arn(&rules.home, bus, name).to_string()),
        event_pattern: pattern,
        state: Some(status.into()),
        description,
        schedule_expression: schedule,
        role_arn: role,
        managed_by: rule.managed_by.clone(),
        event_bus_name: Some(bus.to_owned()),
    }
}
