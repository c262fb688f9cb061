//! Asking the owner of an endpoint whether notifications are wanted.

use crate::Topics;
use crate::channel::{ENDPOINT, FORM, KIND};
use crate::endpoint::Protocol;
use crate::fanout::PRINCIPAL;
use crate::limits::customer_retries;
use crate::notification::{Asked, Question, confirm_url, letter_of_question};
use crate::policy::HttpRetries;
use crate::state::Subscription;
use bytes::Bytes;
use delivery::{Envelope, attribute};
use std::collections::BTreeMap;
use wire::ApiError;

impl Topics {
    /// A token that nobody guesses: 256 random bits.
    pub(crate) fn token(&self) -> String {
        self.world.hex_id(64)
    }

    /// Sends a question. Durable when it returns.
    pub(crate) async fn ask(
        &self,
        question: Question,
        name: &str,
        id: &str,
        subscription: &Subscription,
    ) -> Result<(), ApiError> {
        if !subscription.is_asked() {
            return Ok(());
        }
        let (message_id, at, topic) = (self.world.uuid(), self.world.now(), self.arn(name));
        let link = confirm_url(&subscription.base, &topic, &subscription.token);
        let version =
            self.catalog.read(|state| state.topics.get(name).map(|t| t.settings.signature)).unwrap_or_default();
        let asked = Asked::new(question, &message_id, at, &topic, &subscription.token, &link);
        let body = match subscription.protocol {
            Protocol::Email => letter_of_question(question, &topic, &link),
            _ => {
                let signed = self.signer().await?.sign(version, &asked.canonical()).map_err(ApiError::fault)?;
                asked.json(&signed, &subscription.base)
            }
        };
        let mut attributes = BTreeMap::from([(attribute::MESSAGE_ID.to_owned(), message_id.clone())]);
        attributes.insert(KIND.to_owned(), question.kind().to_owned());
        let policy = match subscription.protocol {
            Protocol::Http | Protocol::Https => {
                attributes.insert(ENDPOINT.to_owned(), subscription.endpoint.clone());
                HttpRetries::default().policy()
            }
            _ => {
                attributes.insert(FORM.to_owned(), subscription.protocol.as_str().to_owned());
                attributes.insert(attribute::SUBJECT.to_owned(), question.subject().to_owned());
                customer_retries()
            }
        };
        let envelope = Envelope {
            id: message_id,
            to: self.address(subscription, &format!("{topic}:{id}"), false),
            body: Bytes::from(body),
            attributes,
            from: Some(topic),
            principal: PRINCIPAL.to_owned(),
            role: None,
            policy,
            dead_letter: None,
            trace: None,
            not_before: None,
            created: at,
        };
        Ok(self.delivery.send(vec![envelope]).await?)
    }
}
