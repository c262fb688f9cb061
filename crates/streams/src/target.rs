//! The pushed door: what delivery brings goes the same way as what `PutRecord` brings.

use crate::Streams;
use crate::error;
use crate::hash::HashKey;
use crate::live::LiveStream;
use crate::record::Payload;
use crate::state::Status;
use crate::streams::Asked;
use crate::write::{Put, Written};
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

    /// Puts envelopes for one stream into it, all in one append.
    async fn put_all(&self, envelopes: &[Envelope]) -> Vec<Verdict> {
        let Some(to) = envelopes.first().map(|envelope| &envelope.to) else { return Vec::new() };
        let all = |verdict: Verdict| vec![verdict; envelopes.len()];
        let home = self.streams.home();
        let Some(name) = self.streams.name_in(to) else {
            return all(refused(&errors::RESOURCE_NOT_FOUND_EXCEPTION, format!("{to} is not a stream here.")));
        };
        let gone = || refused(&errors::RESOURCE_NOT_FOUND_EXCEPTION, error::no_stream(home, name).message);
        let Ok(entry) = self.streams.enter(Asked { name: Some(name), ..Asked::default() }).await else {
            return all(match self.streams.lookup(name).map(|stream| stream.def.status) {
                Some(status @ Status::Creating) => Verdict::again(
                    errors::RESOURCE_IN_USE_EXCEPTION.name,
                    error::not_active(home, name, status).message,
                ),
                _ => gone(),
            });
        };
        let stream = &entry.stream;
        let puts: Vec<Result<Put<'_>, Verdict>> =
            envelopes.iter().map(|envelope| self.put_of(stream, envelope)).collect();
        let fit: Vec<Put<'_>> = puts.iter().filter_map(|put| put.as_ref().ok().copied()).collect();
        let plan = self.streams.plan(stream, &fit);
        let written = match self.streams.commit(&entry, plan).await {
            Ok(written) => written,
            Err(StoreError::NoLog(_)) => return all(gone()),
            Err(error) => return all(Verdict::again("InternalFailure", error.to_string())),
        };
        let mut written = written.into_iter();
        let mut verdict = |put: Result<Put<'_>, Verdict>| match put.map(|_| written.next()) {
            Err(refused) => refused,
            Ok(Some(Written { at: Some(_), .. })) => Verdict::Accepted(Bytes::new()),
            Ok(Some(Written { place, at: None })) => {
                let code = errors::PROVISIONED_THROUGHPUT_EXCEEDED_EXCEPTION.name;
                Verdict::again(code, error::rate_exceeded(home, name, &stream.shards[place].id))
            }
            Ok(None) => Verdict::again("InternalFailure", "the record was not written".to_owned()),
        };
        puts.into_iter().map(&mut verdict).collect()
    }

    /// The record that an envelope is, where it can be one and the stream takes it.
    fn put_of<'a>(&self, stream: &LiveStream, envelope: &'a Envelope) -> Result<Put<'a>, Verdict> {
        if let Err(error) = self.streams.admit_pushed(stream, envelope) {
            return Err(refused(error.model, error.message));
        }
        // EventBridge uses the event's id where the target names no key.
        // <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_KinesisParameters.html>
        let key =
            envelope.attributes.get(attribute::PARTITION_KEY).filter(|key| !key.is_empty()).unwrap_or(&envelope.id);
        let key = first_chars(key, KEY_CHARS);
        let explicit = envelope.attributes.get(attribute::EXPLICIT_HASH_KEY);
        let Some(hash) = explicit.map_or_else(|| Some(HashKey::of(key)), |text| HashKey::parse(text)) else {
            return Err(refused(&errors::INVALID_ARGUMENT_EXCEPTION, "Invalid ExplicitHashKey.".to_owned()));
        };
        let put = Put { key, hash, data: Payload::Plain(&envelope.body) };
        if put.counted() > stream.def.record_bytes() {
            let why = error::too_long("data", stream.def.record_bytes()).message;
            return Err(refused(&errors::VALIDATION_EXCEPTION, why));
        }
        Ok(put)
    }
}

impl Target for StreamTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let all = self.put_all(std::slice::from_ref(envelope)).await;
            all.into_iter().next().expect("there are as many verdicts as envelopes")
        })
    }

    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(self.put_all(envelopes))
    }

    /// What comes together is one append.
    fn batch(&self, _to: &Arn) -> usize {
        256
    }

    /// Appends share one fsync: many at once are better than few.
    fn concurrency(&self, _to: &Arn) -> usize {
        1024
    }
}

fn refused(model: &ErrorModel, why: String) -> Verdict {
    Verdict::refused(model.name, why)
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
