use super::ranges::Ranges;
use crate::Timestamp;
use bytes::{Buf, BufMut, Bytes};

/// A record of a queue's message log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A message; its id is its index.
    New { not_before: Option<Timestamp>, group: Option<u64>, body: Bytes },
    /// A message carried forward from near the log's start, so that the start can be forgotten. It keeps its id.
    Copy(Copy),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) id: u64,
    pub(super) not_before: Timestamp,
    pub(super) sent_at: Timestamp,
    pub(super) first_received_at: Timestamp,
    pub(super) receives: u32,
    pub(super) group: Option<u64>,
    pub(super) body: Bytes,
}

const NEW: u8 = 0;
const DELAYED: u8 = 1;
const COPY: u8 = 2;
const GROUPED: u8 = 3;
const GROUPED_COPY: u8 = 4;

/// Bytes a record takes beside the body, at most.
pub(super) const OVERHEAD: usize = 48;
/// A message that is not delayed, where there is room for its delay.
const AT_ONCE: Timestamp = Timestamp(i64::MIN);

impl Sent {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Sent::New { not_before, group: Some(group), body } => {
                out.put_u8(GROUPED);
                out.put_u64_le(*group);
                out.put_i64_le(not_before.unwrap_or(AT_ONCE).0);
                out.extend_from_slice(body);
            }
            Sent::New { not_before: None, group: None, body } => {
                out.put_u8(NEW);
                out.extend_from_slice(body);
            }
            Sent::New { not_before: Some(at), group: None, body } => {
                out.put_u8(DELAYED);
                out.put_i64_le(at.0);
                out.extend_from_slice(body);
            }
            Sent::Copy(copy) => {
                out.put_u8(if copy.group.is_some() { GROUPED_COPY } else { COPY });
                out.put_u64_le(copy.id);
                out.put_i64_le(copy.not_before.0);
                out.put_i64_le(copy.sent_at.0);
                out.put_i64_le(copy.first_received_at.0);
                out.put_u32_le(copy.receives);
                copy.group.iter().for_each(|group| out.put_u64_le(*group));
                out.extend_from_slice(&copy.body);
            }
        }
    }

    pub(super) fn decode(mut data: Bytes) -> Option<Sent> {
        match data.try_get_u8().ok()? {
            NEW => Some(Sent::New { not_before: None, group: None, body: data }),
            DELAYED => {
                let at = Timestamp(data.try_get_i64_le().ok()?);
                Some(Sent::New { not_before: Some(at), group: None, body: data })
            }
            GROUPED => {
                let group = Some(data.try_get_u64_le().ok()?);
                let not_before = Some(Timestamp(data.try_get_i64_le().ok()?)).filter(|at| *at != AT_ONCE);
                Some(Sent::New { not_before, group, body: data })
            }
            kind @ (COPY | GROUPED_COPY) => Some(Sent::Copy(Copy {
                id: data.try_get_u64_le().ok()?,
                not_before: Timestamp(data.try_get_i64_le().ok()?),
                sent_at: Timestamp(data.try_get_i64_le().ok()?),
                first_received_at: Timestamp(data.try_get_i64_le().ok()?),
                receives: data.try_get_u32_le().ok()?,
                group: if kind == COPY { None } else { Some(data.try_get_u64_le().ok()?) },
                body: data,
            })),
            _ => None,
        }
    }
}

/// A record of a queue's acknowledgement log is a set of ids: pairs of a first id and the one past the last.
/// Ids are never used again, so the log's meaning is the union of its records, whatever their order.
pub(super) fn encode_acks(ids: impl Iterator<Item = (u64, u64)>, out: &mut Vec<u8>) {
    for (first, past) in ids {
        out.put_u64_le(first);
        out.put_u64_le(past);
    }
}

pub(super) fn decode_acks(mut data: &[u8], into: &mut Ranges) -> Option<()> {
    while !data.is_empty() {
        let first = data.try_get_u64_le().ok()?;
        let past = data.try_get_u64_le().ok().filter(|past| *past > first)?;
        into.insert(first, past);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_record_decodes_or_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(sent) = Sent::decode(Bytes::from(bytes.clone())) {
                let mut out = Vec::new();
                sent.encode(&mut out);
                prop_assert_eq!(&out[..], &bytes[..]);
            }
            let _ = decode_acks(&bytes, &mut Ranges::default());
        }
    }
}
