//! Functions' logs: one store log per log group, bounded, readable while it grows.

use crate::limits;
use names::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Batch, LogId, ReadLimit, Store, StoreError};
use tokio::sync::Notify;
use world::{Stage, World};

/// One line of a log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// The log stream's name, such as `2026/11/22/[$LATEST]3f0c...`.
    pub stream: String,
    /// The text.
    pub text: String,
}

/// All log groups.
pub struct Logs {
    store: Store,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    groups: BTreeMap<String, Vec<LogLine>>,
    bytes: usize,
    dropped: u64,
}

impl Logs {
    /// Opens them and starts the writer.
    pub fn open(world: &World, store: &Store) -> Arc<Logs> {
        let logs = Arc::new(Logs { store: store.clone(), waiting: Mutex::default(), arrived: Notify::new() });
        let writer = logs.clone();
        let clock = world.clock.clone();
        world.tasks.spawn(Stage::Store, "function logs", move |mut stop| async move {
            loop {
                let ending = tokio::select! {
                    biased;
                    () = writer.arrived.notified() => false,
                    () = stop.wait() => true,
                };
                if let Err(error) = writer.flush().await {
                    tracing::warn!(%error, "cannot keep the functions' logs");
                    clock.sleep(Duration::from_secs(1)).await;
                }
                if ending {
                    break;
                }
            }
        });
        logs
    }

    /// Takes a line. Never waits: what would not fit into the buffer is dropped and counted in a line of its own.
    pub fn write(&self, group: &str, line: LogLine) {
        let mut waiting = self.waiting.lock().expect("no panic holds this lock");
        let size = line.text.len() + 128;
        if waiting.bytes + size > limits::LOG_BUFFER {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += size;
        waiting.groups.entry(group.to_owned()).or_default().push(line);
        drop(waiting);
        self.arrived.notify_one();
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let taken = std::mem::take(&mut *self.waiting.lock().expect("no panic holds this lock"));
        let mut ids: HashMap<String, LogId> = HashMap::new();
        let mut batches = Vec::new();
        for (group, mut lines) in taken.groups {
            if taken.dropped > 0 {
                let text = format!("{} log lines came faster than they could be kept", taken.dropped);
                let at = lines.last().map_or(Timestamp(0), |l| l.at);
                lines.push(LogLine { at, stream: "headwater".to_owned(), text });
            }
            let id = self.store.log(&log_name(&group)).await?;
            ids.insert(group, id);
            let mut batch = Batch::new(id);
            lines.iter().for_each(|line| batch.push(&encode(line)));
            batches.push(batch);
        }
        if !batches.is_empty() {
            self.store.append(batches).await?;
        }
        for id in ids.into_values() {
            let extent = self.store.extent(id);
            if extent.bytes > limits::LOG_BYTES {
                // The older half goes at once, so that this is seldom.
                self.store.trim(id, extent.first + (extent.next - extent.first) / 2)?;
            }
        }
        Ok(())
    }

    /// Lines of a group from an index on, and the index after them; `None` where there is no such group.
    pub fn read(&self, group: &str, from: u64, limit: usize) -> Result<Option<(Vec<LogLine>, u64)>, StoreError> {
        let Some(id) = self.store.find_log(&log_name(group)) else { return Ok(None) };
        let records = self.store.read(id, from, ReadLimit { records: limit, bytes: 1 << 20 })?;
        let next = records.last().map_or(from, |r| r.index + 1);
        Ok(Some((records.iter().filter_map(|r| decode(&r.data)).collect(), next)))
    }

    /// The index that the group's next line gets, and a receiver that changes with it.
    pub fn end(&self, group: &str) -> Option<(u64, tokio::sync::watch::Receiver<u64>)> {
        let id = self.store.find_log(&log_name(group))?;
        Some((self.store.extent(id).next, self.store.watch(id)))
    }
}

fn log_name(group: &str) -> String {
    format!("functions/logs{group}")
}

/// `[version 1][time, 8 bytes][length of the stream's name, 2 bytes][name][text]`, numbers little-endian.
fn encode(line: &LogLine) -> Vec<u8> {
    let name = &line.stream.as_bytes()[..line.stream.len().min(usize::from(u16::MAX))];
    let mut out = Vec::with_capacity(11 + name.len() + line.text.len());
    out.push(1);
    out.extend_from_slice(&line.at.micros().to_le_bytes());
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(line.text.as_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<LogLine> {
    let (1, rest) = bytes.split_first().map(|(v, r)| (*v, r))? else { return None };
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (name, text) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some(LogLine {
        at: Timestamp(i64::from_le_bytes(*at)),
        stream: String::from_utf8_lossy(name).into_owned(),
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_there_and_back() {
        let line = LogLine { at: Timestamp(-5), stream: "2026/11/22/[$LATEST]ab".into(), text: "héllo\tworld".into() };
        let bytes = encode(&line);
        assert_eq!(decode(&bytes), Some(line));
        for cut in 0..11 {
            assert_eq!(decode(&bytes[..cut]), None);
        }
    }
}
