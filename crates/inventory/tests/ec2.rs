//! EC2's operations, asked in process, the clock moved by hand.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use shapes::ec2::{
    CreateTagsOp, DeleteTagsOp, DescribeInstancesOp, DescribeTagsOp, Instance, InstanceStateChange, InstanceStateName,
    Reservation, RunInstancesOp, StartInstancesOp, StopInstancesOp, TerminateInstancesOp,
};
use std::time::Duration;
use support::{House, code};

const RUN: [(&str, &str); 3] = [("ImageId", "ami-12345678"), ("MinCount", "1"), ("MaxCount", "1")];

async fn run(house: &House, more: &[(&str, &str)]) -> Reservation {
    let input = RUN.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).copied();
    let input: Vec<_> = input.chain(more.iter().copied()).collect();
    house.ask::<RunInstancesOp>(&input).await.unwrap()
}

fn id(reservation: &Reservation) -> String {
    reservation.instances.as_ref().unwrap()[0].instance_id.clone().unwrap()
}

async fn see(house: &House, input: &[(&str, &str)]) -> Vec<Instance> {
    let reservations = house.ask::<DescribeInstancesOp>(input).await.unwrap().reservations.unwrap();
    reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap()).collect()
}

fn states(change: &InstanceStateChange) -> (InstanceStateName, InstanceStateName) {
    let name = |state: &Option<shapes::ec2::InstanceState>| state.as_ref().unwrap().name.unwrap();
    (name(&change.previous_state), name(&change.current_state))
}

fn state(instance: &Instance) -> InstanceStateName {
    instance.state.as_ref().unwrap().name.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_instance_lives_and_its_tags_outlive_it_by_an_hour() {
    let house = House::new(Duration::from_secs(1)).await;
    let tags = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "Type"),
        ("TagSpecification.1.Tag.1.Value", "Production"),
    ];
    let reservation = run(&house, &tags).await;
    let id = id(&reservation);
    assert!(id.starts_with("i-0") && id.len() == 19, "{id}");
    let launched = &reservation.instances.unwrap()[0];
    assert_eq!(state(launched), InstanceStateName::Pending);
    assert_eq!(launched.instance_type.as_deref(), Some("m1.small"));
    assert_eq!(launched.private_dns_name.as_deref(), Some("ip-172-31-0-4.ec2.internal"));
    let one = [("InstanceId.1", id.as_str())];
    assert_eq!(state(&see(&house, &one).await[0]), InstanceStateName::Pending);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(state(&see(&house, &one).await[0]), InstanceStateName::Running);

    let ended = house.ask::<TerminateInstancesOp>(&one).await.unwrap().terminating_instances.unwrap();
    assert_eq!(states(&ended[0]), (InstanceStateName::Running, InstanceStateName::ShuttingDown));
    tokio::time::advance(Duration::from_secs(1)).await;
    let again = house.ask::<TerminateInstancesOp>(&one).await.unwrap().terminating_instances.unwrap();
    assert_eq!(states(&again[0]), (InstanceStateName::Terminated, InstanceStateName::Terminated));

    tokio::time::advance(Duration::from_secs(3599)).await;
    let gone = see(&house, &one).await;
    assert_eq!(state(&gone[0]), InstanceStateName::Terminated);
    assert_eq!(gone[0].private_ip_address, None);
    assert_eq!(gone[0].tags.as_ref().unwrap()[0].value.as_deref(), Some("Production"));
    let tags = house.ask::<DescribeTagsOp>(&[("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", &id)]).await;
    assert_eq!(tags.unwrap().tags.unwrap()[0].key.as_deref(), Some("Type"));
    tokio::time::advance(Duration::from_secs(2)).await;
    let error = code(house.ask::<DescribeInstancesOp>(&one).await);
    assert_eq!(error, ("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")));
}

#[tokio::test(start_paused = true)]
async fn the_sweep_forgets_what_no_longer_shows() {
    let house = House::new(Duration::ZERO).await;
    let id = id(&run(&house, &[]).await);
    house.ask::<TerminateInstancesOp>(&[("InstanceId.1", &id)]).await.unwrap();
    house.inventory.start();
    house.world.clock.sleep(Duration::from_secs(3700)).await;
    house.world.tasks.shut_down(Duration::from_secs(1)).await;
    let House { world, disk, store, inventory } = house;
    store.close().await;
    drop((store, inventory));
    let house = House::open(world, disk, Duration::from_secs(86_400)).await;
    // With a settling time of a day it would show again, if it were still there.
    assert_eq!(see(&house, &[]).await, []);
}

#[tokio::test(start_paused = true)]
async fn states_move_as_at_aws() {
    let house = House::new(Duration::ZERO).await;
    let id = id(&run(&house, &[]).await);
    let one = [("InstanceId.1", id.as_str())];
    let stopped = house.ask::<StopInstancesOp>(&one).await.unwrap().stopping_instances.unwrap();
    assert_eq!(states(&stopped[0]), (InstanceStateName::Running, InstanceStateName::Stopping));
    let started = house.ask::<StartInstancesOp>(&one).await.unwrap().starting_instances.unwrap();
    assert_eq!(states(&started[0]), (InstanceStateName::Stopped, InstanceStateName::Pending));
    house.ask::<TerminateInstancesOp>(&one).await.unwrap();
    let why = format!("The instance '{id}' is not in a state from which it can be started.");
    assert_eq!(code(house.ask::<StartInstancesOp>(&one).await), ("IncorrectInstanceState", why));
    let dry = code(house.ask::<TerminateInstancesOp>(&[one[0], ("DryRun", "true")]).await);
    assert_eq!(dry.0, "DryRunOperation");
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_wrong_change_nothing() {
    let house = House::new(Duration::ZERO).await;
    let id = id(&run(&house, &[]).await);
    let both = [("InstanceId.1", id.as_str()), ("InstanceId.2", "i-00000000000000000")];
    let error = code(house.ask::<TerminateInstancesOp>(&both).await);
    assert_eq!(error.1, "The instance ID 'i-00000000000000000' does not exist");
    let bad = code(house.ask::<TerminateInstancesOp>(&[("InstanceId.1", "web")]).await);
    assert_eq!(bad, ("InvalidInstanceID.Malformed", "Invalid id: \"web\"".into()));
    assert_eq!(state(&see(&house, &[]).await[0]), InstanceStateName::Running);
}

#[tokio::test(start_paused = true)]
async fn launches_are_checked() {
    let house = House::new(Duration::ZERO).await;
    for (input, expected) in [
        (vec![("ImageId", "web")], "InvalidAMIID.Malformed"),
        (vec![("MinCount", "0")], "InvalidParameterValue"),
        (vec![("MinCount", "3")], "InvalidParameterValue"),
        (vec![("MaxCount", "2147483647")], "InstanceLimitExceeded"),
        (vec![("InstanceType", "large")], "InvalidParameterValue"),
        (vec![("UserData", "IyE=")], "UnsupportedOperation"),
        (vec![("Placement.AvailabilityZone", "eu-west-1a")], "InvalidZone.NotFound"),
        (vec![("SecurityGroup.1", "web")], "InvalidGroup.NotFound"),
        (vec![("TagSpecification.1.ResourceType", "volume")], "UnsupportedOperation"),
        (vec![("DryRun", "true")], "DryRunOperation"),
    ] {
        let all = RUN.iter().filter(|(name, _)| input.iter().all(|(other, _)| other != name)).copied();
        let all: Vec<_> = all.chain(input.iter().copied()).collect();
        assert_eq!(code(house.ask::<RunInstancesOp>(&all).await).0, expected, "{input:?}");
    }
    assert_eq!(code(house.ask::<RunInstancesOp>(&RUN[1..]).await).0, "MissingParameter");
    assert_eq!(see(&house, &[]).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_client_token_launches_once() {
    let house = House::new(Duration::ZERO).await;
    let token = [("ClientToken", "t"), ("MaxCount", "2")];
    let first = run(&house, &token).await;
    assert_eq!(first.instances.as_ref().unwrap().len(), 2);
    assert_eq!(run(&house, &token).await.reservation_id, first.reservation_id);
    assert_eq!(see(&house, &[]).await.len(), 2);
    let other = [RUN[0], RUN[1], RUN[2], ("ClientToken", "t"), ("InstanceType", "t3.micro")];
    assert_eq!(code(house.ask::<RunInstancesOp>(&other).await).0, "IdempotentParameterMismatch");
}

#[tokio::test(start_paused = true)]
async fn filters_and_pages() {
    let house = House::new(Duration::ZERO).await;
    let first = id(&run(&house, &[("InstanceType", "t4g.nano")]).await);
    run(&house, &[("MaxCount", "6")]).await;
    let tag = [("ResourceId.1", first.as_str()), ("Tag.1.Key", "Type"), ("Tag.1.Value", "Production")];
    house.ask::<CreateTagsOp>(&tag).await.unwrap();
    for (filter, value, expected) in [
        ("tag:Type", "Prod*", 1),
        ("tag-key", "Type", 1),
        ("tag:Type", "Test", 0),
        ("instance-type", "t?g.nano", 1),
        ("architecture", "arm64", 1),
        ("instance-state-name", "running", 7),
        ("private-ip-address", "172.31.0.4", 1),
        ("image-id", "ami-12345678", 7),
    ] {
        let found = see(&house, &[("Filter.1.Name", filter), ("Filter.1.Value.1", value)]).await;
        assert_eq!(found.len(), expected, "{filter} {value}");
    }
    let bad = code(house.ask::<DescribeInstancesOp>(&[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "x")]).await);
    assert_eq!(bad, ("InvalidParameterValue", "The filter 'colour' is invalid".into()));

    let page = house.ask::<DescribeInstancesOp>(&[("MaxResults", "5")]).await.unwrap();
    let token = page.next_token.unwrap();
    let rest = house.ask::<DescribeInstancesOp>(&[("MaxResults", "5"), ("NextToken", &token)]).await.unwrap();
    let count = |reservations: Option<Vec<Reservation>>| {
        reservations.unwrap().iter().map(|reservation| reservation.instances.as_ref().unwrap().len()).sum::<usize>()
    };
    assert_eq!((count(page.reservations), count(rest.reservations), rest.next_token), (5, 2, None));
    let both = [("MaxResults", "5"), ("InstanceId.1", first.as_str())];
    assert_eq!(code(house.ask::<DescribeInstancesOp>(&both).await).0, "InvalidParameterCombination");
}

#[tokio::test(start_paused = true)]
async fn tags_have_rules_and_survive_a_crash() {
    let house = House::new(Duration::ZERO).await;
    let id = id(&run(&house, &[]).await);
    let on = ("ResourceId.1", id.as_str());
    let long = "k".repeat(129);
    for (key, expected) in [("aws:x", "InvalidParameterValue"), (long.as_str(), "InvalidParameterValue")] {
        let error = code(house.ask::<CreateTagsOp>(&[on, ("Tag.1.Key", key), ("Tag.1.Value", "v")]).await);
        assert_eq!(error.0, expected, "{key}");
    }
    let volume = [("ResourceId.1", "vol-12345678"), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")];
    assert_eq!(code(house.ask::<CreateTagsOp>(&volume).await).0, "InvalidID");
    let keys: Vec<(String, String)> = (1..=50).map(|n| (format!("Tag.{n}.Key"), format!("k{n}"))).collect();
    let mut fifty = vec![on];
    fifty.extend(keys.iter().map(|(name, key)| (name.as_str(), key.as_str())));
    house.ask::<CreateTagsOp>(&fifty).await.unwrap();
    let more = [on, ("Tag.1.Key", "more"), ("Tag.1.Value", "v")];
    assert_eq!(code(house.ask::<CreateTagsOp>(&more).await).0, "TagLimitExceeded");
    house.ask::<DeleteTagsOp>(&[on, ("Tag.1.Key", "k1"), ("Tag.1.Value", "other")]).await.unwrap();
    house.ask::<DeleteTagsOp>(&[on, ("Tag.1.Key", "k2")]).await.unwrap();

    let House { world, disk, store, inventory } = house;
    store.close().await;
    drop((store, inventory));
    disk.crash();
    let house = House::open(world, disk, Duration::ZERO).await;
    let tags = see(&house, &[]).await[0].tags.clone().unwrap();
    assert_eq!(tags.len(), 49);
    assert!(tags.iter().any(|tag| tag.key.as_deref() == Some("k1")), "its value was another");
    house.ask::<DeleteTagsOp>(&[on]).await.unwrap();
    assert_eq!(see(&house, &[]).await[0].tags, None);
}

#[tokio::test(start_paused = true)]
async fn every_operation_of_the_model_has_a_handler() {
    let service = House::new(Duration::ZERO).await.inventory.service();
    let operations = service.model().operations.iter().filter(|entry| entry.model.is_some());
    assert_eq!(service.served(), operations.map(|entry| entry.name).collect::<Vec<_>>());
}
