//! Patterns and events, one behind the other: what compiles gives the same answer by itself and among other rules.

use patterns::{Dialect, Event, Explanation, Pattern, RuleSet};

const DIALECTS: [Dialect; 4] =
    [Dialect::EventBus, Dialect::EventSource, Dialect::MessageAttributes, Dialect::MessageBody];

/// A pattern, a zero byte, an event.
pub(crate) fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let pattern = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let event = Event::parse(&text);
    for dialect in DIALECTS {
        let Ok(pattern) = Pattern::parse_as(dialect, &pattern) else { continue };
        let Ok(event) = &event else { continue };
        let alone = pattern.matches(event);
        drop(Explanation::new(&pattern, event));
        let mut rules = RuleSet::default();
        rules.insert(1, pattern);
        if let Ok(other) = Pattern::parse(r#"{"detail":{"state":[{"prefix":"run"}]}}"#) {
            rules.insert(2, other);
        }
        match rules.matching(&text) {
            Ok(found) => assert_eq!(found.contains(&&1), alone, "alone and among others"),
            Err(error) => panic!("an event that can be read alone cannot be read by many: {error}"),
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let event = r#"{"source":"aws.ec2","detail":{"state":"running","n":[1,2.50,-3e2],"ip":"10.1.2.3","x":null,"s":"\u00e9\"a"}}"#;
    let patterns = [
        r#"{"source":["aws.ec2",{"prefix":"aws."}],"detail":{"state":["running"]}}"#,
        r#"{"detail":{"n":[{"numeric":[">",0,"<=",2.5]}],"ip":[{"cidr":"10.0.0.0/8"}]}}"#,
        r#"{"detail":{"x":[null],"y":[{"exists":false}],"state":[{"anything-but":["stopped",{"prefix":"s"}]}]}}"#,
        r#"{"$or":[{"source":["a"]},{"detail":{"state":[{"wildcard":"r*n*g"},{"suffix":"ing"}]}}]}"#,
        r#"{"detail":{"s":[{"equals-ignore-case":"É\"A"}]}}"#,
    ];
    patterns.iter().map(|pattern| [pattern.as_bytes(), &[0], event.as_bytes()].concat()).collect()
}
