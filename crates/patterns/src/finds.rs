//! What an event holds at the places that rules ask for.

use crate::event::Node;
use crate::paths::{Paths, PlaceId, ROOT};
use crate::value::{Scalar, Value};

const NONE: u32 = u32::MAX;

/// A scalar, as a part of the event's text or of what was copied out of it.
#[derive(Clone, Copy, Debug)]
struct Find {
    place: PlaceId,
    kind: Kind,
    start: u32,
    end: u32,
    /// Where it is a number: what it compares as.
    halves: Option<i64>,
    /// The element of an array that it lies in.
    element: ElementId,
    /// The find before it at the same place.
    before: u32,
}

/// An object in an array; the first stands for the event itself.
pub(crate) type ElementId = u32;

/// The event itself, as if it were an element.
pub(crate) const WHOLE: ElementId = 0;

/// Elements are numbered as they begin, so those that lie in one follow it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    /// Where the array is.
    pub(crate) place: PlaceId,
    /// The first element that does not lie in this one.
    pub(crate) end: ElementId,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    /// A string that had to be copied: it was written with escapes, or comes from a tree.
    Copied,
    Number,
    CopiedNumber,
    True,
    False,
    Null,
}

/// The finds of one event. Kept from event to event, so that looking at one allocates nothing.
#[derive(Default)]
pub(crate) struct Finds {
    finds: Vec<Find>,
    copied: String,
    /// By place: the round and the last find of that round.
    last: Vec<(u32, u32)>,
    round: u32,
    /// By place: the object it was last seen in.
    seen: Vec<u32>,
    objects: u32,
    /// Elements in which something is asked for, and the one that is being read.
    elements: Vec<Element>,
    element: ElementId,
    /// The places of arrays with such elements: names below must come from the same one.
    pub(crate) arrays: Vec<PlaceId>,
}

impl Finds {
    /// Forgets the last event.
    pub(crate) fn clear(&mut self, places: usize) {
        self.finds.clear();
        self.copied.clear();
        self.arrays.clear();
        self.elements.clear();
        self.elements.push(Element { place: ROOT, end: 1 });
        self.element = WHOLE;
        if self.last.len() < places {
            self.last.resize(places, (0, NONE));
            self.seen.resize(places, 0);
        }
        match self.round.checked_add(1) {
            Some(round) => self.round = round,
            None => {
                self.last.fill((0, NONE));
                self.round = 1;
            }
        }
    }

    /// A number for an object that is being read.
    pub(crate) fn object(&mut self) -> u32 {
        if self.objects == u32::MAX {
            self.seen.fill(0);
            self.objects = 0;
        }
        self.objects += 1;
        self.objects
    }

    /// Notes a name in an object; tells whether it was there already.
    pub(crate) fn is_repeated(&mut self, place: PlaceId, object: u32) -> bool {
        std::mem::replace(&mut self.seen[place as usize], object) == object
    }

    /// Begins an object in an array; gives the element it lies in.
    pub(crate) fn enter(&mut self, place: PlaceId) -> ElementId {
        if self.arrays.last() != Some(&place) && !self.arrays.contains(&place) {
            self.arrays.push(place);
        }
        let outer = std::mem::replace(&mut self.element, self.elements.len() as ElementId);
        self.elements.push(Element { place, end: 0 });
        outer
    }

    /// Ends it.
    pub(crate) fn leave(&mut self, outer: ElementId) {
        let end = self.elements.len() as ElementId;
        self.elements[self.element as usize].end = end;
        self.elements[WHOLE as usize].end = end;
        self.element = outer;
    }

    /// What an element is.
    pub(crate) fn element(&self, element: ElementId) -> Element {
        self.elements[element as usize]
    }

    /// A string or number that stands in the event's text.
    pub(crate) fn part(&mut self, place: PlaceId, start: usize, end: usize, number: Option<&str>) {
        let halves = number.and_then(|digits| match Value::number(digits) {
            Value::Number(_, halves) => halves,
            _ => None,
        });
        let kind = if number.is_some() { Kind::Number } else { Kind::Text };
        self.push(Find {
            place,
            kind,
            start: start as u32,
            end: end as u32,
            halves,
            element: self.element,
            before: NONE,
        });
    }

    /// Any other scalar.
    pub(crate) fn value(&mut self, place: PlaceId, value: Value<'_>) {
        let start = self.copied.len() as u32;
        let (kind, halves) = match value {
            Value::String(text) => {
                self.copied.push_str(text);
                (Kind::Copied, None)
            }
            Value::Number(digits, halves) => {
                self.copied.push_str(digits);
                (Kind::CopiedNumber, halves)
            }
            Value::True => (Kind::True, None),
            Value::False => (Kind::False, None),
            Value::Null => (Kind::Null, None),
        };
        let end = self.copied.len() as u32;
        self.push(Find { place, kind, start, end, halves, element: self.element, before: NONE });
    }

    fn push(&mut self, mut find: Find) {
        let last = &mut self.last[find.place as usize];
        if last.0 == self.round {
            find.before = last.1;
        }
        *last = (self.round, self.finds.len() as u32);
        self.finds.push(find);
    }

    /// All that a parsed event holds at the places.
    pub(crate) fn gather(&mut self, paths: &Paths, place: PlaceId, node: &Node) {
        if paths.asked(place) {
            self.gather_scalars(place, node);
        }
        self.gather_below(paths, place, node);
    }

    fn gather_scalars(&mut self, place: PlaceId, node: &Node) {
        node.scalars.iter().map(Scalar::value).for_each(|value| self.value(place, value));
        node.elements.iter().for_each(|element| self.gather_scalars(place, element));
    }

    fn gather_below(&mut self, paths: &Paths, place: PlaceId, node: &Node) {
        for (name, field) in &node.fields {
            if let Some(below) = paths.below(place, name.as_bytes()) {
                self.gather(paths, below, field);
            }
        }
        node.elements.iter().for_each(|element| self.gather_below(paths, place, element));
    }

    /// Every find with its place.
    pub(crate) fn all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (PlaceId, Value<'a>)> {
        self.finds.iter().map(move |find| (find.place, self.show(find, text)))
    }

    /// The finds at a place, the last one first, with the elements they lie in.
    pub(crate) fn at<'a>(&'a self, place: PlaceId, text: &'a str) -> impl Iterator<Item = (ElementId, Value<'a>)> {
        let (round, last) = self.last[place as usize];
        let mut next = if round == self.round { last } else { NONE };
        std::iter::from_fn(move || {
            let find = self.finds.get(next as usize)?;
            next = find.before;
            Some((find.element, self.show(find, text)))
        })
    }

    fn show<'a>(&'a self, find: &Find, text: &'a str) -> Value<'a> {
        let (start, end) = (find.start as usize, find.end as usize);
        match find.kind {
            Kind::Text => Value::String(&text[start..end]),
            Kind::Copied => Value::String(&self.copied[start..end]),
            Kind::Number => Value::Number(&text[start..end], find.halves),
            Kind::CopiedNumber => Value::Number(&self.copied[start..end], find.halves),
            Kind::True => Value::True,
            Kind::False => Value::False,
            Kind::Null => Value::Null,
        }
    }
}
