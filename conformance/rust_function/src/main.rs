//! Answers with what it was given.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload["fail"].is_string() {
        return Err(event.payload["fail"].as_str().unwrap_or_default().into());
    }
    println!("hello from {}", event.context.env_config.function_name);
    Ok(json!({"got": event.payload, "id": event.context.request_id, "arn": event.context.invoked_function_arn}))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
