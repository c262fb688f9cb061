use bytes::Bytes;
use names::Timestamp;

/// A decoded shape before it becomes a typed structure, or after: what codecs, validation and audit work on.
/// An absent member is absent; there is no null.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Bytes),
    /// A point in time.
    Time(Timestamp),
    /// A list.
    List(Vec<Value>),
    /// A map, in the order it came.
    Map(Vec<(String, Value)>),
    /// A structure: member names as in the model.
    Struct(Vec<(&'static str, Value)>),
}

impl Value {
    /// A structure's member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => members.iter().find(|(n, _)| *n == name).map(|(_, v)| v),
            _ => None,
        }
    }
    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}
