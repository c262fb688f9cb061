//! Calls the tables of handlers as the front does, without a socket.

use bytes::Bytes;
use identity::{Identity, RootKey};
use names::{Caller, Home};
use std::path::Path;
use std::sync::Arc;
use store::{Store, StoreOptions, Writer};
use wire::auth::Authenticator;
use wire::{ApiError, Call, FromValue, Operation, Protocol, Request};
use world::World;
use world::disk::SimDisk;

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Store,
    pub(crate) identity: Arc<Identity>,
}

impl House {
    pub(crate) async fn new() -> House {
        let (world, disk) = World::simulated(7);
        House::open(world, disk).await
    }

    pub(crate) async fn open(world: World, disk: Arc<SimDisk>) -> House {
        let options = StoreOptions { writer: Writer::Inline, segment_bytes: 1 << 20, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let root = RootKey { access_key_id: "test".into(), secret_access_key: "test".into() };
        let identity = Identity::open(world.clone(), Home::default(), &store, Path::new("/data"), root).await.unwrap();
        House { world, disk, store, identity }
    }

    pub(crate) fn root(&self) -> Caller {
        self.identity.find("test", None, self.world.now()).unwrap().caller
    }

    /// Asks as root.
    pub(crate) async fn ask<O: Operation>(&self, input: &[(&str, &str)]) -> Result<O::Output, ApiError> {
        self.ask_as::<O>(&self.root(), input).await
    }

    pub(crate) async fn ask_as<O: Operation>(
        &self,
        caller: &Caller,
        input: &[(&str, &str)],
    ) -> Result<O::Output, ApiError> {
        let services = self.identity.services();
        let service = services.iter().find(|service| service.handler(O::MODEL.name).is_some()).unwrap();
        let call = Arc::new(Call::local(service.model(), O::MODEL, caller.clone(), self.world.now()));
        let body = input.iter().fold(format!("Action={}", O::MODEL.name), |body, (name, value)| {
            format!(
                "{body}&{name}={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            )
        });
        let head = http::Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let head = Arc::new(head.body(()).unwrap().into_parts().0);
        let request = Request { protocol: Protocol::Query, head, body: Bytes::from(body), observed: true };
        let handled = service.handler(O::MODEL.name).unwrap().handle(call, request).await;
        handled.result?;
        Ok(O::Output::from_value(handled.output.unwrap()).unwrap())
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.model.code, error.message)
}
