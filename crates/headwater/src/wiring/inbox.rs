//! A queue as functions empty it.

use consume::{Inbox, InboxError, Message, MessageAttribute, ReadLimit};
use names::Arn;
use queues::{PullError, PullLimit, Pulled, QueueSource};
use std::sync::Arc;
use std::time::Duration;
use world::BoxFuture;

pub(super) struct QueueInbox(pub(super) Arc<QueueSource>);

impl Inbox for QueueInbox {
    fn arn(&self) -> Arn {
        self.0.arn().clone()
    }
    fn is_fifo(&self) -> bool {
        self.0.is_fifo()
    }
    fn visibility(&self) -> Result<Duration, InboxError> {
        self.0.visibility().map_err(error)
    }
    fn receive(&self, limit: ReadLimit, visibility: Duration) -> BoxFuture<'_, Result<Vec<Message>, InboxError>> {
        let limit = PullLimit { messages: limit.records, bytes: limit.bytes };
        Box::pin(async move {
            let pulled = self.0.receive(limit, Some(visibility)).await.map_err(error)?;
            Ok(pulled.into_iter().map(message).collect())
        })
    }
    fn arrival(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.arrival())
    }
    fn delete<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move { settled(self.0.delete(handles).await) })
    }
    fn give_back<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move { settled(self.0.change_visibility(handles, Duration::ZERO).await) })
    }
}

/// Handles that are no longer good are no error; faults of ours are.
fn settled(outcomes: Result<Vec<Result<(), PullError>>, PullError>) -> Result<(), InboxError> {
    let failed = outcomes.map_err(error)?.into_iter().filter_map(Result::err);
    failed.map(error).find(|error| matches!(error, InboxError::Fault(_))).map_or(Ok(()), Err)
}

fn error(error: PullError) -> InboxError {
    match error {
        PullError::Gone(arn) => InboxError::Gone(arn.to_string()),
        PullError::Fault(why) => InboxError::Fault(why),
        // A handle that is no longer good.
        PullError::Refused(why) => InboxError::Gone(why),
    }
}

fn message(pulled: Pulled) -> Message {
    let attributes = pulled.attributes.into_iter().map(|(name, value)| {
        (name, MessageAttribute { data_type: value.data_type, text: value.text, binary: value.binary })
    });
    Message {
        id: pulled.message_id,
        handle: pulled.receipt_handle,
        body: pulled.body,
        body_md5: pulled.md5_of_body,
        attributes_md5: pulled.md5_of_attributes,
        system: pulled.system,
        attributes: attributes.collect(),
    }
}
