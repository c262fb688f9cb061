use super::*;
use proptest::prelude::*;

/// The example event of the documentation.
const EVENT: &str = r#"{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"detail":{"instance-id":"i-0123456789","state":"RUNNING","cores":4,"spot":false,"owner":null,"note":"say \"hi\"\n\\","list":["a","b"]}}"#;

fn paths() -> BTreeMap<String, String> {
    [
        ("timestamp", "$.time"),
        ("instance", "$.detail.instance-id"),
        ("state", "$.detail.state"),
        ("resource", "$.resources[0]"),
        ("cores", "$.detail.cores"),
        ("spot", "$.detail.spot"),
        ("owner", "$.detail.owner"),
        ("note", "$.detail.note"),
        ("list", "$.detail.list"),
        ("every", "$.detail.list[*]"),
        ("detail", "$.detail"),
        ("missing", "$.detail.missing"),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_owned()))
    .into()
}

fn apply(configured: &Configured<'_>) -> Result<String, InputError> {
    let event = serde_json::from_str(EVENT).expect("JSON");
    let matched = Matched {
        text: EVENT,
        event: &event,
        rule_arn: "arn:aws:events:us-east-1:123456789012:rule/example",
        rule_name: "example",
        ingested: Timestamp::from_millis(1_447_277_394_000),
    };
    Ok(TargetInput::compile("t1", configured)?.apply(&matched).expect("a small input"))
}

fn fill(template: &str) -> Result<String, InputError> {
    apply(&Configured { transformer: Some((&paths(), template)), ..Default::default() })
}

/// Templates of <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html> and what they
/// give; then the cases between them.
const FILLED: &[(&str, &str)] = &[
    (r#""instance <instance> is in <state>""#, r#""instance i-0123456789 is in RUNNING""#),
    (r#""instance \"<instance>\" is in <state>""#, r#""instance \"i-0123456789\" is in RUNNING""#),
    (r#"{"instance" : <instance>, "state": <state>}"#, r#"{"instance" : "i-0123456789", "state": "RUNNING"}"#),
    (
        r#"{"instance" : <instance>, "state": "<state>", "instanceStatus": "instance \"<instance>\" is in <state>"}"#,
        r#"{"instance" : "i-0123456789", "state": "RUNNING", "instanceStatus": "instance \"i-0123456789\" is in RUNNING"}"#,
    ),
    (
        r#"{"instance" : <instance>, "state": [9, <state>, true], "Transformed" : "Yes"}"#,
        r#"{"instance" : "i-0123456789", "state": [9, "RUNNING", true], "Transformed" : "Yes"}"#,
    ),
    (
        r#""<aws.events.rule-name> <aws.events.rule-arn> <aws.events.event.ingestion-time>""#,
        r#""example arn:aws:events:us-east-1:123456789012:rule/example 2015-11-11T21:29:54Z""#,
    ),
    (r#"{"at": <aws.events.event.ingestion-time>}"#, r#"{"at": "2015-11-11T21:29:54Z"}"#),
    // A path that leads nowhere.
    (r#""info <missing>""#, r#""info ""#),
    (r#"{"info": <missing>}"#, r#"{"info": ""}"#),
    // Numbers, booleans and null, out of strings and in them.
    (r#"{"a": <cores>, "b": <spot>, "c": <owner>}"#, r#"{"a": 4, "b": false, "c": null}"#),
    (r#""<cores> <spot> <owner>""#, r#""4 false null""#),
    // Arrays and objects, out of strings and in them.
    (r#"{"a": <list>, "b": <every>}"#, r#"{"a": ["a","b"], "b": ["a","b"]}"#),
    (r#""<list>""#, r#""[a,b]""#),
    // Text that needs escapes.
    (r#"{"a": <note>, "b": "<note>!"}"#, r#"{"a": "say \"hi\"\n\\", "b": "say \"hi\"\n\\!"}"#),
    // Other angle brackets are text.
    (r#""a < b <> <b c> <instance""#, r#""a < b <> <b c> <instance""#),
    ("\"one <state>\"\n\"two <state>\"", "\"one RUNNING\"\n\"two RUNNING\""),
    ("<state>", "\"RUNNING\""),
    (r#""{[/ <state>""#, r#""{[/ RUNNING""#),
];

#[test]
fn templates_are_filled_as_documented() {
    for (template, wanted) in FILLED {
        assert_eq!(fill(template).as_deref(), Ok(*wanted), "{template}");
    }
}

#[test]
fn whole_events_can_be_embedded() {
    let filled = fill(r#"{"short": <aws.events.event>, "full": <aws.events.event.json>, "detail": <detail>}"#);
    let filled: Value = serde_json::from_str(&filled.expect("valid")).expect("JSON");
    let event: Value = serde_json::from_str(EVENT).expect("JSON");
    assert_eq!(filled["full"], event);
    assert_eq!(filled["detail"], event["detail"]);
    assert_eq!(filled["short"]["detailType"], event["detail-type"]);
    assert_eq!(filled["short"]["source"], event["source"]);
    assert_eq!((filled["short"].get("detail"), filled["short"].get("detail-type")), (None, None));
}

#[test]
fn an_object_in_a_string_loses_its_quotes_and_stays_json() {
    let filled: Value = serde_json::from_str(&fill(r#"{"a": "<detail>"}"#).expect("valid")).expect("JSON");
    let text = filled["a"].as_str().expect("a string");
    assert!(text.starts_with("{instance-id:i-0123456789,state:RUNNING,cores:4"), "{text}");
}

#[test]
fn other_templates_are_refused_in_aws_words() {
    for (template, wanted) in [
        (r#""a <unknown>""#, "InputTemplate for target t1 contains invalid placeholder unknown."),
        (r#""a <aws.events.other>""#, "InputTemplate for target t1 contains invalid placeholder aws.events.other."),
        (
            r#""<aws.events.event.json>""#,
            "InputTemplate for target t1 contains placeholder aws.events.event.json valid only for JSON template.",
        ),
        (
            "[<aws.events.event.json>]",
            "InputTemplate for target t1 contains placeholder aws.events.event.json valid only for JSON template.",
        ),
        (
            "Alarm: <state>",
            "Invalid InputTemplate for target t1 : [Source: (String)\"Alarm: null\"; line: 1, column: 6]",
        ),
    ] {
        assert_eq!(fill(template).map_err(|error| error.to_string()), Err(wanted.to_owned()));
    }
    for template in ["", "{<state>: 1}", r#"{"a": <state>"#, r#"{"a": <state> <state>}"#, r#""a"#, r#""\<state>""#] {
        assert!(matches!(fill(template), Err(InputError::Template { .. })), "{template}");
    }
    let long = format!("\"{}\"", "a".repeat(TEMPLATE_CHARS_MAX));
    assert!(matches!(fill(&long), Err(InputError::TooLarge { .. })));
    let many: BTreeMap<_, _> = (0..=INPUT_PATHS_MAX).map(|n| (format!("n{n}"), "$".to_owned())).collect();
    assert!(matches!(InputTransformer::compile("t1", &many, "\"\""), Err(InputError::TooLarge { .. })));
}

#[test]
fn the_other_inputs() {
    let input = |input| apply(&Configured { input: Some(input), ..Default::default() });
    let path = |path| apply(&Configured { input_path: Some(path), ..Default::default() });
    let refused = |result: Result<String, InputError>| result.expect_err("refused").to_string();
    assert_eq!(apply(&Configured::default()).as_deref(), Ok(EVENT));
    assert_eq!(input(r#"{ "a": 1 }"#).as_deref(), Ok(r#"{ "a": 1 }"#));
    assert_eq!(input("\"hello\"").as_deref(), Ok("\"hello\""));
    assert_eq!(refused(input("hello")), "JSON syntax error in input for target t1");
    assert_eq!(refused(input("")), "JSON syntax error in input for target t1");
    assert_eq!(refused(input("1 2")), "JSON syntax error in input for target t1");
    assert_eq!(path("$.detail.state").as_deref(), Ok("\"RUNNING\""));
    assert_eq!(path("$.detail.list").as_deref(), Ok(r#"["a","b"]"#));
    assert_eq!(path("$.detail.missing").as_deref(), Ok("null"));
    assert_eq!(path("$").as_deref(), Ok(EVENT));
    assert_eq!(refused(path("detail")), "InputPath for target t1 is invalid.");
    assert_eq!(refused(path("$.detail['state']")), "InputPath for target t1 is invalid.");
    let both = Configured { input: Some("1"), input_path: Some("$"), transformer: None };
    let wanted = "Only one of Input, InputPath, or InputTransformer must be provided for target t1.";
    assert_eq!(refused(apply(&both)), wanted);
}

proptest! {
    #[test]
    fn no_template_panics_and_what_is_filled_is_json(template in "[{}\\[\\]\":, \\\\]{0,8}(<(state|note|list|missing)>|[a\": ,<>\\\\]){0,6}[\"}\\]]{0,3}") {
        if let Ok(filled) = fill(&template) {
            prop_assert!(json::check(&filled, true).is_ok(), "{template} gave {filled}");
        }
    }
}
