//! Text messages, through a gateway that is described in the configuration.

use super::smpp::{Smsc, Wanted};
use super::template::{Escape, fill};
use super::{Way, answer, gsm, no_answer};
use crate::Topics;
use crate::attribute::{Attribute, AttributeValue, Attributes, read};
use crate::limits::{RECEIPTS, SMS_LENGTH, SMS_TIMEOUT};
use crate::outbox::{Notification, Status};
use crate::state::{Change, State};
use crate::texting::{DEFAULT_SENDER, DEFAULT_TYPE, TextingChange};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use http::{Request, header};
use names::Arn;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use store::StoreError;
use world::BoxFuture;

/// A gateway for text messages. Without `body` the request is a form of the fields `To`, `From` and `Body`, as Twilio
/// takes them; with it, `{to}`, `{from}`, `{body}` and `{type}` in it are replaced, escaped as the `Content-Type` demands.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmsProvider {
    /// Where requests go.
    pub url: String,
    /// How; `POST` where nothing else is said.
    #[serde(default = "post")]
    pub method: String,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The user of basic authentication.
    pub user: Option<String>,
    /// Its password.
    pub secret: Option<String>,
    /// The sender's number or name, unless a message says otherwise.
    pub from: Option<String>,
    /// A template of the body.
    pub body: Option<String>,
    /// What a part of a message costs, in millionths of a dollar: without it there is no monthly limit.
    pub price_micro_usd: Option<u64>,
}

/// The attribute that says what kind of message it is.
const TYPE: &str = "AWS.SNS.SMS.SMSType";
/// And the one that names its sender.
const SENDER: &str = "AWS.SNS.SMS.SenderID";
/// Twilio's code of a recipient who wants no more messages.
/// Source: <https://www.twilio.com/docs/api/errors/21610>
const TWILIO_OPTED_OUT: u64 = 21_610;

/// Who a message says that it is from.
fn sender(attributes: &Attributes) -> Option<&str> {
    let of = |name: &str| attributes.get(name).and_then(|a| a.text());
    of("AWS.MM.SMS.OriginationNumber").or_else(|| of(SENDER))
}

fn post() -> String {
    "POST".to_owned()
}

impl SmsProvider {
    /// Twilio, or who takes what Twilio takes.
    /// Source: <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>
    pub fn twilio(base: &str, account_sid: &str, auth_token: &str, from: &str) -> SmsProvider {
        SmsProvider {
            url: format!("{}/2010-04-01/Accounts/{account_sid}/Messages.json", base.trim_end_matches('/')),
            method: post(),
            headers: BTreeMap::new(),
            user: Some(account_sid.to_owned()),
            secret: Some(auth_token.to_owned()),
            from: Some(from.to_owned()),
            body: None,
            price_micro_usd: None,
        }
    }

    /// Whether requests can be made of it: to be asked when the configuration is read.
    pub fn check(&self) -> Result<(), String> {
        self.request("+15551230000", "test", &Attributes::new()).map(|_| ())
    }

    fn request(&self, to: &str, text: &str, attributes: &Attributes) -> Result<Request<Bytes>, String> {
        let of = |name: &str| attributes.get(name).and_then(|a| a.text());
        let from = sender(attributes).or(self.from.as_deref()).unwrap_or_default();
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(user) = &self.user {
            let login = format!("{user}:{}", self.secret.as_deref().unwrap_or_default());
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(login)));
        }
        let given = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content = given.map(|(_, value)| value.to_ascii_lowercase());
        let body = match &self.body {
            Some(template) => {
                let kind = of(TYPE).unwrap_or("Promotional");
                let places = [("to", to), ("from", from), ("body", text), ("type", kind)];
                fill(template, Escape::of(content.as_deref().unwrap_or_default()), &places)
            }
            None => {
                if content.is_none() {
                    request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                }
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("To", to).append_pair("From", from).append_pair("Body", text);
                if let Some(price) = of("AWS.SNS.SMS.MaxPrice") {
                    form.append_pair("MaxPrice", price);
                }
                form.finish()
            }
        };
        request.body(Bytes::from(body)).map_err(|error| format!("the SMS gateway is not described properly: {error}"))
    }
}

/// The secret is not printed.
impl fmt::Debug for SmsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsProvider").field("url", &self.url).field("method", &self.method).finish_non_exhaustive()
    }
}

/// Who carries text messages.
#[derive(Clone)]
pub(crate) enum Gateway {
    /// Nobody.
    None,
    /// A web service.
    Http(SmsProvider),
    /// A message centre.
    Smpp(Arc<Smsc>),
}

impl Gateway {
    /// What a part of a message costs, in millionths of a dollar.
    pub(crate) fn price_micro_usd(&self) -> Option<u64> {
        match self {
            Gateway::None => None,
            Gateway::Http(provider) => provider.price_micro_usd,
            Gateway::Smpp(centre) => centre.gateway.price_micro_usd,
        }
    }
}

/// Takes envelopes for phone numbers.
pub(crate) struct SmsTarget {
    pub(crate) way: Way,
    pub(crate) topics: Arc<Topics>,
}

impl Target for SmsTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let mut centres_id = None;
            let verdict = self.send(envelope, &mut centres_id).await;
            let number = envelope.to.resource();
            let stays = matches!(self.topics.gateway, Gateway::None);
            let verdict = self.way.settle(envelope, "sms", number, verdict, stays).await;
            let early = centres_id.and_then(|id| self.topics.receipts.expect(&id, envelope));
            if let Some(state) = early {
                self.topics.note_receipt(envelope, &state).await;
            }
            verdict
        })
    }

    /// One lane for the one gateway: when it is down, it is down for every number.
    fn lane(&self, _: &Arn) -> String {
        "sms".to_owned()
    }
}

fn refused(code: &str, why: impl Into<String>) -> Verdict {
    Verdict::Refused { code: code.to_owned(), why: why.into() }
}

impl SmsTarget {
    /// `centres_id` is set where a message centre has taken it.
    async fn send(&self, envelope: &Envelope, centres_id: &mut Option<String>) -> Verdict {
        let id = Bytes::from(envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default());
        let (text, number) = (String::from_utf8_lossy(&envelope.body), envelope.to.resource());
        if text.chars().count() > SMS_LENGTH {
            return refused("InvalidParameter", format!("a text message has at most {SMS_LENGTH} characters"));
        }
        let carried = envelope.attributes.get(attribute::MESSAGE_ATTRIBUTES);
        let mut attributes = match carried.map(|json| read(json)).transpose() {
            Ok(attributes) => attributes.unwrap_or_default(),
            Err(why) => return refused("InvalidParameter", why),
        };
        let price = self.topics.gateway.price_micro_usd().unwrap_or(0) * gsm::parts(&text).len() as u64;
        let month = self.way.world.now().iso_millis()[..7].to_owned();
        if let Err(verdict) = self.allowed(number, &month, price, &mut attributes) {
            return verdict;
        }
        let verdict = match &self.topics.gateway {
            Gateway::None => return Verdict::Accepted(id),
            Gateway::Http(provider) => self.ask(provider, number, &text, &attributes, id).await,
            Gateway::Smpp(centre) => {
                let urgent = attributes.get(TYPE).and_then(|a| a.text()) == Some("Transactional");
                let wanted = Wanted { to: number, from: sender(&attributes), text: &text, urgent };
                match centre.submit(&self.topics, &wanted).await {
                    Ok(given) => {
                        *centres_id = Some(given);
                        Verdict::Accepted(id)
                    }
                    Err(verdict) => verdict,
                }
            }
        };
        if matches!(verdict, Verdict::Accepted(_)) && price > 0 {
            self.topics.note(TextingChange::Paid { month, micro_usd: price }).await;
        }
        verdict
    }

    /// Whether the number and the account's limit let a message through; adds what the account has set to what it says
    /// itself.
    fn allowed(&self, number: &str, month: &str, price: u64, attributes: &mut Attributes) -> Result<(), Verdict> {
        self.topics.catalog.read(|state| {
            let texting = &state.texting;
            if texting.opted_out.contains_key(number) {
                return Err(refused("OptedOut", "Phone number is opted out"));
            }
            if price > 0 && texting.is_too_dear(month, price) {
                return Err(refused("NoQuota", "No quota left for account"));
            }
            for (name, setting) in [(SENDER, DEFAULT_SENDER), (TYPE, DEFAULT_TYPE)] {
                if let Some(value) = texting.of(setting).filter(|_| !attributes.contains_key(name)) {
                    let value = AttributeValue::Text(value.to_owned());
                    attributes.insert(name.to_owned(), Attribute { data_type: "String".into(), value });
                }
            }
            Ok(())
        })
    }

    async fn ask(
        &self,
        provider: &SmsProvider,
        number: &str,
        text: &str,
        attributes: &Attributes,
        id: Bytes,
    ) -> Verdict {
        let request = match provider.request(number, text, attributes) {
            Ok(request) => request,
            Err(why) => return refused("InvalidProvider", why),
        };
        match self.way.world.net.send(request, SMS_TIMEOUT).await {
            Ok(got) => {
                let said: Option<serde_json::Value> = serde_json::from_slice(got.body()).ok();
                if said.is_some_and(|said| said["code"].as_u64() == Some(TWILIO_OPTED_OUT)) {
                    self.topics.opt_out(number).await;
                    return refused("OptedOut", "Phone number is opted out");
                }
                answer(&got, id)
            }
            Err(error) => no_answer(&error),
        }
    }
}

/// Messages whose receipts have not come yet, and receipts that came before their messages were settled, by the centre's
/// ids; bounded by forgetting the oldest.
#[derive(Default)]
pub(crate) struct Receipts(Mutex<(ById<Envelope>, ById<String>)>);

type ById<T> = VecDeque<(String, T)>;

fn push<T>(all: &mut ById<T>, id: &str, one: T) {
    if all.len() >= RECEIPTS {
        all.pop_front();
    }
    all.push_back((id.to_owned(), one));
}

fn take<T>(all: &mut ById<T>, id: &str) -> Option<T> {
    let at = all.iter().position(|(known, _)| known == id)?;
    all.remove(at).map(|(_, one)| one)
}

impl Receipts {
    /// A message is settled; its receipt, where it has come already.
    fn expect(&self, id: &str, envelope: &Envelope) -> Option<String> {
        let (messages, early) = &mut *self.0.lock().expect("no panic holds this lock");
        let state = take(early, id);
        if state.is_none() {
            push(messages, id, envelope.clone());
        }
        state
    }

    /// A receipt has come; its message, where that is settled.
    fn came(&self, id: &str, state: &str) -> Option<Envelope> {
        let (messages, early) = &mut *self.0.lock().expect("no panic holds this lock");
        let envelope = take(messages, id);
        if envelope.is_none() {
            push(early, id, state.to_owned());
        }
        envelope
    }
}

impl Topics {
    /// What became of a message that a centre had taken.
    pub(super) async fn receipt(&self, id: &str, state: &str) {
        if let Some(envelope) = self.receipts.came(id, state) {
            self.note_receipt(&envelope, state).await;
        }
    }

    async fn note_receipt(&self, envelope: &Envelope, state: &str) {
        let fine = matches!(state, "DELIVRD" | "ACCEPTD" | "ENROUTE");
        let notification = Notification {
            id: envelope.id.clone(),
            channel: "sms".to_owned(),
            to: envelope.to.resource().to_owned(),
            subject: envelope.attributes.get(attribute::SUBJECT).cloned(),
            body: String::from_utf8_lossy(&envelope.body).into_owned(),
            time: self.world.now(),
            status: if fine { Status::Sent } else { Status::Failed(state.to_owned()) },
            message_id: envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default(),
            receipt: Some(state.to_owned()),
        };
        if let Err(error) = self.outbox.keep(notification).await {
            tracing::warn!(%error, "a receipt could not be kept in the outbox");
        }
    }

    /// A number wants no more messages.
    pub(super) async fn opt_out(&self, number: &str) {
        self.note(TextingChange::OptedOut { number: number.to_owned(), at: self.world.now() }).await;
    }

    /// Keeps what was learnt. The message has left by then, so that is only said where it fails.
    async fn note(&self, change: TextingChange) {
        let change = |_: &State| Ok::<_, StoreError>((vec![Change::Texting(change)], ()));
        if let Err(error) = self.catalog.change(change).await {
            tracing::warn!(%error, "what was learnt of a text message could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilio_gets_its_form() {
        let provider = SmsProvider::twilio("https://api.example.com/", "AC1", "secret", "+15550001111");
        let request = provider.request("+15551230000", "a & b", &Attributes::new()).unwrap();
        assert_eq!(request.uri(), "https://api.example.com/2010-04-01/Accounts/AC1/Messages.json");
        assert_eq!(request.headers()["authorization"], "Basic QUMxOnNlY3JldA==");
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(request.body(), "To=%2B15551230000&From=%2B15550001111&Body=a+%26+b");
        assert!(!format!("{provider:?}").contains("secret"));
    }

    #[test]
    fn a_message_may_name_its_sender_and_its_price() {
        let text = |value: &str| Attribute { data_type: "String".into(), value: AttributeValue::Text(value.into()) };
        let attributes =
            [("AWS.SNS.SMS.SenderID".to_owned(), text("Ops")), ("AWS.SNS.SMS.MaxPrice".to_owned(), text("0.5"))].into();
        let provider = SmsProvider::twilio("https://api.example.com", "AC1", "secret", "+15550001111");
        let request = provider.request("+15551230000", "a", &attributes).unwrap();
        assert_eq!(request.body(), "To=%2B15551230000&From=Ops&Body=a&MaxPrice=0.5");
    }

    #[test]
    fn nonsense_is_found_before_a_message_needs_it() {
        let mut provider = SmsProvider::twilio("https://api.example.com", "AC1", "secret", "+15550001111");
        assert_eq!(provider.check(), Ok(()));
        provider.method = "NOT A METHOD".into();
        assert!(provider.check().unwrap_err().contains("not described properly"));
    }
}
