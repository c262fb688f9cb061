//! The ways out of the house. Each is a target of `delivery` under an ARN of Headwater's own partition, such as
//! `arn:headwater:sms:us-east-1:000000000000:+15551230000`: so a text message has the same time limit, retries and dead
//! letters as everything else that is pushed.

mod chat;
mod gsm;
mod http;
mod mail;
mod pace;
mod smpp;
mod sms;
mod template;

pub(crate) use chat::ChatTarget;
pub use chat::{Chat, ChatOptions};
pub(crate) use http::{CONTENT_TYPE, ENDPOINT, HttpTarget, KIND, PER_SECOND, RAW, SUBSCRIPTION};
pub(crate) use mail::{FORM, MailTarget, SENDER_NAME};
pub use mail::{MailRelay, MailTls};
pub use smpp::SmppGateway;
pub(crate) use smpp::Smsc;
pub use sms::SmsProvider;
pub(crate) use sms::{Gateway, Receipts, SmsTarget};

use crate::outbox::{Notification, Outbox, Status};
use ::http::Response;
use bytes::Bytes;
use delivery::{Envelope, Verdict, attribute};
use names::{Arn, Home};
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::time::Duration;
use world::World;

/// The address of a channel: not AWS's, so not in AWS's partition.
pub(crate) fn arn(home: &Home, channel: &str, resource: &str) -> Option<Arn> {
    format!("arn:headwater:{channel}:{}:{}:{resource}", home.region, home.account).parse().ok()
}

/// Host and port of a URL, in small letters.
pub(crate) fn authority(url: &str) -> String {
    let uri = url.parse::<::http::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    uri.port_u16().map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// What stands for a webhook in an ARN: its host, and not its secret.
pub(crate) fn webhook(url: &str) -> String {
    let hash: String = digest(&SHA256, url.as_bytes()).as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect();
    format!("{}/{hash}", authority(url))
}

/// What every channel needs.
pub(crate) struct Way {
    pub(crate) world: World,
    pub(crate) outbox: Arc<Outbox>,
}

impl Way {
    /// Keeps what became of a try, and turns it into a verdict. A notification that has left is not sent
    /// again only because it could not be kept; one that stays here must be kept, for there is no other copy.
    async fn settle(&self, envelope: &Envelope, channel: &str, to: &str, verdict: Verdict, stays: bool) -> Verdict {
        let status = match &verdict {
            Verdict::Accepted(_) if stays => Status::NoProvider,
            Verdict::Accepted(_) => Status::Sent,
            // It was no try.
            Verdict::Busy { .. } => return verdict,
            Verdict::Again { why, .. } | Verdict::Refused { why, .. } => Status::Failed(why.clone()),
        };
        let notification = Notification {
            id: envelope.id.clone(),
            channel: channel.to_owned(),
            to: to.to_owned(),
            subject: envelope.attributes.get(attribute::SUBJECT).cloned(),
            body: String::from_utf8_lossy(&envelope.body).into_owned(),
            time: self.world.now(),
            status,
            message_id: envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default(),
            receipt: None,
        };
        match self.outbox.keep(notification).await {
            Ok(()) => verdict,
            Err(error) if stays => Verdict::Again { code: "OutboxFailed".into(), why: error.to_string(), after: None },
            Err(error) => {
                tracing::warn!(%error, channel, "a notification could not be kept in the outbox");
                verdict
            }
        }
    }
}

/// What an answer over HTTP means: 2xx taken; 429 and 5xx not now; anything else never.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
fn answer(answer: &Response<Bytes>, accepted: Bytes) -> Verdict {
    let status = answer.status();
    if status.is_success() {
        return Verdict::Accepted(accepted);
    }
    let text: String = String::from_utf8_lossy(answer.body()).chars().take(200).collect();
    let (code, why) = (status.as_u16().to_string(), format!("answered {status}: {text}"));
    if status == ::http::StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let after =
            answer.headers().get(::http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Verdict::Again { code, why, after: after.map(|s: u64| Duration::from_secs(s.min(3_600))) };
    }
    Verdict::Refused { code, why }
}

/// No answer at all.
fn no_answer(error: &world::net::SendError) -> Verdict {
    Verdict::Again { code: "SendFailed".into(), why: error.to_string(), after: None }
}
