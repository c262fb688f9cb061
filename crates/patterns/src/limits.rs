//! The numbers of the three services that filter by patterns, with the pages they come from.

/// EventBridge: characters of a pattern.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub(crate) const EVENT_BUS_CHARS: usize = 2048;

/// Lambda: characters of a filter's pattern.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Filter.html>
pub(crate) const EVENT_SOURCE_CHARS: usize = 4096;

/// SNS: bytes of a filter policy.
/// <https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html>
pub(crate) const POLICY_BYTES: usize = 256 * 1024;
/// SNS: keys of a filter policy; of a nested one only the outermost count (same page).
pub(crate) const POLICY_KEYS: usize = 5;
/// SNS: the product, over all keys, of the number of values times how deep the key lies (same page).
pub(crate) const POLICY_COMBINATIONS: u64 = 150;
/// SNS: stars in one wildcard of a filter policy.
/// <https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html>
pub(crate) const POLICY_STARS: usize = 3;

/// The alternatives that the `$or`s of a pattern may multiply to: AWS takes fewer than 1000 combinations.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
pub(crate) const BRANCHES_MAX: usize = 1000;

/// Numbers are compared between -5e9 and 5e9, inclusive, to six digits after the point (same page).
pub(crate) const NUMBER_MAX_MICROS: i128 = 5_000_000_000 * 1_000_000;

/// Deepest nesting accepted in a pattern or an event: the same bound the JSON values of the house have.
pub(crate) const DEPTH_MAX: usize = 128;

/// What one wildcard may cost: see `Wildcard::parse`.
pub(crate) const WILDCARD_COST_MAX: usize = 9;
