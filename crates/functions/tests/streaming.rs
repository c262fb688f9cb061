//! Responses in pieces: first bytes before last ones, and every way they can end.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

mod house;

use functions::runtime::{Chunk, FunctionSpec, InvokeOutcome, MAX_STREAM, Teller};
use house::House;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

/// Takes all of a response; gives its content type, its body and the outcome.
async fn all(house: &House, spec: &FunctionSpec, payload: &str) -> (Option<String>, Vec<u8>, InvokeOutcome) {
    let (sink, mut chunks) = mpsc::channel(1);
    let (mut kind, mut body) = (None, Vec::new());
    let take = async {
        while let Some(chunk) = chunks.recv().await {
            match chunk {
                Chunk::Begin(given) => kind = given,
                Chunk::Data(bytes) => body.extend_from_slice(&bytes),
            }
        }
    };
    let (outcome, ()) = tokio::join!(house.invoke_into(spec, payload, Some(sink)), take);
    (kind, body, outcome.unwrap())
}

#[tokio::test]
async fn the_first_piece_is_there_before_the_last_is_written() {
    let house = House::new();
    let spec = house.puppet("f");
    let seen = house.dir.path().join("seen");
    // The function goes on only when somebody has seen what it wrote first.
    let payload = json!({"stream": [["write", "one"], ["wait", seen], ["write", "two"]]}).to_string();
    let (sink, mut chunks) = mpsc::channel(1);
    let client = async {
        assert_eq!(chunks.recv().await, Some(Chunk::Begin(Some("text/plain".to_owned()))));
        assert_eq!(chunks.recv().await, Some(Chunk::Data("one".into())));
        tokio::fs::write(&seen, "").await.unwrap();
        assert_eq!(chunks.recv().await, Some(Chunk::Data("two".into())));
        assert_eq!(chunks.recv().await, None);
    };
    let (outcome, ()) = tokio::join!(house.invoke_into(&spec, &payload, Some(sink)), client);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.error, outcome.payload.len()), (None, 0), "{}", outcome.log_tail);
    assert!(outcome.log_tail.contains("END RequestId: "));
    let (answer, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(answer["calls"], 2, "the process goes on");
}

#[tokio::test]
async fn who_takes_it_whole_gets_it_whole() {
    let house = House::new();
    let spec = house.puppet("f");
    let outcome = house.invoke(&spec, r#"{"stream":[["write","one,"],["write","two"]]}"#).await.unwrap();
    assert_eq!((&outcome.payload[..], outcome.error), (&b"one,two"[..], None));
    let outcome = house.invoke(&spec, r#"{"stream":[["fill",7]]}"#).await.unwrap();
    assert_eq!(outcome.error.unwrap().error_type, "Function.ResponseSizeTooLarge");
    let (answer, outcome) = house.ask(&spec, r#"{"stream":[["write","one"],["fail","Sad.Function"]]}"#).await;
    assert_eq!(answer["errorMessage"], "half way");
    let error = outcome.error.unwrap();
    assert_eq!((error.error_type.as_str(), error.teller), ("Sad.Function", Teller::Function));
    // And what comes whole is not taken in pieces.
    let (kind, body, outcome) = all(&house, &spec, r#"{"do":"echo"}"#).await;
    assert_eq!((kind, body.len()), (None, 0));
    assert!(outcome.payload.starts_with(b"{") && outcome.error.is_none());
}

#[tokio::test]
async fn every_end_is_told() {
    let house = House::new();
    let mut spec = house.puppet("f");
    spec.timeout = Duration::from_secs(1);
    for (step, error_type, teller) in [
        (r#"["fail","Sad.Function"]"#, "Sad.Function", Teller::Midstream),
        (r#"["sleep",0.1],["exit",3]"#, "Runtime.ExitError", Teller::Lambda),
        (r#"["sleep",60]"#, "Sandbox.Timedout", Teller::Lambda),
        (r#"["sleep",0.1],["drop",0]"#, "Runtime.TruncatedResponse", Teller::Lambda),
    ] {
        let payload = format!(r#"{{"stream":[["write","half"],{step}]}}"#);
        let (_, body, outcome) = all(&house, &spec, &payload).await;
        let error = outcome.error.unwrap_or_else(|| panic!("{step} is an error"));
        assert_eq!((error.error_type.as_str(), error.teller), (error_type, teller), "{}", outcome.log_tail);
        assert_eq!(body, b"half", "{step}");
    }
    assert!(
        house.logs.0.lock().unwrap().iter().any(|line| line == "answered 202"),
        "an error told behind is an answer"
    );
    let (answer, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(answer["calls"], 1, "a process whose response broke off is not used again");
}

#[tokio::test]
async fn a_slow_client_slows_the_function() {
    let house = House::with(|options| options.limited = false);
    let spec = house.puppet("f");
    let filled = || house.logs.0.lock().unwrap().iter().filter(|line| *line == "filled").count();
    let (sink, mut chunks) = mpsc::channel(1);
    let client = async {
        assert!(matches!(chunks.recv().await, Some(Chunk::Begin(_))));
        let mut before = filled();
        // Nobody takes anything until the function has come to a halt.
        loop {
            house.world.clock.sleep(Duration::from_millis(300)).await;
            let now = filled();
            if now == before && now > 0 {
                break;
            }
            before = now;
        }
        assert!(before < 20, "{before} MiB are on their way to nobody");
        let mut size = 0;
        while let Some(chunk) = chunks.recv().await {
            let Chunk::Data(bytes) = chunk else { panic!("it begins once") };
            size += bytes.len();
        }
        size
    };
    let (outcome, size) = tokio::join!(house.invoke_into(&spec, r#"{"stream":[["fill",64]]}"#, Some(sink)), client);
    assert_eq!((outcome.unwrap().error, size), (None, 64 << 20));
}

#[tokio::test]
async fn a_client_that_goes_does_not_stop_the_function() {
    let house = House::new();
    let spec = house.puppet("f");
    let done = house.dir.path().join("done");
    let payload = json!({"stream": [["write", "one"], ["fill", 8], ["touch", done]]}).to_string();
    let (sink, mut chunks) = mpsc::channel(1);
    let client = async {
        assert!(chunks.recv().await.is_some());
        drop(chunks);
    };
    let (outcome, ()) = tokio::join!(house.invoke_into(&spec, &payload, Some(sink)), client);
    assert_eq!(outcome.unwrap().error, None);
    assert!(done.exists());
}

#[tokio::test]
async fn what_follows_six_megabytes_is_slow_unless_limits_are_off_or_nobody_takes_it() {
    let (lambda, free) = (House::new(), House::with(|options| options.limited = false));
    let took = async |house: &House, gone: bool| {
        let spec = house.puppet("f");
        let (sink, mut chunks) = mpsc::channel(1);
        let payload = r#"{"stream":[["fill",9]]}"#;
        let begun = house.world.clock.monotonic();
        // What takes the pieces goes with them.
        let take = async move { while chunks.recv().await.is_some() && !gone {} };
        let (outcome, ()) = tokio::join!(house.invoke_into(&spec, payload, Some(sink)), take);
        assert_eq!(outcome.unwrap().error, None);
        (house.world.clock.monotonic() - begun).as_secs_f64()
    };
    // Three megabytes at two a second.
    let slow = took(&lambda, false).await;
    assert!(slow >= 1.5, "{slow}");
    assert!(took(&free, false).await < slow);
    assert!(took(&lambda, true).await < slow);
}

#[tokio::test]
async fn two_hundred_megabytes_and_no_more() {
    let house = House::with(|options| options.limited = false);
    let spec = house.puppet("f");
    let most = MAX_STREAM >> 20;
    let (_, body, outcome) = all(&house, &spec, &format!(r#"{{"stream":[["fill",{most}]]}}"#)).await;
    assert_eq!((body.len(), outcome.error), (MAX_STREAM, None));
    let (_, _, outcome) = all(&house, &spec, &format!(r#"{{"stream":[["fill",{}]]}}"#, most + 1)).await;
    assert_eq!(outcome.error.unwrap().error_type, "Function.ResponseSizeTooLarge");
}
