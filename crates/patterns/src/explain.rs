//! Why an event matches a pattern, or what of it does not.

use crate::evaluate::{Branch, Leaf};
use crate::event::{Event, Node};
use crate::pattern::Pattern;
use crate::value::{Scalar, Value};

/// Values of a field that are shown; further ones are counted.
const SHOWN: usize = 5;

/// How an event fares with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it matches.
    pub matches: bool,
    /// How many alternatives `$or` and `{"exists": false}` beside other values make of the pattern.
    pub alternatives: usize,
    /// The fields of the alternative that matches or, if none does, of the one of which the fewest fail.
    pub fields: Vec<Field>,
    /// Whether every field holds by itself, but not all in the same element of an array.
    pub scattered: bool,
}

/// How one field fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The names on the way to it, joined by dots.
    pub path: String,
    /// What the pattern asks for, as JSON.
    pub asked: String,
    /// What the event holds there, as JSON, or in words where that is nothing.
    pub found: String,
    /// Whether that is what is asked for.
    pub holds: bool,
    /// Where it is not: what may have been meant.
    pub hint: Option<String>,
}

impl Explanation {
    /// Looks at an event field by field.
    pub fn new(pattern: &Pattern, event: &Event) -> Explanation {
        let branches = pattern.branches();
        let matching = branches.iter().find(|branch| branch.matches(&event.root));
        let fields = |branch: &Branch| -> Vec<Field> {
            branch.leaves().map(|(path, leaf)| field(path, leaf, &event.root)).collect()
        };
        let failing = |fields: &Vec<Field>| fields.iter().filter(|field| !field.holds).count();
        let fields = match matching {
            Some(branch) => branch
                .leaves()
                .map(|(path, leaf)| Field { holds: true, hint: None, ..field(path, leaf, &event.root) })
                .collect(),
            None => branches.iter().map(fields).min_by_key(failing).unwrap_or_default(),
        };
        let scattered = matching.is_none() && failing(&fields) == 0;
        Explanation { matches: matching.is_some(), alternatives: branches.len(), fields, scattered }
    }
}

fn field(path: &str, leaf: &Leaf, root: &Node) -> Field {
    let mut values = Vec::new();
    let there = follow(root, Some(path), &mut |value| values.push(value));
    let holds = values.iter().any(|value| leaf.accepts(*value)) != (*leaf == Leaf::Absent);
    Field {
        path: path.to_owned(),
        asked: leaf.to_string(),
        found: found(&values, there),
        holds,
        hint: if holds { None } else { hint(path, leaf, root, &values) },
    }
}

fn found(values: &[Value<'_>], there: bool) -> String {
    let mut shown: Vec<String> = values.iter().take(SHOWN).map(Value::to_string).collect();
    if values.len() > SHOWN {
        shown.push(format!("and {} more", values.len() - SHOWN));
    }
    match (shown.is_empty(), there) {
        (false, _) => shown.join(", "),
        (true, true) => "no value, but an object or an empty array".to_owned(),
        (true, false) => "nothing".to_owned(),
    }
}

/// Calls `found` with each scalar at a path, whichever elements of arrays it is in; tells whether the path leads anywhere.
/// `path` is what is left of the path: a name may be empty, so no path is not an empty one.
fn follow<'a>(node: &'a Node, path: Option<&str>, found: &mut dyn FnMut(Value<'a>)) -> bool {
    let mut there = false;
    for element in &node.elements {
        there |= follow(element, path, found);
    }
    let Some(path) = path else {
        node.scalars.iter().map(Scalar::value).for_each(found);
        return true;
    };
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    node.fields.get(name).is_some_and(|field| follow(field, rest, found)) || there
}

/// The mistakes that are made most: a name in other letters, a number for a string, other letters in the value.
fn hint(path: &str, leaf: &Leaf, root: &Node, values: &[Value<'_>]) -> Option<String> {
    let Leaf::OneOf(conditions) = leaf else { return None };
    if values.is_empty() {
        return misspelt(path, root);
    }
    let asked: Vec<String> = conditions.iter().map(|condition| condition.to_string()).collect();
    values.iter().find_map(|value| {
        let shown = value.to_string();
        let bare = shown.trim_matches('"');
        let near = asked.iter().find(|asked| asked.trim_matches('"').eq_ignore_ascii_case(bare))?;
        let quoted = |text: &str| text.starts_with('"');
        match (quoted(near), quoted(&shown)) {
            (true, false) => Some(format!("{near} is a string, the event's {shown} is not")),
            (false, true) => Some(format!("the event's {shown} is a string, {near} is not")),
            _ => Some(format!("{near} and {shown} differ in case: `equals-ignore-case` matches both")),
        }
    })
}

/// The first name of a path that the event does not have, where it has one that differs in case alone.
fn misspelt(path: &str, root: &Node) -> Option<String> {
    let mut nodes = vec![root];
    for name in path.split('.') {
        let mut below = Vec::new();
        let mut near = None;
        while let Some(node) = nodes.pop() {
            nodes.extend(&node.elements);
            below.extend(node.fields.get(name));
            near = near.or_else(|| node.fields.keys().find(|other| other.eq_ignore_ascii_case(name)));
        }
        if below.is_empty() {
            return near.map(|near| format!("the event has {near:?}, the pattern {name:?}"));
        }
        nodes = below;
    }
    None
}
