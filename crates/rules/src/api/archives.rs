//! Archives.

use super::rule::compile;
use crate::Rules;
use crate::archive::state::{Archive, ArchiveChange};
use crate::archive::{arn, rule_changes, rule_name, rule_pattern};
use crate::error::{bad_token, no_bus, not_served, too_many};
use crate::limits::{ARCHIVES, PAGE};
use crate::policy::About;
use crate::state::Change;
use shapes::events::{
    ArchiveState, CreateArchiveRequest, CreateArchiveResponse, DeleteArchiveRequest, DeleteArchiveResponse,
    DescribeArchiveRequest, DescribeArchiveResponse, ListArchivesRequest, ListArchivesResponse, UpdateArchiveRequest,
    UpdateArchiveResponse, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

fn absent(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Archive {name} does not exist."))
}

fn unserved(key: Option<&str>) -> Result<(), ApiError> {
    match key.is_some_and(|key| !key.is_empty()) {
        true => Err(not_served("KmsKeyIdentifier of archives")),
        false => Ok(()),
    }
}

/// A pattern that the archive's rule can have.
fn checked(pattern: Option<String>) -> Result<Option<String>, ApiError> {
    let pattern = pattern.filter(|pattern| !pattern.is_empty());
    if let Some(pattern) = &pattern {
        compile(pattern)?;
        compile(&rule_pattern(Some(pattern)))?;
    }
    Ok(pattern)
}

fn days(given: Option<i32>) -> Option<u32> {
    given.and_then(|days| u32::try_from(days).ok())
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateArchive.html>
pub(super) async fn create_archive(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: CreateArchiveRequest,
) -> Result<CreateArchiveResponse, ApiError> {
    unserved(input.kms_key_identifier.as_deref())?;
    let (name, at) = (input.archive_name, rules.world.now());
    let bus = rules.asked(&call, Some(&input.event_source_arn), About::Bus)?.to_owned();
    let archive = Archive {
        id: rules.world.uuid(),
        bus: bus.clone(),
        description: input.description,
        pattern: checked(input.event_pattern)?,
        retention_days: days(input.retention_days).unwrap_or(0),
        created: at,
    };
    rules
        .change(|state| {
            if !state.buses.contains_key(&bus) {
                return Err(no_bus(&bus));
            }
            if state.archives.archives.contains_key(&name) {
                return Err(
                    errors::RESOURCE_ALREADY_EXISTS_EXCEPTION.because(format!("Archive {name} already exists."))
                );
            }
            if state.archives.archives.len() >= ARCHIVES {
                return Err(too_many());
            }
            let mut changes = rule_changes(&rules, &name, &archive);
            changes.push(Change::Archive(ArchiveChange::ArchiveSet { name: name.clone(), archive }));
            Ok((changes, ()))
        })
        .await?;
    Ok(CreateArchiveResponse {
        archive_arn: Some(arn(&rules, &name).to_string()),
        state: Some(ArchiveState::Enabled),
        creation_time: Some(at),
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateArchive.html>
///
/// What the call does not say stays.
pub(super) async fn update_archive(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: UpdateArchiveRequest,
) -> Result<UpdateArchiveResponse, ApiError> {
    unserved(input.kms_key_identifier.as_deref())?;
    let name = input.archive_name;
    let pattern = checked(input.event_pattern)?;
    let created = rules
        .change(|state| {
            let known = state.archives.archives.get(&name).cloned().ok_or_else(|| absent(&name))?;
            let created = known.created;
            let archive = Archive {
                description: input.description.or(known.description),
                pattern: pattern.or(known.pattern),
                retention_days: days(input.retention_days).unwrap_or(known.retention_days),
                ..known
            };
            let mut changes = rule_changes(&rules, &name, &archive);
            changes.push(Change::Archive(ArchiveChange::ArchiveSet { name: name.clone(), archive }));
            Ok((changes, created))
        })
        .await?;
    Ok(UpdateArchiveResponse {
        archive_arn: Some(arn(&rules, &name).to_string()),
        state: Some(ArchiveState::Enabled),
        creation_time: Some(created),
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteArchive.html>
pub(super) async fn delete_archive(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DeleteArchiveRequest,
) -> Result<DeleteArchiveResponse, ApiError> {
    let name = input.archive_name;
    let id = rules
        .change(|state| {
            let known = state.archives.archives.get(&name).cloned().ok_or_else(|| absent(&name))?;
            let gone = ArchiveChange::ArchiveDeleted { name: name.clone() };
            let rule = Change::RuleDeleted { bus: known.bus, rule: rule_name(&name) };
            Ok((vec![rule, Change::Archive(gone)], known.id))
        })
        .await?;
    rules.drop_archive_log(&id).await?;
    Ok(DeleteArchiveResponse {})
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeArchive.html>
pub(super) async fn describe_archive(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DescribeArchiveRequest,
) -> Result<DescribeArchiveResponse, ApiError> {
    let name = input.archive_name;
    let known = rules.catalog.read(|state| state.archives.archives.get(&name).cloned());
    let known = known.ok_or_else(|| absent(&name))?;
    let shown = shown(&rules, &name, &known);
    Ok(DescribeArchiveResponse {
        archive_arn: Some(arn(&rules, &name).to_string()),
        archive_name: shown.archive_name,
        event_source_arn: shown.event_source_arn,
        description: known.description,
        event_pattern: known.pattern,
        state: shown.state,
        retention_days: shown.retention_days,
        size_bytes: shown.size_bytes,
        event_count: shown.event_count,
        creation_time: shown.creation_time,
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListArchives.html>
pub(super) async fn list_archives(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListArchivesRequest,
) -> Result<ListArchivesResponse, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let bus = input.event_source_arn.as_deref().map(|arn| rules.bus_named(Some(arn)));
    // All archives are enabled.
    let none = input.state.is_some_and(|state| state != ArchiveState::Enabled);
    let pick = |name: &str, known: &Archive| {
        let wanted = bus.is_none_or(|bus| bus == Some(known.bus.as_str()));
        (!none && wanted && name.starts_with(prefix)).then(|| shown(&rules, name, known))
    };
    rules.catalog.read(|state| {
        let (found, next_token) =
            page("archives", &state.archives.archives, (input.next_token.as_deref(), size(input.limit, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListArchivesResponse { archives: Some(found), next_token })
    })
}

fn shown(rules: &Rules, name: &str, known: &Archive) -> shapes::events::Archive {
    let held = rules.archive_extent(&known.id);
    shapes::events::Archive {
        archive_name: Some(name.to_owned()),
        event_source_arn: Some(rules.home.arn("events", &format!("event-bus/{}", known.bus)).to_string()),
        state: Some(ArchiveState::Enabled),
        retention_days: i32::try_from(known.retention_days).ok(),
        size_bytes: i64::try_from(held.bytes).ok(),
        event_count: i64::try_from(held.next - held.first).ok(),
        creation_time: Some(known.created),
        ..Default::default()
    }
}
