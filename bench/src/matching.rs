//! How many events a second one core matches: families of rules, one rule of each and ten thousand of which three match,
//! beside the crate `quamina` with the same rules and events where it has the operator.
//!
//! All figures of a line are taken in turns within the same seconds, the best turn of each counts.

use crate::stats;
use anyhow::{Context, Result, ensure};
use patterns::{Pattern, RuleSet};
use quamina::{Quamina, QuaminaBuilder};
use std::time::{Duration, Instant};

const RULES: usize = 10_000;
/// Rules that each event matches.
const MATCHES: usize = 3;
const KEYS: usize = RULES / MATCHES;
const EVENTS: usize = 1000;
const TURNS: usize = 6;
/// Memory that `quamina` may use, far above what it allows itself.
const RIVAL_BYTES: usize = 1 << 30;
/// Longest that `quamina` may take to take in all rules of a family.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rules by number, of which each event matches those with its own key.
struct Family {
    name: &'static str,
    rule: fn(usize) -> String,
    /// Whether `quamina` has all of its operators.
    rival: bool,
}

const FAMILIES: &[Family] = &[
    Family { name: "exact", rule: exact, rival: true },
    Family { name: "exact, three fields", rule: three_fields, rival: true },
    Family {
        name: "prefix",
        rule: |i| field("requestID", &format!(r#"{{"prefix":"req-{:05}-"}}"#, key(i))),
        rival: true,
    },
    Family { name: "suffix", rule: |i| field("requestID", &format!(r#"{{"suffix":"-{:05}"}}"#, key(i))), rival: true },
    Family {
        name: "equals-ignore-case",
        rule: |i| field("eventName", &format!(r#"{{"equals-ignore-case":"STOPinstances{:05}"}}"#, key(i))),
        rival: true,
    },
    Family {
        name: "wildcard",
        rule: |i| field("requestID", &format!(r#"{{"wildcard":"req-*-{:05}"}}"#, key(i))),
        rival: true,
    },
    Family { name: "anything-but", rule: anything_but, rival: true },
    Family {
        name: "numeric",
        rule: |i| field("bytes", &format!(r#"{{"numeric":[">=",{},"<",{}]}}"#, key(i) * 10, key(i) * 10 + 10)),
        rival: true,
    },
    Family { name: "exists", rule: exists, rival: true },
    Family {
        name: "cidr",
        rule: |i| field("sourceIPAddress", &format!(r#"{{"cidr":"10.{}.{}.0/24"}}"#, key(i) / 256, key(i) % 256)),
        rival: true,
    },
    Family { name: "combined", rule: combined, rival: true },
    Family { name: "array of objects", rule: array, rival: true },
    Family { name: "$or", rule: or, rival: false },
];

/// What the events a rule matches have in common.
fn key(rule: usize) -> usize {
    rule / MATCHES
}

/// A rule of two fields, the second true of all events.
fn field(name: &str, condition: &str) -> String {
    format!(r#"{{"detail":{{"{name}":[{condition}],"userAgent":["aws-cli/2.17"]}}}}"#)
}

fn exact(rule: usize) -> String {
    format!(r#"{{"source":["aws.ec2"],"detail":{{"eventName":["StopInstances{:05}"]}}}}"#, key(rule))
}

fn three_fields(rule: usize) -> String {
    format!(
        r#"{{"source":["aws.ec2"],"detail-type":["AWS API Call via CloudTrail"],"detail":{{"eventName":["StopInstances{:05}"]}}}}"#,
        key(rule)
    )
}

fn anything_but(rule: usize) -> String {
    format!(
        r#"{{"detail":{{"eventName":["StopInstances{:05}"],"awsRegion":[{{"anything-but":["eu-west-1","eu-north-1"]}}]}}}}"#,
        key(rule)
    )
}

fn exists(rule: usize) -> String {
    format!(
        r#"{{"detail":{{"eventName":["StopInstances{:05}"],"requestID":[{{"exists":true}}],"errorCode":[{{"exists":false}}]}}}}"#,
        key(rule)
    )
}

fn combined(rule: usize) -> String {
    let key = key(rule);
    format!(
        r#"{{"source":["aws.ec2"],"detail-type":[{{"prefix":"AWS API"}}],"detail":{{"eventName":["StopInstances{key:05}"],"bytes":[{{"numeric":[">=",{}]}}],"awsRegion":[{{"anything-but":["eu-west-1"]}}],"requestID":[{{"suffix":"{key:05}"}}]}}}}"#,
        key * 10
    )
}

fn array(rule: usize) -> String {
    format!(
        r#"{{"detail":{{"responseElements":{{"instancesSet":{{"items":{{"instanceId":["i-0abc{:05}"],"currentState":{{"name":["stopping"]}}}}}}}}}}}}"#,
        key(rule)
    )
}

fn or(rule: usize) -> String {
    format!(
        r#"{{"$or":[{{"detail":{{"eventName":["StopInstances{:05}"]}}}},{{"detail":{{"userAgent":["agent{rule}"]}}}}]}}"#,
        key(rule)
    )
}

/// A management event as CloudTrail sends it to a bus: a kilobyte.
fn event(number: usize) -> String {
    let key = number * 7919 % KEYS;
    let event = format!(
        r#"{{"version":"0","id":"8f07e1d6-1b0c-6c1f-2d55-{number:012}","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2","account":"123456789012","time":"2026-11-23T02:{:02}:{:02}Z","region":"us-east-1","resources":[],"detail":{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","principalId":"AIDA{number:016}","arn":"arn:aws:iam::123456789012:user/ops{}","accountId":"123456789012","userName":"ops{}"}},"eventTime":"2026-11-23T02:11:25Z","eventSource":"ec2.amazonaws.com","eventName":"StopInstances{key:05}","awsRegion":"us-east-1","sourceIPAddress":"10.{}.{}.{}","userAgent":"aws-cli/2.17","bytes":{},"requestParameters":{{"instancesSet":{{"items":[{{"instanceId":"i-0abc{key:05}"}}]}},"force":false}},"responseElements":{{"instancesSet":{{"items":[{{"instanceId":"i-0abc{key:05}","currentState":{{"code":64,"name":"stopping"}}}}]}}}},"requestID":"req-{key:05}-{number:06}-{key:05}","readOnly":false,"managementEvent":true,"eventCategory":"Management"}}}}"#,
        number % 60,
        number % 60,
        number % 40,
        number % 40,
        key / 256,
        key % 256,
        number % 256,
        key * 10 + number % 10,
    );
    debug_assert!((950..1100).contains(&event.len()), "{}", event.len());
    event
}

/// Events a second, the best of some turns.
struct Rate<'a> {
    matches: Box<dyn Fn(&str) -> usize + 'a>,
    best: f64,
}

impl<'a> Rate<'a> {
    fn new(matches: impl Fn(&str) -> usize + 'a) -> Rate<'a> {
        Rate { matches: Box::new(matches), best: 0.0 }
    }

    fn turn(&mut self, events: &[String], time: Duration) {
        let (start, mut count) = (cpu(), 0usize);
        while cpu() - start < time {
            for event in events {
                std::hint::black_box((self.matches)(std::hint::black_box(event)));
            }
            count += events.len();
        }
        self.best = self.best.max(count as f64 / (cpu() - start).as_secs_f64());
    }
}

/// Time that this thread has had of a core: what others take of it is no fault of the matchers.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Prints one line for each family; `only` names one.
pub(crate) fn run(time: Duration, only: Option<&str>) -> Result<()> {
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    let mut rows = Vec::new();
    for family in FAMILIES.iter().filter(|family| only.is_none_or(|name| family.name == name)) {
        rows.push(measure(family, &events, time / 4)?);
    }
    let head = [
        "rules",
        "one rule",
        "10,000 rules",
        "of one rule",
        "quamina, one",
        "quamina, 10,000",
        "ahead, one",
        "ahead, 10,000",
        "taking in",
    ];
    stats::table(
        &format!("Matching, one core, events of {} bytes, events per second of processor time", events[0].len()),
        &head,
        rows,
    );
    Ok(())
}

fn measure(family: &Family, events: &[String], time: Duration) -> Result<Vec<String>> {
    let texts: Vec<String> = (0..RULES).map(family.rule).collect();
    let start = Instant::now();
    let many = set(&texts)?;
    let taken_in = start.elapsed();
    let start = Instant::now();
    let copy = std::hint::black_box(many.clone());
    let copied = start.elapsed();
    drop(copy);
    let one = set(&texts[..1])?;
    for event in events {
        let matched = many.matching(event)?.len();
        ensure!(matched == MATCHES, "{}: {matched} rules match", family.name);
    }
    let (rival_one, rival_many) = match family.rival {
        true => (rival(&texts[..1], events)?, rival(&texts, events)?),
        false => (None, None),
    };
    let ours = |set: &'_ RuleSet<usize>, event: &str| set.matching(event).map_or(0, |rules| rules.len());
    let theirs = |set: &Option<Quamina<usize>>, event: &str| {
        set.as_ref().and_then(|set| set.matches_for_event(event.as_bytes()).ok()).map_or(0, |rules| rules.len())
    };
    let mut rates = [
        Rate::new(|event| ours(&one, event)),
        Rate::new(|event| ours(&many, event)),
        Rate::new(|event| theirs(&rival_one, event)),
        Rate::new(|event| theirs(&rival_many, event)),
    ];
    let measured = |index: usize| index < 2 || [&rival_one, &rival_many][index - 2].is_some();
    for _ in 0..TURNS {
        for (index, rate) in rates.iter_mut().enumerate().filter(|(index, _)| measured(*index)) {
            let _ = index;
            rate.turn(events, time / TURNS as u32);
        }
    }
    let [one, many, rival_one, rival_many] = rates.map(|rate| rate.best);
    let shown = |rate: f64| if rate > 0.0 { format!("{rate:.0}") } else { "-".to_owned() };
    let ahead = |own: f64, other: f64| if other > 0.0 { format!("{:.1} x", own / other) } else { "-".to_owned() };
    Ok(vec![
        family.name.to_owned(),
        shown(one),
        shown(many),
        format!("{:.0} %", many / one * 100.0),
        shown(rival_one),
        shown(rival_many),
        ahead(one, rival_one),
        ahead(many, rival_many),
        format!("{} + copy {}", stats::ms(taken_in), stats::ms(copied)),
    ])
}

fn set(texts: &[String]) -> Result<RuleSet<usize>> {
    let mut set = RuleSet::default();
    for (number, text) in texts.iter().enumerate() {
        set.insert(number, Pattern::parse(text).with_context(|| text.clone())?);
    }
    Ok(set)
}

/// The rival with the same rules; none if it refuses them, takes too long to take them in, or cannot match them.
fn rival(texts: &[String], events: &[String]) -> Result<Option<Quamina<usize>>> {
    let mut rival = QuaminaBuilder::new().with_arena_byte_budget(RIVAL_BYTES).build()?;
    let start = Instant::now();
    for (number, text) in texts.iter().enumerate() {
        if let Err(error) = rival.add_pattern(number, text) {
            println!("quamina refuses {text}: {error}");
            return Ok(None);
        }
        if start.elapsed() > PATIENCE {
            println!("quamina took {PATIENCE:?} for {number} rules such as {text}, and was given no more");
            return Ok(None);
        }
    }
    let first = std::panic::AssertUnwindSafe(|| rival.matches_for_event(events[0].as_bytes()).map(|rules| rules.len()));
    match std::panic::catch_unwind(first) {
        Ok(Ok(matched)) if matched == texts.len().min(MATCHES) => Ok(Some(rival)),
        result => {
            println!("quamina finds {result:?} for rules such as {}", texts[0]);
            Ok(None)
        }
    }
}
