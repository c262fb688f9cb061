//! How values stand in a JSON text with placeholders, in strings and out of them.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use serde_json::Value;

/// Whether a text stops inside a JSON string, and there behind a backslash that escapes what comes next.
pub fn ends_in_string(text: &str) -> (bool, bool) {
    let (mut inside, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    (inside, escaped)
}

/// A value as the text of a JSON string that already has its quotes. AWS drops the quotes of objects and arrays there.
pub fn inside_string(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::String(_) => text[1..text.len() - 1].to_owned(),
        Value::Object(_) | Value::Array(_) => without_quotes(&text),
        Value::Null | Value::Bool(_) | Value::Number(_) => text,
    }
}

/// A JSON text without the quotes of its strings.
fn without_quotes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {}
            '\\' => match chars.next() {
                Some('"') | None => {}
                Some(escaped) => kept.extend(['\\', escaped]),
            },
            _ => kept.push(c),
        }
    }
    kept
}
