//! The pushed door: what topics, rules and dead letters send arrives as messages, by the same way in as a caller's.

use crate::Queues;
use crate::error::{ACCESS_DENIED, no_queue};
use crate::intake::{self, Post};
use crate::message::{Attribute, AttributeValue};
use crate::room::Room;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use policies::{Request, Who, admit};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Fault};
use world::BoxFuture;

/// Takes envelopes for the ARNs of queues.
pub(crate) struct QueueTarget(pub(crate) Arc<Queues>);

/// A message attribute as envelopes carry it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Carried {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl Target for QueueTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            match self.take(envelope).await {
                Ok(id) => Verdict::Accepted(Bytes::from(id)),
                Err(error) => verdict(&error),
            }
        })
    }
}

impl QueueTarget {
    /// Puts it into its queue and answers the message's id.
    async fn take(&self, envelope: &Envelope) -> Result<String, ApiError> {
        let room = self.0.of(&envelope.to).ok_or_else(no_queue)?;
        let attributes = match envelope.attributes.get(attribute::MESSAGE_ATTRIBUTES) {
            Some(json) => attributes(json)?,
            None => Vec::new(),
        };
        self.admit(&room, envelope)?;
        let attribute = |name: &str| envelope.attributes.get(name).cloned();
        let post = Post {
            sender: envelope.principal.clone(),
            trace: envelope.trace.as_ref().map(|trace| trace.as_str().to_owned()),
            body: envelope.body.clone(),
            attributes,
            delay_s: None,
            group: attribute(attribute::MESSAGE_GROUP_ID),
            deduplication: attribute(attribute::MESSAGE_DEDUPLICATION_ID),
        };
        let draft = intake::draft(&self.0, &room, post)?;
        let accepted = intake::accept(&self.0, &room, vec![draft]).await?;
        Ok(accepted[0].uuid())
    }

    /// Other services come in as the queue's policy says, and not without one. Who comes with a role comes as the account.
    fn admit(&self, room: &Room, envelope: &Envelope) -> Result<(), ApiError> {
        let (queues, who) = (&self.0, Who::service(&envelope.principal, envelope.role.as_ref()));
        let request = Request::new(who, "sqs:SendMessage", room.arn.as_str(), &queues.home.account);
        let request = request.sent(envelope.from.as_ref(), queues.world.now());
        admit(room.policy().as_deref(), &request).map_err(|why| ACCESS_DENIED.because(request.refused(why)))
    }
}

fn attributes(json: &str) -> Result<Vec<Attribute>, ApiError> {
    let malformed = |why: String| crate::error::INVALID_PARAMETER_VALUE.because(format!("message attributes: {why}"));
    let carried: BTreeMap<String, Carried> =
        serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    carried
        .into_iter()
        .map(|(name, carried)| {
            let value = match (carried.string_value, carried.binary_value) {
                (Some(text), None) => AttributeValue::Text(text),
                (None, Some(text)) => {
                    let bytes = STANDARD.decode(text).map_err(|error| malformed(error.to_string()))?;
                    AttributeValue::Binary(bytes.into())
                }
                _ => return Err(malformed(format!("{name} must have one value"))),
            };
            Ok(Attribute { name, data_type: carried.data_type, value })
        })
        .collect()
}

/// A queue that does not exist, or a message that it may not hold, will not get better by trying again.
fn verdict(error: &ApiError) -> Verdict {
    let (code, why) = (error.model.code.to_owned(), error.message.clone());
    match error.model.fault {
        Fault::Client => Verdict::Refused { code, why },
        Fault::Server => Verdict::Again { code, why, after: None },
    }
}
