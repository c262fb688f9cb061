//! Tokens that lead from page to page of a list that is sorted by a text. A token is the last text given, so it stays good
//! whatever comes and goes in between; a checksum tells it from what this list never gave.

use base64_simd::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::ops::Bound;

/// How many items a page has: as many as asked for, from one up to `most`.
pub fn size(asked: Option<i32>, most: usize) -> usize {
    asked.map_or(most, |asked| usize::try_from(asked).unwrap_or(0).clamp(1, most))
}

/// What is picked of the page after a token (empty is none), and the token of the next page where there is one. `list` names what
/// is listed and of what: the rules of one bus are another list than those of the next. `None`: the token is none of this
/// list's.
pub fn page<'a, V, T>(
    list: &str,
    all: &'a BTreeMap<String, V>,
    (token, size): (Option<&str>, usize),
    pick: impl FnMut(&str, &'a V) -> Option<T>,
) -> Option<(Vec<T>, Option<String>)> {
    let rest = all.range((start(list, token)?, Bound::Unbounded));
    Some(cut(list, rest, size, pick))
}

/// The item that a page begins after.
pub fn start(list: &str, token: Option<&str>) -> Option<Bound<String>> {
    match token {
        None | Some("") => Some(Bound::Unbounded),
        Some(token) => after(list, token).map(Bound::Excluded),
    }
}

/// The same as [`page`] of the rest of a list that is kept otherwise.
pub fn cut<K: AsRef<str>, V, T>(
    list: &str,
    rest: impl Iterator<Item = (K, V)>,
    size: usize,
    mut pick: impl FnMut(&str, V) -> Option<T>,
) -> (Vec<T>, Option<String>) {
    let mut rest = rest.filter_map(|(key, value)| pick(key.as_ref(), value).map(|item| (key, item)));
    let (mut items, mut last) = (Vec::new(), None);
    for (key, item) in rest.by_ref().take(size) {
        items.push(item);
        last = Some(key);
    }
    let last = last.filter(|_| rest.next().is_some());
    (items, last.map(|last| token(list, last.as_ref())))
}

fn token(list: &str, last: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string([&checksum(list, last).to_be_bytes(), last.as_bytes()].concat())
}

/// The last item of the page before; `None` where the token is none of this list's.
pub fn after(list: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token).ok()?;
    let (sum, last) = bytes.split_first_chunk::<4>()?;
    let last = String::from_utf8(last.to_vec()).ok()?;
    (checksum(list, &last).to_be_bytes() == *sum).then_some(last)
}

fn checksum(list: &str, last: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [list.as_bytes(), b"\0", last.as_bytes()] {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_go_there_and_back(last: String) {
            let token = token("pipes", &last);
            prop_assert_eq!(after("pipes", &token), Some(last));
            prop_assert_eq!(after("rules", &token), None);
            prop_assert!(token.bytes().all(|b| b.is_ascii_graphic()));
        }

        #[test]
        fn what_was_not_given_is_no_token(text in "[A-Za-z0-9_/=-]{0,40}|.{0,10}") {
            prop_assert_eq!(after("pipes", &text), None);
        }
    }

    #[test]
    fn pages_hold_what_is_picked_and_end() {
        let all: BTreeMap<String, u32> = (0..7).map(|i| (format!("n{i}"), i)).collect();
        let odd = |_: &str, value: &u32| (value % 2 == 1).then_some(*value);
        let token = |last: &str| token("l", last);
        assert_eq!(page("l", &all, (None, 2), odd), Some((vec![1, 3], Some(token("n3")))));
        assert_eq!(page("l", &all, (Some(&token("n3")), 2), odd), Some((vec![5], None)));
        assert_eq!(page("l", &all, (Some(&token("n9")), 9), odd), Some((vec![], None)));
        assert_eq!(page("l", &all, (Some(""), 3), odd), Some((vec![1, 3, 5], None)));
        assert_eq!(page("m", &all, (Some(&token("n3")), 9), odd), None, "a token of another list");
        assert_eq!(page("l", &all, (Some("n3"), 9), odd), None);
    }

    #[test]
    fn pages_have_the_size_asked_for() {
        assert_eq!([None, Some(-1), Some(0), Some(7), Some(51)].map(|asked| size(asked, 50)), [50, 1, 1, 7, 50]);
    }
}
