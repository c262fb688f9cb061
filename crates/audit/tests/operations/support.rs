//! An audit whose default bus is a list, told of calls as the front tells it.

use audit::{Audit, Settings};
use bytes::Bytes;
use delivery::{Delivery, Envelope, Options, Target, Verdict};
use names::{Account, Caller, CallerKind, Home};
use serde_json::Value as Json;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use store::{Store, StoreOptions, Writer};
use wire::{ApiError, Call, FromValue, IntoValue, Observer, Operation, Outcome, Protocol, Request, ServiceModel};
use world::disk::SimDisk;
use world::{BoxFuture, World};

/// The default bus.
#[derive(Default)]
pub(crate) struct Bus(pub(crate) Mutex<Vec<Envelope>>);

impl Target for Bus {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        self.0.lock().unwrap().push(envelope.clone());
        Box::pin(async { Verdict::Accepted(Bytes::new()) })
    }
    fn sends_on(&self, _: &Envelope) -> bool {
        true
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Store,
    pub(crate) audit: Arc<Audit>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) bus: Arc<Bus>,
    started: Once,
}

impl House {
    pub(crate) async fn new(settings: Settings) -> House {
        let (world, disk) = World::simulated(5);
        House::open(world, disk, settings).await
    }

    pub(crate) async fn open(world: World, disk: Arc<SimDisk>, settings: Settings) -> House {
        House::open_narrow(world, disk, settings, Options::default()).await
    }

    pub(crate) async fn open_narrow(world: World, disk: Arc<SimDisk>, settings: Settings, narrow: Options) -> House {
        let options = StoreOptions { writer: Writer::Inline, segment_bytes: 1 << 20, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open_with(&world, &store, narrow).await.unwrap();
        let bus = Arc::new(Bus::default());
        delivery.register("events", "event-bus/", bus.clone());
        let home = Home::default();
        let audit = Audit::open(world.clone(), home, store.clone(), delivery.clone(), settings).await.unwrap();
        House { world, disk, store, audit, delivery, bus, started: Once::new() }
    }

    /// A call that succeeded or failed.
    pub(crate) async fn tell<O: Operation>(
        &self,
        service: &'static ServiceModel,
        caller: Caller,
        input: O::Input,
        result: Result<O::Output, ApiError>,
    ) {
        let (output, error) = match result {
            Ok(output) => (output.into_value(), None),
            Err(error) => (None, Some(error)),
        };
        let call = Arc::new(self.call(service, O::MODEL, caller));
        self.audit.observe(Outcome { call, input: input.into_value(), output, error }).await;
    }

    fn call(&self, service: &'static ServiceModel, operation: &'static wire::OperationModel, caller: Caller) -> Call {
        Call {
            source_ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
            user_agent: "Boto3/1".into(),
            request_id: "r-1".into(),
            ..Call::local(service, operation, caller, self.world.now())
        }
    }

    /// The events that the bus got once delivery came to rest.
    pub(crate) async fn events(&self) -> Vec<Json> {
        self.sent().await.iter().map(|envelope| serde_json::from_slice(&envelope.body).unwrap()).collect()
    }

    /// What runs in the background begins, where it does not run yet.
    pub(crate) fn start(&self) {
        self.started.call_once(|| {
            self.delivery.start();
            self.audit.start();
        });
    }

    /// And their envelopes.
    pub(crate) async fn sent(&self) -> Vec<Envelope> {
        self.start();
        self.world.clock.sleep(Duration::from_secs(2)).await;
        self.bus.0.lock().unwrap().clone()
    }

    /// Asks LookupEvents.
    pub(crate) async fn look_up(&self, input: Json) -> Result<shapes::cloudtrail::LookupEventsResponse, ApiError> {
        let service = self.audit.service();
        let call = self.call(service.model(), shapes::cloudtrail::LookupEventsOp::MODEL, alice());
        let head = Arc::new(http::Request::post("/").body(()).unwrap().into_parts().0);
        let request =
            Request { protocol: Protocol::AwsJson11, head, body: Bytes::from(input.to_string()), observed: true };
        let handled = service.handler("LookupEvents").unwrap().handle(Arc::new(call), request).await;
        handled.result?;
        Ok(FromValue::from_value(handled.output.unwrap()).unwrap())
    }
}

/// The life of one process on a disk: everything it started dies with it.
pub(crate) fn life<T, F: Future<Output = T>>(disk: &Arc<SimDisk>, live: impl FnOnce(World) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (world, _) = World::simulated(5);
        live(World { disk: disk.clone(), ..world }).await
    })
}

pub(crate) fn alice() -> Caller {
    Caller {
        kind: CallerKind::User { name: "alice".into() },
        account: Account::parse("000000000000").unwrap(),
        arn: "arn:aws:iam::000000000000:user/alice".into(),
        principal_id: "AIDA1".into(),
        access_key_id: "AKIA1".into(),
    }
}
