//! The rules as matching sees them: compiled once for each change, shared by all events until the next.

use crate::http::LiveHttp;
use crate::limits::{EVENT_AGE, RETRIES};
use crate::path::{JsonPath, PathError};
use crate::policy;
use crate::schedule::{Schedule, ScheduleError};
use crate::signals::RuleSeries;
use crate::state::{Bus, DEFAULT_BUS, Retry, Rule, State, Status, Target};
use crate::transform::{Configured, InputError, TargetInput};
use delivery::{Backoff, RetryPolicy};
use names::{Arn, Home};
use patterns::{EventError, Pattern, PatternError, RuleSet};
use policies::Policy;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use world::Meter;

/// All buses at one revision of the state.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) revision: u64,
    buses: BTreeMap<String, Arc<LiveBus>>,
}

/// A bus with its rules.
pub(crate) struct LiveBus {
    /// Its ARN.
    pub(crate) arn: Arn,
    /// Who may send here.
    pub(crate) policy: Option<Policy>,
    /// Where events go that cannot be processed.
    pub(crate) dead_letter: Option<Arn>,
    revision: u64,
    /// By name, in order.
    rules: Vec<Arc<LiveRule>>,
    /// The rules that are awake, by name.
    awake: RuleSet<Arc<str>>,
}

/// A rule, compiled.
pub(crate) struct LiveRule {
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arn,
    pub(crate) targets: Vec<LiveTarget>,
    pub(crate) series: RuleSeries,
    /// Its schedule, unless it rests.
    pub(crate) schedule: Option<Schedule>,
    revision: u64,
    status: Status,
    pattern: Option<Pattern>,
}

/// A target, compiled.
#[derive(Debug)]
pub(crate) struct LiveTarget {
    pub(crate) arn: Arn,
    pub(crate) role: Option<Arn>,
    pub(crate) input: TargetInput,
    pub(crate) partition_key: Option<JsonPath>,
    pub(crate) message_group: Option<String>,
    pub(crate) http: Option<LiveHttp>,
    pub(crate) policy: RetryPolicy,
    pub(crate) dead_letter: Option<Arn>,
}

/// Why something in the state does not compile. It did when it was taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Table {
    /// The table of a state, with what `before` holds already compiled.
    pub(crate) fn build(state: &State, before: &Table, home: &Home, meter: &Meter) -> Table {
        let buses = state.buses.iter().map(|(name, bus)| {
            let known = before.buses.get(name);
            match known.filter(|known| known.revision == bus.revision) {
                Some(known) => (name.clone(), known.clone()),
                None => (name.clone(), Arc::new(LiveBus::build(name, bus, known.map(|known| &**known), home, meter))),
            }
        });
        Table { revision: state.revision, buses: buses.collect() }
    }

    pub(crate) fn bus(&self, name: &str) -> Option<&Arc<LiveBus>> {
        self.buses.get(name)
    }

    /// All buses by name.
    pub(crate) fn buses(&self) -> impl Iterator<Item = (&String, &Arc<LiveBus>)> {
        self.buses.iter()
    }
}

impl LiveBus {
    fn build(name: &str, bus: &Bus, before: Option<&LiveBus>, home: &Home, meter: &Meter) -> LiveBus {
        let policy = bus.policy.as_deref().map(|text| Policy::kept(policy::parse(text), policy::VENDOR, &name));
        let mut live = LiveBus {
            arn: home.arn("events", &format!("event-bus/{name}")),
            policy,
            dead_letter: bus.dead_letter.clone(),
            revision: bus.revision,
            rules: Vec::with_capacity(bus.rules.len()),
            // Copying the automaton costs far less than building it anew: only what has changed is taken out or put in.
            awake: before.map(|before| before.awake.clone()).unwrap_or_default(),
        };
        let gone = before.into_iter().flat_map(|before| &before.rules);
        for rule in gone.filter(|rule| !bus.rules.contains_key(&*rule.name)) {
            live.awake.remove(&rule.name);
        }
        for (rule_name, rule) in &bus.rules {
            let known =
                before.and_then(|before| before.rule(rule_name)).filter(|known| known.revision == rule.revision);
            if let Some(known) = known {
                live.rules.push(known.clone());
                continue;
            }
            match LiveRule::compile(name, rule_name, rule, home, meter) {
                Ok(rule) => live.add(rule),
                // A version of this program with stricter rules: better one rule less than no house.
                Err(error) => {
                    live.awake.remove(rule_name.as_str());
                    tracing::error!(bus = name, rule = rule_name, %error, "a rule no longer compiles and rests");
                }
            }
        }
        live
    }

    fn add(&mut self, rule: LiveRule) {
        match &rule.pattern {
            Some(pattern) if rule.status != Status::Disabled => self.awake.insert(rule.name.clone(), pattern.clone()),
            _ => {
                self.awake.remove(&rule.name);
            }
        }
        self.rules.push(Arc::new(rule));
    }

    /// A rule by name.
    pub(crate) fn rule(&self, name: &str) -> Option<&Arc<LiveRule>> {
        let place = self.rules.binary_search_by(|rule| (*rule.name).cmp(name)).ok()?;
        Some(&self.rules[place])
    }

    /// The rules that an event is for, by name. Read-only management events are for those that ask for them.
    pub(crate) fn matching(&self, event: &str, read_only: bool) -> Result<impl Iterator<Item = &LiveRule>, EventError> {
        let names = self.awake.matching(event)?;
        let rules = names.into_iter().filter_map(|name| self.rule(name).map(|rule| &**rule));
        Ok(rules.filter(move |rule| !read_only || rule.status == Status::EnabledWithReadOnly))
    }

    /// All rules, by name.
    pub(crate) fn rules(&self) -> &[Arc<LiveRule>] {
        &self.rules
    }
}

impl LiveRule {
    fn compile(bus: &str, name: &str, rule: &Rule, home: &Home, meter: &Meter) -> Result<LiveRule, CompileError> {
        let Rule { definition, targets, revision, .. } = rule;
        let targets = targets.iter().map(|(id, target)| LiveTarget::compile(id, target));
        let schedule = definition.schedule.as_deref().filter(|_| definition.status != Status::Disabled);
        Ok(LiveRule {
            name: name.into(),
            arn: rule_arn(home, bus, name),
            targets: targets.collect::<Result<_, _>>()?,
            series: RuleSeries::new(meter, bus, name),
            schedule: schedule.map(Schedule::parse).transpose()?,
            revision: *revision,
            status: definition.status,
            pattern: definition.pattern.as_deref().map(Pattern::parse).transpose()?,
        })
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }
}

impl LiveTarget {
    /// Compiles a target; also the check of what `PutTargets` brings.
    pub(crate) fn compile(id: &str, target: &Target) -> Result<LiveTarget, CompileError> {
        let no_paths = BTreeMap::new();
        let configured = Configured {
            input: target.input.as_deref(),
            input_path: target.input_path.as_deref(),
            transformer: target
                .transformer
                .as_ref()
                .map(|transformer| (transformer.paths.as_ref().unwrap_or(&no_paths), transformer.template.as_str())),
        };
        Ok(LiveTarget {
            arn: target.arn.clone(),
            role: target.role.clone(),
            input: TargetInput::compile(id, &configured)?,
            partition_key: target.partition_key_path.as_deref().map(JsonPath::compile).transpose()?,
            message_group: target.message_group.clone(),
            http: target.http.as_ref().map(LiveHttp::compile).transpose()?,
            policy: policy(target.retry),
            dead_letter: target.dead_letter.clone(),
        })
    }
}

/// Tries in total are one more than retries.
fn policy(retry: Option<Retry>) -> RetryPolicy {
    let attempts = retry.and_then(|retry| retry.attempts).unwrap_or(RETRIES);
    let age = retry.and_then(|retry| retry.age_s).map_or(EVENT_AGE, |secs| Duration::from_secs(u64::from(secs)));
    RetryPolicy { max_attempts: attempts + 1, max_age: age, backoff: Backoff::default() }
}

/// `rule/NAME` on the default bus, `rule/BUS/NAME` on any other.
pub(crate) fn rule_arn(home: &Home, bus: &str, rule: &str) -> Arn {
    match bus {
        DEFAULT_BUS => home.arn("events", &format!("rule/{rule}")),
        _ => home.arn("events", &format!("rule/{bus}/{rule}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, Definition, Tags};
    use names::Timestamp;
    use store::State as _;

    fn put(state: &mut State, rule: &str, pattern: &str, status: Status) {
        let definition =
            Definition { status, pattern: Some(pattern.into()), schedule: None, description: None, role: None };
        state.apply(&Change::RulePut {
            bus: "default".into(),
            rule: rule.into(),
            at: Timestamp(0),
            definition,
            created_by: "000000000000".into(),
            tags: Tags::new(),
            managed_by: None,
        });
    }

    fn state() -> State {
        let mut state = State::default();
        let (name, tags) = (DEFAULT_BUS.to_owned(), Tags::new());
        state.apply(&Change::BusMade { name, at: Timestamp(0), description: None, tags, dead_letter: None });
        state
    }

    fn names(table: &Table, event: &str, read_only: bool) -> Vec<String> {
        let rules = table.bus("default").unwrap().matching(event, read_only).unwrap();
        rules.map(|rule| rule.name.to_string()).collect()
    }

    #[test]
    fn only_what_changed_is_compiled_again() {
        let (home, meter, mut state) = (Home::default(), Meter::default(), state());
        put(&mut state, "a", r#"{"source":["x"]}"#, Status::Enabled);
        put(&mut state, "b", r#"{"source":["y"]}"#, Status::Enabled);
        let first = Table::build(&state, &Table::default(), &home, &meter);
        put(&mut state, "b", r#"{"source":["x"]}"#, Status::Enabled);
        let second = Table::build(&state, &first, &home, &meter);
        assert_eq!(names(&first, r#"{"source":"x"}"#, false), ["a"]);
        assert_eq!(names(&second, r#"{"source":"x"}"#, false), ["a", "b"]);
        let rule = |table: &Table, place: usize| table.bus("default").unwrap().rules[place].clone();
        assert!(Arc::ptr_eq(&rule(&first, 0), &rule(&second, 0)));
        assert!(!Arc::ptr_eq(&rule(&first, 1), &rule(&second, 1)));
    }

    #[test]
    fn what_is_removed_or_rests_is_taken_out_of_a_copied_automaton() {
        let (home, meter, mut state) = (Home::default(), Meter::default(), state());
        for number in 0..100 {
            put(&mut state, &format!("r{number:02}"), r#"{"source":["x"]}"#, Status::Enabled);
        }
        let mut table = Table::build(&state, &Table::default(), &home, &meter);
        let mut wanted: Vec<String> = (0..100).map(|number| format!("r{number:02}")).collect();
        for number in (0..100).step_by(3) {
            let name = format!("r{number:02}");
            wanted.retain(|other| *other != name);
            match number % 2 {
                0 => state.apply(&Change::RuleDeleted { bus: "default".into(), rule: name }),
                _ => put(&mut state, &name, r#"{"source":["x"]}"#, Status::Disabled),
            }
            table = Table::build(&state, &table, &home, &meter);
            assert_eq!(names(&table, r#"{"source":"x"}"#, false), wanted);
        }
        put(&mut state, "r03", r#"{"source":["y"]}"#, Status::Enabled);
        table = Table::build(&state, &table, &home, &meter);
        assert_eq!(names(&table, r#"{"source":"y"}"#, false), ["r03"]);
        assert_eq!(names(&table, r#"{"source":"x"}"#, false), wanted);
    }

    #[test]
    fn a_rules_status_says_what_it_sees() {
        let (home, meter, mut state) = (Home::default(), Meter::default(), state());
        for (name, status) in [("off", Status::Disabled), ("on", Status::Enabled), ("all", Status::EnabledWithReadOnly)]
        {
            put(&mut state, name, r#"{"source":["x"]}"#, status);
        }
        let table = Table::build(&state, &Table::default(), &home, &meter);
        assert_eq!(names(&table, r#"{"source":"x"}"#, false), ["all", "on"]);
        assert_eq!(names(&table, r#"{"source":"x"}"#, true), ["all"]);
        assert_eq!(names(&table, r#"{"source":"y"}"#, true), [""; 0]);
    }

    #[test]
    fn retries_are_tries_less_one() {
        assert_eq!(policy(None), RetryPolicy::default());
        let none = policy(Some(Retry { attempts: Some(0), age_s: Some(60) }));
        assert_eq!((none.max_attempts, none.max_age), (1, Duration::from_secs(60)));
    }
}
