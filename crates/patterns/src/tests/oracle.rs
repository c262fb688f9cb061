//! The automaton against the plain evaluator, over all operators and over events written in every odd way JSON allows.

use crate::{Event, Pattern, RuleSet};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\n\t ")]
}

/// Few names, so that patterns and events meet; some are the same name in another spelling.
fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just("x"), 8 => Just("y"), 4 => Just("z"),
        1 => Just(""), 1 => Just("x.y"), 1 => Just("\\u0078"), 1 => Just("x\\u002ey"), 1 => Just("y.x.z"), 1 => Just("other"),
    ]
}

fn text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"\"",
        "\"a\"",
        "\"A\"",
        "\"ab\"",
        "\"aB\"",
        "\"abab\"",
        "\"ba\"",
        "\"\\u0061b\"",
        "\"é\"",
        "\"É\"",
        "\"caf\\u00e9\"",
        "\"😀b\"",
        "\"\\ud83d\\ude00\"",
        "\"a*b\"",
        "\"a\\\\b\"",
        "\"a\\\"b\"",
        "\"10.0.0.1\"",
        "\"10.0.1.77\"",
        "\"2001:DB8::1\"",
        "\"2001:db8:0:0:0:0:0:1\"",
        "\"1\"",
        "\"true\"",
        "\"abcdefghijklmnop\"",
        "\"abcdefghijklmnoq\"",
        "\"{[,:]}\"",
    ])
}

fn number() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "-0",
        "1",
        "1.0",
        "1e0",
        "10e-1",
        "-1",
        "2",
        "0.5",
        "0.1234567",
        "0.123456",
        "5e9",
        "-5e9",
        "5000000001",
        "123456789012345",
        "1e400",
        "0.0000001",
        "1.0000001",
    ])
}

fn scalar() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => text(), 4 => number(), 1 => Just("true"), 1 => Just("false"), 1 => Just("null")]
}

fn object(value: impl Strategy<Value = String>, fields: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    (prop::collection::vec((name(), space(), value), fields), space()).prop_map(|(fields, space)| {
        let fields: Vec<String> = fields.iter().map(|(n, s, v)| format!("{s}\"{n}\"{s}:{s}{v}{s}")).collect();
        format!("{{{space}{}}}", fields.join(","))
    })
}

fn event() -> impl Strategy<Value = String> {
    let value = scalar().prop_map(str::to_owned).prop_recursive(4, 32, 4, |inner| {
        let array = (prop::collection::vec(inner.clone(), 0..4), space())
            .prop_map(|(values, space)| format!("[{space}{}]", values.join(",")));
        prop_oneof![array, object(inner, 0..4)]
    });
    object(value, 0..5)
}

fn condition() -> impl Strategy<Value = String> {
    let list = || prop::collection::vec(text(), 1..3).prop_map(|texts| texts.join(","));
    let wildcard = prop::sample::select(vec![
        "*",
        "a*",
        "*b",
        "*a*",
        "a*b",
        "*ab*b",
        "abc*m*p",
        "a\\\\*b",
        "*é",
        "10.*.1",
        "abcdefghijklmnop",
        "*cdefg*",
    ]);
    let nested = prop_oneof![Just("prefix"), Just("suffix"), Just("equals-ignore-case")];
    prop_oneof![
        6 => scalar().prop_map(str::to_owned),
        1 => any::<bool>().prop_map(|exists| format!(r#"{{"exists":{exists}}}"#)),
        2 => (prop_oneof![Just("prefix"), Just("suffix"), Just("equals-ignore-case"), Just("exactly")], text())
            .prop_map(|(operator, text)| format!(r#"{{"{operator}":{text}}}"#)),
        1 => (prop_oneof![Just("prefix"), Just("suffix")], text())
            .prop_map(|(operator, text)| format!(r#"{{"{operator}":{{"equals-ignore-case":{text}}}}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"anything-but":{text}}}"#)),
        1 => list().prop_map(|texts| format!(r#"{{"anything-but":[{texts}]}}"#)),
        1 => prop::sample::select(vec!["1", "1.0", "[0,1]", "[5e9,-1]"]).prop_map(|n| format!(r#"{{"anything-but":{n}}}"#)),
        1 => (nested, list()).prop_filter("anything-but takes no empty prefix", |(_, texts)| !texts.contains("\"\""))
            .prop_map(|(operator, texts)| format!(r#"{{"anything-but":{{"{operator}":[{texts}]}}}}"#)),
        1 => wildcard.clone().prop_map(|text| format!(r#"{{"anything-but":{{"wildcard":"{text}"}}}}"#)),
        2 => wildcard.prop_map(|text| format!(r#"{{"wildcard":"{text}"}}"#)),
        2 => prop::sample::select(vec![
            r#"["=",1]"#, r#"["=",0.5]"#, r#"[">",0]"#, r#"[">=",1,"<",2]"#, r#"[">",1,"<",1.000001]"#, r#"["<=",-1]"#,
            r#"["<",5e9]"#, r#"[">=",-5e9,"<=",5e9]"#, r#"[">",0.123456,"<=",0.123457]"#,
        ]).prop_map(|range| format!(r#"{{"numeric":{range}}}"#)),
        1 => prop::sample::select(vec!["10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.0.1.64/26"])
            .prop_map(|network| format!(r#"{{"cidr":"{network}"}}"#)),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let conditions = prop::collection::vec(condition(), 1..3).prop_map(|list| format!("[{}]", list.join(",")));
    let field = conditions.prop_recursive(3, 12, 3, |inner| {
        let or = prop::collection::vec(object(inner.clone(), 1..3), 2..4)
            .prop_map(|alternatives| format!(r#"{{"$or":[{}]}}"#, alternatives.join(",")));
        prop_oneof![3 => object(inner, 1..4), 1 => or]
    });
    object(field, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 8, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_set_is_the_sum_of_its_patterns(
        texts in prop::collection::vec(pattern(), 1..10),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let mut set = RuleSet::default();
        let mut naive = BTreeMap::new();
        for (id, text) in texts.iter().enumerate() {
            // Patterns of several `$or`s may be refused as too complex.
            let Ok(pattern) = Pattern::parse(text) else { continue };
            set.insert(id, pattern.clone());
            naive.insert(id, pattern);
        }
        for index in removed {
            let id = index.index(texts.len());
            prop_assert_eq!(set.remove(&id), naive.remove(&id).is_some());
        }
        let copy = set.clone();
        for text in events {
            let event = Event::parse(&text).expect("generated events are objects");
            let wanted: Vec<&usize> =
                naive.iter().filter(|(_, pattern)| pattern.matches(&event)).map(|(id, _)| id).collect();
            prop_assert_eq!(set.matching(&text), Ok(wanted.clone()), "{} for {:?}", text, texts);
            prop_assert_eq!(copy.matching(&text), Ok(wanted));
        }
    }

    #[test]
    fn a_json_value_is_the_event_it_is_written_as(pattern in pattern(), event in event()) {
        // serde_json keeps the last of a repeated name too, but numbers of any size only as text.
        let (Ok(pattern), Ok(value)) = (Pattern::parse(&pattern), serde_json::from_str(&event)) else { return Ok(()) };
        let value: serde_json::Value = value;
        let written = Event::parse(&value.to_string()).expect("an object");
        prop_assert_eq!(pattern.matches(&Event::of(&value).expect("an object")), pattern.matches(&written));
    }
}
