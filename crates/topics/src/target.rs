//! The pushed door: rules, alarms and other services publish to a topic as a caller does.

use crate::post::{Post, Text, check_size, check_subject};
use crate::{Topics, attribute};
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict};
use std::sync::Arc;
use wire::ApiError;
use world::BoxFuture;

/// Takes envelopes for the ARNs of topics.
pub(crate) struct TopicTarget(pub(crate) Arc<Topics>);

impl Target for TopicTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            match self.publish(envelope).await {
                Ok(id) => Verdict::Accepted(Bytes::from(id)),
                Err(error) => Verdict::from(&error),
            }
        })
    }
    fn sends_on(&self, _: &Envelope) -> bool {
        true
    }
}

impl TopicTarget {
    async fn publish(&self, envelope: &Envelope) -> Result<String, ApiError> {
        let topics = &self.0;
        let name = topics.name(envelope.to.as_str())?;
        let message = String::from_utf8(envelope.body.to_vec())
            .map_err(|_| crate::error::invalid("Message is not valid UTF-8"))?;
        let of = |name: &str| envelope.attributes.get(name).cloned();
        let attributes = match of(delivery::attribute::MESSAGE_ATTRIBUTES) {
            Some(carried) => attribute::read(&carried).map_err(crate::error::invalid)?,
            None => attribute::Attributes::new(),
        };
        check_size(&message, &attributes)?;
        let subject = of(delivery::attribute::SUBJECT);
        subject.as_deref().map(check_subject).transpose()?;
        let settings = topics.catalog.read(|state| state.topics.get(&name).map(|topic| topic.settings.clone()));
        let mut post = Post {
            id: topics.world.uuid(),
            at: topics.world.now(),
            subject,
            text: Text::read(message, None)?,
            attributes,
            trace: envelope.trace.clone(),
            request_id: of(delivery::attribute::REQUEST_ID),
            group: of(delivery::attribute::MESSAGE_GROUP_ID),
            fifo: None,
        };
        let settings = settings.ok_or_else(crate::error::no_topic)?;
        topics.pushed(envelope, &settings)?;
        let deduplication = of(delivery::attribute::MESSAGE_DEDUPLICATION_ID);
        post.place(&settings, deduplication.filter(|_| settings.fifo))?;
        Ok(topics.publish(&name, vec![post]).await?.remove(0).id)
    }
}
