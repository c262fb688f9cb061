//! Functions as the API and status pages show them.

use crate::functions::{ARCHITECTURE, Functions};
use crate::runtimes::Readiness;
use crate::state::{Function, LATEST, UsedLayer};
use names::Arn;
use shapes::lambda as shape;

fn layer(used: &UsedLayer) -> shape::Layer {
    let (arn, code_size) = (Some(used.arn.to_string()), Some(used.code_size as i64));
    shape::Layer { arn, code_size, ..Default::default() }
}

impl Functions {
    /// A function as it is shown, by the ARN it was asked by or by its own. Its state follows its runtime: Pending while
    /// that is prepared.
    pub(crate) fn describe(&self, function: &Function, arn: Option<&Arn>) -> shape::FunctionConfiguration {
        let (state, code, reason) = match self.runtimes.readiness(&function.runtime) {
            // There is no field for how a function is held: this one is read by people only.
            Readiness::Ready => (shape::State::Active, None, self.unconfined()),
            Readiness::Preparing(step) => (
                shape::State::Pending,
                Some(shape::StateReasonCode::Creating),
                Some(format!("The runtime is being prepared: {step}")),
            ),
            Readiness::Failed(why) => (shape::State::Failed, Some(shape::StateReasonCode::InternalError), Some(why)),
        };
        let environment = (!function.environment.is_empty())
            .then(|| shape::EnvironmentResponse { variables: Some(function.environment.clone()), error: None });
        let dead_letter = |arn: &Arn| shape::DeadLetterConfig { target_arn: Some(arn.to_string()) };
        shape::FunctionConfiguration {
            function_name: Some(function.name.clone()),
            function_arn: Some(arn.unwrap_or(&function.arn).to_string()),
            runtime: function.runtime.parse().ok(),
            role: Some(function.role.to_string()),
            handler: Some(function.handler.clone()),
            code_size: Some(function.code_size as i64),
            description: Some(function.description.clone()),
            timeout: Some(function.timeout_s as i32),
            memory_size: Some(function.memory_mb as i32),
            last_modified: Some(function.last_modified.iso_millis().replace('Z', "+0000")),
            code_sha256: Some(function.code_sha256.clone()),
            version: Some(function.version.clone()),
            dead_letter_config: function.dead_letter.as_ref().map(dead_letter),
            environment,
            tracing_config: Some(shape::TracingConfigResponse { mode: Some(shape::TracingMode::PassThrough) }),
            revision_id: Some(function.revision.clone()),
            runtime_version_config: Some(self.runtime_version(&function.runtime)),
            state: Some(state),
            state_reason: reason,
            state_reason_code: code,
            last_update_status: Some(shape::LastUpdateStatus::Successful),
            package_type: Some(shape::PackageType::Zip),
            architectures: ARCHITECTURE.parse().ok().map(|a| vec![a]),
            ephemeral_storage: Some(shape::EphemeralStorage { size: function.ephemeral_mb as i32 }),
            layers: (!function.layers.is_empty()).then(|| function.layers.iter().map(layer).collect()),
            snap_start: Some(shape::SnapStartResponse {
                apply_on: Some(shape::SnapStartApplyOn::None),
                optimization_status: Some(shape::SnapStartOptimizationStatus::Off),
            }),
            logging_config: Some(shape::LoggingConfig {
                log_format: Some(if function.levels.is_some() {
                    shape::LogFormat::Json
                } else {
                    shape::LogFormat::Text
                }),
                application_log_level: function.levels.and_then(|levels| levels.application.name().parse().ok()),
                system_log_level: function.levels.and_then(|levels| levels.system.name().parse().ok()),
                log_group: Some(function.log_group()),
            }),
            ..Default::default()
        }
    }

    /// What keeps functions less to themselves than it could be, where something does.
    fn unconfined(&self) -> Option<String> {
        let missing = self.unconfined.get_or_init(|| self.executor().missing());
        (!missing.is_empty())
            .then(|| format!("Active, but not fully sandboxed on this machine: {}", missing.join("; ")))
    }

    /// Which runtime it is, by an ARN that is another for another version of what runs it here.
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_RuntimeVersionConfig.html>
    fn runtime_version(&self, runtime: &str) -> shape::RuntimeVersionConfig {
        let text = format!("{runtime} {}", self.runtimes.version(runtime).unwrap_or_default());
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let id: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let arn = format!("arn:aws:lambda:{}::runtime:{id}", self.home.region);
        shape::RuntimeVersionConfig { runtime_version_arn: Some(arn), error: None }
    }

    /// The same with a qualified ARN, as lists of versions show it.
    pub(crate) fn describe_qualified(&self, function: &Function) -> shape::FunctionConfiguration {
        let latest = || self.home.arn("lambda", &format!("function:{}:{LATEST}", function.name));
        let arn = function.is_latest().then(latest);
        self.describe(function, arn.as_ref())
    }

    /// Functions and their processes, for status pages.
    pub fn status(&self) -> serde_json::Value {
        let functions = self.catalog.read(|state| state.functions.values().cloned().collect::<Vec<_>>());
        let rows = functions.iter().map(|f| {
            let (processes, busy) = self.executor().processes_of(&f.name);
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
