use crate::{Event, Pattern, RuleSet};
use proptest::prelude::*;
use serde_json::Value;

/// Events of few names and values, so that patterns meet them.
fn event() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        "[abAB]{0,2}".prop_map(Value::from),
        (-2i32..3).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let value = scalar.prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[xyz]|x\\.y|", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    });
    prop::collection::btree_map("[xyz]|x\\.y|", value, 0..4).prop_map(|map| map.into_iter().collect())
}

fn entry() -> impl Strategy<Value = Value> {
    let text = || "[abAB]{1,2}";
    prop_oneof![
        4 => "[abAB]{0,2}".prop_map(Value::from),
        1 => (-2i32..3).prop_map(Value::from),
        1 => prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from)],
        1 => any::<bool>().prop_map(|exists| serde_json::json!({"exists": exists})),
        1 => (prop_oneof![Just("prefix"), Just("suffix"), Just("equals-ignore-case"), Just("anything-but")], text())
            .prop_map(|(operator, text)| Value::Object([(operator.to_owned(), text.into())].into_iter().collect())),
        1 => (-2i32..3).prop_map(|number| serde_json::json!({"numeric": [">", number]})),
    ]
}

fn pattern() -> impl Strategy<Value = Value> {
    let entries = prop::collection::vec(entry(), 1..3).prop_map(Value::from);
    let name = || "[xyz]|x\\.y|";
    let fields = entries.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(name(), inner.clone(), 1..3).prop_map(|map| map.into_iter().collect()),
            1 => prop::collection::vec(prop::collection::btree_map(name(), inner, 1..3), 2..4).prop_map(|alternatives| {
                let alternatives: Vec<Value> = alternatives.into_iter().map(|map| map.into_iter().collect()).collect();
                serde_json::json!({"$or": alternatives})
            }),
        ]
    });
    prop::collection::btree_map(name(), fields, 1..3).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn a_rule_set_finds_what_each_pattern_finds(
        patterns in prop::collection::vec(pattern(), 1..12),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        replaced in any::<prop::sample::Index>(),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let mut set = RuleSet::default();
        let mut naive = std::collections::BTreeMap::new();
        for (id, text) in patterns.iter().enumerate() {
            let pattern = Pattern::parse(&text.to_string()).expect("generated patterns are valid");
            set.insert(id, pattern.clone());
            naive.insert(id, pattern);
        }
        let id = replaced.index(patterns.len());
        set.insert(id, naive[&0].clone());
        naive.insert(id, naive[&0].clone());
        for index in removed {
            let id = index.index(patterns.len());
            prop_assert_eq!(set.remove(&id), naive.remove(&id).is_some());
        }
        prop_assert_eq!(set.len(), naive.len());
        for event in events {
            let text = event.to_string();
            let event = Event::parse(&text).expect("an object");
            let wanted: Vec<&usize> =
                naive.iter().filter(|(_, pattern)| pattern.matches(&event)).map(|(id, _)| id).collect();
            prop_assert_eq!(set.matching(&text).expect("an object"), wanted);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", json in "[{}\\[\\]\",:0-9a$\\\\.eu-]{0,40}") {
        for text in [&text, &json] {
            let pattern = Pattern::parse(text);
            let event = Event::parse(text);
            if let (Ok(pattern), Ok(event)) = (pattern, event) {
                pattern.matches(&event);
            }
        }
    }

    #[test]
    fn no_operand_panics(operator in "exactly|prefix|suffix|wildcard|cidr|numeric|anything-but|equals-ignore-case|exists",
                         operand in "\"[*\\\\0-9./:a-]{0,8}\"|\\[(\"[<>=]{1,2}\",)?-?[0-9]{1,12}(\\.[0-9]{1,8})?(e-?[0-9]{1,11})?\\]|true|\\{\"prefix\":\"a\"\\}") {
        let pattern = Pattern::parse(&format!("{{\"a\": [{{\"{operator}\": {operand}}}]}}"));
        if let Ok(pattern) = pattern {
            for value in ["\"10.1.2.3\"", "\"a*b\"", "12", "-0.5e3", "null", "[]"] {
                pattern.matches(&Event::parse(&format!("{{\"a\": {value}}}")).expect("an object"));
            }
        }
    }

    #[test]
    fn the_reader_takes_exactly_json(text in "[{}\\[\\]\",:0-9.eE+\\-\\\\ntrulasb ]{0,24}") {
        let object = format!("{{\"k\": {text}}}");
        // A number too large for a float is still a number to AWS.
        let json = serde_json::from_str::<Value>(&object);
        let valid = json.as_ref().map_or_else(|error| error.to_string().starts_with("number out of range"), Value::is_object);
        prop_assert_eq!(Event::parse(&object).is_ok(), valid);
    }
}

#[test]
fn rules_are_found_by_their_strings_among_many() {
    let mut set = RuleSet::default();
    for id in 0..2_000 {
        let text = format!("{{\"source\": [\"app\"], \"detail\": {{\"kind\": [\"k{id}\", \"l{id}\"]}}}}");
        set.insert(id, Pattern::parse(&text).expect("valid"));
    }
    let matching = |set: &RuleSet<i32>, event: &str| -> Vec<i32> {
        set.matching(event).expect("JSON").into_iter().copied().collect()
    };
    assert_eq!(matching(&set, r#"{"source": "app", "detail": {"kind": "l7"}}"#), [7]);
    assert_eq!(matching(&set, r#"{"source": "app", "detail": {"kind": ["k9", "k7"]}}"#), [7, 9]);
    assert_eq!(matching(&set, r#"{"source": "other", "detail": {"kind": "l7"}}"#), [0; 0]);
    for id in 0..2_000 {
        assert!(set.remove(&id));
    }
    assert!(set.is_empty() && !set.remove(&7));
}
