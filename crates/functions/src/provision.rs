//! Provisioned concurrency: so many processes of a version are always there, started and ready.
//! <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>

use crate::called::{Called, Found};
use crate::functions::Functions;
use crate::limits;
use crate::runtime::Kept;
use crate::state::State;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::Stage;

/// What is asked for a version or an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provisioned {
    /// So many processes.
    pub(crate) wanted: u32,
    /// When it last changed.
    pub(crate) modified: Timestamp,
}

/// How many processes of which versions there are to be, by function and version. An alias that divides its invocations
/// divides its processes.
pub(crate) fn plan(state: &State) -> BTreeMap<(String, String), usize> {
    let mut all = BTreeMap::new();
    for (name, family) in &state.families {
        for (qualifier, door) in &family.doors {
            let Some(provisioned) = &door.provisioned else { continue };
            for (version, count) in parts(state, name, qualifier, provisioned.wanted as usize) {
                *all.entry((name.clone(), version)).or_insert(0) += count;
            }
        }
    }
    all
}

/// The versions behind a qualifier, and how many processes each gets of so many.
pub(crate) fn parts(state: &State, name: &str, qualifier: &str, wanted: usize) -> Vec<(String, usize)> {
    let Some(alias) = state.alias(name, qualifier) else { return vec![(qualifier.to_owned(), wanted)] };
    let mut left = wanted;
    let mut parts = Vec::new();
    for (version, weight) in &alias.weights {
        let part = ((wanted as f64 * weight).round() as usize).min(left);
        left -= part;
        parts.push((version.clone(), part));
    }
    parts.push((alias.version.clone(), left));
    parts.retain(|(_, count)| *count > 0);
    parts
}

impl Functions {
    /// Keeps what is provisioned running; looks whenever a process has ended or the settings changed.
    pub(crate) fn keep_provisioned(self: &Arc<Self>) {
        let functions = self.clone();
        self.world.tasks.spawn(Stage::Delivery, "provisioned concurrency", move |mut stop| async move {
            loop {
                functions.provision().await;
                tokio::select! {
                    biased;
                    () = stop.wait() => return,
                    () = functions.executor().kept_changed() => {}
                }
                // A process that ends as soon as it is started must not be started again at once.
                tokio::select! {
                    biased;
                    () = stop.wait() => return,
                    () = functions.world.clock.sleep(limits::PROVISION_PAUSE) => {}
                }
            }
        });
    }

    async fn provision(&self) {
        let plan = self.catalog.read(plan);
        self.executor().keep(plan.iter().map(|((name, version), count)| (name.clone(), version.clone(), *count)));
        for ((name, version), count) in plan {
            let Some(function) = self.catalog.read(|state| state.version(&name, &version).cloned()) else { continue };
            let found = Found { qualifier: None, arn: function.arn.clone(), function };
            let Ok(spec) = self.spec(&found) else { continue };
            if self.runtimes.ready(&spec.runtime).await.is_ok() {
                self.executor().fill(&spec, count);
            }
        }
    }

    /// What there is of what was asked for a version or an alias.
    pub(crate) fn kept(&self, called: &Called, wanted: u32) -> Kept {
        let parts = self.catalog.read(|state| parts(state, &called.name, called.door(), wanted as usize));
        let mut sum = Kept::default();
        for (version, count) in parts {
            let kept = self.executor().kept(&called.name, &version);
            sum.started += kept.started.min(count);
            sum.ready += kept.ready.min(count);
            sum.free += kept.free.min(count);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Alias, Door, Family};

    #[test]
    fn an_alias_divides_its_processes_as_its_invocations() {
        let mut state = State::default();
        let mut family = Family::default();
        let alias = Alias {
            name: "live".into(),
            version: "1".into(),
            description: String::new(),
            weights: [("2".to_owned(), 0.25)].into(),
            revision: String::new(),
        };
        family.aliases.insert("live".into(), alias);
        let door =
            |wanted| Door { provisioned: Some(Provisioned { wanted, modified: Timestamp(0) }), ..Door::default() };
        family.doors.insert("live".into(), door(10));
        family.doors.insert("1".into(), door(2));
        state.families.insert("f".into(), family);
        let expected = [(("f".to_owned(), "1".to_owned()), 9), (("f".to_owned(), "2".to_owned()), 3)];
        assert_eq!(plan(&state), expected.into());
    }
}
