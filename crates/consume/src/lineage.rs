//! Parents before children. Pure.

use crate::ShardInfo;
use std::collections::BTreeSet;

/// The shards whose turn it is: neither done nor under way, with no listed parent that is not done. A parent that is no
/// longer listed has nothing left to read.
pub(crate) fn ready(listed: &[ShardInfo], done: &BTreeSet<String>, under_way: &BTreeSet<String>) -> Vec<String> {
    let open: BTreeSet<&str> = listed.iter().map(|s| s.id.as_str()).filter(|id| !done.contains(*id)).collect();
    let is_ready = |shard: &&ShardInfo| {
        open.contains(shard.id.as_str())
            && !under_way.contains(&shard.id)
            && !shard.parents.iter().any(|parent| open.contains(parent.as_str()))
    };
    listed.iter().filter(is_ready).map(|s| s.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> ShardInfo {
        ShardInfo { id: id.into(), parents: parents.iter().map(|p| (*p).into()).collect() }
    }
    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).into()).collect()
    }

    #[test]
    fn a_merge_waits_for_both_parents_and_a_split_for_one() {
        let listed = [shard("a", &[]), shard("b", &[]), shard("ab", &["a", "b"]), shard("ab1", &["ab"])];
        assert_eq!(ready(&listed, &set(&[]), &set(&[])), ["a", "b"]);
        assert_eq!(ready(&listed, &set(&["a"]), &set(&["b"])), [] as [&str; 0]);
        assert_eq!(ready(&listed, &set(&["a", "b"]), &set(&[])), ["ab"]);
        assert_eq!(ready(&listed, &set(&["a", "b", "ab"]), &set(&[])), ["ab1"]);
    }

    #[test]
    fn parents_no_longer_listed_hold_nothing_up() {
        assert_eq!(ready(&[shard("c", &["gone"])], &set(&[]), &set(&[])), ["c"]);
    }
}
