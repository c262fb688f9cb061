//! stand-in: in memory, until the journal itself lands
use crate::batch::take_record;
use crate::{Appended, Batch, Extent, LogId, OpenError, ReadLimit, Record, StoreError, StoreOptions, Timestamp, Usage};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use world::World;

struct Log {
    name: String,
    first: u64,
    records: Vec<Record>,
    watch: watch::Sender<u64>,
}

pub(crate) struct Journal {
    world: World,
    logs: Mutex<(u64, BTreeMap<u64, Log>)>,
}

impl Journal {
    pub(crate) fn open(world: &World, dir: &Path, _: StoreOptions) -> Result<Arc<Journal>, OpenError> {
        let _ = world.disk.create_dir(dir);
        Ok(Arc::new(Journal { world: world.clone(), logs: Mutex::default() }))
    }
    pub(crate) async fn create(&self, name: &str) -> Result<LogId, StoreError> {
        if let Some(log) = self.find(name) {
            return Ok(log);
        }
        let mut logs = self.logs.lock().expect("no panic holds this lock");
        logs.0 += 1;
        let id = logs.0;
        let log = Log { name: name.to_owned(), first: 0, records: Vec::new(), watch: watch::Sender::new(0) };
        logs.1.insert(id, log);
        Ok(LogId(id))
    }
    pub(crate) fn find(&self, name: &str) -> Option<LogId> {
        let logs = self.logs.lock().expect("no panic holds this lock");
        logs.1.iter().find(|(_, l)| l.name == name).map(|(id, _)| LogId(*id))
    }
    pub(crate) fn names(&self, prefix: &str) -> Vec<(String, LogId)> {
        let logs = self.logs.lock().expect("no panic holds this lock");
        let mut out: Vec<_> = logs.1.iter().map(|(id, l)| (l.name.clone(), LogId(*id))).collect();
        out.retain(|(n, _)| n.starts_with(prefix));
        out.sort();
        out
    }
    pub(crate) async fn drop_logs(&self, ids: Vec<LogId>) -> Result<(), StoreError> {
        let mut logs = self.logs.lock().expect("no panic holds this lock");
        for id in ids {
            logs.1.remove(&id.0);
        }
        Ok(())
    }
    pub(crate) async fn append_lazy(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        self.append(batches).await.map(|_| ())
    }
    pub(crate) async fn append(&self, batches: Vec<Batch>) -> Result<Vec<Appended>, StoreError> {
        let mut logs = self.logs.lock().expect("no panic holds this lock");
        if let Some(b) = batches.iter().find(|b| !logs.1.contains_key(&b.log().0)) {
            return Err(StoreError::NoLog(b.log()));
        }
        let mut out = Vec::new();
        for batch in batches {
            let log = logs.1.get_mut(&batch.log().0).expect("checked");
            let at = self.world.now().max(log.records.last().map_or(Timestamp(0), |r| r.at));
            let first = log.records.len() as u64;
            for (mut piece, count) in batch.into_pieces() {
                for _ in 0..count {
                    let data = take_record(&mut piece).expect("framed");
                    log.records.push(Record { index: log.records.len() as u64, at, data });
                }
            }
            out.push(Appended { first, at });
            log.watch.send_replace(log.records.len() as u64);
        }
        Ok(out)
    }
    pub(crate) fn read(&self, log: LogId, from: u64, limit: ReadLimit) -> Result<Vec<Record>, StoreError> {
        let logs = self.logs.lock().expect("no panic holds this lock");
        let l = logs.1.get(&log.0).ok_or(StoreError::NoLog(log))?;
        let (mut out, mut bytes) = (Vec::new(), 0);
        for r in l.records.iter().skip(from.max(l.first) as usize).take(limit.records) {
            bytes += r.data.len();
            if !out.is_empty() && bytes > limit.bytes {
                break;
            }
            out.push(r.clone());
        }
        Ok(out)
    }
    pub(crate) fn extent(&self, log: LogId) -> Extent {
        let logs = self.logs.lock().expect("no panic holds this lock");
        let Some(l) = logs.1.get(&log.0) else { return Extent::default() };
        let bytes = l.records.iter().skip(l.first as usize).map(|r| r.data.len() as u64).sum();
        let last_at = l.records.last().map_or(Timestamp(0), |r| r.at);
        Extent { first: l.first, next: l.records.len() as u64, bytes, last_at }
    }
    pub(crate) fn find_time(&self, log: LogId, at: Timestamp) -> u64 {
        let logs = self.logs.lock().expect("no panic holds this lock");
        let Some(l) = logs.1.get(&log.0) else { return 0 };
        (l.records.partition_point(|r| r.at < at) as u64).max(l.first)
    }
    pub(crate) fn trim(&self, log: LogId, before: u64) -> Result<(), StoreError> {
        let mut logs = self.logs.lock().expect("no panic holds this lock");
        let l = logs.1.get_mut(&log.0).ok_or(StoreError::NoLog(log))?;
        l.first = l.first.max(before.min(l.records.len() as u64));
        Ok(())
    }
    pub(crate) fn watch(&self, log: LogId) -> watch::Receiver<u64> {
        let logs = self.logs.lock().expect("no panic holds this lock");
        logs.1.get(&log.0).map_or_else(|| watch::Sender::new(0).subscribe(), |l| l.watch.subscribe())
    }
    pub(crate) fn usage(&self) -> Usage {
        Usage::default()
    }
    pub(crate) async fn close(&self) {}
    pub(crate) fn stop(&self) {}
}
