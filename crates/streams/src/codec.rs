//! Codecs of their own for the three hot operations, over JSON. They agree with the generic codec wherever they answer at
//! all: what is not plain and valid is left to that one, and so are the words for what is wrong with it.

use crate::hash::HashKey;
use crate::limits::{LARGEST_RECORD, PUT_RECORDS, READ_RECORDS};
use bytes::{BufMut, Bytes, BytesMut};
use shapes::kinesis::{
    GetRecordsInput, GetRecordsOp, GetRecordsOutput, PutRecordInput, PutRecordOp, PutRecordOutput, PutRecordsInput,
    PutRecordsOp, PutRecordsOutput, PutRecordsRequestEntry, Record,
};
use wire::codec::fast::{self, Next, Scanner};
use wire::{HotCodec, Protocol};

pub(crate) struct PutRecordCodec;
pub(crate) struct PutRecordsCodec;
pub(crate) struct GetRecordsCodec;

impl HotCodec<PutRecordOp> for PutRecordCodec {
    fn decode(&self, protocol: Protocol, body: &Bytes) -> Option<PutRecordInput> {
        let mut input = PutRecordInput::default();
        let mut entry = Entry::default();
        object(&mut start(protocol, body)?, |scanner, key| {
            match key {
                "StreamName" => input.stream_name = Some(stream_name(scanner)?),
                "StreamARN" => input.stream_arn = Some(stream_arn(scanner)?),
                other => entry.member(scanner, other)?,
            }
            Some(())
        })?;
        let mut data = BytesMut::new();
        entry.decode(&mut data)?;
        input.data = data.freeze();
        input.partition_key = Some(entry.key?.to_owned());
        input.explicit_hash_key = entry.explicit.map(ToOwned::to_owned);
        Some(input)
    }

    fn encode(&self, protocol: Protocol, output: &PutRecordOutput) -> Option<Bytes> {
        if protocol != Protocol::AwsJson11 || output.encryption_type.is_some() {
            return None;
        }
        let mut out = BytesMut::with_capacity(128);
        out.put_slice(b"{\"ShardId\":");
        fast::string_into(&output.shard_id, &mut out);
        out.put_slice(b",\"SequenceNumber\":");
        fast::string_into(&output.sequence_number, &mut out);
        out.put_u8(b'}');
        Some(out.freeze())
    }
}

impl HotCodec<PutRecordsOp> for PutRecordsCodec {
    fn decode(&self, protocol: Protocol, body: &Bytes) -> Option<PutRecordsInput> {
        let mut input = PutRecordsInput::default();
        let mut entries = None;
        object(&mut start(protocol, body)?, |scanner, key| {
            match key {
                "StreamName" => input.stream_name = Some(stream_name(scanner)?),
                "StreamARN" => input.stream_arn = Some(stream_arn(scanner)?),
                "Records" if entries.is_none() => entries = Some(read_entries(scanner)?),
                _ => return None,
            }
            Some(())
        })?;
        let entries = entries.filter(|entries| !entries.is_empty())?;
        // All payloads of the call in one buffer. Base64 takes four bytes for three.
        let mut data = BytesMut::with_capacity(entries.iter().map(|e| e.data.map_or(0, str::len) / 4 * 3).sum());
        input.records.reserve_exact(entries.len());
        for entry in entries {
            entry.decode(&mut data)?;
            input.records.push(PutRecordsRequestEntry {
                data: data.split().freeze(),
                partition_key: Some(entry.key?.to_owned()),
                explicit_hash_key: entry.explicit.map(ToOwned::to_owned),
            });
        }
        Some(input)
    }

    fn encode(&self, protocol: Protocol, output: &PutRecordsOutput) -> Option<Bytes> {
        if protocol != Protocol::AwsJson11 || output.encryption_type.is_some() {
            return None;
        }
        let mut out = BytesMut::with_capacity(64 + 128 * output.records.len());
        out.put_u8(b'{');
        if let Some(count) = output.failed_record_count {
            out.put_slice(b"\"FailedRecordCount\":");
            fast::integer_into(i64::from(count), &mut out);
            out.put_u8(b',');
        }
        out.put_slice(b"\"Records\":[");
        for (i, record) in output.records.iter().enumerate() {
            out.put_slice(if i == 0 { b"{" } else { b",{" });
            let members = [
                ("SequenceNumber", &record.sequence_number),
                ("ShardId", &record.shard_id),
                ("ErrorCode", &record.error_code),
                ("ErrorMessage", &record.error_message),
            ];
            let given = members.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
            for (i, (name, value)) in given.enumerate() {
                out.put_slice(if i == 0 { b"\"" } else { b",\"" });
                out.put_slice(name.as_bytes());
                out.put_slice(b"\":");
                fast::string_into(value, &mut out);
            }
            out.put_u8(b'}');
        }
        out.put_slice(b"]}");
        Some(out.freeze())
    }
}

impl HotCodec<GetRecordsOp> for GetRecordsCodec {
    fn decode(&self, protocol: Protocol, body: &Bytes) -> Option<GetRecordsInput> {
        let mut input = GetRecordsInput::default();
        let mut iterator = None;
        object(&mut start(protocol, body)?, |scanner, key| {
            match key {
                "ShardIterator" => iterator = Some(text(scanner, 1..=512)?.to_owned()),
                "StreamARN" => input.stream_arn = Some(stream_arn(scanner)?),
                "Limit" => {
                    let limit: i32 = scanner.number().ok()?.parse().ok()?;
                    input.limit = (1..=READ_RECORDS as i32).contains(&limit).then_some(limit);
                    input.limit?;
                }
                _ => return None,
            }
            Some(())
        })?;
        input.shard_iterator = iterator?;
        Some(input)
    }

    fn encode(&self, protocol: Protocol, output: &GetRecordsOutput) -> Option<Bytes> {
        if protocol != Protocol::AwsJson11 || output.child_shards.is_some() {
            return None;
        }
        // Exactly as long as it gets, but for escapes in keys: a growing buffer would copy megabytes.
        let size = |record: &Record| {
            200 + record.data.len().div_ceil(3) * 4 + record.partition_key.as_ref().map_or(0, String::len)
        };
        let mut out = BytesMut::with_capacity(512 + output.records.iter().map(size).sum::<usize>());
        out.put_slice(b"{\"Records\":[");
        for (i, record) in output.records.iter().enumerate() {
            out.put_slice(if i == 0 { b"{" } else { b",{" });
            write_record(record, &mut out)?;
        }
        out.put_u8(b']');
        if let Some(iterator) = &output.next_shard_iterator {
            out.put_slice(b",\"NextShardIterator\":");
            fast::string_into(iterator, &mut out);
        }
        if let Some(behind) = output.millis_behind_latest {
            out.put_slice(b",\"MillisBehindLatest\":");
            fast::integer_into(behind, &mut out);
        }
        out.put_u8(b'}');
        Some(out.freeze())
    }
}

fn write_record(record: &Record, out: &mut BytesMut) -> Option<()> {
    if record.encryption_type.is_some() {
        return None;
    }
    out.put_slice(b"\"SequenceNumber\":");
    fast::string_into(&record.sequence_number, out);
    if let Some(at) = record.approximate_arrival_timestamp {
        out.put_slice(b",\"ApproximateArrivalTimestamp\":");
        fast::epoch_into(at, out);
    }
    out.put_slice(b",\"Data\":\"");
    fast::base64_encode_into(&record.data, out);
    out.put_u8(b'"');
    if let Some(key) = &record.partition_key {
        out.put_slice(b",\"PartitionKey\":");
        fast::string_into(key, out);
    }
    out.put_u8(b'}');
    Some(())
}

/// A record of a put, its payload still in base64.
#[derive(Default)]
struct Entry<'a> {
    data: Option<&'a str>,
    key: Option<&'a str>,
    explicit: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn member(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Option<()> {
        let member = match key {
            "Data" => &mut self.data,
            "PartitionKey" => &mut self.key,
            "ExplicitHashKey" => &mut self.explicit,
            _ => return None,
        };
        *member = Some(scanner.plain_string()?);
        Some(())
    }

    /// Appends the payload, where the whole entry is valid.
    fn decode(&self, out: &mut BytesMut) -> Option<()> {
        let before = out.len();
        let valid = fast::base64_decode_into(self.data?.as_bytes(), out)
            && out.len() - before <= LARGEST_RECORD
            && (1..=256).contains(&self.key?.chars().count())
            // The model's pattern is narrower than what reads as a number: no leading zeros.
            && self.explicit.is_none_or(|text| HashKey::parse(text).is_some_and(|key| key.to_string() == text));
        valid.then_some(())
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
        let mut entry = Entry::default();
        members(scanner, |scanner, key| entry.member(scanner, key))?;
        entries.push(entry);
    }
    Some(entries)
}

fn start(protocol: Protocol, body: &Bytes) -> Option<Scanner<'_>> {
    if protocol == Protocol::AwsJson11 { Scanner::new(body).ok() } else { None }
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
        // Null is the generic codec's affair: it means absent.
        if scanner.peek().ok()? == Next::Null {
            return None;
        }
        member(scanner, &key)?;
    }
    Some(())
}

fn text<'a>(scanner: &mut Scanner<'a>, bytes: std::ops::RangeInclusive<usize>) -> Option<&'a str> {
    scanner.plain_string().filter(|text| bytes.contains(&text.len()))
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn stream_name(scanner: &mut Scanner<'_>) -> Option<String> {
    scanner.plain_string().filter(|name| is_name(name)).map(ToOwned::to_owned)
}

/// A plain ARN of a stream; what the model's pattern allows beyond that goes the generic way.
fn stream_arn(scanner: &mut Scanner<'_>) -> Option<String> {
    let text = scanner.plain_string()?;
    let mut parts = text.strip_prefix("arn:aws:kinesis:")?.splitn(3, ':');
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let sound = !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.strip_prefix("stream/").is_some_and(is_name);
    sound.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
