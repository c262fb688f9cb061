//! A record as it lies in its shard's log. Described byte for byte in `docs/formats/streams.md`.

use bytes::{BufMut, Bytes};
use wire::codec::fast::Base64;

/// What stands before the key: flags and the key's length.
const HEADER: usize = 3;

/// No flag is defined yet: a set one means a record this program cannot read.
const FLAGS: u8 = 0;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of a stream is damaged")]
pub(crate) struct NotARecord;

/// A record taken apart. Both parts are slices of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    /// The partition key, which is UTF-8.
    pub(crate) key: Bytes,
    /// The payload.
    pub(crate) data: Bytes,
}

/// A payload as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// As it is.
    Plain(&'a [u8]),
    /// In base64: decoded only where it is to lie.
    Base64(Base64<'a>),
}

impl Payload<'_> {
    /// How many bytes it has.
    pub(crate) fn len(self) -> usize {
        match self {
            Payload::Plain(bytes) => bytes.len(),
            Payload::Base64(text) => text.len(),
        }
    }
}

/// How many bytes [`write`] appends.
pub(crate) fn size(key: &str, data: Payload<'_>) -> usize {
    HEADER + key.len() + data.len()
}

/// Appends a record.
pub(crate) fn write(key: &str, data: Payload<'_>, out: &mut Vec<u8>) {
    out.put_u8(FLAGS);
    out.put_u16_le(u16::try_from(key.len()).expect("a partition key has at most 256 characters"));
    out.put_slice(key.as_bytes());
    match data {
        Payload::Plain(bytes) => out.put_slice(bytes),
        Payload::Base64(text) => text.decode_into(out),
    }
}

/// Takes a record apart.
pub(crate) fn read(record: &Bytes) -> Result<StoredRecord, NotARecord> {
    let (key, data) = parts(record)?;
    Ok(StoredRecord { key: record.slice_ref(key.as_bytes()), data: record.slice_ref(data) })
}

/// A record's key and payload.
pub(crate) fn parts(record: &[u8]) -> Result<(&str, &[u8]), NotARecord> {
    let (&[FLAGS, low, high], rest) = record.split_first_chunk::<HEADER>().ok_or(NotARecord)? else {
        return Err(NotARecord);
    };
    let (key, data) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high]))).ok_or(NotARecord)?;
    Ok((std::str::from_utf8(key).map_err(|_| NotARecord)?, data))
}

impl StoredRecord {
    /// The partition key as text.
    pub(crate) fn key(&self) -> &str {
        std::str::from_utf8(&self.key).expect("checked when the record was taken apart")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The golden record of `docs/formats/streams.md`: what is on disks already must stay readable.
    #[test]
    fn the_format_does_not_change() {
        for data in [Payload::Plain(b"data"), Payload::Base64(Base64::new(b"ZGF0YQ==").unwrap())] {
            let mut out = Vec::new();
            write("k1", data, &mut out);
            assert_eq!(&out[..], b"\x00\x02\x00k1data");
            assert_eq!(out.len(), size("k1", data));
        }
    }

    proptest! {
        #[test]
        fn there_and_back(key in ".{0,256}", data: Vec<u8>) {
            let mut out = Vec::new();
            write(&key, Payload::Plain(&data), &mut out);
            let record = read(&out.into()).unwrap();
            prop_assert_eq!(record.key(), key);
            prop_assert_eq!(&record.data[..], data);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(record) = read(&Bytes::from(bytes.clone())) {
                let mut out = Vec::new();
                write(record.key(), Payload::Plain(&record.data), &mut out);
                prop_assert_eq!(&out[..], &bytes);
            }
        }
    }
}
