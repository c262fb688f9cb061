use crate::{Envelope, Failure};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// What became of an envelope of an independent lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled<'a> {
    /// Its target has it.
    Accepted {
        /// The target's answer.
        answer: &'a Bytes,
        /// How often it was tried.
        tries: u32,
    },
    /// It was refused, or its policy is exhausted: it goes to its dead-letter target, where it has one.
    GivenUp(&'a Failure),
}

/// Who is told. It must not block: what it has to say elsewhere it hands on.
pub type Listener = Arc<dyn Fn(&Envelope, &Settled<'_>) + Send + Sync>;

/// Who is told of first tries. It must not block either.
pub type Starter = Arc<dyn Fn(&Envelope) + Send + Sync>;

/// All who are told, by the principal in whose name envelopes are sent.
#[derive(Default)]
pub(crate) struct Listeners(RwLock<BTreeMap<&'static str, Listener>>);

/// All who are told of first tries, likewise.
#[derive(Default)]
pub(crate) struct Starters(RwLock<BTreeMap<&'static str, Starter>>);

impl Starters {
    pub(crate) fn add(&self, principal: &'static str, starter: Starter) {
        self.0.write().expect("no panic holds this lock").insert(principal, starter);
    }

    pub(crate) fn tell(&self, envelope: &Envelope) {
        let starter = self.0.read().expect("no panic holds this lock").get(envelope.principal.as_str()).cloned();
        if let Some(starter) = starter {
            starter(envelope);
        }
    }
}

impl Listeners {
    pub(crate) fn add(&self, principal: &'static str, listener: Listener) {
        self.0.write().expect("no panic holds this lock").insert(principal, listener);
    }

    pub(crate) fn tell(&self, envelope: &Envelope, settled: &Settled<'_>) {
        let listener = self.0.read().expect("no panic holds this lock").get(envelope.principal.as_str()).cloned();
        if let Some(listener) = listener {
            listener(envelope, settled);
        }
    }
}
