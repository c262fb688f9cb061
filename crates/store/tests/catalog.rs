//! The catalog through its API.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use store::{Catalog, State, Store, StoreError, StoreOptions, Writer};
use world::{Stage, World};

#[derive(Default, Serialize, Deserialize)]
struct Names {
    names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum Change {
    Add(String),
    Remove(String),
}

impl State for Names {
    type Change = Change;
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Add(name) => self.names.push(name.clone()),
            Change::Remove(name) => self.names.retain(|n| n != name),
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("it is there")]
    Exists,
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn add(catalog: &Catalog<Names>, name: &str) -> Result<usize, Refusal> {
    let decide = |state: &Names| match state.names.iter().any(|n| n == name) {
        true => Err(Refusal::Exists),
        false => Ok((vec![Change::Add(name.to_owned())], state.names.len())),
    };
    catalog.change(decide).await
}

async fn open(world: &World) -> (Store, Arc<Catalog<Names>>) {
    let options = StoreOptions { segment_bytes: 64 << 10, writer: Writer::Inline, ..StoreOptions::default() };
    let store = Store::open(world, Path::new("/data"), options).await.unwrap();
    let catalog = Catalog::open(&store, "names").await.unwrap();
    (store, catalog)
}

#[tokio::test(start_paused = true)]
async fn decisions_see_each_other_and_survive() {
    let (world, disk) = World::simulated(1);
    let (_, catalog) = open(&world).await;
    assert_eq!(add(&catalog, "a").await, Ok(0));
    assert_eq!(add(&catalog, "a").await, Err(Refusal::Exists));
    let (left, right) = tokio::join!(add(&catalog, "b"), add(&catalog, "b"));
    assert!(left.is_ok() != right.is_ok(), "one of two at once is refused");
    disk.crash();
    let (_, catalog) = open(&world).await;
    assert_eq!(catalog.read(|state| state.names.clone()), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_replaces_what_made_it() {
    let (world, disk) = World::simulated(1);
    let (store, catalog) = open(&world).await;
    let long = "x".repeat(1000);
    for i in 0..2000 {
        add(&catalog, &format!("{long}{i}")).await.unwrap();
        if i >= 3 {
            let gone = format!("{long}{}", i - 3);
            catalog.change(|_| Ok::<_, StoreError>((vec![Change::Remove(gone)], ()))).await.unwrap();
        }
    }
    let extent = store.extent(store.find_log("names").unwrap());
    assert!(extent.next > 3900 && extent.next - extent.first < 600, "{extent:?}");
    let before = catalog.read(|state| state.names.clone());
    assert_eq!(before.len(), 3);
    disk.crash();
    let (_, catalog) = open(&world).await;
    assert_eq!(catalog.read(|state| state.names.clone()), before);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_part_memory_from_disk() {
    let (world, _) = World::simulated(1);
    let (store, catalog) = open(&world).await;
    let impatient = catalog.clone();
    let waited = tokio::time::timeout(std::time::Duration::ZERO, async move { add(&impatient, "a").await });
    drop(waited.await);
    let (done, wait) = tokio::sync::oneshot::channel();
    let other = catalog.clone();
    world.tasks.spawn(Stage::Sources, "other", move |_| async move {
        let _ = done.send(add(&other, "b").await);
    });
    wait.await.unwrap().unwrap();
    let in_memory = catalog.read(|state| state.names.clone());
    store.close().await;
    let (_, catalog) = open(&world).await;
    assert_eq!(catalog.read(|state| state.names.clone()), in_memory);
}
