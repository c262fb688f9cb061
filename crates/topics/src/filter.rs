//! Filter policies: which messages a subscription wants.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html>

use crate::limits::FILTERS_KEPT;
use crate::settings::Scope;
use patterns::{Dialect, Pattern};
use std::collections::BTreeMap;
use std::sync::RwLock;

/// The policies in use, compiled once.
#[derive(Default)]
pub(crate) struct Filters {
    compiled: RwLock<BTreeMap<(Scope, String), Pattern>>,
}

impl Filters {
    /// The filter of a policy; the error is for the caller.
    pub(crate) fn get(&self, scope: Scope, policy: &str) -> Result<Pattern, String> {
        let key = (scope, policy.to_owned());
        if let Some(filter) = self.compiled.read().expect("no panic holds this lock").get(&key) {
            return Ok(filter.clone());
        }
        let dialect = match scope {
            Scope::MessageAttributes => Dialect::MessageAttributes,
            Scope::MessageBody => Dialect::MessageBody,
        };
        let filter = Pattern::parse_as(dialect, policy).map_err(|error| error.reason + &error.place)?;
        let mut compiled = self.compiled.write().expect("no panic holds this lock");
        if compiled.len() >= FILTERS_KEPT {
            compiled.clear();
        }
        compiled.insert(key, filter.clone());
        Ok(filter)
    }
}
