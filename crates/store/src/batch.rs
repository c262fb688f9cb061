use crate::cipher::{self, DataKey};
use crate::journal::BLOCK_HEAD;
use crate::{KeyId, LogId};
use bytes::{Buf, BufMut, Bytes};

/// Records for one log, or for one after another, framed straight into one buffer, which is what the writer hands to the
/// kernel.
#[derive(Debug)]
pub struct Batch {
    log: LogId,
    buffer: Vec<u8>,
    count: u32,
    cuts: Vec<Cut>,
    /// What it is to be encrypted under.
    key: Option<KeyId>,
    /// Whether it has been.
    sealed: bool,
}

/// Where a batch's buffer is cut into pieces.
#[derive(Debug)]
struct Cut {
    log: LogId,
    /// The piece's end in the buffer, and the records up to there.
    end: usize,
    count: u32,
    /// Known for large pieces once the batch is complete.
    checksum: Option<u32>,
    /// Whether it is the last of its log's.
    last: bool,
}

/// A block is what is read and verified as a whole, so a batch is cut where a reader would have to take too much.
pub(crate) const BLOCK_BYTES: usize = 128 << 10;

/// A piece is a block of its own from this size on, and its checksum the caller's work. Anything smaller may share a block
/// with other batches of its log.
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
        Batch { log, buffer: Vec::with_capacity(bytes), count: 0, cuts: Vec::new(), key: None, sealed: false }
    }

    /// What is added from here on is for another log. Many logs in one batch cost one buffer; an append answers for each
    /// of them in their order.
    pub fn turn_to(&mut self, log: LogId) {
        self.end();
        self.log = log;
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
        if self.open_bytes() >= BLOCK_BYTES {
            self.cut(false);
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

    /// Bytes since the last cut.
    fn open_bytes(&self) -> usize {
        self.buffer.len() - self.cuts.last().map_or(0, |cut| cut.end)
    }

    fn cut(&mut self, last: bool) {
        self.cuts.push(Cut { log: self.log, end: self.buffer.len(), count: self.count, checksum: None, last });
    }

    /// Ends the log it was given last.
    pub(crate) fn end(&mut self) {
        match self.cuts.last_mut().filter(|cut| !cut.last && cut.end == self.buffer.len()) {
            Some(cut) => cut.last = true,
            None => self.cut(true),
        }
    }

    /// The logs of a complete batch, each as often as the batch turned to it.
    pub(crate) fn logs(&self) -> impl Iterator<Item = LogId> {
        self.cuts.iter().filter(|cut| cut.last).map(|cut| cut.log)
    }

    /// Bytes it takes at most, record headers and the heads of its blocks included.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len() + self.cuts.len() * BLOCK_HEAD
    }

    pub(crate) fn key(&self) -> Option<KeyId> {
        self.key.filter(|_| !self.sealed)
    }

    /// Encrypts its pieces, in the caller's thread.
    pub(crate) fn seal(&mut self, key: &DataKey) {
        let mut sealed = Vec::with_capacity(self.buffer.len() + self.cuts.len() * cipher::OVERHEAD);
        let mut start = 0;
        for cut in &mut self.cuts {
            if cut.end > start {
                key.seal(cut.log.0, &self.buffer[start..cut.end], &mut sealed);
            }
            start = std::mem::replace(&mut cut.end, sealed.len());
        }
        self.buffer = sealed;
        self.sealed = true;
    }

    /// Computes the checksums of the pieces that become blocks of their own, so that callers do it side by side and not
    /// the one writer. The others may share a block with other batches.
    pub(crate) fn complete(&mut self) {
        let mut start = 0;
        for cut in &mut self.cuts {
            let piece = &self.buffer[start..cut.end];
            cut.checksum = (piece.len() >= OWN_BLOCK_BYTES).then(|| crc32c::crc32c(piece));
            start = cut.end;
        }
    }

    /// The framed records in pieces that are no longer than a block and one record.
    pub(crate) fn into_pieces(self) -> Pieces {
        Pieces { bytes: self.buffer.into(), taken: (0, 0), sealed: self.sealed, cuts: self.cuts.into_iter() }
    }
}

pub(crate) struct Pieces {
    bytes: Bytes,
    taken: (usize, u32),
    sealed: bool,
    cuts: std::vec::IntoIter<Cut>,
}

/// Framed records of a batch that stay together. None, where a log was given nothing.
pub(crate) struct Piece {
    pub(crate) log: LogId,
    pub(crate) bytes: Bytes,
    pub(crate) count: u32,
    /// Where it is known already.
    pub(crate) checksum: Option<u32>,
    /// Whether it is encrypted.
    pub(crate) sealed: bool,
    /// Whether it is the last of its log's.
    pub(crate) last: bool,
}

impl Iterator for Pieces {
    type Item = Piece;
    fn next(&mut self) -> Option<Piece> {
        let Cut { log, end, count, checksum, last } = self.cuts.next()?;
        let bytes = self.bytes.split_to(end - self.taken.0);
        let piece = Piece { log, bytes, count: count - self.taken.1, checksum, sealed: self.sealed, last };
        self.taken = (end, count);
        Some(piece)
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
        batch.end();
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
    fn a_log_after_another_has_pieces_of_its_own() {
        let mut batch = Batch::new(LogId(1));
        batch.push(&[1; 10]);
        batch.turn_to(LogId(2));
        batch.turn_to(LogId(3));
        batch.push(&vec![3; BLOCK_BYTES]);
        batch.turn_to(LogId(1));
        batch.push(&vec![4; BLOCK_BYTES]);
        batch.push(&[5]);
        batch.end();
        batch.complete();
        assert_eq!(batch.logs().collect::<Vec<_>>(), [1, 2, 3, 1].map(LogId));
        let shape = |piece: Piece| (piece.log.0, piece.bytes.len(), piece.count, piece.last, piece.checksum.is_some());
        let large = BLOCK_BYTES + RECORD_HEADER;
        let expected = [
            (1, 14, 1, true, false),
            (2, 0, 0, true, false),
            (3, large, 1, true, true),
            (1, large, 1, false, true),
            (1, 5, 1, true, false),
        ];
        assert_eq!(batch.into_pieces().map(shape).collect::<Vec<_>>(), expected);
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
