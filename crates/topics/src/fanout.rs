//! From one message to an envelope for each subscription.

use crate::channel::{self, CONTENT_TYPE, ENDPOINT, FORM, KIND, RAW, SUBSCRIPTION};
use crate::endpoint::Protocol;
use crate::error::no_topic;
use crate::limits::{FANOUT_BYTES, FANOUT_COUNT, customer_retries, managed_retries};
use crate::notification::{event, letter, unsubscribe_url, wrapped};
use crate::policy::DeliveryPolicy;
use crate::post::{Post, size};
use crate::settings::Scope;
use crate::state::Subscription;
use crate::{Topics, attribute, phone, signals};
use bytes::Bytes;
use delivery::{Envelope, RetryPolicy};
use names::Arn;
use patterns::Event;
use std::collections::BTreeMap;
use wire::ApiError;

/// The principal in whose name everything leaves.
pub(crate) const PRINCIPAL: &str = "sns.amazonaws.com";

impl Topics {
    /// Sends a message to a topic's confirmed subscriptions. All copies are durable when it returns.
    pub(crate) async fn fan_out(&self, name: &str, post: &Post) -> Result<(), ApiError> {
        let (subscriptions, policy) = self
            .catalog
            .read(|state| {
                let topic = state.topics.get(name)?;
                let confirmed = topic.subscriptions.iter().filter(|(_, s)| s.pending_until.is_none());
                let all: Vec<(String, Subscription)> = confirmed.map(|(id, s)| (id.clone(), s.clone())).collect();
                Some((all, topic.settings.delivery.clone()))
            })
            .ok_or_else(no_topic)?;
        let topic = self.arn(name);
        self.world.meter.record(&signals::PUBLISHED, &[name], 1);
        self.world.meter.record(
            &signals::PUBLISH_SIZE,
            &[name],
            size(post.text.to(Protocol::Sqs), &post.attributes) as u64,
        );
        let (mut envelopes, mut bytes) = (Vec::new(), 0);
        for (id, subscription) in &subscriptions {
            if !self.passes(subscription, post)? {
                self.world.meter.record(&signals::FILTERED_OUT, &[name], 1);
                continue;
            }
            let envelope = self.envelope(&topic, policy.as_ref(), id, subscription, post);
            bytes += envelope.body.len();
            envelopes.push(envelope);
            // A topic with very many subscriptions does not fit one append. If the house dies in between, the publisher
            // has had no answer and publishes again.
            if bytes >= FANOUT_BYTES || envelopes.len() >= FANOUT_COUNT {
                self.delivery.send(std::mem::take(&mut envelopes)).await?;
                bytes = 0;
            }
        }
        if !envelopes.is_empty() {
            self.delivery.send(envelopes).await?;
        }
        Ok(())
    }

    /// Sends a message to a phone number. Durable when it returns.
    pub(crate) async fn text(&self, number: &str, post: &Post) -> Result<(), ApiError> {
        self.world.meter.record(&signals::PUBLISHED, &[signals::DIRECT], 1);
        let body = post.text.to(Protocol::Sms).to_owned();
        let to = channel::arn(&self.home, "sms", number).expect("a number in E.164 form makes an ARN");
        let envelope = Envelope {
            attributes: attributes(post, true),
            body: Bytes::from(body),
            ..self.envelope_to(to, &post.id, post, customer_retries())
        };
        Ok(self.delivery.send(vec![envelope]).await?)
    }

    /// Whether the subscription's filter policy lets the message through.
    fn passes(&self, subscription: &Subscription, post: &Post) -> Result<bool, ApiError> {
        let Some(policy) = &subscription.settings.filter else { return Ok(true) };
        let scope = subscription.settings.scope;
        let filter = self.filters.get(scope, policy).map_err(ApiError::fault)?;
        let seen = match scope {
            Scope::MessageAttributes => Event::of(&attribute::for_filter(&post.attributes)),
            Scope::MessageBody => Event::parse(post.text.to(subscription.protocol)),
        };
        // A body that is no JSON object passes no policy.
        Ok(seen.is_ok_and(|seen| filter.matches(&seen)))
    }

    fn envelope(
        &self,
        topic: &Arn,
        policy: Option<&DeliveryPolicy>,
        id: &str,
        subscription: &Subscription,
        post: &Post,
    ) -> Envelope {
        let arn = format!("{topic}:{id}");
        let unsubscribe = unsubscribe_url(&subscription.base, &arn);
        let (protocol, raw) = (subscription.protocol, subscription.settings.raw);
        let body = match protocol {
            Protocol::Lambda => event(post, topic, &arn, &unsubscribe),
            Protocol::Sms => post.text.to(protocol).to_owned(),
            Protocol::Email => letter(post, topic, &unsubscribe),
            Protocol::Sqs | Protocol::Http | Protocol::Https if raw => post.text.to(protocol).to_owned(),
            Protocol::Sqs | Protocol::Http | Protocol::Https | Protocol::EmailJson => {
                wrapped(post, topic, protocol, &unsubscribe)
            }
        };
        let mut attributes = attributes(post, raw || protocol == Protocol::Sms);
        let policy = match protocol {
            Protocol::Sqs => managed_retries(),
            Protocol::Lambda => {
                attributes.insert(delivery::attribute::INVOCATION.to_owned(), "Event".to_owned());
                managed_retries()
            }
            Protocol::Http | Protocol::Https => {
                let (retries, kind) = DeliveryPolicy::effective(policy, subscription.settings.delivery.as_ref());
                attributes.insert(KIND.to_owned(), "Notification".to_owned());
                attributes.insert(ENDPOINT.to_owned(), subscription.endpoint.clone());
                attributes.insert(SUBSCRIPTION.to_owned(), arn.clone());
                attributes.extend(raw.then(|| (RAW.to_owned(), "true".to_owned())));
                attributes.extend(kind.map(|kind| (CONTENT_TYPE.to_owned(), kind)));
                retries.policy()
            }
            Protocol::Email | Protocol::EmailJson => {
                attributes.insert(FORM.to_owned(), protocol.as_str().to_owned());
                let subject = delivery::attribute::SUBJECT.to_owned();
                attributes.entry(subject).or_insert_with(|| "AWS Notification Message".to_owned());
                customer_retries()
            }
            Protocol::Sms => customer_retries(),
        };
        Envelope {
            body: Bytes::from(body),
            attributes,
            from: Some(topic.clone()),
            dead_letter: subscription.settings.dead_letter.clone(),
            ..self.envelope_to(self.address(subscription, &arn), &format!("{}/{id}", post.id), post, policy)
        }
    }

    /// Where a subscription's envelopes go: to the resource itself, or to the channel that reaches the endpoint.
    pub(crate) fn address(&self, subscription: &Subscription, arn: &str) -> Arn {
        let endpoint = &subscription.endpoint;
        let address = match subscription.protocol {
            Protocol::Sqs | Protocol::Lambda => endpoint.parse().ok(),
            Protocol::Sms => channel::arn(&self.home, "sms", &phone::e164(endpoint).unwrap_or_default()),
            Protocol::Email | Protocol::EmailJson => channel::arn(&self.home, "email", endpoint),
            Protocol::Http | Protocol::Https => {
                let uri = endpoint.parse::<http::Uri>().unwrap_or_default();
                let host = uri.host().unwrap_or_default().to_ascii_lowercase();
                let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
                channel::arn(
                    &self.home,
                    "http",
                    &format!("{host}{port}/{}", arn.rsplit(':').next().unwrap_or_default()),
                )
            }
        };
        address.expect("Subscribe has checked the endpoint")
    }

    fn envelope_to(&self, to: Arn, id: &str, post: &Post, policy: RetryPolicy) -> Envelope {
        Envelope {
            id: id.to_owned(),
            to,
            body: Bytes::new(),
            attributes: BTreeMap::new(),
            from: None,
            principal: PRINCIPAL.to_owned(),
            role: None,
            policy,
            dead_letter: None,
            trace: post.trace.clone(),
            not_before: None,
            created: post.at,
        }
    }
}

/// What travels beside the body. The message's own attributes do where the body does not hold them.
fn attributes(post: &Post, own: bool) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    out.insert(delivery::attribute::MESSAGE_ID.to_owned(), post.id.clone());
    out.extend(post.subject.clone().map(|subject| (delivery::attribute::SUBJECT.to_owned(), subject)));
    out.extend(post.request_id.clone().map(|id| (delivery::attribute::REQUEST_ID.to_owned(), id)));
    if own && !post.attributes.is_empty() {
        let carried = attribute::carried(&post.attributes);
        out.insert(delivery::attribute::MESSAGE_ATTRIBUTES.to_owned(), carried);
    }
    out
}
