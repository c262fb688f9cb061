//! What an invocation comes to, for functions that behave and functions that do not.

mod house;

use functions::runtime::{InvokeError, Throttle};
use house::{House, Keys};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_answer_comes_back_with_its_log_and_report() {
    let house = House::new();
    let spec = house.puppet("f");
    let (answer, outcome) = house.ask(&spec, r#"{"do":"echo","n":1}"#).await;
    assert_eq!(answer["event"], json!({"do":"echo","n":1}));
    assert_eq!(outcome.error, None);
    assert!(outcome.report.init_ms.is_some_and(|ms| ms > 0.0));
    assert!(outcome.report.max_memory_mb > 0 && outcome.report.max_memory_mb <= 128);
    let id = "00000000-0000-4000-8000-000000000001";
    let tail: Vec<&str> = outcome.log_tail.lines().collect();
    assert_eq!(
        tail[tail.len() - 3..][..2],
        [format!("START RequestId: {id} Version: $LATEST"), format!("END RequestId: {id}")]
    );
    let report = tail.last().unwrap();
    assert!(report.starts_with(&format!("REPORT RequestId: {id}\tDuration: ")), "{report}");
    assert!(report.contains(" ms\tMemory Size: 128 MB\tMax Memory Used: ") && report.contains("Init Duration: "));
    let log = house.logs.0.lock().unwrap();
    assert_eq!(log[0], "INIT_START Runtime Version: provided.al2023");
    assert_eq!(log[1], "starting");
}

#[tokio::test]
async fn a_warm_process_is_used_again() {
    let house = House::new();
    let spec = house.puppet("f");
    let (first, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    let (second, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(second["calls"], 2);
    assert_eq!(outcome.report.init_ms, None);
    assert_eq!(house.executor.processes(), (1, 0));
}

#[tokio::test]
async fn headers_and_environment_are_lambdas() {
    let house = House::new();
    let mut spec = house.puppet("f");
    spec.env.push(("MINE".to_owned(), "yes".to_owned()));
    let (headers, _) = house.ask(&spec, r#"{"do":"headers"}"#).await;
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], spec.arn.as_str());
    assert_eq!(headers["lambda-runtime-client-context"], r#"{"custom":{"a":"b"}}"#);
    assert!(headers["lambda-runtime-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    assert!(
        headers["lambda-runtime-deadline-ms"].as_str().unwrap().parse::<i64>().unwrap() > house.world.now().millis()
    );
    let (answer, _) = house.ask(&spec, r#"{"do":"env"}"#).await;
    let env = &answer["env"];
    for (name, value) in [
        ("MINE", "yes"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ASIATEST"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("_HANDLER", "function.handler"),
        ("TZ", ":UTC"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    assert_eq!(answer["cwd"], spec.code_dir.to_str().unwrap());
    assert_eq!(answer["files"], json!([]));
    assert!(env.get("CARGO_MANIFEST_DIR").is_none(), "nothing is inherited");
}

#[tokio::test]
async fn an_error_of_the_function_is_its_own() {
    let house = House::new();
    let spec = house.puppet("f");
    let (answer, outcome) = house.ask(&spec, r#"{"do":"nonsense"}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "KeyError");
    assert_eq!(answer["errorMessage"], "'nonsense'");
    house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(house.executor.processes(), (1, 0), "an error does not end a process");
}

#[tokio::test]
async fn an_exit_is_told_and_the_next_process_is_new() {
    let house = House::new();
    let spec = house.puppet("f");
    let (answer, outcome) = house.ask(&spec, r#"{"do":"exit","code":1}"#).await;
    assert_eq!(
        answer,
        json!({
            "errorType": "Runtime.ExitError",
            "errorMessage":
                "RequestId: 00000000-0000-4000-8000-000000000001 Error: Runtime exited with error: exit status 1",
        })
    );
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.ExitError");
    assert!(outcome.log_tail.ends_with("Status: error\tError Type: Runtime.ExitError\n"), "{}", outcome.log_tail);
    let (again, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(again["calls"], 1);
    assert!(outcome.report.init_ms.is_some());
}

#[tokio::test]
async fn failures_of_the_start_are_told() {
    let house = House::new();
    let mut spec = house.puppet("f");
    spec.env = vec![("INIT".to_owned(), "error".to_owned())];
    let (answer, outcome) = house.ask(&spec, "{}").await;
    assert_eq!(answer, json!({"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"}));
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.ImportModuleError");
    spec.env = vec![("INIT".to_owned(), "exit".to_owned())];
    let (answer, _) = house.ask(&spec, "{}").await;
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("exit status 7"), "{answer}");
    let none = house.function("g", "provided.al2", &[("readme", "")]);
    assert!(matches!(house.invoke(&none, "{}").await, Err(InvokeError::Start(_))));
    assert_eq!(house.executor.processes(), (0, 0));
}

#[tokio::test]
async fn time_is_limited_even_for_who_never_stops_talking() {
    let house = House::new();
    let mut spec = house.puppet("f");
    house.ask(&spec, r#"{"do":"echo"}"#).await;
    spec.timeout = Duration::from_secs(1);
    for (number, what) in [(2, "sleep"), (3, "loop")] {
        let (answer, outcome) = house.ask(&spec, &format!(r#"{{"do":"{what}"}}"#)).await;
        let id = format!("00000000-0000-4000-8000-{number:012}");
        assert_eq!(answer["errorType"], "Sandbox.Timedout");
        assert_eq!(answer["errorMessage"], format!("RequestId: {id} Error: Task timed out after 1.00 seconds"));
        assert!(
            outcome.log_tail.contains(&format!(" {id} Task timed out after 1.00 seconds\n")),
            "{}",
            outcome.log_tail
        );
        assert!(outcome.log_tail.ends_with("Status: timeout\n"));
    }
    assert_eq!(house.executor.processes(), (0, 0));
}

#[tokio::test]
async fn memory_is_limited() {
    let house = House::new();
    let spec = house.puppet("f");
    let (_, outcome) = house.ask(&spec, r#"{"do":"memory"}"#).await;
    let error = outcome.error.unwrap().error_type;
    // Without control groups the interpreter itself is refused the memory first.
    let grouped = house.world.processes.enforcement().starts_with("control groups");
    assert_eq!(error, if grouped { "Runtime.OutOfMemory" } else { "Runtime.ExitError" });
    house.ask(&spec, r#"{"do":"echo"}"#).await;
}

#[tokio::test]
async fn forks_are_limited_and_end_with_their_process() {
    let house = House::new();
    if !house.world.processes.enforcement().starts_with("control groups") {
        return;
    }
    let mut spec = house.puppet("f");
    spec.memory_mb = 512;
    let (answer, _) = house.ask(&spec, r#"{"do":"forks"}"#).await;
    assert!((40..64).contains(&answer["children"].as_u64().unwrap()), "{answer}");
    let (answer, _) = house.ask(&spec, r#"{"do":"exit","code":0}"#).await;
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("Runtime exited without providing a reason"));
}

#[tokio::test]
async fn all_that_is_printed_comes_before_the_end() {
    let house = House::new();
    let spec = house.puppet("f");
    let (answer, outcome) = house.ask(&spec, r#"{"do":"print","lines":100000}"#).await;
    assert_eq!(answer, "printed");
    assert!(outcome.log_tail.len() <= 4096);
    let log = house.logs.0.lock().unwrap();
    let start = log.iter().position(|line| line.starts_with("START ")).unwrap();
    for (number, line) in log[start + 1..][..100_000].iter().enumerate() {
        assert!(line.starts_with(&format!("{number:07}x")), "{number}: {line}");
    }
    assert_eq!(log[start + 100_001], "no end");
    assert!(log[start + 100_002].starts_with("END "));
}

#[tokio::test]
async fn responses_have_a_limit() {
    let house = House::new();
    let spec = house.puppet("f");
    let (answer, outcome) = house.ask(&spec, r#"{"do":"large","size":6291554}"#).await;
    assert_eq!((answer.as_str().map(str::len), outcome.error), (Some(6_291_554), None));
    for size in [6_291_555, 40_000_000] {
        let (answer, outcome) = house.ask(&spec, &format!(r#"{{"do":"large","size":{size}}}"#)).await;
        assert_eq!(outcome.error.unwrap().error_type, "Function.ResponseSizeTooLarge");
        let message = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
        assert_eq!(answer["errorMessage"], message);
    }
}

#[tokio::test]
async fn invocations_of_another_function_cannot_be_taken() {
    let house = House::new();
    let (good, evil) = (house.puppet("good"), house.puppet("evil"));
    let (answer, _) = house.ask(&good, r#"{"do":"echo"}"#).await;
    let steal = json!({"do": "steal", "api": answer["api"]}).to_string();
    let (stolen, _) = house.ask(&evil, &steal).await;
    assert_eq!(stolen["status"], 403, "{stolen}");
    let (again, _) = house.ask(&good, r#"{"do":"echo","secret":1}"#).await;
    assert_eq!(again["event"]["secret"], 1);
    assert_eq!(again["pid"], answer["pid"]);
}

#[tokio::test]
async fn changed_code_and_old_keys_retire_processes() {
    let house = House::new();
    let mut spec = house.puppet("f");
    let (old, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    let changed = house.function("f", "provided.al2023", &[("bootstrap", &house::puppet()), ("new", "")]);
    let (new, _) = house.ask(&changed, r#"{"do":"echo"}"#).await;
    assert_ne!(old["pid"], new["pid"]);
    assert_eq!(house.executor.processes(), (1, 0), "the old one is gone");
    spec.name = "g".to_owned();
    spec.credentials = Arc::new(Keys(Duration::from_secs(299), house.world.clone()));
    let (old, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    let (new, _) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_ne!(old["pid"], new["pid"]);
    house.executor.retire("g");
    assert_eq!(house.executor.processes(), (1, 0));
}

#[tokio::test]
async fn limits_are_told_and_nothing_queues() {
    let house = Arc::new(House::with(|options| {
        options.max_concurrency = 2;
        options.max_memory_mb = 300;
    }));
    let mut spec = house.puppet("f");
    spec.timeout = Duration::from_secs(2);
    spec.reserved_concurrency = Some(1);
    let mut other = house.puppet("other");
    other.timeout = Duration::from_secs(2);
    let mut big = house.puppet("big");
    big.memory_mb = 200;
    let throttle = |result: Result<_, InvokeError>| match result {
        Err(InvokeError::TooManyRequests(throttle)) => Some(throttle),
        _ => None,
    };
    let first = house.invoke(&spec, r#"{"do":"sleep"}"#);
    let rest = async {
        assert_eq!(throttle(house.invoke(&spec, "{}").await), Some(Throttle::Function));
        assert_eq!(throttle(house.invoke(&big, "{}").await), Some(Throttle::Memory));
        let second = house.invoke(&other, r#"{"do":"sleep"}"#);
        let third = async { throttle(house.invoke(&big, "{}").await) };
        let (second, third) = tokio::join!(biased; second, third);
        assert_eq!(third, Some(Throttle::Total));
        assert_eq!(second.unwrap().error.unwrap().error_type, "Sandbox.Timedout");
    };
    let (first, ()) = tokio::join!(biased; first, rest);
    assert_eq!(first.unwrap().error.unwrap().error_type, "Sandbox.Timedout");
    house.ask(&other, r#"{"do":"echo"}"#).await;
    house.ask(&big, r#"{"do":"echo"}"#).await;
    assert_eq!(house.executor.processes(), (1, 0), "the idle one made room");
}

#[tokio::test]
async fn idle_processes_end_and_leave_nothing() {
    let house = House::with(|options| options.idle = Duration::from_millis(1));
    let spec = house.puppet("f");
    house.ask(&spec, r#"{"do":"echo"}"#).await;
    let left = house.world.tasks.shut_down(Duration::from_secs(10)).await;
    assert!(left.is_empty(), "{left:?}");
    let scratch = house.world.disk.list(&house.dir.path().join("scratch")).unwrap();
    assert!(scratch.is_empty(), "{scratch:?}");
    assert_eq!(house.executor.processes(), (0, 0));
}
