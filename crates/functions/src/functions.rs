//! The room itself: what the doors share.

use crate::api;
use crate::code::{self, CodeError, Unpacked};
use crate::limits;
use crate::logs::{LogLine, Logs};
use crate::mapping::Mappings;
use crate::runtime::{Credentials, Executor, ExecutorOptions, FunctionSpec, LogSink, Readiness, Runtimes};
use crate::state::{Function, State};
use bytes::Bytes;
use consume::{Checkpoints, Source};
use delivery::Delivery;
use names::{Arn, Home, Timestamp};
use shapes::lambda as shape;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use wire::Service;
use world::World;

/// The machine's architecture by Lambda's name.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// What the room needs of other rooms; the binary wires it.
pub trait Neighbours: Send + Sync + 'static {
    /// The stream behind an ARN.
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>>;
    /// Temporary credentials of an execution role, for a function's session.
    fn credentials(&self, role: &Arn, session: &str) -> Result<Credentials, String>;
}

/// Where things are, and how much is allowed.
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where managed runtimes are prepared.
    pub runtimes: PathBuf,
}

/// Lambda.
pub struct Functions {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) neighbours: Arc<dyn Neighbours>,
    pub(crate) runtimes: Arc<Runtimes>,
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

impl Functions {
    /// Opens the room. Functions run once [`Functions::start`] was called.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        checkpoints: Checkpoints,
        neighbours: Arc<dyn Neighbours>,
        options: Options,
    ) -> Result<Arc<Functions>, StoreError> {
        let logs = Logs::open(&world, &store);
        let runtimes = Arc::new(Runtimes::new(world.clone(), options.runtimes));
        let executor_options = ExecutorOptions {
            home: home.clone(),
            scratch_dir: options.data_dir.join("scratch"),
            concurrency: limits::CONCURRENCY,
            ..ExecutorOptions::default()
        };
        let sink: Arc<dyn LogSink> = Arc::new(Sink(logs.clone()));
        Ok(Arc::new(Functions {
            executor: Executor::new(world.clone(), runtimes.clone(), sink, executor_options),
            catalog: Catalog::open(&store, "functions").await?,
            mappings: Mappings::new(checkpoints),
            code_dir: options.data_dir.join("functions"),
            endpoint: OnceLock::new(),
            world,
            home,
            delivery,
            neighbours,
            runtimes,
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
    pub fn start(self: &Arc<Self>, endpoint: &str) -> Result<(), std::io::Error> {
        let _ = self.endpoint.set(endpoint.to_owned());
        self.executor.start()?;
        let (runtimes, mappings) = self.catalog.read(|state| {
            let runtimes: Vec<String> = state.functions.values().map(|f| f.runtime.clone()).collect();
            (runtimes, state.mappings.values().cloned().collect::<Vec<_>>())
        });
        runtimes.iter().for_each(|runtime| self.prepare(runtime));
        mappings.into_iter().filter(|m| m.enabled).for_each(|mapping| self.run_mapping(mapping));
        Ok(())
    }

    /// Makes a runtime ready in the background, once.
    pub(crate) fn prepare(&self, runtime: &str) {
        self.runtimes.prepare_in_background(runtime);
    }

    /// Unpacks a package under its hash.
    pub(crate) async fn unpack(&self, package: Bytes) -> Result<Unpacked, CodeError> {
        let (world, dir) = (self.world.clone(), self.code_dir.clone());
        tokio::task::spawn_blocking(move || code::unpack(&world, &dir, &package))
            .await
            .unwrap_or_else(|panic| Err(CodeError::Fault(panic.to_string())))
    }

    /// Ends the processes of a function that is gone.
    pub(crate) async fn retire(&self, arn: &Arn) {
        self.executor.retire(arn).await;
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
    pub(crate) fn spec(self: &Arc<Self>, function: &Function) -> FunctionSpec {
        let (neighbours, role, session) = (self.neighbours.clone(), function.role.clone(), function.name.clone());
        FunctionSpec {
            arn: function.arn.clone(),
            name: function.name.clone(),
            version: "$LATEST".to_owned(),
            runtime: function.runtime.clone(),
            handler: function.handler.clone(),
            memory_mb: function.memory_mb,
            timeout: Duration::from_secs(u64::from(function.timeout_s)),
            env: function.environment.clone().into_iter().collect(),
            code_dir: self.code_path(&function.code_id),
            code_sha: function.code_sha256.clone(),
            revision: function.revision.clone(),
            credentials: Arc::new(move || neighbours.credentials(&role, &session)),
            endpoint: self.endpoint.get().cloned().unwrap_or_default(),
            region: self.home.region.as_str().to_owned(),
            ephemeral_mb: function.ephemeral_mb,
        }
    }

    /// A function as the API shows it. Its state follows its runtime: Pending while that is prepared.
    pub(crate) fn describe(&self, function: &Function) -> shape::FunctionConfiguration {
        let (state, code, reason) = match self.runtimes.readiness(&function.runtime) {
            Readiness::Ready => (shape::State::Active, None, None),
            Readiness::Preparing(step) => {
                (shape::State::Pending, Some(shape::StateReasonCode::Creating), Some(format!("The runtime is being prepared: {step}")))
            }
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
