//! No text panics or hangs, and no rule makes others dear.

use crate::{Event, Pattern, RuleSet};
use proptest::prelude::*;

fn rules(texts: impl IntoIterator<Item = String>) -> RuleSet<usize> {
    let mut set = RuleSet::default();
    for (id, text) in texts.into_iter().enumerate() {
        set.insert(id, Pattern::parse(&text).expect(&text));
    }
    set
}

fn nosy() -> Vec<String> {
    let conditions = r#"["a",1,true,null,{"prefix":"a"},{"suffix":"b"},{"wildcard":"*a*b"},{"cidr":"10.0.0.0/8"},
        {"numeric":[">",0]},{"equals-ignore-case":"x"},{"anything-but":["q"]},{"exists":false}]"#;
    ["a", "b", "\\\\", "u"].map(|name| format!(r#"{{"{name}":{conditions},"x":{{"{name}":{conditions}}}}}"#)).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 4, ..ProptestConfig::default() })]

    #[test]
    fn no_event_panics(text in "\\PC{0,60}", json in "[{}\\[\\]\",:0-9abux$\\\\.e \u{0}é-]{0,60}") {
        let texts = nosy();
        let set = rules(texts.clone());
        for text in [text.clone(), json.clone(), format!("{{\"x\":{json}"), format!("{{\"a\":{json}}}")] {
            let found = set.matching(&text);
            let Ok(event) = Event::parse(&text) else { continue };
            // What is JSON is answered, and rightly.
            let patterns = texts.iter().map(|text| Pattern::parse(text).expect("valid"));
            let wanted = patterns.enumerate().filter(|(_, pattern)| pattern.matches(&event)).map(|(id, _)| id);
            let found: Vec<usize> = found.expect("JSON").into_iter().copied().collect();
            prop_assert_eq!(found, wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_pattern_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(pattern) = Pattern::parse(&text) {
            let mut set = RuleSet::default();
            set.insert(0, pattern);
            prop_assert_eq!(set.matching("{}").map(|rules| rules.len() > 1), Ok(false));
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let set = rules([r#"{"a":{"b":["x"]}}"#.to_owned()]);
    for (open, close) in [("{\"a\":", "}"), ("[", "]"), ("{\"z\":", "}")] {
        for depth in [100_usize, 200, 100_000] {
            let event = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            assert_eq!(set.matching(&event).is_ok(), depth == 100, "{depth} x {open}");
            assert_eq!(Event::parse(&event).is_ok(), depth == 100, "{depth} x {open}");
            let unasked = format!("{{\"z\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            assert_eq!(set.matching(&unasked).is_ok(), depth == 100, "{depth} x {open}, not asked for");
        }
    }
}

#[test]
fn an_event_visits_only_rules_it_nearly_matches() {
    const RULES: usize = 2_000;
    type Family = (&'static str, fn(usize) -> String, &'static str);
    let families: [Family; 8] = [
        ("exact", |i| format!(r#"{{"s":["s"],"d":{{"k":["k{i}"]}}}}"#), r#"{"s":"s","d":{"k":"k7"}}"#),
        (
            "prefix",
            |i| format!(r#"{{"s":["s"],"k":[{{"prefix":"a-long-beginning-{i:04}-"}}]}}"#),
            r#"{"s":"s","k":"a-long-beginning-0007-x"}"#,
        ),
        ("suffix", |i| format!(r#"{{"k":[{{"suffix":"-{i:04}-a-long-end"}}]}}"#), r#"{"k":"x-0007-a-long-end"}"#),
        (
            "ignoring case",
            |i| format!(r#"{{"k":[{{"prefix":{{"equals-ignore-case":"AbC{i:04}"}}}}]}}"#),
            r#"{"k":"aBc0007xyz"}"#,
        ),
        ("wildcard", |i| format!(r#"{{"k":[{{"wildcard":"arn:*:{i:04}/*.jpg"}}]}}"#), r#"{"k":"arn:aws:0007/x.jpg"}"#),
        (
            "numeric",
            |i| format!(r#"{{"s":["s"],"k":[{{"numeric":[">=",{i},"<",{}]}}]}}"#, i + 1),
            r#"{"s":"s","k":7.5}"#,
        ),
        ("cidr", |i| format!(r#"{{"k":[{{"cidr":"10.{}.{}.0/24"}}]}}"#, i / 256, i % 256), r#"{"k":"10.0.7.9"}"#),
        ("a pair", |i| format!(r#"{{"a":["a{}"],"b":["b{}"]}}"#, i / 50, i % 50), r#"{"a":"a0","b":"b7"}"#),
    ];
    for (name, rule, event) in families {
        let mut set = rules((0..RULES).map(rule));
        assert_eq!(set.matching(event), Ok(vec![&7]), "{name}");
        let visited = set.visited(event);
        assert!(visited <= 60, "{name}: {visited} of {RULES} visited");
        for id in (0..RULES).filter(|id| *id != 7) {
            assert!(set.remove(&id));
        }
        assert_eq!(set.matching(event), Ok(vec![&7]), "{name}, alone");
        assert!(set.visited(event) <= 20, "{name}: the removed are still visited");
    }
}

#[test]
fn a_wildcard_never_goes_back() {
    let stars = "a*".repeat(4);
    let set = rules([format!(r#"{{"k":[{{"wildcard":"{stars}b"}}]}}"#)]);
    let hay = "a".repeat(200_000);
    assert_eq!(set.matching(&format!(r#"{{"k":"{hay}"}}"#)), Ok(vec![]));
    assert_eq!(set.matching(&format!(r#"{{"k":"{hay}b"}}"#)), Ok(vec![&0]));
}

#[test]
fn elements_by_the_thousand_are_read_once() {
    let set = rules([r#"{"l":{"a":["x"],"b":["y"],"c":[{"exists":false}]}}"#.to_owned()]);
    let elements: Vec<String> = (0..5_000)
        .map(|i| format!(r#"{{"a":"x{}","b":"y"}},{{"a":"x","b":"z"}},{{"a":"x","b":"y","c":1}}"#, i))
        .collect();
    let event = |last: &str| format!(r#"{{"l":[{},{last}]}}"#, elements.join(","));
    assert_eq!(set.matching(&event("{}")), Ok(vec![]));
    assert_eq!(set.matching(&event(r#"{"b":"y","a":"x"}"#)), Ok(vec![&0]));
}
