//! What the house knows of its buses and rules.

use crate::archive::state::{ArchiveChange, Archives};
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use shapes::events::RuleState;
use std::collections::BTreeMap;

/// The bus that always exists.
pub(crate) const DEFAULT_BUS: &str = "default";

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// All buses.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) buses: BTreeMap<String, Bus>,
    /// Archives and replays.
    #[serde(default)]
    pub(crate) archives: Archives,
    /// Grows with every change that matching could notice.
    pub(crate) revision: u64,
}

/// A bus.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bus {
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Who else may send here, as `PutPermission` wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// Where events go that came and cannot be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<Arn>,
    pub(crate) tags: Tags,
    /// By name.
    pub(crate) rules: BTreeMap<String, Rule>,
    /// The state's revision when the bus or a rule of it changed last.
    pub(crate) revision: u64,
}

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) definition: Definition,
    /// The account that made it.
    pub(crate) created_by: String,
    /// The service that made it and alone may change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) managed_by: Option<String>,
    pub(crate) tags: Tags,
    /// By id.
    pub(crate) targets: BTreeMap<String, Target>,
    /// When its schedule was due last, or began to count.
    pub(crate) since: Timestamp,
    /// The state's revision when it changed last.
    pub(crate) revision: u64,
}

/// What `PutRule` sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) schedule: Option<String>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) role: Option<String>,
}

/// Which events a rule is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// None, and its schedule rests.
    Disabled,
    /// All but the read-only management events that CloudTrail delivers.
    Enabled,
    /// These too.
    EnabledWithReadOnly,
}

/// Where a rule's events go, as `PutTargets` said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) arn: Arn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Arn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transformer: Option<Transformer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partition_key_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<Arn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<HttpParameters>,
}

/// What a request to an API destination gets beside its body. A value that is a JSON path stands for what it leads to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpParameters {
    pub(crate) path: Option<Vec<String>>,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    pub(crate) query: Option<BTreeMap<String, String>>,
}

/// An InputTransformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transformer {
    pub(crate) paths: Option<BTreeMap<String, String>>,
    pub(crate) template: String,
}

/// A RetryPolicy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) attempts: Option<u32>,
    pub(crate) age_s: Option<u32>,
}

/// What tags stick to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Tagged {
    Bus(String),
    Rule { bus: String, rule: String },
}

/// What may happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A bus is made.
    BusMade {
        name: String,
        at: Timestamp,
        description: Option<String>,
        tags: Tags,
        #[serde(default)]
        dead_letter: Option<Arn>,
    },
    /// A bus is described anew.
    BusSet { name: String, at: Timestamp, description: Option<String>, dead_letter: Option<Arn> },
    /// A bus has another policy, or none.
    BusPolicy { name: String, at: Timestamp, policy: Option<String> },
    /// A bus is gone.
    BusDeleted { name: String },
    /// A rule is made, or defined anew; then its targets and tags stay what they were.
    RulePut {
        bus: String,
        rule: String,
        at: Timestamp,
        definition: Definition,
        created_by: String,
        tags: Tags,
        #[serde(default)]
        managed_by: Option<String>,
    },
    /// A rule is enabled or disabled.
    RuleSet { bus: String, rule: String, at: Timestamp, status: Status },
    /// A rule is gone.
    RuleDeleted { bus: String, rule: String },
    /// Targets are added, or replaced where their ids were there.
    TargetsPut { bus: String, rule: String, targets: BTreeMap<String, Target> },
    /// Targets are gone.
    TargetsRemoved { bus: String, rule: String, ids: Vec<String> },
    /// Tags are set.
    Tagged { resource: Tagged, tags: Tags },
    /// Tags are gone.
    Untagged { resource: Tagged, keys: Vec<String> },
    /// The schedule of a rule of the default bus was due.
    Ticked { rule: String, since: Timestamp },
    /// Something about archives.
    Archive(ArchiveChange),
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::BusMade { name, at, description, tags, dead_letter } => {
                let revision = self.next_revision();
                let bus = Bus {
                    created: *at,
                    modified: *at,
                    description: description.clone(),
                    policy: None,
                    dead_letter: dead_letter.clone(),
                    tags: tags.clone(),
                    rules: BTreeMap::new(),
                    revision,
                };
                self.buses.insert(name.clone(), bus);
            }
            Change::BusSet { name, at, description, dead_letter } => self.touch_bus(name, *at, |bus| {
                bus.description.clone_from(description);
                bus.dead_letter.clone_from(dead_letter);
            }),
            Change::BusPolicy { name, at, policy } => self.touch_bus(name, *at, |bus| bus.policy.clone_from(policy)),
            Change::BusDeleted { name } => {
                self.next_revision();
                self.buses.remove(name);
            }
            Change::RulePut { .. } => self.put_rule(change),
            Change::RuleSet { bus, rule, at, status } => self.touch(bus, rule, |known, revision| {
                let definition = Definition { status: *status, ..known.definition.clone() };
                known.redefine(definition, *at, revision);
            }),
            Change::RuleDeleted { bus, rule } => {
                let revision = self.next_revision();
                if let Some(bus) = self.buses.get_mut(bus) {
                    bus.revision = revision;
                    bus.rules.remove(rule);
                }
            }
            Change::TargetsPut { bus, rule, targets } => self.touch(bus, rule, |known, _| {
                known.targets.extend(targets.iter().map(|(id, target)| (id.clone(), target.clone())));
            }),
            Change::TargetsRemoved { bus, rule, ids } => {
                self.touch(bus, rule, |known, _| known.targets.retain(|id, _| !ids.contains(id)));
            }
            Change::Archive(change) => self.archives.apply(change),
            Change::Tagged { resource, tags } => {
                if let Some(known) = self.tags_mut(resource) {
                    known.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            Change::Untagged { resource, keys } => {
                if let Some(known) = self.tags_mut(resource) {
                    known.retain(|key, _| !keys.contains(key));
                }
            }
            Change::Ticked { rule, since } => {
                if let Some(known) = self.buses.get_mut(DEFAULT_BUS).and_then(|bus| bus.rules.get_mut(rule)) {
                    known.since = *since;
                }
            }
        }
    }
}

impl State {
    /// A rule of a bus.
    pub(crate) fn rule(&self, bus: &str, rule: &str) -> Option<&Rule> {
        self.buses.get(bus)?.rules.get(rule)
    }

    /// The tags of something, where it exists.
    pub(crate) fn tags(&self, resource: &Tagged) -> Option<&Tags> {
        match resource {
            Tagged::Bus(name) => self.buses.get(name).map(|bus| &bus.tags),
            Tagged::Rule { bus, rule } => self.rule(bus, rule).map(|rule| &rule.tags),
        }
    }

    fn tags_mut(&mut self, resource: &Tagged) -> Option<&mut Tags> {
        match resource {
            Tagged::Bus(name) => self.buses.get_mut(name).map(|bus| &mut bus.tags),
            Tagged::Rule { bus, rule } => self.buses.get_mut(bus)?.rules.get_mut(rule).map(|rule| &mut rule.tags),
        }
    }

    fn put_rule(&mut self, change: &Change) {
        let Change::RulePut { bus, rule, at, definition, created_by, tags, managed_by } = change else { return };
        let revision = self.next_revision();
        let Some(bus) = self.buses.get_mut(bus) else { return };
        bus.revision = revision;
        let new = Rule {
            definition: definition.clone(),
            created_by: created_by.clone(),
            managed_by: managed_by.clone(),
            tags: tags.clone(),
            targets: BTreeMap::new(),
            since: *at,
            revision,
        };
        bus.rules
            .entry(rule.clone())
            .and_modify(|known| known.redefine(definition.clone(), *at, revision))
            .or_insert(new);
    }

    fn touch_bus(&mut self, name: &str, at: Timestamp, change: impl FnOnce(&mut Bus)) {
        let revision = self.next_revision();
        if let Some(bus) = self.buses.get_mut(name) {
            (bus.revision, bus.modified) = (revision, at);
            change(bus);
        }
    }

    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn touch(&mut self, bus: &str, rule: &str, change: impl FnOnce(&mut Rule, u64)) {
        let revision = self.next_revision();
        let Some(bus) = self.buses.get_mut(bus) else { return };
        bus.revision = revision;
        if let Some(known) = bus.rules.get_mut(rule) {
            known.revision = revision;
            change(known, revision);
        }
    }
}

impl Target {
    /// A target with nothing set.
    pub(crate) fn to(arn: Arn) -> Target {
        Target {
            arn,
            role: None,
            input: None,
            input_path: None,
            transformer: None,
            partition_key_path: None,
            message_group: None,
            retry: None,
            dead_letter: None,
            http: None,
        }
    }
}

impl Rule {
    /// A schedule that is new, or rested, counts from now on.
    fn redefine(&mut self, definition: Definition, at: Timestamp, revision: u64) {
        if definition.schedule != self.definition.schedule || self.definition.status == Status::Disabled {
            self.since = at;
        }
        self.definition = definition;
        self.revision = revision;
    }
}

impl From<RuleState> for Status {
    fn from(state: RuleState) -> Status {
        match state {
            RuleState::Disabled => Status::Disabled,
            RuleState::Enabled => Status::Enabled,
            RuleState::EnabledWithAllCloudtrailManagementEvents => Status::EnabledWithReadOnly,
        }
    }
}

impl From<Status> for RuleState {
    fn from(status: Status) -> RuleState {
        match status {
            Status::Disabled => RuleState::Disabled,
            Status::Enabled => RuleState::Enabled,
            Status::EnabledWithReadOnly => RuleState::EnabledWithAllCloudtrailManagementEvents,
        }
    }
}
