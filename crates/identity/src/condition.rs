//! The conditions of trust policies: text operators over the few keys that AssumeRole knows.
//! An operator or key that is not known here does not hold, so that it can only close a door.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use crate::document::OneOrMany;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Operator to key to values.
pub(crate) type Conditions = BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>;

/// The grammar lets values be text, numbers or truth values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Scalar::Text(text) => text.clone(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Bool(truth) => truth.to_string(),
        }
    }
}

/// Whether all conditions hold; the context's keys are in lower case.
pub(crate) fn hold(conditions: &Conditions, context: &[(&str, String)]) -> bool {
    conditions.iter().all(|(operator, keys)| {
        keys.iter().all(|(key, values)| {
            let key = key.to_ascii_lowercase();
            let actual = context.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
            holds(operator, actual, values.as_slice())
        })
    })
}

fn holds(operator: &str, actual: Option<&str>, values: &[Scalar]) -> bool {
    let (operator, optional) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let any = |fits: fn(&str, &str) -> bool, actual: &str| values.iter().any(|value| fits(&value.text(), actual));
    match (operator, actual) {
        ("StringEquals" | "StringEqualsIgnoreCase" | "StringLike" | "ArnEquals" | "ArnLike", None) => optional,
        ("StringNotEquals" | "StringNotLike" | "ArnNotEquals" | "ArnNotLike", None) => true,
        ("StringEquals", Some(actual)) => any(|value, actual| value == actual, actual),
        ("StringEqualsIgnoreCase", Some(actual)) => any(str::eq_ignore_ascii_case, actual),
        ("StringLike" | "ArnEquals" | "ArnLike", Some(actual)) => any(like, actual),
        ("StringNotEquals", Some(actual)) => !any(|value, actual| value == actual, actual),
        ("StringNotLike" | "ArnNotEquals" | "ArnNotLike", Some(actual)) => !any(like, actual),
        _ => false,
    }
}

/// `*` stands for any text, `?` for one character. Linear: it backtracks to the latest star only.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abab", true),
            ("sts:Assume*", "sts:AssumeRole", true),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn unknown_operators_and_absent_keys_do_not_hold() {
        let of = |text: &str| serde_json::from_str::<Conditions>(text).unwrap();
        let context = [("sts:externalid", "x1".to_owned())];
        assert!(hold(&of(r#"{"StringEquals":{"sts:ExternalId":["x0","x1"]}}"#), &context));
        assert!(!hold(&of(r#"{"StringEquals":{"sts:ExternalId":"x2"}}"#), &context));
        assert!(!hold(&of(r#"{"StringEquals":{"aws:PrincipalOrgID":"o"}}"#), &context));
        assert!(!hold(&of(r#"{"Bool":{"aws:MultiFactorAuthPresent":true}}"#), &context));
        assert!(hold(&of(r#"{"StringEqualsIfExists":{"aws:SourceAccount":"1"}}"#), &context));
    }
}
