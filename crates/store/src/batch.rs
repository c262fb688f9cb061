use crate::cipher::{self, DataKey};
use crate::{KeyId, LogId};
use bytes::{Buf, BufMut, Bytes};

/// Records for one log, framed straight into one buffer, which is what the writer hands to the kernel.
#[derive(Debug)]
pub struct Batch {
    log: LogId,
    buffer: Vec<u8>,
    count: u32,
    /// Where the buffer is cut into blocks: end offset and records so far.
    cuts: Vec<(usize, u32)>,
    /// What it is to be encrypted under.
    key: Option<KeyId>,
    /// Whether it has been.
    sealed: bool,
    /// The large pieces' checksums, once the batch is complete.
    checksums: Vec<u32>,
}

/// A block is what is read and verified as a whole, so a batch is cut where a reader would have to take too much.
pub(crate) const BLOCK_BYTES: usize = 128 << 10;

/// The end of a batch is a block of its own, like the blocks before it, from this size on: then its checksum is the
/// caller's work. Anything smaller may share a block with other batches of its log.
const OWN_BLOCK_BYTES: usize = BLOCK_BYTES / 4;

/// Each record is preceded by its length.
pub(crate) const RECORD_HEADER: usize = 4;

impl Batch {
    /// What a record takes beside its own bytes.
    pub const RECORD_BYTES: usize = RECORD_HEADER;

    /// An empty batch.
    pub fn new(log: LogId) -> Batch {
        Batch::with_capacity(log, 0)
    }

    /// An empty batch with room for so many bytes of records, [`Batch::RECORD_BYTES`] for each included.
    pub fn with_capacity(log: LogId, bytes: usize) -> Batch {
        let buffer = Vec::with_capacity(bytes);
        Batch { log, buffer, count: 0, cuts: Vec::new(), key: None, sealed: false, checksums: Vec::new() }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.push_with(record.len(), |buffer| buffer.extend_from_slice(record));
    }

    /// Adds the record that `write` appends to the buffer; what is there already is not its to touch.
    pub fn push_with(&mut self, size_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        self.buffer.reserve(RECORD_HEADER + size_hint);
        self.buffer.put_u32_le(0);
        write(&mut self.buffer);
        let len = self.buffer.len().checked_sub(start + RECORD_HEADER).expect("a record writer only appends");
        let len = u32::try_from(len).expect("a record is far smaller than 4 GiB");
        self.buffer[start..start + RECORD_HEADER].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        if self.buffer.len() - self.cuts.last().map_or(0, |c| c.0) >= BLOCK_BYTES {
            self.cuts.push((self.buffer.len(), self.count));
        }
    }

    /// Has its records encrypted on disk under this key.
    pub fn seal_under(&mut self, key: KeyId) {
        self.key = Some(key);
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    /// Bytes it takes, record headers included.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn key(&self) -> Option<KeyId> {
        self.key.filter(|_| !self.sealed)
    }

    /// Encrypts its pieces, in the caller's thread.
    pub(crate) fn seal(&mut self, key: &DataKey) {
        let mut sealed = Vec::with_capacity(self.buffer.len() + (self.cuts.len() + 1) * cipher::OVERHEAD);
        let mut start = 0;
        for (end, _) in &mut self.cuts {
            key.seal(self.log.0, &self.buffer[start..*end], &mut sealed);
            start = std::mem::replace(end, sealed.len());
        }
        if start < self.buffer.len() {
            key.seal(self.log.0, &self.buffer[start..], &mut sealed);
        }
        self.buffer = sealed;
        self.sealed = true;
    }

    /// Computes the checksums of the pieces that become blocks of their own, so that callers do it side by side and not
    /// the one writer. The rest of the batch may share a block with other batches.
    pub(crate) fn complete(&mut self) {
        if self.buffer.len() - self.cuts.last().map_or(0, |c| c.0) >= OWN_BLOCK_BYTES {
            self.cuts.push((self.buffer.len(), self.count));
        }
        let mut start = 0;
        for (end, _) in &self.cuts {
            self.checksums.push(crc32c::crc32c(&self.buffer[start..*end]));
            start = *end;
        }
    }

    /// The framed records in pieces that are no longer than a block and one record.
    pub(crate) fn into_pieces(mut self) -> Pieces {
        if self.cuts.last().map_or(0, |c| c.0) < self.buffer.len() {
            self.cuts.push((self.buffer.len(), self.count));
        }
        Pieces {
            bytes: self.buffer.into(),
            taken: (0, 0),
            sealed: self.sealed,
            cuts: self.cuts.into_iter(),
            checksums: self.checksums.into_iter(),
        }
    }
}

pub(crate) struct Pieces {
    bytes: Bytes,
    taken: (usize, u32),
    sealed: bool,
    cuts: std::vec::IntoIter<(usize, u32)>,
    checksums: std::vec::IntoIter<u32>,
}

/// Framed records of a batch that stay together.
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) count: u32,
    /// Where it is known already.
    pub(crate) checksum: Option<u32>,
    /// Whether it is encrypted.
    pub(crate) sealed: bool,
}

impl Iterator for Pieces {
    type Item = Piece;
    fn next(&mut self) -> Option<Piece> {
        let cut = self.cuts.next()?;
        let bytes = self.bytes.split_to(cut.0 - self.taken.0);
        let count = cut.1 - self.taken.1;
        self.taken = cut;
        Some(Piece { bytes, count, checksum: self.checksums.next(), sealed: self.sealed })
    }
}

/// Takes one framed record off the front; `None` where the bytes are not framed records.
pub(crate) fn take_record(block: &mut Bytes) -> Option<Bytes> {
    if block.len() < RECORD_HEADER {
        return None;
    }
    let len = (&block[..]).get_u32_le() as usize;
    if block.len() - RECORD_HEADER < len {
        return None;
    }
    block.advance(RECORD_HEADER);
    Some(block.split_to(len))
}

/// As [`take_record`], without keeping the block.
pub(crate) fn split_record<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = block.split_first_chunk::<RECORD_HEADER>()?;
    let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *block = rest;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_every_record_once() {
        let mut batch = Batch::new(LogId(1));
        let sizes = [0usize, 1, 70_000, 70_000, 300_000, 5, 131_068, 9, 40_000];
        for (i, size) in sizes.iter().enumerate() {
            batch.push(&vec![i as u8; *size]);
        }
        let mut seen = Vec::new();
        batch.complete();
        for mut piece in batch.into_pieces() {
            assert!(piece.checksum.is_none_or(|checksum| checksum == crc32c::crc32c(&piece.bytes)));
            for _ in 0..piece.count {
                seen.push(take_record(&mut piece.bytes).unwrap());
            }
            assert!(piece.bytes.is_empty());
        }
        assert_eq!(seen.iter().map(Bytes::len).collect::<Vec<_>>(), sizes);
        assert!(seen.iter().enumerate().all(|(i, r)| r.iter().all(|b| *b == i as u8)));
    }

    #[test]
    fn a_cut_record_is_not_taken() {
        let mut bytes = Bytes::from_static(&[5, 0, 0, 0, 1, 2]);
        assert_eq!(take_record(&mut bytes), None);
        assert_eq!(split_record(&mut &bytes[..]), None);
        let mut two = &[1, 0, 0, 0, 7, 0, 0, 0, 0, 9][..];
        assert_eq!((split_record(&mut two), split_record(&mut two), two), (Some(&[7][..]), Some(&[][..]), &[9][..]));
    }
}
