//! The catalog: log groups and their streams by name. Changed only by [`State::apply`].

use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What actions begin with.
pub(crate) const VENDOR: &str = "logs";

/// A stream of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Its number: dense over the house, never used again.
    pub(crate) number: u64,
    pub(crate) created: Timestamp,
}

/// A log group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Its number: dense, never used again.
    pub(crate) number: u64,
    pub(crate) created: Timestamp,
    /// How many days its events are kept; for ever where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention_days: Option<i32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) protected: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) streams: BTreeMap<String, Stream>,
}

/// A resource policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) document: String,
    pub(crate) updated: Timestamp,
    /// The document as it decides, once somebody asked.
    #[serde(skip)]
    ready: OnceLock<Arc<policies::Policy>>,
}

impl Policy {
    pub(crate) fn new(name: String, document: String, updated: Timestamp) -> Policy {
        Policy { name, document, updated, ready: OnceLock::new() }
    }

    /// Ready to decide.
    pub(crate) fn ready(&self) -> Arc<policies::Policy> {
        let read = || policies::Policy::parse(&self.document, VENDOR);
        self.ready.get_or_init(|| Arc::new(policies::Policy::kept(read(), VENDOR, &self.name))).clone()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) next_group: u64,
    pub(crate) next_stream: u64,
    /// Of all groups.
    pub(crate) streams: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    GroupCreated { name: String, created: Timestamp, tags: BTreeMap<String, String>, protected: bool },
    GroupDeleted { name: String },
    Protected { name: String, on: bool },
    Retained { name: String, days: Option<i32> },
    Tagged { name: String, tags: BTreeMap<String, String> },
    StreamCreated { group: String, name: String, created: Timestamp },
    StreamDeleted { group: String, name: String },
    PolicyPut(Policy),
    PolicyDeleted { name: String },
}

impl State {
    pub(crate) fn stream(&self, group: &str, stream: &str) -> Option<&Stream> {
        self.groups.get(group)?.streams.get(stream)
    }
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        let mut edit = |name: &str, edit: &dyn Fn(&mut Group)| {
            if let Some(group) = self.groups.get_mut(name) {
                edit(group);
            }
        };
        match change {
            Change::GroupCreated { name, created, tags, protected } => {
                let group = Group {
                    number: self.next_group,
                    created: *created,
                    retention_days: None,
                    tags: tags.clone(),
                    protected: *protected,
                    streams: BTreeMap::new(),
                };
                self.groups.insert(name.clone(), group);
                self.next_group += 1;
            }
            Change::GroupDeleted { name } => {
                let group = self.groups.remove(name);
                self.streams -= group.map_or(0, |group| group.streams.len() as u64);
            }
            Change::Protected { name, on } => edit(name, &|group| group.protected = *on),
            Change::Retained { name, days } => edit(name, &|group| group.retention_days = *days),
            Change::Tagged { name, tags } => edit(name, &|group| group.tags = tags.clone()),
            Change::StreamCreated { group, name, created } => {
                if let Some(group) = self.groups.get_mut(group) {
                    let stream = Stream { number: self.next_stream, created: *created };
                    let new = group.streams.insert(name.clone(), stream).is_none();
                    self.streams += u64::from(new);
                    self.next_stream += 1;
                }
            }
            Change::StreamDeleted { group, name } => {
                let gone = self.groups.get_mut(group).and_then(|group| group.streams.remove(name));
                self.streams -= u64::from(gone.is_some());
            }
            Change::PolicyPut(policy) => {
                self.policies.insert(policy.name.clone(), policy.clone());
            }
            Change::PolicyDeleted { name } => {
                self.policies.remove(name);
            }
        }
    }
}
