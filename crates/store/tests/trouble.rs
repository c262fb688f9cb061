//! What the journal does when the machine is short of something, or when it is wrong itself; and in whose thread.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use store::{Batch, Durability, LogId, OpenError, ReadLimit, Store, StoreError, StoreOptions, Writer};
use world::disk::{DiskFaults, Entry, Open, SimDisk};
use world::{Disk, DiskFile, World};

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
const SEGMENT: u64 = 64 << 10;

/// A disk that has no file handles for a while, or is programmed wrongly.
struct Odd {
    disk: Arc<SimDisk>,
    no_handles: AtomicBool,
    writes: Arc<Writes>,
}

#[derive(Default)]
struct Writes {
    panic: AtomicBool,
    /// There is no room for long ones.
    cramped: AtomicBool,
    /// In which thread each was.
    threads: Mutex<Vec<ThreadId>>,
}

struct OddFile(Arc<dyn DiskFile>, Arc<Writes>);

impl Disk for Odd {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        const EMFILE: i32 = 24;
        if self.no_handles.load(SeqCst) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        Ok(Arc::new(OddFile(self.disk.open(path, how)?, self.writes.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl DiskFile for OddFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.threads.lock().unwrap().push(thread::current().id());
        assert!(!self.1.panic.load(SeqCst), "a mistake in the disk's code, as this test wants it");
        if self.1.cramped.load(SeqCst) && bytes.len() > 4096 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
}

fn odd() -> (World, Arc<Odd>) {
    let (mut world, disk) = World::simulated(1);
    let odd = Arc::new(Odd { disk, no_handles: AtomicBool::default(), writes: Arc::default() });
    world.disk = odd.clone();
    (world, odd)
}

async fn open(world: &World, writer: Writer) -> Store {
    let options = StoreOptions { segment_bytes: SEGMENT, durability: Durability::Fsync, writer };
    Store::open(world, Path::new("/data"), options).await.unwrap()
}

/// Why a store does not open.
async fn refusal(world: &World) -> OpenError {
    Store::open(world, Path::new("/data"), StoreOptions::default()).await.err().expect("it does not open")
}

async fn put(store: &Store, log: LogId, record: &[u8]) -> Result<u64, StoreError> {
    let mut batch = Batch::new(log);
    batch.push(record);
    Ok(store.append(vec![batch]).await?[0].first)
}

/// Appends until the store refuses; why it does, and how many it took.
async fn fill(store: &Store, log: LogId) -> (StoreError, u64) {
    let mut taken = 0;
    loop {
        match put(store, log, &[1; 1000]).await {
            Ok(_) => taken += 1,
            Err(error) => return (error, taken),
        }
    }
}

async fn a_panic_leaves_nobody_waiting() {
    let (world, odd) = odd();
    let store = open(&world, Writer::Thread).await;
    let log = store.log("a").await.unwrap();
    put(&store, log, b"kept").await.unwrap();
    odd.writes.panic.store(true, SeqCst);
    assert!(matches!(put(&store, log, b"unknown").await, Err(StoreError::Failed { .. })));
    assert!(matches!(put(&store, log, b"refused").await, Err(StoreError::Failed { .. })));
    assert!(matches!(store.log("another").await, Err(StoreError::Failed { .. })));
    store.close().await;
    drop(store);
    odd.writes.panic.store(false, SeqCst);
    let store = open(&world, Writer::Thread).await;
    assert_eq!(store.read(log, 0, ALL).unwrap()[0].data, &b"kept"[..]);
    put(&store, log, b"more").await.unwrap();
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting() {
    a_panic_leaves_nobody_waiting().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_a_caller_that_writes_itself() {
    a_panic_leaves_nobody_waiting().await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods)] // callers in several threads, as nobody's background work
async fn who_comes_alone_writes_itself_and_nothing_is_lost_between_many() {
    let (world, odd) = odd();
    let store = open(&world, Writer::Thread).await;
    let log = store.log("a").await.unwrap();
    let callers = |count: usize, pause: Duration| {
        let callers = (0..count).map(|_| {
            let (store, writes) = (store.clone(), odd.writes.clone());
            tokio::spawn(async move {
                let mut own = 0;
                for _ in 0..100 {
                    tokio::time::sleep(pause).await;
                    writes.threads.lock().unwrap().clear();
                    let caller = thread::current().id();
                    put(&store, log, &[7; 100]).await.unwrap();
                    own += usize::from(writes.threads.lock().unwrap().contains(&caller));
                }
                own
            })
        });
        callers.collect::<Vec<_>>()
    };
    // In a pause the writer's thread goes to sleep.
    for alone in callers(1, Duration::from_millis(1)) {
        assert!(alone.await.unwrap() > 0, "the writer's thread was woken each time");
    }
    for caller in callers(16, Duration::ZERO) {
        caller.await.unwrap();
    }
    let seen = store.read(log, 0, ALL).unwrap();
    assert_eq!(seen.iter().map(|record| record.index).collect::<Vec<_>>(), (0..1700).collect::<Vec<_>>());
    store.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_needs_no_room_for_the_zeros_behind_it() {
    let (world, odd) = odd();
    let store = open(&world, Writer::Inline).await;
    let log = store.log("a").await.unwrap();
    odd.writes.cramped.store(true, SeqCst);
    // More than a segment, so that some are the first of one.
    for n in 0..100 {
        assert_eq!(put(&store, log, &[1; 1000]).await, Ok(n));
    }
    assert_eq!(put(&store, log, &[1; 10_000]).await, Err(StoreError::Full));
    drop(store);
    let store = open(&world, Writer::Inline).await;
    assert_eq!(store.extent(log).next, 100);
}

#[tokio::test(start_paused = true)]
async fn without_file_handles_the_journal_waits_for_some() {
    let (world, odd) = odd();
    let store = open(&world, Writer::Inline).await;
    let log = store.log("a").await.unwrap();
    odd.no_handles.store(true, SeqCst);
    let (why, taken) = fill(&store, log).await;
    assert!(matches!(&why, StoreError::Unready { .. }), "{why}");
    assert!(taken > 40, "what is open is written on");
    assert!(world::Fault::passes(&why), "whoever carries something may try again");
    assert!(matches!(put(&store, log, &[1; 1000]).await, Err(StoreError::Unready { .. })));
    odd.no_handles.store(false, SeqCst);
    assert_eq!(put(&store, log, &[2; 1000]).await, Ok(taken));
    // The same where a spare segment is to be used.
    store.trim(log, taken).unwrap();
    put(&store, log, b"and").await.unwrap();
    assert_eq!(store.usage().spares, 1);
    odd.no_handles.store(true, SeqCst);
    assert!(matches!(fill(&store, log).await.0, StoreError::Unready { .. }));
    assert_eq!(store.usage().spares, 1, "it is still a spare");
    odd.no_handles.store(false, SeqCst);
    let next = put(&store, log, &[3; 1000]).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(&world, Writer::Inline).await;
    assert_eq!(store.read(log, next, ALL).unwrap()[0].data, &[3; 1000][..]);
    assert_eq!(store.read(log, taken, ALL).unwrap()[0].data, &[2; 1000][..]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_less_than_two_segments_recovers_when_its_records_are_trimmed() {
    for capacity in [SEGMENT + SEGMENT / 4, SEGMENT + SEGMENT / 2, 2 * SEGMENT - 4096] {
        let (world, disk) = World::simulated(1);
        disk.set_faults(DiskFaults { capacity, ..DiskFaults::default() });
        let store = open(&world, Writer::Inline).await;
        let log = store.log("a").await.unwrap();
        for round in 0..5 {
            let before = store.extent(log);
            let (why, taken) = fill(&store, log).await;
            assert_eq!(why, StoreError::Full);
            assert!(taken > 20, "round {round} on {capacity} bytes: {taken}");
            assert_eq!(store.read(log, before.first, ALL).unwrap().len() as u64, before.next + taken - before.first);
            store.trim(log, before.next + taken).unwrap();
            // What was trimmed is forgotten with the next group, whether that is taken or not.
            let _ = put(&store, log, &[1; 1000]).await;
            assert!(disk.used() <= capacity);
        }
        put(&store, log, b"alive").await.unwrap();
        store.close().await;
        drop(store);
        let store = open(&world, Writer::Inline).await;
        assert_eq!(store.read(log, 0, ALL).unwrap()[0].data, &b"alive"[..]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_goes_on_as_soon_as_a_little_room_returns() {
    let (world, disk) = World::simulated(1);
    disk.set_faults(DiskFaults { capacity: SEGMENT + 200, ..DiskFaults::default() });
    let store = open(&world, Writer::Inline).await;
    let log = store.log("a").await.unwrap();
    let (why, first) = fill(&store, log).await;
    assert_eq!(why, StoreError::Full);
    disk.set_faults(DiskFaults { capacity: SEGMENT + SEGMENT / 2, ..DiskFaults::default() });
    let (why, more) = fill(&store, log).await;
    assert_eq!(why, StoreError::Full);
    assert!(more > 5, "{more}");
    disk.set_faults(DiskFaults::default());
    assert_eq!(put(&store, log, b"on").await, Ok(first + more));
    assert_eq!(store.read(log, 0, ALL).unwrap().len() as u64, first + more + 1, "nothing was lost");
}

/// A directory with one record, whose store is closed.
async fn small(world: &World) -> LogId {
    let store = open(world, Writer::Inline).await;
    let log = store.log("a").await.unwrap();
    put(&store, log, b"kept").await.unwrap();
    store.close().await;
    log
}

fn rewrite_store(world: &World, format: u32) {
    let path = Path::new("/data/store");
    let mut content = world.disk.read(path).unwrap();
    content[8..12].copy_from_slice(&format.to_le_bytes());
    let checksum = crc32c::crc32c(&content[..28]);
    content[28..].copy_from_slice(&checksum.to_le_bytes());
    world.disk.replace(path, &content).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_older_format_is_made_the_newest_and_a_newer_one_refused() {
    let (world, _) = World::simulated(1);
    let log = small(&world).await;
    let written = world.disk.read(Path::new("/data/store")).unwrap();
    for _ in 0..2 {
        rewrite_store(&world, 1);
        let store = open(&world, Writer::Inline).await;
        assert_eq!(store.read(log, 0, ALL).unwrap()[0].data, &b"kept"[..]);
        store.close().await;
        assert_eq!(world.disk.read(Path::new("/data/store")).unwrap(), written);
    }
    for newer in [0, 3] {
        rewrite_store(&world, newer);
        let refusal = refusal(&world).await;
        assert!(matches!(refusal, OpenError::Format { found, newest: 2, .. } if found == newer), "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_of_a_newer_version_is_refused_by_name() {
    let (world, _) = World::simulated(1);
    small(&world).await;
    let salt = world.disk.read(Path::new("/data/store")).unwrap()[12..28].to_vec();
    let path = Path::new("/data/journal/0000000000000001.log");
    let mut segment = world.disk.read(path).unwrap();
    // The last frame: nothing is chained to its checksum.
    let word = |segment: &[u8], at: usize| u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
    let (mut frame, mut next) = (0, 0);
    while word(&segment, next + 24) != 0 {
        frame = next;
        next = (frame + 32 + 40 * word(&segment, frame + 24) + word(&segment, frame + 28)).next_multiple_of(8);
    }
    let table = frame + 32 + 40 * word(&segment, frame + 24);
    let before = segment.clone();
    segment[table - 4] |= 4;
    let seed = crc32c::crc32c_append(crc32c::crc32c(&salt), &1u64.to_le_bytes());
    let checksum = crc32c::crc32c_append(seed, &segment[frame + 4..table]);
    segment[frame..frame + 4].copy_from_slice(&checksum.to_le_bytes());
    let file = world.disk.open(path, Open::Write).unwrap();
    file.write_at(&segment, 0).unwrap();
    rewrite_store(&world, 1);
    let older = world.disk.read(Path::new("/data/store")).unwrap();
    let refusal = refusal(&world).await;
    assert_eq!(world.disk.read(Path::new("/data/store")).unwrap(), older, "nor is the directory raised");
    assert!(matches!(refusal, OpenError::Newer { flags: 4, offset, .. } if offset == frame as u64), "{refusal}");
    assert_eq!(world.disk.read(path).unwrap(), segment, "nothing was changed");
    file.write_at(&before, 0).unwrap();
    open(&world, Writer::Inline).await;
}
