//! What is known of functions and mappings: changed only by [`State::apply`].

use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A function as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its unqualified ARN.
    pub arn: Arn,
    /// The runtime as asked for, such as `python3.11`.
    pub runtime: String,
    /// The execution role's ARN.
    pub role: Arn,
    /// `file.function`.
    pub handler: String,
    /// Free text.
    pub description: String,
    /// Seconds an invocation may take.
    pub timeout_s: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// `/tmp` in MiB.
    pub ephemeral_mb: u32,
    /// The user's environment variables.
    pub environment: BTreeMap<String, String>,
    /// SHA-256 of the package, base64.
    pub code_sha256: String,
    /// The unpacked package's name under the code directory (SHA-256, hex).
    pub code_id: String,
    /// The package's size in bytes.
    pub code_size: u64,
    /// When code or configuration last changed.
    pub last_modified: Timestamp,
    /// Changes with every change.
    pub revision: String,
    /// Where asynchronous invocations go that fail for good.
    pub dead_letter: Option<Arn>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The resource policy: statement id to statement (JSON text).
    pub permissions: BTreeMap<String, String>,
}

/// Where a mapping starts to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// The oldest record.
    TrimHorizon,
    /// What comes after the mapping was made.
    Latest,
    /// The first record at or after this time.
    At(Timestamp),
}

/// An event source mapping as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its id.
    pub uuid: String,
    /// The function's name.
    pub function: String,
    /// The stream.
    pub source: Arn,
    /// Records an invocation gets at most.
    pub batch_size: u32,
    /// Seconds to wait for a full batch.
    pub window_s: u32,
    /// Where it started.
    pub from: From,
    /// Whether it reads.
    pub enabled: bool,
    /// When it last changed.
    pub last_modified: Timestamp,
}

/// All functions and mappings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// By name.
    pub functions: BTreeMap<String, Function>,
    /// By id.
    pub mappings: BTreeMap<String, Mapping>,
}

/// What can happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Change {
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
