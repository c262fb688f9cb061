//! Python functions on the real runtime interface client, prepared as a server prepares it.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

mod house;

use functions::runtime::python::PythonRuntime;
use functions::runtime::{PrepareError, Progress};
use house::House;
use std::sync::Mutex;

const FUNCTION: &str = r#"
import logging
import boto3

def handler(event, context):
    if event.get("fail"):
        raise ValueError("wrong " + event["fail"])
    logging.getLogger().warning("hello from %s", context.function_name)
    print("two", "words")
    client = boto3.client("ec2")
    return {
        "endpoint": client.meta.endpoint_url,
        "region": client.meta.region_name,
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
        "custom": context.client_context.custom,
    }
"#;

const LAYERED: &str = "import shared, boto3\ndef handler(event, context):\n    return shared.value\n";

#[derive(Default)]
struct Steps(Mutex<Vec<f64>>);

impl Progress for Steps {
    fn step(&self, text: &str, fraction: f64) {
        assert!(!text.is_empty());
        self.0.lock().unwrap().push(fraction);
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // the layer is made by hand
async fn boto3_functions_run_as_on_lambda() {
    let house = House::new();
    let python = PythonRuntime::new(house.world.clone(), house::shared_runtimes(), house::own_environment());
    let steps = Steps::default();
    let env = python.ready(&steps).await.unwrap();
    let steps = steps.0.into_inner().unwrap();
    assert!(steps.is_sorted() && steps.last() == Some(&1.0), "{steps:?}");
    assert!(env.python.exists() && env.site.join("boto3").is_dir());

    let mut spec = house.function("f", "python3.12", &[("function.py", FUNCTION)]);
    spec.memory_mb = 256;
    let (answer, outcome) = house.ask(&spec, "{}").await;
    assert_eq!(outcome.error, None, "{answer}");
    assert_eq!(answer["endpoint"], "http://127.0.0.1:4566");
    assert_eq!(answer["region"], "us-east-1");
    assert_eq!(answer["arn"], spec.arn.as_str());
    assert_eq!(answer["custom"]["a"], "b");
    assert!(answer["left"].as_i64().unwrap() > 0);
    assert!(
        outcome.log_tail.contains("hello from f") && outcome.log_tail.contains("two words\n"),
        "{}",
        outcome.log_tail
    );

    let (answer, outcome) = house.ask(&spec, r#"{"fail":"indeed"}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "ValueError");
    assert_eq!(answer["errorMessage"], "wrong indeed");
    assert!(answer["stackTrace"].is_array());
    assert_eq!(outcome.report.init_ms, None, "an exception does not end the process");

    let layers = house.dir.path().join("layers");
    std::fs::create_dir_all(layers.join("python")).unwrap();
    std::fs::write(layers.join("python/shared.py"), "value = 'of a layer'").unwrap();
    let mut layered = house.function("h", "python3.11", &[("function.py", LAYERED)]);
    layered.layers_dir = Some(layers);
    assert_eq!(house.ask(&layered, "{}").await.0, "of a layer");

    let broken = house.function("g", "python3.11", &[("other.py", "")]);
    let (answer, outcome) = house.ask(&broken, "{}").await;
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.ImportModuleError", "{answer}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let house = House::new();
    let nowhere = vec![("PATH".to_owned(), "/nonexistent".to_owned())];
    let python = PythonRuntime::new(house.world.clone(), house.dir.path().join("runtimes"), nowhere);
    let error = python.ready(&Steps::default()).await.unwrap_err();
    assert!(matches!(error, PrepareError::Missing { program: "python3", .. }));
    assert!(error.to_string().contains("apt-get install python3"));
}
