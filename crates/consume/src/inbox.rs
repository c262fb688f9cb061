use bytes::Bytes;
use names::Arn;
use std::collections::BTreeMap;
use std::time::Duration;
use store::ReadLimit;
use world::BoxFuture;

/// A queue, to be emptied: each message is taken, dealt with and deleted, or comes again.
pub trait Inbox: Send + Sync {
    /// What it is called.
    fn arn(&self) -> Arn;
    /// Whether it keeps the order of message groups.
    fn is_fifo(&self) -> bool;
    /// How long a message that was taken stays invisible where nothing else is said.
    fn visibility(&self) -> Result<Duration, InboxError>;
    /// Takes what may be taken now, maybe nothing; it comes again after `visibility` unless it is deleted. At least one
    /// message if there is any, even if it is over the limit of bytes.
    fn receive(&self, limit: ReadLimit, visibility: Duration) -> BoxFuture<'_, Result<Vec<Message>, InboxError>>;
    /// Resolves when taking is worth another try, or the queue is gone.
    fn arrival(&self) -> BoxFuture<'_, ()>;
    /// Deletes messages by their handles, durably. A handle that is no longer good deletes nothing, and is no error.
    fn delete<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>>;
    /// Gives messages back, to be taken again at once.
    fn give_back<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>>;
}

/// A message that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// What deletes it.
    pub handle: String,
    /// Its body.
    pub body: String,
    /// The MD5 sum of the body, in hex.
    pub body_md5: String,
    /// The MD5 sum of its attributes, where it has any.
    pub attributes_md5: Option<String>,
    /// What the queue knows of it: `SentTimestamp`, `ApproximateReceiveCount`, `MessageGroupId` and the like.
    pub system: BTreeMap<String, String>,
    /// Its own attributes.
    pub attributes: BTreeMap<String, MessageAttribute>,
}

/// An attribute of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, perhaps with a label such as `Number.int`.
    pub data_type: String,
    /// Its value, where it is text.
    pub text: Option<String>,
    /// Its value, where it is binary.
    pub binary: Option<Bytes>,
}

/// Why a queue did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    /// The queue no longer exists.
    #[error("the queue is gone: {0}")]
    Gone(String),
    /// Something of ours failed; it may pass.
    #[error("the queue cannot be read: {0}")]
    Fault(String),
}
