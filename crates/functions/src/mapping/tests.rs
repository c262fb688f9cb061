//! Mappings between a stream and a target that the test holds in its hands.

use super::*;
use crate::functions::{Neighbours, Options};
use crate::runtime::SessionCredentials;
use crate::state::{Change, Function};
use bytes::Bytes;
use consume::{Chunk, ReadLimit, Record, ShardInfo, SourceError};
use delivery::{Delivery, Target, Verdict};
use names::{Arn, Home};
use std::path::Path;
use store::{Store, StoreError, StoreOptions, Writer};
use world::{BoxFuture, World};

const UUID: &str = "mapping-1";

/// One shard with one record.
struct Stream;

impl Source for Stream {
    fn arn(&self) -> Arn {
        Home::default().arn("kinesis", "stream/s")
    }
    fn since(&self) -> Timestamp {
        Timestamp::default()
    }
    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        Ok(vec![ShardInfo { id: "shard".into(), parents: vec![] }])
    }
    fn start_at(&self, _: &str, _: Start) -> Result<u64, SourceError> {
        Ok(0)
    }
    fn read(&self, _: &str, from: u64, _: ReadLimit) -> Result<Chunk, SourceError> {
        let record = || Record {
            position: 0,
            sequence: "1".into(),
            key: "k".into(),
            at: Timestamp::default(),
            data: Bytes::from_static(b"hello"),
        };
        let records: Vec<Record> = (from == 0).then(record).into_iter().collect();
        Ok(Chunk { records, next: 1, ..Chunk::default() })
    }
    fn changed<'a>(&'a self, _: &'a str, from: u64) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if from > 0 {
                std::future::pending::<()>().await;
            }
        })
    }
    fn reshaped<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

struct Rooms;

impl Neighbours for Rooms {
    fn source(&self, _: &Arn) -> Option<Arc<dyn Source>> {
        Some(Arc::new(Stream))
    }
    fn trusts(&self, _: &Arn, _: &str) -> bool {
        true
    }
    fn credentials(&self, _: &Arn, _: &str) -> Result<SessionCredentials, String> {
        Err("no function runs here".into())
    }
}

/// A function that answers where it exists.
struct Lambda(Arc<Functions>, Mutex<u32>);

impl Target for Lambda {
    fn deliver<'a>(&'a self, _: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            if !self.0.catalog.read(|state| state.functions.contains_key("f")) {
                return Verdict::Refused { code: "ResourceNotFoundException".into(), why: "gone".into() };
            }
            *self.1.lock().unwrap() += 1;
            Verdict::Accepted(Bytes::new())
        })
    }
}

async fn house() -> (World, Arc<Functions>, Arc<Lambda>) {
    let (world, _) = World::simulated(1);
    let options = StoreOptions { writer: Writer::Inline, ..StoreOptions::default() };
    let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
    let delivery = Delivery::open(&world, &store).await.unwrap();
    let checkpoints = Checkpoints::open(&store).await.unwrap();
    // Code and scratch directories are on the real disk.
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, runtimes) = (dir.path().to_owned(), dir.path().join("runtimes"));
    let options = Options { data_dir, runtimes, environment: vec![], memory_mb: 128 };
    let (home, rooms) = (Home::default(), Arc::new(Rooms));
    let functions = Functions::open(world.clone(), home, store, delivery.clone(), checkpoints, rooms, options);
    let functions = functions.await.unwrap();
    let lambda = Arc::new(Lambda(functions.clone(), Mutex::new(0)));
    delivery.register("lambda", "function:", lambda.clone());
    (world, functions, lambda)
}

async fn change(functions: &Functions, change: Change) {
    functions.catalog.change(|_| Ok::<_, StoreError>((vec![change], ()))).await.unwrap();
}

fn mapping(enabled: bool) -> Change {
    Change::PutMapping(Box::new(Mapping {
        uuid: UUID.into(),
        function: "f".into(),
        source: Stream.arn(),
        batch_size: 10,
        window_s: 0,
        from: From::TrimHorizon,
        enabled,
        last_modified: Timestamp::default(),
    }))
}

fn function() -> Change {
    let home = Home::default();
    Change::PutFunction(Box::new(Function {
        name: "f".into(),
        arn: home.arn("lambda", "function:f"),
        runtime: "python3.12".into(),
        role: home.global_arn("iam", "role/r"),
        handler: "f.handler".into(),
        description: String::new(),
        timeout_s: 3,
        memory_mb: 128,
        ephemeral_mb: 512,
        environment: BTreeMap::new(),
        code_sha256: String::new(),
        code_id: String::new(),
        code_size: 0,
        last_modified: Timestamp::default(),
        revision: String::new(),
        dead_letter: None,
        tags: BTreeMap::new(),
        permissions: BTreeMap::new(),
    }))
}

fn result(functions: &Functions) -> Option<String> {
    functions.mappings.get(UUID).map(|running| running.seen.lock().unwrap().result.clone())
}

#[tokio::test(start_paused = true)]
async fn a_mapping_waits_for_a_function_that_is_gone() {
    let (world, functions, lambda) = house().await;
    change(&functions, mapping(true)).await;
    functions.settle_mapping(UUID);
    world.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(result(&functions).as_deref(), Some("PROBLEM: The function does not exist."));
    assert_eq!(*lambda.1.lock().unwrap(), 0);
    change(&functions, function()).await;
    world.clock.sleep(limits::RETRY_CAP).await;
    assert_eq!(result(&functions).as_deref(), Some("OK"));
    assert_eq!(*lambda.1.lock().unwrap(), 1, "no record was lost meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_what_the_catalog_says_whatever_the_order_of_calls() {
    let (world, functions, lambda) = house().await;
    change(&functions, function()).await;
    // Two calls changed the mapping, and the one that enabled it comes last to here.
    change(&functions, mapping(true)).await;
    change(&functions, mapping(false)).await;
    functions.settle_mapping(UUID);
    functions.settle_mapping(UUID);
    assert!(functions.mappings.get(UUID).is_none());
    world.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(*lambda.1.lock().unwrap(), 0);
    change(&functions, mapping(true)).await;
    functions.settle_mapping(UUID);
    change(&functions, Change::DeleteMapping(UUID.into())).await;
    functions.settle_mapping(UUID);
    assert!(functions.mappings.get(UUID).is_none());
    world.clock.sleep(Duration::from_secs(10)).await;
    assert!(world.tasks.running().iter().all(|name| !name.starts_with("mapping")), "{:?}", world.tasks.running());
}
