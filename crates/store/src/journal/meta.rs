//! The journal's own records: which logs exist, how far they are trimmed, and where each stands. Pure.

use crate::Timestamp;
use bytes::{Buf, BufMut, BytesMut};

/// A record of [`super::frame::META_LOG`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    Created {
        log: u64,
        name: String,
    },
    Dropped {
        log: u64,
    },
    Trimmed {
        log: u64,
        before: u64,
    },
    /// Everything there is to know about all logs. The first record of every segment.
    Checkpoint {
        next_log: u64,
        logs: Vec<LogState>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    pub(crate) log: u64,
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) last_at: Timestamp,
    pub(crate) name: String,
}

const CREATED: u8 = 1;
const DROPPED: u8 = 2;
const TRIMMED: u8 = 3;
const CHECKPOINT: u8 = 4;

impl Meta {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        match self {
            Meta::Created { log, name } => {
                out.put_u8(CREATED);
                out.put_u64_le(*log);
                put_name(out, name);
            }
            Meta::Dropped { log } => {
                out.put_u8(DROPPED);
                out.put_u64_le(*log);
            }
            Meta::Trimmed { log, before } => {
                out.put_u8(TRIMMED);
                out.put_u64_le(*log);
                out.put_u64_le(*before);
            }
            Meta::Checkpoint { next_log, logs } => {
                out.put_u8(CHECKPOINT);
                out.put_u64_le(*next_log);
                for state in logs {
                    out.put_u64_le(state.log);
                    out.put_u64_le(state.first);
                    out.put_u64_le(state.next);
                    out.put_i64_le(state.last_at.0);
                    put_name(out, &state.name);
                }
            }
        }
    }

    /// `None` for bytes that are no such record.
    pub(crate) fn decode(mut data: &[u8]) -> Option<Meta> {
        let from = &mut data;
        let meta = match from.try_get_u8().ok()? {
            CREATED => Meta::Created { log: from.try_get_u64_le().ok()?, name: take_name(from)? },
            DROPPED => Meta::Dropped { log: from.try_get_u64_le().ok()? },
            TRIMMED => Meta::Trimmed { log: from.try_get_u64_le().ok()?, before: from.try_get_u64_le().ok()? },
            CHECKPOINT => {
                let next_log = from.try_get_u64_le().ok()?;
                let mut logs = Vec::new();
                while !from.is_empty() {
                    logs.push(LogState {
                        log: from.try_get_u64_le().ok()?,
                        first: from.try_get_u64_le().ok()?,
                        next: from.try_get_u64_le().ok()?,
                        last_at: Timestamp(from.try_get_i64_le().ok()?),
                        name: take_name(from)?,
                    });
                }
                Meta::Checkpoint { next_log, logs }
            }
            _ => return None,
        };
        data.is_empty().then_some(meta)
    }
}

fn put_name(out: &mut BytesMut, name: &str) {
    out.put_u16_le(u16::try_from(name.len()).expect("names are checked when logs are created"));
    out.extend_from_slice(name.as_bytes());
}

fn take_name(from: &mut &[u8]) -> Option<String> {
    let len = usize::from(from.try_get_u16_le().ok()?);
    let (name, rest) = from.split_at_checked(len)?;
    *from = rest;
    String::from_utf8(name.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_kinds_come_back() {
        let state = LogState { log: 3, first: 1, next: 9, last_at: Timestamp(-5), name: "streams/ö".into() };
        for meta in [
            Meta::Created { log: 3, name: "a".into() },
            Meta::Dropped { log: 3 },
            Meta::Trimmed { log: 3, before: 77 },
            Meta::Checkpoint { next_log: 4, logs: vec![state.clone(), state] },
        ] {
            let mut out = BytesMut::new();
            meta.encode(&mut out);
            assert_eq!(Meta::decode(&out), Some(meta));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(meta) = Meta::decode(&bytes) {
                let mut out = BytesMut::new();
                meta.encode(&mut out);
                prop_assert_eq!(&out[..], &bytes[..]);
            }
        }
    }
}
