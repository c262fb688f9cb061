//! What a call leaves behind.

use crate::support::{House, alice};
use audit::Settings;
use delivery::attribute;
use names::{Account, Caller, CallerKind};
use serde_json::{Value as Json, json};
use shapes::ec2::{
    InstanceState, InstanceStateChange, InstanceStateName, TerminateInstancesOp, TerminateInstancesRequest,
    TerminateInstancesResult,
};
use shapes::{ec2, iam, lambda, sts};
use wire::{ErrorModel, Fault, Observer, Value};

static NOT_FOUND: ErrorModel = ErrorModel {
    name: "InvalidInstanceID.NotFound",
    code: "InvalidInstanceID.NotFound",
    status: 400,
    fault: Fault::Client,
};

fn terminate() -> (TerminateInstancesRequest, TerminateInstancesResult) {
    let state = |code, name| Some(InstanceState { code: Some(code), name: Some(name) });
    let change = InstanceStateChange {
        instance_id: Some("i-01".into()),
        current_state: state(32, InstanceStateName::ShuttingDown),
        previous_state: state(16, InstanceStateName::Running),
    };
    let input = TerminateInstancesRequest { instance_ids: vec!["i-01".into()], ..Default::default() };
    (input, TerminateInstancesResult { terminating_instances: Some(vec![change]) })
}

#[tokio::test(start_paused = true)]
async fn a_termination_reaches_the_bus_as_cloudtrail_tells_it() {
    let house = House::new(Settings::default()).await;
    let (input, output) = terminate();
    house.tell::<TerminateInstancesOp>(&ec2::SERVICE, alice(), input, Ok(output)).await;
    let events = house.events().await;
    assert_eq!(events.len(), 1);
    let mut event = events[0].clone();
    let id = event["id"].take();
    let event_id = event["detail"]["eventID"].take();
    assert!(id != event_id && id.as_str().unwrap().len() == 36, "{id} {event_id}");
    let item = json!({
        "instanceId": "i-01",
        "currentState": { "code": 32, "name": "shutting-down" },
        "previousState": { "code": 16, "name": "running" },
    });
    let expected = json!({
        "version": "0",
        "id": null,
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": "000000000000",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": "AIDA1",
                "arn": "arn:aws:iam::000000000000:user/alice",
                "accountId": "000000000000",
                "accessKeyId": "AKIA1",
                "userName": "alice",
            },
            "eventTime": "2026-01-01T00:00:00Z",
            "eventSource": "ec2.amazonaws.com",
            "eventName": "TerminateInstances",
            "awsRegion": "us-east-1",
            "sourceIPAddress": "10.0.0.7",
            "userAgent": "Boto3/1",
            "requestParameters": { "instancesSet": { "items": [{ "instanceId": "i-01" }] } },
            "responseElements": { "requestId": "r-1", "instancesSet": { "items": [item] } },
            "requestID": "r-1",
            "eventID": null,
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": "000000000000",
            "eventCategory": "Management",
        },
    });
    assert_eq!(event, expected);
}

#[tokio::test(start_paused = true)]
async fn the_event_survives_a_crash_right_after_the_call() {
    let house = House::new(Settings::default()).await;
    let (input, output) = terminate();
    house.tell::<TerminateInstancesOp>(&ec2::SERVICE, alice(), input, Ok(output)).await;
    let House { world, disk, .. } = house;
    disk.crash();
    let house = House::open(world, disk, Settings::default()).await;
    assert_eq!(house.events().await.len(), 1);
    assert_eq!(house.look_up(json!({})).await.unwrap().events.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_tell_their_code_and_no_response() {
    let house = House::new(Settings::default()).await;
    let error = NOT_FOUND.because("The instance ID 'i-01' does not exist");
    house.tell::<TerminateInstancesOp>(&ec2::SERVICE, alice(), terminate().0, Err(error)).await;
    let detail = house.events().await[0]["detail"].clone();
    assert_eq!(detail["errorCode"], "Client.InvalidInstanceID.NotFound");
    assert_eq!(detail["errorMessage"], "The instance ID 'i-01' does not exist");
    assert_eq!(detail["responseElements"], Json::Null);
}

#[tokio::test(start_paused = true)]
async fn read_only_calls_are_recorded_and_sent_only_where_asked_for() {
    for (read_only_events, expected) in [(false, 0), (true, 1)] {
        let house = House::new(Settings { read_only_events }).await;
        let (input, output) = (Default::default(), Ok(Default::default()));
        house.tell::<ec2::DescribeInstancesOp>(&ec2::SERVICE, alice(), input, output).await;
        let sent = house.sent().await;
        assert_eq!(sent.len(), expected);
        // Rules in the state ENABLED do not see them.
        assert!(sent.iter().all(|e| e.attributes.get(attribute::READ_ONLY).is_some_and(|v| v == "true")));
        let events = house.look_up(json!({})).await.unwrap().events.unwrap();
        assert_eq!(events[0].read_only.as_deref(), Some("true"));
        let record: Json = serde_json::from_str(events[0].cloud_trail_event.as_ref().unwrap()).unwrap();
        assert_eq!((&record["readOnly"], &record["responseElements"]), (&json!(true), &Json::Null));
    }
}

#[tokio::test(start_paused = true)]
async fn data_plane_calls_are_not_wanted() {
    let house = House::new(Settings::default()).await;
    assert!(!house.audit.wants("kinesis", "PutRecord"));
    assert!(!house.audit.wants("events", "PutEvents"));
    assert!(house.audit.wants("kinesis", "CreateStream"));
}

#[tokio::test(start_paused = true)]
async fn secrets_stay_out_and_sessions_are_told_with_their_issuer() {
    let house = House::new(Settings::default()).await;
    let session = Caller {
        kind: CallerKind::AssumedRole {
            role: "worker".into(),
            role_arn: "arn:aws:iam::000000000000:role/worker".into(),
            role_id: "AROA1".into(),
            session: "s1".into(),
        },
        account: Account::parse("000000000000").unwrap(),
        arn: "arn:aws:sts::000000000000:assumed-role/worker/s1".into(),
        principal_id: "AROA1:s1".into(),
        access_key_id: "ASIA1".into(),
    };
    let key = iam::AccessKey {
        user_name: "alice".into(),
        access_key_id: "AKIA2".into(),
        secret_access_key: "hush".into(),
        ..Default::default()
    };
    let output = iam::CreateAccessKeyResponse { access_key: key };
    let input = iam::CreateAccessKeyRequest { user_name: Some("alice".into()) };
    house.tell::<iam::CreateAccessKeyOp>(&iam::SERVICE, session, input, Ok(output)).await;
    let events = house.events().await;
    assert!(!events[0].to_string().contains("hush"), "{}", events[0]);
    let detail = &events[0]["detail"];
    assert_eq!(detail["responseElements"]["accessKey"]["accessKeyId"], "AKIA2");
    assert_eq!(detail["userIdentity"]["type"], "AssumedRole");
    let issuer = &detail["userIdentity"]["sessionContext"]["sessionIssuer"];
    assert_eq!(issuer["arn"], "arn:aws:iam::000000000000:role/worker");
    assert_eq!(issuer["userName"], "worker");
}

#[tokio::test(start_paused = true)]
async fn services_of_the_house_and_dated_names() {
    let house = House::new(Settings::default()).await;
    let service = Caller::service(&Account::parse("000000000000").unwrap(), "lambda.amazonaws.com");
    let input =
        sts::AssumeRoleRequest { role_arn: "arn:aws:iam::000000000000:role/worker".into(), ..Default::default() };
    let credentials = sts::Credentials {
        access_key_id: "ASIA1".into(),
        secret_access_key: "hush".into(),
        session_token: "hush".into(),
        ..Default::default()
    };
    let output = sts::AssumeRoleResponse { credentials: Some(credentials), ..Default::default() };
    house.tell::<sts::AssumeRoleOp>(&sts::SERVICE, service, input, Ok(output)).await;
    let large = Value::Text("x".repeat(200 << 10));
    let input = lambda::DeleteFunctionRequest { function_name: large.as_text().unwrap().into(), ..Default::default() };
    house.tell::<lambda::DeleteFunctionOp>(&lambda::SERVICE, alice(), input, Ok(Default::default())).await;
    let events = house.events().await;
    let identity = json!({ "type": "AWSService", "invokedBy": "lambda.amazonaws.com" });
    assert_eq!(events[0]["detail"]["userIdentity"], identity);
    assert_eq!(events[0]["detail"]["responseElements"]["credentials"]["accessKeyId"], "ASIA1");
    assert!(!events[0].to_string().contains("hush"), "{}", events[0]);
    assert_eq!(events[0]["detail"]["sourceIPAddress"], "lambda.amazonaws.com");
    assert_eq!(events[1]["detail"]["eventName"], "DeleteFunction20150331");
    assert_eq!(events[1]["detail"]["requestParameters"]["omitted"], true);
}
