//! Starting, stopping, terminating.

use super::{find_all, missing};
use crate::Inventory;
use crate::error::{INCORRECT_STATE, dry_run, unsupported};
use crate::lifecycle::{Action, Phase};
use crate::state::{Change, Instance};
use shapes::ec2::{
    InstanceStateChange, StartInstancesRequest, StartInstancesResult, StopInstancesRequest, StopInstancesResult,
    TerminateInstancesRequest, TerminateInstancesResult,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn start_instances(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: StartInstancesRequest,
) -> Result<StartInstancesResult, ApiError> {
    if input.additional_info.is_some() {
        return Err(unsupported("AdditionalInfo"));
    }
    let changes = steer(&inventory, &call, input.instance_ids, Action::Start, input.dry_run).await?;
    Ok(StartInstancesResult { starting_instances: Some(changes) })
}

pub(super) async fn stop_instances(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: StopInstancesRequest,
) -> Result<StopInstancesResult, ApiError> {
    // Force and SkipOsShutdown say how to treat a guest that does not obey; there is none.
    if input.hibernate == Some(true) {
        return Err(unsupported("Hibernate"));
    }
    let changes = steer(&inventory, &call, input.instance_ids, Action::Stop, input.dry_run).await?;
    Ok(StopInstancesResult { stopping_instances: Some(changes) })
}

pub(super) async fn terminate_instances(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: TerminateInstancesRequest,
) -> Result<TerminateInstancesResult, ApiError> {
    let changes = steer(&inventory, &call, input.instance_ids, Action::Terminate, input.dry_run).await?;
    Ok(TerminateInstancesResult { terminating_instances: Some(changes) })
}

/// Moves all instances or none. One that is already there, or on the way, stays as it is.
async fn steer(
    inventory: &Inventory,
    call: &Call,
    mut ids: Vec<String>,
    action: Action,
    dry: Option<bool>,
) -> Result<Vec<InstanceStateChange>, ApiError> {
    if ids.is_empty() {
        return Err(missing("InstanceId"));
    }
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let settle = inventory.settings.settle;
    let changes = inventory
        .catalog
        .change::<_, ApiError>(|state| {
            let instances = find_all(inventory, state, &ids, call.at)?;
            let mut answers = Vec::with_capacity(instances.len());
            let mut moved: BTreeMap<u8, (Phase, Vec<String>)> = BTreeMap::new();
            for instance in instances {
                let before = instance.phase_at(settle, call.at);
                let after = before.after(action).ok_or_else(|| incorrect(instance, action))?;
                if before != after {
                    moved.entry(after as u8).or_insert_with(|| (after, Vec::new())).1.push(instance.id.clone());
                }
                answers.push(InstanceStateChange {
                    instance_id: Some(instance.id.clone()),
                    current_state: Some(after.shape()),
                    previous_state: Some(before.shape()),
                });
            }
            dry_run(dry)?;
            let changes = moved.into_values().map(|(phase, ids)| Change::Moved { ids, phase, since: call.at });
            Ok((changes.collect(), answers))
        })
        .await?;
    Ok(changes)
}

fn incorrect(instance: &Instance, action: Action) -> ApiError {
    let why = format!("The instance '{}' is not in a state from which it can be {}.", instance.id, action.participle());
    INCORRECT_STATE.because(why)
}
