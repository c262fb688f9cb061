//! Looking for events: chunk by chunk, those first that may hold what comes first.

use crate::chunk::bit;
use crate::event::{Event, NotAnEvent};
use crate::limits::SCAN_BYTES;
use crate::pattern::Pattern;
use crate::room::{ReadError, Room};
use crate::selection::{Direction, Found, Key, Page, Selection};
use std::collections::BTreeSet;
use store::{ReadLimit, Store};

/// What is looked for.
pub(crate) struct Query {
    pub(crate) direction: Direction,
    pub(crate) lo: Key,
    pub(crate) hi: Key,
    pub(crate) room: crate::selection::Room,
    /// The numbers of the streams; all where nothing is said.
    pub(crate) streams: Option<BTreeSet<u64>>,
    pub(crate) pattern: Pattern,
}

/// Events that lie together, and between which time stamps.
#[derive(Clone, Copy, Debug)]
struct Part {
    first: u64,
    next: u64,
    oldest: i64,
    newest: i64,
    bytes: u64,
}

impl Room {
    /// The page that a query begins with.
    pub(crate) async fn look(&self, store: &Store, query: &Query) -> Result<Page, ReadError> {
        let mut selection = Selection::new(query.direction, query.lo, query.hi, query.room);
        let mut looked = 0;
        for part in self.parts(store, query) {
            if !selection.wants_any(part.oldest, part.newest) {
                // Parts are in the order of where they begin to matter, but not of where they end.
                continue;
            }
            if looked >= SCAN_BYTES && selection.cut(part.oldest, part.newest) {
                break;
            }
            self.look_into(store, part, query, &mut selection)?;
            looked += part.bytes;
            // A long look must not keep others from this thread.
            tokio::task::yield_now().await;
        }
        Ok(selection.finish())
    }

    /// What may hold events of the query, in the order in which the selection may end early.
    fn parts(&self, store: &Store, query: &Query) -> Vec<Part> {
        let wanted = query.streams.as_ref().map_or(u64::MAX, |streams| streams.iter().fold(0, |m, s| m | bit(*s)));
        let chunks = self.chunks();
        let fits = |oldest: i64, newest: i64| (oldest, 0) < query.hi && query.lo <= (newest, u64::MAX);
        let closed = chunks.closed.iter().filter(|c| c.mask & wanted != 0 && fits(c.oldest, c.newest));
        let part = |c: &crate::chunk::Chunk| Part {
            first: c.first,
            next: c.next,
            oldest: c.oldest,
            newest: c.newest,
            bytes: c.bytes,
        };
        let mut parts: Vec<Part> = closed.map(part).collect();
        match query.direction {
            Direction::Forward => parts.sort_by_key(|part| part.oldest),
            Direction::Backward => parts.sort_by_key(|part| std::cmp::Reverse(part.newest)),
        }
        let next = store.extent(self.events).next;
        // Of what is in no chunk yet nothing is known: it is always looked at, and first.
        let open = Part { first: chunks.next, next, oldest: i64::MIN, newest: i64::MAX, bytes: 0 };
        parts.insert(0, open);
        parts
    }

    fn look_into(&self, store: &Store, part: Part, query: &Query, selection: &mut Selection) -> Result<(), ReadError> {
        let mut from = part.first;
        let mut damaged: Option<NotAnEvent> = None;
        while from < part.next {
            let before = from;
            let alive = self.streams();
            let limit = ReadLimit { records: (part.next - from).min(10_000) as usize, bytes: 1 << 20 };
            store.read_each(self.events, from, limit, |shown| {
                from = shown.index + 1;
                let event = match Event::read(shown.index, shown.data) {
                    Ok(event) => event,
                    Err(error) => {
                        damaged.get_or_insert(error);
                        return;
                    }
                };
                let asked = query.streams.as_ref().is_none_or(|streams| streams.contains(&event.stream));
                let key = (event.at, shown.index);
                if !asked || !selection.wants(key) || !alive.contains_key(&event.stream) || shown.index >= part.next {
                    return;
                }
                let message = String::from_utf8_lossy(event.message);
                if query.pattern.matches(&message) {
                    let ingested = shown.at.millis();
                    selection.take(key, Found { stream: event.stream, ingested, message: message.into_owned() });
                }
            })?;
            if from == before {
                break;
            }
        }
        damaged.map_or(Ok(()), |error| Err(error.into()))
    }
}
