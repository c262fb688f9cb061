//! Which of many events belong on a page: those next to where it begins, in the order of their time stamps, whatever the
//! order they come in. Bounded by the page.

use std::collections::BTreeMap;

/// Where an event stands among all of its group: its time stamp, then its index.
pub(crate) type Key = (i64, u64);

/// From which end of what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The earliest first.
    Forward,
    /// The latest first.
    Backward,
}

/// An event on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The number of its stream.
    pub(crate) stream: u64,
    /// When it came, in milliseconds.
    pub(crate) ingested: i64,
    /// Its message.
    pub(crate) message: String,
}

/// How much fits on a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// At most so many events.
    pub(crate) events: usize,
    /// At most so many bytes of messages; one event always fits.
    pub(crate) bytes: usize,
}

/// The page as it is chosen.
pub(crate) struct Selection {
    direction: Direction,
    room: Room,
    lo: Key,
    hi: Key,
    kept: BTreeMap<Key, Found>,
    bytes: usize,
    /// Something in the range that was asked for is not on the page.
    more: bool,
}

/// The page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its events, the earliest first.
    pub(crate) events: Vec<(Key, Found)>,
    /// Where to go on in the direction that was asked for; `None` where nothing is left.
    pub(crate) rest: Option<Key>,
}

impl Selection {
    /// Chooses among events from `lo` on and below `hi`.
    pub(crate) fn new(direction: Direction, lo: Key, hi: Key, room: Room) -> Selection {
        Selection { direction, room, lo, hi, kept: BTreeMap::new(), bytes: 0, more: false }
    }

    /// Whether an event that stands here would be taken, as far as is known now.
    pub(crate) fn wants(&self, key: Key) -> bool {
        self.lo <= key && key < self.hi
    }

    /// Whether there may be such events between these time stamps.
    pub(crate) fn wants_any(&self, oldest: i64, newest: i64) -> bool {
        (oldest, 0) < self.hi && self.lo <= (newest, u64::MAX) && self.lo < self.hi
    }

    /// Takes an event that is wanted. What does not fit any more goes.
    pub(crate) fn take(&mut self, key: Key, found: Found) {
        self.bytes += found.message.len();
        self.kept.insert(key, found);
        while self.kept.len() > self.room.events || (self.bytes > self.room.bytes && self.kept.len() > 1) {
            let out = match self.direction {
                Direction::Forward => self.kept.pop_last(),
                Direction::Backward => self.kept.pop_first(),
            };
            let Some((key, found)) = out else { return };
            self.bytes -= found.message.len();
            match self.direction {
                Direction::Forward => self.hi = key,
                Direction::Backward => self.lo = (key.0, key.1.saturating_add(1)),
            }
            self.more = true;
        }
    }

    /// Ends the page before time stamps that have not been looked at: from `oldest` on, or, backward, up to `newest`.
    /// False, and nothing has changed, where that would leave nothing of the range that was asked for.
    pub(crate) fn cut(&mut self, oldest: i64, newest: i64) -> bool {
        let (lo, hi) = match self.direction {
            Direction::Forward => (self.lo, self.hi.min((oldest, 0))),
            Direction::Backward => (self.lo.max((newest.saturating_add(1), 0)), self.hi),
        };
        if lo >= hi {
            return false;
        }
        (self.lo, self.hi, self.more) = (lo, hi, true);
        self.kept.retain(|key, _| lo <= *key && *key < hi);
        true
    }

    pub(crate) fn finish(self) -> Page {
        let rest = match self.direction {
            Direction::Forward => self.hi,
            Direction::Backward => self.lo,
        };
        Page { rest: self.more.then_some(rest), events: self.kept.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Found {
        Found { stream: 1, ingested: 0, message: text.to_owned() }
    }

    const ALL: (Key, Key) = ((0, 0), (i64::MAX, 0));

    #[test]
    fn a_page_always_holds_an_event_and_no_more_bytes_than_fit() {
        let mut selection = Selection::new(Direction::Forward, ALL.0, ALL.1, Room { events: 10, bytes: 3 });
        selection.take((5, 1), found("longer"));
        selection.take((4, 2), found("ab"));
        assert!(!selection.wants((5, 1)) && selection.wants((4, 3)));
        let page = selection.finish();
        assert_eq!(page.events, vec![((4, 2), found("ab"))]);
        assert_eq!(page.rest, Some((5, 1)));
    }

    #[test]
    fn a_cut_leaves_what_is_known_to_be_next() {
        let mut selection = Selection::new(Direction::Backward, ALL.0, ALL.1, Room { events: 10, bytes: 99 });
        selection.take((9, 1), found("a"));
        selection.take((4, 2), found("b"));
        assert!(!selection.cut(0, i64::MAX));
        assert!(selection.cut(0, 6));
        let page = selection.finish();
        assert_eq!(page.events, vec![((9, 1), found("a"))]);
        assert_eq!(page.rest, Some((7, 0)));
    }

    proptest! {
        /// Page after page gives all events once, in order, in either direction.
        #[test]
        fn pages_hold_everything_once(
            stamps in prop::collection::vec(0i64..20, 0..60), events in 1usize..7, bytes in 1usize..30, forward: bool,
        ) {
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            let (mut lo, mut hi) = ALL;
            let mut got = Vec::new();
            for round in 0.. {
                prop_assert!(round < 100);
                let mut selection = Selection::new(direction, lo, hi, Room { events, bytes });
                for (index, at) in stamps.iter().enumerate() {
                    let key = (*at, index as u64);
                    if selection.wants(key) {
                        selection.take(key, found("four"));
                    }
                }
                let page = selection.finish();
                prop_assert!(page.events.len() <= events);
                let keys: Vec<Key> = page.events.iter().map(|(key, _)| *key).collect();
                if forward { got.extend(keys) } else { got.splice(0..0, keys); }
                match page.rest {
                    None => break,
                    Some(rest) if forward => lo = rest,
                    Some(rest) => hi = rest,
                }
            }
            let mut all: Vec<Key> = stamps.iter().enumerate().map(|(index, at)| (*at, index as u64)).collect();
            all.sort_unstable();
            prop_assert_eq!(got, all);
        }
    }
}
