//! The asked door: one file per family of operations.

mod confirm;
mod publish;
mod subscriptions;
mod topics;

use crate::Topics;
use crate::error::invalid;
use crate::limits::PAGE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shapes::sns::{
    ConfirmSubscriptionOp, CreateTopicOp, DeleteTopicOp, GetSubscriptionAttributesOp, GetTopicAttributesOp,
    ListSubscriptionsByTopicOp, ListSubscriptionsOp, ListTopicsOp, PublishOp, SetSubscriptionAttributesOp,
    SetTopicAttributesOp, SubscribeOp, UnsubscribeOp,
};
use std::sync::Arc;
use wire::{ApiError, Service};

/// The table of handlers.
pub(crate) fn service(state: &Arc<Topics>) -> Service {
    Service::new(&shapes::sns::SERVICE)
        // The links in confirmations and notifications carry a token instead of a signature.
        .unsigned(&["ConfirmSubscription", "Unsubscribe"])
        .on::<CreateTopicOp, _, _, _>(state, topics::create_topic)
        .on::<DeleteTopicOp, _, _, _>(state, topics::delete_topic)
        .on::<ListTopicsOp, _, _, _>(state, topics::list_topics)
        .on::<GetTopicAttributesOp, _, _, _>(state, topics::get_topic_attributes)
        .on::<SetTopicAttributesOp, _, _, _>(state, topics::set_topic_attributes)
        .on::<SubscribeOp, _, _, _>(state, subscriptions::subscribe)
        .on::<ListSubscriptionsOp, _, _, _>(state, subscriptions::list_subscriptions)
        .on::<ListSubscriptionsByTopicOp, _, _, _>(state, subscriptions::list_subscriptions_by_topic)
        .on::<GetSubscriptionAttributesOp, _, _, _>(state, subscriptions::get_subscription_attributes)
        .on::<SetSubscriptionAttributesOp, _, _, _>(state, subscriptions::set_subscription_attributes)
        .on::<ConfirmSubscriptionOp, _, _, _>(state, confirm::confirm_subscription)
        .on::<UnsubscribeOp, _, _, _>(state, confirm::unsubscribe)
        .on::<PublishOp, _, _, _>(state, publish::publish)
}

/// The key a page begins after; `None` for the first.
fn after(token: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let key = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(Some(key.ok_or_else(|| invalid("NextToken"))?))
}

/// Cuts a page out of entries that are one longer than a page where there are more; gives the token of the next.
fn page<T>(mut entries: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let token = entries.last().filter(|_| more).map(|(key, _)| STANDARD.encode(key));
    (entries.into_iter().map(|(_, entry)| entry).collect(), token)
}
