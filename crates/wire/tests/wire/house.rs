//! What the tests share: calls, requests, and values written down briefly.

use bytes::Bytes;
use names::{Account, Caller, Timestamp};
use std::sync::Arc;
use wire::auth::{AuthError, Authenticator, Principal};
use wire::{Call, Protocol, Request, ServiceModel, Value};
use world::net::Body;

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "a/session+token==";

pub(crate) fn caller() -> Caller {
    Caller::root(&Account::parse("123456789012").unwrap(), KEY)
}

/// One key, whose token (where there is one) must be `TOKEN`.
pub(crate) struct Keys;

impl Authenticator for Keys {
    fn find(&self, access_key_id: &str, token: Option<&str>, _: Timestamp) -> Result<Principal, AuthError> {
        match (access_key_id, token) {
            (KEY, None | Some(TOKEN)) => Ok(Principal { secret: SECRET.into(), caller: caller() }),
            (KEY, Some("old")) => Err(AuthError::ExpiredToken),
            (KEY, Some(_)) => Err(AuthError::WrongToken),
            _ => Err(AuthError::UnknownKey),
        }
    }
}

pub(crate) fn call(service: &'static ServiceModel, operation: &str) -> Call {
    Call {
        request_id: "request-1".into(),
        ..Call::local(
            service,
            service.operation(operation).unwrap().model.unwrap(),
            caller(),
            Timestamp::from_millis(0),
        )
    }
}

pub(crate) fn request(protocol: Protocol, uri: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request {
    let mut builder = http::Request::builder().method("POST").uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (head, ()) = builder.body(()).unwrap().into_parts();
    Request { protocol, head: Arc::new(head), body: body.into(), observed: true }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn blob(bytes: &'static [u8]) -> Value {
    Value::Blob(Bytes::from_static(bytes))
}

pub(crate) fn structure<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    Value::Struct(members.into())
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(k, v)| (k.to_owned(), v)).into())
}

pub(crate) fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

/// A body in one piece.
pub(crate) trait Whole {
    fn bytes(&self) -> &[u8];
}

impl Whole for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Whole for Body {
    fn bytes(&self) -> &[u8] {
        self.whole().unwrap()
    }
}

/// The body of an answer as text.
pub(crate) fn body<B: Whole>(answer: &http::Response<B>) -> &str {
    std::str::from_utf8(answer.body().bytes()).unwrap()
}
