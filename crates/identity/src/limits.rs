//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>

use std::time::Duration;

pub(crate) const USERS: usize = 5000;
pub(crate) const ROLES: usize = 1000;
pub(crate) const POLICIES: usize = 1500;
pub(crate) const KEYS_PER_USER: usize = 2;
pub(crate) const ATTACHED: usize = 10;
pub(crate) const TAGS: usize = 50;
/// Characters of a managed policy, white space aside.
pub(crate) const MANAGED_POLICY_SIZE: usize = 6144;
/// Characters of all inline policies of a user, white space aside.
pub(crate) const USER_POLICY_SIZE: usize = 2048;
/// Characters of all inline policies of a role, white space aside.
pub(crate) const ROLE_POLICY_SIZE: usize = 10_240;
/// Characters of a trust policy.
pub(crate) const TRUST_POLICY_SIZE: usize = 2048;
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(crate) const SESSION_DEFAULT: Duration = Duration::from_secs(3600);
/// A session made by a session lives at most an hour.
pub(crate) const CHAINED_SESSION_MAX: Duration = Duration::from_secs(3600);
pub(crate) const PAGE_DEFAULT: usize = 100;
pub(crate) const PAGE_MAX: usize = 1000;
