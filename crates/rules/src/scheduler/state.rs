//! What the house knows of schedules and their groups.

use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group that always exists.
pub(crate) const DEFAULT_GROUP: &str = "default";

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) groups: BTreeMap<String, Group>,
    /// By [`key`].
    pub(crate) schedules: BTreeMap<String, Schedule>,
    /// Grows with every change that the clock could notice.
    pub(crate) revision: u64,
}

/// Where a schedule stands: a group's name and its own, neither of which has a slash.
pub(crate) fn key(group: &str, name: &str) -> String {
    format!("{group}/{name}")
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) token: Option<String>,
}

/// A schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) spec: Spec,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    /// What the call that made it was told apart by.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// When it was due last.
    #[serde(default)]
    pub(crate) last: Option<Timestamp>,
    /// The state's revision when it was set last.
    pub(crate) revision: u64,
}

/// What calls set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) expression: String,
    pub(crate) zone: String,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) description: Option<String>,
    pub(crate) enabled: bool,
    /// The flexible time window, in minutes.
    pub(crate) window: Option<u32>,
    /// Whether it is deleted when it has come to its end.
    pub(crate) delete_after: bool,
    /// Whether an `at()` that had gone by when it was set is due all the same. Older programs did not hold it so: what they
    /// set is not due after years.
    #[serde(default)]
    pub(crate) takes_past: bool,
    pub(crate) target: Target,
}

impl Spec {
    /// Whether both are due once only, and at the same time.
    pub(crate) fn is_once_as(&self, other: &Spec) -> bool {
        self.expression.starts_with("at(") && (&self.expression, &self.zone) == (&other.expression, &other.zone)
    }
}

/// Where it sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) arn: Arn,
    pub(crate) role: Arn,
    pub(crate) input: Option<String>,
    pub(crate) dead_letter: Option<Arn>,
    pub(crate) retries: Option<u32>,
    pub(crate) age_s: Option<u32>,
    pub(crate) partition_key: Option<String>,
    pub(crate) message_group: Option<String>,
    /// For buses: the event's detail type and source.
    pub(crate) event: Option<(String, String)>,
}

/// What may happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A group is made.
    GroupMade { name: String, at: Timestamp, tags: BTreeMap<String, String>, token: Option<String> },
    /// A group is gone, and its schedules with it.
    GroupDeleted { name: String },
    /// A group's tags are set.
    Tagged { name: String, at: Timestamp, tags: BTreeMap<String, String> },
    /// A group's tags are gone.
    Untagged { name: String, at: Timestamp, keys: Vec<String> },
    /// A schedule is made, or set anew.
    Set { key: String, at: Timestamp, spec: Box<Spec>, token: Option<String> },
    /// A schedule is gone.
    Deleted { key: String },
    /// A schedule was due.
    Ticked { key: String, last: Timestamp },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::GroupMade { name, at, tags, token } => {
                let group = Group { created: *at, modified: *at, tags: tags.clone(), token: token.clone() };
                self.groups.insert(name.clone(), group);
            }
            Change::GroupDeleted { name } => {
                self.revision += 1;
                self.groups.remove(name);
                let prefix = key(name, "");
                self.schedules.retain(|key, _| !key.starts_with(&prefix));
            }
            Change::Tagged { name, at, tags } => {
                if let Some(group) = self.groups.get_mut(name) {
                    group.modified = *at;
                    group.tags.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            Change::Untagged { name, at, keys } => {
                if let Some(group) = self.groups.get_mut(name) {
                    group.modified = *at;
                    group.tags.retain(|key, _| !keys.contains(key));
                }
            }
            Change::Set { key, at, spec, token } => {
                self.revision += 1;
                let before = self.schedules.get(key);
                // A one-time schedule that has been due is due again only where it is set to another time.
                let same = |before: &&Schedule| before.spec.is_once_as(spec);
                let schedule = Schedule {
                    spec: (**spec).clone(),
                    created: before.map_or(*at, |before| before.created),
                    modified: *at,
                    token: token.clone().or_else(|| before.and_then(|before| before.token.clone())),
                    last: before.filter(same).and_then(|before| before.last),
                    revision: self.revision,
                };
                self.schedules.insert(key.clone(), schedule);
            }
            Change::Deleted { key } => {
                self.revision += 1;
                self.schedules.remove(key);
            }
            Change::Ticked { key, last } => {
                if let Some(schedule) = self.schedules.get_mut(key) {
                    schedule.last = Some(*last);
                }
            }
        }
    }
}
