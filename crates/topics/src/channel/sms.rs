//! Text messages, through a gateway that is described in the configuration.

use super::{Way, answer, no_answer};
use crate::attribute::{Attributes, read};
use crate::limits::{SMS_LENGTH, SMS_TIMEOUT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use http::{Request, header};
use names::Arn;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use world::BoxFuture;

/// A gateway for text messages. Without `body` the request is a form of the fields `To`, `From` and `Body`, as Twilio
/// takes them; with it, `{to}`, `{from}` and `{body}` in it are replaced, escaped as the `Content-Type` demands.
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
        }
    }

    /// Whether requests can be made of it: to be asked when the configuration is read.
    pub fn check(&self) -> Result<(), String> {
        self.request("+15551230000", "test", &Attributes::new()).map(|_| ())
    }

    fn request(&self, to: &str, text: &str, attributes: &Attributes) -> Result<Request<Bytes>, String> {
        let of = |name: &str| attributes.get(name).and_then(|a| a.text());
        let from = of("AWS.MM.SMS.OriginationNumber")
            .or_else(|| of("AWS.SNS.SMS.SenderID"))
            .or(self.from.as_deref())
            .unwrap_or_default();
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(user) = &self.user {
            let login = format!("{user}:{}", self.secret.as_deref().unwrap_or_default());
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(login)));
        }
        let given = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let kind = given.map(|(_, value)| value.to_ascii_lowercase());
        let body = match &self.body {
            Some(template) => fill(template, kind.as_deref().unwrap_or_default(), to, from, text),
            None => {
                if kind.is_none() {
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

fn fill(template: &str, kind: &str, to: &str, from: &str, text: &str) -> String {
    let escape = |value: &str| {
        if kind.contains("json") {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        } else if kind.contains("x-www-form-urlencoded") {
            form_urlencoded::byte_serialize(value.as_bytes()).collect()
        } else {
            value.to_owned()
        }
    };
    // One pass, so that braces in a message stay what they are.
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let place = [("{to}", to), ("{from}", from), ("{body}", text)].into_iter().find(|(p, _)| tail.starts_with(p));
        match place {
            Some((place, value)) => {
                out.push_str(&escape(value));
                rest = &tail[place.len()..];
            }
            None => {
                out.push('{');
                rest = &tail[1..];
            }
        }
    }
    out + rest
}

/// Takes envelopes for phone numbers.
pub(crate) struct SmsTarget {
    pub(crate) way: Way,
    pub(crate) provider: Option<SmsProvider>,
}

impl Target for SmsTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let verdict = self.send(envelope).await;
            let number = envelope.to.resource();
            self.way.settle(envelope, "sms", number, verdict, self.provider.is_none()).await
        })
    }

    /// One lane for the one gateway: when it is down, it is down for every number.
    fn lane(&self, _: &Arn) -> String {
        "sms".to_owned()
    }
}

impl SmsTarget {
    async fn send(&self, envelope: &Envelope) -> Verdict {
        let id = envelope.attributes.get(attribute::MESSAGE_ID).cloned().unwrap_or_default();
        let text = String::from_utf8_lossy(&envelope.body);
        if text.chars().count() > SMS_LENGTH {
            let why = format!("a text message has at most {SMS_LENGTH} characters");
            return Verdict::Refused { code: "InvalidParameter".into(), why };
        }
        let Some(provider) = &self.provider else { return Verdict::Accepted(Bytes::from(id)) };
        let carried = envelope.attributes.get(attribute::MESSAGE_ATTRIBUTES);
        let attributes = match carried.map(|json| read(json)).transpose() {
            Ok(attributes) => attributes.unwrap_or_default(),
            Err(why) => return Verdict::Refused { code: "InvalidParameter".into(), why },
        };
        let request = match provider.request(envelope.to.resource(), &text, &attributes) {
            Ok(request) => request,
            Err(why) => return Verdict::Refused { code: "InvalidProvider".into(), why },
        };
        match self.way.world.net.send(request, SMS_TIMEOUT).await {
            Ok(got) => answer(&got, Bytes::from(id)),
            Err(error) => no_answer(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{Attribute, AttributeValue};

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
    fn templates_are_filled_once_and_escaped() {
        let filled = fill(r#"{"to":"{to}","text":"{body}","x":{}}"#, "application/json", "+1", "f", "{to} \"hi\"\n");
        assert_eq!(filled, r#"{"to":"+1","text":"{to} \"hi\"\n","x":{}}"#);
        assert_eq!(fill("a={body}&b={from}", "application/x-www-form-urlencoded", "", "+2", "a b"), "a=a+b&b=%2B2");
    }

    #[test]
    fn nonsense_is_found_before_a_message_needs_it() {
        let mut provider = SmsProvider::twilio("https://api.example.com", "AC1", "secret", "+15550001111");
        assert_eq!(provider.check(), Ok(()));
        provider.method = "NOT A METHOD".into();
        assert!(provider.check().unwrap_err().contains("not described properly"));
    }
}
