//! The asked door: one file per family of operations.

mod describe;
mod run;
mod shape;
mod steer;
mod tag;

use crate::Inventory;
use crate::error::{INSTANCE_NOT_FOUND, MISSING_PARAMETER};
use crate::ids::check_instance;
use crate::state::{Instance, State};
use names::Timestamp;
use shapes::ec2;
use std::sync::Arc;
use wire::{ApiError, Service};

pub(crate) fn service(inventory: &Arc<Inventory>) -> Service {
    Service::new(&ec2::SERVICE)
        .on::<ec2::RunInstancesOp, _, _, _>(inventory, run::run_instances)
        .on::<ec2::DescribeInstancesOp, _, _, _>(inventory, describe::describe_instances)
        .on::<ec2::StartInstancesOp, _, _, _>(inventory, steer::start_instances)
        .on::<ec2::StopInstancesOp, _, _, _>(inventory, steer::stop_instances)
        .on::<ec2::TerminateInstancesOp, _, _, _>(inventory, steer::terminate_instances)
        .on::<ec2::CreateTagsOp, _, _, _>(inventory, tag::create_tags)
        .on::<ec2::DeleteTagsOp, _, _, _>(inventory, tag::delete_tags)
        .on::<ec2::DescribeTagsOp, _, _, _>(inventory, tag::describe_tags)
}

/// The instances with these ids: all or none.
fn find_all<'a>(
    inventory: &Inventory,
    state: &'a State,
    ids: &[String],
    now: Timestamp,
) -> Result<Vec<&'a Instance>, ApiError> {
    ids.iter().try_for_each(|id| check_instance(id))?;
    let settle = inventory.settings.settle;
    let find = |id: &String| state.find(id).filter(|instance| instance.visible(settle, now));
    let missing: Vec<&str> = ids.iter().filter(|id| find(id).is_none()).map(String::as_str).collect();
    match missing.as_slice() {
        [] => Ok(ids.iter().filter_map(find).collect()),
        [id] => Err(INSTANCE_NOT_FOUND.because(format!("The instance ID '{id}' does not exist"))),
        ids => Err(INSTANCE_NOT_FOUND.because(format!("The instance IDs '{}' do not exist", ids.join(", ")))),
    }
}

fn missing(parameter: &str) -> ApiError {
    MISSING_PARAMETER.because(format!("The request must contain the parameter {parameter}"))
}
