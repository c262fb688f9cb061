//! Conditions: what must hold of a request besides who, what and where.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>

use crate::PolicyError;
use crate::kind::Kind;
use crate::operator::Operator;
use crate::request::Context;
use crate::value::truth;
use serde_json::Value;

/// One operator on one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Whether the key must be absent.
    Absent(Vec<bool>),
    Compare {
        over: Over,
        optional: bool,
        operator: Operator,
    },
}

/// Which of a request's values must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The one that there is.
    One,
    All,
    Any,
}

/// All conditions of a statement.
pub(crate) fn parse(block: Option<&Value>, kind: Kind, variables: bool) -> Result<Vec<Condition>, PolicyError> {
    let Some(block) = block else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (name, keys) in block.as_object().ok_or(PolicyError::Condition)? {
        for (key, values) in keys.as_object().ok_or(PolicyError::Condition)? {
            kind.check_key(key)?;
            all.push(Condition { key: key.to_ascii_lowercase(), test: test(name, &texts(values)?, variables)? });
        }
    }
    Ok(all)
}

fn texts(values: &Value) -> Result<Vec<String>, PolicyError> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(PolicyError::Condition),
    };
    match values {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn test(name: &str, values: &[String], variables: bool) -> Result<Test, PolicyError> {
    if name == "Null" {
        let read = |value: &String| {
            let wrong = || PolicyError::Value { operator: name.to_owned(), value: value.clone() };
            truth(value).ok_or_else(wrong)
        };
        return Ok(Test::Absent(values.iter().map(read).collect::<Result<_, _>>()?));
    }
    let (over, bare) = match name.split_once(':') {
        Some(("ForAllValues", bare)) => (Over::All, bare),
        Some(("ForAnyValue", bare)) => (Over::Any, bare),
        Some(_) => return Err(PolicyError::Operator(name.to_owned())),
        None => (Over::One, name),
    };
    let (bare, optional) = bare.strip_suffix("IfExists").map_or((bare, false), |bare| (bare, true));
    let operator = Operator::parse(bare, values, variables).map_err(|error| match error {
        PolicyError::Operator(_) => PolicyError::Operator(name.to_owned()),
        other => other,
    })?;
    Ok(Test::Compare { over, optional, operator })
}

impl Condition {
    /// Whether it holds; nothing where that hangs on a variable without a value.
    pub(crate) fn holds(&self, context: &Context) -> Option<bool> {
        let actual = context.get(&self.key);
        let (over, optional, operator) = match &self.test {
            Test::Absent(wanted) => return Some(wanted.contains(&actual.is_empty())),
            Test::Compare { over, optional, operator } => (*over, *optional, operator),
        };
        if actual.is_empty() {
            return Some(optional || over == Over::All || (over == Over::One && operator.negated));
        }
        let mut open = false;
        // Of several values, one is enough without a word on how many: all must be other than what is refused.
        let all = over == Over::All || (over == Over::One && operator.negated);
        for value in actual {
            match operator.fits(value, context).map(|fits| fits != operator.negated) {
                Some(holds) if holds != all => return Some(holds),
                Some(_) => {}
                None => open = true,
            }
        }
        (!open).then_some(all)
    }
}
