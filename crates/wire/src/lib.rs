//! The one door where the house is asked: bytes to typed operation and back, for every AWS protocol.
//!
//! Invariants: sans-I/O (no socket is opened here); no service is known by name; signatures are checked over the bytes
//! as they came; input is validated against its model, with AWS's own messages, before a handler sees it.
//! Entry points: [`Front::answer`] takes a request and gives the answer; a service registers its handlers in a [`Service`].

pub mod auth;
mod call;
pub mod codec;
mod error;
mod events;
mod front;
pub mod page;
mod route;
mod schema;
mod service;
mod shape;
mod signals;
pub mod sigv4;
mod validate;
mod value;

pub use call::Call;
pub use error::{ApiError, ErrorModel, Fault, common};
pub use events::{Event, EventAnswer, EventOperation, EventSink, Gone, Opened};
pub use front::{Front, FrontOptions, Observer, Outcome};
pub use route::{Protocol, Routed};
pub use schema::{Kind, Limits, Member, OperationEntry, OperationModel, Place, Schema, ServiceModel, TimeFormat};
pub use service::{Handled, Handler, Hot, Request, Service};
pub use shape::{FromValue, IntoValue, Malformed, NOTHING, Nothing, Operation, Shape};
pub use validate::{compiles, validate};
pub use value::Value;

#[doc(hidden)] // for the `shape!` and `string_enum!` macros, which expand in the generated crate
pub mod reexport {
    pub use bytes::Bytes;
    pub use names::Timestamp;
}
