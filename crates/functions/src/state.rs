//! What is known of functions and mappings: changed only by [`State::apply`].

use crate::asynchronous::AsyncSettings;
use crate::mapping::settings::Mapping;
use crate::provision::Provisioned;
use crate::runtime::Levels;
use crate::url::Url;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version that can be changed.
pub(crate) const LATEST: &str = "$LATEST";

/// One version of a function as configured. Fields with defaults came later than the first format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Its unqualified ARN; that of a published version ends with its number.
    pub(crate) arn: Arn,
    /// `$LATEST`, or the number it was published under.
    #[serde(default = "latest")]
    pub(crate) version: String,
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
    /// Its layers, the first at the bottom.
    #[serde(default)]
    pub(crate) layers: Vec<UsedLayer>,
    /// The name of the directory where they lie merged, below the code directory.
    #[serde(default)]
    pub(crate) layers_id: Option<String>,
    /// The log group its lines go to, where it is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logs_to: Option<String>,
    /// What is written of its log, where that is JSON.
    #[serde(default)]
    pub(crate) levels: Option<Levels>,
    /// The resource policy: statement id to statement (JSON text). Those of versions and aliases are in their [`Door`]s.
    pub(crate) permissions: BTreeMap<String, String>,
}

fn latest() -> String {
    LATEST.to_owned()
}

impl Function {
    /// Whether it is the version that can be changed.
    pub(crate) fn is_latest(&self) -> bool {
        self.version == LATEST
    }

    /// The log group its lines go to.
    pub(crate) fn log_group(&self) -> String {
        self.logs_to.clone().unwrap_or_else(|| crate::functions::group(&self.name))
    }
}

/// A layer version as a function uses it; it stays in use though the version is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedLayer {
    /// The version's ARN.
    pub(crate) arn: Arn,
    /// The package's size in bytes.
    pub(crate) code_size: u64,
    /// The unpacked package's name under the code directory.
    pub(crate) code_id: String,
}

/// One version of a layer. It never changes but for its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerVersion {
    /// Its ARN.
    pub(crate) arn: Arn,
    /// Its number.
    pub(crate) number: u64,
    /// Free text.
    pub(crate) description: String,
    /// The licence, as free text.
    pub(crate) license: Option<String>,
    /// The runtimes it is said to be for.
    pub(crate) runtimes: Vec<String>,
    /// The architectures it is said to be for.
    pub(crate) architectures: Vec<String>,
    /// SHA-256 of the package, base64.
    pub(crate) code_sha256: String,
    /// The unpacked package's name under the code directory.
    pub(crate) code_id: String,
    /// The package's size in bytes.
    pub(crate) code_size: u64,
    /// When it was published.
    pub(crate) created: Timestamp,
    /// The resource policy: statement id to statement (JSON text).
    pub(crate) permissions: BTreeMap<String, String>,
    /// Changes with the policy.
    pub(crate) revision: String,
}

/// All versions of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// By number.
    pub(crate) versions: BTreeMap<u64, LayerVersion>,
    /// The last number given out; none is given out twice.
    pub(crate) last_version: u64,
}

/// A name for a version, or for two of them by weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// Its name.
    pub(crate) name: String,
    /// The version it names.
    pub(crate) version: String,
    /// Free text.
    pub(crate) description: String,
    /// The other version, and the share of invocations that go there.
    pub(crate) weights: BTreeMap<String, f64>,
    /// Changes with every change.
    pub(crate) revision: String,
}

/// What is set for one way of calling a function: for `$LATEST` (and no qualifier at all), a version or an alias.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Door {
    /// The resource policy of a version or an alias.
    pub(crate) permissions: BTreeMap<String, String>,
    /// How asynchronous invocations are dealt with.
    pub(crate) asynchronous: Option<AsyncSettings>,
    /// The URL that leads here.
    pub(crate) url: Option<Url>,
    /// Processes that are always there.
    pub(crate) provisioned: Option<Provisioned>,
}

/// What belongs to a function beside its changeable version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Family {
    /// Published versions by their numbers.
    pub(crate) versions: BTreeMap<u64, Function>,
    /// The last number given out; none is given out twice.
    pub(crate) last_version: u64,
    /// By name.
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// By qualifier.
    pub(crate) doors: BTreeMap<String, Door>,
    /// Invocations at once that are the function's own, and its most.
    pub(crate) reserved: Option<u32>,
    /// Whether it may invoke itself for ever.
    pub(crate) loops_allowed: bool,
}

/// All functions and mappings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) functions: BTreeMap<String, Function>,
    /// By id.
    pub(crate) mappings: BTreeMap<String, Mapping>,
    /// By the function's name.
    #[serde(default)]
    pub(crate) families: BTreeMap<String, Family>,
    /// By name.
    #[serde(default)]
    pub(crate) layers: BTreeMap<String, Layer>,
}

impl State {
    /// The family of a function that there is.
    pub(crate) fn family(&self, name: &str) -> Option<&Family> {
        self.families.get(name)
    }

    /// What is set for one way of calling a function.
    pub(crate) fn door(&self, name: &str, qualifier: Option<&str>) -> Option<&Door> {
        self.family(name)?.doors.get(qualifier.unwrap_or(LATEST))
    }

    /// A version by its number, or `$LATEST`.
    pub(crate) fn version(&self, name: &str, version: &str) -> Option<&Function> {
        if version == LATEST {
            return self.functions.get(name);
        }
        self.family(name)?.versions.get(&version.parse().ok()?)
    }

    /// An alias.
    pub(crate) fn alias(&self, name: &str, alias: &str) -> Option<&Alias> {
        self.family(name)?.aliases.get(alias)
    }

    /// The configuration behind `name` or `name:qualifier`; behind an alias, that of its first version.
    pub(crate) fn configuration(&self, called: &str) -> Option<&Function> {
        let (name, qualifier) = called.split_once(':').unwrap_or((called, LATEST));
        self.version(name, self.alias(name, qualifier).map_or(qualifier, |alias| &alias.version))
    }

    /// A version of a layer.
    pub(crate) fn layer_version(&self, layer: &str, number: u64) -> Option<&LayerVersion> {
        self.layers.get(layer)?.versions.get(&number)
    }

    /// The names of all directories of code that are in use.
    pub(crate) fn code_in_use(&self) -> impl Iterator<Item = &String> {
        let own = self.all_versions().flat_map(|function| {
            let layers = function.layers.iter().map(|layer| &layer.code_id);
            layers.chain(&function.layers_id).chain([&function.code_id])
        });
        own.chain(self.layers.values().flat_map(|layer| layer.versions.values().map(|version| &version.code_id)))
    }

    /// All configurations of all functions.
    pub(crate) fn all_versions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().chain(self.families.values().flat_map(|family| family.versions.values()))
    }

    /// Invocations at once that functions have reserved, all but one of them.
    pub(crate) fn reserved(&self, but: &str) -> u32 {
        self.families.iter().filter(|(name, _)| *name != but).filter_map(|(_, family)| family.reserved).sum()
    }
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
    /// A version is published.
    PutVersion(Box<Function>),
    /// A version is gone.
    DeleteVersion {
        /// Of this function.
        function: String,
        /// Its number.
        version: u64,
    },
    /// An alias is created or replaced.
    PutAlias {
        /// Of this function.
        function: String,
        /// The alias.
        alias: Box<Alias>,
    },
    /// An alias is gone.
    DeleteAlias {
        /// Of this function.
        function: String,
        /// Its name.
        alias: String,
    },
    /// What is set for a qualifier is replaced as a whole.
    PutDoor {
        /// Of this function.
        function: String,
        /// `$LATEST`, a version or an alias.
        qualifier: String,
        /// What is set.
        door: Box<Door>,
    },
    /// A layer version is published, or its policy changed.
    PutLayerVersion {
        /// Of this layer.
        layer: String,
        /// The version.
        version: Box<LayerVersion>,
    },
    /// A layer version is gone.
    DeleteLayerVersion {
        /// Of this layer.
        layer: String,
        /// Its number.
        version: u64,
    },
    /// Concurrency is reserved, or no longer.
    Reserve {
        /// For this function.
        function: String,
        /// So many invocations at once.
        reserved: Option<u32>,
    },
    /// Loops are allowed, or no longer.
    AllowLoops {
        /// To this function.
        function: String,
        /// Whether.
        allowed: bool,
    },
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
                self.families.remove(name);
            }
            Change::PutMapping(mapping) => {
                self.mappings.insert(mapping.uuid.clone(), (**mapping).clone());
            }
            Change::DeleteMapping(uuid) => {
                self.mappings.remove(uuid);
            }
            Change::PutVersion(function) => {
                // What is published has a number.
                let Ok(number) = function.version.parse() else { return };
                let family = self.families.entry(function.name.clone()).or_default();
                family.versions.insert(number, (**function).clone());
                family.last_version = family.last_version.max(number);
            }
            Change::DeleteVersion { function, version } => {
                let family = self.families.entry(function.clone()).or_default();
                family.versions.remove(version);
                family.doors.remove(&version.to_string());
            }
            Change::PutAlias { function, alias } => {
                let family = self.families.entry(function.clone()).or_default();
                family.aliases.insert(alias.name.clone(), (**alias).clone());
            }
            Change::DeleteAlias { function, alias } => {
                let family = self.families.entry(function.clone()).or_default();
                family.aliases.remove(alias);
                family.doors.remove(alias);
            }
            Change::PutDoor { function, qualifier, door } => {
                let family = self.families.entry(function.clone()).or_default();
                family.doors.insert(qualifier.clone(), (**door).clone());
            }
            Change::PutLayerVersion { layer, version } => {
                let layer = self.layers.entry(layer.clone()).or_default();
                layer.versions.insert(version.number, (**version).clone());
                layer.last_version = layer.last_version.max(version.number);
            }
            Change::DeleteLayerVersion { layer, version } => {
                self.layers.entry(layer.clone()).or_default().versions.remove(version);
            }
            Change::Reserve { function, reserved } => {
                self.families.entry(function.clone()).or_default().reserved = *reserved;
            }
            Change::AllowLoops { function, allowed } => {
                self.families.entry(function.clone()).or_default().loops_allowed = *allowed;
            }
        }
    }
}
