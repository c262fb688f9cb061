//! Turns calls into the blocks of one group. Pure.

use super::frame::{BlockHead, META_LOG, frame_len};
use super::index::Index;
use super::meta::Meta;
use super::recent::Parts;
use crate::batch::{BLOCK_BYTES, Piece, RECORD_HEADER};
use crate::{Appended, Batch, LogId, StoreError, Timestamp};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(super) type Done<T> = oneshot::Sender<Result<T, StoreError>>;

/// A call that waits for the writer.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) bytes: usize,
    pub(super) permit: OwnedSemaphorePermit,
}

pub(super) enum Work {
    Append { batches: Vec<Batch>, done: Option<Done<Vec<Appended>>> },
    Create { name: String, done: Done<LogId> },
    Drop { logs: Vec<LogId>, done: Done<()> },
}

impl Request {
    pub(super) fn refuse(self, error: &StoreError) {
        // Whoever asked may be gone; a lazy append has nobody.
        match self.work {
            Work::Append { done, .. } => drop(done.map(|done| done.send(Err(error.clone())))),
            Work::Create { done, .. } => drop(done.send(Err(error.clone()))),
            Work::Drop { done, .. } => drop(done.send(Err(error.clone()))),
        }
    }
}

/// What a caller is told once its group is durable.
enum Answer {
    Appended(Done<Vec<Appended>>, Vec<Appended>),
    Created(Done<LogId>, LogId),
    Dropped(Done<()>, Vec<LogId>),
}

/// A block whose body is in the buffers of the batches it came with.
pub(super) struct Block {
    pub(super) head: BlockHead,
    pub(super) first: Bytes,
    /// What joined it from other batches.
    pub(super) more: Vec<Bytes>,
}

impl Block {
    /// A block in one part.
    pub(super) fn new(head: BlockHead, body: Bytes) -> Block {
        Block { head, first: body, more: Vec::new() }
    }

    /// The parts of its body.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) meta: Vec<Meta>,
    pub(super) blocks: Vec<Block>,
    answers: Vec<(Answer, OwnedSemaphorePermit)>,
    /// Room that lazy appends take until the group is written.
    permits: Vec<OwnedSemaphorePermit>,
}

impl Group {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.meta.is_empty() && self.blocks.is_empty()
    }

    /// Bytes of its frame, where its own records take `meta` bytes.
    pub(super) fn frame_len(&self, meta: usize) -> u64 {
        let body: usize = self.blocks.iter().map(|block| block.head.bytes as usize).sum();
        frame_len(self.blocks.len() + usize::from(meta > 0), body + meta)
    }

    /// The parts of its blocks and where they lie, where the first begins at `offset`. Not what was there before: a moved
    /// block is nothing that was written only just now.
    pub(super) fn parts_at(&self, offset: u64) -> Parts {
        let mut at = u32::try_from(offset).expect("a segment is smaller than 4 GiB");
        let mut parts = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let mut offset = at;
            at += block.head.bytes;
            for part in block.parts().filter(|_| !block.head.relocated) {
                parts.push((offset, part.clone()));
                offset += part.len() as u32;
            }
        }
        parts
    }

    /// Tells every caller that it is done.
    pub(super) fn acknowledge(self) {
        for (answer, permit) in self.answers {
            drop(permit);
            // Whoever asked may be gone.
            match answer {
                Answer::Appended(done, appended) => drop(done.send(Ok(appended))),
                Answer::Created(done, log) => drop(done.send(Ok(log))),
                Answer::Dropped(done, _) => drop(done.send(Ok(()))),
            }
        }
    }

    /// Tells every caller why not.
    pub(super) fn refuse(self, error: &StoreError) {
        self.refuse_appends(error).into_iter().for_each(|request| request.refuse(error));
    }

    /// Tells every caller why not, but those who want logs dropped, which may still work.
    pub(super) fn refuse_appends(self, error: &StoreError) -> Vec<Request> {
        let mut drops = Vec::new();
        for (answer, permit) in self.answers {
            match answer {
                Answer::Appended(done, _) => drop(done.send(Err(error.clone()))),
                Answer::Created(done, _) => drop(done.send(Err(error.clone()))),
                Answer::Dropped(done, logs) => {
                    drops.push(Request { bytes: 0, permit, work: Work::Drop { logs, done } });
                }
            }
        }
        drops
    }
}

/// The journal's own records as a group's first block; `None` where there are none.
pub(super) fn meta_block(records: &[Meta]) -> Option<Block> {
    let mut body = BytesMut::new();
    for meta in records {
        let start = body.len();
        body.put_u32_le(0);
        meta.encode(&mut body);
        let len = u32::try_from(body.len() - start - RECORD_HEADER).expect("the journal's own records are small");
        body[start..start + RECORD_HEADER].copy_from_slice(&len.to_le_bytes());
    }
    let head = BlockHead {
        log: META_LOG,
        first: 0,
        at: Timestamp::default(),
        count: u32::try_from(records.len()).expect("a group has few records of the journal's own"),
        bytes: u32::try_from(body.len()).expect("the journal's own records are small"),
        checksum: crc32c::crc32c(&body),
        relocated: false,
        sealed: false,
    };
    (!records.is_empty()).then(|| Block::new(head, body.freeze()))
}

/// Where a log stands within the group.
struct Tail {
    next: u64,
    at: Timestamp,
    /// The block that takes more.
    open: Option<usize>,
}

struct Planner<'a> {
    index: &'a Index,
    now: Timestamp,
    group: Group,
    tails: HashMap<u64, Option<Tail>>,
    created: BTreeMap<String, u64>,
    next_log: u64,
}

/// `moved` are blocks that are written again because their segment is given up.
pub(super) fn plan(index: &Index, now: Timestamp, requests: Vec<Request>, moved: Vec<Block>) -> Group {
    let group = Group { blocks: moved, ..Group::default() };
    let next_log = index.next_log.max(META_LOG + 1);
    let mut planner = Planner { index, now, group, tails: HashMap::new(), created: BTreeMap::new(), next_log };
    for id in &index.trims {
        if let Some(log) = index.logs.get(id) {
            planner.group.meta.push(Meta::Trimmed { log: *id, before: log.first });
        }
    }
    requests.into_iter().for_each(|request| planner.add(request));
    planner.group
}

impl Planner<'_> {
    fn add(&mut self, request: Request) {
        let Request { work, permit, .. } = request;
        match work {
            Work::Append { batches, done } => {
                let missing = batches.iter().flat_map(Batch::logs).find(|log| self.tail(*log).is_none());
                let outcome = match missing {
                    Some(log) => Err(StoreError::NoLog(log)),
                    None => Ok(self.append(batches)),
                };
                match (done, outcome) {
                    (Some(done), Ok(appended)) => self.answer(Answer::Appended(done, appended), permit),
                    (Some(done), Err(error)) => drop(done.send(Err(error))),
                    (None, _) => self.group.permits.push(permit),
                }
            }
            Work::Create { name, done } => {
                let log = self.create(name);
                self.answer(Answer::Created(done, log), permit);
            }
            Work::Drop { logs, done } => {
                for log in &logs {
                    if self.tail(*log).is_some() {
                        self.tails.insert(log.0, None);
                        self.group.meta.push(Meta::Dropped { log: log.0 });
                        self.group.blocks.retain(|block| block.head.log != log.0);
                        self.tails.values_mut().flatten().for_each(|tail| tail.open = None);
                    }
                }
                self.answer(Answer::Dropped(done, logs), permit);
            }
        }
    }

    fn answer(&mut self, answer: Answer, permit: OwnedSemaphorePermit) {
        self.group.answers.push((answer, permit));
    }

    fn create(&mut self, name: String) -> LogId {
        let known = self.index.names.get(name.as_str()).copied().filter(|id| self.tail(LogId(*id)).is_some());
        if let Some(id) = known.or_else(|| self.created.get(&name).copied()) {
            return LogId(id);
        }
        let id = self.next_log;
        self.next_log += 1;
        self.group.meta.push(Meta::Created { log: id, name: name.clone() });
        self.created.insert(name, id);
        LogId(id)
    }

    fn tail(&mut self, log: LogId) -> Option<&mut Tail> {
        let index = self.index;
        let tail = self
            .tails
            .entry(log.0)
            .or_insert_with(|| index.logs.get(&log.0).map(|log| Tail { next: log.next, at: log.last_at, open: None }));
        tail.as_mut()
    }

    /// Where each log's records go, in their order.
    fn append(&mut self, batches: Vec<Batch>) -> Vec<Appended> {
        let mut appended = Vec::with_capacity(batches.iter().map(|batch| batch.logs().count()).sum());
        let mut first = None;
        for piece in batches.into_iter().flat_map(Batch::into_pieces) {
            let last = piece.last;
            let place = self.add_piece(piece);
            let place = Appended { first: first.unwrap_or(place.first), at: place.at };
            first = Some(place.first).filter(|_| !last);
            appended.extend(last.then_some(place));
        }
        appended
    }

    fn add_piece(&mut self, piece: Piece) -> Appended {
        let Piece { log, bytes, count, checksum, sealed, .. } = piece;
        let Planner { tails, group, now, .. } = self;
        let tail = tails.get_mut(&log.0).and_then(Option::as_mut).expect("the caller has looked");
        tail.at = tail.at.max(*now);
        let (first, at) = (tail.next, tail.at);
        if count == 0 {
            return Appended { first, at };
        }
        let len = u32::try_from(bytes.len()).expect("a call is far smaller than 4 GiB");
        let joins = |i: &usize| {
            let head = &group.blocks[*i].head;
            head.sealed == sealed && head.bytes as usize + bytes.len() <= BLOCK_BYTES
        };
        let block = match tail.open.filter(joins) {
            Some(i) => {
                let block = &mut group.blocks[i];
                block.head.checksum = crc32c::crc32c_append(block.head.checksum, &bytes);
                block.head.count += count;
                block.head.bytes += len;
                block.more.push(bytes);
                i
            }
            None => {
                let checksum = checksum.unwrap_or_else(|| crc32c::crc32c(&bytes));
                let (log, relocated) = (log.0, false);
                let head = BlockHead { log, first, at, count, bytes: len, checksum, relocated, sealed };
                group.blocks.push(Block::new(head, bytes));
                group.blocks.len() - 1
            }
        };
        (tail.next, tail.open) = (first + u64::from(count), Some(block));
        Appended { first, at }
    }
}
