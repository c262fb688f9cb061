//! Calls the table of handlers as the front does, without a socket.

use bytes::Bytes;
use inventory::{Inventory, Settings};
use names::{Caller, Home};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreOptions, Writer};
use wire::{ApiError, Call, FromValue, Operation, Protocol, Request};
use world::World;
use world::disk::SimDisk;

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Store,
    pub(crate) inventory: Arc<Inventory>,
}

impl House {
    pub(crate) async fn new(settle: Duration) -> House {
        let (world, disk) = World::simulated(11);
        House::open(world, disk, settle).await
    }

    pub(crate) async fn open(world: World, disk: Arc<SimDisk>, settle: Duration) -> House {
        let options = StoreOptions { writer: Writer::Inline, segment_bytes: 1 << 20, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let inventory = Inventory::open(world.clone(), Home::default(), &store, Settings { settle }).await.unwrap();
        House { world, disk, store, inventory }
    }

    /// Asks with EC2's query protocol.
    pub(crate) async fn ask<O: Operation>(&self, input: &[(&str, &str)]) -> Result<O::Output, ApiError> {
        let service = self.inventory.service();
        let call = Arc::new(Call::local(
            service.model(),
            O::MODEL,
            Caller::root(&Home::default().account, "test"),
            self.world.now(),
        ));
        let body = input.iter().fold(format!("Action={}", O::MODEL.name), |body, (name, value)| {
            format!(
                "{body}&{name}={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            )
        });
        let head = http::Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let head = Arc::new(head.body(()).unwrap().into_parts().0);
        let request = Request { protocol: Protocol::Ec2Query, head, body: Bytes::from(body), observed: true };
        let handled = service.handler(O::MODEL.name).unwrap().handle(call, request).await;
        handled.result?;
        Ok(O::Output::from_value(handled.output.unwrap()).unwrap())
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.model.code, error.message)
}
