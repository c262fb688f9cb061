//! From messages to an envelope for each subscription.

use crate::attribute;
use crate::channel::{self, CONTENT_TYPE, ENDPOINT, FORM, KIND, PER_SECOND, RAW, SENDER_NAME, SUBSCRIPTION};
use crate::endpoint::Protocol;
use crate::error::no_topic;
use crate::fifo::{self, Key, Seen};
use crate::limits::{FANOUT_BYTES, FANOUT_COUNT, SMS_NAME_LENGTH, customer_retries, managed_retries};
use crate::notification::{Shown, canonical_of, event, letter, wrapped};
use crate::policy::DeliveryPolicy;
use crate::post::{Post, size};
use crate::settings::{Scope, TopicSettings};
use crate::signing::Signed;
use crate::state::Subscription;
use crate::{Topics, phone, signals};
use bytes::Bytes;
use delivery::{Envelope, RetryPolicy};
use names::{Arn, Timestamp};
use patterns::Event;
use shapes::sns::errors::THROTTLED_EXCEPTION;
use std::collections::BTreeMap;
use wire::ApiError;

/// The principal in whose name everything leaves.
pub(crate) const PRINCIPAL: &str = "sns.amazonaws.com";

/// A topic as a message finds it.
struct View {
    name: String,
    arn: Arn,
    born: Timestamp,
    settings: TopicSettings,
    /// Those that are confirmed.
    subscriptions: Vec<(String, Subscription)>,
}

/// A message that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Its id.
    pub(crate) id: String,
    /// Its number in a FIFO topic.
    pub(crate) sequence: Option<String>,
}

impl Topics {
    fn view(&self, name: &str) -> Result<View, ApiError> {
        self.catalog
            .read(|state| {
                let topic = state.topics.get(name)?;
                let confirmed = topic.subscriptions.iter().filter(|(_, s)| s.pending_until.is_none());
                Some(View {
                    name: name.to_owned(),
                    arn: self.arn(name),
                    born: topic.born,
                    settings: topic.settings.clone(),
                    subscriptions: confirmed.map(|(id, s)| (id.clone(), s.clone())).collect(),
                })
            })
            .ok_or_else(no_topic)
    }

    /// Sends messages to a topic's confirmed subscriptions. All copies are durable when it returns.
    pub(crate) async fn publish(&self, name: &str, posts: Vec<Post>) -> Result<Vec<Published>, ApiError> {
        let view = self.view(name)?;
        self.count(&view, &posts)?;
        if view.settings.fifo {
            return self.publish_in_order(&view, posts).await;
        }
        self.fan_out(&view, &posts).await?;
        Ok(posts.into_iter().map(|post| Published { id: post.id, sequence: None }).collect())
    }

    /// Counts messages against the quotas.
    fn count(&self, view: &View, posts: &[Post]) -> Result<(), ApiError> {
        let Some(quotas) = &self.quotas else { return Ok(()) };
        let now = self.world.clock.monotonic();
        let groups = posts.iter().filter_map(|post| post.group.as_deref());
        let may = match view.settings.fifo {
            true => quotas.may_publish_in_order(&view.name, view.settings.by_group, groups, now),
            false => quotas.may_publish(posts.len(), now),
        };
        if may { Ok(()) } else { Err(THROTTLED_EXCEPTION.because("Rate exceeded")) }
    }

    /// From when on a text message may leave.
    fn text_after(&self) -> Option<Timestamp> {
        let wait = self.quotas.as_ref()?.text(self.world.clock.monotonic())?;
        Some(self.world.now().plus(wait))
    }

    /// One after another, so that copies stand in the outbox by their sequence numbers; each deduplication id once.
    async fn publish_in_order(&self, view: &View, posts: Vec<Post>) -> Result<Vec<Published>, ApiError> {
        let scope = |post: &Post| post.group.clone().filter(|_| view.settings.by_group);
        let turn = |post: &Post| fifo::key(&view.name, view.born, scope(post).as_deref(), "");
        let _turns = self.fifo.turns(posts.iter().map(turn)).await;
        if !self.fifo.has_room() {
            return Err(THROTTLED_EXCEPTION.because("Too many messages of FIFO topics within five minutes"));
        }
        let now = self.world.now();
        let (mut out, mut fresh, mut sent) = (Vec::new(), BTreeMap::<Key, Seen>::new(), Vec::new());
        for mut post in posts {
            let place = post.fifo.as_mut().expect("a message of a FIFO topic has its place");
            let key = fifo::key(
                &view.name,
                view.born,
                post.group.as_deref().filter(|_| view.settings.by_group),
                &place.deduplication,
            );
            let known = self.fifo.seen(&key, now).or_else(|| fresh.get(&key).copied());
            let seen = known.unwrap_or_else(|| Seen { message: fifo::bytes(&post.id), sequence: self.fifo.next(now) });
            out.push(Published { id: fifo::uuid(seen.message), sequence: Some(fifo::shown(seen.sequence)) });
            if known.is_none() {
                place.sequence = seen.sequence;
                fresh.insert(key, seen);
                sent.push(post);
            }
        }
        if !sent.is_empty() {
            self.fan_out(view, &sent).await?;
            self.fifo.remember(&fresh.into_iter().collect::<Vec<_>>(), now).await?;
        }
        Ok(out)
    }

    async fn fan_out(&self, view: &View, posts: &[Post]) -> Result<(), ApiError> {
        let (mut envelopes, mut bytes) = (Vec::new(), 0);
        for post in posts {
            self.world.meter.record(&signals::PUBLISHED, &[&view.name], 1);
            let size = size(post.text.to(Protocol::Sqs), &post.attributes) as u64;
            self.world.meter.record(&signals::PUBLISH_SIZE, &[&view.name], size);
            let mut signatures = Vec::new();
            for (id, subscription) in &view.subscriptions {
                if !self.passes(&view.name, subscription, post)? {
                    continue;
                }
                let signed = match subscription.is_signed() {
                    true => Some(self.signed(view, post, post.text.to(subscription.protocol), &mut signatures).await?),
                    false => None,
                };
                let envelope = self.envelope(view, id, subscription, post, signed);
                bytes += envelope.body.len();
                envelopes.push(envelope);
                // A topic with very many subscriptions does not fit one append. If the house dies in between, the
                // publisher has had no answer and publishes again.
                if bytes >= FANOUT_BYTES || envelopes.len() >= FANOUT_COUNT {
                    self.delivery.send(std::mem::take(&mut envelopes)).await?;
                    bytes = 0;
                }
            }
        }
        if !envelopes.is_empty() {
            self.delivery.send(envelopes).await?;
        }
        Ok(())
    }

    /// The signature of what a message says to a protocol: one for all that get the same text.
    async fn signed(
        &self,
        view: &View,
        post: &Post,
        text: &str,
        made: &mut Vec<(String, Signed)>,
    ) -> Result<Signed, ApiError> {
        if let Some((_, signed)) = made.iter().find(|(known, _)| known == text) {
            return Ok(signed.clone());
        }
        let canonical = canonical_of(post, &view.arn, text);
        let signed = self.signer().await?.sign(view.settings.signature, &canonical).map_err(ApiError::fault)?;
        made.push((text.to_owned(), signed.clone()));
        Ok(signed)
    }

    /// Sends a message to a phone number. Durable when it returns.
    pub(crate) async fn text(&self, number: &str, post: &Post) -> Result<(), ApiError> {
        self.world.meter.record(&signals::PUBLISHED, &[signals::DIRECT], 1);
        let body = post.text.to(Protocol::Sms).to_owned();
        let to = channel::arn(&self.home, "sms", number).expect("a number in E.164 form makes an ARN");
        let envelope = Envelope {
            attributes: attributes(post, true),
            body: Bytes::from(body),
            not_before: self.text_after(),
            ..self.envelope_to(to, &post.id, post, customer_retries())
        };
        Ok(self.delivery.send(vec![envelope]).await?)
    }

    /// Whether the subscription's filter policy lets the message through; counted where it does not.
    fn passes(&self, topic: &str, subscription: &Subscription, post: &Post) -> Result<bool, ApiError> {
        let Some(policy) = &subscription.settings.filter else { return Ok(true) };
        let scope = subscription.settings.scope;
        let filter = self.filters.get(scope, policy).map_err(ApiError::fault)?;
        let seen = match scope {
            Scope::MessageAttributes => Event::of(&attribute::for_filter(&post.attributes)),
            Scope::MessageBody => Event::parse(post.text.to(subscription.protocol)),
        };
        // A body that is no JSON object passes no policy.
        if seen.as_ref().is_ok_and(|seen| filter.matches(seen)) {
            return Ok(true);
        }
        let why = match scope {
            Scope::MessageAttributes if post.attributes.is_empty() => &signals::FILTERED_WITHOUT_ATTRIBUTES,
            Scope::MessageAttributes => &signals::FILTERED_BY_ATTRIBUTES,
            Scope::MessageBody if seen.is_err() => &signals::FILTERED_INVALID_BODY,
            Scope::MessageBody => &signals::FILTERED_BY_BODY,
        };
        for signal in [&signals::FILTERED_OUT, why] {
            self.world.meter.record(signal, &[topic], 1);
        }
        Ok(false)
    }

    fn envelope(
        &self,
        view: &View,
        id: &str,
        subscription: &Subscription,
        post: &Post,
        signed: Option<Signed>,
    ) -> Envelope {
        let (protocol, raw) = (subscription.protocol, subscription.settings.raw);
        let arn = format!("{}:{id}", view.arn);
        let shown = Shown { topic: &view.arn, arn: &arn, base: &subscription.base };
        let body = match (protocol, signed) {
            (Protocol::Lambda, Some(signed)) => event(post, &shown, &signed),
            (_, Some(signed)) => wrapped(post, &shown, protocol, &signed),
            (Protocol::Email, None) => letter(post, &shown),
            // Who reads a text message sees no other sender.
            // Source: <https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html>
            (Protocol::Sms, None) if !view.settings.display_name.is_empty() => {
                let name: String = view.settings.display_name.chars().take(SMS_NAME_LENGTH).collect();
                format!("{name}> {}", post.text.to(protocol))
            }
            (_, None) => post.text.to(protocol).to_owned(),
        };
        let chat = subscription.chat;
        let mut attributes = attributes(post, raw || chat.is_some() || protocol == Protocol::Sms);
        let policy = match protocol {
            Protocol::Sqs => {
                group(&mut attributes, view, subscription, post);
                managed_retries()
            }
            Protocol::Lambda => {
                attributes.insert(delivery::attribute::INVOCATION.to_owned(), "Event".to_owned());
                managed_retries()
            }
            Protocol::Http | Protocol::Https => {
                attributes.insert(KIND.to_owned(), "Notification".to_owned());
                attributes.insert(ENDPOINT.to_owned(), subscription.endpoint.clone());
                attributes.insert(SUBSCRIPTION.to_owned(), arn.clone());
                let general = view.settings.delivery.as_ref();
                let policy = DeliveryPolicy::effective(general, subscription.settings.delivery.as_ref());
                attributes.extend(raw.then(|| (RAW.to_owned(), "true".to_owned())));
                attributes.extend(policy.content_type.map(|kind| (CONTENT_TYPE.to_owned(), kind)));
                attributes.extend(policy.per_second.map(|rate| (PER_SECOND.to_owned(), rate.to_string())));
                if chat.is_some() { customer_retries() } else { policy.retries.policy() }
            }
            Protocol::Email | Protocol::EmailJson => {
                attributes.insert(FORM.to_owned(), protocol.as_str().to_owned());
                let subject = delivery::attribute::SUBJECT.to_owned();
                attributes.entry(subject).or_insert_with(|| "AWS Notification Message".to_owned());
                let sender = Some(view.settings.display_name.clone()).filter(|name| !name.is_empty());
                attributes.extend(sender.map(|name| (SENDER_NAME.to_owned(), name)));
                customer_retries()
            }
            Protocol::Sms => customer_retries(),
        };
        let paced = attributes.contains_key(PER_SECOND);
        Envelope {
            body: Bytes::from(body),
            attributes,
            from: Some(view.arn.clone()),
            dead_letter: subscription.settings.dead_letter.clone(),
            not_before: (protocol == Protocol::Sms).then(|| self.text_after()).flatten(),
            ..self.envelope_to(self.address(subscription, &arn, paced), &format!("{}/{id}", post.id), post, policy)
        }
    }

    /// Where a subscription's envelopes go: to the resource itself, or to the channel that reaches the endpoint.
    pub(crate) fn address(&self, subscription: &Subscription, arn: &str, paced: bool) -> Arn {
        let endpoint = &subscription.endpoint;
        let address = match subscription.protocol {
            Protocol::Sqs | Protocol::Lambda => endpoint.parse().ok(),
            Protocol::Sms => channel::arn(&self.home, "sms", &phone::e164(endpoint).unwrap_or_default()),
            Protocol::Email | Protocol::EmailJson => channel::arn(&self.home, "email", endpoint),
            Protocol::Http | Protocol::Https => match subscription.chat {
                Some(chat) => channel::arn(&self.home, chat.as_str(), &channel::webhook(endpoint)),
                None => {
                    let (id, head) = (arn.rsplit(':').next().unwrap_or_default(), if paced { "paced/" } else { "" });
                    channel::arn(&self.home, "http", &format!("{head}{}/{id}", channel::authority(endpoint)))
                }
            },
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

/// What a queue orders by. A FIFO topic's messages come to FIFO queues in order, group by group; a standard queue gets
/// a standard topic's groups, for its fair share, and none of a FIFO topic's.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-grouping.html>
fn group(attributes: &mut BTreeMap<String, String>, view: &View, subscription: &Subscription, post: &Post) {
    let Some(group) = &post.group else { return };
    if let Some(place) = &post.fifo {
        if !subscription.endpoint.ends_with(".fifo") {
            return;
        }
        let deduplication = delivery::attribute::MESSAGE_DEDUPLICATION_ID.to_owned();
        attributes.insert(deduplication, place.deduplication.clone());
        attributes.insert(delivery::attribute::ORDER.to_owned(), format!("{}/{group}", view.name));
    }
    attributes.insert(delivery::attribute::MESSAGE_GROUP_ID.to_owned(), group.clone());
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
