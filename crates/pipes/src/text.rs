//! A parameter that is a constant or a part of the event. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html>

use patterns::{JsonPath, PathError};
use serde_json::Value;

/// One, compiled.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Constant(String),
    Path(JsonPath),
}

impl Text {
    pub(crate) fn compile(text: &str) -> Result<Text, PathError> {
        Ok(match text.starts_with("$.") || text == "$" || text.starts_with("$[") {
            true => Text::Path(JsonPath::compile(text)?),
            false => Text::Constant(text.to_owned()),
        })
    }

    /// The text for an event; none where its path leads nowhere.
    pub(crate) fn fill(&self, event: &Value) -> Option<String> {
        match self {
            Text::Constant(text) => Some(text.clone()),
            Text::Path(path) => match path.apply(event)?.as_ref() {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            },
        }
    }
}
