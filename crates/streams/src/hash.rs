//! The space of hash keys, 0 to 2^128-1, and how keys and shards lie in it.

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A place in the space of hash keys. Decimal text outside, since JSON numbers do not reach that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HashKey(pub(crate) u128);

impl HashKey {
    /// Where a partition key belongs: its MD5.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html>
    pub(crate) fn of(partition_key: &str) -> HashKey {
        HashKey(u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into()))
    }

    /// Reads decimal digits; `None` for what is not a number below 2^128.
    pub(crate) fn parse(text: &str) -> Option<HashKey> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse().ok().map(HashKey) } else { None }
    }
}

/// The ranges, first and last key of each, of `count` shards that share the space evenly, as AWS cuts it: every range has
/// 2^128 / count keys, rounded down, and the last one the rest too.
pub(crate) fn split(count: u32) -> impl Iterator<Item = (HashKey, HashKey)> {
    let parts = u128::from(count.max(1));
    let (quotient, rest) = (u128::MAX / parts, u128::MAX % parts);
    // 2^128 itself does not fit: it is one more than MAX, which matters only where the division comes out even.
    let width = if rest == parts - 1 { quotient.wrapping_add(1) } else { quotient };
    (0..parts).map(move |i| {
        let start = width.wrapping_mul(i);
        let end = if i == parts - 1 { u128::MAX } else { start + (width - 1) };
        (HashKey(start), HashKey(end))
    })
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HashKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HashKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        HashKey::parse(&text).ok_or_else(|| serde::de::Error::custom("not a hash key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_shards_are_cut_as_at_aws() {
        let texts: Vec<_> = split(3).map(|(a, b)| (a.to_string(), b.to_string())).collect();
        assert_eq!(texts[0].1, "113427455640312821154458202477256070484");
        assert_eq!(texts[1].0, "113427455640312821154458202477256070485");
        assert_eq!(texts[2].0, "226854911280625642308916404954512140970");
        assert_eq!(texts[2].1, "340282366920938463463374607431768211455");
    }

    #[test]
    fn an_even_cut_is_exact() {
        assert_eq!(split(1).collect::<Vec<_>>(), [(HashKey(0), HashKey(u128::MAX))]);
        let halves: Vec<_> = split(2).collect();
        assert_eq!(halves, [(HashKey(0), HashKey((1 << 127) - 1)), (HashKey(1 << 127), HashKey(u128::MAX))]);
    }

    #[test]
    fn a_key_is_its_md5() {
        assert_eq!(HashKey::of("a"), HashKey(0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661));
    }

    proptest! {
        #[test]
        fn shards_cover_the_space_without_gap_or_overlap(count in 1u32..3000) {
            let ranges: Vec<_> = split(count).collect();
            prop_assert_eq!(ranges.len(), count as usize);
            prop_assert_eq!(ranges[0].0, HashKey(0));
            prop_assert_eq!(ranges[ranges.len() - 1].1, HashKey(u128::MAX));
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].1.0 + 1, pair[1].0.0);
            }
        }

        #[test]
        fn texts_are_read_or_refused(text in "[0-9]{0,42}") {
            prop_assert_eq!(HashKey::parse(&text).map(|k| k.0), text.parse::<u128>().ok());
        }
    }
}
