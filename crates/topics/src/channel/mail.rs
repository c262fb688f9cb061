//! E-mail. There is no provider for it yet: mails are written in full and kept in the outbox.

use super::Way;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use names::Arn;
use world::BoxFuture;

/// The envelope's attribute that tells `email` from `email-json`.
pub(crate) const FORM: &str = "mail-form";

/// Takes envelopes for mail addresses.
pub(crate) struct MailTarget {
    pub(crate) way: Way,
}

impl Target for MailTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let id = envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default();
            let form = envelope.attributes.get(FORM).map_or("email", String::as_str);
            let verdict = Verdict::Accepted(Bytes::from(id));
            self.way.settle(envelope, form, envelope.to.resource(), verdict, true).await
        })
    }

    fn lane(&self, _: &Arn) -> String {
        "email".to_owned()
    }
}
