//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>

use super::{find_all, shape};
use crate::Inventory;
use crate::error::{INVALID_COMBINATION, INVALID_NEXT_TOKEN, INVALID_VALUE, dry_run};
use crate::filter::Filters;
use crate::lifecycle::Phase;
use crate::limits::{PAGE_MAX, PAGE_MIN};
use crate::network::host_name;
use crate::state::Instance;
use shapes::ec2::{DescribeInstancesRequest, DescribeInstancesResult};
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn describe_instances(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: DescribeInstancesRequest,
) -> Result<DescribeInstancesResult, ApiError> {
    let ids = input.instance_ids.filter(|ids| !ids.is_empty());
    if ids.is_some() && input.max_results.is_some() {
        let why = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(INVALID_COMBINATION.because(why));
    }
    let limit = page_size(input.max_results)?;
    let from = input.next_token.as_deref().map_or(Ok(0), token)?;
    let filters = Filters::new(input.filters, is_filter)?;
    let settle = inventory.settings.settle;
    let fits = |instance: &Instance| {
        let phase = instance.phase_at(settle, call.at);
        instance.visible(settle, call.at) && filters.fit(|name| values(&inventory, instance, phase, name))
    };
    inventory.catalog.read(|state| {
        dry_run(input.dry_run)?;
        if let Some(ids) = &ids {
            find_all(&inventory, state, ids, call.at)?;
            let numbers: std::collections::BTreeSet<u64> =
                ids.iter().filter_map(|id| state.by_id.get(id).copied()).collect();
            let found = numbers.iter().filter_map(|number| state.instances.get(number)).filter(|found| fits(found));
            let reservations = shape::reservations(&inventory, found, call.at);
            return Ok(DescribeInstancesResult { next_token: None, reservations: Some(reservations) });
        }
        let mut found = state.instances.range(from..).filter(|(_, instance)| fits(instance));
        let page: Vec<&Instance> = found.by_ref().take(limit).map(|(_, instance)| instance).collect();
        let next_token = found.next().map(|(number, _)| format!("{number:016x}"));
        let reservations = shape::reservations(&inventory, page.into_iter(), call.at);
        Ok(DescribeInstancesResult { next_token, reservations: Some(reservations) })
    })
}

pub(super) fn page_size(asked: Option<i32>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(PAGE_MAX as usize),
        Some(asked) if asked < PAGE_MIN => {
            let why = format!(
                "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value greater than or equal to {PAGE_MIN}."
            );
            Err(INVALID_VALUE.because(why))
        }
        Some(asked) => Ok(asked.min(PAGE_MAX) as usize),
    }
}

/// A page's token is the number of its first item.
pub(super) fn token(token: &str) -> Result<u64, ApiError> {
    let number = (token.len() == 16).then(|| u64::from_str_radix(token, 16).ok()).flatten();
    number.ok_or_else(|| INVALID_NEXT_TOKEN.because("The specified token is not valid."))
}

const FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "client-token",
    "dns-name",
    "group-id",
    "group-name",
    "hypervisor",
    "iam-instance-profile.arn",
    "iam-instance-profile.id",
    "image-id",
    "instance-id",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "key-name",
    "launch-index",
    "launch-time",
    "monitoring-state",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "subnet-id",
    "tag-key",
    "tag-value",
    "tenancy",
    "virtualization-type",
    "vpc-id",
];

fn is_filter(name: &str) -> bool {
    name.strip_prefix("tag:").is_some_and(|key| !key.is_empty()) || FILTERS.contains(&name)
}

/// What an instance has under a filter's name.
fn values(inventory: &Inventory, instance: &Instance, phase: Phase, name: &str) -> Vec<String> {
    if let Some(key) = name.strip_prefix("tag:") {
        return instance.tags.get(key).cloned().into_iter().collect();
    }
    let state = phase.shape();
    let placed = |value: String| if phase == Phase::Terminated { Vec::new() } else { vec![value] };
    match name {
        "architecture" => vec![shape::architecture(&instance.kind).to_string()],
        "availability-zone" => vec![instance.zone.clone()],
        "client-token" => instance.client_token.iter().cloned().collect(),
        "group-id" | "instance.group-id" => instance.groups.iter().map(|group| group.id.clone()).collect(),
        "group-name" | "instance.group-name" => instance.groups.iter().map(|group| group.name.clone()).collect(),
        "hypervisor" => vec!["xen".to_owned()],
        "iam-instance-profile.arn" => instance.profile.iter().map(|profile| profile.arn.clone()).collect(),
        "iam-instance-profile.id" => instance.profile.iter().map(|profile| profile.id.clone()).collect(),
        "image-id" => vec![instance.image.clone()],
        "instance-id" => vec![instance.id.clone()],
        "instance-state-code" => state.code.iter().map(ToString::to_string).collect(),
        "instance-state-name" => state.name.iter().map(ToString::to_string).collect(),
        "instance-type" => vec![instance.kind.clone()],
        "key-name" => instance.key_name.iter().cloned().collect(),
        "launch-index" => vec![instance.launch_index.to_string()],
        "launch-time" => vec![instance.launched.iso_millis()],
        "monitoring-state" => vec![shape::monitoring(instance).to_string()],
        "owner-id" => vec![inventory.home.account.to_string()],
        "private-dns-name" => placed(host_name(&inventory.home, instance.address)),
        "private-ip-address" => placed(instance.address.to_string()),
        "reservation-id" => vec![instance.reservation.clone()],
        "root-device-name" => vec!["/dev/xvda".to_owned()],
        "root-device-type" => vec!["ebs".to_owned()],
        "subnet-id" => placed(instance.subnet.clone()),
        "tag-key" => instance.tags.keys().cloned().collect(),
        "tag-value" => instance.tags.values().cloned().collect(),
        "tenancy" => vec!["default".to_owned()],
        "virtualization-type" => vec!["hvm".to_owned()],
        "vpc-id" => placed(instance.vpc.clone()),
        _ => Vec::new(), // dns-name and ip-address: no instance has a public one
    }
}
