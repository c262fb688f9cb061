//! Filter policies. How a policy is read is the pattern matcher's business, which lives with the event rules; the binary
//! lends it to us through [`Matcher`].

use crate::limits::FILTERS_KEPT;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// A compiled filter policy: whether what it sees passes.
pub type Filter = Box<dyn Fn(&Value) -> bool + Send + Sync>;

/// Reads filter policies.
pub trait Matcher: Send + Sync {
    /// Compiles a policy (its JSON), or says what is wrong with it.
    fn compile(&self, policy: &str) -> Result<Filter, String>;
}

/// The policies in use, compiled once.
pub(crate) struct Filters {
    matcher: Option<Arc<dyn Matcher>>,
    compiled: RwLock<BTreeMap<String, Arc<Filter>>>,
}

impl Filters {
    pub(crate) fn new(matcher: Option<Arc<dyn Matcher>>) -> Filters {
        Filters { matcher, compiled: RwLock::default() }
    }

    /// The filter of a policy; the error is for the caller.
    pub(crate) fn get(&self, policy: &str) -> Result<Arc<Filter>, String> {
        if let Some(filter) = self.compiled.read().expect("no panic holds this lock").get(policy) {
            return Ok(filter.clone());
        }
        let matcher = self.matcher.as_ref().ok_or("Headwater does not serve filter policies in this configuration")?;
        let filter = Arc::new(matcher.compile(policy)?);
        let mut compiled = self.compiled.write().expect("no panic holds this lock");
        if compiled.len() >= FILTERS_KEPT {
            compiled.clear();
        }
        compiled.insert(policy.to_owned(), filter.clone());
        Ok(filter)
    }
}
