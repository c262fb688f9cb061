//! Whether an event satisfies a branch, in time proportional to what the branch looks at.

use crate::condition::Condition;
use crate::event::Node;
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a branch asks of one path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leaf {
    /// Some value there passes one of these.
    OneOf(Arc<[Condition]>),
    /// No value is there.
    Absent,
}

impl Leaf {
    /// Whether a value is what is asked for; for one that asks that there be none, any is what it asks about.
    pub(crate) fn accepts(&self, value: Value<'_>) -> bool {
        match self {
            Leaf::OneOf(conditions) => conditions.iter().any(|condition| condition.accepts(value)),
            Leaf::Absent => true,
        }
    }
}

/// One conjunction of a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    leaves: BTreeMap<String, Leaf>,
    root: Step,
}

/// The branch as a tree of names.
#[derive(Clone, Debug, Default)]
struct Step {
    leaf: Option<Leaf>,
    below: BTreeMap<Box<str>, Step>,
    /// Whether some leaf here or below asks for a value.
    wants_value: bool,
}

impl Branch {
    pub(crate) fn new(leaves: BTreeMap<String, Leaf>) -> Branch {
        let mut root = Step::default();
        for (path, leaf) in &leaves {
            let wants_value = *leaf != Leaf::Absent;
            root.wants_value |= wants_value;
            let step = path.split('.').fold(&mut root, |step, name| {
                let next = step.below.entry(name.into()).or_default();
                next.wants_value |= wants_value;
                next
            });
            step.leaf = Some(leaf.clone());
        }
        Branch { leaves, root }
    }

    /// The paths and what is asked of each.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (&str, &Leaf)> {
        self.leaves.iter().map(|(path, leaf)| (path.as_str(), leaf))
    }

    pub(crate) fn matches(&self, root: &Node) -> bool {
        self.root.satisfied_by(Some(root))
    }
}

impl Step {
    fn satisfied_by(&self, node: Option<&Node>) -> bool {
        if !self.wants_value {
            // Nothing fixes an element of an array, so the values must be absent from all of them.
            return node.is_none_or(|node| self.absent_from(node));
        }
        let Some(node) = node else {
            return false;
        };
        let leaf = match &self.leaf {
            None => true,
            Some(leaf) => holds_value(node, &|value| leaf.accepts(value)) != (*leaf == Leaf::Absent),
        };
        leaf && (self.below.is_empty() || self.below_satisfied_by(node))
    }

    /// Array consistency: all that is matched below an array must be matched in the same element of it.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html>
    fn below_satisfied_by(&self, node: &Node) -> bool {
        if !self.below.values().any(|step| step.wants_value) {
            return self.below_absent_from(node);
        }
        self.below.iter().all(|(name, step)| step.satisfied_by(node.fields.get(name)))
            || node.elements.iter().any(|element| self.below_satisfied_by(element))
    }

    fn absent_from(&self, node: &Node) -> bool {
        !(self.leaf.is_some() && holds_value(node, &|_| true)) && self.below_absent_from(node)
    }

    fn below_absent_from(&self, node: &Node) -> bool {
        self.below.iter().all(|(name, step)| node.fields.get(name).is_none_or(|field| step.absent_from(field)))
            && (self.below.is_empty() || node.elements.iter().all(|element| self.below_absent_from(element)))
    }
}

/// Whether some scalar at this place passes.
fn holds_value(node: &Node, passes: &dyn Fn(Value<'_>) -> bool) -> bool {
    node.scalars.iter().any(|scalar| passes(scalar.value()))
        || node.elements.iter().any(|element| holds_value(element, passes))
}
