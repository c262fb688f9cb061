//! Provisioned concurrency: processes that are there before anybody calls, and stay.
#![allow(clippy::unwrap_used)]

mod scripted;

use scripted::{Act, House};
use serde_json::{Value, json};
use std::time::Duration;

fn of(qualifier: &str) -> Value {
    json!({"FunctionName": "f", "Qualifier": qualifier})
}

async fn provision(house: &House, qualifier: &str, count: u32) -> Value {
    let mut input = of(qualifier);
    input["ProvisionedConcurrentExecutions"] = json!(count);
    house.ask("PutProvisionedConcurrencyConfig", input).await
}

async fn ready(house: &House, qualifier: &str) -> Value {
    for _ in 0..100 {
        let got = house.ask("GetProvisionedConcurrencyConfig", of(qualifier)).await;
        if got["Status"] == "READY" {
            return got;
        }
        house.pass(1).await;
    }
    panic!("it is never ready");
}

#[tokio::test(start_paused = true)]
async fn processes_are_there_before_the_first_call_and_stay() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"Publish": true})).await;
    assert_eq!(provision(&house, "1", 3).await["Status"], "IN_PROGRESS");
    let got = ready(&house, "1").await;
    let counts = ["Requested", "Allocated", "Available"]
        .map(|what| got[format!("{what}ProvisionedConcurrentExecutions")].clone());
    assert_eq!(counts, [3, 3, 3]);
    let started = house.started();
    house.invoke("f:1", json!(1)).await;
    house.pass(7200).await;
    house.invoke("f:1", json!(1)).await;
    assert_eq!(house.started(), started, "none was started for a call, and none ended for want of one");
    assert_eq!(house.metric("ProvisionedConcurrencyInvocations", 1).1, 2);
    let kinds = |house: &House| house.seen(|seen| seen.env["AWS_LAMBDA_INITIALIZATION_TYPE"].clone());
    assert_eq!(kinds(&house), ["provisioned-concurrency"; 2]);
    house.invoke("f", json!(1)).await;
    assert_eq!(kinds(&house).last().unwrap(), "on-demand", "$LATEST has none");
    let started = house.started();
    // One that ends is replaced.
    house.script(|_| Act::Exit(1));
    house.invoke("f:1", json!(1)).await;
    house.pass(10).await;
    ready(&house, "1").await;
    assert_eq!(house.started(), started + 1);
    // So are all of them after a restart.
    let house = house.restart().await;
    ready(&house, "1").await;
    let listed = house.ask("ListProvisionedConcurrencyConfigs", json!({"FunctionName": "f"})).await;
    assert_eq!(
        listed["ProvisionedConcurrencyConfigs"][0]["FunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f:1"
    );
    house.ask("DeleteProvisionedConcurrencyConfig", of("1")).await;
    let (code, _) = house.refused("GetProvisionedConcurrencyConfig", of("1")).await;
    assert_eq!(code, "ProvisionedConcurrencyConfigNotFoundException");
    house.pass(7200).await;
    assert!(house.functions.status()[0]["processes"].as_u64().unwrap() <= 1, "they end as any that nobody needs");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_provisioned_is_refused() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"Publish": true})).await;
    let put = |qualifier: &str, count: u32| json!({"FunctionName": "f", "Qualifier": qualifier, "ProvisionedConcurrentExecutions": count});
    let (code, _) = house.refused("PutProvisionedConcurrencyConfig", put("$LATEST", 1)).await;
    assert_eq!(code, "InvalidParameterValueException");
    let (_, message) = house.refused("PutProvisionedConcurrencyConfig", put("1", 901)).await;
    assert!(message.ends_with("[100]."), "{message}");
    house.ask("PutFunctionConcurrency", json!({"FunctionName": "f", "ReservedConcurrentExecutions": 2})).await;
    let (_, message) = house.refused("PutProvisionedConcurrencyConfig", put("1", 3)).await;
    assert!(message.contains("reservedConcurrentExecution"), "{message}");
    house.ask("CreateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"})).await;
    provision(&house, "live", 2).await;
    assert_eq!(ready(&house, "live").await["AllocatedProvisionedConcurrentExecutions"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_provisioned_spills_over() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"Publish": true})).await;
    provision(&house, "1", 1).await;
    house.pass(10).await;
    ready(&house, "1").await;
    house.script(|_| Act::After(Duration::from_secs(2), Box::new(Act::Answer(json!(1)))));
    tokio::join!(house.invoke("f:1", json!(1)), house.invoke("f:1", json!(2)));
    for name in ["ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations"] {
        assert_eq!(house.metric(name, 1).1, 1, "{name}");
    }
    // However they were run, they are counted, timed and seen to run at once.
    assert_eq!(house.metric("Invocations", 1), (2, 2));
    let (timed, milliseconds) = house.metric("Duration", 1);
    assert!(timed == 2 && (4000..4100).contains(&milliseconds), "{timed}, {milliseconds}");
    for (name, dimensions) in [("ConcurrentExecutions", 1), ("UnreservedConcurrentExecutions", 0)] {
        assert_eq!(house.metric(name, dimensions), (2, 1 + 2), "{name}");
    }
}
