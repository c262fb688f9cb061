//! The pushed door: what delivery brings goes the same way as what `PutRecord` brings.

use crate::Streams;
use crate::error;
use crate::hash::HashKey;
use crate::record::Payload;
use crate::state::Status;
use crate::streams::Asked;
use crate::write::Put;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use names::Arn;
use shapes::kinesis::errors;
use std::sync::Arc;
use store::StoreError;
use wire::ErrorModel;
use world::BoxFuture;

/// The greatest partition key in characters, by the model.
const KEY_CHARS: usize = 256;

/// The streams of the house as a target of delivery.
pub(crate) struct StreamTarget {
    streams: Arc<Streams>,
}

impl StreamTarget {
    pub(crate) fn new(streams: Arc<Streams>) -> StreamTarget {
        StreamTarget { streams }
    }

    async fn put(&self, envelope: &Envelope) -> Verdict {
        let home = self.streams.home();
        let Some(name) = self.streams.name_in(&envelope.to) else {
            return refused(&errors::RESOURCE_NOT_FOUND_EXCEPTION, format!("{} is not a stream here.", envelope.to));
        };
        let gone = || refused(&errors::RESOURCE_NOT_FOUND_EXCEPTION, error::no_stream(home, name).message);
        let Ok(entry) = self.streams.enter(Asked { name: Some(name), ..Asked::default() }).await else {
            return match self.streams.lookup(name).map(|stream| stream.def.status) {
                Some(status @ Status::Creating) => {
                    again(errors::RESOURCE_IN_USE_EXCEPTION.name, error::not_active(home, name, status).message)
                }
                _ => gone(),
            };
        };
        let stream = &entry.stream;
        // EventBridge uses the event's id where the target names no key.
        // <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_KinesisParameters.html>
        let key =
            envelope.attributes.get(attribute::PARTITION_KEY).filter(|key| !key.is_empty()).unwrap_or(&envelope.id);
        let key = first_chars(key, KEY_CHARS);
        let explicit = envelope.attributes.get(attribute::EXPLICIT_HASH_KEY);
        let Some(hash) = explicit.map_or_else(|| Some(HashKey::of(key)), |text| HashKey::parse(text)) else {
            return refused(&errors::INVALID_ARGUMENT_EXCEPTION, "Invalid ExplicitHashKey.".to_owned());
        };
        let put = Put { key, hash, data: Payload::Plain(&envelope.body) };
        if put.counted() > stream.def.record_bytes() {
            let why = error::too_long("data", stream.def.record_bytes()).message;
            return refused(&errors::VALIDATION_EXCEPTION, why);
        }
        let plan = self.streams.plan(stream, &[put]);
        match self.streams.commit(&entry, plan).await {
            Ok(written) if written[0].at.is_some() => Verdict::Accepted(Bytes::new()),
            Ok(written) => {
                let shard = &stream.shards[written[0].place].id;
                let code = errors::PROVISIONED_THROUGHPUT_EXCEEDED_EXCEPTION.name;
                again(code, error::rate_exceeded(home, name, shard))
            }
            Err(StoreError::NoLog(_)) => gone(),
            Err(error) => again("InternalFailure", error.to_string()),
        }
    }
}

impl Target for StreamTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.put(envelope))
    }

    /// Appends share one fsync: many at once are better than few.
    fn concurrency(&self, _to: &Arn) -> usize {
        64
    }
}

fn again(code: &str, why: String) -> Verdict {
    Verdict::Again { code: code.to_owned(), why, after: None }
}

fn refused(model: &ErrorModel, why: String) -> Verdict {
    Verdict::Refused { code: model.name.to_owned(), why }
}

fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_between_characters() {
        assert_eq!(first_chars("äöü", 2), "äö");
        assert_eq!(first_chars("äöü", 3), "äöü");
        assert_eq!(first_chars("", 3), "");
    }
}
