//! A record as it lies in its shard's log. Described byte for byte in `docs/formats/streams.md`.

use bytes::{BufMut, Bytes, BytesMut};

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

/// How many bytes [`write`] appends.
pub(crate) fn size(key: &str, data: &[u8]) -> usize {
    HEADER + key.len() + data.len()
}

/// Appends a record.
pub(crate) fn write(key: &str, data: &[u8], out: &mut BytesMut) {
    out.put_u8(FLAGS);
    out.put_u16_le(u16::try_from(key.len()).expect("a partition key has at most 256 characters"));
    out.put_slice(key.as_bytes());
    out.put_slice(data);
}

/// Takes a record apart.
pub(crate) fn read(record: &Bytes) -> Result<StoredRecord, NotARecord> {
    let &[FLAGS, low, high, ..] = &record[..] else { return Err(NotARecord) };
    let split = HEADER + usize::from(u16::from_le_bytes([low, high]));
    if split > record.len() || std::str::from_utf8(&record[HEADER..split]).is_err() {
        return Err(NotARecord);
    }
    Ok(StoredRecord { key: record.slice(HEADER..split), data: record.slice(split..) })
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
        let mut out = BytesMut::new();
        write("k1", b"data", &mut out);
        assert_eq!(&out[..], b"\x00\x02\x00k1data");
        assert_eq!(out.len(), size("k1", b"data"));
    }

    proptest! {
        #[test]
        fn there_and_back(key in ".{0,256}", data: Vec<u8>) {
            let mut out = BytesMut::new();
            write(&key, &data, &mut out);
            let record = read(&out.freeze()).unwrap();
            prop_assert_eq!(record.key(), key);
            prop_assert_eq!(&record.data[..], data);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(record) = read(&Bytes::from(bytes.clone())) {
                let mut out = BytesMut::new();
                write(record.key(), &record.data, &mut out);
                prop_assert_eq!(&out[..], &bytes);
            }
        }
    }
}
