//! SNS: topics, their subscribers, and the channels that reach people: SMS, e-mail, HTTP(S), Slack,
//! PagerDuty and Teams.
//!
//! Invariants: when Publish answers, every confirmed subscription's copy is durable in `delivery`'s outbox; nobody who has
//! not confirmed gets anything but the question; every notification that left the house, or would have left had there
//! been a provider, can be read in the outbox; an attribute acts or is refused by name.
//! What it is not: mobile push and Firehose subscriptions, message archives and data protection are not served and are
//! refused. There is no retry loop here.
//! Entry points: [`Topics::open`], [`Topics::service`] (asked), [`Topics::targets`] (pushed), [`Topics::start`] (woken),
//! [`Topics::outbox`].

mod access;
mod api;
mod attribute;
mod channel;
mod confirmation;
mod endpoint;
mod error;
mod fanout;
mod feedback;
mod fifo;
mod filter;
mod limits;
mod notification;
mod outbox;
mod phone;
mod policy;
mod post;
mod quota;
mod settings;
mod signals;
mod signing;
mod state;
mod target;
mod tasks;
mod texting;
mod topics;

pub use channel::{Chat, ChatOptions, MailRelay, MailTls, SmppGateway, SmsProvider};
pub use feedback::LogSink;
pub use outbox::{Notification, Status};
pub use signing::SigningKey;
pub use topics::{Topics, TopicsOptions};
