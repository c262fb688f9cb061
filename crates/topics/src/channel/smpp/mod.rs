//! Text messages by SMPP 3.4, to a message centre that is described in the configuration: one session, bound as a
//! transceiver, opened when it is needed and kept.
//! Source: SMPP Protocol Specification v3.4, issue 1.2

mod pdu;
mod session;

use super::gsm::{Alphabet, parts};
use crate::Topics;
use crate::limits::SMPP_TIMEOUT;
use delivery::Verdict;
use pdu::{Address, Body, Pdu, Short, status};
use serde::Deserialize;
use session::{Ask, Session};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// A message centre.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmppGateway {
    /// Its name.
    pub host: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// Whether the connection is under TLS.
    #[serde(default)]
    pub tls: bool,
    /// Who the house is there.
    pub system_id: String,
    /// Its password.
    pub password: String,
    /// The kind of system, where the centre asks for one.
    #[serde(default)]
    pub system_type: String,
    /// The sender's number or name, unless a message says otherwise.
    pub from: Option<String>,
    /// What a part of a message costs, in millionths of a dollar: without it there is no monthly limit.
    pub price_micro_usd: Option<u64>,
}

fn port() -> u16 {
    2775
}

/// The password is not printed.
impl fmt::Debug for SmppGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SmppGateway");
        shown.field("host", &self.host).field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

impl SmppGateway {
    /// Whether the names are as long as the protocol takes: to be asked when the configuration is read.
    pub fn check(&self) -> Result<(), String> {
        let most = [
            ("system-id", &self.system_id, 15),
            ("password", &self.password, 8),
            ("system-type", &self.system_type, 12),
        ];
        for (name, value, most) in most {
            if value.len() > most || !value.is_ascii() || value.contains('\0') {
                return Err(format!("{name} has at most {most} characters of ASCII"));
            }
        }
        Ok(())
    }
}

/// The way to the centre.
pub(crate) struct Smsc {
    pub(super) gateway: SmppGateway,
    live: Mutex<Option<mpsc::Sender<Ask>>>,
}

/// What a message asks of its carrier.
pub(super) struct Wanted<'a> {
    pub(super) to: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) urgent: bool,
}

impl Smsc {
    pub(crate) fn new(gateway: SmppGateway) -> Smsc {
        Smsc { gateway, live: Mutex::new(None) }
    }

    /// Hands a message over, part by part; gives the centre's id of the last.
    pub(super) async fn submit(&self, topics: &Arc<Topics>, wanted: &Wanted<'_>) -> Result<String, Verdict> {
        let all = parts(wanted.text);
        let total = all.len() as u8;
        let reference = topics.world.entropy.u64() as u8;
        let mut id = String::new();
        for (number, part) in (1..).zip(all) {
            let mut message = Vec::new();
            if total > 1 {
                // A header of five bytes: concatenated, three bytes on: reference, how many, which.
                message.extend_from_slice(&[5, 0, 3, reference, total, number]);
            }
            message.extend_from_slice(&part.bytes);
            let from = wanted.from.or(self.gateway.from.as_deref()).unwrap_or_default();
            let short = Short {
                source: Address::of_sender(from),
                destination: Address::of_number(wanted.to),
                esm_class: if total > 1 { 0x40 } else { 0 },
                priority: u8::from(wanted.urgent),
                registered: u8::from(number == total),
                coding: if part.alphabet == Alphabet::Ucs2 { 8 } else { 0 },
                message,
                ..Short::default()
            };
            let answer = self.ask(topics, Body::Submit(short)).await?;
            match (answer.status, answer.body) {
                (status::OK, Body::SubmitAnswer(given)) => id = given,
                (status, _) => return Err(refusal(status)),
            }
        }
        Ok(id)
    }

    async fn ask(&self, topics: &Arc<Topics>, body: Body) -> Result<Pdu, Verdict> {
        let live = self.session(topics).await?;
        let (answer, answered) = oneshot::channel();
        let gone = || again("SendFailed", "the session with the message centre ended");
        live.send(Ask { body, answer }).await.map_err(|_| gone())?;
        tokio::select! {
            biased;
            answered = answered => answered.map_err(|_| gone()),
            () = topics.world.clock.sleep(SMPP_TIMEOUT) => Err(again("TIMEOUT", "the message centre does not answer")),
        }
    }

    /// The session there is, or a new one.
    async fn session(&self, topics: &Arc<Topics>) -> Result<mpsc::Sender<Ask>, Verdict> {
        let mut live = self.live.lock().await;
        if let Some(asks) = live.as_ref().filter(|asks| !asks.is_closed()) {
            return Ok(asks.clone());
        }
        let opened = tokio::select! {
            biased;
            opened = Session::open(topics, &self.gateway) => opened?,
            () = topics.world.clock.sleep(SMPP_TIMEOUT) => return Err(again("TIMEOUT", "the message centre does not answer")),
        };
        *live = Some(opened.clone());
        Ok(opened)
    }
}

fn again(code: &str, why: impl Into<String>) -> Verdict {
    Verdict::Again { code: code.to_owned(), why: why.into(), after: None }
}

/// What a status other than none means: some pass, all others are about the message.
fn refusal(status: u32) -> Verdict {
    let (code, why) = (format!("0x{status:08X}"), format!("the message centre answered {}", status::name(status)));
    if status::passes(status) { again(&code, why) } else { Verdict::Refused { code, why } }
}
