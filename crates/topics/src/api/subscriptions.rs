//! Subscriptions: made, listed, set.

use super::bad_token;
use crate::Topics;
use crate::channel::Chat;
use crate::endpoint::{Protocol, without_password};
use crate::error::{invalid_because, no_subscription, no_topic};
use crate::limits::{CONFIRM_WITHIN, PAGE, SUBSCRIPTIONS};
use crate::notification::Question;
use crate::policy::DeliveryPolicy;
use crate::settings::{Scope, SubscriptionSettings};
use crate::state::{Change, Subscription, Topic};
use serde_json::json;
use shapes::sns::errors::SUBSCRIPTION_LIMIT_EXCEEDED_EXCEPTION;
use shapes::sns::{
    self, GetSubscriptionAttributesInput, GetSubscriptionAttributesResponse, ListSubscriptionsByTopicInput,
    ListSubscriptionsByTopicResponse, ListSubscriptionsInput, ListSubscriptionsResponse,
    SetSubscriptionAttributesInput, SubscribeInput, SubscribeResponse,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing, page};

/// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
pub(super) async fn subscribe(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: SubscribeInput,
) -> Result<SubscribeResponse, ApiError> {
    // <https://docs.aws.amazon.com/sns/latest/dg/sns-using-identity-based-policies.html#sns-policy-keys>
    let told =
        [("sns:Protocol", input.protocol.as_str()), ("sns:Endpoint", input.endpoint.as_deref().unwrap_or_default())];
    let name = topics.asked_of(&call, &input.topic_arn, &told)?;
    let fifo = topics.catalog.read(|state| state.topics.get(&name).map(|t| t.settings.fifo)).ok_or_else(no_topic)?;
    let protocol: Protocol = input.protocol.parse()?;
    let endpoint = protocol.endpoint(input.endpoint.as_deref().unwrap_or_default(), &topics.home)?;
    check_fifo(fifo, protocol, &endpoint)?;
    let chat = Some(&endpoint).filter(|_| protocol == Protocol::Https).and_then(|url| Chat::of(url, &topics.chats));
    if let Some(chat) = chat {
        chat.check(&endpoint).map_err(|why| invalid_because("Endpoint", why))?;
    }
    let given = input.attributes.unwrap_or_default();
    let settings = SubscriptionSettings::from(protocol, &topics.filters, &given)?;
    check_dead_letter(&topics, &endpoint, &settings)?;
    let asked = protocol.needs_confirmation() && chat.is_none();
    let pending_until = asked.then(|| topics.world.now().plus(CONFIRM_WITHIN));
    let fresh = Subscription {
        protocol,
        endpoint,
        base: topics.base(&call),
        settings,
        principal: call.caller.arn.clone(),
        token: topics.token(),
        pending_until,
        authenticated: pending_until.is_none(),
        authenticate_on_unsubscribe: false,
        chat,
    };
    let address = topics.address(&fresh, &topics.arn(&name).to_string(), false);
    if !topics.delivery.knows(&address) {
        let why = format!("Headwater cannot deliver to {address} in this configuration");
        return Err(invalid_because("Endpoint", why));
    }
    let id = topics.world.uuid();
    let (id, subscription) = topics
        .catalog
        .change(|state| {
            let topic = state.topics.get(&name).ok_or_else(no_topic)?;
            let (id, subscription) = place(topic, id, fresh, !given.is_empty())?;
            let change = Change::Subscribed {
                topic: name.clone(),
                id: id.clone(),
                subscription: Box::new(subscription.clone()),
            };
            let known = topic.subscriptions.get(&id) == Some(&subscription);
            Ok::<_, ApiError>((if known { vec![] } else { vec![change] }, (id, subscription)))
        })
        .await?;
    let arn = topics.arn(&name);
    let pending = subscription.pending_until.is_some();
    if pending {
        topics.ask(Question::Subscribe, &name, &id, &subscription).await?;
    }
    let shown = if pending && input.return_subscription_arn != Some(true) {
        "pending confirmation".to_owned()
    } else {
        format!("{arn}:{id}")
    };
    Ok(SubscribeResponse { subscription_arn: Some(shown) })
}

/// Who subscribes an endpoint again gets the subscription there is. One that still waits is asked again, with the
/// token it has, for the answer to either question must do.
fn place(topic: &Topic, id: String, fresh: Subscription, explicit: bool) -> Result<(String, Subscription), ApiError> {
    let same = |s: &Subscription| s.protocol == fresh.protocol && s.endpoint == fresh.endpoint;
    let Some((id, known)) = topic.subscriptions.iter().find(|(_, s)| same(s)) else {
        if topic.subscriptions.len() >= SUBSCRIPTIONS {
            let text = "You have reached the limit of subscriptions for this topic.";
            return Err(SUBSCRIPTION_LIMIT_EXCEEDED_EXCEPTION.because(text));
        }
        return Ok((id, fresh));
    };
    if explicit && known.settings != fresh.settings {
        return Err(invalid_because("Attributes", "Subscription already exists with different attributes"));
    }
    let mut known = known.clone();
    if known.pending_until.is_some() {
        known.pending_until = fresh.pending_until;
    }
    Ok((id.clone(), known))
}

/// FIFO topics deliver to queues, and FIFO queues take from FIFO topics.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-delivery.html>
fn check_fifo(fifo: bool, protocol: Protocol, endpoint: &str) -> Result<(), ApiError> {
    match protocol {
        Protocol::Sqs if !fifo && endpoint.ends_with(".fifo") => {
            Err(invalid_because("Endpoint", "FIFO SQS Queues can not be subscribed to standard SNS topics"))
        }
        Protocol::Sqs => Ok(()),
        _ if fifo => Err(invalid_because("Endpoint", "FIFO SNS topics deliver to SQS queues only")),
        _ => Ok(()),
    }
}

fn check_dead_letter(topics: &Topics, endpoint: &str, settings: &SubscriptionSettings) -> Result<(), ApiError> {
    match &settings.dead_letter {
        // A letter has what the message had: a group and a deduplication id, or neither.
        Some(arn) if arn.resource().ends_with(".fifo") != endpoint.ends_with(".fifo") => {
            Err(invalid_because("RedrivePolicy", "a FIFO queue's dead letters go to a FIFO queue, and no others do"))
        }
        Some(arn) if !topics.delivery.knows(arn) => {
            Err(invalid_because("RedrivePolicy", format!("Headwater cannot deliver to {arn} in this configuration")))
        }
        _ => Ok(()),
    }
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptions.html>
pub(super) async fn list_subscriptions(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: ListSubscriptionsInput,
) -> Result<ListSubscriptionsResponse, ApiError> {
    let start = page::start("subscriptions", input.next_token.as_deref()).ok_or_else(bad_token)?;
    let start = match &start {
        Bound::Excluded(key) => Some(key.split_once(':').ok_or_else(bad_token)?),
        _ => None,
    };
    let first_topic = start.map_or(Bound::Unbounded, |(topic, _)| Bound::Included(topic.to_owned()));
    let (list, next_token) = topics.catalog.read(|state| {
        let all = state.topics.range((first_topic, Bound::Unbounded)).flat_map(|(name, topic)| {
            let from = match start {
                Some((begun, id)) if begun == name => Bound::Excluded(id.to_owned()),
                _ => Bound::Unbounded,
            };
            let range = topic.subscriptions.range((from, Bound::Unbounded));
            range.map(move |(id, subscription)| (format!("{name}:{id}"), (name, id, subscription)))
        });
        page::cut("subscriptions", all, PAGE, |_, (name, id, s)| Some(entry(&topics, name, id, s)))
    });
    Ok(ListSubscriptionsResponse { subscriptions: Some(list), next_token })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
pub(super) async fn list_subscriptions_by_topic(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: ListSubscriptionsByTopicInput,
) -> Result<ListSubscriptionsByTopicResponse, ApiError> {
    let name = topics.asked(&call, &input.topic_arn)?;
    let part = (input.next_token.as_deref(), PAGE);
    let entry = |id: &str, s: &_| Some(entry(&topics, &name, id, s));
    let (list, next_token) = topics.catalog.read(|state| {
        let known = state.topics.get(&name).ok_or_else(no_topic)?;
        page::page(&format!("subscriptions of {name}"), &known.subscriptions, part, entry).ok_or_else(bad_token)
    })?;
    Ok(ListSubscriptionsByTopicResponse { subscriptions: Some(list), next_token })
}

fn entry(topics: &Topics, topic: &str, id: &str, subscription: &Subscription) -> sns::Subscription {
    let arn = match subscription.pending_until {
        Some(_) => "PendingConfirmation".to_owned(),
        None => format!("{}:{id}", topics.arn(topic)),
    };
    sns::Subscription {
        subscription_arn: Some(arn),
        owner: Some(topics.home.account.to_string()),
        protocol: Some(subscription.protocol.as_str().to_owned()),
        endpoint: Some(without_password(&subscription.endpoint)),
        topic_arn: Some(topics.arn(topic).to_string()),
    }
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_GetSubscriptionAttributes.html>
pub(super) async fn get_subscription_attributes(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: GetSubscriptionAttributesInput,
) -> Result<GetSubscriptionAttributesResponse, ApiError> {
    let (name, id) = topics.subscription_of(&input.subscription_arn)?;
    let attributes = topics
        .catalog
        .read(|state| state.subscription(&name, &id).map(|(topic, subscription)| shown(&topics, topic, subscription)))
        .ok_or_else(no_subscription)?;
    let mut attributes: BTreeMap<String, String> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    attributes.insert("SubscriptionArn".to_owned(), input.subscription_arn);
    attributes.insert("TopicArn".to_owned(), topics.arn(&name).to_string());
    Ok(GetSubscriptionAttributesResponse { attributes: Some(attributes) })
}

fn shown(topics: &Topics, topic: &Topic, subscription: &Subscription) -> Vec<(&'static str, String)> {
    let settings = &subscription.settings;
    let mut out = vec![
        ("Protocol", subscription.protocol.as_str().to_owned()),
        ("Endpoint", without_password(&subscription.endpoint)),
        ("Owner", topics.home.account.to_string()),
        ("SubscriptionPrincipal", subscription.principal.clone()),
        ("PendingConfirmation", subscription.pending_until.is_some().to_string()),
        ("ConfirmationWasAuthenticated", subscription.authenticated.to_string()),
        ("RawMessageDelivery", settings.raw.to_string()),
    ];
    if let Some(policy) = &settings.filter {
        let scope = match settings.scope {
            Scope::MessageAttributes => "MessageAttributes",
            Scope::MessageBody => "MessageBody",
        };
        out.extend([("FilterPolicy", policy.clone()), ("FilterPolicyScope", scope.to_owned())]);
    }
    if let Some(arn) = &settings.dead_letter {
        out.push(("RedrivePolicy", json!({ "deadLetterTargetArn": arn }).to_string()));
    }
    if matches!(subscription.protocol, Protocol::Http | Protocol::Https) {
        let (general, own) = (topic.settings.delivery.as_ref(), settings.delivery.as_ref());
        out.push(("EffectiveDeliveryPolicy", DeliveryPolicy::effective_of_subscription(general, own)));
        out.extend(own.map(|policy| ("DeliveryPolicy", policy.text.clone())));
    }
    out
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html>
pub(super) async fn set_subscription_attributes(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: SetSubscriptionAttributesInput,
) -> Result<Nothing, ApiError> {
    let (name, id) = topics.subscription_of(&input.subscription_arn)?;
    let value = input.attribute_value.unwrap_or_default();
    topics
        .catalog
        .change(|state| {
            let mut subscription = state.subscription(&name, &id).ok_or_else(no_subscription)?.1.clone();
            let protocol = subscription.protocol;
            subscription.settings.set(protocol, &topics.filters, &input.attribute_name, &value)?;
            check_dead_letter(&topics, &subscription.endpoint, &subscription.settings)?;
            let subscription = Box::new(subscription);
            let change = Change::Subscribed { topic: name.clone(), id: id.clone(), subscription };
            Ok::<_, ApiError>((vec![change], ()))
        })
        .await?;
    Ok(Nothing {})
}
