//! Values as plain JSON for people and auditors: no secrets, readable times.

use super::json::float_text;
use super::time;
use crate::{Schema, TimeFormat, Value};
use serde_json::{Map, Number, Value as Json};

/// What an auditor reads in place of a secret.
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// How values are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether members that the model marks as sensitive are hidden.
    pub redact: bool,
    /// Whether member names start with a lower-case letter, as CloudTrail writes them; as in the model otherwise.
    pub lower_first: bool,
}

/// A value as JSON: blobs as base64, times as ISO text, names as in the model or as the style asks.
pub fn to_json(schema: &Schema, value: &Value, style: Style) -> Json {
    show(Some(schema), value, style)
}

fn show(schema: Option<&Schema>, value: &Value, style: Style) -> Json {
    if style.redact && schema.is_some_and(|s| s.sensitive) {
        return Json::String(HIDDEN.to_owned());
    }
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) => Json::Number((*i).into()),
        Value::Float(f) => Number::from_f64(*f).map_or_else(|| Json::String(float_text(*f)), Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::Blob(bytes) => Json::String(base64_simd::STANDARD.encode_to_string(bytes)),
        Value::Time(at) => Json::String(time::write(*at, TimeFormat::Iso8601)),
        Value::List(items) => {
            let member = schema.and_then(Schema::list_member);
            items.iter().map(|item| show(member, item, style)).collect()
        }
        Value::Map(entries) => {
            let member = schema.and_then(Schema::map_value);
            Json::Object(entries.iter().map(|(key, item)| (key.clone(), show(member, item, style))).collect())
        }
        Value::Struct(found) => {
            let members = schema.map_or(&[][..], Schema::members);
            let entries = found.iter().map(|(name, item)| {
                let member = members.iter().find(|m| m.name == *name).map(|m| m.schema);
                (if style.lower_first { lower_first(name) } else { (*name).to_owned() }, show(member, item, style))
            });
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// A name with its first letter in lower case, as AWS's validation messages and CloudTrail write member names.
pub(crate) fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
