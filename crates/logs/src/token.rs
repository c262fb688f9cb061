//! Event ids and the tokens that lead from page to page. All opaque to clients; a token is a place between events, so it
//! stays good whatever comes and goes meanwhile. AWS's expire after a day; these do not.

use crate::selection::{Direction, Key};

/// 56 digits, as AWS's: a 3, the time stamp, the number of the group, the index. Time stamps before 1970 are as zero.
pub(crate) fn event_id(group: u64, (at, index): Key) -> String {
    format!("3{:016}{group:019}{index:020}", at.max(0))
}

fn parse_id(text: &str) -> Option<(u64, Key)> {
    let digits = text.len() == 56 && text.starts_with('3') && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return None;
    }
    Some((text[17..36].parse().ok()?, (text[1..17].parse().ok()?, text[36..].parse().ok()?)))
}

/// The latest time stamp that a token can stand for; later ones are not taken.
pub(crate) const END: i64 = 9_999_999_999_999_999;

/// A token of GetLogEvents: `f/` or `b/` and where to go on.
pub(crate) fn of_stream(direction: Direction, group: u64, (at, index): Key) -> String {
    let kind = if direction == Direction::Forward { 'f' } else { 'b' };
    format!("{kind}/{}/s", event_id(group, (at.min(END), index)))
}

/// What such a token of this group stands for.
pub(crate) fn read_of_stream(text: &str, group: u64) -> Option<(Direction, Key)> {
    let (kind, rest) = text.split_at_checked(2)?;
    let direction = match kind {
        "f/" => Direction::Forward,
        "b/" => Direction::Backward,
        _ => return None,
    };
    let (of, key) = parse_id(rest.strip_suffix("/s")?)?;
    (of == group).then_some((direction, key))
}

/// A token of FilterLogEvents: where to go on, and the fingerprint of the query it belongs to.
pub(crate) fn of_filter(direction: Direction, group: u64, key: Key, query: u64) -> String {
    format!("{}/{query:016x}", of_stream(direction, group, key))
}

pub(crate) fn read_of_filter(text: &str, group: u64, query: u64) -> Option<(Direction, Key)> {
    let (rest, fingerprint) = text.rsplit_once('/')?;
    if fingerprint != format!("{query:016x}") {
        return None;
    }
    read_of_stream(rest, group)
}

/// A number that stands for a query. FNV-1a: <https://www.rfc-editor.org/rfc/rfc9923>
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_go_there_and_back(group in 0..1u64 << 60, at in 0i64..=END, index: u64, query: u64, forward: bool) {
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            let token = of_stream(direction, group, (at, index));
            prop_assert_eq!(read_of_stream(&token, group), Some((direction, (at, index))));
            prop_assert_eq!(read_of_stream(&token, group + 1), None);
            let token = of_filter(direction, group, (at, index), query);
            prop_assert_eq!(read_of_filter(&token, group, query), Some((direction, (at, index))));
            prop_assert_eq!(read_of_filter(&token, group, query ^ 1), None);
        }

        #[test]
        fn nonsense_is_no_token(text in "([fb]/)?3?[0-9é]{0,60}(/s)?") {
            let token = read_of_stream(&text, 1);
            prop_assert!(token.is_none() || text.len() == 60);
        }
    }
}
