//! Answers that are streams of events, from the handler to the bytes.

use crate::house::{call, request};
use bytes::{Buf, Bytes};
use std::sync::Arc;
use wire::{
    ApiError, EventAnswer, EventOperation, Kind, Limits, Member, Nothing, Opened, Operation, OperationEntry,
    OperationModel, Place, Protocol, Schema, Service, ServiceModel, common,
};

static TEXT: Schema = Schema { name: "Text", kind: Kind::String, limits: Limits::NONE, sensitive: false };
static BLOB: Schema = Schema { name: "Blob", kind: Kind::Blob, limits: Limits::NONE, sensitive: false };
static WORD: Schema = structure("Word", &[member("Text", &TEXT)], None);
static CHUNK: Schema = structure("Chunk", &[member("Bytes", &BLOB)], Some("Bytes"));
static OUTPUT: Schema = structure("Output", &[member("Text", &TEXT)], None);
static LISTEN: OperationModel = OperationModel {
    name: "Listen",
    method: "POST",
    uri: "/",
    status: 200,
    input: &wire::NOTHING,
    output: &OUTPUT,
    result_wrapper: None,
    errors: &[],
};
static RADIO: ServiceModel = ServiceModel {
    name: "radio",
    service_id: "Radio",
    full_name: "Radio",
    api_version: "2026-01-01",
    protocol: "json",
    json_version: "1.1",
    target_prefix: "Radio",
    xml_namespace: "",
    query_compatible: false,
    operations: &[OperationEntry { name: "Listen", method: "POST", uri: "/", model: Some(&LISTEN) }],
};

const fn structure(name: &'static str, members: &'static [Member], payload: Option<&'static str>) -> Schema {
    Schema { name, kind: Kind::Structure { members, payload }, limits: Limits::NONE, sensitive: false }
}

const fn member(name: &'static str, schema: &'static Schema) -> Member {
    Member { name, wire: name, query_name: None, place: Place::Body, required: false, schema }
}

wire::shape!(Word: WORD { text "Text": String });
wire::shape!(Chunk: CHUNK { bytes "Bytes": Bytes });
wire::shape!(Output: OUTPUT { text "Text": Option<String> });
wire::events!(Sounds { Word: Word, Chunk: Chunk } except { "ThrottlingException" });

struct ListenOp;
impl Operation for ListenOp {
    type Input = Nothing;
    type Output = Output;
    const MODEL: &'static OperationModel = &LISTEN;
}
impl EventOperation for ListenOp {
    type Event = Sounds;
}

async fn listen(
    errors: Arc<Vec<ApiError>>,
    _: Arc<wire::Call>,
    _: Nothing,
    answer: EventAnswer<ListenOp>,
) -> Result<Opened, ApiError> {
    let (opened, events) = answer.open(Output { text: Some("on".into()) })?;
    #[allow(clippy::disallowed_methods)] // a test has no house whose tasks it could use
    tokio::spawn(async move {
        events.send(Sounds::Word(Word { text: "é".into() })).await.unwrap();
        events.room().await.unwrap();
        events.send(Sounds::Chunk(Chunk { bytes: Bytes::from_static(b"\0\xff") })).await.unwrap();
        if let Some(error) = errors.first() {
            events.fail(error).await.unwrap();
        }
    });
    Ok(opened)
}

/// A message taken apart: its headers as `name=value` lines, and its payload. Both checksums must fit.
fn message(mut bytes: Bytes) -> (String, Bytes) {
    let whole = bytes.clone();
    let total = bytes.get_u32() as usize;
    let headers = bytes.get_u32() as usize;
    assert_eq!(total, whole.len());
    assert_eq!(bytes.get_u32(), crc(&whole[..8]));
    let mut lines = Vec::new();
    let mut head = bytes.split_to(headers);
    while head.has_remaining() {
        let len = head.get_u8().into();
        let name = head.split_to(len);
        assert_eq!(head.get_u8(), 7, "a text");
        let len = head.get_u16().into();
        let value = head.split_to(len);
        lines.push(format!("{}={}", std::str::from_utf8(&name).unwrap(), std::str::from_utf8(&value).unwrap()));
    }
    let payload = bytes.split_to(bytes.len() - 4);
    assert_eq!(bytes.get_u32(), crc(&whole[..total - 4]));
    (lines.join(" "), payload)
}

/// CRC-32, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

async fn answers(protocol: Protocol, errors: Vec<ApiError>) -> Vec<(String, Bytes)> {
    let service = Service::new(&RADIO).on_events::<ListenOp, _, _, _>(&Arc::new(errors), listen);
    let asked = request(protocol, "/", &[], if protocol == Protocol::AwsJson11 { "{}" } else { "" });
    let handled = service.handler("Listen").unwrap().handle(Arc::new(call(&RADIO, "Listen")), asked).await;
    assert!(handled.input.is_some() && handled.output.is_some());
    let mut answer = handled.result.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/vnd.amazon.eventstream");
    let mut found = Vec::new();
    while let Some(piece) = answer.body_mut().next().await {
        found.push(message(piece));
    }
    found
}

fn event(name: &str, content_type: &str, payload: &'static [u8]) -> (String, Bytes) {
    let headers = format!(":message-type=event :event-type={name} :content-type={content_type}");
    (headers, Bytes::from_static(payload))
}

#[tokio::test]
async fn events_are_framed_in_the_protocol_of_the_call() {
    assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    let json = "application/x-amz-json-1.1";
    let chunk = || event("Chunk", "application/octet-stream", b"\0\xff");
    let expected = [
        event("initial-response", json, br#"{"Text":"on"}"#),
        event("Word", json, "{\"Text\":\"é\"}".as_bytes()),
        chunk(),
    ];
    assert_eq!(answers(Protocol::AwsJson11, vec![]).await, expected);
    let cbor = "application/x-amz-cbor-1.1";
    let expected = [
        event("initial-response", cbor, b"\xa1\x64Text\x62on"),
        event("Word", cbor, b"\xa1\x64Text\x62\xc3\xa9"),
        chunk(),
    ];
    assert_eq!(answers(Protocol::AwsCbor, vec![]).await, expected);
    // REST has its members in the head of the answer.
    let expected = [event("Word", "application/json", "{\"Text\":\"é\"}".as_bytes()), chunk()];
    assert_eq!(answers(Protocol::RestJson, vec![]).await, expected);
}

#[tokio::test]
async fn a_stream_ends_with_the_errors_of_its_model_or_with_any_other() {
    let end = |error| async { answers(Protocol::AwsJson11, vec![error]).await.pop().unwrap() };
    assert_eq!(
        end(common::THROTTLING.because("slow")).await,
        (
            ":message-type=exception :exception-type=ThrottlingException :content-type=application/x-amz-json-1.1"
                .into(),
            Bytes::from_static(br#"{"message":"slow"}"#)
        )
    );
    assert_eq!(
        end(common::INTERNAL_FAILURE.because("why")).await,
        (":message-type=error :error-code=InternalFailure :error-message=why".into(), Bytes::new())
    );
}
