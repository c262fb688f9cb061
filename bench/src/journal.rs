//! How near the journal comes to the bare disk: groups of 500 KiB written and synced to a growing and to a recycled
//! file, then `Store::append` with 1, 16 and 64 appenders. All of it is the same disk in the same run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use store::{Batch, Durability, LogId, ReadLimit, Store, StoreOptions, Writer};
use world::disk::Open;
use world::{Clock, Stage, World};

const RECORD: usize = 1024;
const GROUP: usize = 500;
const SEGMENT: u64 = 64 << 20;

/// Measures in a new directory under `dir`, spending about `each` on every line, and prints a table.
pub(crate) fn run(dir: &Path, each: Duration) -> anyhow::Result<()> {
    let world = World::real();
    let dir = dir.join(format!("journal-{}", world.hex_id(8)));
    world.disk.create_dir(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{:<44} {:>12} {:>9} {:>8}", "", "records/s", "MB/s", "of bare");
    let bare_dir = dir.clone();
    let growing = bare_writes(&world, &dir, each, false)?;
    let recycled = bare_writes(&world, &dir, each, true)?;
    line("bare write + fdatasync, growing file", growing, recycled);
    line("bare write + fdatasync, recycled file", recycled, recycled);
    for batch in [1, GROUP] {
        for appenders in [1, 16, 64] {
            let dir = dir.join(format!("store-{batch}-{appenders}"));
            // The disk's mood changes within seconds: each line has a yardstick of its own.
            let recycled = bare_writes(&world, &bare_dir, each / 2, true)?;
            let rate = runtime.block_on(appends(&world, &dir, each, appenders, batch))?;
            line(&format!("Store::append, {appenders} x {batch} records"), rate, recycled);
        }
    }
    let read = runtime.block_on(reads(&world, &dir.join("store-500-16")))?;
    line("Store::read, from the page cache", read, recycled);
    drop(runtime);
    remove(&world, &dir)
}

fn line(name: &str, records: f64, bare: f64) {
    println!("{name:<44} {records:>12.0} {:>9.1} {:>7.0}%", records * RECORD as f64 / 1e6, records / bare * 100.0);
}

/// Records per second of bare writes and syncs on a recycled file: what every other figure is a share of.
pub(crate) fn bare(dir: &Path, each: Duration) -> anyhow::Result<f64> {
    let world = World::real();
    let dir = dir.join(format!("bare-{}", world.hex_id(8)));
    world.disk.create_dir(&dir)?;
    let rate = bare_writes(&world, &dir, each, true)?;
    remove(&world, &dir)?;
    Ok(rate)
}

/// The median of appending 1 KiB to a recycled file and syncing it.
pub(crate) fn bare_append(dir: &Path, each: Duration) -> anyhow::Result<Duration> {
    let world = World::real();
    let dir = dir.join(format!("bare-{}", world.hex_id(8)));
    world.disk.create_dir(&dir)?;
    let file = world.disk.open(&dir.join("bare"), Open::Write)?;
    file.allocate(SEGMENT)?;
    recycle(&*file)?;
    let (record, mut took, mut offset) = ([0xa5u8; RECORD], Vec::new(), 0);
    let start = world.clock.monotonic();
    while world.clock.monotonic() - start < each {
        let begun = world.clock.monotonic();
        file.write_at(&record, offset)?;
        file.sync()?;
        took.push(world.clock.monotonic() - begun);
        offset = (offset + RECORD as u64) % SEGMENT;
    }
    took.sort();
    remove(&world, &dir)?;
    Ok(crate::stats::percentile(&took, 0.5))
}

/// Writes a file in full, as it was in an earlier life.
fn recycle(file: &dyn world::DiskFile) -> anyhow::Result<()> {
    let junk = vec![0xa5u8; 1 << 18];
    for offset in (0..SEGMENT).step_by(junk.len()) {
        file.write_at(&junk, offset)?;
    }
    Ok(file.sync()?)
}

/// Records per second of the same system calls without a journal.
fn bare_writes(world: &World, dir: &Path, each: Duration, recycled: bool) -> anyhow::Result<f64> {
    let group = vec![0xa5u8; RECORD * GROUP];
    let file = world.disk.open(&dir.join("bare"), Open::Write)?;
    file.set_len(0)?;
    file.allocate(SEGMENT)?;
    if recycled {
        recycle(&*file)?;
    }
    let (mut offset, mut groups) = (0u64, 0u64);
    let start = world.clock.monotonic();
    while world.clock.monotonic() - start < each {
        if offset + group.len() as u64 > SEGMENT {
            offset = 0;
            if !recycled {
                file.set_len(0)?;
                file.allocate(SEGMENT)?;
            }
        }
        file.write_at(&group, offset)?;
        file.sync()?;
        offset += group.len() as u64;
        groups += 1;
    }
    let took = (world.clock.monotonic() - start).as_secs_f64();
    Ok((groups * GROUP as u64) as f64 / took)
}

/// Records per second with so many appenders of so many records each.
/// Old records are trimmed all the time, so that segments are recycled as in a running house.
async fn appends(world: &World, dir: &Path, each: Duration, appenders: usize, batch: usize) -> anyhow::Result<f64> {
    let options = StoreOptions { segment_bytes: SEGMENT, durability: Durability::Fsync, writer: Writer::Thread };
    let store = Store::open(world, dir, options).await?;
    let total = Arc::new(AtomicU64::new(0));
    // Half a second to have segments to recycle.
    for (phase, long) in [("warm-up", each.min(Duration::from_millis(700))), ("measured", each)] {
        total.store(0, Relaxed);
        let end = world.clock.monotonic() + long;
        let (done, mut finished) = tokio::sync::mpsc::channel::<()>(1);
        for n in 0..appenders {
            let log = store.log(&format!("log-{}", n % 16)).await?;
            let (store, total, clock, done) = (store.clone(), total.clone(), world.clock.clone(), done.clone());
            world.tasks.spawn(Stage::Sources, phase, move |_| async move {
                let _done = done;
                appender(&store, log, batch, &*clock, end, &total).await;
            });
        }
        drop(done);
        let start = world.clock.monotonic();
        // Closed when the last appender ends.
        let _ = finished.recv().await;
        if phase == "measured" {
            let rate = total.load(Relaxed) as f64 / (world.clock.monotonic() - start).as_secs_f64();
            store.close().await;
            return Ok(rate);
        }
    }
    unreachable!("the second phase is the measured one")
}

async fn appender(store: &Store, log: LogId, batch: usize, clock: &dyn Clock, end: Duration, total: &AtomicU64) {
    let record = [0x5au8; RECORD];
    while clock.monotonic() < end {
        let mut records = Batch::with_capacity(log, batch * (RECORD + 4));
        (0..batch).for_each(|_| records.push(&record));
        let appended = store.append(vec![records]).await.expect("the disk has room");
        total.fetch_add(batch as u64, Relaxed);
        // Keep the newest few tens of megabytes.
        if appended[0].first % 1000 < batch as u64 {
            store.trim(log, appended[0].first.saturating_sub(4000)).expect("the log is there");
        }
    }
}

/// Records per second of one reader that reads everything that is there, over and over.
async fn reads(world: &World, dir: &Path) -> anyhow::Result<f64> {
    let store = Store::open(world, dir, StoreOptions::default()).await?;
    let logs = store.logs("");
    let start = world.clock.monotonic();
    let mut records = 0u64;
    while world.clock.monotonic() - start < Duration::from_secs(1) {
        for (_, log) in &logs {
            let mut from = 0;
            loop {
                let found = store.read(*log, from, ReadLimit { records: 10_000, bytes: 10 << 20 })?;
                let Some(last) = found.last() else { break };
                from = last.index + 1;
                records += found.len() as u64;
            }
        }
    }
    let rate = records as f64 / (world.clock.monotonic() - start).as_secs_f64();
    store.close().await;
    Ok(rate)
}

fn remove(world: &World, dir: &Path) -> anyhow::Result<()> {
    for entry in world.disk.list(dir)? {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            remove(world, &path)?;
        } else {
            world.disk.remove(&path)?;
        }
    }
    #[allow(clippy::disallowed_methods)] // the disk's port has no need to remove directories
    std::fs::remove_dir(dir)?;
    Ok(())
}
