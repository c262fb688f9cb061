//! How values stand in a JSON text with placeholders, in strings and out of them.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use serde_json::Value;

/// What a template becomes, piece by piece; it never has more than so many bytes, however often a value stands in it.
#[derive(Debug)]
pub struct Filling {
    text: String,
    most: usize,
}

/// Why a template cannot be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the InputTemplate makes has more than {0} bytes")]
pub struct TooLong(pub usize);

impl Filling {
    /// Nothing yet, and at most `most` bytes.
    pub fn new(most: usize) -> Filling {
        Filling { text: String::new(), most }
    }

    /// Adds a text as it is.
    pub fn text(&mut self, text: &str) -> Result<(), TooLong> {
        if text.len() > self.most - self.text.len() {
            return Err(TooLong(self.most));
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Adds a value as JSON, or as a part of a JSON string that already has its quotes.
    pub fn value(&mut self, value: &Value, in_string: bool) -> Result<(), TooLong> {
        self.text(&if in_string { inside_string(value) } else { value.to_string() })
    }

    /// What it became.
    pub fn done(self) -> String {
        self.text
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_filling_stops_at_its_limit() {
        let mut filling = Filling::new(8);
        assert_eq!((filling.text("ab"), filling.value(&json!({"a": 1}), true)), (Ok(()), Ok(())));
        assert_eq!(filling.value(&json!("x"), false), Err(TooLong(8)), "two bytes too many");
        assert_eq!(filling.text("c"), Ok(()), "just as many as it may have");
        assert_eq!(filling.text("d"), Err(TooLong(8)));
        assert_eq!(filling.done(), "ab{a:1}c");
    }
}
