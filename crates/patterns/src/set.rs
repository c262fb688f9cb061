//! The rules of one bus, found by the strings an event holds rather than one by one.

use crate::Pattern;
use crate::condition::Condition;
use crate::evaluate::{Branch, Leaf, each_value};
use crate::event::Event;
use crate::value::{Value, canonical};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rules with the number of one of their branches.
type Entries<Id> = BTreeSet<(Id, usize)>;

/// The patterns of one bus.
///
/// Each branch of a pattern that demands one of a few exact strings of some field is filed under those strings, so an
/// event visits only branches whose demand it meets; other branches are evaluated one by one.
#[derive(Clone, Debug)]
pub struct RuleSet<Id: Ord + Clone> {
    patterns: BTreeMap<Id, Pattern>,
    /// Path, then canonical string, then the rules and their branches filed there.
    filed: BTreeMap<String, HashMap<Box<str>, Entries<Id>>>,
    unfiled: Entries<Id>,
}

impl<Id: Ord + Clone> Default for RuleSet<Id> {
    fn default() -> Self {
        RuleSet { patterns: BTreeMap::new(), filed: BTreeMap::new(), unfiled: BTreeSet::new() }
    }
}

impl<Id: Ord + Clone> RuleSet<Id> {
    /// Adds a rule, or replaces its pattern.
    pub fn insert(&mut self, id: Id, pattern: Pattern) {
        self.remove(&id);
        for (number, branch) in pattern.branches().iter().enumerate() {
            let entry = (id.clone(), number);
            match filing(branch) {
                None => {
                    self.unfiled.insert(entry);
                }
                Some((path, strings)) => {
                    let by_string = self.filed.entry(path.to_owned()).or_default();
                    for string in strings {
                        by_string.entry(string.into()).or_default().insert(entry.clone());
                    }
                }
            }
        }
        self.patterns.insert(id, pattern);
    }

    /// Removes a rule; tells whether it was there.
    pub fn remove(&mut self, id: &Id) -> bool {
        let Some(pattern) = self.patterns.remove(id) else {
            return false;
        };
        for (number, branch) in pattern.branches().iter().enumerate() {
            let entry = (id.clone(), number);
            let Some((path, strings)) = filing(branch) else {
                self.unfiled.remove(&entry);
                continue;
            };
            let by_string = self.filed.get_mut(path).expect("filed when the rule was inserted");
            for string in strings {
                if let Some(entries) = by_string.get_mut(string) {
                    entries.remove(&entry);
                    if entries.is_empty() {
                        by_string.remove(string);
                    }
                }
            }
            if by_string.is_empty() {
                self.filed.remove(path);
            }
        }
        true
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The rules an event matches, in order.
    pub fn matching(&self, event: &Event) -> Vec<Id> {
        let mut matched = BTreeSet::new();
        for (path, by_string) in &self.filed {
            each_value(&event.root, path, &mut |value| {
                if let Value::String(text) = value {
                    self.try_entries(by_string.get(&*canonical(text)).into_iter().flatten(), event, &mut matched);
                }
            });
        }
        self.try_entries(self.unfiled.iter(), event, &mut matched);
        matched.into_iter().cloned().collect()
    }

    fn try_entries<'a>(
        &'a self,
        entries: impl Iterator<Item = &'a (Id, usize)>,
        event: &Event,
        matched: &mut BTreeSet<&'a Id>,
    ) {
        for (id, number) in entries {
            if !matched.contains(id) && self.patterns[id].branches()[*number].matches(&event.root) {
                matched.insert(id);
            }
        }
    }
}

/// The field a branch is filed under: the one likeliest to tell events apart.
fn filing(branch: &Branch) -> Option<(&str, Vec<&str>)> {
    branch
        .leaves()
        .filter_map(|(path, leaf)| Some((path, exact_strings(leaf)?)))
        .min_by_key(|(path, strings)| (rank(path), strings.len()))
}

fn exact_strings(leaf: &Leaf) -> Option<Vec<&str>> {
    let Leaf::OneOf(conditions) = leaf else {
        return None;
    };
    let strings = conditions.iter().map(|condition| match condition {
        Condition::String(string) => Some(&**string),
        _ => None,
    });
    strings.collect()
}

/// Detail tells more than type, type more than source, and the rest is alike in most events of a bus.
fn rank(path: &str) -> u8 {
    match path {
        "account" | "region" | "version" => 4,
        "source" | "detail.eventSource" => 3,
        "detail-type" => 2,
        "detail.eventName" => 0,
        _ => 1,
    }
}
