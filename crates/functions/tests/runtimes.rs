//! Functions of the runtimes that the house brings its own bootstrap for, and executables of the package's own.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

mod house;

use functions::runtime::{InvokeError, Level, Levels, Managed, PrepareError, Runtime, Silent};
use house::House;
use std::time::Duration;

fn installed(program: &str) -> bool {
    let found = std::env::split_paths(&house::path()).any(|dir| dir.join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

const NODE: &str = r#"
const timers = require('node:timers/promises');
exports.handler = async (event, context) => {
  if (event.fail) throw Object.assign(new RangeError('wrong ' + event.fail), { extra: 1 });
  if (event.reject) Promise.reject(new Error('nobody waits'));
  if (event.throwLater) setTimeout(() => { throw new TypeError('later'); }, 1);
  if (event.reject || event.throwLater) await timers.setTimeout(5000);
  if (event.never) return new Promise(() => {});
  console.log('hello %s', context.functionName, { a: 1 });
  console.error('two\nlines');
  await timers.setTimeout(1);
  return {
    left: context.getRemainingTimeInMillis(), id: context.awsRequestId, arn: context.invokedFunctionArn,
    custom: context.clientContext.custom, trace: process.env._X_AMZN_TRACE_ID, size: event.text?.length,
  };
};
exports.callback = (event, context, callback) => {
  if (event.now) context.callbackWaitsForEmptyEventLoop = false;
  let late = 'not yet';
  setTimeout(() => { late = 'after'; }, event.now ? 60000 : 20);
  const answer = { toJSON: () => late };
  callback(event.fail ? new Error('called back') : null, answer);
};
exports.silent = (event, context, callback) => {};
exports.logs = async (event) => {
  const circle = {};
  circle.self = circle;
  console.debug('in detail'); console.trace('step'); console.fatal({ over: [1] }); console.info('one\ntwo');
  console.warn('%s of', 'some', new RangeError('much')); console.error(new TypeError('no')); console.log(circle);
  if (event.fail) throw new Error('wrong');
};
exports.nested = { deep: { handler: async () => 'deep' } };
exports.streaming = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.setContentType('text/plain');
  stream.write('one,');
  if (event.fail) throw new Error('half way');
  stream.write('two');
  stream.end();
});
"#;

#[tokio::test]
async fn node_functions_run_as_on_lambda() {
    if !installed("node") {
        return;
    }
    let house = House::new();
    let mut spec = house.function("f", "nodejs20.x", &[("function.js", NODE)]);
    let (answer, outcome) = house.ask(&spec, &format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000))).await;
    assert_eq!(outcome.error, None, "{answer}");
    assert!(answer["left"].as_i64().unwrap() > 0);
    assert_eq!(answer["size"], 1_000_000);
    assert_eq!(answer["arn"], spec.arn.as_str());
    assert_eq!(answer["custom"]["a"], "b");
    assert!(answer["trace"].as_str().unwrap().starts_with("Root="));
    let id = answer["id"].as_str().unwrap();
    let tail = &outcome.log_tail;
    assert!(tail.contains(&format!("Z\t{id}\tINFO\thello f {{ a: 1 }}\n")), "{tail}");
    assert!(tail.contains(&format!("Z\t{id}\tERROR\ttwo\nlines\n")), "{tail}");
    assert!(tail.contains("Init Duration: "));

    let (answer, outcome) = house.ask(&spec, r#"{"fail":"indeed"}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "RangeError");
    assert_eq!(answer["errorMessage"], "wrong indeed");
    assert!(answer["trace"][0].as_str().unwrap().starts_with("RangeError"));
    assert!(outcome.log_tail.contains("\tERROR\tInvoke Error \t{") && outcome.log_tail.contains(r#""extra":1"#));
    assert_eq!(outcome.report.init_ms, None, "an exception does not end the process");

    let (answer, outcome) = house.ask(&spec, r#"{"reject":true}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.UnhandledPromiseRejection", "{answer}");
    assert_eq!(answer["errorMessage"], "Error: nobody waits");
    let (answer, outcome) = house.ask(&spec, r#"{"throwLater":true}"#).await;
    assert_eq!((outcome.error.unwrap().error_type.as_str(), &answer["errorMessage"]), ("TypeError", &"later".into()));
    let (answer, outcome) = house.ask(&spec, r#"{"never":true}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.NodeJsExit", "{answer}");

    spec.handler = "function.nested.deep.handler".to_owned();
    assert_eq!(house.ask(&spec, "{}").await.0, "deep");
}

#[tokio::test]
async fn node_handlers_call_back_or_stream() {
    if !installed("node") {
        return;
    }
    let house = House::new();
    let mut spec = house.function("f", "nodejs18.x", &[("function.js", NODE)]);
    spec.handler = "function.callback".to_owned();
    assert_eq!(house.ask(&spec, "{}").await.0, "after", "it waits for the event loop");
    assert_eq!(house.ask(&spec, r#"{"now":1}"#).await.0, "not yet", "unless told not to");
    let (answer, outcome) = house.ask(&spec, r#"{"now":1,"fail":1}"#).await;
    assert_eq!(answer["errorMessage"], "called back");
    assert_eq!(outcome.error.unwrap().error_type, "Error");
    spec.handler = "function.silent".to_owned();
    assert_eq!(house.ask(&spec, "{}").await.0, serde_json::Value::Null);
    spec.handler = "function.streaming".to_owned();
    let outcome = house.invoke(&spec, "{}").await.unwrap();
    assert_eq!((outcome.payload.as_ref(), outcome.error), (&b"one,two"[..], None));
    let (answer, outcome) = house.ask(&spec, r#"{"fail":1}"#).await;
    assert_eq!(answer["errorMessage"], "half way", "{}", outcome.log_tail);
    assert!(outcome.error.is_some());
    let new = house.function("g", "nodejs24.x", &[("function.js", NODE)]);
    let new = functions::runtime::FunctionSpec { handler: "function.callback".to_owned(), ..new };
    let (answer, outcome) = house.ask(&new, "{}").await;
    assert_eq!(outcome.error.unwrap().error_type, "Runtime.CallbackHandlerDeprecated", "{answer}");
}

#[tokio::test]
async fn node_modules_of_either_kind() {
    if !installed("node") {
        return;
    }
    let house = House::new();
    let module = "import { createRequire } from 'node:module';\nimport fs from 'node:fs';\n\
        const ready = await Promise.resolve(7);\nexport const handler = async () => ({ ready, file: typeof fs.readFileSync });\n";
    for files in [&[("function.mjs", module)][..], &[("function.js", module), ("package.json", r#"{"type":"module"}"#)]]
    {
        let spec = house.function("f", "nodejs22.x", files);
        let (answer, outcome) = house.ask(&spec, "{}").await;
        assert_eq!(answer, serde_json::json!({"ready": 7, "file": "function"}), "{}", outcome.log_tail);
        assert!(
            house.logs.0.lock().unwrap().iter().any(|line| line.starts_with("INIT_START Runtime Version: nodejs:"))
        );
    }
    for (files, handler, error) in [
        (&[("function.js", "exports.other = 1;")][..], "function.handler", "Runtime.HandlerNotFound"),
        (&[("function.js", "require('./missing')")], "function.handler", "Runtime.ImportModuleError"),
        (&[("other.js", "")], "function.handler", "Runtime.ImportModuleError"),
        (&[("function.js", "this is not JavaScript")], "function.handler", "Runtime.UserCodeSyntaxError"),
        (&[("function.js", "throw new EvalError('at start')")], "function.handler", "EvalError"),
        (&[("function.js", "")], "function", "Runtime.MalformedHandlerName"),
    ] {
        let mut spec = house.function("g", "nodejs20.x", files);
        spec.handler = handler.to_owned();
        let (answer, outcome) = house.ask(&spec, "{}").await;
        assert_eq!(outcome.error.unwrap().error_type, error, "{answer}");
        assert!(outcome.log_tail.contains("\tPhase: invoke\tStatus: error\tError Type: "), "{}", outcome.log_tail);
    }
    let log = house.logs.0.lock().unwrap();
    assert!(log.iter().any(|line| line.contains("\tPhase: init\tStatus: error\tError Type: EvalError")));
}

#[tokio::test]
async fn an_executable_is_a_runtime() {
    let house = House::new();
    let shell = r#"#!/bin/bash
set -euo pipefail
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  headers=$(mktemp)
  event=$(curl -sS -D "$headers" "$api/invocation/next")
  id=$(grep -i '^lambda-runtime-aws-request-id:' "$headers" | tr -d '[:space:]' | cut -d: -f2)
  curl -sS -o /dev/null -d "{\"handler\":\"$_HANDLER\",\"event\":$event}" "$api/invocation/$id/response"
done
"#;
    if installed("curl") {
        let spec = house.function("f", "provided.al2023", &[("bootstrap", shell)]);
        let (answer, _) = house.ask(&spec, r#"{"n":1}"#).await;
        assert_eq!(answer, serde_json::json!({"handler": "function.handler", "event": {"n": 1}}));
        let mut go = house.function("g", "go1.x", &[("main", shell)]);
        go.handler = "main".to_owned();
        assert_eq!(house.ask(&go, "2").await.0["event"], 2);
    }
    let none = house.function("h", "provided.al2", &[("other", "")]);
    assert!(matches!(house.invoke(&none, "{}").await, Err(InvokeError::Start(_))));
}

/// The lines of a log tail that are JSON, but those of Lambda.
fn structured(tail: &str) -> Vec<serde_json::Value> {
    let lines = tail.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|line| line.get("type").is_none()).collect()
}

#[tokio::test]
async fn node_logs_in_json_as_on_lambda() {
    if !installed("node") {
        return;
    }
    let house = House::new();
    let mut spec = house.function("f", "nodejs20.x", &[("function.js", NODE)]);
    spec.handler = "function.logs".to_owned();
    spec.levels = Some(Levels::default());
    let (_, outcome) = house.ask(&spec, r#"{"fail":1}"#).await;
    let lines = structured(&outcome.log_tail);
    let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["FATAL", "INFO", "WARN", "ERROR", "INFO", "ERROR"], "{}", outcome.log_tail);
    assert!(lines.iter().all(|line| line["requestId"] == lines[0]["requestId"] && line["timestamp"].is_string()));
    assert_eq!((&lines[0]["message"]["over"][0], &lines[1]["message"]), (&1.into(), &"one\ntwo".into()));
    assert!(lines[2]["message"].as_str().unwrap().starts_with("some of RangeError: much"), "{}", lines[2]);
    assert_eq!((&lines[2]["errorType"], &lines[2]["errorMessage"]), (&"RangeError".into(), &"much".into()));
    assert_eq!(lines[3]["message"]["errorMessage"], "no");
    assert!(lines[4]["message"].as_str().unwrap().contains("[Circular *1]"));
    assert_eq!(lines[5]["message"]["errorMessage"], "wrong");
    spec.levels = Some(Levels { application: Level::Trace, system: Level::Warn });
    let (_, outcome) = house.ask(&spec, "{}").await;
    assert_eq!(structured(&outcome.log_tail).len(), 7, "{}", outcome.log_tail);
    assert!(!outcome.log_tail.contains("platform."), "{}", outcome.log_tail);
}

const JAVA: &str = r#"
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.util.*;

public class Function implements RequestHandler<Function.Order, Function.Receipt> {
    public enum Size { SMALL, LARGE }
    public static class Order {
        private String name; private int count; private List<Double> prices; private Size size;
        public void setName(String name) { this.name = name; }
        public void setCount(int count) { this.count = count; }
        public void setPrices(List<Double> prices) { this.prices = prices; }
        public void setSize(Size size) { this.size = size; }
    }
    public record Receipt(String text, double sum, boolean left, String arn) {}
    public Receipt handleRequest(Order order, Context context) {
        if (order.count < 0) throw new IllegalStateException("no \"such\" order");
        context.getLogger().log("order of " + order.name + "\n");
        context.getLogger().log("careful", LambdaLogger.Level.WARN);
        double sum = order.prices.stream().mapToDouble(p -> p).sum() * order.count;
        return new Receipt(order.name + order.size, sum, context.getRemainingTimeInMillis() > 0, context.getInvokedFunctionArn());
    }
    public static class Streams implements RequestStreamHandler {
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            out.write('"'); out.write(String.valueOf(in.readAllBytes().length).getBytes()); out.write('"');
        }
    }
    public Map<String, Object> plain(Map<String, Object> event) {
        event.put("seen", Arrays.asList(1, null, "ü\n"));
        return event;
    }
}
"#;

/// The interfaces of lambda-java-core that a package brings along, as far as the test needs them.
const JAVA_CORE: &[(&str, &str)] = &[
    (
        "Context",
        "String getAwsRequestId(); String getInvokedFunctionArn(); int getRemainingTimeInMillis(); LambdaLogger getLogger();",
    ),
    (
        "LambdaLogger",
        "enum Level { UNDEFINED, WARN } void log(String message); void log(byte[] message); void log(String m, Level level);",
    ),
    ("RequestHandler<I, O>", "O handleRequest(I input, Context context);"),
    (
        "RequestStreamHandler",
        "void handleRequest(java.io.InputStream in, java.io.OutputStream out, Context context) throws java.io.IOException;",
    ),
];

/// Compiles the function; gives its files.
#[allow(clippy::disallowed_methods)] // a compiler is a child of the test
fn java_files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let package = dir.join("com/amazonaws/services/lambda/runtime");
    std::fs::create_dir_all(&package).unwrap();
    for (name, body) in JAVA_CORE {
        let file = package.join(format!("{}.java", name.split('<').next().unwrap()));
        let text = format!("package com.amazonaws.services.lambda.runtime; public interface {name} {{ {body} }}");
        std::fs::write(file, text).unwrap();
    }
    std::fs::write(dir.join("Function.java"), JAVA).unwrap();
    let out = dir.join("out");
    let mut javac = std::process::Command::new("javac");
    javac.args(["-encoding", "UTF-8", "-d"]).arg(&out).arg("-sourcepath").arg(dir).arg(dir.join("Function.java"));
    let status = javac.status().unwrap();
    assert!(status.success());
    let mut files = Vec::new();
    let mut dirs = vec![out.clone()];
    while let Some(at) = dirs.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(&out).unwrap().display().to_string();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

#[tokio::test]
async fn java_functions_run_as_on_lambda() {
    if !installed("javac") {
        return;
    }
    let house = House::new();
    let sources = tempfile::tempdir().unwrap();
    let files = java_files(sources.path());
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let mut spec = house.function_of("f", "java17", &files);
    spec.memory_mb = 512;
    spec.handler = "Function::handleRequest".to_owned();
    let order = r#"{"name":"näme","count":2,"prices":[1.5,2],"size":"LARGE","unknown":{}}"#;
    let (answer, outcome) = house.ask(&spec, order).await;
    assert_eq!(outcome.error, None, "{answer} {}", outcome.log_tail);
    assert_eq!(answer, serde_json::json!({"text": "nämeLARGE", "sum": 7.0, "left": true, "arn": spec.arn}));
    assert!(outcome.log_tail.contains("order of näme\n[WARN] careful"), "{}", outcome.log_tail);
    let (answer, outcome) = house.ask(&spec, r#"{"count":-1}"#).await;
    assert_eq!(outcome.error.unwrap().error_type, "java.lang.IllegalStateException");
    assert_eq!(answer["errorMessage"], "no \"such\" order");
    assert!(answer["stackTrace"][0].as_str().unwrap().starts_with("Function.handleRequest"), "{answer}");
    let (answer, _) = house.ask(&spec, r#"{"prices":"dear"}"#).await;
    assert_eq!(answer["errorType"], "Runtime.BadInput", "{answer}");
    spec.levels = Some(Levels::default());
    let lines = structured(&house.ask(&spec, order).await.1.log_tail);
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&"order of näme\n".into(), &"UNDEFINED".into()));
    assert_eq!((&lines[1]["message"], &lines[1]["level"]), (&"careful".into(), &"WARN".into()));
    assert!(lines[1]["AWSRequestId"].is_string() && lines[1]["timestamp"].as_str().unwrap().ends_with('Z'));
    let lines = structured(&house.ask(&spec, r#"{"count":-1}"#).await.1.log_tail);
    assert!(
        lines[0]["level"] == "ERROR" && lines[0]["message"].as_str().unwrap().contains("IllegalState"),
        "{lines:?}"
    );
    spec.levels = None;
    spec.handler = "Function$Streams".to_owned();
    assert_eq!(house.ask(&spec, r#"{"n": 1}"#).await.0, "8");
    spec.handler = "Function::plain".to_owned();
    let (answer, _) = house.ask(&spec, r#"{"big": 12345678901234567890, "half": 0.5}"#).await;
    assert_eq!(answer["seen"], serde_json::json!([1, null, "ü\n"]));
    assert_eq!(answer["big"], 12_345_678_901_234_567_890_u64);
    spec.handler = "Nothing::here".to_owned();
    assert_eq!(house.ask(&spec, "{}").await.0["errorType"], "Runtime.ClassNotFound");
}

#[tokio::test]
async fn a_runtime_that_is_not_installed_is_named() {
    let house = House::new();
    let nowhere = vec![("PATH".to_owned(), "/nonexistent".to_owned())];
    let managed = Managed::new(house.world.clone(), house.dir.path().join("runtimes"), nowhere);
    for (name, what) in [("nodejs20.x", "apt-get install nodejs"), ("java21", "apt-get install default-jdk-headless")] {
        let error = managed.ready(&Runtime::parse(name).unwrap(), &Silent).await.unwrap_err();
        assert!(matches!(error, PrepareError::Missing { .. }) && error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_process_started_ahead_is_ready_for_the_first_invocation() {
    let house = House::new();
    let spec = std::sync::Arc::new(house.puppet("f"));
    assert_eq!(house.executor.ahead(&spec, 2), 2);
    assert_eq!(house.executor.ahead(&spec, 2), 0, "no more than asked for");
    assert_eq!(house.executor.processes(), (2, 0));
    while house.logs.0.lock().unwrap().iter().filter(|line| *line == "starting").count() < 2 {
        house.world.clock.sleep(Duration::from_millis(5)).await;
    }
    let (answer, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(answer["calls"], 1);
    assert!(outcome.report.init_ms.is_some(), "its start is told with its first invocation");
    assert_eq!(house.executor.processes(), (2, 0));
    let (again, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(
        (again["pid"].clone(), outcome.report.init_ms),
        (answer["pid"].clone(), None),
        "the used one comes first"
    );
    let mut changed = (*spec).clone();
    changed.env = vec![("A".to_owned(), "b".to_owned())];
    assert_eq!(house.executor.ahead(&std::sync::Arc::new(changed), 1), 1);
    assert_eq!(house.executor.processes(), (1, 0), "those before the change are gone");
    // What fails ahead of time is not told to anybody, and is tried again with the invocation.
    let mut broken = house.puppet("g");
    broken.env = vec![("INIT".to_owned(), "exit".to_owned())];
    let broken = std::sync::Arc::new(broken);
    assert_eq!(house.executor.ahead(&broken, 1), 1);
    while house.executor.processes_of("g").0 > 0 {
        house.world.clock.sleep(Duration::from_millis(5)).await;
    }
    let (answer, _) = house.ask(&broken, "{}").await;
    assert_eq!(answer["errorType"], "Runtime.ExitError");
    house.executor.retire("f");
    assert_eq!(house.executor.processes(), (0, 0));
}

/// Registers, then writes down every event it is told of.
const EXTENSION: &str = r#"#!/bin/bash
api=http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension
head=$(mktemp)
curl -sS -D "$head" -H "Lambda-Extension-Name: ${0##*/}" -d '{"events":["INVOKE","SHUTDOWN"]}' "$api/register"; echo
id=$(grep -i '^lambda-extension-identifier:' "$head" | tr -d '[:space:]' | cut -d: -f2)
telemetry=$(curl -sS -X PUT -d '{}' "http://$AWS_LAMBDA_RUNTIME_API/2022-07-01/telemetry")
echo "telemetry $telemetry"
[ "$1" = "" ] && [ -n "$CRASH" ] && exit 3
while true; do
  event=$(curl -sS -H "Lambda-Extension-Identifier: $id" "$api/event/next")
  echo "extension $event"
  case $event in *SHUTDOWN*) echo "extension flushed"; exit 0;; esac
done
"#;

#[tokio::test]
#[allow(clippy::disallowed_methods)] // the layer is made by hand
async fn extensions_are_waited_for_and_told() {
    use std::os::unix::fs::PermissionsExt;
    if !installed("curl") {
        return;
    }
    let house = House::with(|options| options.idle = Duration::from_millis(200));
    let layers = house.dir.path().join("layers");
    let file = layers.join("extensions/observer");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, EXTENSION).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = house.puppet("f");
    spec.layers_dir = Some(layers);
    let (answer, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(answer["calls"], 1, "{}", outcome.log_tail);
    let lines = |wanted: &str| house.logs.0.lock().unwrap().iter().filter(|line| line.contains(wanted)).count();
    let registered =
        house.logs.0.lock().unwrap().iter().position(|line| line.contains(r#""functionName":"f""#)).unwrap();
    let started = house.logs.0.lock().unwrap().iter().position(|line| line.starts_with("START ")).unwrap();
    assert!(registered < started, "it is ready before the first invocation");
    assert_eq!(lines("Telemetry.NotSupported"), 1);
    while lines("extension flushed") == 0 {
        house.world.clock.sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(lines(r#"extension {"eventType":"INVOKE","#), 1);
    assert_eq!(lines(r#""shutdownReason":"spindown""#), 1);
    // One that ends takes the environment with it.
    spec.env = vec![("CRASH".to_owned(), "1".to_owned())];
    let (answer, outcome) = house.ask(&spec, r#"{"do":"echo"}"#).await;
    assert_eq!(answer["errorType"], "Extension.Crash", "{}", outcome.log_tail);
    assert!(answer["errorMessage"].as_str().unwrap().ends_with("the extension observer exited with status 3"));
}

#[tokio::test]
async fn processes_grow_ahead_of_invocations_at_once() {
    let house = House::new();
    let mut spec = house.puppet("f");
    spec.timeout = Duration::from_secs(2);
    let sleep = r#"{"do":"sleep"}"#;
    let busy = async { tokio::join!(house.ask(&spec, sleep), house.ask(&spec, sleep)) };
    let seen = async {
        while house.executor.processes() != (3, 2) {
            house.world.clock.sleep(Duration::from_millis(5)).await;
        }
    };
    let ((one, two), ()) = tokio::join!(busy, seen);
    assert_eq!((&one.0["errorType"], &two.0["errorType"]), (&"Sandbox.Timedout".into(), &"Sandbox.Timedout".into()));
}

/// A function whose processes do not get through their start while the file at `gate` is there.
#[allow(clippy::disallowed_methods)] // a gate is a file
fn gated(house: &House) -> (functions::runtime::FunctionSpec, std::path::PathBuf) {
    let gate = house.dir.path().join("gate");
    let wait = format!("import time\nwhile os.path.exists({:?}): time.sleep(0.002)\n", gate.display().to_string());
    let bootstrap = house::puppet().replacen("import time\n", &wait, 1);
    (house.function("f", "provided.al2023", &[("bootstrap", &bootstrap)]), gate)
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // a gate is a file
async fn invocations_are_run_by_whichever_process_is_free_first() {
    let house = House::new();
    let (spec, gate) = gated(&house);
    let echo = || house.ask(&spec, r#"{"do":"echo"}"#);
    let (first, outcome) = echo().await;
    assert!(outcome.report.init_ms.is_some());
    std::fs::write(&gate, "").unwrap();
    let (one, two, three, four, five) = tokio::join!(echo(), echo(), echo(), echo(), echo());
    for (answer, outcome) in [one, two, three, four, five] {
        let (tail, init_ms) = (&outcome.log_tail, outcome.report.init_ms);
        assert_eq!(answer["pid"], first["pid"], "nobody waits for a process that has not started yet: {answer} {tail}");
        assert_eq!(init_ms, None, "nor did anybody");
    }
    let (processes, running) = house.executor.processes();
    assert!(processes > 1 && running == 0, "what had begun to start goes on: {processes}, {running}");
    std::fs::remove_file(&gate).unwrap();
    let begun = || house.logs.0.lock().unwrap().iter().filter(|line| *line == "starting").count();
    while begun() < processes {
        house.world.clock.sleep(Duration::from_millis(5)).await;
    }
    assert!(house.world.tasks.shut_down(Duration::from_secs(10)).await.is_empty());
    assert_eq!(house.executor.processes(), (0, 0));
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // a gate is a file
async fn a_house_that_closes_runs_what_waits_for_a_start() {
    let house = House::new();
    let (spec, gate) = gated(&house);
    std::fs::write(&gate, "").unwrap();
    let echo = || house.ask(&spec, r#"{"do":"echo"}"#);
    let all = async { tokio::join!(echo(), echo(), echo(), echo(), echo(), echo()) };
    let close = async {
        assert_eq!(house.executor.processes().1, 6);
        let open = async {
            house.world.clock.sleep(Duration::from_millis(50)).await;
            std::fs::remove_file(&gate).unwrap();
        };
        tokio::join!(house.world.tasks.shut_down(Duration::from_secs(30)), open).0
    };
    let (answers, left) = tokio::join!(biased; all, close);
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5] {
        assert!(answer.0["pid"].is_number());
    }
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(house.executor.processes(), (0, 0));
}
