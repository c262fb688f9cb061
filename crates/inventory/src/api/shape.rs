//! Instances as EC2 shows them.

use crate::Inventory;
use crate::lifecycle::Phase;
use crate::network::host_name;
use crate::state::{Group, Instance};
use crate::tags;
use names::Timestamp;
use shapes::ec2::{
    self, ArchitectureValues, DeviceType, GroupIdentifier, HypervisorType, IamInstanceProfile, Monitoring,
    MonitoringState, Placement, Reservation, StateReason, Tenancy, VirtualizationType,
};

/// Instances (in the order of their launch) under their reservations.
pub(super) fn reservations<'a>(
    inventory: &Inventory,
    instances: impl Iterator<Item = &'a Instance>,
    now: Timestamp,
) -> Vec<Reservation> {
    let mut out: Vec<Reservation> = Vec::new();
    for found in instances {
        let shape = instance(inventory, found, found.phase_at(inventory.settings.settle, now));
        match out.last_mut() {
            Some(last) if last.reservation_id.as_deref() == Some(&found.reservation) => {
                last.instances.get_or_insert_default().push(shape);
            }
            _ => out.push(reservation(inventory, &found.reservation, vec![shape])),
        }
    }
    out
}

pub(super) fn reservation(inventory: &Inventory, id: &str, instances: Vec<ec2::Instance>) -> Reservation {
    Reservation {
        reservation_id: Some(id.to_owned()),
        owner_id: Some(inventory.home.account.to_string()),
        requester_id: None,
        groups: Some(Vec::new()),
        instances: Some(instances),
    }
}

pub(super) fn instance(inventory: &Inventory, instance: &Instance, phase: Phase) -> ec2::Instance {
    // Terminated instances have given back their place in the network.
    let placed = phase != Phase::Terminated;
    let (reason, transition) = reason(instance, phase);
    ec2::Instance {
        instance_id: Some(instance.id.clone()),
        image_id: Some(instance.image.clone()),
        state: Some(phase.shape()),
        private_dns_name: Some(if placed { host_name(&inventory.home, instance.address) } else { String::new() }),
        public_dns_name: Some(String::new()),
        state_transition_reason: Some(transition),
        state_reason: reason,
        key_name: instance.key_name.clone(),
        ami_launch_index: Some(instance.launch_index),
        product_codes: Some(Vec::new()),
        instance_type: Some(instance.kind.clone()),
        launch_time: Some(instance.launched),
        placement: Some(Placement {
            availability_zone: Some(instance.zone.clone()),
            group_name: Some(String::new()),
            tenancy: Some(Tenancy::Default),
            ..Placement::default()
        }),
        monitoring: Some(Monitoring { state: Some(monitoring(instance)), ..Monitoring::default() }),
        subnet_id: placed.then(|| instance.subnet.clone()),
        vpc_id: placed.then(|| instance.vpc.clone()),
        private_ip_address: placed.then(|| instance.address.to_string()),
        architecture: Some(architecture(&instance.kind)),
        block_device_mappings: Some(Vec::new()),
        client_token: Some(instance.client_token.clone().unwrap_or_default()),
        ebs_optimized: Some(instance.ebs_optimized),
        ena_support: Some(true),
        hypervisor: Some(HypervisorType::Xen),
        iam_instance_profile: instance
            .profile
            .as_ref()
            .map(|profile| IamInstanceProfile { arn: Some(profile.arn.clone()), id: Some(profile.id.clone()) }),
        network_interfaces: Some(Vec::new()),
        root_device_name: Some("/dev/xvda".to_owned()),
        root_device_type: Some(DeviceType::Ebs),
        security_groups: Some(if placed { instance.groups.iter().map(group).collect() } else { Vec::new() }),
        source_dest_check: placed.then_some(true),
        tags: (!instance.tags.is_empty()).then(|| tags::shape(&instance.tags)),
        virtualization_type: Some(VirtualizationType::Hvm),
        ..ec2::Instance::default()
    }
}

fn reason(instance: &Instance, phase: Phase) -> (Option<StateReason>, String) {
    match phase {
        Phase::Running => (None, String::new()),
        Phase::Pending => (because("pending", "pending"), String::new()),
        Phase::Stopping | Phase::Stopped | Phase::ShuttingDown | Phase::Terminated => {
            let code = "Client.UserInitiatedShutdown";
            let time = instance.since.iso_secs().replace('T', " ").replace('Z', " GMT");
            (because(code, &format!("{code}: User initiated shutdown")), format!("User initiated ({time})"))
        }
    }
}

fn because(code: &str, message: &str) -> Option<StateReason> {
    Some(StateReason { code: Some(code.to_owned()), message: Some(message.to_owned()) })
}

fn group(group: &Group) -> GroupIdentifier {
    GroupIdentifier { group_id: Some(group.id.clone()), group_name: Some(group.name.clone()) }
}

pub(super) fn monitoring(instance: &Instance) -> MonitoringState {
    if instance.monitoring { MonitoringState::Enabled } else { MonitoringState::Disabled }
}

/// Families on Arm carry a `g` after their generation (`t4g`, `m7gd`); `a1` came before that rule.
/// Source: <https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>
pub(super) fn architecture(kind: &str) -> ArchitectureValues {
    let family = kind.split('.').next().unwrap_or_default();
    let options = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    if family == "a1" || options.contains('g') { ArchitectureValues::Arm64 } else { ArchitectureValues::X86_64 }
}
