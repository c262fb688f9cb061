//! Reading a pattern into branches: each `$or` multiplies them, and an event matches if it satisfies any one.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-complex-example-or>

use super::condition::Condition;
use super::evaluate::{Branch, Leaf};
use super::operator::{self, Entry};
use super::value::{Number, canonical};
use crate::json::{Fault, Reader, Token};
use std::collections::BTreeMap;
use std::sync::Arc;

/// AWS supports `$or` in patterns that make fewer than 1000 combinations (same page).
const BRANCHES_MAX: usize = 1000;

/// Names that are operators and so cannot be fields under `$or`.
const RESERVED: [&str; 9] =
    ["exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"];

/// What a branch asks of each path; the names on the way are joined with dots, as AWS does.
type Fields = BTreeMap<String, Asked>;

/// What one field's array asks.
#[derive(Clone)]
struct Asked {
    conditions: Arc<[Condition]>,
    may_be_absent: bool,
}

/// Reads a whole pattern.
pub(crate) fn branches(source: &str) -> Result<Vec<Branch>, Fault> {
    let mut reader = Reader::new(source);
    if reader.next()? != Token::ObjectStart {
        return Err(reader.fault("Filter is not an object"));
    }
    let mut branches = vec![Fields::new()];
    read_object(&mut reader, &mut branches, None, false)?;
    if reader.next()? != Token::End {
        return Err(reader.fault("Unexpected text after the pattern"));
    }
    let mut compiled = Vec::new();
    for fields in branches {
        for leaves in leaves(fields)? {
            if compiled.len() == BRANCHES_MAX {
                return Err(too_many_branches());
            }
            compiled.push(Branch::new(leaves));
        }
    }
    Ok(compiled)
}

fn too_many_branches() -> Fault {
    Fault::nowhere(format!("Rule is too complex - $or makes more than {BRANCHES_MAX} rule combinations"))
}

fn read_object(
    reader: &mut Reader<'_>,
    branches: &mut Vec<Fields>,
    path: Option<&str>,
    under_or: bool,
) -> Result<(), Fault> {
    let mut empty = true;
    while reader.next()? == Token::Field {
        empty = false;
        let name = reader.name().to_owned();
        if name == "$or" {
            read_or(reader, branches, path)?;
            continue;
        }
        if under_or && RESERVED.contains(&name.as_str()) {
            return Err(reader.fault(format!("{name} is Ruler reserved fieldName which cannot be used inside $or.")));
        }
        let below = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
        match reader.next()? {
            Token::ObjectStart => read_object(reader, branches, Some(&below), under_or)?,
            Token::ArrayStart => {
                let asked = read_entries(reader)?;
                for fields in branches.iter_mut() {
                    fields.insert(below.clone(), asked.clone());
                }
            }
            _ => return Err(reader.fault(format!("\"{name}\" must be an object or an array"))),
        }
    }
    if empty { Err(reader.fault("Empty objects are not allowed")) } else { Ok(()) }
}

fn read_or(reader: &mut Reader<'_>, branches: &mut Vec<Fields>, path: Option<&str>) -> Result<(), Fault> {
    if reader.next()? != Token::ArrayStart {
        return Err(reader.fault("It must be an Array followed with $or."));
    }
    let before = std::mem::take(branches);
    let mut alternatives = 0;
    loop {
        match reader.next()? {
            Token::ArrayEnd => break,
            Token::ObjectStart => {
                alternatives += 1;
                let mut forked = before.clone();
                read_object(reader, &mut forked, path, true)?;
                branches.append(&mut forked);
                if branches.len() > BRANCHES_MAX {
                    return Err(too_many_branches());
                }
            }
            _ => return Err(reader.fault("Only JSON object is allowed in array of $or relationship.")),
        }
    }
    if alternatives < 2 {
        return Err(reader.fault("There must have at least 2 Objects in $or relationship."));
    }
    Ok(())
}

fn read_entries(reader: &mut Reader<'_>) -> Result<Asked, Fault> {
    let mut conditions = Vec::new();
    let mut may_be_absent = false;
    loop {
        conditions.push(match reader.next()? {
            Token::ArrayEnd => break,
            Token::ObjectStart => match operator::read(reader)? {
                Entry::Value(condition) => condition,
                Entry::Absent => {
                    may_be_absent = true;
                    continue;
                }
            },
            Token::String => Condition::String(canonical(reader.text()?)),
            Token::Number => Condition::Number(Number::new(reader.text()?)),
            Token::True => Condition::True,
            Token::False => Condition::False,
            Token::Null => Condition::Null,
            Token::ArrayStart | Token::ObjectEnd | Token::Field | Token::End => {
                return Err(reader.fault("Match value must be String, number, true, false, or null"));
            }
        });
    }
    if conditions.is_empty() && !may_be_absent {
        return Err(reader.fault("Empty arrays are not allowed"));
    }
    Ok(Asked { conditions: conditions.into(), may_be_absent })
}

/// Splits each field that may be absent or hold a value into two branches: the two are satisfied in different ways
/// where arrays are involved.
fn leaves(fields: Fields) -> Result<Vec<BTreeMap<String, Leaf>>, Fault> {
    let mut split = vec![BTreeMap::new()];
    for (path, asked) in fields {
        let present = (!asked.conditions.is_empty()).then_some(Leaf::OneOf(asked.conditions));
        let absent = asked.may_be_absent.then_some(Leaf::Absent);
        if present.is_some() && absent.is_some() && split.len() * 2 > BRANCHES_MAX {
            return Err(too_many_branches());
        }
        let mut next = Vec::new();
        for leaf in present.into_iter().chain(absent) {
            for leaves in &split {
                let mut leaves: BTreeMap<String, Leaf> = leaves.clone();
                leaves.insert(path.clone(), leaf.clone());
                next.push(leaves);
            }
        }
        split = next;
    }
    Ok(split)
}
