//! What a request to an API destination gets beside its body. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeTargetHttpParameters.html>

use super::Unfit;
use crate::limits::PAYLOAD;
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
    pub(super) fn fill(&self, event: &Value) -> Result<String, Unfit> {
        let mut left = PAYLOAD;
        let mut text = |text: &Text| {
            let text = text.fill(event).unwrap_or_default();
            left = left.checked_sub(text.len()).ok_or_else(too_long)?;
            Ok(text)
        };
        let path = self.path.iter().map(&mut text).collect::<Result<Vec<String>, Unfit>>()?;
        let mut named = |all: &BTreeMap<String, Text>| {
            let all = all.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
            all.collect::<Result<BTreeMap<String, String>, Unfit>>()
        };
        let (headers, query) = (named(&self.headers)?, named(&self.query)?);
        Ok(json!({"path": path, "headers": headers, "query": query}).to_string())
    }
}

fn too_long() -> Unfit {
    Unfit(format!("path, headers and query have more than {PAYLOAD} bytes"))
}
