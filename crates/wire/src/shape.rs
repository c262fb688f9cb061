use crate::{OperationModel, Schema, Value};
use bytes::Bytes;
use names::Timestamp;
use std::collections::BTreeMap;

/// A value that does not fit its shape. Validation finds the same earlier, with AWS's words, so this is a last resort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Becomes a typed thing out of a [`Value`].
pub trait FromValue: Sized {
    /// Converts.
    fn from_value(value: Value) -> Result<Self, Malformed>;
    /// What an absent member becomes: an error for required ones.
    fn absent(name: &'static str) -> Result<Self, Malformed> {
        Err(Malformed(format!("{name} is missing")))
    }
}

/// Becomes a [`Value`].
pub trait IntoValue {
    /// Converts; `None` for an absent member.
    fn into_value(self) -> Option<Value>;
}

/// A structure of a service's model.
pub trait Shape: FromValue + IntoValue + Send + Sync + 'static {
    /// Its schema.
    const SCHEMA: &'static Schema;
}

/// An operation that the house serves: its model and its types.
pub trait Operation: Send + Sync + 'static {
    /// What it takes.
    type Input: Shape;
    /// What it gives.
    type Output: Shape;
    /// Its model.
    const MODEL: &'static OperationModel;
}

fn wrong<T>(expected: &str, got: &Value) -> Result<T, Malformed> {
    let kind = match got {
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Text(_) => "a string",
        Value::Blob(_) => "a blob",
        Value::Time(_) => "a timestamp",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Struct(_) => "a structure",
    };
    Err(Malformed(format!("expected {expected}, got {kind}")))
}

macro_rules! plain {
    ($type:ty, $expected:literal, $($pattern:pat => $out:expr),+ ; $self_:ident => $into:expr) => {
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, Malformed> {
                match value {
                    $($pattern => $out,)+
                    #[allow(unreachable_patterns)]
                    other => wrong($expected, &other),
                }
            }
        }
        impl IntoValue for $type {
            fn into_value($self_) -> Option<Value> { Some($into) }
        }
    };
}

plain!(bool, "a boolean", Value::Bool(b) => Ok(b); self => Value::Bool(self));
plain!(i64, "an integer", Value::Int(i) => Ok(i); self => Value::Int(self));
plain!(i32, "an integer", Value::Int(i) => i32::try_from(i).map_err(|_| Malformed(format!("{i} is out of range")));
    self => Value::Int(i64::from(self)));
plain!(f64, "a number", Value::Float(f) => Ok(f), Value::Int(i) => Ok(i as f64); self => Value::Float(self));
plain!(f32, "a number", Value::Float(f) => Ok(f as f32), Value::Int(i) => Ok(i as f32); self => Value::Float(f64::from(self)));
plain!(String, "a string", Value::Text(t) => Ok(t); self => Value::Text(self));
plain!(Bytes, "a blob", Value::Blob(b) => Ok(b); self => Value::Blob(self));
plain!(Timestamp, "a timestamp", Value::Time(t) => Ok(t); self => Value::Time(self));

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Malformed> {
        T::from_value(value).map(Some)
    }
    fn absent(_: &'static str) -> Result<Self, Malformed> {
        Ok(None)
    }
}
impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Option<Value> {
        self.and_then(T::into_value)
    }
}
impl<T: FromValue> FromValue for Box<T> {
    fn from_value(value: Value) -> Result<Self, Malformed> {
        T::from_value(value).map(Box::new)
    }
}
impl<T: IntoValue> IntoValue for Box<T> {
    fn into_value(self) -> Option<Value> {
        (*self).into_value()
    }
}
impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, Malformed> {
        match value {
            Value::List(items) => items.into_iter().map(T::from_value).collect(),
            other => wrong("a list", &other),
        }
    }
}
impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Option<Value> {
        Some(Value::List(self.into_iter().filter_map(T::into_value).collect()))
    }
}
impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<Self, Malformed> {
        match value {
            Value::Map(items) => items.into_iter().map(|(k, v)| Ok((k, T::from_value(v)?))).collect(),
            other => wrong("a map", &other),
        }
    }
}
impl<T: IntoValue> IntoValue for BTreeMap<String, T> {
    fn into_value(self) -> Option<Value> {
        Some(Value::Map(self.into_iter().filter_map(|(k, v)| Some((k, v.into_value()?))).collect()))
    }
}

/// Declares a structure with its conversions: what the generated code consists of.
#[macro_export]
macro_rules! shape {
    ($(#[$attr:meta])* $name:ident : $schema:path { $($field:ident $wire:literal : $type:ty),* $(,)? }) => {
        $(#[$attr])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $(#[doc = concat!("`", $wire, "`")] pub $field: $type,)*
        }
        impl $crate::FromValue for $name {
            #[allow(unused_mut, unused_variables, clippy::never_loop)]
            fn from_value(value: $crate::Value) -> Result<Self, $crate::Malformed> {
                let $crate::Value::Struct(members) = value else {
                    return Err($crate::Malformed(concat!("expected the structure ", stringify!($name)).to_owned()));
                };
                $(let mut $field: Option<$crate::Value> = None;)*
                for (name, value) in members {
                    match name {
                        $($wire => $field = Some(value),)*
                        _ => {}
                    }
                }
                Ok($name {
                    $($field: match $field {
                        Some(value) => $crate::FromValue::from_value(value)?,
                        None => <$type as $crate::FromValue>::absent($wire)?,
                    },)*
                })
            }
        }
        impl $crate::IntoValue for $name {
            fn into_value(self) -> Option<$crate::Value> {
                #[allow(unused_mut)]
                let mut members = Vec::new();
                $(if let Some(value) = $crate::IntoValue::into_value(self.$field) {
                    members.push(($wire, value));
                })*
                Some($crate::Value::Struct(members))
            }
        }
        impl $crate::Shape for $name {
            const SCHEMA: &'static $crate::Schema = &$schema;
        }
    };
}

/// Declares an enumeration of texts. The first variant is the default.
#[macro_export]
macro_rules! string_enum {
    ($(#[$attr:meta])* $name:ident { $first:ident $first_text:literal $(, $variant:ident $text:literal)* $(,)? }) => {
        $(#[$attr])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub enum $name {
            #[default]
            #[doc = concat!("`", $first_text, "`")]
            $first,
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }
        impl $name {
            /// The text on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $name::$first => $first_text, $($name::$variant => $text,)* }
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::Malformed;
            fn from_str(text: &str) -> Result<Self, $crate::Malformed> {
                match text {
                    $first_text => Ok($name::$first),
                    $($text => Ok($name::$variant),)*
                    other => Err($crate::Malformed(format!("{other} is not a {}", stringify!($name)))),
                }
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl $crate::FromValue for $name {
            fn from_value(value: $crate::Value) -> Result<Self, $crate::Malformed> {
                let text: String = $crate::FromValue::from_value(value)?;
                text.parse()
            }
        }
        impl $crate::IntoValue for $name {
            fn into_value(self) -> Option<$crate::Value> { Some($crate::Value::Text(self.as_str().to_owned())) }
        }
    };
}

/// The schema of inputs and outputs that hold nothing.
pub static NOTHING: Schema = Schema::unit("Unit");

shape! {
    /// The input or output of operations that have none.
    Nothing: NOTHING {}
}

#[cfg(test)]
#[allow(unreachable_pub)] // the macros write `pub`, as the generated crate needs it
mod tests {
    use super::*;

    static THING: Schema = Schema::unit("Thing");
    shape!(Thing: THING { stream_name "StreamName": String, limit "Limit": Option<i32>, mode "Mode": Option<Mode> });
    string_enum!(Mode { OnDemand "ON_DEMAND", Provisioned "PROVISIONED" });

    #[test]
    fn shapes_go_there_and_back() {
        let value = Value::Struct(vec![
            ("Mode", Value::Text("PROVISIONED".into())),
            ("StreamName", Value::Text("s".into())),
            ("Unknown", Value::Int(1)),
        ]);
        let thing = Thing::from_value(value).unwrap();
        assert_eq!(thing, Thing { stream_name: "s".into(), limit: None, mode: Some(Mode::Provisioned) });
        let back = thing.into_value().unwrap();
        assert_eq!(back.get("Mode"), Some(&Value::Text("PROVISIONED".into())));
        assert_eq!(back.get("Limit"), None);
    }

    #[test]
    fn a_missing_required_member_is_an_error() {
        assert_eq!(Thing::from_value(Value::Struct(vec![])), Err(Malformed("StreamName is missing".into())));
    }
}
