//! The pushed door: what topics, rules and dead letters send arrives as messages, by the same way in as a caller's.

use crate::Queues;
use crate::error::{ACCESS_DENIED, no_queue};
use crate::intake::{self, Draft, Post};
use crate::message::{Attribute, AttributeValue};
use crate::room::Room;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute, code};
use names::Arn;
use policies::{Request, Who, admit};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::ApiError;
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
            let all = self.take(std::slice::from_ref(envelope), false).await;
            all.into_iter().next().expect("there are as many verdicts as envelopes")
        })
    }
    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(self.take(envelopes, false))
    }
    fn deliver_in_order<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(self.take(envelopes, true))
    }
    /// What comes together is one append, as what a caller sends together is.
    fn batch(&self, _: &Arn) -> usize {
        crate::limits::BATCH_ENTRIES
    }
}

impl QueueTarget {
    /// Puts envelopes for one queue into it, in their order and in one append; each is answered with its message's id.
    async fn take(&self, envelopes: &[Envelope], in_order: bool) -> Vec<Verdict> {
        let Some(room) = envelopes.first().and_then(|envelope| self.0.of(&envelope.to)) else {
            return vec![Verdict::from(&no_queue()); envelopes.len()];
        };
        let (mut drafts, mut refused) = (Vec::with_capacity(envelopes.len()), BTreeMap::new());
        for (i, envelope) in envelopes.iter().enumerate() {
            match self.draft(&room, envelope) {
                Ok(draft) => drafts.push(draft),
                Err(error) => drop(refused.insert(i, Verdict::from(&error))),
            }
            if in_order && !refused.is_empty() {
                break;
            }
        }
        let taken = intake::accept(&self.0, &room, drafts).await;
        let mut taken = match &taken {
            Ok(accepted) => accepted.iter().map(|one| Verdict::Accepted(Bytes::from(one.uuid()))).collect(),
            Err(error) => vec![Verdict::from(error); envelopes.len() - refused.len()],
        }
        .into_iter();
        (0..envelopes.len()).map(|i| refused.remove(&i).or_else(|| taken.next()).unwrap_or_else(not_tried)).collect()
    }

    /// The message that an envelope is, where the queue takes it.
    fn draft(&self, room: &Room, envelope: &Envelope) -> Result<Draft, ApiError> {
        let attributes = match envelope.attributes.get(attribute::MESSAGE_ATTRIBUTES) {
            Some(json) => attributes(json)?,
            None => Vec::new(),
        };
        self.admit(room, envelope)?;
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
        intake::draft(&self.0, room, post)
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

fn not_tried() -> Verdict {
    let why = "what comes before it was not accepted".to_owned();
    Verdict::Again { code: code::NOT_TRIED.to_owned(), why, after: None }
}
