//! The registry's numbers.

use std::time::Duration;

/// How long terminated instances stay visible.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html>
pub(crate) const TERMINATED_VISIBLE: Duration = Duration::from_secs(3600);
/// How often the terminated ones are looked through.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);
/// Instances registered at a time. Ours: AWS counts vCPUs per family.
pub(crate) const INSTANCES: usize = 10_000;
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
pub(crate) const TAGS: usize = 50;
pub(crate) const TAG_KEY: usize = 128;
pub(crate) const TAG_VALUE: usize = 256;
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
pub(crate) const PAGE_MIN: i32 = 5;
pub(crate) const PAGE_MAX: i32 = 1000;
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html>
pub(crate) const FILTER_VALUES: usize = 200;
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>
pub(crate) const TAGGED_AT_ONCE: usize = 1000;
