//! RunInstances registers instances; it runs nothing.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>

use super::missing;
use super::shape;
use crate::Inventory;
use crate::error::{
    GROUP_NOT_FOUND, IDEMPOTENT_MISMATCH, INSTANCE_LIMIT, INVALID_COMBINATION, INVALID_VALUE, IP_IN_USE, ZONE_INVALID,
    dry_run, unsupported,
};
use crate::ids::{self, check_image, stable};
use crate::lifecycle::Phase;
use crate::limits::INSTANCES;
use crate::network;
use crate::state::{Change, Group, Instance, Profile, State};
use crate::tags;
use shapes::ec2::{Placement, Reservation, RunInstancesRequest, ShutdownBehavior, TagSpecification, Tenancy};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use wire::{ApiError, Call};

/// AWS's default where a call names no type.
const DEFAULT_TYPE: &str = "m1.small";

pub(super) async fn run_instances(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: RunInstancesRequest,
) -> Result<Reservation, ApiError> {
    refuse_unserved(&input)?;
    let count = count(&input)?;
    let template = template(&inventory, &call, &input)?;
    let wanted = input.private_ip_address.as_deref().map(|text| address(text, count)).transpose()?;
    let names: Vec<String> = (0..count).map(|_| format!("i-0{}", inventory.world.hex_id(16))).collect();
    let settle = inventory.settings.settle;
    let instances = inventory
        .catalog
        .change::<_, ApiError>(|state| {
            if let Some(before) = earlier(state, &template, count)? {
                return Ok((Vec::new(), before));
            }
            let visible = state.instances.values().filter(|instance| instance.visible(settle, call.at)).count();
            if visible + names.len() > INSTANCES {
                return Err(over_limit());
            }
            dry_run(input.dry_run)?;
            let (instances, next_address) = place(&inventory, &call, state, &template, names, wanted)?;
            Ok((vec![Change::Launched { instances: instances.clone(), next_address }], instances))
        })
        .await?;
    let reservation = instances.first().map_or_else(String::new, |first| first.reservation.clone());
    let shapes = instances.iter().map(|instance| {
        let phase = instance.phase_at(settle, call.at);
        // The answer to the launch itself says pending, however fast the instance settles.
        shape::instance(&inventory, instance, if instance.since == call.at { Phase::Pending } else { phase })
    });
    Ok(shape::reservation(&inventory, &reservation, shapes.collect()))
}

/// What EC2 would neither do here nor show again is refused, by name.
fn refuse_unserved(input: &RunInstancesRequest) -> Result<(), ApiError> {
    let given = [
        ("AdditionalInfo", input.additional_info.is_some()),
        ("BlockDeviceMapping", input.block_device_mappings.is_some()),
        ("CapacityReservationSpecification", input.capacity_reservation_specification.is_some()),
        ("CpuOptions", input.cpu_options.is_some()),
        ("CreditSpecification", input.credit_specification.is_some()),
        ("DisableApiStop", input.disable_api_stop == Some(true)),
        ("DisableApiTermination", input.disable_api_termination == Some(true)),
        ("ElasticGpuSpecification", input.elastic_gpu_specification.is_some()),
        ("ElasticInferenceAccelerator", input.elastic_inference_accelerators.is_some()),
        ("EnablePrimaryIpv6", input.enable_primary_ipv6 == Some(true)),
        ("EnclaveOptions", input.enclave_options.is_some()),
        ("HibernationOptions", input.hibernation_options.is_some()),
        (
            "InstanceInitiatedShutdownBehavior",
            input.instance_initiated_shutdown_behavior == Some(ShutdownBehavior::Terminate),
        ),
        ("InstanceMarketOptions", input.instance_market_options.is_some()),
        ("Ipv6AddressCount", input.ipv6_address_count.is_some()),
        ("Ipv6Address", input.ipv6_addresses.is_some()),
        ("KernelId", input.kernel_id.is_some()),
        ("LaunchTemplate", input.launch_template.is_some()),
        ("LicenseSpecification", input.license_specifications.is_some()),
        ("MaintenanceOptions", input.maintenance_options.is_some()),
        ("MetadataOptions", input.metadata_options.is_some()),
        ("NetworkInterface", input.network_interfaces.is_some()),
        ("NetworkPerformanceOptions", input.network_performance_options.is_some()),
        ("Operator", input.operator.is_some()),
        ("PrivateDnsNameOptions", input.private_dns_name_options.is_some()),
        ("RamdiskId", input.ramdisk_id.is_some()),
        ("SecondaryInterface", input.secondary_interfaces.is_some()),
        ("UserData", input.user_data.is_some()),
    ];
    given.iter().find(|(_, given)| *given).map_or(Ok(()), |(name, _)| Err(unsupported(name)))
}

fn count(input: &RunInstancesRequest) -> Result<usize, ApiError> {
    let invalid = |count: i32, name: &str, why: &str| {
        INVALID_VALUE.because(format!("Value ({count}) for parameter {name} is invalid. {why}"))
    };
    let (min, max) = (input.min_count, input.max_count);
    if min < 1 {
        return Err(invalid(min, "minCount", "Minimum value is 1."));
    }
    if max < min {
        return Err(invalid(max, "maxCount", "It must be at least the value of minCount."));
    }
    // Before as many ids are made.
    match max as usize {
        count if count > INSTANCES => Err(over_limit()),
        count => Ok(count),
    }
}

fn over_limit() -> ApiError {
    INSTANCE_LIMIT.because(format!("You have requested more instances than your current limit of {INSTANCES} allows."))
}

fn address(text: &str, count: usize) -> Result<Ipv4Addr, ApiError> {
    if count > 1 {
        let why = "The parameter privateIpAddress cannot be used when launching more than one instance";
        return Err(INVALID_COMBINATION.because(why));
    }
    text.parse().map_err(|_| INVALID_VALUE.because(format!("Invalid IP address: {text}")))
}

/// What all instances of the call have in common.
fn template(inventory: &Inventory, call: &Call, input: &RunInstancesRequest) -> Result<Instance, ApiError> {
    let home = &inventory.home;
    let image = input.image_id.clone().ok_or_else(|| missing("ImageId"))?;
    check_image(&image)?;
    let kind = input.instance_type.clone().unwrap_or_else(|| DEFAULT_TYPE.to_owned());
    if !is_type(&kind) {
        return Err(INVALID_VALUE.because(format!("Invalid value '{kind}' for InstanceType.")));
    }
    let zone = zone(inventory, input.placement.as_ref())?;
    if input.subnet_id.as_deref().is_some_and(|id| !ids::is(id, "subnet-")) {
        let id = input.subnet_id.as_deref().unwrap_or_default();
        return Err(INVALID_VALUE.because(format!("Invalid id: \"{id}\" (expecting \"subnet-...\")")));
    }
    Ok(Instance {
        id: String::new(),
        reservation: format!("r-0{}", inventory.world.hex_id(16)),
        launch_index: 0,
        image,
        kind,
        key_name: input.key_name.clone(),
        client_token: input.client_token.clone(),
        subnet: input.subnet_id.clone().unwrap_or_else(|| network::subnet(home, &zone)),
        zone,
        vpc: network::vpc(home),
        address: Ipv4Addr::UNSPECIFIED,
        groups: groups(inventory, input)?,
        profile: profile(inventory, input)?,
        monitoring: input.monitoring.as_ref().is_some_and(|monitoring| monitoring.enabled),
        ebs_optimized: input.ebs_optimized.unwrap_or(false),
        launched: call.at,
        phase: Phase::Pending,
        since: call.at,
        tags: instance_tags(input.tag_specifications.as_deref().unwrap_or_default())?,
    })
}

fn is_type(kind: &str) -> bool {
    let fine = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    kind.len() <= 64 && kind.split_once('.').is_some_and(|(family, size)| fine(family) && fine(size))
}

fn zone(inventory: &Inventory, placement: Option<&Placement>) -> Result<String, ApiError> {
    let region = inventory.home.region.as_str();
    let default = || format!("{region}a");
    let Some(placement) = placement else { return Ok(default()) };
    let served = Placement {
        availability_zone: placement.availability_zone.clone(),
        tenancy: placement.tenancy.filter(|tenancy| *tenancy == Tenancy::Default),
        ..Placement::default()
    };
    if *placement != served {
        return Err(unsupported("Placement (other than AvailabilityZone)"));
    }
    let Some(zone) = &placement.availability_zone else { return Ok(default()) };
    let letter = zone.strip_prefix(region).unwrap_or_default();
    if letter.len() != 1 || !letter.bytes().all(|b| b.is_ascii_lowercase()) {
        let why = format!("The zone '{zone}' does not exist.");
        return Err(ZONE_INVALID.because(why));
    }
    Ok(zone.clone())
}

/// Only the default group has a name here; ids are taken as given.
fn groups(inventory: &Inventory, input: &RunInstancesRequest) -> Result<Vec<Group>, ApiError> {
    let default = network::default_group(&inventory.home);
    let mut out = Vec::new();
    for name in input.security_groups.iter().flatten() {
        if *name != default.name {
            let vpc = network::vpc(&inventory.home);
            let why = format!("The security group '{name}' does not exist in default VPC '{vpc}'");
            return Err(GROUP_NOT_FOUND.because(why));
        }
        out.push(default.clone());
    }
    for id in input.security_group_ids.iter().flatten() {
        if !ids::is(id, "sg-") {
            return Err(GROUP_NOT_FOUND.because(format!("The security group '{id}' does not exist")));
        }
        let known = *id == default.id;
        out.push(if known { default.clone() } else { Group { id: id.clone(), name: id.clone() } });
    }
    if out.is_empty() {
        out.push(default);
    }
    Ok(out)
}

fn profile(inventory: &Inventory, input: &RunInstancesRequest) -> Result<Option<Profile>, ApiError> {
    let Some(given) = &input.iam_instance_profile else { return Ok(None) };
    let arn = match (&given.arn, &given.name) {
        (Some(arn), None) => arn.clone(),
        (None, Some(name)) => inventory.home.global_arn("iam", &format!("instance-profile/{name}")).to_string(),
        _ => {
            let why = "The parameter iamInstanceProfile must have either an arn or a name";
            return Err(INVALID_COMBINATION.because(why));
        }
    };
    let id = stable("AIPA", &arn).to_ascii_uppercase();
    Ok(Some(Profile { arn, id }))
}

fn instance_tags(specifications: &[TagSpecification]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut out = BTreeMap::new();
    for specification in specifications {
        match specification.resource_type.as_deref() {
            Some("instance") => {}
            Some(other) => return Err(unsupported(&format!("TagSpecification for the resource type {other}"))),
            None => return Err(missing("TagSpecification.N.ResourceType")),
        }
        out.extend(tags::check(specification.tags.clone().unwrap_or_default())?);
    }
    tags::fit(&BTreeMap::new(), &out)?;
    Ok(out)
}

/// What an earlier call with the same client token launched.
/// Source: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
fn earlier(state: &State, template: &Instance, count: usize) -> Result<Option<Vec<Instance>>, ApiError> {
    if template.client_token.is_none() {
        return Ok(None);
    }
    let same = state.instances.values().filter(|instance| instance.client_token == template.client_token);
    let before: Vec<Instance> = same.cloned().collect();
    let Some(first) = before.first() else { return Ok(None) };
    if before.len() != count || (&first.image, &first.kind) != (&template.image, &template.kind) {
        let why = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
        return Err(IDEMPOTENT_MISMATCH.because(why));
    }
    Ok(Some(before))
}

/// The instances with their ids and addresses, and where the search for addresses goes on.
fn place(
    inventory: &Inventory,
    call: &Call,
    state: &State,
    template: &Instance,
    names: Vec<String>,
    wanted: Option<Ipv4Addr>,
) -> Result<(Vec<Instance>, u32), ApiError> {
    let settle = inventory.settings.settle;
    let alive = |instance: &&Instance| instance.phase_at(settle, call.at) != Phase::Terminated;
    let mut used: BTreeSet<Ipv4Addr> =
        state.instances.values().filter(alive).map(|instance| instance.address).collect();
    let mut next = state.next_address;
    let mut out = Vec::with_capacity(names.len());
    for (index, id) in names.into_iter().enumerate() {
        let address = match wanted {
            Some(address) if used.contains(&address) => {
                return Err(IP_IN_USE.because(format!("Address {address} is in use.")));
            }
            Some(address) => address,
            None => {
                let full = || INSTANCE_LIMIT.because("The default VPC has no free address left.");
                let (address, behind) = network::next_free(next, &used).ok_or_else(full)?;
                next = behind;
                address
            }
        };
        used.insert(address);
        out.push(Instance { id, launch_index: index as i32, address, ..template.clone() });
    }
    Ok((out, next))
}
