//! Lines that nobody waits for: what functions print and what topics tell of their deliveries. They are taken at once,
//! written a moment later, many with one sync, and all of them at a clean stop; a crash loses those of the last moment.

use crate::Logs;
use crate::event::Event;
use crate::limits::{APPEND_BYTES, EVENT_BYTES, GATHER, WAITING_BYTES};
use crate::room::Room;
use crate::state::Change;
use names::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use wire::ApiError;
use world::Stop;

/// A line of a log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// The log stream's name, such as `2026/11/22/[$LATEST]3f0c...`.
    pub stream: String,
    /// The text.
    pub text: String,
}

/// Lines that wait to be written.
#[derive(Default)]
pub(crate) struct Intake {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    groups: BTreeMap<String, Vec<Line>>,
    bytes: usize,
    dropped: BTreeMap<String, u64>,
}

/// What a line takes while it waits, beside its text.
const LINE_BYTES: usize = 128;

impl Logs {
    /// Takes a line for a log group, which appears with its first line, as its stream does. Never waits: what comes
    /// faster than the disk takes it is dropped, and a line says how many were.
    pub fn write(&self, group: &str, line: Line) {
        if line.text.is_empty() {
            return;
        }
        let mut waiting = self.intake.waiting.lock().expect("no panic holds this lock");
        let size = line.text.len() + LINE_BYTES;
        if waiting.bytes + size > WAITING_BYTES {
            *waiting.dropped.entry(group.to_owned()).or_default() += 1;
            return;
        }
        waiting.bytes += size;
        match waiting.groups.get_mut(group) {
            Some(lines) => lines.push(line),
            None => drop(waiting.groups.insert(group.to_owned(), vec![line])),
        }
        drop(waiting);
        self.intake.arrived.notify_one();
    }
}

/// Writes lines as they come, until the house stops and nothing waits any more.
pub(crate) async fn write_on(logs: Arc<Logs>, mut stop: Stop) {
    loop {
        let ending = tokio::select! {
            biased;
            () = logs.intake.arrived.notified() => false,
            () = stop.wait() => true,
        };
        if !ending {
            tokio::select! {
                biased;
                () = stop.wait() => {}
                () = logs.world.clock.sleep(GATHER) => {}
            }
        }
        flush(&logs).await;
        if ending {
            return;
        }
    }
}

async fn flush(logs: &Arc<Logs>) {
    let taken = std::mem::take(&mut *logs.intake.waiting.lock().expect("no panic holds this lock"));
    let mut groups = taken.groups;
    for (group, count) in taken.dropped {
        let text = format!("{count} log lines came faster than they could be kept");
        let line = Line { at: logs.world.now(), stream: "headwater".to_owned(), text };
        groups.entry(group).or_default().push(line);
    }
    for (group, lines) in groups {
        if let Err(error) = keep(logs, &group, &lines).await {
            // Whoever wrote them is not there any more to be told.
            tracing::warn!(%error, group, lines = lines.len(), "log lines could not be kept");
        }
    }
}

/// Appends lines to their streams; what is not there is made.
async fn keep(logs: &Arc<Logs>, group: &str, lines: &[Line]) -> Result<(), ApiError> {
    let room = logs.group_for(group).await?;
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        if !numbers.contains_key(line.stream.as_str()) {
            numbers.insert(&line.stream, logs.stream_for(group, &line.stream).await?);
        }
    }
    let mut rest = lines;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take_while(|line| {
            bytes += Event { stream: 0, at: 0, message: line.text.as_bytes() }.size();
            bytes <= APPEND_BYTES
        });
        let (now, later) = rest.split_at(fit.count().max(1));
        let events = now.iter().map(|line| (numbers[line.stream.as_str()], line.at.millis(), fitting(&line.text)));
        logs.append(&room, events).await?;
        rest = later;
    }
    Ok(())
}

/// What an event has room for.
fn fitting(text: &str) -> &str {
    &text[..text.floor_char_boundary(EVENT_BYTES)]
}

impl Logs {
    /// The group with this name; made where there is none.
    pub(crate) async fn group_for(self: &Arc<Self>, name: &str) -> Result<Arc<Room>, ApiError> {
        if let Ok(room) = self.room(name) {
            return Ok(room);
        }
        let (group, created) = (name.to_owned(), self.world.now());
        let decide = move |state: &crate::state::State| {
            let new = Change::GroupCreated { name: group.clone(), created, tags: BTreeMap::new(), protected: false };
            Ok(if state.groups.contains_key(&group) { Vec::new() } else { vec![new] })
        };
        self.create_group(name.to_owned(), decide).await?;
        self.room(name)
    }

    /// The number of the stream with this name; made where there is none.
    pub(crate) async fn stream_for(self: &Arc<Self>, group: &str, name: &str) -> Result<u64, ApiError> {
        if let Ok(number) = self.shown(group, name) {
            return Ok(number);
        }
        match self.create_stream(group.to_owned(), name.to_owned()).await {
            // Somebody else was first, or why not.
            Err(error) => self.shown(group, name).map_err(|_| error),
            made => made,
        }
    }
}
