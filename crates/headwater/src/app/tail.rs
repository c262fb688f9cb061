//! Reads what `tail` follows: a stream's records, a log group's lines, or the audit trail.

use crate::wiring::House;
use consume::{ReadLimit, Source, Start};
use names::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Lines of one page.
const PAGE: usize = 1000;
/// The longest a question is held.
const WAIT_S: u64 = 20;

/// Why there is nothing to follow.
pub enum Refused {
    /// The question is none.
    Malformed(String),
    /// What is asked for is not there, or cannot be read.
    Missing(String),
}

/// Answers `what=NAME&from=start|end|CURSOR&wait=SECONDS`.
pub async fn read(house: &House, query: &str) -> Result<Value, Refused> {
    let (mut what, mut from, mut wait) = (String::new(), "start".to_owned(), 0);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "what" => what = value.into_owned(),
            "from" => from = value.into_owned(),
            "wait" => match value.parse::<u64>() {
                Ok(seconds) => wait = seconds.min(WAIT_S),
                Err(_) => return Err(Refused::Malformed(format!("wait is a number of seconds, not {value}"))),
            },
            _ => return Err(Refused::Malformed(format!("tail takes what, from and wait, not {key}"))),
        }
    }
    if !is_place(&from) {
        return Err(Refused::Malformed(format!("{from} is not a place to read from")));
    }
    follow(house, &what, &from, Duration::from_secs(wait)).await.map_err(Refused::Missing)
}

/// Whether this is where a page may begin: an end, the `next` of a page, or those of shards.
fn is_place(from: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().is_ok();
    let of_shard = |part: &str| part.split_once('=').is_some_and(|(_, at)| number(at));
    // A stream that is being made has no shard yet.
    matches!(from, "start" | "end" | "") || number(from) || from.split(',').all(of_shard)
}

async fn follow(house: &House, what: &str, from: &str, wait: Duration) -> Result<Value, String> {
    if what == "audit" {
        return audit(house, from, wait).await;
    }
    // No stream has a slash in its name; of a stream and a group of one name the stream is meant.
    let arn = house.home.arn("kinesis", &format!("stream/{what}"));
    let source = if what.contains('/') { None } else { house.streams.source(&arn) };
    match source {
        Some(source) => stream(source, from, wait).await,
        None => group(house, what, from, wait).await,
    }
}

fn line(at: Timestamp, text: &str) -> Value {
    json!({"time": at.iso_millis(), "text": text})
}

fn page(lines: Vec<Value>, next: impl ToString) -> Value {
    json!({"lines": lines, "next": next.to_string()})
}

fn cursor(from: &str, end: u64) -> Result<u64, String> {
    match from {
        "start" => Ok(0),
        "end" => Ok(end),
        number => number.parse().map_err(|_| format!("{number} is not a place to read from")),
    }
}

async fn group(house: &House, name: &str, from: &str, wait: Duration) -> Result<Value, String> {
    let missing = || match name.starts_with('/') {
        true => format!("there is no log group {name} yet: a function's appears with its first line"),
        false => format!("there is no stream and no log group {name}"),
    };
    let (end, mut grows) = house.logs.end(name).ok_or_else(missing)?;
    let from = cursor(from, end)?;
    if from >= end && !wait.is_zero() {
        // Time running out is an answer too: a page without lines.
        let _ = tokio::time::timeout(wait, grows.wait_for(|next| *next > from)).await;
    }
    let read = house.logs.follow(name, from, PAGE).ok_or_else(missing)??;
    Ok(page(read.lines.iter().map(|(at, text)| line(*at, text)).collect(), read.next))
}

async fn audit(house: &House, from: &str, wait: Duration) -> Result<Value, String> {
    let (end, mut grows) = house.audit.end();
    let from = cursor(from, end)?;
    if from >= end && !wait.is_zero() {
        let _ = tokio::time::timeout(wait, grows.wait_for(|next| *next > from)).await;
    }
    let (records, next) = house.audit.read(from, PAGE).map_err(|e| e.to_string())?;
    Ok(page(records.iter().map(|(at, text)| line(*at, text)).collect(), next))
}

/// Where a stream is read on.
struct Place {
    shard: String,
    next: u64,
    /// Nothing more will come there.
    ended: bool,
}

/// A stream's cursor is `SHARD=POSITION,...`.
async fn stream(source: Arc<dyn Source>, from: &str, wait: Duration) -> Result<Value, String> {
    let mut places = Vec::new();
    for shard in source.shards().map_err(|e| e.to_string())? {
        let known = from.split(',').find_map(|p| p.strip_prefix(&format!("{}=", shard.id))?.parse().ok());
        let start = if from == "end" { Start::Latest } else { Start::TrimHorizon };
        let next = match known {
            Some(next) => next,
            None => source.start_at(&shard.id, start).map_err(|e| e.to_string())?,
        };
        places.push(Place { shard: shard.id, next, ended: false });
    }
    let mut lines = take(&*source, &mut places)?;
    if lines.is_empty() && from != "end" && !wait.is_zero() {
        let open = places.iter().filter(|place| !place.ended);
        let mut news: Vec<_> = open.map(|place| source.changed(&place.shard, place.next)).collect();
        news.push(source.reshaped(places.last().map(|place| place.shard.as_str())));
        let _ = tokio::time::timeout(wait, any(news)).await;
        lines = take(&*source, &mut places)?;
    }
    lines.sort_by_key(|(at, _)| *at);
    let next: Vec<String> = places.iter().map(|place| format!("{}={}", place.shard, place.next)).collect();
    Ok(page(lines.into_iter().map(|(_, l)| l).collect(), next.join(",")))
}

fn take(source: &dyn Source, places: &mut [Place]) -> Result<Vec<(Timestamp, Value)>, String> {
    let mut lines = Vec::new();
    for place in places {
        let limit = ReadLimit { records: PAGE, bytes: 1 << 20 };
        let chunk = source.read(&place.shard, place.next, limit).map_err(|e| e.to_string())?;
        (place.next, place.ended) = (chunk.next, chunk.ended);
        lines.extend(chunk.records.iter().map(|r| (r.at, line(r.at, &String::from_utf8_lossy(&r.data)))));
    }
    Ok(lines)
}

/// Resolves with the first of them.
async fn any(mut futures: Vec<world::BoxFuture<'_, ()>>) {
    std::future::poll_fn(|cx| {
        let ready = futures.iter_mut().any(|f| f.as_mut().poll(cx).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
