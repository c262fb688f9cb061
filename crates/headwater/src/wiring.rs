//! The wiring table: the only place where services meet. It holds no meaning of its own.

mod inbox;

use crate::cli::{Durability, FunctionNetwork, LimitsMode, SandboxMode};
use crate::config::Settings;
use crate::serve;
use anyhow::{Result, ensure};
use consume::{Checkpoints, Inbox, Source};
use delivery::Delivery;
use functions::runtime::SessionCredentials;
use functions::{Functions, Neighbours};
use names::{Arn, Home, Timestamp};
use pipes::Pipes;
use policies::Identities;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreOptions};
use wire::Front;
use world::World;

/// All rooms of a server.
pub struct House {
    pub world: World,
    pub home: Home,
    pub store: Store,
    pub front: Arc<Front>,
    pub streams: Arc<streams::Streams>,
    pub functions: Arc<Functions>,
    pub topics: Arc<topics::Topics>,
    pub audit: Arc<audit::Audit>,
    pub logs: Arc<logs::Logs>,
    delivery: Arc<Delivery>,
    rules: Arc<rules::Rules>,
    scheduler: Arc<rules::Scheduler>,
    pipes: Arc<Pipes>,
    queues: Arc<queues::Queues>,
    inventory: Arc<inventory::Inventory>,
}

/// Credentials of an execution role that Lambda hands to functions last this long.
const SESSION: Duration = Duration::from_secs(12 * 3600);

impl House {
    /// Opens every room on one store. Nothing runs yet.
    pub async fn open(world: World, settings: &Settings) -> Result<Arc<House>> {
        serve::check_directory(&world, settings)?;
        let home = settings.home.clone();
        let options = store_options(settings);
        let masters = settings.encryption.as_ref().map(|keys| keys.read(&*world.disk)).transpose()?;
        let store = Store::open_with_keys(&world, &settings.data_dir, options, masters).await?;
        let delivery = Delivery::open_with(&world, &store, settings.delivery.clone()).await?;
        let root = identity::RootKey {
            access_key_id: settings.credentials.access_key_id.clone(),
            secret_access_key: settings.credentials.secret_access_key.clone(),
        };
        let identity = identity::Identity::open(world.clone(), home.clone(), &store, &settings.data_dir, root).await?;
        delivery.ask(identity.clone());
        let streams = open_streams(&world, settings, &store, identity.clone()).await?;
        let options = queues::Options { throttle: settings.limits == LimitsMode::Aws };
        let queues =
            queues::Queues::open_with(world.clone(), home.clone(), store.clone(), identity.clone(), options).await?;
        let logs = logs::Logs::open(world.clone(), home.clone(), store.clone()).await?;
        let topics = open_topics(&world, settings, &store, &delivery, identity.clone()).await?;
        let (rules, scheduler) = open_rules(&world, settings, &store, &delivery, identity.clone()).await?;
        // Rules in the state `ENABLED` do not see them; those that ask for all management events do.
        let told = audit::Settings { read_only_events: true };
        let audit = audit::Audit::open(world.clone(), home.clone(), store.clone(), delivery.clone(), told).await?;
        let inventory =
            inventory::Inventory::open(world.clone(), home.clone(), &store, inventory::Settings::default()).await?;
        let rooms =
            Rooms { streams: streams.clone(), queues: queues.clone(), identity: identity.clone(), logs: logs.clone() };
        let (rooms, checkpoints) = (Arc::new(rooms), Checkpoints::open(&store).await?);
        let functions = open_functions(&world, settings, &store, &delivery, checkpoints.clone(), rooms.clone()).await?;
        let pipes = Pipes::open(world.clone(), home.clone(), &store, delivery.clone(), checkpoints, rooms).await?;
        log_deliveries(&world, &topics, logs.clone());
        for (service, prefix, target) in [
            ("kinesis", "stream/", streams.target()),
            ("sqs", "", queues.target()),
            ("lambda", "function:", functions.target()),
            ("logs", "log-group:", logs.target()),
        ]
        .into_iter()
        .chain(topics.targets())
        .chain(rules.targets())
        {
            delivery.register(service, prefix, target);
        }
        let mut services = identity.services();
        services.extend([streams.service(), queues.service(), topics.service(), rules.service(), scheduler.service()]);
        services.extend([audit.service(), inventory.service(), functions.service(), logs.service(), pipes.service()]);
        let missing = unregistered(&services);
        ensure!(missing.is_empty(), "operations are listed as served and have no handler: {}", missing.join(", "));
        let options = wire::FrontOptions { tls: settings.tls.is_some(), ..Default::default() };
        let front = Front::new(world.clone(), home.clone(), services, identity, audit.clone(), options);
        Ok(Arc::new(House {
            world,
            home,
            store,
            front,
            streams,
            functions,
            topics,
            audit,
            logs,
            delivery,
            rules,
            scheduler,
            pipes,
            queues,
            inventory,
        }))
    }

    /// Starts what runs in the background. `endpoint` is where functions find the house.
    pub fn start(&self, endpoint: &str) {
        self.delivery.start();
        self.streams.start();
        self.queues.start();
        self.topics.start();
        self.inventory.start();
        self.audit.start();
        self.logs.start();
        self.functions.start(endpoint);
        self.rules.start();
        self.scheduler.start();
        self.pipes.start();
    }

    /// Notifications that left, or would have left: newest first.
    pub fn outbox(&self, limit: usize) -> Result<Value> {
        let shown = self.topics.outbox(limit)?.into_iter().map(|n| {
            let (status, why) = match n.status {
                topics::Status::Sent => ("sent", None),
                topics::Status::NoProvider => ("no-provider", None),
                topics::Status::Failed(why) => ("failed", Some(why)),
            };
            json!({
                "id": n.id,
                "channel": n.channel,
                "to": n.to,
                "subject": n.subject,
                "body": n.body,
                "time": n.time.iso_millis(),
                "status": status,
                "why": why,
                "message_id": n.message_id,
                "receipt": n.receipt,
            })
        });
        Ok(shown.collect())
    }

    /// The metrics as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let (bytes, limit) = self.delivery.backlog();
        let mut out = self.world.meter.prometheus();
        for (name, value) in [("backlog_bytes", bytes), ("backlog_limit_bytes", limit)] {
            out += &format!("# TYPE headwater_{name} gauge\nheadwater_{name} {value}\n");
        }
        out
    }

    /// What runs, lags and fails.
    pub fn status(&self) -> Value {
        let usage = self.store.usage();
        let all = self.delivery.status();
        let (waiting, in_flight) = all.iter().fold((0, 0), |sum, lane| (sum.0 + lane.waiting, sum.1 + lane.in_flight));
        let (bytes, limit) = self.delivery.backlog();
        let backlog = json!({
            "waiting": waiting,
            "in_flight": in_flight,
            "bytes": bytes,
            "limit_bytes": limit,
            "untold_calls": self.audit.untold(),
            "unreadable_calls": self.audit.unreadable(),
        });
        let lanes: Vec<Value> = all
            .into_iter()
            .filter(|lane| lane.waiting + lane.in_flight > 0 || lane.last_error.is_some())
            .map(|lane| {
                json!({
                    "lane": lane.lane,
                    "waiting": lane.waiting,
                    "in_flight": lane.in_flight,
                    "bytes": lane.bytes,
                    "last_error": lane.last_error,
                    "retry_at": lane.retry_at.map(|at| at.iso_millis()),
                })
            })
            .collect();
        let dead: Vec<Value> = self
            .delivery
            .dead(100)
            .into_iter()
            .map(|letter| {
                json!({
                    "to": letter.envelope.to,
                    "code": letter.code,
                    "why": letter.why,
                    "tries": letter.tries,
                    "time": letter.at.iso_millis(),
                })
            })
            .collect();
        json!({
            "store": {"segments": usage.segments, "bytes": usage.bytes},
            "streams": self.streams.status(),
            "buses": self.buses(),
            "functions": self.functions.status(),
            "mappings": self.functions.mapping_status(),
            "pipes": self.pipes.status(),
            "archives": self.rules.archives(),
            "replays": self.rules.replays(),
            "schedules": self.scheduler.status(),
            "backlog": backlog,
            "lanes": lanes,
            "dead": dead,
        })
    }
}

/// Operations that the generated tables call served and no handler is registered for.
fn unregistered(services: &[wire::Service]) -> Vec<String> {
    let listed = |s: &wire::Service| s.model().operations.iter().filter(|o| o.model.is_some()).map(|o| o.name);
    let of = |s: &wire::Service| {
        let missing = listed(s).filter(|name| s.handler(name).is_none());
        missing.map(|name| format!("{}:{name}", s.model().name)).collect::<Vec<_>>()
    };
    services.iter().flat_map(of).collect()
}

impl House {
    fn buses(&self) -> Value {
        let buses = self.rules.status().into_iter().map(|bus| {
            let rules = bus.rules.into_iter().map(|rule| {
                json!({
                    "name": rule.name,
                    "state": rule.state,
                    "targets": rule.targets,
                    "matched": rule.matched,
                    "invocations": rule.invocations,
                    "failed": rule.failed,
                    "throttled": rule.throttled,
                })
            });
            json!({"name": bus.name, "rules": rules.collect::<Vec<_>>()})
        });
        buses.collect()
    }
}

fn store_options(settings: &Settings) -> StoreOptions {
    let durability = match settings.durability {
        Durability::Fsync => store::Durability::Fsync,
        Durability::Os => store::Durability::Os,
    };
    StoreOptions { durability, ..StoreOptions::default() }
}

async fn open_streams(
    world: &World,
    settings: &Settings,
    store: &Store,
    identities: Arc<dyn Identities>,
) -> Result<Arc<streams::Streams>> {
    let limits = match settings.limits {
        LimitsMode::Aws => streams::Limits::Aws,
        LimitsMode::Off => streams::Limits::Off,
    };
    let settle = settings.streams_settle.unwrap_or(streams::Options::default().settle);
    let options = streams::Options { limits, settle };
    Ok(streams::Streams::open(world.clone(), settings.home.clone(), store.clone(), identities, options).await?)
}

async fn open_rules(
    world: &World,
    settings: &Settings,
    store: &Store,
    delivery: &Arc<Delivery>,
    identities: Arc<dyn Identities>,
) -> Result<(Arc<rules::Rules>, Arc<rules::Scheduler>)> {
    let (home, dir) = (settings.home.clone(), &settings.data_dir);
    let options = rules::Options { throttle: settings.limits == LimitsMode::Aws };
    let (all, deliveries) = (world.clone(), delivery.clone());
    let rules = rules::Rules::open_with(all, home.clone(), store.clone(), deliveries, identities.clone(), dir, options);
    let rules = rules.await?;
    Ok((rules, rules::Scheduler::open(world.clone(), home, store, delivery.clone(), identities).await?))
}

async fn open_topics(
    world: &World,
    settings: &Settings,
    store: &Store,
    delivery: &Arc<Delivery>,
    identities: Arc<dyn Identities>,
) -> Result<Arc<topics::Topics>> {
    let throttle = settings.limits == LimitsMode::Aws;
    let options = topics::TopicsOptions { data_dir: settings.data_dir.clone(), throttle, ..settings.topics.clone() };
    let (world, home, store) = (world.clone(), settings.home.clone(), store.clone());
    Ok(topics::Topics::open(world, home, store, delivery.clone(), identities, options).await?)
}

/// What topics say of their deliveries goes where functions' lines go.
fn log_deliveries(world: &World, topics: &topics::Topics, logs: Arc<logs::Logs>) {
    let clock = world.clock.clone();
    topics.log_to(Arc::new(move |group, stream, text| {
        logs.write(group, logs::Line { at: clock.now(), stream: stream.to_owned(), text });
    }));
}

async fn open_functions(
    world: &World,
    settings: &Settings,
    store: &Store,
    delivery: &Arc<Delivery>,
    checkpoints: Arc<Checkpoints>,
    rooms: Arc<Rooms>,
) -> Result<Arc<Functions>> {
    let options = functions::Options {
        data_dir: settings.data_dir.clone(),
        runtimes: settings.runtimes.clone(),
        environment: crate::config::environment(),
        memory_mb: crate::config::memory_mb(),
        hold: functions::Hold {
            confined: settings.sandbox != SandboxMode::Off,
            network: match settings.network {
                FunctionNetwork::Endpoint => functions::runtime::Network::Endpoint,
                FunctionNetwork::All => functions::runtime::Network::All,
            },
            limited: settings.limits == LimitsMode::Aws,
        },
    };
    let home = settings.home.clone();
    let functions = Functions::open(world.clone(), home, store.clone(), delivery.clone(), checkpoints, rooms, options);
    Ok(functions.await?)
}

/// What functions and pipes need of other rooms.
struct Rooms {
    streams: Arc<streams::Streams>,
    queues: Arc<queues::Queues>,
    identity: Arc<identity::Identity>,
    logs: Arc<logs::Logs>,
}

impl Identities for Rooms {
    fn exists(&self, principal: &str) -> bool {
        self.identity.exists(principal)
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        self.identity.trusts(role, service, whose)
    }
}

impl Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        self.streams.source(arn)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        Some(Arc::new(inbox::QueueInbox(self.queues.source(arn)?)))
    }
    fn credentials(&self, role: &Arn, session: &str) -> Result<SessionCredentials, String> {
        let found = self.identity.role_session(role, session, SESSION).map_err(|error| error.to_string())?;
        Ok(SessionCredentials {
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key,
            session_token: Some(found.session_token),
            expires: found.expires,
        })
    }
    fn log(&self, group: &str, stream: &str, at: Timestamp, line: String) {
        self.logs.write(group, logs::Line { at, stream: stream.to_owned(), text: line });
    }
}

impl pipes::Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        Neighbours::source(self, arn)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        Neighbours::inbox(self, arn)
    }
}
