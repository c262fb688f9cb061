//! Answers that are streams of events.

use crate::codec::{self, eventstream};
use crate::{ApiError, Call, IntoValue, Operation, Protocol, Schema, Value};
use bytes::Bytes;
use std::marker::PhantomData;
use std::sync::Arc;
use tokio::sync::mpsc;
use world::net::Body;

/// The events of a stream: generated, one variant per event.
pub trait Event: Send + 'static {
    /// The names of the errors that the stream's model has.
    const EXCEPTIONS: &'static [&'static str];
    /// The event's name, its schema and what is in it.
    fn into_parts(self) -> (&'static str, &'static Schema, Value);
}

/// An operation whose answer is a stream of events.
pub trait EventOperation: Operation {
    /// Its events.
    type Event: Event;
}

/// An answer that has not begun yet.
pub struct EventAnswer<O> {
    call: Arc<Call>,
    protocol: Protocol,
    operation: PhantomData<fn() -> O>,
}

/// An answer that has begun: what a handler of an [`EventOperation`] gives back.
pub struct Opened {
    pub(crate) answer: http::Response<Body>,
    pub(crate) output: Value,
}

/// Where the events of an answer are put. The answer ends where this is dropped.
pub struct EventSink<E> {
    pieces: mpsc::Sender<Bytes>,
    protocol: Protocol,
    event: PhantomData<fn(E)>,
}

/// The client has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl<O: EventOperation> EventAnswer<O> {
    pub(crate) fn new(call: Arc<Call>, protocol: Protocol) -> EventAnswer<O> {
        EventAnswer { call, protocol, operation: PhantomData }
    }

    /// Begins the answer with the members of the output beside the stream. The events are to come from a task of their
    /// own: the client sees nothing of the answer before the handler has returned.
    pub fn open(self, output: O::Output) -> Result<(Opened, EventSink<O::Event>), ApiError> {
        let output = output.into_value().unwrap_or_else(|| Value::Struct(Vec::new()));
        let mut head = codec::encode(&self.call, self.protocol, &output)?;
        let content_type = http::HeaderValue::from_static(eventstream::CONTENT_TYPE);
        head.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        let (pieces, body) = Body::pieces();
        if self.protocol != Protocol::RestJson {
            let first = eventstream::initial_response(self.protocol, self.call.operation.output, &output);
            pieces.try_send(first).map_err(|_| ApiError::fault("there is no room for the first event"))?;
        }
        let sink = EventSink { pieces, protocol: self.protocol, event: PhantomData };
        Ok((Opened { answer: head.map(|_| body), output }, sink))
    }
}

impl<E: Event> EventSink<E> {
    /// Waits until the client has taken so much that one more event may be made.
    pub async fn room(&self) -> Result<(), Gone> {
        self.pieces.reserve().await.map(drop).map_err(|_| Gone)
    }

    /// Waits until the client has gone.
    pub async fn gone(&self) {
        self.pieces.closed().await;
    }

    /// Sends an event, once there is room for it.
    pub async fn send(&self, event: E) -> Result<(), Gone> {
        let (name, schema, value) = event.into_parts();
        self.put(eventstream::event(self.protocol, name, schema, &value)).await
    }

    /// Ends the answer with an error.
    pub async fn fail(self, error: &ApiError) -> Result<(), Gone> {
        let modelled = E::EXCEPTIONS.contains(&error.model.name);
        self.put(eventstream::exception(self.protocol, modelled, error)).await
    }

    async fn put(&self, message: Bytes) -> Result<(), Gone> {
        self.pieces.send(message).await.map_err(|_| Gone)
    }
}

/// Declares the events of a stream: what the generated code consists of.
#[macro_export]
macro_rules! events {
    ($(#[$attr:meta])* $name:ident { $($event:ident : $type:ident),* $(,)? } except { $($exception:literal),* $(,)? }) => {
        $(#[$attr])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($event), "`")] $event($type),)*
        }
        impl $crate::Event for $name {
            const EXCEPTIONS: &'static [&'static str] = &[$($exception),*];
            fn into_parts(self) -> (&'static str, &'static $crate::Schema, $crate::Value) {
                match self {
                    $($name::$event(event) => {
                        let value = $crate::IntoValue::into_value(event);
                        let value = value.unwrap_or_else(|| $crate::Value::Struct(Vec::new()));
                        (stringify!($event), <$type as $crate::Shape>::SCHEMA, value)
                    })*
                }
            }
        }
    };
}
