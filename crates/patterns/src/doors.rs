//! The doors of a rule set: what a value must look like for a rule to be worth a visit.
//!
//! Every branch stands behind the doors of one of its fields, the least crowded. A value opens all the doors it fits: its own
//! text, its beginnings and ends of the lengths that are asked for, the groups of bytes in it, the networks it lies in,
//! the ranges around it. A door may be too wide, never too narrow: whoever stands behind it is checked in full.

use crate::condition::{Bound, Condition, TextTest, fold_into};
use crate::hash::{BuildHashed, Rolling, hash, mix};
use crate::paths::PlaceId;
use crate::ranges::Ranges;
use crate::value::{Value, address};
use crate::wildcard::Wildcard;
use std::collections::HashMap;
use std::net::IpAddr;

/// Beginnings and ends that are longer stand behind the door of this many bytes.
const AFFIX_MAX: usize = 127;
/// Bytes of a wildcard that a door is made of, where a piece of it is as long.
const GRAM: usize = 6;

/// What a door looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Open to every value.
    Any,
    Text,
    Folded,
    Prefix,
    Suffix,
    FoldedPrefix,
    FoldedSuffix,
    /// A group of bytes of a wildcard.
    Gram,
    Number,
    /// A number as it is written.
    Digits,
    Range,
    Network4,
    Network6,
    True,
    False,
    Null,
}

fn key(place: PlaceId, kind: Kind, data: u64) -> u64 {
    let seed = (u64::from(place) << 8) | (kind as u64 + 1);
    mix(data ^ 0xE703_7ED1_A0B4_28DB, seed.wrapping_mul(0x8EBC_6AF0_9C88_C6E3))
}

/// The door of a condition.
#[derive(Clone, Copy)]
struct Door {
    kind: Kind,
    /// What a value is looked up by.
    data: u64,
    /// How many bytes or bits of the value that is made of; for a text, one if it is an address.
    size: usize,
}

/// What is worth looking at in the values of a place.
#[derive(Clone, Debug, Default)]
struct Looks {
    /// One bit for each kind of door there is.
    kinds: u32,
    /// One bit for each length of a beginning or end; the same with case taken out.
    prefixes: u128,
    suffixes: u128,
    folded_prefixes: u128,
    folded_suffixes: u128,
    /// One bit for each length of a group of bytes.
    grams: u8,
    /// One bit for each number of bits of a network.
    networks4: u64,
    networks6: u128,
    /// Whether an exact text is an address, which has other forms.
    addresses: bool,
    ranges: Ranges,
}

impl Looks {
    fn has(&self, kind: Kind) -> bool {
        self.kinds & (1 << kind as u32) != 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    owner: u32,
    next: u32,
}

/// All doors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    /// From a key to the first link and the number of links.
    table: HashMap<u64, (u32, u32), BuildHashed>,
    links: Vec<Link>,
    /// By place.
    looks: Vec<Looks>,
}

const NONE: u32 = u32::MAX;

impl Doors {
    /// How many stand behind the most crowded of the doors that conditions need, and whether one of them is open to
    /// every value.
    pub(crate) fn crowd(&self, place: PlaceId, conditions: &[Condition]) -> (u32, bool) {
        let doors = conditions.iter().map(|condition| self.door(place, condition));
        doors.fold((0, false), |(crowd, any), door| {
            (crowd.max(self.behind(place, door.kind, door.data)), any || door.kind == Kind::Any)
        })
    }

    fn behind(&self, place: PlaceId, kind: Kind, data: u64) -> u32 {
        match kind {
            // Those around the middle of the range.
            Kind::Range => self.looks.get(place as usize).map_or(0, |looks| looks.ranges.count(data as i64)),
            kind => self.table.get(&key(place, kind, data)).map_or(0, |(_, count)| *count),
        }
    }

    /// Puts an owner behind the doors of some conditions.
    pub(crate) fn file(&mut self, place: PlaceId, conditions: &[Condition], owner: u32) {
        for condition in conditions {
            let door = self.door(place, condition);
            if self.looks.len() <= place as usize {
                self.looks.resize(place as usize + 1, Looks::default());
            }
            let looks = &mut self.looks[place as usize];
            looks.note(door);
            if let (Kind::Range, Condition::Range { low, high }) = (door.kind, condition) {
                looks.ranges.insert(lowest(*low), highest(*high), owner);
                continue;
            }
            let link = u32::try_from(self.links.len()).expect("patterns are too short for 2^32 doors");
            let (first, count) = self.table.entry(key(place, door.kind, door.data)).or_insert((NONE, 0));
            self.links.push(Link { owner, next: *first });
            (*first, *count) = (link, *count + 1);
        }
    }

    /// The door of a condition; of those a wildcard could have, the least crowded.
    fn door(&self, place: PlaceId, condition: &Condition) -> Door {
        let door = |kind, data, size| Door { kind, data, size };
        match condition {
            Condition::String(text) => door(Kind::Text, hash(text.as_bytes()), usize::from(address(text).is_some())),
            Condition::Number(number) => match number.halves() {
                Some(halves) if !number.is_cut() => door(Kind::Number, halves as u64, 0),
                _ => door(Kind::Digits, hash(number.digits().as_bytes()), 0),
            },
            Condition::Range { low, high } => match (lowest(*low), highest(*high)) {
                (low, high) if low == high => door(Kind::Number, low as u64, 0),
                (low, high) => door(Kind::Range, (low / 2 + high / 2) as u64, 0),
            },
            Condition::True => door(Kind::True, 0, 0),
            Condition::False => door(Kind::False, 0, 0),
            Condition::Null => door(Kind::Null, 0, 0),
            Condition::Text(test) => self.text_door(place, test),
            Condition::Cidr { network: IpAddr::V4(network), prefix_bits: bits @ 1.. } => {
                door(Kind::Network4, network4(network.to_bits(), *bits), *bits as usize)
            }
            Condition::Cidr { network: IpAddr::V6(network), prefix_bits: bits @ 1.. } => {
                door(Kind::Network6, network6(network.to_bits(), *bits), *bits as usize)
            }
            Condition::Exists
            | Condition::Cidr { .. }
            | Condition::NotStrings(_)
            | Condition::NotNumbers(_)
            | Condition::NotTexts(_) => door(Kind::Any, 0, 0),
        }
    }

    fn text_door(&self, place: PlaceId, test: &TextTest) -> Door {
        let (kind, text) = match test {
            TextTest::EqualsIgnoreCase(text) => {
                return Door { kind: Kind::Folded, data: hash(text.as_bytes()), size: 0 };
            }
            TextTest::Wildcard(wildcard) => return self.gram_door(place, wildcard),
            TextTest::Prefix(text) => (Kind::Prefix, text),
            TextTest::Suffix(text) => (Kind::Suffix, text),
            TextTest::PrefixIgnoreCase(text) => (Kind::FoldedPrefix, text),
            TextTest::SuffixIgnoreCase(text) => (Kind::FoldedSuffix, text),
        };
        let bytes = text.as_bytes();
        let data = match kind {
            _ if bytes.is_empty() => return Door { kind: Kind::Any, data: 0, size: 0 },
            Kind::Prefix | Kind::FoldedPrefix => rolled(bytes.iter()),
            _ => rolled(bytes.iter().rev()),
        };
        Door { kind, data, size: bytes.len().min(AFFIX_MAX) }
    }

    /// Made of the group of bytes that the fewest others stand behind; the longest of those.
    fn gram_door(&self, place: PlaceId, wildcard: &Wildcard) -> Door {
        let pieces = wildcard.pieces().iter().filter(|piece| !piece.is_empty());
        pieces
            .flat_map(|piece| piece.as_bytes().windows(piece.len().min(GRAM)))
            .map(|gram| Door { kind: Kind::Gram, data: hash(gram), size: gram.len() })
            .min_by_key(|door| (self.behind(place, door.kind, door.data), GRAM - door.size))
            .unwrap_or(Door { kind: Kind::Any, data: 0, size: 0 })
    }

    /// Calls `found` with everybody behind the doors that a value opens. `folded` is room to work in.
    pub(crate) fn open(&self, place: PlaceId, value: Value<'_>, folded: &mut String, found: &mut dyn FnMut(u32)) {
        let Some(looks) = self.looks.get(place as usize) else { return };
        let mut knock = |kind, data| {
            let mut next = self.table.get(&key(place, kind, data)).map_or(NONE, |(first, _)| *first);
            while let Some(link) = self.links.get(next as usize) {
                found(link.owner);
                next = link.next;
            }
        };
        if looks.has(Kind::Any) {
            knock(Kind::Any, 0);
        }
        match value {
            Value::String(text) => looks.knock_for(text, folded, &mut knock),
            Value::Number(digits, halves) => {
                if let Some(halves) = halves.filter(|_| looks.has(Kind::Number)) {
                    knock(Kind::Number, halves as u64);
                }
                if looks.has(Kind::Digits) {
                    knock(Kind::Digits, hash(digits.as_bytes()));
                }
                if let Some(halves) = halves {
                    looks.ranges.holding(halves, found);
                }
            }
            Value::True if looks.has(Kind::True) => knock(Kind::True, 0),
            Value::False if looks.has(Kind::False) => knock(Kind::False, 0),
            Value::Null if looks.has(Kind::Null) => knock(Kind::Null, 0),
            Value::True | Value::False | Value::Null => {}
        }
    }
}

impl Looks {
    /// Notes that values must be looked at for a door from now on.
    fn note(&mut self, door: Door) {
        self.kinds |= 1 << door.kind as u32;
        match door.kind {
            Kind::Text => self.addresses |= door.size == 1,
            Kind::Prefix => self.prefixes |= 1 << door.size,
            Kind::Suffix => self.suffixes |= 1 << door.size,
            Kind::FoldedPrefix => self.folded_prefixes |= 1 << door.size,
            Kind::FoldedSuffix => self.folded_suffixes |= 1 << door.size,
            Kind::Gram => self.grams |= 1 << door.size,
            Kind::Network4 => self.networks4 |= 1 << door.size,
            Kind::Network6 => self.networks6 |= 1 << door.size,
            _ => {}
        }
    }

    fn knock_for(&self, text: &str, folded: &mut String, knock: &mut impl FnMut(Kind, u64)) {
        let bytes = text.as_bytes();
        if self.has(Kind::Text) {
            knock(Kind::Text, hash(bytes));
        }
        let networks = (self.networks4 != 0) || (self.networks6 != 0);
        if (self.addresses || networks)
            && let Some(address) = address(text)
        {
            self.knock_for_address(text, address, knock);
        }
        if self.prefixes != 0 {
            beginnings(self.prefixes, bytes.iter(), &mut |data| knock(Kind::Prefix, data));
        }
        if self.suffixes != 0 {
            beginnings(self.suffixes, bytes.iter().rev(), &mut |data| knock(Kind::Suffix, data));
        }
        if self.grams != 0 {
            for len in (1..=GRAM).filter(|len| self.grams & (1 << len) != 0) {
                bytes.windows(len).for_each(|gram| knock(Kind::Gram, hash(gram)));
            }
        }
        let affixes = (self.folded_prefixes != 0) || (self.folded_suffixes != 0);
        if self.has(Kind::Folded) || affixes {
            fold_into(text, folded);
            let bytes = folded.as_bytes();
            knock(Kind::Folded, hash(bytes));
            beginnings(self.folded_prefixes, bytes.iter(), &mut |data| knock(Kind::FoldedPrefix, data));
            beginnings(self.folded_suffixes, bytes.iter().rev(), &mut |data| knock(Kind::FoldedSuffix, data));
        }
    }

    fn knock_for_address(&self, text: &str, address: IpAddr, knock: &mut impl FnMut(Kind, u64)) {
        if self.addresses {
            let canonical = address.to_string();
            if canonical != text {
                knock(Kind::Text, hash(canonical.as_bytes()));
            }
        }
        match address {
            IpAddr::V4(address) => (1..u32::BITS)
                .filter(|bits| self.networks4 & (1 << bits) != 0)
                .for_each(|bits| knock(Kind::Network4, network4(address.to_bits(), bits))),
            IpAddr::V6(address) => (1..u128::BITS)
                .filter(|bits| self.networks6 & (1 << bits) != 0)
                .for_each(|bits| knock(Kind::Network6, network6(address.to_bits(), bits))),
        }
    }
}

fn rolled<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let mut rolling = Rolling::new();
    bytes.take(AFFIX_MAX).fold(0, |_, byte| rolling.push(*byte))
}

/// Calls `found` with the hash of each beginning that has one of some lengths.
fn beginnings<'a>(lengths: u128, bytes: impl Iterator<Item = &'a u8>, found: &mut dyn FnMut(u64)) {
    let mut rolling = Rolling::new();
    let mut lengths = lengths >> 1;
    for byte in bytes {
        if lengths == 0 {
            return;
        }
        let hash = rolling.push(*byte);
        if lengths & 1 != 0 {
            found(hash);
        }
        lengths >>= 1;
    }
}

fn network4(address: u32, bits: u32) -> u64 {
    u64::from(address >> (u32::BITS - bits)) | (u64::from(bits) << u32::BITS)
}

fn network6(address: u128, bits: u32) -> u64 {
    let address = address >> (u128::BITS - bits);
    mix(address as u64 ^ u64::from(bits), (address >> u64::BITS) as u64 ^ 0x5896_59E1_9B6F_4A2D)
}

fn lowest(low: Option<Bound>) -> i64 {
    low.map_or(i64::MIN, |bound| bound.halves + i64::from(!bound.inclusive))
}

fn highest(high: Option<Bound>) -> i64 {
    high.map_or(i64::MAX, |bound| bound.halves - i64::from(!bound.inclusive))
}
