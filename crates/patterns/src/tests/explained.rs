use crate::{Event, Explanation, Pattern};

fn explain(pattern: &str, event: &str) -> Explanation {
    Explanation::new(&Pattern::parse(pattern).expect(pattern), &Event::parse(event).expect(event))
}

#[test]
fn what_is_asked_is_shown_as_it_is_written() {
    for conditions in [
        r#"["a\"b",1.50,true,false,null]"#,
        r#"[{"exists":true},{"prefix":"a"},{"suffix":"é"},{"equals-ignore-case":"a"},{"wildcard":"a*\\*\\\\b"}]"#,
        r#"[{"prefix":{"equals-ignore-case":"a"}},{"suffix":{"equals-ignore-case":"b"}}]"#,
        r#"[{"numeric":["=",1.5]},{"numeric":[">",-0.000001]},{"numeric":[">=",0,"<",5000000000]},{"numeric":["<=",-10]}]"#,
        r#"[{"cidr":"10.0.0.0/8"},{"cidr":"2001:db8::/32"}]"#,
        r#"[{"anything-but":["a"]},{"anything-but":[1,2]},{"anything-but":{"prefix":["a","b"]}},{"anything-but":{"wildcard":["*a"]}}]"#,
    ] {
        let shown = &explain(&format!(r#"{{"k":{conditions}}}"#), "{}").fields[0].asked;
        let written = serde_json::from_str::<serde_json::Value>(conditions).expect(conditions);
        // Numbers keep the digits they were written with, so texts are compared where serde would round.
        assert_eq!(serde_json::from_str::<serde_json::Value>(shown).expect(shown), written);
    }
}

#[test]
fn failures_say_what_was_there_and_what_may_have_been_meant() {
    for (pattern, event, found, hint) in [
        (r#"{"a":["x"]}"#, r#"{}"#, "nothing", None),
        (r#"{"a":["x"]}"#, r#"{"a":{"b":"x"}}"#, "no value, but an object or an empty array", None),
        (r#"{"a":["x"]}"#, r#"{"a":["y",1,null]}"#, "\"y\", 1, null", None),
        (
            r#"{"a":["x"]}"#,
            r#"{"a":"X"}"#,
            "\"X\"",
            Some("\"x\" and \"X\" differ in case: `equals-ignore-case` matches both"),
        ),
        (r#"{"a":["5"]}"#, r#"{"a":5}"#, "5", Some("\"5\" is a string, the event's 5 is not")),
        (r#"{"a":[true]}"#, r#"{"a":"true"}"#, "\"true\"", Some("the event's \"true\" is a string, true is not")),
        (
            r#"{"d":{"State":["x"]}}"#,
            r#"{"d":[{"state":"x"}]}"#,
            "nothing",
            Some("the event has \"state\", the pattern \"State\""),
        ),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":[1,2,3,4,5,6,7]}"#, "1, 2, 3, 4, 5, and 2 more", None),
    ] {
        let explanation = explain(pattern, event);
        let field = &explanation.fields[0];
        assert!(!explanation.matches && !field.holds && !explanation.scattered, "{pattern}");
        assert_eq!((field.found.as_str(), field.hint.as_deref()), (found, hint), "{pattern}");
    }
}

#[test]
fn the_alternative_shown_is_the_one_that_tells_most() {
    let pattern = r#"{"s":["s"],"$or":[{"a":[1],"b":[2]},{"c":[3]}]}"#;
    let nearest = explain(pattern, r#"{"s":"s","a":1,"b":1}"#);
    assert_eq!((nearest.matches, nearest.alternatives), (false, 2));
    let failing = |explanation: &Explanation| -> Vec<String> {
        explanation.fields.iter().filter(|field| !field.holds).map(|field| field.path.clone()).collect()
    };
    assert_eq!(failing(&nearest), ["b"]);
    let matching = explain(pattern, r#"{"s":"s","c":3}"#);
    assert!(matching.matches && failing(&matching).is_empty());
    assert_eq!(matching.fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(), ["c", "s"]);
}

#[test]
fn fields_that_hold_in_different_elements_are_called_scattered() {
    let pattern = r#"{"l":{"a":[1],"b":[2]}}"#;
    assert!(explain(pattern, r#"{"l":[{"a":1},{"b":2}]}"#).scattered);
    assert!(!explain(pattern, r#"{"l":[{"a":1},{"b":3}]}"#).scattered);
    assert!(explain(pattern, r#"{"l":[{"a":1,"b":2}]}"#).matches);
}
