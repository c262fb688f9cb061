//! The store opens on a disk with changed bytes. It refuses, or what it then reads is what was written.

use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use store::{Batch, Durability, MasterKey, MasterKeys, ReadLimit, Store, StoreOptions, Writer};
use world::disk::SimDisk;
use world::{Disk, World};

const DATA: &str = "/data";
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
/// File, two bytes of offset, and what is changed there.
const EDIT: usize = 4;

/// A store's files, and what its logs hold.
struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
    logs: Vec<(String, Vec<Bytes>)>,
}

async fn open(world: &World) -> Option<Store> {
    let options = StoreOptions { segment_bytes: 4096, durability: Durability::Fsync, writer: Writer::Inline };
    let masters = MasterKeys { current: MasterKey::new(&[1; 32]), previous: None };
    Store::open_with_keys(world, Path::new(DATA), options, Some(masters)).await.ok()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread").block_on(work)
}

/// Some segments with indexes, plain and sealed blocks, a trim and a dropped log.
async fn image() -> Image {
    let (world, disk) = World::simulated(1);
    let store = open(&world).await.expect("a new store");
    let key = store.make_key("a").await.expect("a key");
    let mut logs = Vec::new();
    for name in ["a", "b", "gone"] {
        logs.push((name.to_owned(), store.log(name).await.expect("a log"), Vec::new()));
    }
    for round in 0..40u8 {
        let mut batches = Vec::new();
        for (n, (name, log, records)) in logs.iter_mut().enumerate() {
            let mut batch = Batch::new(*log);
            if name == "a" && round % 2 == 0 {
                batch.seal_under(key);
            }
            for i in 0..=round % 3 {
                let record = vec![round ^ i; 40 * n + usize::from(round)];
                batch.push(&record);
                records.push(Bytes::from(record));
            }
            batches.push(batch);
        }
        store.append(batches).await.expect("an append");
    }
    store.trim(logs[1].1, 7).expect("a trim");
    store.drop_logs(vec![logs[2].1]).await.expect("a dropped log");
    store.close().await;
    let mut files = vec![PathBuf::from(DATA).join("store")];
    let journal = Path::new(DATA).join("journal");
    files.extend(disk.list(&journal).expect("a journal").into_iter().map(|file| journal.join(file.name)));
    let read = |path: PathBuf| {
        let bytes = disk.read(&path).expect("a file that is listed");
        (path, bytes)
    };
    let logs = logs.into_iter().map(|(name, _, records)| (name, records)).collect();
    Image { files: files.into_iter().map(read).collect(), logs }
}

pub(crate) fn run(edits: &[u8]) {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    let image = IMAGE.get_or_init(|| block_on(image()));
    let disk = Arc::new(SimDisk::new(1));
    let mut files = image.files.clone();
    for edit in edits.chunks_exact(EDIT) {
        let (file, at, value) = (usize::from(edit[0]), usize::from(u16::from_le_bytes([edit[1], edit[2]])), edit[3]);
        let count = files.len();
        let bytes = &mut files[file % count].1;
        if let Some(len) = bytes.len().checked_sub(1) {
            bytes[at % (len + 1)] ^= value;
        }
    }
    // A file may also be cut.
    if let [file, part] = edits.chunks_exact(EDIT).remainder() {
        let count = files.len();
        let bytes = &mut files[usize::from(*file) % count].1;
        bytes.truncate(bytes.len() * usize::from(*part) / 256);
    }
    block_on(check(image, &disk, files));
}

async fn check(image: &Image, disk: &Arc<SimDisk>, files: Vec<(PathBuf, Vec<u8>)>) {
    disk.create_dir(&Path::new(DATA).join("journal")).expect("a directory");
    for (path, bytes) in files {
        disk.replace(&path, &bytes).expect("a write");
    }
    let (mut world, _) = World::simulated(2);
    world.disk = disk.clone();
    let Some(store) = open(&world).await else { return };
    for (name, written) in &image.logs {
        let Some(log) = store.find_log(name) else { continue };
        let extent = store.extent(log);
        for from in extent.first..extent.next {
            let one = ReadLimit { records: 1, bytes: 1 };
            for record in store.read(log, from, one).unwrap_or_default() {
                let index = usize::try_from(record.index).expect("few records");
                assert_eq!(Some(&record.data), written.get(index), "record {index} of {name}");
            }
        }
        for record in store.read(log, 0, ALL).unwrap_or_default() {
            store.find_time(log, record.at);
        }
    }
    // It goes on to write.
    if let Some(log) = store.find_log("a") {
        let mut batch = Batch::new(log);
        batch.push(b"more");
        drop(store.append(vec![batch]).await);
    }
    store.close().await;
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // Nothing; the store's identity; each file's beginning and middle; a cut.
    let mut seeds = vec![Vec::new(), vec![0, 9, 0, 1], vec![3, 128]];
    seeds.extend((1..8).map(|file| vec![file, 40, 0, 4, file, 0, 4, 255]));
    seeds.extend((1..8).map(|file| vec![file, 200]));
    seeds
}
