//! Lists in pages. A token is the name of the last item given, so it stays good whatever changes in between.

use crate::limits::PAGE;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The items after a token that fit into a page, and the token of the next page where there is one.
pub(super) fn page<'a, V, T>(
    all: &'a BTreeMap<String, V>,
    token: Option<&str>,
    limit: Option<i32>,
    mut pick: impl FnMut(&'a str, &'a V) -> Option<T>,
) -> (Vec<T>, Option<String>) {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let after = token.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = all
        .range::<str, _>((after, Bound::Unbounded))
        .filter_map(|(name, value)| pick(name, value).map(|item| (name, item)));
    let (mut items, mut last) = (Vec::new(), None);
    for (name, item) in rest.by_ref().take(limit) {
        items.push(item);
        last = Some(name.clone());
    }
    (items, last.filter(|_| rest.next().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_what_is_picked_and_end() {
        let all: BTreeMap<String, u32> = (0..7).map(|i| (format!("n{i}"), i)).collect();
        let odd = |_: &str, value: &u32| (value % 2 == 1).then_some(*value);
        assert_eq!(page(&all, None, Some(2), odd), (vec![1, 3], Some("n3".to_owned())));
        assert_eq!(page(&all, Some("n3"), Some(2), odd), (vec![5], None));
        assert_eq!(page(&all, Some("n9"), None, odd), (vec![], None));
        assert_eq!(page(&all, None, Some(3), odd), (vec![1, 3, 5], None));
    }
}
