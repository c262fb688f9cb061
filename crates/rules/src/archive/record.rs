//! An archived event's bytes: `version (1) | the event's time, microseconds, i64 LE | the event, JSON`. Version 1.

use bytes::{Buf, BufMut, Bytes};
use names::Timestamp;
use serde::Deserialize;

const VERSION: u8 = 1;

/// What the archive asks of an event.
#[derive(Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    time: Option<String>,
}

pub(super) fn encode(out: &mut Vec<u8>, at: Timestamp, event: &[u8]) {
    out.put_u8(VERSION);
    out.put_i64_le(at.micros());
    out.extend_from_slice(event);
}

/// The time and the event. The error says what is wrong with the bytes.
pub(super) fn decode(mut bytes: Bytes) -> Result<(Timestamp, Bytes), String> {
    let version = bytes.try_get_u8().map_err(|_| "it is empty")?;
    if version != VERSION {
        return Err(format!("it has version {version}; this program reads {VERSION}"));
    }
    let at = bytes.try_get_i64_le().map_err(|_| "it is cut short")?;
    Ok((Timestamp(at), bytes))
}

/// When an event happened, by its own word; else when it came.
pub(super) fn time(event: &[u8], came: Timestamp) -> Timestamp {
    let said = serde_json::from_slice::<Header>(event).ok().and_then(|header| header.time);
    let parsed = said.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    parsed.map_or(came, |at| Timestamp(at.as_microsecond()))
}

/// An event's own id.
pub(super) fn id(event: &[u8]) -> Option<String> {
    serde_json::from_slice::<Header>(event).ok()?.id
}

/// The event as a replay sends it.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>
pub(super) fn replayed(event: &[u8], replay: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(event).ok()?.trim_end().strip_suffix('}')?;
    let name = serde_json::to_string(replay).expect("a text is JSON");
    let comma = if text.trim_end().ends_with('{') { "" } else { "," };
    Some(Bytes::from(format!("{text}{comma}\"replay-name\":{name}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_written_is_read() {
        let event = br#"{"id":"e","time":"2026-01-01T00:02:00Z","detail":{"n":1.50}}"#;
        let at = time(event, Timestamp(7));
        assert_eq!(at.iso_millis(), "2026-01-01T00:02:00.000Z");
        let mut out = Vec::new();
        encode(&mut out, at, event);
        assert_eq!(decode(out.into()).unwrap(), (at, Bytes::from_static(event)));
        assert_eq!(time(b"{}", Timestamp(7)), Timestamp(7));
        assert!(decode(Bytes::from_static(&[2, 0])).unwrap_err().contains("version 2"));
        assert!(decode(Bytes::from_static(&[1, 0])).is_err());
    }

    #[test]
    fn a_replayed_event_says_so_and_is_otherwise_the_same() {
        let sent = replayed(br#"{"id":"e","detail":{"n":1.50}} "#, "r\"1").unwrap();
        assert_eq!(&sent[..], br#"{"id":"e","detail":{"n":1.50},"replay-name":"r\"1"}"#);
        assert_eq!(
            serde_json::from_slice::<Value>(&replayed(b"{}", "r").unwrap()).unwrap(),
            json!({"replay-name": "r"})
        );
        assert_eq!(replayed(b"[]", "r"), None);
    }
}
