//! Reading a pattern into branches: each `$or` multiplies them, and an event matches if it satisfies any one.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-complex-example-or>

use crate::condition::Condition;
use crate::evaluate::{Branch, Leaf};
use crate::json::{Fault, Reader, Token};
use crate::limits::{BRANCHES_MAX, POLICY_COMBINATIONS, POLICY_KEYS};
use crate::operator::{self, Entry};
use crate::pattern::Dialect;
use crate::value::{Number, canonical};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Where in a pattern an object stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: Option<&'a str>,
    under_or: bool,
    /// How many names lead to the object's fields, with their own.
    depth: u64,
}

/// Reads a whole pattern.
pub(crate) fn branches(source: &str, dialect: Dialect) -> Result<Vec<Branch>, Fault> {
    let mut parser = Parser { reader: Reader::new(source), dialect };
    if parser.reader.next()? != Token::ObjectStart {
        return Err(parser.reader.fault("Filter is not an object"));
    }
    let mut branches = vec![Fields::new()];
    parser.object(&mut branches, Place { path: None, under_or: false, depth: 1 }, 1)?;
    if parser.reader.next()? != Token::End {
        return Err(parser.reader.fault("Unexpected text after the pattern"));
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

struct Parser<'a> {
    reader: Reader<'a>,
    dialect: Dialect,
}

impl Parser<'_> {
    fn is_policy(&self) -> bool {
        matches!(self.dialect, Dialect::MessageAttributes | Dialect::MessageBody)
    }

    fn check(&self, combinations: u64) -> Result<(), Fault> {
        match self.is_policy() && combinations > POLICY_COMBINATIONS {
            true => Err(Fault::nowhere("Filter policy is too complex")),
            false => Ok(()),
        }
    }

    /// Reads the object whose brace was just met. Takes and gives the number of combinations that SNS counts.
    fn object(&mut self, branches: &mut Vec<Fields>, place: Place<'_>, mut combinations: u64) -> Result<u64, Fault> {
        let mut fields = 0;
        while self.reader.next()? == Token::Field {
            fields += 1;
            let name = self.reader.name().to_owned();
            if name == "$or" {
                combinations = self.or(branches, place, combinations)?;
                continue;
            }
            if place.under_or && RESERVED.contains(&name.as_str()) {
                let reason = format!("{name} is Ruler reserved fieldName which cannot be used inside $or.");
                return Err(self.reader.fault(reason));
            }
            let below = place.path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
            match self.reader.next()? {
                Token::ObjectStart if self.dialect == Dialect::MessageAttributes => {
                    let reason = "Filter policy scope MessageAttributes does not support nested filter policy";
                    return Err(Fault::nowhere(reason));
                }
                Token::ObjectStart => {
                    let place = Place { path: Some(&below), depth: place.depth + 1, ..place };
                    combinations = self.object(branches, place, combinations)?;
                }
                Token::ArrayStart => {
                    let (asked, values) = self.entries()?;
                    combinations = combinations.saturating_mul(values * place.depth);
                    self.check(combinations)?;
                    for fields in branches.iter_mut() {
                        fields.insert(below.clone(), asked.clone());
                    }
                }
                _ => return Err(self.reader.fault(format!("\"{name}\" must be an object or an array"))),
            }
        }
        if fields == 0 {
            return Err(self.reader.fault("Empty objects are not allowed"));
        }
        if self.is_policy() && place.path.is_none() && !place.under_or && fields > POLICY_KEYS {
            return Err(Fault::nowhere(format!("Filter policy can not have more than {POLICY_KEYS} keys")));
        }
        Ok(combinations)
    }

    fn or(&mut self, branches: &mut Vec<Fields>, place: Place<'_>, combinations: u64) -> Result<u64, Fault> {
        if self.reader.next()? != Token::ArrayStart {
            return Err(self.reader.fault("It must be an Array followed with $or."));
        }
        let before = std::mem::take(branches);
        let (mut alternatives, mut sum) = (0, 0u64);
        loop {
            match self.reader.next()? {
                Token::ArrayEnd => break,
                Token::ObjectStart => {
                    alternatives += 1;
                    let mut forked = before.clone();
                    let place = Place { under_or: true, ..place };
                    sum = sum.saturating_add(self.object(&mut forked, place, combinations)?);
                    branches.append(&mut forked);
                    if branches.len() > BRANCHES_MAX {
                        return Err(too_many_branches());
                    }
                }
                _ => return Err(self.reader.fault("Only JSON object is allowed in array of $or relationship.")),
            }
        }
        if alternatives < 2 {
            return Err(self.reader.fault("There must have at least 2 Objects in $or relationship."));
        }
        self.check(sum)?;
        Ok(sum)
    }

    /// What a field's array asks, and how many entries it has.
    fn entries(&mut self) -> Result<(Asked, u64), Fault> {
        let reader = &mut self.reader;
        let mut conditions = Vec::new();
        let (mut may_be_absent, mut count) = (false, 0);
        loop {
            let condition = match reader.next()? {
                Token::ArrayEnd => break,
                Token::ObjectStart => match operator::read(reader, self.dialect)? {
                    Entry::Value(condition) => Some(condition),
                    Entry::Absent => None,
                },
                Token::String => Some(Condition::String(canonical(reader.text()?).into())),
                Token::Number => Some(Condition::Number(Number::new(reader.text()?))),
                Token::True => Some(Condition::True),
                Token::False => Some(Condition::False),
                Token::Null => Some(Condition::Null),
                Token::ArrayStart | Token::ObjectEnd | Token::Field | Token::End => {
                    return Err(reader.fault("Match value must be String, number, true, false, or null"));
                }
            };
            count += 1;
            may_be_absent |= condition.is_none();
            conditions.extend(condition);
        }
        if count == 0 {
            return Err(reader.fault("Empty arrays are not allowed"));
        }
        Ok((Asked { conditions: conditions.into(), may_be_absent }, count))
    }
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
