//! Lists in pages, of both services.

use crate::limits::PAGE;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The items after a token that fit into a page, and the token of the next page where there is one; `None` where the token
/// is none of this list's.
pub(crate) fn page<'a, V, T>(
    list: &str,
    all: &'a BTreeMap<String, V>,
    (token, limit): (Option<&str>, Option<i32>),
    mut pick: impl FnMut(&'a str, &'a V) -> Option<T>,
) -> Option<(Vec<T>, Option<String>)> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let after = match token {
        Some(token) => Bound::Excluded(wire::page::after(list, token)?),
        None => Bound::Unbounded,
    };
    let rest = all.range((after, Bound::Unbounded));
    let mut rest = rest.filter_map(|(name, value)| pick(name, value).map(|item| (name, item)));
    let (mut items, mut last) = (Vec::new(), None);
    for (name, item) in rest.by_ref().take(limit) {
        items.push(item);
        last = Some(name);
    }
    let last = last.filter(|_| rest.next().is_some());
    Some((items, last.map(|last| wire::page::token(list, last))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_what_is_picked_and_end() {
        let all: BTreeMap<String, u32> = (0..7).map(|i| (format!("n{i}"), i)).collect();
        let odd = |_: &str, value: &u32| (value % 2 == 1).then_some(*value);
        let token = |last: &str| wire::page::token("l", last);
        assert_eq!(page("l", &all, (None, Some(2)), odd), Some((vec![1, 3], Some(token("n3")))));
        assert_eq!(page("l", &all, (Some(&token("n3")), Some(2)), odd), Some((vec![5], None)));
        assert_eq!(page("l", &all, (Some(&token("n9")), None), odd), Some((vec![], None)));
        assert_eq!(page("l", &all, (None, Some(3)), odd), Some((vec![1, 3, 5], None)));
        assert_eq!(page("m", &all, (Some(&token("n3")), None), odd), None, "a token of another list");
        assert_eq!(page("l", &all, (Some("n3"), None), odd), None);
    }
}
