//! E-mail, through a relay that is described in the configuration. Without one, mails are written in full and kept in
//! the outbox.

mod letter;
mod smtp;

use super::Way;
use crate::limits::SMTP_TIMEOUT;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use letter::Letter;
use names::Arn;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use world::BoxFuture;

/// The envelope's attribute that tells `email` from `email-json`.
pub(crate) const FORM: &str = "mail-form";
/// The envelope's attribute with the sender's name, where the topic has one.
pub(crate) const SENDER_NAME: &str = "sender-name";

/// A relay that takes mails for everybody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MailRelay {
    /// Its name.
    pub host: String,
    /// Its port; 465 where TLS comes first, 587 otherwise.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// Whom mails are from: `no-reply@example.com` or `Alarms <no-reply@example.com>`.
    pub from: String,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub secret: Option<String>,
    /// Certificates (a PEM file) that vouch for the relay, in place of the machine's own.
    pub ca: Option<PathBuf>,
    /// What the house calls itself; `localhost` where nothing is said.
    pub hello: Option<String>,
}

/// How the connection to a relay is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// It begins in clear and goes on under TLS, or not at all.
    #[default]
    Starttls,
    /// It begins under TLS.
    Implicit,
    /// Not at all; a password is then sent to this machine only.
    None,
}

/// The secret is not printed.
impl fmt::Debug for MailRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailRelay").field("host", &self.host).field("from", &self.from).finish_non_exhaustive()
    }
}

impl MailRelay {
    /// Whether mails can be sent by it: to be asked when the configuration is read.
    pub fn check(&self) -> Result<(), String> {
        if letter::address(&self.from).is_none() {
            return Err(format!("from: {:?} is no address", self.from));
        }
        if self.user.is_some() != self.secret.is_some() {
            return Err("user and secret come together".to_owned());
        }
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.user.is_some() && self.tls == MailTls::None && !local {
            return Err("a password is not sent in clear to another machine: set tls".to_owned());
        }
        let fine = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !fine(&self.host) || !self.hello.as_deref().is_none_or(fine) {
            return Err("host and hello are names".to_owned());
        }
        Ok(())
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls == MailTls::Implicit { 465 } else { 587 })
    }
}

/// Takes envelopes for mail addresses.
pub(crate) struct MailTarget {
    pub(crate) way: Way,
    pub(crate) relay: Option<MailRelay>,
}

impl MailTarget {
    async fn send(&self, envelope: &Envelope, relay: &MailRelay) -> Verdict {
        let of = |name: &str| envelope.attributes.get(name).map(String::as_str);
        let letter = Letter {
            from: &relay.from,
            sender: of(SENDER_NAME),
            to: envelope.to.resource(),
            subject: of(attribute::SUBJECT).unwrap_or_default(),
            id: &envelope.id,
            at: envelope.created,
            text: &String::from_utf8_lossy(&envelope.body),
        };
        match smtp::send(&self.way.world, relay, &letter).await {
            Ok(answer) => Verdict::Accepted(Bytes::from(answer)),
            Err(failure) => failure.verdict(),
        }
    }
}

impl Target for MailTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let id = envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default();
            let verdict = match &self.relay {
                None => Verdict::Accepted(Bytes::from(id)),
                Some(relay) => self.send(envelope, relay).await,
            };
            let form = envelope.attributes.get(FORM).map_or("email", String::as_str);
            self.way.settle(envelope, form, envelope.to.resource(), verdict, self.relay.is_none()).await
        })
    }

    /// One lane for the one relay.
    fn lane(&self, _: &Arn) -> String {
        "email".to_owned()
    }

    /// Relays take few connections from one client.
    fn concurrency(&self, _: &Arn) -> usize {
        4
    }

    fn time_limit(&self, _: &Arn) -> Duration {
        SMTP_TIMEOUT
    }
}
