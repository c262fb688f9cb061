//! The inputs of the hot operations, borrowed from the request's body. Only what is valid is read; anything else is
//! nothing, and left to the generic way.

use crate::hash::HashKey;
use crate::limits::{LARGEST_RECORD, PUT_RECORDS, READ_RECORDS};
use crate::streams::Asked;
use bytes::Bytes;
use wire::Protocol;
use wire::codec::fast::{Base64, Next, Scanner};

pub(super) struct PutRecord<'a> {
    pub(super) stream: Asked<'a>,
    pub(super) entry: Entry<'a>,
}

pub(super) struct PutRecords<'a> {
    pub(super) stream: Asked<'a>,
    /// At least one.
    pub(super) entries: Vec<Entry<'a>>,
}

pub(super) struct GetRecords<'a> {
    pub(super) iterator: &'a str,
    pub(super) arn: Option<&'a str>,
    pub(super) limit: Option<i32>,
}

/// A record of a put.
pub(super) struct Entry<'a> {
    pub(super) data: Base64<'a>,
    pub(super) key: &'a str,
    pub(super) explicit: Option<&'a str>,
}

impl<'a> PutRecord<'a> {
    pub(super) fn read(protocol: Protocol, body: &'a Bytes) -> Option<PutRecord<'a>> {
        let (mut stream, mut draft) = (Asked::default(), Draft::default());
        object(&mut start(protocol, body)?, |scanner, key| match key {
            "StreamName" | "StreamARN" => name(&mut stream, key, scanner),
            other => draft.member(scanner, other),
        })?;
        Some(PutRecord { stream, entry: draft.finish()? })
    }
}

impl<'a> PutRecords<'a> {
    pub(super) fn read(protocol: Protocol, body: &'a Bytes) -> Option<PutRecords<'a>> {
        let (mut stream, mut entries) = (Asked::default(), None);
        object(&mut start(protocol, body)?, |scanner, key| {
            match key {
                "StreamName" | "StreamARN" => name(&mut stream, key, scanner)?,
                "Records" if entries.is_none() => entries = Some(read_entries(scanner)?),
                _ => return None,
            }
            Some(())
        })?;
        let entries = entries.filter(|entries| !entries.is_empty())?;
        Some(PutRecords { stream, entries })
    }
}

impl<'a> GetRecords<'a> {
    pub(super) fn read(protocol: Protocol, body: &'a Bytes) -> Option<GetRecords<'a>> {
        let (mut iterator, mut arn, mut limit) = (None, None, None);
        object(&mut start(protocol, body)?, |scanner, key| {
            match key {
                "ShardIterator" => iterator = Some(text(scanner, 1..=512)?),
                "StreamARN" => arn = Some(stream_arn(scanner)?),
                "Limit" => {
                    let given: i32 = scanner.number().ok()?.parse().ok()?;
                    limit = Some(given).filter(|given| (1..=READ_RECORDS as i32).contains(given));
                    limit?;
                }
                _ => return None,
            }
            Some(())
        })?;
        Some(GetRecords { iterator: iterator?, arn, limit })
    }
}

#[derive(Default)]
struct Draft<'a> {
    data: Option<Base64<'a>>,
    key: Option<&'a str>,
    explicit: Option<&'a str>,
}

impl<'a> Draft<'a> {
    fn member(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Option<()> {
        match key {
            "Data" => self.data = Some(scanner.base64()?),
            "PartitionKey" => self.key = Some(scanner.plain_string()?),
            "ExplicitHashKey" => self.explicit = Some(scanner.plain_string()?),
            _ => return None,
        }
        Some(())
    }

    fn finish(self) -> Option<Entry<'a>> {
        let Draft { data, key, explicit } = self;
        let (data, key) = (data?, key?);
        let valid = data.len() <= LARGEST_RECORD
            && !key.is_empty()
            && (key.len() <= 256 || key.chars().count() <= 256)
            // The model's pattern is narrower than what reads as a number: no leading zeros.
            && explicit.is_none_or(|text| HashKey::parse(text).is_some_and(|key| key.to_string() == text));
        valid.then_some(Entry { data, key, explicit })
    }
}

fn read_entries<'a>(scanner: &mut Scanner<'a>) -> Option<Vec<Entry<'a>>> {
    let mut entries = Vec::new();
    let mut first = true;
    scanner.array().ok()?;
    while scanner.next_item(&mut first).ok()? {
        if entries.len() == PUT_RECORDS {
            return None;
        }
        let mut draft = Draft::default();
        members(scanner, |scanner, key| draft.member(scanner, key))?;
        entries.push(draft.finish()?);
    }
    Some(entries)
}

fn start(protocol: Protocol, body: &Bytes) -> Option<Scanner<'_>> {
    (protocol == Protocol::AwsJson11).then(|| Scanner::new(body))
}

/// Reads an object that is the whole text.
fn object<'a>(scanner: &mut Scanner<'a>, member: impl FnMut(&mut Scanner<'a>, &str) -> Option<()>) -> Option<()> {
    members(scanner, member)?;
    scanner.end().ok()
}

fn members<'a>(scanner: &mut Scanner<'a>, mut member: impl FnMut(&mut Scanner<'a>, &str) -> Option<()>) -> Option<()> {
    let mut first = true;
    scanner.object().ok()?;
    while let Some(key) = scanner.next_key(&mut first).ok()? {
        // Null is the generic way's affair: it means absent.
        if scanner.peek().ok()? == Next::Null {
            return None;
        }
        member(scanner, &key)?;
    }
    Some(())
}

fn name<'a>(stream: &mut Asked<'a>, member: &str, scanner: &mut Scanner<'a>) -> Option<()> {
    if member == "StreamName" {
        stream.name = Some(scanner.plain_string().filter(|name| is_name(name))?);
    } else {
        stream.arn = Some(stream_arn(scanner)?);
    }
    Some(())
}

fn text<'a>(scanner: &mut Scanner<'a>, bytes: std::ops::RangeInclusive<usize>) -> Option<&'a str> {
    scanner.plain_string().filter(|text| bytes.contains(&text.len()))
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A plain ARN of a stream; what the model's pattern allows beyond that goes the generic way.
fn stream_arn<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    let text = scanner.plain_string()?;
    let mut parts = text.strip_prefix("arn:aws:kinesis:")?.splitn(3, ':');
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let sound = !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.strip_prefix("stream/").is_some_and(is_name);
    sound.then_some(text)
}
