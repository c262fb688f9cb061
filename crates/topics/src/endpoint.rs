//! Where a subscription's notifications go.
//! Source: <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>

use crate::phone;
use names::{Arn, Home};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How they go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    /// A queue.
    Sqs,
    /// A function.
    Lambda,
    /// POST over HTTP.
    Http,
    /// POST over TLS.
    Https,
    /// A text message.
    Sms,
    /// A mail with the message as its text.
    Email,
    /// A mail with the notification's JSON as its text.
    EmailJson,
}

/// Why there can be no such endpoint. The texts are SNS's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("Amazon SNS does not support this protocol string: {0}")]
    Unknown(String),
    #[error("Protocol Reason: Headwater does not serve subscriptions of the protocol {0} yet")]
    NotServed(String),
    #[error("SQS endpoint ARN")]
    Queue,
    #[error("Lambda endpoint ARN")]
    Function,
    #[error("Endpoint must match the specified protocol")]
    Scheme,
    #[error("Endpoint Reason: not a URL: {0}")]
    Url(String),
    #[error("Invalid SMS endpoint: {0}")]
    Phone(String),
    #[error("Email address")]
    Mail,
}

impl Protocol {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Sqs => "sqs",
            Protocol::Lambda => "lambda",
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Sms => "sms",
            Protocol::Email => "email",
            Protocol::EmailJson => "email-json",
        }
    }

    /// Whether the owner of the endpoint must agree first. Resources of one's own account and phones need not.
    pub(crate) fn needs_confirmation(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https | Protocol::Email | Protocol::EmailJson)
    }

    /// Whether the message may go without its wrapping.
    pub(crate) fn takes_raw(self) -> bool {
        matches!(self, Protocol::Sqs | Protocol::Http | Protocol::Https)
    }

    /// The endpoint as it is kept, where the protocol can reach it.
    pub(crate) fn endpoint(self, text: &str, home: &Home) -> Result<String, EndpointError> {
        let arn = |service: &str, refusal: EndpointError| match text.parse::<Arn>() {
            Ok(arn) if arn.service() == service && home.holds(&arn) => Ok(text.to_owned()),
            _ => Err(refusal),
        };
        match self {
            Protocol::Sqs => arn("sqs", EndpointError::Queue),
            Protocol::Lambda => arn("lambda", EndpointError::Function),
            Protocol::Http | Protocol::Https => {
                if !text.starts_with(&format!("{}://", self.as_str())) {
                    return Err(EndpointError::Scheme);
                }
                let fine = text.len() <= 2048
                    && text.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
                if fine { Ok(text.to_owned()) } else { Err(EndpointError::Url(text.to_owned())) }
            }
            Protocol::Sms => phone::e164(text).ok_or_else(|| EndpointError::Phone(text.to_owned())),
            Protocol::Email | Protocol::EmailJson => {
                let fine = text.len() <= 256
                    && text.split_once('@').is_some_and(|(user, host)| {
                        !user.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
                    })
                    && text.matches('@').count() == 1
                    && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\"\\".contains(&b));
                if fine { Ok(text.to_owned()) } else { Err(EndpointError::Mail) }
            }
        }
    }
}

impl FromStr for Protocol {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Protocol, EndpointError> {
        match text {
            "sqs" => Ok(Protocol::Sqs),
            "lambda" => Ok(Protocol::Lambda),
            "http" => Ok(Protocol::Http),
            "https" => Ok(Protocol::Https),
            "sms" => Ok(Protocol::Sms),
            "email" => Ok(Protocol::Email),
            "email-json" => Ok(Protocol::EmailJson),
            "application" | "firehose" => Err(EndpointError::NotServed(text.to_owned())),
            other => Err(EndpointError::Unknown(other.to_owned())),
        }
    }
}

/// A URL without the password it may hold: for lists and logs.
pub(crate) fn without_password(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, host) = authority.rsplit_once('@')?;
        let user = login.split(':').next().unwrap_or_default();
        Some(format!("{scheme}://{user}:****@{host}{path}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_fit_their_protocol() {
        let home = Home::default();
        let check = |protocol: &str, endpoint: &str| protocol.parse::<Protocol>()?.endpoint(endpoint, &home);
        for (protocol, endpoint) in [
            ("sqs", "arn:aws:sqs:us-east-1:000000000000:orders"),
            ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f:PROD"),
            ("http", "http://localhost:8080/hook?a=b"),
            ("https", "https://user:secret@example.com"),
            ("sms", "+15551230000"),
            ("email", "a.b+c@example.com"),
            ("email-json", "a@example.com"),
        ] {
            assert_eq!(check(protocol, endpoint).as_deref(), Ok(endpoint));
        }
        for (protocol, endpoint) in [
            ("sqs", "arn:aws:sns:us-east-1:000000000000:orders"),
            ("sqs", "arn:aws:sqs:us-east-1:111111111111:orders"),
            ("lambda", "f"),
            ("http", "https://example.com"),
            ("http", "http://"),
            ("sms", "x"),
            ("email", "a@b@example.com"),
            ("email", "a@example"),
            ("email", "a\r\nBcc: b@example.com"),
            ("application", "x"),
            ("fax", "x"),
        ] {
            assert!(check(protocol, endpoint).is_err(), "{protocol} {endpoint}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("https://me:secret@example.com/a@b"), "https://me:****@example.com/a@b");
        assert_eq!(without_password("https://example.com/a@b"), "https://example.com/a@b");
        assert_eq!(without_password("http://example.com?x=a@b"), "http://example.com?x=a@b");
    }
}
