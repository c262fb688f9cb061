//! A function that succeeds, fails, times out, panics and fails in part, as its seed says, and remembers what it took.

use bytes::Bytes;
use delivery::{Envelope, Target, Verdict};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use world::{BoxFuture, Entropy, SeededEntropy};

pub(crate) struct Puppet {
    random: SeededEntropy,
    /// Fails no more, but on what is bad.
    pub(crate) calm: AtomicBool,
    /// Answers with `batchItemFailures`.
    report: bool,
    pub(crate) taken: Mutex<Taken>,
}

/// What it took, over all lives.
#[derive(Default)]
pub(crate) struct Taken {
    /// Payloads of stream records, in the order they were accepted.
    pub(crate) records: Vec<String>,
    /// Bodies of messages.
    pub(crate) messages: Vec<String>,
    /// Windows that became final: shard, start, payloads.
    pub(crate) windows: Vec<(String, String, Vec<String>)>,
    /// Every event, for comparing runs.
    pub(crate) events: Vec<String>,
}

struct Item {
    id: String,
    text: String,
}

fn items(event: &Value) -> Vec<Item> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |record: &Value| match record.get("kinesis") {
        Some(kinesis) => {
            let data = wire::codec::fast::base64_decode(kinesis["data"].as_str().unwrap().as_bytes()).unwrap();
            Item { id: text(&kinesis["sequenceNumber"]), text: String::from_utf8(data.to_vec()).unwrap() }
        }
        None => Item { id: text(&record["messageId"]), text: text(&record["body"]) },
    };
    event["Records"].as_array().unwrap().iter().map(one).collect()
}

impl Puppet {
    pub(crate) fn new(seed: u64, report: bool) -> Puppet {
        let random = SeededEntropy::new(seed ^ 0x9e1);
        Puppet { random, calm: AtomicBool::new(false), report, taken: Mutex::default() }
    }

    fn again(code: &str) -> Verdict {
        Verdict::Again { code: code.to_owned(), why: "as the seed says".to_owned(), after: None }
    }

    /// Takes the first `count` of the items, and answers that the next one failed, if there is one.
    fn accept(&self, event: &Value, items: &[Item], count: usize) -> Verdict {
        let mut taken = self.taken.lock().unwrap();
        let stream = event["Records"][0].get("messageId").is_none();
        let texts = items[..count].iter().map(|item| item.text.clone());
        if stream {
            taken.records.extend(texts.clone());
        } else {
            taken.messages.extend(texts.clone());
        }
        let failed: Vec<Value> = items[count..].iter().map(|item| json!({"itemIdentifier": item.id})).collect();
        let mut answer = json!({"batchItemFailures": failed});
        if let Some(state) = event.get("state") {
            let known = state["texts"].as_array().cloned().unwrap_or_default();
            let all: Vec<String> = known.iter().map(|t| t.as_str().unwrap().to_owned()).chain(texts).collect();
            if event["isFinalInvokeForWindow"] == true {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                taken.windows.push((text(&event["shardId"]), text(&event["window"]["start"]), all.clone()));
            }
            answer["state"] = json!({"texts": all});
        }
        Verdict::Accepted(Bytes::from(answer.to_string()))
    }

    async fn play(&self, event: Value) -> Verdict {
        let items = items(&event);
        self.taken.lock().unwrap().events.push(event.to_string());
        let bad = items.iter().position(|item| item.text.starts_with("bad"));
        let dice = if self.calm.load(Relaxed) { 99 } else { self.random.below(14) };
        match dice {
            0 | 1 => Puppet::again("FunctionError"),
            2 => Puppet::again("TooManyRequestsException"),
            3 => std::future::pending().await,
            4 => panic!("a target that panics costs one attempt"),
            5 if self.report && !items.is_empty() && bad.is_none() => {
                let count = self.random.below(items.len() as u64) as usize;
                self.accept(&event, &items, count)
            }
            6 if self.report && !items.is_empty() => {
                Verdict::Accepted(r#"{"state":{},"batchItemFailures":[{"itemIdentifier":"?"}]}"#.into())
            }
            7 if event.get("state").is_some() && event["isFinalInvokeForWindow"] == false => {
                Verdict::Accepted("{}".into())
            }
            _ => match bad {
                Some(i) if self.report => self.accept(&event, &items, i),
                Some(_) => Puppet::again("FunctionError"),
                None => self.accept(&event, &items, items.len()),
            },
        }
    }
}

impl Target for Puppet {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { self.play(serde_json::from_slice(&envelope.body).unwrap()).await })
    }
}
