//! Messages come in: the one way, for callers, for other services and for what is moved from queue to queue.

use crate::Queues;
use crate::dedup::{self, Key, Seen};
use crate::error::{INVALID_PARAMETER_VALUE, MISSING_PARAMETER, REQUEST_THROTTLED, bad_value};
use crate::limits::{DEDUPLICATION, FIFO_ID_LENGTH, SEEN};
use crate::message::{self, Attribute, Fifo, Group, Message};
use crate::room::{Room, Turn, before};
use bytes::Bytes;
use names::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, StoreError};
use wire::ApiError;
use world::Stage;

/// What somebody wants to send.
pub(crate) struct Post {
    /// The principal id of the sender.
    pub(crate) sender: String,
    pub(crate) trace: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) delay_s: Option<u32>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
}

/// A message that may go into a queue.
pub(crate) struct Draft {
    pub(crate) message: Message,
    not_before: Option<Timestamp>,
    key: Option<Key>,
}

/// A message that is in its queue, this one or the one it is a duplicate of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    /// The message's id.
    pub(crate) id: [u8; 16],
    /// Its place, in FIFO queues.
    pub(crate) sequence: Option<u64>,
}

/// A message of this body and these attributes, as the queue's settings allow it.
pub(crate) fn draft(queues: &Queues, room: &Room, post: Post) -> Result<Draft, ApiError> {
    let settings = room.settings();
    let now = queues.world.now();
    let (group, key) = group(room, &post)?;
    let message = Message {
        id: new_id(queues),
        sent_at: now,
        sender: post.sender,
        trace: post.trace,
        moved_from: None,
        group,
        attributes: post.attributes,
        body: post.body,
    };
    message.check(settings.max_bytes as usize)?;
    let delay_s = match (post.delay_s, room.is_fifo()) {
        (Some(delay), true) if delay > 0 && delay != settings.delay_s => {
            let why = "The request include parameter that is not valid for this queue type.";
            return Err(bad_value("DelaySeconds", delay, why));
        }
        (given, false) => given.unwrap_or(settings.delay_s),
        (_, true) => settings.delay_s,
    };
    let not_before = (delay_s > 0).then(|| now.plus(Duration::from_secs(u64::from(delay_s))));
    Ok(Draft { message, not_before, key })
}

/// The group of a message, and what tells it from others.
fn group(room: &Room, post: &Post) -> Result<(Option<Group>, Option<Key>), ApiError> {
    if let Some(group) = &post.group {
        check_id("MessageGroupId", group)?;
    }
    if let Some(id) = &post.deduplication {
        check_id("MessageDeduplicationId", id)?;
    }
    let settings = room.settings();
    let Some(fifo) = settings.fifo else {
        if let Some(id) = &post.deduplication {
            let why = "The request include parameter that is not valid for this queue type.";
            return Err(bad_value("MessageDeduplicationId", id, why));
        }
        return Ok((post.group.clone().map(|id| Group { id, fifo: None }), None));
    };
    let Some(id) = post.group.clone() else {
        return Err(MISSING_PARAMETER.because("The request must contain the parameter MessageGroupId."));
    };
    let deduplication = match &post.deduplication {
        Some(id) => id.clone(),
        None if fifo.by_content => dedup::of_content(&post.body),
        None => {
            return Err(INVALID_PARAMETER_VALUE.because(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            ));
        }
    };
    let key = dedup::key(fifo.scope_group.then_some(id.as_str()), &deduplication);
    // The sequence number is known when the message takes its place.
    let fifo = Some(Fifo { deduplication, sequence: 1 });
    Ok((Some(Group { id, fifo }), Some(key)))
}

/// Letters, digits and punctuation, of the same length for all ids of FIFO queues.
pub(crate) fn check_id(parameter: &str, id: &str) -> Result<(), ApiError> {
    if FIFO_ID_LENGTH.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let why = format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(bad_value(parameter, id, &why))
}

/// A random UUID, version 4.
pub(crate) fn new_id(queues: &Queues) -> [u8; 16] {
    let mut id = [0; 16];
    queues.world.entropy.fill(&mut id);
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

impl Draft {
    /// A message that was in another queue.
    pub(crate) fn moved(message: Message) -> Draft {
        Draft { message, not_before: None, key: None }
    }

    fn stored(&self) -> store::Message {
        store::Message {
            body: self.message.encode(),
            not_before: self.not_before,
            group: self.message.group.as_ref().map(|group| dedup::group(&group.id)),
        }
    }
}

/// Puts messages into the queue. Durable when it returns. In their order, and in FIFO queues each once.
pub(crate) async fn accept(queues: &Queues, room: &Arc<Room>, drafts: Vec<Draft>) -> Result<Vec<Accepted>, ApiError> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    if !room.is_fifo() {
        let sizes: Vec<usize> = drafts.iter().map(|draft| draft.message.size()).collect();
        let all = drafts.iter().map(|draft| Accepted { id: draft.message.id, sequence: None }).collect();
        room.messages.send(drafts.iter().map(Draft::stored).collect()).await?;
        measure(room, &sizes);
        return Ok(all);
    }
    // Whoever sent a message may go away before it is durable; what was seen must then be settled all the same.
    let sent = send_in_turn(room.clone(), queues.world.now(), drafts);
    let outcome = queues.world.tasks.finish(Stage::Store, "queue send", sent).await;
    // Made where it is needed only: it is logged.
    outcome.unwrap_or_else(|| Err(ApiError::from(StoreError::Closed)))
}

fn measure(room: &Room, sizes: &[usize]) {
    room.meters.sent.record(sizes.len() as u64);
    sizes.iter().for_each(|size| room.meters.sent_size.record(*size as u64));
}

async fn send_in_turn(room: Arc<Room>, now: Timestamp, drafts: Vec<Draft>) -> Result<Vec<Accepted>, ApiError> {
    let fifo = room.fifo.as_ref().expect("only FIFO queues send in turn");
    let mut turn = fifo.turn.lock().await;
    turn.seen.forget(before(now, DEDUPLICATION));
    if turn.seen.len() + drafts.len() > SEEN {
        return Err(REQUEST_THROTTLED.because(format!("Rate exceeded: over {SEEN} messages in five minutes.")));
    }
    let Placed { accepted, fresh, seen, known } = place(&mut turn, drafts);
    let sizes: Vec<usize> = fresh.iter().map(|draft| draft.message.size()).collect();
    let record = record(fifo.log, turn.next_sequence, &seen);
    // Where all are duplicates the record is written, too: it is durable when what they are duplicates of is.
    let sending = room.messages.submit(fresh.iter().map(Draft::stored).collect(), vec![record]).await?;
    seen.iter().for_each(|(key, one)| turn.seen.add(now, *key, *one));
    drop(turn);
    if let Err(error) = sending.durable().await {
        let mut turn = fifo.turn.lock().await;
        seen.iter().for_each(|(key, one)| turn.seen.take_back(key, one.sequence));
        return Err(error.into());
    }
    if !known.is_empty() {
        let turn = fifo.turn.lock().await;
        if known.iter().any(|(key, one)| turn.seen.get(key) != Some(*one)) {
            return Err(ApiError::fault("the message that this one repeats could not be kept"));
        }
        room.meters.deduplicated.record(known.len() as u64);
    }
    if !sizes.is_empty() {
        measure(&room, &sizes);
    }
    Ok(accepted)
}

/// What becomes of the messages of one call.
struct Placed {
    accepted: Vec<Accepted>,
    /// Those that are new.
    fresh: Vec<Draft>,
    seen: Vec<(Key, Seen)>,
    /// What the others repeat.
    known: Vec<(Key, Seen)>,
}

fn place(turn: &mut Turn, drafts: Vec<Draft>) -> Placed {
    let mut placed = Placed { accepted: Vec::new(), fresh: Vec::new(), seen: Vec::new(), known: Vec::new() };
    for mut draft in drafts {
        let found = draft.key.and_then(|key| {
            let here = placed.seen.iter().find(|(other, _)| *other == key).map(|(_, seen)| *seen);
            Some((key, here.or_else(|| turn.seen.get(&key))?))
        });
        if let Some((key, seen)) = found {
            placed.known.push((key, seen));
            placed.accepted.push(Accepted { id: seen.message, sequence: Some(seen.sequence) });
            continue;
        }
        let sequence = turn.next_sequence;
        turn.next_sequence += 1;
        if let Some(fifo) = draft.message.group.as_mut().and_then(|group| group.fifo.as_mut()) {
            fifo.sequence = sequence;
        }
        let id = draft.message.id;
        placed.seen.extend(draft.key.map(|key| (key, Seen { message: id, sequence })));
        placed.accepted.push(Accepted { id, sequence: Some(sequence) });
        placed.fresh.push(draft);
    }
    placed
}

fn record(log: store::LogId, next: u64, seen: &[(Key, Seen)]) -> Batch {
    let mut batch = Batch::new(log);
    batch.push(&dedup::encode(next, seen));
    batch
}

/// Moves received messages from one queue to another, also where whoever asked goes away: after a crash each is in one
/// of them.
pub(crate) async fn forward(
    queues: &Queues,
    (from, to): (&Arc<Room>, &Arc<Room>),
    ids: Vec<u64>,
    messages: Vec<Message>,
) -> Result<(), StoreError> {
    let moved = forward_in_turn(from.clone(), to.clone(), ids, messages);
    let outcome = queues.world.tasks.finish(Stage::Store, "queue forward", moved).await;
    outcome.unwrap_or(Err(StoreError::Closed))
}

async fn forward_in_turn(
    from: Arc<Room>,
    to: Arc<Room>,
    ids: Vec<u64>,
    messages: Vec<Message>,
) -> Result<(), StoreError> {
    let drafts: Vec<Draft> = messages.into_iter().map(Draft::moved).collect();
    let Some(fifo) = &to.fifo else {
        let moved = drafts.iter().map(Draft::stored).collect();
        return from.messages.forward(&ids, &to.messages, moved, Vec::new()).await?.durable().await.map(drop);
    };
    let mut turn = fifo.turn.lock().await;
    let placed = place(&mut turn, drafts);
    let moved = placed.fresh.iter().map(Draft::stored).collect();
    let along = vec![record(fifo.log, turn.next_sequence, &[])];
    let sending = from.messages.forward(&ids, &to.messages, moved, along).await?;
    drop(turn);
    sending.durable().await.map(drop)
}

impl Accepted {
    /// The id in its usual form.
    pub(crate) fn uuid(&self) -> String {
        message::uuid(&self.id)
    }

    /// The sequence number as SQS writes it.
    pub(crate) fn sequence_text(&self) -> Option<String> {
        self.sequence.map(message::sequence_text)
    }
}
