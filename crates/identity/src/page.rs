//! IAM's paging: `MaxItems`, `Marker`, `IsTruncated`.

use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wire::{ApiError, common};

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) is_truncated: Option<bool>,
    pub(crate) marker: Option<String>,
}

/// Cuts a page out of items that come sorted by their keys. The marker names the last key of the page before, so that
/// a page stays right when items come and go in between.
pub(crate) fn page<'a, T>(
    items: impl Iterator<Item = (&'a str, T)>,
    marker: Option<&str>,
    max: Option<i32>,
) -> Result<Page<T>, ApiError> {
    let max = max.map_or(PAGE_DEFAULT, |max| (max.max(1) as usize).min(PAGE_MAX));
    let after = marker.map(decode).transpose()?;
    let mut rest = items.skip_while(|(key, _)| after.as_deref().is_some_and(|after| *key <= after)).peekable();
    let mut page = Page { items: Vec::new(), is_truncated: Some(false), marker: None };
    let mut last = "";
    while page.items.len() < max {
        let Some((key, item)) = rest.next() else { break };
        last = key;
        page.items.push(item);
    }
    if rest.peek().is_some() {
        page.is_truncated = Some(true);
        page.marker = Some(URL_SAFE_NO_PAD.encode(last));
    }
    Ok(page)
}

fn decode(marker: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| common::VALIDATION.because("Invalid Marker."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_meet_without_gap_or_overlap() {
        let all = ["a", "b", "c", "d", "e"];
        let list = |marker: Option<&str>| page(all.iter().map(|k| (*k, *k)), marker, Some(2)).unwrap();
        let first = list(None);
        assert_eq!((first.items, first.is_truncated), (vec!["a", "b"], Some(true)));
        let second = list(first.marker.as_deref());
        assert_eq!(second.items, ["c", "d"]);
        let third = list(second.marker.as_deref());
        assert_eq!((third.items, third.is_truncated, third.marker), (vec!["e"], Some(false), None));
        assert!(page(all.iter().map(|k| (*k, *k)), Some("!"), None).is_err());
    }
}
