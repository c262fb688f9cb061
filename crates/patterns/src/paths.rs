//! The names that some rule asks for, as a tree: what an event holds elsewhere is passed over unread.

use crate::hash::{BuildHashed, hash, mix};
use std::collections::HashMap;

/// A place in an event: the root, or a name below another place.
pub(crate) type PlaceId = u32;

pub(crate) const ROOT: PlaceId = 0;

#[derive(Clone, Debug)]
struct Place {
    parent: PlaceId,
    name: Box<[u8]>,
    /// Whether a rule asks for values here.
    asked: bool,
    /// One bit for each kind of name below; none set means that nothing below is asked for.
    below: u64,
    /// One bit for each kind of byte that a name below begins with.
    firsts: u64,
}

/// The tree.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    places: Vec<Place>,
    /// From the hash of a parent and a name.
    names: HashMap<u64, PlaceId, BuildHashed>,
}

impl Default for Paths {
    fn default() -> Paths {
        let root = Place { parent: ROOT, name: Box::default(), asked: false, below: 0, firsts: 0 };
        Paths { places: vec![root], names: HashMap::default() }
    }
}

/// A cheap sign that most other names do not share.
fn sign(name: &[u8]) -> u64 {
    let first = name.first().copied().unwrap_or(0);
    let last = name.last().copied().unwrap_or(0);
    1 << ((usize::from(first) + 3 * usize::from(last) + 5 * name.len()) & 63)
}

/// A sign of the first byte; an empty name begins with the dot that would follow it.
fn first(name: &[u8]) -> u64 {
    1 << (name.first().copied().unwrap_or(b'.') & 63)
}

fn key(parent: PlaceId, name: &[u8]) -> u64 {
    mix(hash(name) ^ u64::from(parent), 0xA076_1D64_78BD_642F)
}

impl Paths {
    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of a dotted path, made if it is new, and asked for from now on.
    pub(crate) fn ask(&mut self, path: &str) -> PlaceId {
        let place = path.split('.').fold(ROOT, |parent, name| self.make(parent, name.as_bytes()));
        self.places[place as usize].asked = true;
        place
    }

    fn make(&mut self, parent: PlaceId, name: &[u8]) -> PlaceId {
        let mut key = key(parent, name);
        while let Some(place) = self.names.get(&key) {
            if self.is(*place, parent, name) {
                return *place;
            }
            key = key.wrapping_add(1);
        }
        let place = PlaceId::try_from(self.places.len()).expect("patterns are too short for 2^32 names");
        self.names.insert(key, place);
        self.places.push(Place { parent, name: name.into(), asked: false, below: 0, firsts: 0 });
        self.places[parent as usize].below |= sign(name);
        self.places[parent as usize].firsts |= first(name);
        place
    }

    fn is(&self, place: PlaceId, parent: PlaceId, name: &[u8]) -> bool {
        let place = &self.places[place as usize];
        place.parent == parent && *place.name == *name
    }

    /// The place of a name below another, if a rule asks for it or for something below it.
    pub(crate) fn below(&self, parent: PlaceId, name: &[u8]) -> Option<PlaceId> {
        if self.places[parent as usize].below & sign(name) == 0 {
            return None;
        }
        let mut key = key(parent, name);
        loop {
            let place = *self.names.get(&key)?;
            if self.is(place, parent, name) {
                return Some(place);
            }
            key = key.wrapping_add(1);
        }
    }

    /// Whether a name could be several names below a place, joined by dots.
    pub(crate) fn may_be_dotted(&self, place: PlaceId, name: &[u8]) -> bool {
        self.places[place as usize].firsts & first(name) != 0 && name.contains(&b'.')
    }

    /// Whether a rule asks for values at a place.
    pub(crate) fn asked(&self, place: PlaceId) -> bool {
        self.places[place as usize].asked
    }

    /// Whether a rule asks for something below a place.
    pub(crate) fn has_below(&self, place: PlaceId) -> bool {
        self.places[place as usize].below != 0
    }

    /// How many names lead to a place.
    pub(crate) fn depth(&self, mut place: PlaceId) -> u32 {
        let mut depth = 0;
        while place != ROOT {
            place = self.places[place as usize].parent;
            depth += 1;
        }
        depth
    }

    /// Whether a place lies below another.
    pub(crate) fn is_below(&self, mut place: PlaceId, above: PlaceId) -> bool {
        while place != ROOT {
            place = self.places[place as usize].parent;
            if place == above {
                return true;
            }
        }
        false
    }
}
