//! Bodies in CBOR, of both dialects, and the same bytes as JSON.

use bytes::Bytes;
use names::{Account, Caller, Timestamp};
use std::sync::Arc;
use wire::{Call, Protocol, Request, Value, codec, validate};

const OPERATIONS: [&str; 6] =
    ["PutRecords", "PutRecord", "GetShardIterator", "CreateStream", "ListShards", "PutResourcePolicy"];

fn call(operation: &str) -> Call {
    let service = &shapes::kinesis::SERVICE;
    let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
    let account = Account::parse("000000000000").expect("an account");
    Call::local(service, model, Caller::root(&account, "test"), Timestamp(0))
}

/// The first byte chooses the operation.
pub(crate) fn run(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let call = call(OPERATIONS[usize::from(*choice) % OPERATIONS.len()]);
    let (head, ()) = http::Request::post("/").body(()).expect("a plain request").into_parts();
    let head = Arc::new(head);
    for protocol in [Protocol::AwsCbor, Protocol::RpcCbor, Protocol::AwsJson11, Protocol::Query] {
        let request = Request { protocol, head: head.clone(), body: Bytes::copy_from_slice(body), observed: false };
        let Ok(value) = codec::decode(&call, &request) else { continue };
        // What was read is validated, whatever it is, and can be shown.
        drop(validate(call.service, call.operation.input, &value));
        assert!(depth(&value) < 200, "what was read is not deeper than what may be read");
    }
}

fn depth(value: &Value) -> usize {
    format!("{value:?}")
        .bytes()
        .fold((0usize, 0usize), |(now, most), byte| match byte {
            b'{' | b'[' => (now + 1, most.max(now + 1)),
            b'}' | b']' => (now.saturating_sub(1), most),
            _ => (now, most),
        })
        .1
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &str| [&[0x60 | text.len() as u8], text.as_bytes()].concat();
    let pair = |key: &str, value: &[u8]| [&text(key), value].concat();
    let name = pair("StreamName", &text("orders"));
    let record = [&[0xa2][..], &pair("Data", &[0x43, 1, 2, 3]), &pair("PartitionKey", &text("k"))].concat();
    let put = [&[1, 0xa3][..], &name, &pair("Data", &[0x43, 1, 2, 3]), &pair("PartitionKey", &text("k"))].concat();
    let at = [&[0xc1, 0xfb][..], &1.5e9f64.to_be_bytes()].concat();
    let iterator =
        [&[2, 0xbf][..], &name, &pair("ShardId", &text("shardId-0")), &pair("Timestamp", &at), &[0xff]].concat();
    vec![
        [&[0, 0xa2][..], &name, &pair("Records", &[&[0x82][..], &record, &record].concat())].concat(),
        [&[0, 0xbf][..], &name, &pair("Records", &[&[0x9f][..], &record, &[0xff]].concat()), &[0xff]].concat(),
        put,
        iterator,
        [&[3, 0xa2][..], &name, &pair("ShardCount", &[0x1a, 0xff, 0xff, 0xff, 0xff])].concat(),
        [&[4][..], &[0x81; 100]].concat(),
        b"\x00{\"StreamName\":\"orders\",\"Records\":[{\"Data\":\"AQID\",\"PartitionKey\":\"k\\u00e9\"}]}".to_vec(),
        b"\x01Action=PutRecord&StreamName=%6Frders&Data=AQID&PartitionKey=k".to_vec(),
    ]
}
