//! The pulled door: a queue as an event source mapping of Lambda empties it, in the same process. What it takes is in
//! flight as if a consumer had received it, and is done with by its receipt handle.

use crate::handout::{self, Taken};
use crate::message::AttributeValue;
use crate::room::Room;
use crate::{Queues, digest};
use bytes::Bytes;
use names::Arn;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{ApiError, Fault};

/// One queue. It ends with the queue, even if another of the same name follows.
pub struct QueueSource {
    queues: Arc<Queues>,
    room: Arc<Room>,
}

/// How much one batch may hold. At least one message is taken if there is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullLimit {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many bytes of bodies and attributes.
    pub bytes: usize,
}

/// A message as it was pulled.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// Its id, a UUID.
    pub message_id: String,
    /// What deletes it or changes its visibility.
    pub receipt_handle: String,
    /// Its body.
    pub body: String,
    /// The MD5 sum of the body, in hex.
    pub md5_of_body: String,
    /// The MD5 sum of its attributes, where it has any.
    pub md5_of_attributes: Option<String>,
    /// `SentTimestamp`, `ApproximateReceiveCount`, `MessageGroupId` and the like, by SQS's names.
    pub system: BTreeMap<String, String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, PulledAttribute>,
}

/// An attribute of a pulled message.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledAttribute {
    /// `String`, `Number` or `Binary`, perhaps with a label such as `Number.int`.
    pub data_type: String,
    /// Its value, where it is text.
    pub text: Option<String>,
    /// Its value, where it is binary.
    pub binary: Option<Bytes>,
}

/// Why a queue was not pulled from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// The queue was deleted.
    #[error("the queue is gone: {0}")]
    Gone(Arn),
    /// The call makes no sense: a handle of another queue, or of a message that is no longer in flight.
    #[error("{0}")]
    Refused(String),
    /// Something of ours failed; it may pass.
    #[error("the queue cannot be read: {0}")]
    Fault(String),
}

impl QueueSource {
    pub(crate) fn new(queues: Arc<Queues>, room: Arc<Room>) -> QueueSource {
        QueueSource { queues, room }
    }

    /// What it is called.
    pub fn arn(&self) -> &Arn {
        &self.room.arn
    }

    /// Whether it keeps the order of message groups.
    pub fn is_fifo(&self) -> bool {
        self.room.is_fifo()
    }

    /// The queue's own visibility time-out.
    pub fn visibility(&self) -> Result<Duration, PullError> {
        self.check()?;
        Ok(Duration::from_secs(u64::from(self.room.settings().visibility_s)))
    }

    /// Takes what may be received now, maybe nothing; it stays invisible for `visibility` (the queue's own where none is
    /// given) unless it is deleted.
    pub async fn receive(&self, limit: PullLimit, visibility: Option<Duration>) -> Result<Vec<Pulled>, PullError> {
        let visibility = visibility.map_or_else(|| self.visibility(), Ok)?;
        self.check()?;
        let limit = store::ReadLimit { records: limit.messages, bytes: limit.bytes };
        let taken = handout::take(&self.queues, &self.room, limit, visibility).await;
        let taken = taken.map_err(|error| self.error(error))?;
        self.room.meters.handed_out(taken.len());
        Ok(taken.into_iter().map(|taken| self.pulled(taken)).collect())
    }

    /// Resolves when receiving is worth another try: something arrived, a delay or a visibility time-out ended, or the
    /// queue is gone.
    pub async fn arrival(&self) {
        if self.check().is_ok() {
            tokio::select! {
                biased;
                () = self.room.gone() => {}
                () = self.room.messages.arrival() => {}
            }
        }
    }

    /// Deletes messages, durably; for each whether its handle was good.
    pub async fn delete(&self, handles: &[String]) -> Result<Vec<Result<(), PullError>>, PullError> {
        self.check()?;
        let outcomes = handout::delete(&self.queues, &self.room, handles.iter().map(String::as_str)).await;
        let outcomes = outcomes.map_err(|error| self.error(error))?;
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(|error| self.error(error))).collect())
    }

    /// Changes how long messages stay invisible, from now on; zero gives them back. For each whether it was in flight.
    pub async fn change_visibility(
        &self,
        handles: &[String],
        visibility: Duration,
    ) -> Result<Vec<Result<(), PullError>>, PullError> {
        self.check()?;
        let mut outcomes = Vec::with_capacity(handles.len());
        for handle in handles {
            let outcome = handout::change_visibility(&self.queues, &self.room, handle, visibility).await;
            outcomes.push(outcome.map_err(|error| self.error(error)));
        }
        Ok(outcomes)
    }

    fn check(&self) -> Result<(), PullError> {
        if self.room.is_gone() { Err(PullError::Gone(self.room.arn.clone())) } else { Ok(()) }
    }

    fn error(&self, error: ApiError) -> PullError {
        match error.model.fault {
            _ if self.room.is_gone() => PullError::Gone(self.room.arn.clone()),
            Fault::Client => PullError::Refused(error.message),
            Fault::Server => PullError::Fault(error.to_string()),
        }
    }

    fn pulled(&self, taken: Taken) -> Pulled {
        let receipt_handle = self.queues.key.sign(taken.receipt(&self.room));
        let system = taken.system().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let message = taken.message;
        let attributes = message.attributes.iter().map(|attribute| {
            let (text, binary) = match &attribute.value {
                AttributeValue::Text(text) => (Some(text.clone()), None),
                AttributeValue::Binary(bytes) => (None, Some(bytes.clone())),
            };
            (attribute.name.clone(), PulledAttribute { data_type: attribute.data_type.clone(), text, binary })
        });
        Pulled {
            message_id: message.uuid(),
            receipt_handle,
            md5_of_body: digest::of_body(&message.body),
            md5_of_attributes: digest::of_attributes(&message.attributes),
            system,
            attributes: attributes.collect(),
            body: message.text(),
        }
    }
}
