//! Asking the owner of an endpoint whether notifications are wanted.

use crate::Topics;
use crate::channel::{ENDPOINT, FORM, KIND};
use crate::endpoint::Protocol;
use crate::fanout::PRINCIPAL;
use crate::limits::customer_retries;
use crate::notification::{confirm_url, letter_of_question, question};
use crate::policy::HttpRetries;
use crate::state::Subscription;
use bytes::Bytes;
use delivery::{Envelope, attribute};
use names::Arn;
use std::collections::BTreeMap;
use wire::ApiError;

impl Topics {
    /// A token that nobody guesses: 256 random bits.
    pub(crate) fn token(&self) -> String {
        self.world.hex_id(64)
    }

    /// Sends the question. Durable when it returns.
    pub(crate) async fn ask(&self, topic: &Arn, id: &str, subscription: &Subscription) -> Result<(), ApiError> {
        let (message_id, at) = (self.world.uuid(), self.world.now());
        let link = confirm_url(&subscription.base, topic, &subscription.token);
        let mut attributes = BTreeMap::from([(attribute::MESSAGE_ID.to_owned(), message_id.clone())]);
        let (body, policy) = match subscription.protocol {
            Protocol::Http | Protocol::Https => {
                attributes.insert(KIND.to_owned(), "SubscriptionConfirmation".to_owned());
                attributes.insert(ENDPOINT.to_owned(), subscription.endpoint.clone());
                (question(&message_id, at, topic, &subscription.token, &link), HttpRetries::default().policy())
            }
            Protocol::Email | Protocol::EmailJson => {
                attributes.insert(FORM.to_owned(), subscription.protocol.as_str().to_owned());
                let subject = "AWS Notification - Subscription Confirmation";
                attributes.insert(attribute::SUBJECT.to_owned(), subject.to_owned());
                let body = match subscription.protocol {
                    Protocol::EmailJson => question(&message_id, at, topic, &subscription.token, &link),
                    _ => letter_of_question(topic, &link),
                };
                (body, customer_retries())
            }
            // Nobody asks them.
            Protocol::Sqs | Protocol::Lambda | Protocol::Sms => return Ok(()),
        };
        let envelope = Envelope {
            id: message_id,
            to: self.address(subscription, &format!("{topic}:{id}")),
            body: Bytes::from(body),
            attributes,
            from: Some(topic.clone()),
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
