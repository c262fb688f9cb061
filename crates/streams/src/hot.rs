//! Ways of their own for the three hot operations over JSON: from the bytes of the request to those of the answer. Payloads go
//! from base64 straight into the journal's frame, and from there straight back into base64.
//!
//! They come to what the generic way comes to wherever they answer at all. What is not plain and valid passes before
//! anything has happened, and so do the words for what is wrong with it: here nothing is refused but by a shard's limits.

mod parse;

use crate::Streams;
use crate::api::{get, put};
use crate::hash::HashKey;
use crate::limits::PUT_BYTES;
use crate::live::LiveStream;
use crate::record::{self, Payload};
use crate::write::{Put, Written};
use bytes::{BufMut, Bytes};
use parse::{Entry, GetRecords, PutRecord, PutRecords};
use shapes::kinesis::{ChildShard, HashKeyRange};
use std::sync::Arc;
use store::ReadLimit;
use wire::codec::fast;
use wire::{ApiError, Hot, Protocol};

/// What an answer's parts around a record take at most, but for its key and data.
const RECORD_FRAME: usize = 200;

/// What is said of encrypted records.
const ENCRYPTED: &[u8] = b",\"EncryptionType\":\"KMS\"";

pub(crate) async fn put_record(streams: Arc<Streams>, protocol: Protocol, body: Bytes) -> Hot {
    let began = streams.world().clock.monotonic();
    let Some(call) = PutRecord::read(protocol, &body) else { return Hot::Pass(body) };
    let Some(entry) = streams.enter_freely(call.stream).await else { return Hot::Pass(body) };
    let Some(one) = to_put(&entry.stream, &call.entry) else { return Hot::Pass(body) };
    let bytes = one.counted();
    let plan = streams.plan(&entry.stream, &[one]);
    drop(body);
    Hot::Done(put::put_one(&streams, &entry, plan, bytes, began).await.map(|(shard, sequence)| {
        let mut out = Vec::with_capacity(128);
        out.put_slice(b"{\"ShardId\":");
        fast::string_into(&shard.id, &mut out);
        out.put_slice(b",\"SequenceNumber\":\"");
        out.put_slice(&sequence.digits());
        out.put_u8(b'"');
        if entry.stream.def.encryption.is_some() {
            out.put_slice(ENCRYPTED);
        }
        out.put_u8(b'}');
        out.into()
    }))
}

pub(crate) async fn put_records(streams: Arc<Streams>, protocol: Protocol, body: Bytes) -> Hot {
    let began = streams.world().clock.monotonic();
    let Some(call) = PutRecords::read(protocol, &body) else { return Hot::Pass(body) };
    let Some(entry) = streams.enter_freely(call.stream).await else { return Hot::Pass(body) };
    let puts: Option<Vec<_>> = call.entries.iter().map(|one| to_put(&entry.stream, one)).collect();
    let bytes = |puts: &[Put<'_>]| puts.iter().map(Put::counted).sum::<usize>();
    let Some(puts) = puts.filter(|puts| bytes(puts) <= PUT_BYTES) else { return Hot::Pass(body) };
    let total = bytes(&puts);
    let plan = streams.plan(&entry.stream, &puts);
    // The payloads are framed for the journal: no need to hold them while it writes.
    drop((puts, call));
    drop(body);
    let done = put::put_all(&streams, &entry, plan, total, began).await;
    Hot::Done(done.map(|(written, failed)| answer_puts(&streams, &entry.stream, &written, failed)))
}

/// A record as it came, its hash key worked out, where it is one that may be put.
fn to_put<'a>(stream: &LiveStream, entry: &Entry<'a>) -> Option<Put<'a>> {
    let hash = match entry.explicit {
        None => HashKey::of(entry.key),
        Some(text) => HashKey::parse(text)?,
    };
    let put = Put { key: entry.key, hash, data: Payload::Base64(entry.data) };
    (put.counted() <= stream.def.record_bytes()).then_some(put)
}

fn answer_puts(streams: &Streams, stream: &LiveStream, written: &[Written], failed: usize) -> Bytes {
    let mut out = Vec::with_capacity(64 + 128 * written.len());
    out.put_slice(b"{\"FailedRecordCount\":");
    fast::integer_into(failed as i64, &mut out);
    out.put_slice(b",\"Records\":[");
    for (i, Written { place, at }) in written.iter().enumerate() {
        let shard = &stream.shards[*place];
        out.put_slice(if i == 0 { b"{" } else { b",{" });
        match at {
            Some((position, at)) => {
                out.put_slice(b"\"SequenceNumber\":\"");
                out.put_slice(&shard.sequence(*position, *at).digits());
                out.put_slice(b"\",\"ShardId\":");
                fast::string_into(&shard.id, &mut out);
            }
            None => {
                let (code, message) = put::throttled(streams, stream, shard);
                out.put_slice(b"\"ErrorCode\":");
                fast::string_into(code, &mut out);
                out.put_slice(b",\"ErrorMessage\":");
                fast::string_into(&message, &mut out);
            }
        }
        out.put_u8(b'}');
    }
    out.put_u8(b']');
    if stream.def.encryption.is_some() {
        out.put_slice(ENCRYPTED);
    }
    out.put_u8(b'}');
    out.into()
}

pub(crate) async fn get_records(streams: Arc<Streams>, protocol: Protocol, body: Bytes) -> Hot {
    let Some(call) = GetRecords::read(protocol, &body) else { return Hot::Pass(body) };
    let reader = get::Reader::find(&streams, call.iterator, call.arn).ok().filter(get::Reader::is_free);
    let Some(reader) = reader else { return Hot::Pass(body) };
    Hot::Done(reader.timed(&streams, |reader| read(&streams, reader, call.limit)))
}

fn read(streams: &Streams, reader: &get::Reader, limit: Option<i32>) -> Result<Bytes, ApiError> {
    let limit = reader.begin(streams, limit)?;
    let mut out = Vec::with_capacity(room(streams, reader, limit));
    out.put_slice(b"{\"Records\":[");
    let gathered = reader.gather(streams, limit, |sequence, at, stored| {
        let (key, data) = record::parts(stored.data)?;
        // At once, or base64's own growth would be in small steps.
        out.reserve(RECORD_FRAME + key.len() + data.len().div_ceil(3) * 4);
        out.put_slice(if out.last() == Some(&b'[') { b"{" } else { b",{" });
        out.put_slice(b"\"SequenceNumber\":\"");
        out.put_slice(&sequence.digits());
        out.put_slice(b"\",\"ApproximateArrivalTimestamp\":");
        fast::epoch_into(at, &mut out);
        out.put_slice(b",\"Data\":\"");
        fast::base64_append(data, &mut out);
        out.put_slice(b"\",\"PartitionKey\":");
        fast::string_into(key, &mut out);
        if stored.sealed {
            out.put_slice(ENCRYPTED);
        }
        out.put_u8(b'}');
        Ok(key.len() + data.len())
    })?;
    out.put_u8(b']');
    if let Some(iterator) = &gathered.next {
        out.put_slice(b",\"NextShardIterator\":");
        fast::string_into(iterator, &mut out);
    }
    out.put_slice(b",\"MillisBehindLatest\":");
    fast::integer_into(gathered.behind, &mut out);
    if let Some(children) = &gathered.children {
        out.put_slice(b",\"ChildShards\":");
        list_into(children, &mut out, child_into);
    }
    out.put_u8(b'}');
    Ok(out.into())
}

/// About the length of an answer, and rather more: a buffer that grows would copy megabytes.
fn room(streams: &Streams, reader: &get::Reader, limit: ReadLimit) -> usize {
    let held = usize::try_from(streams.store().extent(reader.shard().log).bytes).unwrap_or(usize::MAX);
    let bytes = held.min(limit.bytes);
    // Small records have more around them than in them; only as much as is written is ever touched.
    bytes / 3 * 4 + bytes / 8 + 4096
}

fn list_into<T>(items: &[T], out: &mut Vec<u8>, each: impl Fn(&T, &mut Vec<u8>)) {
    out.put_u8(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        each(item, out);
    }
    out.put_u8(b']');
}

fn child_into(child: &ChildShard, out: &mut Vec<u8>) {
    out.put_slice(b"{\"ShardId\":");
    fast::string_into(&child.shard_id, out);
    out.put_slice(b",\"ParentShards\":");
    list_into(&child.parent_shards, out, |parent, out| fast::string_into(parent, out));
    let HashKeyRange { starting_hash_key, ending_hash_key } = &child.hash_key_range;
    out.put_slice(b",\"HashKeyRange\":{\"StartingHashKey\":");
    fast::string_into(starting_hash_key, out);
    out.put_slice(b",\"EndingHashKey\":");
    fast::string_into(ending_hash_key, out);
    out.put_slice(b"}}");
}

#[cfg(test)]
mod tests;
