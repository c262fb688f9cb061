use crate::{Dialect, Event, EventError, Pattern};

/// Patterns with the reason AWS gives and the columns it names, as recorded from its answers.
const PLACED: &[(&str, &str, &[u32])] = &[
    (r#"{"int": 42}"#, "\"int\" must be an object or an array", &[11]),
    (r#"{"string": "my-value"}"#, "\"string\" must be an object or an array", &[13]),
    (r#"{"resources": []}"#, "Empty arrays are not allowed", &[17]),
    (r#"{"source": ["aws.health"], "detail": {}}"#, "Empty objects are not allowed", &[40]),
    (r#"{"my_key": [{"EXISTS": true}]}"#, "Unrecognized match type EXISTS", &[28]),
    (r#"{"detail": {"equal": [{"NUMERIC": ["=", 5]}]}}"#, "Unrecognized match type NUMERIC", &[36]),
    (r#"{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}"#, "Bad numeric range operator: >", &[49]),
    (r#"{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}"#, "Value of < must be numeric", &[50]),
    (
        r#"{"detail-type": [{"equals-ignore-case": ["ec2 instance state-change notification"]}]}"#,
        "equals-ignore-case match pattern must be a string",
        &[42],
    ),
    (
        r#"{"detail-type": [{"equals-ignore-case": {"prefix": "ec2"}}]}"#,
        "equals-ignore-case match pattern must be a string",
        &[42],
    ),
    (r#"{"EventBusArn": [{"wildcard": 123}]}"#, "wildcard match pattern must be a string", &[34]),
    (r#"{"EventBusArn": [{"wildcard": ["arn:*"]}]}"#, "wildcard match pattern must be a string", &[32]),
    (r#"{"key": [{"wildcard": "abc**def"}]}"#, "Consecutive wildcard characters at pos 4", &[33]),
    (r#"{"time": [{"prefix": 123}]}"#, "prefix match pattern must be a string", &[25]),
    (r#"{"time": [{"prefix": ["2022-07-13"]}]}"#, "prefix match pattern must be a string", &[23]),
    (r#"{"FileName": [{"suffix": 123}]}"#, "suffix match pattern must be a string", &[29]),
    (r#"{"FileName": [{"suffix": [".png"]}]}"#, "suffix match pattern must be a string", &[27]),
    (
        r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": 123}}]}}"#,
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
        &[66],
    ),
    (
        r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": [123, 456]}}]}}"#,
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
        &[67, 67],
    ),
    (
        r#"{"detail": {"state": [{"anything-but": {"wildcard": [123, "*/dir/*"]}}]}}"#,
        "wildcard match pattern must be a string",
        &[57, 57],
    ),
    (
        r#"{"detail": {"FilePath": [{"anything-but": {"wildcard": 123}}]}}"#,
        "wildcard match pattern must be a string",
        &[59],
    ),
    (
        r#"{"detail": {"FileName": [{"anything-but": {"suffix": [123, ".txt"]}}]}}"#,
        "prefix/suffix match pattern must be a string",
        &[58, 58],
    ),
    (
        r#"{"detail": {"state": [{"anything-but": {"prefix": 123}}]}}"#,
        "prefix/suffix match pattern must be a string",
        &[54],
    ),
    (
        r#"{"detail": {"FileName": [{"anything-but": {"prefix": {"equals-ignore-case": "file"}}}]}}"#,
        "Value of anything-but must be an array or single string/number value.",
        &[55],
    ),
    (r#"{"detail": {"sourceIPAddress": [{"cidr": ["bad-type"]}]}}"#, "prefix match pattern must be a string", &[43]),
    (
        "this is valid json but not a dict",
        "Unrecognized token 'this': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        &[5],
    ),
    (
        "{'bad': 'quotation'}",
        "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
        &[2],
    ),
    (
        "{\"not\": closed mark\"",
        "Unrecognized token 'closed': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        &[15],
    ),
    (r#"["not", "a", "dict", "but valid json"]"#, "Filter is not an object", &[2]),
];

/// Patterns that AWS refuses without naming a place.
const UNPLACED: &[(&str, &str)] = &[
    (r#"{"a": [{"cidr": "10.0.0.1"}]}"#, "Malformed CIDR, one '/' required"),
    (r#"{"a": [{"cidr": "bad-/64filter"}]}"#, "Malformed CIDR, mask bits must be an integer"),
    (r#"{"a": [{"cidr": "10.0.0.0/-1"}]}"#, "Malformed CIDR, mask bits must not be negative"),
    (r#"{"a": [{"cidr": "10.0.0.0/32"}]}"#, "IPv4 mask bits must be < 32"),
    (r#"{"a": [{"cidr": "::/128"}]}"#, "IPv6 mask bits must be < 128"),
    (r#"{"a": [{"cidr": "xx.11.xx/8"}]}"#, "Nonstandard IP address: xx.11.xx"),
    (r#"{"a": [{"cidr": "xxxx:db8:1234:1a00::/56"}]}"#, "Nonstandard IP address: xxxx:db8:1234:1a00::"),
    (
        r#"{"EventBusArn": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}"#,
        "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
    ),
];

/// Patterns and the reason alone.
const REASONS: &[(&str, &str)] = &[
    ("", "Filter is not an object"),
    ("{}", "Empty objects are not allowed"),
    ("null", "Filter is not an object"),
    (r#"{"a": true}"#, "\"a\" must be an object or an array"),
    (r#"{"a": [["b"]]}"#, "Match value must be String, number, true, false, or null"),
    (r#"{"a": [{}]}"#, "Match expression name not found"),
    (r#"{"a": [{"prefix": "a", "suffix": "b"}]}"#, "Only one key allowed in match expression"),
    (r#"{"a": [{"prefix": {"wildcard": "b"}}]}"#, "Unsupported prefix pattern: wildcard"),
    (r#"{"a": [{"suffix": {"prefix": "b"}}]}"#, "Unsupported suffix pattern: prefix"),
    (r#"{"a": [{"prefix": {}}]}"#, "Prefix expression name not found"),
    (r#"{"a": [{"exists": "yes"}]}"#, "exists match pattern must be either true or false."),
    (r#"{"a": [{"numeric": 5}]}"#, "Value of numeric must be an array."),
    (r#"{"a": [{"numeric": [5]}]}"#, "Invalid member in numeric match: 5"),
    (r#"{"a": [{"numeric": []}]}"#, "Invalid member in numeric match: ]"),
    (r#"{"a": [{"numeric": ["!=", 5]}]}"#, "Unrecognized numeric range operator: !="),
    (r#"{"a": [{"numeric": ["=", "5"]}]}"#, "Value of equals must be numeric"),
    (r#"{"a": [{"numeric": ["<", 5, ">", 1]}]}"#, "Too many elements in numeric expression"),
    (r#"{"a": [{"numeric": [">", 5, "<", 9, 1]}]}"#, "Too many terms in numeric range expression"),
    (r#"{"a": [{"numeric": [">", 5, 9]}]}"#, "Bad value in numeric range: 9"),
    (r#"{"a": [{"numeric": [">", 5, "<", 5]}]}"#, "Bottom must be less than top"),
    (r#"{"a": [{"numeric": ["=", 5000000001]}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive"),
    (r#"{"a": [{"numeric": ["=", 0.1234567]}]}"#, "Only values upto 6 decimals are supported"),
    (r#"{"a": [{"anything-but": null}]}"#, "Value of anything-but must be an array or single string/number value."),
    (r#"{"a": [{"anything-but": {}}]}"#, "Anything-But expression name not found"),
    (r#"{"a": [{"anything-but": {"numeric": ["=", 5]}}]}"#, "Unsupported anything-but pattern: numeric"),
    (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "Null prefix/suffix not allowed"),
    (r#"{"a": [{"anything-but": [null]}]}"#, "Inside anything but list, start|null|boolean is not supported."),
    (
        r#"{"a": [{"anything-but": ["a", 1]}]}"#,
        "Inside anything but list, either all values are number or string, mixed type is not supported",
    ),
    (r#"{"$or": {"a": [1]}}"#, "It must be an Array followed with $or."),
    (r#"{"$or": [{"a": [1]}]}"#, "There must have at least 2 Objects in $or relationship."),
    (r#"{"$or": [1, 2]}"#, "Only JSON object is allowed in array of $or relationship."),
    (
        r#"{"$or": [{"prefix": ["a"]}, {"a": ["b"]}]}"#,
        "prefix is Ruler reserved fieldName which cannot be used inside $or.",
    ),
    (r#"{"a": [{"wildcard": "a\\b"}]}"#, "Invalid escape character at pos 2"),
    (r#"{"a": ["\d"]}"#, "Unrecognized character escape 'd' (code 100)"),
    (r#"{"a": [01]}"#, "Invalid numeric value: Leading zeroes not allowed"),
    (r#"{"a": [1}"#, "Unexpected character ('}' (code 125)): was expecting comma to separate Array entries"),
    (r#"{"a" [1]}"#, "Unexpected character ('[' (code 91)): was expecting a colon to separate field name and value"),
];

fn refusal(pattern: &str) -> String {
    Pattern::parse(pattern).map(|_| pattern).expect_err("refused").to_string()
}

#[test]
fn refusals_are_worded_and_placed_as_in_aws() {
    for (pattern, reason, columns) in PLACED {
        let places: String = columns
            .iter()
            .map(|column| format!("\n at [Source: (String)\"{pattern}\"; line: 1, column: {column}]"))
            .collect();
        assert_eq!(refusal(pattern), format!("Event pattern is not valid. Reason: {reason}{places}"));
    }
    for (pattern, reason) in UNPLACED {
        assert_eq!(refusal(pattern), format!("Event pattern is not valid. Reason: {reason}"));
    }
    for (pattern, reason) in REASONS {
        assert_eq!(Pattern::parse(pattern).expect_err(pattern).reason, *reason, "{pattern}");
    }
}

#[test]
fn places_count_lines_and_long_sources_are_cut() {
    let lines = "{\n  \"a\": [\"x\"],\n  \"b\": 1\n}";
    assert!(refusal(lines).ends_with("; line: 3, column: 9]"), "{}", refusal(lines));
    let long = format!("{{\"a\": [\"{}\"], \"b\": 1}}", "é".repeat(600));
    assert!(refusal(&long).contains("[truncated 119 chars]; line: 1"), "{}", refusal(&long));
}

#[test]
fn size_depth_and_combinations_are_limited() {
    let sized = |chars: usize| format!("{{\"a\": [\"{}\"]}}", "x".repeat(chars - 11));
    assert!(Pattern::parse(&sized(2048)).is_ok());
    assert!(Pattern::parse(&sized(2049)).is_err());
    assert!(Pattern::parse_as(Dialect::EventSource, &sized(4096)).is_ok());
    let nested = |depth: usize| format!("{}[1]{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(Pattern::parse(&nested(127)).is_ok());
    assert_eq!(
        Pattern::parse(&nested(128)).expect_err("too deep").reason,
        "Document nesting depth (129) exceeds the maximum allowed (128)"
    );
    let ors = |count: usize| {
        let or = |n: usize| format!("\"k{n}\": {{\"$or\": [{{\"a\": [1]}}, {{\"b\": [2]}}]}}");
        format!("{{{}}}", (0..count).map(or).collect::<Vec<_>>().join(", "))
    };
    assert!(Pattern::parse(&ors(9)).is_ok());
    assert!(Pattern::parse(&ors(10)).is_err());
}

#[test]
fn events_are_json_objects() {
    assert!(Event::parse("{}").is_ok());
    for text in ["", "[]", "\"a\"", "1"] {
        assert_eq!(Event::parse(text).expect_err("no object"), EventError::NotObject);
    }
    for text in ["{", "{\"a\"}", "{\"a\": 1,}", "{\"a\": }", "{} {}", "{\"a\": [1,]}", "{\"a\": tru}"] {
        assert!(matches!(Event::parse(text), Err(EventError::Json(_) | EventError::NotObject)), "{text}");
    }
}

#[test]
fn each_service_allows_its_own_part_of_the_language() {
    use Dialect::{EventBus, EventSource, MessageAttributes, MessageBody};
    let five = r#""a":[1],"b":[1],"c":[1],"d":[1],"e":[1]"#;
    let values = |count: usize| vec!["1"; count].join(",");
    let nested = "Filter policy scope MessageAttributes does not support nested filter policy";
    let (keys, complex) = ("Filter policy can not have more than 5 keys", "Filter policy is too complex");
    for (dialect, text, reason) in [
        (
            EventBus,
            r#"{"a":[{"cidr":"10.0.0.0/8"},{"wildcard":"*"},{"anything-but":{"prefix":"a"}}]}"#.to_owned(),
            None,
        ),
        (
            EventSource,
            r#"{"a":["",{"anything-but":["a"]},{"suffix":"b"},{"exists":false}],"$or":[{"b":[1]},{"c":[2]}]}"#
                .to_owned(),
            None,
        ),
        (EventSource, r#"{"a":[{"cidr":"10.0.0.0/8"}]}"#.to_owned(), Some("Unrecognized match type cidr")),
        (EventSource, r#"{"a":[{"wildcard":"*"}]}"#.to_owned(), Some("Unrecognized match type wildcard")),
        (
            EventSource,
            r#"{"a":[{"anything-but":{"prefix":"a"}}]}"#.to_owned(),
            Some("Unsupported anything-but pattern: prefix"),
        ),
        (MessageAttributes, r#"{"a":{"b":["c"]}}"#.to_owned(), Some(nested)),
        (MessageBody, r#"{"a":{"b":["c"]}}"#.to_owned(), None),
        (MessageAttributes, format!("{{{five}}}"), None),
        (MessageAttributes, format!(r#"{{{five},"f":[1]}}"#), Some(keys)),
        (EventBus, format!(r#"{{{five},"f":[1]}}"#), None),
        (MessageAttributes, format!(r#"{{"a":[{}]}}"#, values(150)), None),
        (MessageAttributes, format!(r#"{{"a":[{}]}}"#, values(151)), Some(complex)),
        // Deeper keys count for more: 3 x 4 and 2 x 3 make 72.
        (MessageBody, format!(r#"{{"a":{{"b":{{"c":[{}]}}}},"d":{{"e":[{}]}}}}"#, values(4), values(3)), None),
        (MessageBody, format!(r#"{{"a":{{"b":{{"c":[{}]}}}},"d":{{"e":[{}]}}}}"#, values(4), values(7)), Some(complex)),
        (MessageBody, format!(r#"{{"$or":[{{"a":[{0}]}},{{"b":[{0}]}}]}}"#, values(75)), None),
        (MessageBody, format!(r#"{{"$or":[{{"a":[{0}]}},{{"b":[{0}]}}]}}"#, values(76)), Some(complex)),
    ] {
        let refused = Pattern::parse_as(dialect, &text).err();
        assert_eq!(refused.as_ref().map(|error| error.reason.as_str()), reason, "{dialect:?} {text}");
    }
    let shown = |dialect| Pattern::parse_as(dialect, r#"{"a":[[]]}"#).expect_err("refused").to_string();
    assert_eq!(shown(EventSource), "Invalid filter pattern definition.");
    assert!(
        shown(MessageBody).starts_with("FilterPolicy: Match value must be String, number, true, false, or null\n at ")
    );
}
