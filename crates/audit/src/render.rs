//! Inputs and outputs as CloudTrail writes them: lower-camel names, secrets hidden.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};
use wire::{Kind, Member, Schema, Value};

/// What stands where a secret was.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Credentials that the models do not mark as sensitive.
const CREDENTIALS: &[&str] = &["SessionToken"];

/// How one kind of service writes structures.
pub(crate) trait Style {
    /// A member's name.
    fn name(member: &Member) -> String;
    /// A list.
    fn list(items: Vec<Json>) -> Json;
}

/// All services but EC2.
pub(crate) struct Camel;

impl Style for Camel {
    fn name(member: &Member) -> String {
        camel(member.name)
    }
    fn list(items: Vec<Json>) -> Json {
        Json::Array(items)
    }
}

/// `StreamName` becomes `streamName`; a name all in capitals becomes lower case.
pub(crate) fn camel(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_uppercase()) {
        return name.to_ascii_lowercase();
    }
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// A value under its schema.
pub(crate) fn render<S: Style>(schema: &Schema, value: &Value) -> Json {
    if schema.sensitive {
        return Json::from(HIDDEN);
    }
    match (value, &schema.kind) {
        (Value::Struct(members), _) => {
            let mut out = Map::new();
            for (name, value) in members {
                let Some(member) = schema.members().iter().find(|member| member.name == *name) else { continue };
                let hidden = CREDENTIALS.contains(name);
                let json = if hidden { Json::from(HIDDEN) } else { render::<S>(member.schema, value) };
                out.insert(S::name(member), json);
            }
            Json::Object(out)
        }
        (Value::List(items), Kind::List { member, .. }) => {
            S::list(items.iter().map(|item| render::<S>(member, item)).collect())
        }
        (Value::Map(items), Kind::Map { key, value, .. }) => {
            // Where the model hides names too (a function's environment), nothing of the map is shown.
            if key.sensitive || value.sensitive {
                return Json::from(HIDDEN);
            }
            Json::Object(items.iter().map(|(name, item)| (name.clone(), render::<S>(value, item))).collect())
        }
        (value, _) => scalar(value),
    }
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::Bool(truth) => Json::from(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Blob(bytes) => Json::from(STANDARD.encode(bytes)),
        Value::Time(at) => Json::from(at.iso_millis()),
        // A list, map or structure where the schema has none cannot come out of a codec; nothing of it is shown.
        Value::List(_) | Value::Map(_) | Value::Struct(_) => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{FromValue, IntoValue, Operation};

    #[test]
    fn names_are_lower_camel() {
        for (name, expected) in [("StreamName", "streamName"), ("StreamARN", "streamARN"), ("ARN", "arn"), ("", "")] {
            assert_eq!(camel(name), expected);
        }
    }

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let credentials = shapes::sts::Credentials {
            access_key_id: "ASIA1".into(),
            secret_access_key: "hush".into(),
            session_token: "hush".into(),
            ..Default::default()
        };
        let answer = shapes::sts::AssumeRoleResponse { credentials: Some(credentials), ..Default::default() };
        let value = answer.into_value().unwrap();
        let json = render::<Camel>(shapes::sts::AssumeRoleOp::MODEL.output, &value);
        assert_eq!(json["credentials"]["accessKeyId"], "ASIA1");
        assert!(!json.to_string().contains("hush"), "{json}");
    }

    #[test]
    fn a_functions_environment_and_code_are_hidden() {
        let value = Value::Struct(vec![
            ("FunctionName", Value::Text("f".into())),
            ("Role", Value::Text("r".into())),
            ("Code", Value::Struct(vec![("ZipFile", Value::Blob("hush".into()))])),
            (
                "Environment",
                Value::Struct(vec![("Variables", Value::Map(vec![("hush".into(), Value::Text("hush".into()))]))]),
            ),
        ]);
        assert!(shapes::lambda::CreateFunctionRequest::from_value(value.clone()).is_ok());
        let json = render::<Camel>(shapes::lambda::CreateFunctionOp::MODEL.input, &value);
        assert_eq!(json["functionName"], "f");
        assert!(!json.to_string().contains("hush") && !json.to_string().contains("aHVza"), "{json}");
    }
}
