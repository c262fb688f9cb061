//! What the house knows of its topics and their subscribers.

use crate::endpoint::Protocol;
use crate::settings::{SubscriptionSettings, TopicSettings};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All topics.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) topics: BTreeMap<String, Topic>,
}

/// A topic.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Topic {
    /// What it is set to.
    pub(crate) settings: TopicSettings,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its subscriptions, by the last part of their ARN.
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// How many subscriptions it had that are gone.
    pub(crate) gone: u64,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// How notifications go to it.
    pub(crate) protocol: Protocol,
    /// Where they go.
    pub(crate) endpoint: String,
    /// Scheme and authority of the links in its notifications.
    pub(crate) base: String,
    /// What it is set to.
    pub(crate) settings: SubscriptionSettings,
    /// Who subscribed.
    pub(crate) principal: String,
    /// The token that confirms it.
    pub(crate) token: String,
    /// Until when it may be confirmed; `None` once it is, or where it need not be.
    pub(crate) pending_until: Option<Timestamp>,
    /// Whether who confirmed it had signed.
    pub(crate) authenticated: bool,
    /// Whether only a signed call may end it.
    pub(crate) authenticate_on_unsubscribe: bool,
}

/// What may happen to them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A topic is made.
    Created {
        /// Its name.
        name: String,
        /// What it is set to.
        settings: TopicSettings,
        /// Its tags.
        tags: BTreeMap<String, String>,
    },
    /// A topic is set anew.
    Set {
        /// Its name.
        name: String,
        /// To what.
        settings: TopicSettings,
    },
    /// A topic is deleted with its subscriptions.
    Deleted {
        /// Its name.
        name: String,
    },
    /// A subscription is made or changed.
    Subscribed {
        /// The topic's name.
        topic: String,
        /// The subscription's id.
        id: String,
        /// The subscription as it is now.
        subscription: Box<Subscription>,
    },
    /// A subscription is ended.
    Unsubscribed {
        /// The topic's name.
        topic: String,
        /// The subscription's id.
        id: String,
    },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Created { name, settings, tags } => {
                let topic = Topic { settings: settings.clone(), tags: tags.clone(), ..Topic::default() };
                self.topics.insert(name.clone(), topic);
            }
            Change::Set { name, settings } => {
                if let Some(topic) = self.topics.get_mut(name) {
                    topic.settings = settings.clone();
                }
            }
            Change::Deleted { name } => {
                self.topics.remove(name);
            }
            Change::Subscribed { topic, id, subscription } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    topic.subscriptions.insert(id.clone(), Subscription::clone(subscription));
                }
            }
            Change::Unsubscribed { topic, id } => {
                if let Some(topic) = self.topics.get_mut(topic)
                    && topic.subscriptions.remove(id).is_some()
                {
                    topic.gone += 1;
                }
            }
        }
    }
}

impl State {
    /// A subscription by its topic's name and its id.
    pub(crate) fn subscription(&self, topic: &str, id: &str) -> Option<(&Topic, &Subscription)> {
        let topic = self.topics.get(topic)?;
        Some((topic, topic.subscriptions.get(id)?))
    }
}
