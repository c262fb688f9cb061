//! The room itself: what the doors share.

use crate::api;
use crate::called::Found;
use crate::code_link::Signer;
use crate::limits;
use crate::mapping::{Mappings, Phase};
use crate::runtime::{
    self, Credentials, CredentialsError, Executor, FunctionSpec, LogSink, Managed, Runtime, SessionCredentials,
};
use crate::runtimes::Runtimes;
use crate::shelf::{Lease, Shelf};
use crate::state::{Function, State};
use consume::{Checkpoints, Inbox, Source};
use delivery::Delivery;
use names::{Arn, Home, Timestamp};
use policies::Identities;
use shapes::lambda as shape;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use wire::Service;
use world::{BoxFuture, Stage, World};

/// The machine's architecture by Lambda's name.
pub(crate) const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// What the room needs of other rooms; the binary wires it.
pub trait Neighbours: Identities {
    /// The stream behind an ARN.
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>>;
    /// The queue behind an ARN.
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>>;
    /// Temporary credentials of an execution role, for a function's session.
    fn credentials(&self, role: &Arn, session: &str) -> Result<SessionCredentials, String>;
    /// Takes a line that a function wrote, for a log group and a log stream, without waiting.
    fn log(&self, group: &str, stream: &str, at: Timestamp, line: String);
}

/// What a process of a function holds on to: its role, and its code.
struct Tenancy {
    neighbours: Arc<dyn Neighbours>,
    role: Arn,
    session: String,
    _code: Vec<Arc<Lease>>,
}

impl Credentials for Tenancy {
    fn issue(&self) -> BoxFuture<'_, Result<SessionCredentials, CredentialsError>> {
        Box::pin(async { self.neighbours.credentials(&self.role, &self.session).map_err(CredentialsError) })
    }
}

/// Where things are, and how much is allowed.
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where managed runtimes are prepared.
    pub runtimes: PathBuf,
    /// The environment for preparing them: `PATH`, proxies, pip's settings.
    pub environment: Vec<(String, String)>,
    /// Memory that all functions' processes together may be promised, in MB.
    pub memory_mb: u64,
    /// How processes are held.
    pub hold: Hold,
}

/// How the processes of functions are held.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Whether they are confined, by all that the machine offers for it.
    pub confined: bool,
    /// Whom they may talk to.
    pub network: runtime::Network,
    /// Whether they are as slow as Lambda makes them.
    pub limited: bool,
}

impl Default for Hold {
    fn default() -> Hold {
        Hold { confined: true, network: runtime::Network::Endpoint, limited: true }
    }
}

/// Lambda.
pub struct Functions {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) neighbours: Arc<dyn Neighbours>,
    pub(crate) runtimes: Runtimes,
    pub(crate) mappings: Mappings,
    executor: Executor,
    pub(crate) shelf: Arc<Shelf>,
    endpoint: OnceLock<String>,
    pub(crate) signer: Signer,
    /// What [`Executor::missing`] said.
    pub(crate) unconfined: OnceLock<Vec<String>>,
}

struct Sink(Arc<dyn Neighbours>);

impl LogSink for Sink {
    fn write(&self, group: &str, stream_name: &str, at: Timestamp, line: String) {
        self.0.log(group, stream_name, at, line);
    }
}

/// The log group of a function that names none.
pub fn group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

/// Forgets where mappings were that are no more: a crash came between the end of one and this.
async fn sweep_checkpoints(catalog: &Catalog<State>, checkpoints: &Checkpoints) -> Result<(), StoreError> {
    for consumer in checkpoints.consumers() {
        // Those of other services have a slash in their names.
        let ours = !consumer.contains('/');
        if ours && catalog.read(|state| !state.mappings.contains_key(&consumer)) {
            checkpoints.forget(&consumer).await?;
        }
    }
    Ok(())
}

impl Functions {
    /// Opens the room. Functions run once [`Functions::start`] was called.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        checkpoints: Arc<Checkpoints>,
        neighbours: Arc<dyn Neighbours>,
        options: Options,
    ) -> Result<Arc<Functions>, StoreError> {
        let managed = Arc::new(Managed::new(world.clone(), options.runtimes, options.environment));
        let sink: Arc<dyn LogSink> = Arc::new(Sink(neighbours.clone()));
        let catalog = Catalog::open(&store, "functions").await?;
        let shelf = Arc::new(Shelf::new(options.data_dir.join("functions")));
        shelf.sweep(&catalog).await;
        sweep_checkpoints(&catalog, &checkpoints).await?;
        let mut executor_options = runtime::Options::new(options.data_dir.join("scratch"), options.memory_mb);
        let hold = options.hold;
        (executor_options.confined, executor_options.network) = (hold.confined, hold.network);
        executor_options.limited = hold.limited;
        let functions = Arc::new(Functions {
            executor: Executor::new(world.clone(), executor_options, managed.clone(), sink),
            catalog,
            mappings: Mappings::new(checkpoints),
            shelf,
            endpoint: OnceLock::new(),
            signer: Signer::new(&world),
            unconfined: OnceLock::new(),
            home,
            delivery,
            neighbours,
            runtimes: Runtimes::new(managed),
            world,
        });
        functions.apply_reservations();
        Ok(functions)
    }

    /// The asked door.
    pub fn service(self: &Arc<Self>) -> Service {
        use api::{aliases, concurrency, configure, event_invoke, invoke, invoke_stream, layer_policy, layers};
        use api::{mappings, permissions, provisioned, read, recursion, tags, urls, versions};
        Service::new(&shape::SERVICE)
            .body_limit(limits::BODY)
            .on::<shape::CreateFunctionOp, _, _, _>(self, configure::create_function)
            .on::<shape::UpdateFunctionCodeOp, _, _, _>(self, configure::update_function_code)
            .on::<shape::UpdateFunctionConfigurationOp, _, _, _>(self, configure::update_function_configuration)
            .on::<shape::DeleteFunctionOp, _, _, _>(self, configure::delete_function)
            .on::<shape::GetFunctionOp, _, _, _>(self, read::get_function)
            .on::<shape::GetFunctionConfigurationOp, _, _, _>(self, read::get_function_configuration)
            .on::<shape::ListFunctionsOp, _, _, _>(self, read::list_functions)
            .on::<shape::InvokeOp, _, _, _>(self, invoke::invoke)
            .on_events::<shape::InvokeWithResponseStreamOp, _, _, _>(self, invoke_stream::invoke_with_response_stream)
            .on::<shape::AddPermissionOp, _, _, _>(self, permissions::add_permission)
            .on::<shape::RemovePermissionOp, _, _, _>(self, permissions::remove_permission)
            .on::<shape::GetPolicyOp, _, _, _>(self, permissions::get_policy)
            .on::<shape::CreateEventSourceMappingOp, _, _, _>(self, mappings::create)
            .on::<shape::GetEventSourceMappingOp, _, _, _>(self, mappings::get)
            .on::<shape::ListEventSourceMappingsOp, _, _, _>(self, mappings::list)
            .on::<shape::UpdateEventSourceMappingOp, _, _, _>(self, mappings::update)
            .on::<shape::DeleteEventSourceMappingOp, _, _, _>(self, mappings::delete)
            .on::<shape::PublishVersionOp, _, _, _>(self, versions::publish_version)
            .on::<shape::ListVersionsByFunctionOp, _, _, _>(self, versions::list_versions)
            .on::<shape::CreateAliasOp, _, _, _>(self, aliases::create_alias)
            .on::<shape::UpdateAliasOp, _, _, _>(self, aliases::update_alias)
            .on::<shape::GetAliasOp, _, _, _>(self, aliases::get_alias)
            .on::<shape::ListAliasesOp, _, _, _>(self, aliases::list_aliases)
            .on::<shape::DeleteAliasOp, _, _, _>(self, aliases::delete_alias)
            .on::<shape::PutFunctionEventInvokeConfigOp, _, _, _>(self, event_invoke::put)
            .on::<shape::UpdateFunctionEventInvokeConfigOp, _, _, _>(self, event_invoke::update)
            .on::<shape::GetFunctionEventInvokeConfigOp, _, _, _>(self, event_invoke::get)
            .on::<shape::ListFunctionEventInvokeConfigsOp, _, _, _>(self, event_invoke::list)
            .on::<shape::DeleteFunctionEventInvokeConfigOp, _, _, _>(self, event_invoke::delete)
            .on::<shape::PutFunctionConcurrencyOp, _, _, _>(self, concurrency::put_function_concurrency)
            .on::<shape::GetFunctionConcurrencyOp, _, _, _>(self, concurrency::get_function_concurrency)
            .on::<shape::DeleteFunctionConcurrencyOp, _, _, _>(self, concurrency::delete_function_concurrency)
            .on::<shape::GetAccountSettingsOp, _, _, _>(self, concurrency::get_account_settings)
            .on::<shape::PutFunctionRecursionConfigOp, _, _, _>(self, recursion::put_recursion_config)
            .on::<shape::GetFunctionRecursionConfigOp, _, _, _>(self, recursion::get_recursion_config)
            .on::<shape::PublishLayerVersionOp, _, _, _>(self, layers::publish)
            .on::<shape::GetLayerVersionOp, _, _, _>(self, layers::get)
            .on::<shape::GetLayerVersionByArnOp, _, _, _>(self, layers::get_by_arn)
            .on::<shape::ListLayersOp, _, _, _>(self, layers::list_layers)
            .on::<shape::ListLayerVersionsOp, _, _, _>(self, layers::list_versions)
            .on::<shape::DeleteLayerVersionOp, _, _, _>(self, layers::delete)
            .on::<shape::AddLayerVersionPermissionOp, _, _, _>(self, layer_policy::add)
            .on::<shape::RemoveLayerVersionPermissionOp, _, _, _>(self, layer_policy::remove)
            .on::<shape::GetLayerVersionPolicyOp, _, _, _>(self, layer_policy::get)
            .on::<shape::CreateFunctionUrlConfigOp, _, _, _>(self, urls::create)
            .on::<shape::UpdateFunctionUrlConfigOp, _, _, _>(self, urls::update)
            .on::<shape::GetFunctionUrlConfigOp, _, _, _>(self, urls::get)
            .on::<shape::ListFunctionUrlConfigsOp, _, _, _>(self, urls::list)
            .on::<shape::DeleteFunctionUrlConfigOp, _, _, _>(self, urls::delete)
            .on::<shape::PutProvisionedConcurrencyConfigOp, _, _, _>(self, provisioned::put_config)
            .on::<shape::GetProvisionedConcurrencyConfigOp, _, _, _>(self, provisioned::get_config)
            .on::<shape::ListProvisionedConcurrencyConfigsOp, _, _, _>(self, provisioned::list_configs)
            .on::<shape::DeleteProvisionedConcurrencyConfigOp, _, _, _>(self, provisioned::delete_config)
            .on::<shape::TagResourceOp, _, _, _>(self, tags::tag_resource)
            .on::<shape::UntagResourceOp, _, _, _>(self, tags::untag_resource)
            .on::<shape::ListTagsOp, _, _, _>(self, tags::list_tags)
    }

    /// The woken door: the endpoint functions are told to use is known now; mappings start to read.
    pub fn start(self: &Arc<Self>, endpoint: &str) {
        let _ = self.endpoint.set(endpoint.to_owned());
        self.shelf.start(&self.world, &self.catalog);
        self.listen();
        self.keep_provisioned();
        let (functions, mappings) = self.catalog.read(|state| {
            let functions: Vec<Function> = state.all_versions().cloned().collect();
            let mappings = state.mappings.values().map(|mapping| (mapping.uuid.clone(), mapping.enabled));
            (functions, mappings.collect::<Vec<_>>())
        });
        functions.into_iter().for_each(|function| self.prepare(function, false));
        for (uuid, enabled) in mappings {
            self.settle_mapping(&uuid, if enabled { Phase::Enabled } else { Phase::Disabled }, None);
        }
    }

    /// Says who answers functions that call the endpoint from a network of their own. Before [`Functions::start`].
    pub fn connect(&self, door: runtime::Door) {
        self.executor.connect(door);
    }

    /// Makes a function's runtime ready in the background. Where it is `new`, says who stands in for it, and starts a
    /// process ahead of the first invocation.
    pub(crate) fn prepare(self: &Arc<Self>, function: Function, new: bool) {
        let functions = self.clone();
        self.world.tasks.spawn(Stage::Delivery, "runtime", move |mut stop| async move {
            let found = Found { qualifier: None, arn: function.arn.clone(), function };
            let Ok(spec) = functions.spec(&found) else { return };
            let function = &found.function;
            let ready = tokio::select! {
                biased;
                ready = functions.runtimes.ready(&spec.runtime) => ready,
                () = stop.wait() => return,
            };
            let Ok(interpreter) = ready else { return };
            if !new {
                return;
            }
            if let Some(warning) = interpreter.and_then(|i| spec.runtime.stood_in_by(&i.name)) {
                let deprecated = spec.runtime.is_deprecated();
                tracing::warn!(function = function.name, deprecated, "{warning}");
            }
            let still = |f: &Function| f.revision == function.revision;
            if functions.catalog.read(|state| state.version(&function.name, &function.version).is_some_and(still)) {
                functions.executor.ahead(&spec, 1);
            }
        });
    }

    /// Ends the processes of a function that is gone.
    pub(crate) fn retire(&self, name: &str) {
        self.executor.retire(name);
        self.shelf.look();
    }

    /// The same of one version.
    pub(crate) fn retire_version(&self, name: &str, version: &str) {
        self.executor.retire_version(name, version);
        self.shelf.look();
    }

    /// Where the house is, once that is known.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.get().map(String::as_str)
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// All the executor needs to run a function.
    pub(crate) fn spec(&self, found: &Found) -> Result<Arc<FunctionSpec>, runtime::UnknownRuntime> {
        let function = &found.function;
        let tenancy = Tenancy {
            neighbours: self.neighbours.clone(),
            role: function.role.clone(),
            session: function.name.clone(),
            _code: function.layers_id.iter().chain([&function.code_id]).map(|id| self.shelf.lease(id)).collect(),
        };
        let reserved = self.catalog.read(|state| state.family(&function.name).and_then(|family| family.reserved));
        Ok(Arc::new(FunctionSpec {
            arn: found.arn.clone(),
            name: function.name.clone(),
            version: function.version.clone(),
            runtime: Runtime::parse(&function.runtime)?,
            handler: function.handler.clone(),
            memory_mb: u64::from(function.memory_mb),
            timeout: Duration::from_secs(u64::from(function.timeout_s)),
            env: function.environment.clone().into_iter().collect(),
            code_dir: self.shelf.path(&function.code_id),
            layers_dir: function.layers_id.as_ref().map(|id| self.shelf.path(id)),
            code_sha: function.code_sha256.clone(),
            role: function.role.clone(),
            credentials: Arc::new(tenancy),
            endpoint: self.endpoint.get().cloned().unwrap_or_default(),
            region: self.home.region.clone(),
            ephemeral_mb: u64::from(function.ephemeral_mb),
            reserved_concurrency: reserved.map(|n| n as usize),
            log_group: function.log_group(),
            levels: function.levels,
        }))
    }
}
