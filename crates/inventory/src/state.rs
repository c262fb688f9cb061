//! The catalog: instances by the order of their launch. Changed only by [`State::apply`].

use crate::lifecycle::Phase;
use crate::limits::TERMINATED_VISIBLE;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What EC2 remembers of an instance and shows again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) reservation: String,
    pub(crate) launch_index: i32,
    pub(crate) image: String,
    pub(crate) kind: String,
    pub(crate) key_name: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) zone: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) groups: Vec<Group>,
    pub(crate) profile: Option<Profile>,
    pub(crate) monitoring: bool,
    pub(crate) ebs_optimized: bool,
    pub(crate) launched: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) since: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An instance profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) arn: String,
    pub(crate) id: String,
}

impl Instance {
    pub(crate) fn phase_at(&self, settle: Duration, now: Timestamp) -> Phase {
        self.phase.at(self.since, settle, now)
    }

    /// Whether it still shows: terminated instances do for a while.
    pub(crate) fn visible(&self, settle: Duration, now: Timestamp) -> bool {
        self.phase_at(settle, now) != Phase::Terminated || now < self.since.plus(settle).plus(TERMINATED_VISIBLE)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) instances: BTreeMap<u64, Instance>,
    pub(crate) by_id: BTreeMap<String, u64>,
    pub(crate) next: u64,
    /// Where the search for a free address goes on.
    pub(crate) next_address: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Launched { instances: Vec<Instance>, next_address: u32 },
    Moved { ids: Vec<String>, phase: Phase, since: Timestamp },
    Tagged { ids: Vec<String>, tags: BTreeMap<String, String> },
    Untagged { id: String, keys: Vec<String> },
    Forgotten { ids: Vec<String> },
}

impl State {
    pub(crate) fn find(&self, id: &str) -> Option<&Instance> {
        self.by_id.get(id).and_then(|number| self.instances.get(number))
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut Instance> {
        self.by_id.get(id).and_then(|number| self.instances.get_mut(number))
    }
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Launched { instances, next_address } => {
                for instance in instances {
                    self.by_id.insert(instance.id.clone(), self.next);
                    self.instances.insert(self.next, instance.clone());
                    self.next += 1;
                }
                self.next_address = *next_address;
            }
            Change::Moved { ids, phase, since } => {
                for id in ids {
                    if let Some(instance) = self.find_mut(id) {
                        instance.phase = *phase;
                        instance.since = *since;
                    }
                }
            }
            Change::Tagged { ids, tags } => {
                for id in ids {
                    if let Some(instance) = self.find_mut(id) {
                        instance.tags.extend(tags.clone());
                    }
                }
            }
            Change::Untagged { id, keys } => {
                if let Some(instance) = self.find_mut(id) {
                    instance.tags.retain(|key, _| !keys.contains(key));
                }
            }
            Change::Forgotten { ids } => {
                for id in ids {
                    if let Some(number) = self.by_id.remove(id) {
                        self.instances.remove(&number);
                    }
                }
            }
        }
    }
}
