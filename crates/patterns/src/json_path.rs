//! The JSON paths EventBridge takes: `$`, names, indices and wildcards.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use serde_json::Value;
use std::borrow::Cow;

/// Longest path AWS takes:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html>
const PATH_CHARS_MAX: usize = 256;

/// A compiled path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
    quotes: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    Index(usize),
    /// Every element of an array, every value of an object.
    Every,
}

/// Why a text is not a path EventBridge takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JSON path '{path}': {why}")]
pub struct PathError {
    /// The text.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl JsonPath {
    /// Compiles a path such as `$.detail.items[0]['instance-id']`.
    pub fn compile(path: &str) -> Result<JsonPath, PathError> {
        let refuse = |why| PathError { path: path.to_owned(), why };
        if path.chars().count() > PATH_CHARS_MAX {
            return Err(refuse("it is longer than 256 characters"));
        }
        let mut rest = path.strip_prefix('$').ok_or_else(|| refuse("it must start with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).map_err(refuse)?;
            steps.push(step);
            rest = after;
        }
        Ok(JsonPath { steps, quotes: path.contains(['\'', '"']) })
    }

    /// Whether a name is written in quotes between brackets, which the inputs of targets do not allow.
    pub fn has_quoted_name(&self) -> bool {
        self.quotes
    }

    /// What lies at the path. A path with a wildcard gives the array of all it meets.
    pub fn apply<'a>(&self, value: &'a Value) -> Option<Cow<'a, Value>> {
        let mut found = vec![value];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        }
        if self.steps.contains(&Step::Every) {
            return Some(Cow::Owned(Value::Array(found.into_iter().cloned().collect())));
        }
        found.first().map(|value| Cow::Borrowed(*value))
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Step::Name(name), Value::Object(fields)) => fields.get(&**name).into_iter().collect(),
            (Step::Index(index), Value::Array(elements)) => elements.get(*index).into_iter().collect(),
            (Step::Every, Value::Array(elements)) => elements.iter().collect(),
            (Step::Every, Value::Object(fields)) => fields.values().collect(),
            _ => Vec::new(),
        }
    }
}

fn step(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(named) = rest.strip_prefix('.') {
        if named.starts_with('.') {
            return Err("descent with '..' is not supported");
        }
        let len = named.find(['.', '[']).unwrap_or(named.len());
        let (name, after) = named.split_at(len);
        return match name {
            "" => Err("a name is missing after '.'"),
            "*" => Ok((Step::Every, after)),
            _ if name.chars().any(|c| c.is_whitespace() || c.is_control() || "]()?*'\",<>".contains(c)) => {
                Err("a name in dot notation holds letters, digits, '-', '_' and '/'")
            }
            _ => Ok((Step::Name(name.into()), after)),
        };
    }
    let inner = rest.strip_prefix('[').ok_or("a step starts with '.' or '['")?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, after) = quoted.split_once(quote).ok_or("a quoted name is not closed")?;
            let after = after.strip_prefix(']').ok_or("']' is missing")?;
            return Ok((Step::Name(name.into()), after));
        }
    }
    let (index, after) = inner.split_once(']').ok_or("']' is missing")?;
    if index == "*" {
        return Ok((Step::Every, after));
    }
    if index.is_empty() || !index.bytes().all(|b| b.is_ascii_digit()) {
        return Err("only indices, quoted names and '*' are supported between brackets");
    }
    Ok((Step::Index(index.parse().map_err(|_| "the index is too large")?), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_they_name() {
        let event = json!({
            "resources": ["arn:1", "arn:2"],
            "detail": {"instance-id": "i-1", "a/b": 1, "a b": 2, "list": [{"x": 1}, {"y": 2}, {"x": null}], "": 7}
        });
        for (path, wanted) in [
            ("$", Some(event.clone())),
            ("$.resources[0]", Some(json!("arn:1"))),
            ("$.resources[2]", None),
            ("$.detail.instance-id", Some(json!("i-1"))),
            ("$.detail['instance-id']", Some(json!("i-1"))),
            ("$['detail'][\"instance-id\"]", Some(json!("i-1"))),
            ("$.detail.a/b", Some(json!(1))),
            ("$.detail['a b']", Some(json!(2))),
            ("$.detail['']", Some(json!(7))),
            ("$.detail.list[0].x", Some(json!(1))),
            ("$.detail.list[*].x", Some(json!([1, null]))),
            ("$.detail.list[*].z", Some(json!([]))),
            ("$.resources[*]", Some(json!(["arn:1", "arn:2"]))),
            ("$.resources.*", Some(json!(["arn:1", "arn:2"]))),
            ("$.nothing.below", None),
            ("$.resources.name", None),
            ("$.detail[0]", None),
        ] {
            let compiled = JsonPath::compile(path).expect(path);
            assert_eq!(compiled.apply(&event).map(Cow::into_owned), wanted, "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "detail",
            "$detail",
            "$.",
            "$..x",
            "$.a..b",
            "$.a.",
            "$[",
            "$[]",
            "$[-1]",
            "$[0",
            "$['a'",
            "$['a",
            "$[?(@.x)]",
            "$.a[0,1]",
            "$.a[0:1]",
            "$.a b",
            "$.a[99999999999999999999]",
            "$.length()",
        ] {
            assert!(JsonPath::compile(path).is_err(), "{path}");
        }
        let long = format!("$.{}", "a".repeat(255));
        assert_eq!(JsonPath::compile(&long).expect_err("too long").why, "it is longer than 256 characters");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\$[.\\[\\]'\"*a0é -]{0,12}") {
            if let Ok(path) = JsonPath::compile(&text) {
                path.apply(&json!({"a": [{"a": 0}]}));
            }
        }
    }
}
