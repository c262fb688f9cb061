use crate::{Event, Pattern, RuleSet};

const YES: bool = true;
const NO: bool = false;

/// An EC2 event of the documentation, with members that let each operator show both verdicts.
const EVENT: &str = r#"{
  "version": "0", "id": "6a7e8feb", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
  "account": "111122223333", "time": "2017-12-22T18:43:48Z", "region": "us-west-1",
  "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0", "arn:other"],
  "detail": {
    "instance-id": "i-1234567890abcdef0", "state": "terminated", "c-count": 5, "d-count": 0.1, "e-count": 3.018e2,
    "x-limit": 301.8, "big": 123456789012345, "many-digits": 1.0000001, "negative": -5000000000,
    "FileName": "image.PNG", "FilePath": "/home/me/lib/x.jar", "star": "a*b", "slash": "a\\b", "empty": "",
    "yes": true, "no": false, "nothing": null, "none": [], "void": {}, "digits": "5",
    "sourceIPAddress": "10.0.0.123", "v6": "2001:DB8:1234:1A00::1", "list": [1, 2, "three", null],
    "responseElements": null, "dotted.name": "d", "nested": {"deep": {"er": "x"}},
    "employees": [{"first": "Ann", "last": "Lee", "skills": [{"n": "rust", "y": 3}, {"n": "go", "y": 9}]},
                  {"first": "Bob", "last": "Ray", "skills": [{"n": "rust", "y": 7}]}, {"first": "Cy"}, "loose"],
    "matrix": [[1, 2], [{"k": 3, "l": 4}, {"k": 5}]]
  }
}"#;

/// Patterns for [`EVENT`]. Page names stand for https://docs.aws.amazon.com/eventbridge/latest/userguide/PAGE.html
const TABLE: &[(&str, bool)] = &[
    // eb-event-patterns: exact values, nesting, and of fields with or of values.
    (r#"{"source": ["aws.ec2"]}"#, YES),
    (
        r#"{"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": ["terminated"]}}"#,
        YES,
    ),
    (r#"{"source": ["aws.ec2"], "detail": {"state": ["running"]}}"#, NO),
    (r#"{"detail": {"state": ["running", "terminated"]}}"#, YES),
    (r#"{"source": ["aws.EC2"]}"#, NO),
    (r#"{"Source": ["aws.ec2"]}"#, NO),
    (r#"{"source": ["aws.ec"]}"#, NO),
    (r#"{"detail": {"missing": ["x"]}}"#, NO),
    (r#"{"detail": ["terminated"]}"#, NO),
    (r#"{"detail": {"nested": {"deep": {"er": ["x"]}}}}"#, YES),
    (r#"{"detail": {"nested": {"er": ["x"]}}}"#, NO),
    (r#"{"detail": {"state": {"x": ["terminated"]}}}"#, NO),
    // eb-event-patterns, considerations: names are joined with dots.
    (r#"{"detail.state": ["terminated"]}"#, YES),
    (r#"{"detail": {"dotted": {"name": ["d"]}}}"#, YES),
    (r#"{"detail": {"dotted.name": ["d"]}}"#, YES),
    (r#"{"detail": {"state.state": {"state": ["terminated"]}}}"#, NO),
    // A name given twice: the last one counts.
    (r#"{"source": ["no"], "source": ["aws.ec2"]}"#, YES),
    (r#"{"source": ["aws.ec2"], "source": ["no"]}"#, NO),
    // eb-event-patterns-null-values: null, the empty string, and what is missing are three things.
    (r#"{"detail": {"responseElements": [null]}}"#, YES),
    (r#"{"detail": {"empty": [""]}}"#, YES),
    (r#"{"detail": {"empty": [null]}}"#, NO),
    (r#"{"detail": {"nothing": [""]}}"#, NO),
    (r#"{"detail": {"nothing": ["null"]}}"#, NO),
    (r#"{"detail": {"missing": [null]}}"#, NO),
    (r#"{"detail": {"none": [null]}}"#, NO),
    // Booleans and types.
    (r#"{"detail": {"yes": [true]}}"#, YES),
    (r#"{"detail": {"yes": [false]}}"#, NO),
    (r#"{"detail": {"no": [false]}}"#, YES),
    (r#"{"detail": {"yes": ["true"]}}"#, NO),
    (r#"{"detail": {"digits": [5]}}"#, NO),
    (r#"{"detail": {"c-count": ["5"]}}"#, NO),
    // eb-event-patterns-arrays: any element.
    (r#"{"resources": ["arn:other"]}"#, YES),
    (r#"{"resources": ["x", "arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"]}"#, YES),
    (r#"{"resources": ["x", "y"]}"#, NO),
    (r#"{"detail": {"list": [2]}}"#, YES),
    (r#"{"detail": {"list": ["three"]}}"#, YES),
    (r#"{"detail": {"list": [null]}}"#, YES),
    (r#"{"detail": {"list": [3]}}"#, NO),
    // Array consistency: what is matched below an array is matched in one element.
    (r#"{"detail": {"employees": {"first": ["Bob"], "last": ["Ray"]}}}"#, YES),
    (r#"{"detail": {"employees": {"first": ["Ann"], "last": ["Ray"]}}}"#, NO),
    (r#"{"detail": {"employees": {"first": ["Ann"]}}}"#, YES),
    (r#"{"detail": {"employees": ["loose"]}}"#, YES),
    (r#"{"detail": {"employees": {"first": ["Ann"], "skills": {"n": ["go"]}}}}"#, YES),
    (r#"{"detail": {"employees": {"first": ["Bob"], "skills": {"n": ["go"]}}}}"#, NO),
    (r#"{"detail": {"employees": {"skills": {"n": ["rust"], "y": [7]}}}}"#, YES),
    (r#"{"detail": {"employees": {"skills": {"n": ["go"], "y": [3]}}}}"#, NO),
    (r#"{"detail": {"employees": {"first": ["Ann"], "skills": {"n": ["rust"], "y": [7]}}}}"#, NO),
    (r#"{"detail": {"employees": {"first": ["Cy"], "last": [{"exists": false}]}}}"#, YES),
    (r#"{"detail": {"employees": {"first": ["Ann"], "last": [{"exists": false}]}}}"#, NO),
    (r#"{"detail": {"employees": {"last": [{"exists": false}]}}}"#, NO),
    (r#"{"detail": {"employees": {"age": [{"exists": false}]}}}"#, YES),
    (r#"{"detail": {"matrix": [2]}}"#, YES),
    (r#"{"detail": {"matrix": {"k": [3], "l": [4]}}}"#, YES),
    (r#"{"detail": {"matrix": {"k": [5], "l": [4]}}}"#, NO),
    // eb-create-pattern-operators: prefix.
    (r#"{"time": [{"prefix": "2017-12-22"}]}"#, YES),
    (r#"{"time": [{"prefix": "2017-10-02"}]}"#, NO),
    (r#"{"time": [{"prefix": ""}]}"#, YES),
    (r#"{"detail": {"c-count": [{"prefix": ""}]}}"#, NO),
    (r#"{"region": [{"prefix": "US-"}]}"#, NO),
    (r#"{"region": [{"prefix": {"equals-ignore-case": "US-"}}]}"#, YES),
    (r#"{"region": [{"prefix": {"equals-ignore-case": "EU-"}}]}"#, NO),
    // Suffix.
    (r#"{"detail": {"FileName": [{"suffix": ".PNG"}]}}"#, YES),
    (r#"{"detail": {"FileName": [{"suffix": ".png"}]}}"#, NO),
    (r#"{"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}}"#, YES),
    (r#"{"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".jpg"}}]}}"#, NO),
    // Equals, ignoring case.
    (r#"{"detail-type": [{"equals-ignore-case": "ec2 instance state-change notification"}]}"#, YES),
    (r#"{"detail-type": [{"equals-ignore-case": "ec2 instance"}]}"#, NO),
    (r#"{"detail": {"empty": [{"equals-ignore-case": ""}]}}"#, YES),
    // Anything but.
    (r#"{"detail": {"state": [{"anything-but": "initializing"}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": "terminated"}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"anything-but": 123}]}}"#, YES),
    (r#"{"detail": {"c-count": [{"anything-but": 5.0}]}}"#, NO),
    (r#"{"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": ["stopped", "terminated"]}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"anything-but": [100, 200, 300]}]}}"#, YES),
    (r#"{"detail": {"c-count": [{"anything-but": [100, 5]}]}}"#, NO),
    (r#"{"detail": {"missing": [{"anything-but": "x"}]}}"#, NO),
    (r#"{"detail": {"nothing": [{"anything-but": "x"}]}}"#, YES),
    (r#"{"detail": {"c-count": [{"anything-but": "5"}]}}"#, YES),
    (r#"{"detail": {"list": [{"anything-but": [1, 2]}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": "TERMINATED"}}]}}"#, NO),
    (r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "Terminated"]}}]}}"#, NO),
    (r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}"#, YES),
    (r#"{"detail": {"state": [{"anything-but": {"prefix": "term"}}]}}"#, NO),
    (r#"{"detail": {"state": [{"anything-but": {"prefix": ["init", "term"]}}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"anything-but": {"prefix": "init"}}]}}"#, YES),
    (r#"{"detail": {"FileName": [{"anything-but": {"suffix": ".txt"}}]}}"#, YES),
    (r#"{"detail": {"FileName": [{"anything-but": {"suffix": [".txt", ".PNG"]}}]}}"#, NO),
    (r#"{"detail": {"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}}"#, NO),
    (r#"{"detail": {"FilePath": [{"anything-but": {"wildcard": ["*/bin/*", "*/etc/*"]}}]}}"#, YES),
    // Numeric matching: ints and floats are numbers alike, in decimal.
    (
        r#"{"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"numeric": ["=", 3.018e2]}]}}"#,
        YES,
    ),
    (r#"{"detail": {"c-count": [{"numeric": [">", 0, "<", 5]}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"numeric": [">=", 5]}]}}"#, YES),
    (r#"{"detail": {"c-count": [{"numeric": [">", 5]}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"numeric": ["<=", 4.999999]}]}}"#, NO),
    (r#"{"detail": {"c-count": [{"numeric": ["=", 5.0]}]}}"#, YES),
    (r#"{"detail": {"d-count": [{"numeric": ["=", 0.1]}]}}"#, YES),
    (r#"{"detail": {"e-count": [301.8]}}"#, YES),
    (r#"{"detail": {"x-limit": [3.018e2]}}"#, YES),
    (r#"{"detail": {"digits": [{"numeric": ["=", 5]}]}}"#, NO),
    (r#"{"detail": {"nothing": [{"numeric": ["=", 0]}]}}"#, NO),
    (r#"{"detail": {"negative": [{"numeric": ["<=", -5e9]}]}}"#, YES),
    (r#"{"detail": {"big": [123456789012345]}}"#, YES),
    (r#"{"detail": {"big": [123456789012346]}}"#, NO),
    (r#"{"detail": {"big": [{"numeric": [">", 0]}]}}"#, NO),
    (r#"{"detail": {"many-digits": [{"numeric": [">", 1, "<", 1.000001]}]}}"#, YES),
    (r#"{"detail": {"many-digits": [1]}}"#, NO),
    // IP address matching.
    (r#"{"detail": {"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}}"#, YES),
    (r#"{"detail": {"sourceIPAddress": [{"cidr": "10.0.1.0/24"}]}}"#, NO),
    (r#"{"detail": {"sourceIPAddress": [{"cidr": "10.0.0.120/29"}]}}"#, YES),
    (r#"{"detail": {"sourceIPAddress": [{"cidr": "0.0.0.0/0"}]}}"#, YES),
    (r#"{"detail": {"v6": [{"cidr": "2001:db8:1234:1a00::/56"}]}}"#, YES),
    (r#"{"detail": {"v6": [{"cidr": "2001:db8:1234:1b00::/56"}]}}"#, NO),
    (r#"{"detail": {"v6": [{"cidr": "0.0.0.0/0"}]}}"#, NO),
    (r#"{"detail": {"state": [{"cidr": "0.0.0.0/0"}]}}"#, NO),
    (r#"{"detail": {"v6": ["2001:db8:1234:1a00:0:0:0:1"]}}"#, YES),
    // Exists matching: leaves only.
    (r#"{"detail": {"state": [{"exists": true}]}}"#, YES),
    (r#"{"detail": {"state": [{"exists": false}]}}"#, NO),
    (r#"{"detail": {"c-count-x": [{"exists": true}]}}"#, NO),
    (r#"{"detail": {"c-count-x": [{"exists": false}]}}"#, YES),
    (r#"{"detail": {"nothing": [{"exists": true}]}}"#, YES),
    (r#"{"detail": {"nested": [{"exists": true}]}}"#, NO),
    (r#"{"detail": {"nested": [{"exists": false}]}}"#, YES),
    (r#"{"detail": {"none": [{"exists": true}]}}"#, NO),
    (r#"{"detail": {"void": [{"exists": false}]}}"#, YES),
    (r#"{"detail": {"state": [{"exists": false}, "terminated"]}}"#, YES),
    (r#"{"detail": {"state": [{"exists": false}, "running"]}}"#, NO),
    (r#"{"detail": {"absent": [{"exists": false}, "running"]}}"#, YES),
    // Wildcards.
    (r#"{"resources": [{"wildcard": "arn:aws:ec2:us-west-1:*:instance/*"}]}"#, YES),
    (r#"{"resources": [{"wildcard": "arn:aws:s3:*"}]}"#, NO),
    (r#"{"detail": {"FilePath": [{"wildcard": "*/lib/*.jar"}]}}"#, YES),
    (r#"{"detail": {"FilePath": [{"wildcard": "/home/me/lib/x.jar*"}]}}"#, YES),
    (r#"{"detail": {"FilePath": [{"wildcard": "/home/*/me/*"}]}}"#, NO),
    (r#"{"detail": {"star": [{"wildcard": "a\\*b"}]}}"#, YES),
    (r#"{"detail": {"state": [{"wildcard": "termin\\*"}]}}"#, NO),
    (r#"{"detail": {"slash": [{"wildcard": "*\\\\*"}]}}"#, YES),
    (r#"{"detail": {"empty": [{"wildcard": "*"}]}}"#, YES),
    (r#"{"detail": {"c-count": [{"wildcard": "*"}]}}"#, NO),
    (r#"{"detail": {"state": [{"wildcard": "term*minated"}]}}"#, NO),
    (r#"{"detail": {"state": [{"wildcard": "terminated"}]}}"#, YES),
    // $or, alone, nested and combined.
    (r#"{"detail": {"$or": [{"c-count": [{"numeric": [">", 9]}]}, {"d-count": [{"numeric": ["<", 8]}]}]}}"#, YES),
    (r#"{"detail": {"$or": [{"c-count": [{"numeric": [">", 9]}]}, {"d-count": [{"numeric": [">", 8]}]}]}}"#, NO),
    (r#"{"source": ["aws.s3"], "$or": [{"region": ["us-west-1"]}, {"account": ["x"]}]}"#, NO),
    (
        r#"{"source": ["aws.ec2"], "$or": [{"region": ["x"]}, {"$or": [{"account": ["111122223333"]}, {"id": ["x"]}]}]}"#,
        YES,
    ),
    (
        r#"{"$or": [{"region": ["us-west-1"]}, {"region": ["x"]}], "detail": {"$or": [{"yes": [false]}, {"no": [true]}]}}"#,
        NO,
    ),
    (r#"{"$or": [{"region": ["x"]}, {"region": ["us-west-1"], "detail": {"state": ["terminated"]}}]}"#, YES),
    (
        r#"{"$or": [{"region": ["us-west-1"], "detail": {"state": ["running"]}}, {"detail": {"absent": [{"exists": false}]}}]}"#,
        YES,
    ),
    (r#"{"detail": {"employees": {"first": ["Ann"], "$or": [{"last": ["Ray"]}, {"last": ["Lee"]}]}}}"#, YES),
    (r#"{"detail": {"employees": {"first": ["Cy"], "$or": [{"last": ["Ray"]}, {"last": ["Lee"]}]}}}"#, NO),
    // A combination of operators, as the same page shows it.
    (
        r#"{"time": [{"prefix": "2017-12-22"}], "detail": {"state": [{"anything-but": "initializing"}], "c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"anything-but": [100, 200, 300]}]}}"#,
        YES,
    ),
    (r#"{"detail": {"state": ["x", {"prefix": "y"}, {"suffix": "ated"}]}}"#, YES),
    (r#"{"detail": {"state": [{"exactly": "terminated"}]}}"#, YES),
];

#[test]
fn verdicts_are_those_of_the_documentation() {
    let event = Event::parse(EVENT).expect("an object");
    for (text, wanted) in TABLE {
        let pattern = Pattern::parse(text).expect(text);
        assert_eq!(pattern.matches(&event), *wanted, "{text}");
        let mut set = RuleSet::default();
        set.insert("rule", pattern);
        assert_eq!(!set.matching(EVENT).expect("JSON").is_empty(), *wanted, "in a set: {text}");
    }
    assert!(TABLE.len() >= 120);
}

#[test]
fn events_with_odd_names() {
    for (pattern, event, wanted) in [
        (r#"{"a": [1]}"#, r#"{"a": 2, "a": 1}"#, YES),
        (r#"{"a": [2]}"#, r#"{"a": 2, "a": 1}"#, NO),
        (r#"{"a": {"b": [1], "c": [2]}}"#, r#"{"a.b": 1, "a": {"c": 2}}"#, YES),
        (r#"{"a": {"b": [1]}}"#, r#"{"a.b": {"b": 1}}"#, NO),
        (r#"{"": ["x"]}"#, r#"{"": "x"}"#, YES),
        (r#"{"": {"": ["x"]}}"#, r#"{"": {"": "x"}}"#, YES),
        (r#"{"": {"a": ["x"]}}"#, r#"{"": {"a": "x"}}"#, YES),
        (r#"{"": {"a": ["x"]}}"#, r#"{"a": "x"}"#, NO),
        (r#"{"a": {"": ["x"]}}"#, r#"{"a": "x"}"#, NO),
        (r#"{"a.": ["x"]}"#, r#"{"a": {"": ["y", "x"]}}"#, YES),
        (r#"{"é\u00e9": ["\ud83d\ude00"]}"#, r#"{"éé": "😀"}"#, YES),
        (r#"{"a": [{"suffix": "é"}]}"#, r#"{"a": "caf\u00e9"}"#, YES),
        (r#"{"a": [{"equals-ignore-case": "CAFÉ"}]}"#, r#"{"a": "café"}"#, YES),
        (r#"{"a": [{"wildcard": "*é*"}]}"#, r#"{"a": "xéy"}"#, YES),
    ] {
        let text = event;
        let event = Event::parse(event).expect("an object");
        let compiled = Pattern::parse(pattern).expect(pattern);
        assert_eq!(compiled.matches(&event), wanted, "{pattern}");
        let mut set = RuleSet::default();
        set.insert((), compiled);
        assert_eq!(!set.matching(text).expect("JSON").is_empty(), wanted, "in a set: {pattern}");
    }
}
