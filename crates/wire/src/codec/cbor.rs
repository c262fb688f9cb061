//! CBOR in two dialects: Kinesis' `application/x-amz-cbor-1.1` and Smithy's RPC v2. They differ in how they write time.
//! Sources: RFC 8949; <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use super::time;
use crate::{ApiError, Kind, Member, Schema, Value, common};
use bytes::{BufMut, Bytes, BytesMut};
use minicbor::data::Type;
use minicbor::decode::Error as Broken;
use names::Timestamp;

/// Whose CBOR it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The AWS SDK for Java's with Kinesis: time is tag 1 and milliseconds.
    Amazon,
    /// Smithy RPC v2: time is tag 1 and seconds.
    Smithy,
}

struct Reader<'b> {
    cbor: minicbor::Decoder<'b>,
    dialect: Dialect,
}

/// Why a body is refused.
struct Refused(String);

impl From<Broken> for Refused {
    fn from(broken: Broken) -> Refused {
        refuse(format!("the request body is not valid CBOR: {broken}"))
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        common::SERIALIZATION.because(refused.0)
    }
}

fn refuse(why: impl Into<String>) -> Refused {
    Refused(why.into())
}

/// Decodes a structure. No body at all counts as an empty one.
pub(super) fn decode(schema: &'static Schema, body: &[u8], dialect: Dialect) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Struct(Vec::new()));
    }
    let mut reader = Reader { cbor: minicbor::Decoder::new(body), dialect };
    let value = reader.read(schema, 0)?;
    if reader.cbor.position() != body.len() {
        return Err(refuse("the request body is not valid CBOR: more behind the end").into());
    }
    Ok(value.unwrap_or_else(|| Value::Struct(Vec::new())))
}

impl Reader<'_> {
    fn read(&mut self, schema: &'static Schema, depth: usize) -> Result<Option<Value>, Refused> {
        if depth > super::fast::MAX_DEPTH {
            return Err(refuse("the request body is not valid CBOR: nested too deeply"));
        }
        let kind = self.cbor.datatype()?;
        let value = match (&schema.kind, kind) {
            (_, Type::Null | Type::Undefined) => {
                self.cbor.skip()?;
                return Ok(None);
            }
            (Kind::Timestamp(_), Type::Tag) => {
                self.cbor.tag()?;
                self.time()?
            }
            (Kind::Timestamp(_), _) => self.time()?,
            (_, Type::Tag) => {
                self.cbor.tag()?;
                return self.read(schema, depth + 1);
            }
            (Kind::Structure { members, .. }, Type::Map | Type::MapIndef) => self.structure(members, depth)?,
            (Kind::Map { value, .. }, Type::Map | Type::MapIndef) => self.map(value, depth)?,
            (Kind::List { member, .. }, Type::Array | Type::ArrayIndef) => self.list(member, depth)?,
            (Kind::String, Type::String | Type::StringIndef) => Value::Text(self.text()?),
            (Kind::Blob, Type::Bytes | Type::BytesIndef) => self.blob()?,
            (Kind::Boolean, Type::Bool) => Value::Bool(self.cbor.bool()?),
            (Kind::Integer, _) if is_integer(kind) => Value::Int(self.cbor.i32()?.into()),
            (Kind::Long, _) if is_integer(kind) => Value::Int(self.cbor.i64()?),
            (Kind::Float | Kind::Double, _) => Value::Float(self.number()?),
            _ => return Err(refuse(format!("{kind} found where {} is expected", schema.name))),
        };
        Ok(Some(value))
    }

    fn structure(&mut self, members: &'static [Member], depth: usize) -> Result<Value, Refused> {
        let mut found: Vec<(&'static str, Value)> = Vec::with_capacity(members.len().min(8));
        let mut left = self.cbor.map()?;
        while self.more(&mut left)? {
            let key = self.text()?;
            let Some(member) = members.iter().find(|m| m.wire == key) else {
                self.cbor.skip()?;
                continue;
            };
            let value = self.read(member.schema, depth + 1)?;
            found.retain(|(name, _)| *name != member.name);
            found.extend(value.map(|value| (member.name, value)));
        }
        Ok(Value::Struct(found))
    }

    fn map(&mut self, schema: &'static Schema, depth: usize) -> Result<Value, Refused> {
        let mut found = Vec::new();
        let mut left = self.cbor.map()?;
        while self.more(&mut left)? {
            let key = self.text()?;
            if let Some(value) = self.read(schema, depth + 1)? {
                found.push((key, value));
            }
        }
        Ok(Value::Map(super::json::last_wins(found)))
    }

    fn list(&mut self, schema: &'static Schema, depth: usize) -> Result<Value, Refused> {
        let mut found = Vec::new();
        let mut left = self.cbor.array()?;
        while self.more(&mut left)? {
            found.push(self.read(schema, depth + 1)?.ok_or_else(|| refuse("Unexpected null in a list"))?);
        }
        Ok(Value::List(found))
    }

    /// Whether a collection has more; the break behind one of indefinite length is consumed.
    fn more(&mut self, left: &mut Option<u64>) -> Result<bool, Refused> {
        match left {
            Some(0) => Ok(false),
            Some(n) => {
                *n -= 1;
                Ok(true)
            }
            None if self.cbor.datatype()? == Type::Break => {
                self.cbor.skip()?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn text(&mut self) -> Result<String, Refused> {
        let mut text = String::new();
        for piece in self.cbor.str_iter()? {
            text.push_str(piece?);
        }
        Ok(text)
    }

    fn blob(&mut self) -> Result<Value, Refused> {
        let mut bytes = Vec::new();
        for piece in self.cbor.bytes_iter()? {
            bytes.extend_from_slice(piece?);
        }
        Ok(Value::Blob(bytes.into()))
    }

    fn number(&mut self) -> Result<f64, Refused> {
        match self.cbor.datatype()? {
            Type::F16 => Ok(f64::from(self.cbor.f16()?)),
            Type::F32 => Ok(f64::from(self.cbor.f32()?)),
            Type::F64 => Ok(self.cbor.f64()?),
            kind if is_integer(kind) => Ok(self.cbor.i64()? as f64),
            kind => Err(refuse(format!("{kind} found where a number is expected"))),
        }
    }

    fn time(&mut self) -> Result<Value, Refused> {
        let integer = is_integer(self.cbor.datatype()?);
        let at = match self.dialect {
            Dialect::Amazon if integer => Some(Timestamp::from_millis(self.cbor.i64()?)),
            Dialect::Amazon => time::from_secs(self.number()? / 1e3),
            Dialect::Smithy => time::from_secs(self.number()?),
        };
        at.map(Value::Time).ok_or_else(|| refuse("a number out of range where a time is expected"))
    }
}

fn is_integer(kind: Type) -> bool {
    matches!(
        kind,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int
    )
}

/// Encodes a structure.
pub(super) fn encode(schema: &Schema, value: &Value, dialect: Dialect) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    write(Some(schema), value, dialect, &mut out);
    out.freeze()
}

/// Encodes members that no schema describes: those of errors.
pub(super) fn encode_members(members: &[(&'static str, Value)], dialect: Dialect) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    write_members(None, members, dialect, &mut out);
    out.freeze()
}

fn write(schema: Option<&Schema>, value: &Value, dialect: Dialect, out: &mut BytesMut) {
    match value {
        Value::Bool(b) => out.put_u8(if *b { 0xf5 } else { 0xf4 }),
        Value::Int(i) => integer(*i, out),
        Value::Float(f) => double(*f, out),
        Value::Text(text) => string(text, out),
        Value::Blob(bytes) => {
            head(2, bytes.len() as u64, out);
            out.put_slice(bytes);
        }
        Value::Time(at) => {
            head(6, 1, out);
            match dialect {
                Dialect::Amazon => integer(at.millis(), out),
                Dialect::Smithy => double(at.secs_f64(), out),
            }
        }
        Value::List(items) => {
            let member = schema.and_then(Schema::list_member);
            head(4, items.len() as u64, out);
            for item in items {
                write(member, item, dialect, out);
            }
        }
        Value::Map(entries) => {
            let member = schema.and_then(Schema::map_value);
            head(5, entries.len() as u64, out);
            for (key, item) in entries {
                string(key, out);
                write(member, item, dialect, out);
            }
        }
        Value::Struct(found) => write_members(schema, found, dialect, out),
    }
}

fn write_members(schema: Option<&Schema>, found: &[(&'static str, Value)], dialect: Dialect, out: &mut BytesMut) {
    let members = schema.map_or(&[][..], Schema::members);
    head(5, found.len() as u64, out);
    for (name, value) in found {
        let member = members.iter().find(|m| m.name == *name);
        string(member.map_or(name, |m| m.wire), out);
        write(member.map(|m| m.schema), value, dialect, out);
    }
}

fn integer(value: i64, out: &mut BytesMut) {
    if value < 0 { head(1, !value as u64, out) } else { head(0, value as u64, out) }
}

fn double(value: f64, out: &mut BytesMut) {
    out.put_u8(0xfb);
    out.put_f64(value);
}

fn string(text: &str, out: &mut BytesMut) {
    head(3, text.len() as u64, out);
    out.put_slice(text.as_bytes());
}

/// A major type with its argument in the shortest form.
fn head(major: u8, argument: u64, out: &mut BytesMut) {
    let major = major << 5;
    match argument {
        0..=23 => out.put_u8(major | argument as u8),
        24..=0xff => out.put_slice(&[major | 24, argument as u8]),
        0x100..=0xffff => {
            out.put_u8(major | 25);
            out.put_u16(argument as u16);
        }
        0x1_0000..=0xffff_ffff => {
            out.put_u8(major | 26);
            out.put_u32(argument as u32);
        }
        _ => {
            out.put_u8(major | 27);
            out.put_u64(argument);
        }
    }
}
