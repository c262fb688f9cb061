//! What a request to an API destination gets beside its body: path values, headers and query parameters of the target,
//! some of which are taken out of the event. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_HttpParameters.html>

use crate::limits::INPUT_BYTES;
use crate::path::{JsonPath, PathError};
use crate::state::HttpParameters;
use crate::transform::TooLarge;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;

/// A target's parameters, compiled.
#[derive(Debug)]
pub(crate) struct LiveHttp {
    path: Vec<Text>,
    headers: BTreeMap<String, Text>,
    query: BTreeMap<String, Text>,
}

/// A constant, or a part of the event.
#[derive(Debug)]
enum Text {
    Constant(String),
    Path(JsonPath),
}

/// The parameters for one event, as envelopes carry them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filled {
    #[serde(default)]
    pub(crate) path: Vec<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
}

impl LiveHttp {
    pub(crate) fn compile(kept: &HttpParameters) -> Result<LiveHttp, PathError> {
        let named = |all: &Option<BTreeMap<String, String>>| {
            let all = all.iter().flatten();
            all.map(|(name, text)| Ok((name.clone(), Text::compile(text)?))).collect::<Result<_, PathError>>()
        };
        Ok(LiveHttp {
            path: kept.path.iter().flatten().map(|text| Text::compile(text)).collect::<Result<_, _>>()?,
            headers: named(&kept.headers)?,
            query: named(&kept.query)?,
        })
    }

    /// The parameters for an event, which is taken apart only if one of them asks for it. They may be many, and each as large
    /// as the event: it stops where they are too large together.
    pub(crate) fn fill<'a, E: From<TooLarge>>(&self, event: impl Fn() -> Result<&'a Value, E>) -> Result<Filled, E> {
        let left = Cell::new(INPUT_BYTES);
        let fill = |text: &Text| -> Result<String, E> {
            let filled = text.fill(&event)?;
            left.set(left.get().checked_sub(filled.len()).ok_or(TooLarge)?);
            Ok(filled)
        };
        let named = |all: &BTreeMap<String, Text>| {
            all.iter().map(|(name, text)| Ok((name.clone(), fill(text)?))).collect::<Result<_, E>>()
        };
        Ok(Filled {
            path: self.path.iter().map(&fill).collect::<Result<_, E>>()?,
            headers: named(&self.headers)?,
            query: named(&self.query)?,
        })
    }
}

impl Text {
    fn compile(text: &str) -> Result<Text, PathError> {
        Ok(match text.starts_with("$.") || text == "$" || text.starts_with("$[") {
            true => Text::Path(JsonPath::compile(text)?),
            false => Text::Constant(text.to_owned()),
        })
    }

    /// A path that leads nowhere gives an empty text.
    fn fill<'a, E>(&self, event: impl Fn() -> Result<&'a Value, E>) -> Result<String, E> {
        Ok(match self {
            Text::Constant(text) => text.clone(),
            Text::Path(path) => match path.apply(event()?).as_deref() {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            },
        })
    }
}

impl Filled {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts are JSON")
    }

    pub(crate) fn read(text: Option<&String>) -> Filled {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_of_the_event_stand_where_a_path_stood() {
        let kept = HttpParameters {
            path: Some(vec!["$.detail.id".into(), "fixed".into()]),
            headers: Some([("X-Id".to_owned(), "$.detail.n".to_owned())].into()),
            query: Some([("q".to_owned(), "$.none".to_owned()), ("price".to_owned(), "$5".to_owned())].into()),
        };
        let event = json!({"detail": {"id": "a b", "n": 7}});
        let filled = LiveHttp::compile(&kept).unwrap().fill(|| Ok::<_, TooLarge>(&event)).unwrap();
        assert_eq!(filled.path, ["a b", "fixed"]);
        assert_eq!(filled.headers["X-Id"], "7");
        assert_eq!((filled.query["q"].as_str(), filled.query["price"].as_str()), ("", "$5"));
        assert_eq!(Filled::read(Some(&filled.text())), filled);
        let large = json!({"detail": {"id": "x".repeat(INPUT_BYTES / 3)}});
        let many = HttpParameters { path: Some(vec!["$.detail.id".into(); 4]), ..Default::default() };
        assert_eq!(LiveHttp::compile(&many).unwrap().fill(|| Ok(&large)), Err(TooLarge));
        let bad = HttpParameters { path: Some(vec!["$.a..b".into()]), ..Default::default() };
        assert!(LiveHttp::compile(&bad).is_err());
    }
}
