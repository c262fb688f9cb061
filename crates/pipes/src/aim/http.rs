//! What a request to an API destination gets beside its body. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeTargetHttpParameters.html>

use crate::settings::Http;
use crate::text::Text;
use patterns::PathError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Path values, headers and query parameters, compiled.
pub(super) struct Request {
    path: Vec<Text>,
    headers: BTreeMap<String, Text>,
    query: BTreeMap<String, Text>,
}

impl Request {
    pub(super) fn compile(http: &Http) -> Result<Request, PathError> {
        let named = |all: &Option<BTreeMap<String, String>>| {
            let all = all.iter().flatten();
            all.map(|(name, text)| Ok((name.clone(), Text::compile(text)?))).collect::<Result<_, PathError>>()
        };
        Ok(Request {
            path: http.path.iter().flatten().map(|text| Text::compile(text)).collect::<Result<_, _>>()?,
            headers: named(&http.headers)?,
            query: named(&http.query)?,
        })
    }

    /// As envelopes carry it; a path that leads nowhere gives an empty text.
    pub(super) fn fill(&self, event: &Value) -> String {
        let text = |text: &Text| text.fill(event).unwrap_or_default();
        let named = |all: &BTreeMap<String, Text>| {
            all.iter().map(|(name, value)| (name.clone(), text(value))).collect::<BTreeMap<_, _>>()
        };
        let path: Vec<String> = self.path.iter().map(text).collect();
        json!({"path": path, "headers": named(&self.headers), "query": named(&self.query)}).to_string()
    }
}
