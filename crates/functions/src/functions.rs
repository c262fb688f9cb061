//! The room itself: what the doors share.

use crate::api;
use crate::code::{self, CodeError, Package};
use crate::limits;
use crate::logs::{LogLine, Logs};
use crate::mapping::{Mappings, Phase};
use crate::runtime::{
    self, Credentials, CredentialsError, Executor, FunctionSpec, LogSink, Managed, Runtime, SessionCredentials,
};
use crate::runtimes::{Readiness, Runtimes};
use crate::state::{Function, State};
use bytes::Bytes;
use consume::{Checkpoints, Inbox, Source};
use delivery::Delivery;
use names::{Arn, Home, Timestamp};
use shapes::lambda as shape;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use wire::Service;
use world::{BoxFuture, Stage, World};

/// The machine's architecture by Lambda's name.
pub(crate) const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// What the room needs of other rooms; the binary wires it.
pub trait Neighbours: Send + Sync + 'static {
    /// The stream behind an ARN.
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>>;
    /// The queue behind an ARN.
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>>;
    /// Whether a role is there and lets a service take it on.
    fn trusts(&self, role: &Arn, service: &str) -> bool;
    /// Temporary credentials of an execution role, for a function's session.
    fn credentials(&self, role: &Arn, session: &str) -> Result<SessionCredentials, String>;
}

/// A package that was unpacked.
pub(crate) struct Unpacked {
    pub(crate) sha256_base64: String,
    /// Its directory's name below the code directory.
    pub(crate) id: String,
}

struct RoleCredentials {
    neighbours: Arc<dyn Neighbours>,
    role: Arn,
    session: String,
}

impl Credentials for RoleCredentials {
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
    logs: Arc<Logs>,
    code_dir: PathBuf,
    endpoint: OnceLock<String>,
}

struct Sink(Arc<Logs>);

impl LogSink for Sink {
    fn write(&self, function: &str, stream_name: &str, at: Timestamp, line: String) {
        self.0.write(&group(function), LogLine { at, stream: stream_name.to_owned(), text: line });
    }
}

/// The log group of a function.
pub fn group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

/// Frees the disk of code that nothing uses any more. Where that fails, it is only disk that is lost.
async fn sweep(catalog: &Catalog<State>, code_dir: PathBuf) {
    let used = catalog.read(|state| state.functions.values().map(|f| f.code_id.clone()).collect());
    let swept = tokio::task::spawn_blocking(move || code::sweep(&code_dir, &used)).await;
    if let Err(error) = swept.expect("sweeping does not panic") {
        tracing::warn!(%error, "code that no function uses could not be removed");
    }
}

/// Forgets where mappings were that are no more: a crash came between the end of one and this.
async fn sweep_checkpoints(catalog: &Catalog<State>, checkpoints: &Checkpoints) -> Result<(), StoreError> {
    for consumer in checkpoints.consumers() {
        if catalog.read(|state| !state.mappings.contains_key(&consumer)) {
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
        let logs = Logs::open(&world, &store);
        let managed = Arc::new(Managed::new(world.clone(), options.runtimes, options.environment));
        let sink: Arc<dyn LogSink> = Arc::new(Sink(logs.clone()));
        let catalog = Catalog::open(&store, "functions").await?;
        let code_dir = options.data_dir.join("functions");
        sweep(&catalog, code_dir.clone()).await;
        sweep_checkpoints(&catalog, &checkpoints).await?;
        let executor_options = runtime::Options::new(options.data_dir.join("scratch"), options.memory_mb);
        Ok(Arc::new(Functions {
            executor: Executor::new(world.clone(), executor_options, managed.clone(), sink),
            catalog,
            mappings: Mappings::new(checkpoints),
            code_dir,
            endpoint: OnceLock::new(),
            home,
            delivery,
            neighbours,
            runtimes: Runtimes::new(managed),
            world,
            logs,
        }))
    }

    /// The asked door.
    pub fn service(self: &Arc<Self>) -> Service {
        use api::{configure, invoke, mappings, permissions, read};
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
            .on::<shape::AddPermissionOp, _, _, _>(self, permissions::add_permission)
            .on::<shape::RemovePermissionOp, _, _, _>(self, permissions::remove_permission)
            .on::<shape::GetPolicyOp, _, _, _>(self, permissions::get_policy)
            .on::<shape::CreateEventSourceMappingOp, _, _, _>(self, mappings::create)
            .on::<shape::GetEventSourceMappingOp, _, _, _>(self, mappings::get)
            .on::<shape::ListEventSourceMappingsOp, _, _, _>(self, mappings::list)
            .on::<shape::UpdateEventSourceMappingOp, _, _, _>(self, mappings::update)
            .on::<shape::DeleteEventSourceMappingOp, _, _, _>(self, mappings::delete)
    }

    /// The woken door: the endpoint functions are told to use is known now; mappings start to read.
    pub fn start(self: &Arc<Self>, endpoint: &str) {
        let _ = self.endpoint.set(endpoint.to_owned());
        let (functions, mappings) = self.catalog.read(|state| {
            let functions: Vec<Function> = state.functions.values().cloned().collect();
            let mappings = state.mappings.values().map(|mapping| (mapping.uuid.clone(), mapping.enabled));
            (functions, mappings.collect::<Vec<_>>())
        });
        functions.into_iter().for_each(|function| self.prepare(function, false));
        for (uuid, enabled) in mappings {
            self.settle_mapping(&uuid, if enabled { Phase::Enabled } else { Phase::Disabled }, None);
        }
    }

    /// Makes a function's runtime ready in the background. Where it is `new`, says who stands in for it, and starts a
    /// process ahead of the first invocation.
    pub(crate) fn prepare(self: &Arc<Self>, function: Function, new: bool) {
        let functions = self.clone();
        self.world.tasks.spawn(Stage::Delivery, "runtime", move |mut stop| async move {
            let Ok(spec) = functions.spec(&function) else { return };
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
            if functions.catalog.read(|state| state.functions.get(&function.name).is_some_and(still)) {
                functions.executor.ahead(&spec, 1);
            }
        });
    }

    /// Unpacks a package under its hash.
    pub(crate) async fn unpack(&self, zip: Bytes) -> Result<Unpacked, CodeError> {
        let dir = self.code_dir.clone();
        let work = move || {
            let package = Package::check(zip)?;
            let place = package.unpack(&dir)?;
            let id = place.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok(Unpacked { sha256_base64: package.code_sha256(), id })
        };
        // A panic of the unpacking thread is a bug; it must not look like a bad package.
        tokio::task::spawn_blocking(work).await.expect("unpacking does not panic")
    }

    /// Ends the processes of a function that is gone.
    pub(crate) fn retire(&self, name: &str) {
        self.executor.retire(name);
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The functions' logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    fn code_path(&self, id: &str) -> PathBuf {
        Path::new(&self.code_dir).join(id)
    }

    /// All the executor needs to run a function.
    pub(crate) fn spec(&self, function: &Function) -> Result<Arc<FunctionSpec>, runtime::UnknownRuntime> {
        let credentials = RoleCredentials {
            neighbours: self.neighbours.clone(),
            role: function.role.clone(),
            session: function.name.clone(),
        };
        Ok(Arc::new(FunctionSpec {
            arn: function.arn.clone(),
            name: function.name.clone(),
            version: "$LATEST".to_owned(),
            runtime: Runtime::parse(&function.runtime)?,
            handler: function.handler.clone(),
            memory_mb: u64::from(function.memory_mb),
            timeout: Duration::from_secs(u64::from(function.timeout_s)),
            env: function.environment.clone().into_iter().collect(),
            code_dir: self.code_path(&function.code_id),
            layers_dir: None,
            code_sha: function.code_sha256.clone(),
            credentials: Arc::new(credentials),
            endpoint: self.endpoint.get().cloned().unwrap_or_default(),
            region: self.home.region.clone(),
            ephemeral_mb: u64::from(function.ephemeral_mb),
            reserved_concurrency: None,
        }))
    }

    /// A function as the API shows it. Its state follows its runtime: Pending while that is prepared.
    pub(crate) fn describe(&self, function: &Function) -> shape::FunctionConfiguration {
        let (state, code, reason) = match self.runtimes.readiness(&function.runtime) {
            Readiness::Ready => (shape::State::Active, None, None),
            Readiness::Preparing(step) => (
                shape::State::Pending,
                Some(shape::StateReasonCode::Creating),
                Some(format!("The runtime is being prepared: {step}")),
            ),
            Readiness::Failed(why) => (shape::State::Failed, Some(shape::StateReasonCode::InternalError), Some(why)),
        };
        let environment = (!function.environment.is_empty())
            .then(|| shape::EnvironmentResponse { variables: Some(function.environment.clone()), error: None });
        shape::FunctionConfiguration {
            function_name: Some(function.name.clone()),
            function_arn: Some(function.arn.to_string()),
            runtime: function.runtime.parse().ok(),
            role: Some(function.role.to_string()),
            handler: Some(function.handler.clone()),
            code_size: Some(function.code_size as i64),
            description: Some(function.description.clone()),
            timeout: Some(function.timeout_s as i32),
            memory_size: Some(function.memory_mb as i32),
            last_modified: Some(function.last_modified.iso_millis().replace('Z', "+0000")),
            code_sha256: Some(function.code_sha256.clone()),
            version: Some("$LATEST".to_owned()),
            dead_letter_config: function
                .dead_letter
                .as_ref()
                .map(|arn| shape::DeadLetterConfig { target_arn: Some(arn.to_string()) }),
            environment,
            tracing_config: Some(shape::TracingConfigResponse { mode: Some(shape::TracingMode::PassThrough) }),
            revision_id: Some(function.revision.clone()),
            state: Some(state),
            state_reason: reason,
            state_reason_code: code,
            last_update_status: Some(shape::LastUpdateStatus::Successful),
            package_type: Some(shape::PackageType::Zip),
            architectures: ARCHITECTURE.parse().ok().map(|a| vec![a]),
            ephemeral_storage: Some(shape::EphemeralStorage { size: function.ephemeral_mb as i32 }),
            ..Default::default()
        }
    }
}

impl Functions {
    /// Functions and their processes, for status pages.
    pub fn status(&self) -> serde_json::Value {
        let functions = self.catalog.read(|state| state.functions.values().cloned().collect::<Vec<_>>());
        let rows = functions.iter().map(|f| {
            let (processes, busy) = self.executor.processes_of(&f.name);
            serde_json::json!({"name": f.name, "runtime": f.runtime, "processes": processes, "busy": busy})
        });
        rows.collect()
    }

    /// Mappings, what they came to and how far they are behind.
    pub fn mapping_status(&self) -> serde_json::Value {
        let mappings = self.all_mappings();
        let rows = mappings.values().map(|m| {
            let seen = self.mappings.seen(&m.uuid);
            serde_json::json!({
                "uuid": m.uuid,
                "function": m.function,
                "source": m.source,
                "state": seen.as_ref().map(|s| format!("{:?}", s.phase)),
                "reason": m.reason,
                "result": seen.as_ref().map(|s| s.result.clone()),
                "lag_ms": seen.as_ref().map(|s| s.lag.as_millis() as u64),
                "batch_size": m.batch_size,
                "lanes": m.lanes,
                "pace": seen.map(|s| serde_json::json!({
                    "batches": s.pace.batches,
                    "records": s.pace.records,
                    "tries": s.pace.tries,
                    "busy_ms": s.pace.busy.as_secs_f64() * 1000.0,
                    "last_ms": s.pace.last.as_secs_f64() * 1000.0,
                })),
            })
        });
        rows.collect()
    }
}
