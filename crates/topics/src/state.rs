//! What the house knows of its topics and their subscribers.

use crate::channel::Chat;
use crate::endpoint::Protocol;
use crate::settings::{SubscriptionSettings, TopicSettings};
use crate::texting::{Texting, TextingChange};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All topics.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) topics: BTreeMap<String, Topic>,
    /// What is set for text messages, and who does not want any.
    #[serde(default)]
    pub(crate) texting: Texting,
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
    /// When it was made.
    #[serde(default)]
    pub(crate) born: Timestamp,
    /// Subscriptions that were ended by somebody with a link: their owners may take that back for a while.
    #[serde(default)]
    pub(crate) ended: BTreeMap<String, Subscription>,
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
    /// Whom its URL reaches, where that is a chat.
    #[serde(default)]
    pub(crate) chat: Option<Chat>,
}

impl Subscription {
    /// Whether its owner can be asked.
    pub(crate) fn is_asked(&self) -> bool {
        self.protocol.needs_confirmation() && self.chat.is_none()
    }

    /// Whether its notifications carry a signature.
    pub(crate) fn is_signed(&self) -> bool {
        match self.protocol {
            Protocol::Lambda | Protocol::EmailJson => true,
            Protocol::Sqs | Protocol::Http | Protocol::Https => !self.settings.raw && self.chat.is_none(),
            Protocol::Sms | Protocol::Email => false,
        }
    }
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
        /// When.
        #[serde(default)]
        born: Timestamp,
    },
    /// A topic is tagged anew.
    Tagged {
        /// Its name.
        name: String,
        /// All its tags.
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
    /// A subscription is ended, and may be taken up again.
    Ended {
        /// The topic's name.
        topic: String,
        /// The subscription's id.
        id: String,
        /// The subscription as it would be confirmed again.
        subscription: Box<Subscription>,
    },
    /// Something about text messages.
    Texting(TextingChange),
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Created { name, settings, tags, born } => {
                let topic = Topic { settings: settings.clone(), tags: tags.clone(), born: *born, ..Topic::default() };
                self.topics.insert(name.clone(), topic);
            }
            Change::Set { name, settings } => {
                if let Some(topic) = self.topics.get_mut(name) {
                    topic.settings = settings.clone();
                }
            }
            Change::Tagged { name, tags } => {
                if let Some(topic) = self.topics.get_mut(name) {
                    topic.tags = tags.clone();
                }
            }
            Change::Texting(change) => self.texting.apply(change),
            Change::Deleted { name } => {
                self.topics.remove(name);
            }
            Change::Subscribed { topic, id, subscription } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    topic.ended.remove(id);
                    topic.subscriptions.insert(id.clone(), Subscription::clone(subscription));
                }
            }
            Change::Unsubscribed { topic, id } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    topic.ended.remove(id);
                    topic.gone += u64::from(topic.subscriptions.remove(id).is_some());
                }
            }
            Change::Ended { topic, id, subscription } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    topic.gone += u64::from(topic.subscriptions.remove(id).is_some());
                    topic.ended.insert(id.clone(), Subscription::clone(subscription));
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
