use names::Arn;
use store::{SealError, StoreError};
use wire::{ApiError, common};

/// Why the registry cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file that seals access-key secrets is missing, damaged or unreadable.
    #[error("access-key secrets: {0}")]
    Key(#[from] SealError),
}

/// Why there is no session for a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No such role.
    #[error("the role {0} does not exist")]
    NoRole(Arn),
}

/// The refusal of a parameter that AWS knows and the house does not serve yet: better than to accept and ignore it.
pub(crate) fn unsupported(parameter: &str) -> ApiError {
    common::NOT_IMPLEMENTED.because(format!("Headwater does not support the parameter {parameter} yet."))
}
