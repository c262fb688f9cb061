//! Answers of the query protocols.
//! Sources: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>,
//! <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>

use super::answer::party;
use super::json::float_text;
use super::query_names::{Dialect, code, flattened_map};
use super::time;
use crate::{ApiError, Call, Kind, NOTHING, Protocol, Schema, ServiceModel, TimeFormat, Value};
use bytes::Bytes;

struct Writer {
    out: String,
    dialect: Dialect,
}

/// The body of a success in the query protocol.
pub(super) fn query_answer(call: &Call, output: &Value) -> Bytes {
    let name = call.operation.name;
    let mut writer = Writer::new(Dialect::of(call.service, Protocol::Query));
    writer.open_with_namespace(&format!("{name}Response"), call.service.xml_namespace);
    let nothing = std::ptr::eq(call.operation.output, &NOTHING);
    let wrapper = match call.operation.result_wrapper {
        Some(wrapper) => Some(wrapper.to_owned()),
        None => (call.service.query_compatible && !nothing).then(|| format!("{name}Result")),
    };
    match wrapper {
        Some(wrapper) => {
            writer.open(&wrapper);
            writer.members(call.operation.output, output);
            writer.close(&wrapper);
        }
        None => writer.members(call.operation.output, output),
    }
    writer.open("ResponseMetadata");
    writer.leaf("RequestId", &call.request_id);
    writer.close("ResponseMetadata");
    writer.close(&format!("{name}Response"));
    writer.finish()
}

/// The body of a success in EC2's protocol.
pub(super) fn ec2_answer(call: &Call, output: &Value) -> Bytes {
    let name = format!("{}Response", call.operation.name);
    let mut writer = Writer::new(Dialect::Ec2);
    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // EC2 answers with a slash behind the namespace of its model.
    let namespace = call.service.xml_namespace.trim_end_matches('/');
    writer.open_with_namespace(&name, &if namespace.is_empty() { String::new() } else { format!("{namespace}/") });
    writer.leaf("requestId", &call.request_id);
    if std::ptr::eq(call.operation.output, &NOTHING) {
        // <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>: no output still says so.
        writer.leaf("return", "true");
    }
    writer.members(call.operation.output, output);
    writer.close(&name);
    writer.finish()
}

/// The body of an error in the query protocol.
pub(super) fn query_error(service: Option<&ServiceModel>, request_id: &str, error: &ApiError) -> Bytes {
    let mut writer = Writer::new(Dialect::Query);
    writer.open_with_namespace("ErrorResponse", service.map_or("", |s| s.xml_namespace));
    writer.open("Error");
    writer.leaf("Type", party(error.model.fault));
    writer.leaf("Code", code(service, error.model));
    writer.leaf("Message", &error.message);
    for (name, value) in &error.extra {
        writer.write(name, None, value);
    }
    writer.close("Error");
    writer.leaf("RequestId", request_id);
    writer.close("ErrorResponse");
    writer.finish()
}

/// The body of an error in EC2's protocol.
pub(super) fn ec2_error(request_id: &str, error: &ApiError) -> Bytes {
    let mut writer = Writer::new(Dialect::Ec2);
    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    for name in ["Response", "Errors", "Error"] {
        writer.open(name);
    }
    writer.leaf("Code", error.model.code);
    writer.leaf("Message", &error.message);
    writer.close("Error");
    writer.close("Errors");
    writer.leaf("RequestID", request_id);
    writer.close("Response");
    writer.finish()
}

impl Writer {
    fn new(dialect: Dialect) -> Writer {
        Writer { out: String::with_capacity(512), dialect }
    }

    fn finish(mut self) -> Bytes {
        self.out.push('\n');
        self.out.into()
    }

    fn open(&mut self, name: &str) {
        self.out.extend(["<", name, ">"]);
    }

    fn open_with_namespace(&mut self, name: &str, namespace: &str) {
        if namespace.is_empty() {
            self.open(name);
        } else {
            self.out.extend(["<", name, " xmlns=\"", namespace, "\">"]);
        }
    }

    fn close(&mut self, name: &str) {
        self.out.extend(["</", name, ">"]);
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, &mut self.out);
        self.close(name);
    }

    /// Writes the members of a structure, without an element around them.
    fn members(&mut self, schema: &Schema, value: &Value) {
        let Value::Struct(found) = value else { return };
        for (name, value) in found {
            match schema.members().iter().find(|m| m.name == *name) {
                Some(member) => self.write(&self.dialect.element(member), Some(member.schema), value),
                None => self.write(name, None, value),
            }
        }
    }

    fn write(&mut self, name: &str, schema: Option<&Schema>, value: &Value) {
        match value {
            Value::Bool(b) => self.leaf(name, if *b { "true" } else { "false" }),
            Value::Int(i) => self.leaf(name, &i.to_string()),
            Value::Float(f) => self.leaf(name, &float_text(*f)),
            Value::Text(text) => self.leaf(name, text),
            Value::Blob(bytes) => self.leaf(name, &base64_simd::STANDARD.encode_to_string(bytes)),
            Value::Time(at) => {
                let format = match schema.map(|s| &s.kind) {
                    Some(Kind::Timestamp(Some(format))) => *format,
                    _ => TimeFormat::Iso8601,
                };
                self.leaf(name, &time::write(*at, format));
            }
            Value::List(items) => self.list(name, schema, items),
            Value::Map(entries) => self.map(name, schema, entries),
            Value::Struct(_) => {
                self.open(name);
                self.members(schema.unwrap_or(&NOTHING), value);
                self.close(name);
            }
        }
    }

    fn list(&mut self, name: &str, schema: Option<&Schema>, items: &[Value]) {
        let member = schema.and_then(Schema::list_member);
        match schema.map_or(Some("member"), |schema| self.dialect.item(schema)) {
            None => items.iter().for_each(|item| self.write(name, member, item)),
            Some(level) => {
                self.open(name);
                items.iter().for_each(|item| self.write(level, member, item));
                self.close(name);
            }
        }
    }

    fn map(&mut self, name: &str, schema: Option<&Schema>, entries: &[(String, Value)]) {
        let member = schema.and_then(Schema::map_value);
        let flattened = schema.is_some_and(flattened_map);
        let (key_name, value_name) = schema.map_or(("key", "value"), |schema| self.dialect.key_and_value(schema, name));
        if !flattened {
            self.open(name);
        }
        let level = if flattened { name } else { "entry" };
        for (key, item) in entries {
            self.open(level);
            self.leaf(key_name, key);
            self.write(value_name, member, item);
            self.close(level);
        }
        if !flattened {
            self.close(name);
        }
    }
}

/// Appends text with what means something in XML escaped. Characters that XML 1.0 cannot carry at all become U+FFFD.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A bare carriage return would be read as a line feed.
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}
