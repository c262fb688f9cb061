//! What is known of functions and mappings: changed only by [`State::apply`].

use crate::mapping::settings::Mapping;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A function as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Its unqualified ARN.
    pub(crate) arn: Arn,
    /// The runtime as asked for, such as `python3.11`.
    pub(crate) runtime: String,
    /// The execution role's ARN.
    pub(crate) role: Arn,
    /// `file.function`.
    pub(crate) handler: String,
    /// Free text.
    pub(crate) description: String,
    /// Seconds an invocation may take.
    pub(crate) timeout_s: u32,
    /// Memory in MiB.
    pub(crate) memory_mb: u32,
    /// `/tmp` in MiB.
    pub(crate) ephemeral_mb: u32,
    /// The user's environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// SHA-256 of the package, base64.
    pub(crate) code_sha256: String,
    /// The unpacked package's name under the code directory (SHA-256, hex).
    pub(crate) code_id: String,
    /// The package's size in bytes.
    pub(crate) code_size: u64,
    /// When code or configuration last changed.
    pub(crate) last_modified: Timestamp,
    /// Changes with every change.
    pub(crate) revision: String,
    /// Where asynchronous invocations go that fail for good.
    pub(crate) dead_letter: Option<Arn>,
    /// Tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// The resource policy: statement id to statement (JSON text).
    pub(crate) permissions: BTreeMap<String, String>,
}

/// All functions and mappings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) functions: BTreeMap<String, Function>,
    /// By id.
    pub(crate) mappings: BTreeMap<String, Mapping>,
}

/// What can happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A function is created or replaced as a whole.
    PutFunction(Box<Function>),
    /// A function is gone.
    DeleteFunction(String),
    /// A mapping is created or replaced as a whole.
    PutMapping(Box<Mapping>),
    /// A mapping is gone.
    DeleteMapping(String),
}

impl store::State for State {
    type Change = Change;
    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutFunction(function) => {
                self.functions.insert(function.name.clone(), (**function).clone());
            }
            Change::DeleteFunction(name) => {
                self.functions.remove(name);
            }
            Change::PutMapping(mapping) => {
                self.mappings.insert(mapping.uuid.clone(), (**mapping).clone());
            }
            Change::DeleteMapping(uuid) => {
                self.mappings.remove(uuid);
            }
        }
    }
}
