//! Message attributes: what they may be, and the three forms they travel in.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>

use crate::limits::ATTRIBUTE_NAME_LENGTH;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A message's attributes by name.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

/// One attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    /// `String`, `String.Array`, `Number` or `Binary`.
    pub(crate) data_type: String,
    /// Its value.
    pub(crate) value: AttributeValue,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    /// Of every type but `Binary`.
    Text(String),
    /// Of the type `Binary`.
    Binary(Bytes),
}

/// What an attribute may not be, in SNS's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("The message attribute '{name}' {why}")]
pub(crate) struct AttributeError {
    pub(crate) name: String,
    pub(crate) why: &'static str,
}

/// An attribute inside an envelope.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Carried {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl Attribute {
    /// What counts against the size limit, beside the name.
    pub(crate) fn size(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        self.data_type.len() + value
    }

    /// The value where it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }

    fn encoded(&self) -> String {
        match &self.value {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
        }
    }

    /// Refuses what SNS refuses.
    pub(crate) fn check(&self, name: &str) -> Result<(), AttributeError> {
        let refuse = |why| Err(AttributeError { name: name.to_owned(), why });
        let fine = (1..=ATTRIBUTE_NAME_LENGTH).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..");
        if !fine {
            return refuse("has an invalid name.");
        }
        let kind = self.data_type.split('.').next().unwrap_or_default();
        if self.data_type.len() > ATTRIBUTE_NAME_LENGTH || !matches!(kind, "String" | "Number" | "Binary") {
            return refuse(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
            );
        }
        match (&self.value, kind) {
            (AttributeValue::Text(text), _) if text.is_empty() => {
                refuse("must contain non-empty message attribute value.")
            }
            (AttributeValue::Binary(bytes), _) if bytes.is_empty() => {
                refuse("must contain non-empty message attribute value.")
            }
            (AttributeValue::Text(text), "Number") if text.parse::<f64>().map_or(true, |n| !n.is_finite()) => {
                refuse("has a value that is not a number.")
            }
            (AttributeValue::Text(text), "String") if self.data_type == "String.Array" => {
                match serde_json::from_str::<Value>(text) {
                    Ok(Value::Array(_)) => Ok(()),
                    _ => refuse("has a value that is not a JSON array."),
                }
            }
            (AttributeValue::Text(_), "String" | "Number") | (AttributeValue::Binary(_), "Binary") => Ok(()),
            _ => refuse("has a value that does not fit its type."),
        }
    }
}

/// As notifications show them: `{"name":{"Type":"String","Value":"..."}}`.
pub(crate) fn shown(attributes: &Attributes) -> Map<String, Value> {
    let show = |a: &Attribute| json!({ "Type": a.data_type, "Value": a.encoded() });
    attributes.iter().map(|(name, a)| (name.clone(), show(a))).collect()
}

/// As envelopes carry them: `{"name":{"DataType":"String","StringValue":"..."}}`.
pub(crate) fn carried(attributes: &Attributes) -> String {
    let all: BTreeMap<&String, Carried> = attributes
        .iter()
        .map(|(name, a)| {
            let (string_value, binary_value) = match &a.value {
                AttributeValue::Text(text) => (Some(text.clone()), None),
                AttributeValue::Binary(_) => (None, Some(a.encoded())),
            };
            (name, Carried { data_type: a.data_type.clone(), string_value, binary_value })
        })
        .collect();
    serde_json::to_string(&all).expect("texts are always JSON")
}

/// Reads what [`carried`] wrote; what is not of that form is said by name.
pub(crate) fn read(carried: &str) -> Result<Attributes, String> {
    let all: BTreeMap<String, Carried> = serde_json::from_str(carried).map_err(|error| error.to_string())?;
    all.into_iter()
        .map(|(name, c)| {
            let value = match (c.string_value, c.binary_value) {
                (Some(text), None) => AttributeValue::Text(text),
                (None, Some(text)) => AttributeValue::Binary(STANDARD.decode(text).map_err(|e| e.to_string())?.into()),
                _ => return Err(format!("{name} must have one value")),
            };
            Ok((name, Attribute { data_type: c.data_type, value }))
        })
        .collect()
}

/// What a filter policy sees of them: texts, numbers and lists, not their descriptions.
pub(crate) fn for_filter(attributes: &Attributes) -> Value {
    let see = |a: &Attribute| match (&a.value, a.data_type.as_str()) {
        (AttributeValue::Text(text), "Number") => serde_json::from_str(text).ok(),
        (AttributeValue::Text(text), "String.Array") => serde_json::from_str(text).ok(),
        (AttributeValue::Text(text), _) => Some(Value::String(text.clone())),
        // Filter policies do not see binary attributes.
        (AttributeValue::Binary(_), _) => None,
    };
    attributes.iter().filter_map(|(name, a)| Some((name.clone(), see(a)?))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn text(data_type: &str, value: &str) -> Attribute {
        Attribute { data_type: data_type.into(), value: AttributeValue::Text(value.into()) }
    }

    fn some() -> Attributes {
        let binary =
            Attribute { data_type: "Binary".into(), value: AttributeValue::Binary(Bytes::from_static(&[1, 2])) };
        [
            ("array".to_owned(), text("String.Array", r#"["a",1]"#)),
            ("binary".to_owned(), binary),
            ("number".to_owned(), text("Number", "1.5")),
            ("text".to_owned(), text("String", "x")),
        ]
        .into()
    }

    #[test]
    fn attributes_travel_in_three_forms() {
        assert_eq!(read(&carried(&some())), Ok(some()));
        assert_eq!(shown(&some())["binary"], json!({ "Type": "Binary", "Value": "AQI=" }));
        assert_eq!(for_filter(&some()), json!({ "array": ["a", 1], "number": 1.5, "text": "x" }));
    }

    #[test]
    fn what_sns_refuses_is_refused() {
        for (name, attribute) in some() {
            assert_eq!(attribute.check(&name), Ok(()));
        }
        assert_eq!(text("String", "x").check("AWS.SNS.SMS.SenderID"), Ok(()));
        for (name, attribute) in [
            (".a", text("String", "x")),
            ("a b", text("String", "x")),
            ("a", text("Text", "x")),
            ("a", text("String", "")),
            ("a", text("Number", "x")),
            ("a", text("String.Array", "x")),
            ("a", text("Binary", "x")),
        ] {
            assert!(attribute.check(name).is_err(), "{name} {attribute:?}");
        }
    }
}
