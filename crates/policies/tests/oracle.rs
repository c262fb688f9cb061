//! Decisions against an evaluator that reads the JSON anew for each question and thinks of nothing but its meaning.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use names::{Account, Arn, Caller, CallerKind, Timestamp};
use policies::{Decision, Policy, Refusal, Request, Who, admit};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const USER: &str = "arn:aws:iam::000000000000:user/ann";
const AT: &str = "2026-11-27T10:00:00.000Z";

fn user() -> Caller {
    Caller {
        kind: CallerKind::User { name: "ann".into() },
        account: Account::parse("000000000000").unwrap(),
        arn: USER.into(),
        principal_id: "AIDAANNANNANNANNANNA".into(),
        access_key_id: "AKIA".into(),
    }
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], text) => (0..=text.len()).any(|n| like(rest, &text[n..])),
        ([b'?', rest @ ..], [_, left @ ..]) => like(rest, left),
        ([a, rest @ ..], [b, left @ ..]) => a == b && like(rest, left),
        _ => false,
    }
}

fn list(value: &Value) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.as_array().map_or_else(|| vec![plain(value)], |all| all.iter().map(plain).collect())
}

/// `None`: a statement that is not about this principal, action or resource.
fn applies(statement: &Value, service: bool, action: &str, context: &BTreeMap<String, Vec<String>>) -> bool {
    let either = |yes: &str, no: &str, test: &dyn Fn(&Value) -> bool| match statement.get(yes) {
        Some(value) => test(value),
        None => statement.get(no).is_none_or(|value| !test(value)),
    };
    let who = |value: &Value| {
        let named: Vec<(String, Vec<String>)> = match value {
            Value::Object(kinds) => kinds.iter().map(|(kind, names)| (kind.clone(), list(names))).collect(),
            _ => return true,
        };
        named.iter().any(|(kind, names)| {
            names.iter().any(|name| match (kind.as_str(), name.as_str()) {
                ("AWS", "*") => true,
                ("AWS", name) => !service && [USER, "000000000000", "arn:aws:iam::000000000000:root"].contains(&name),
                (_, name) => service && name == "sns.amazonaws.com",
            })
        })
    };
    let acts = |value: &Value| {
        let lower = |text: &str| text.to_lowercase().into_bytes();
        list(value).iter().any(|pattern| like(&lower(pattern), &lower(action)))
    };
    let at = |value: &Value| list(value).iter().any(|pattern| like(pattern.as_bytes(), QUEUE.as_bytes()));
    let no = json!({});
    let conditions = statement.get("Condition").unwrap_or(&no).as_object().unwrap();
    either("Principal", "NotPrincipal", &who)
        && either("Action", "NotAction", &acts)
        && either("Resource", "NotResource", &at)
        && conditions.iter().all(|(operator, keys)| {
            let keys = keys.as_object().unwrap();
            keys.iter().all(|(key, values)| holds(operator, context.get(&key.to_lowercase()), &list(values)))
        })
}

fn holds(operator: &str, actual: Option<&Vec<String>>, values: &[String]) -> bool {
    let none = Vec::new();
    let actual = actual.unwrap_or(&none);
    if operator == "Null" {
        return values.iter().any(|value| (value == "true") == actual.is_empty());
    }
    let (over, operator) = operator.split_once(':').unwrap_or(("", operator));
    let optional = operator.ends_with("IfExists");
    let operator = operator.trim_end_matches("IfExists");
    let (negated, positive) = (operator.contains("Not"), operator.replace("Not", ""));
    let one = |actual: &String| negated != values.iter().any(|value| compare(&positive, value, actual));
    match over {
        _ if optional && actual.is_empty() => true,
        "ForAllValues" => actual.iter().all(one),
        "ForAnyValue" => actual.iter().any(one),
        _ if negated => actual.iter().all(one),
        _ => actual.iter().any(one),
    }
}

fn compare(operator: &str, value: &str, actual: &str) -> bool {
    let numbers = || Some((actual.parse::<f64>().ok()?, value.parse::<f64>().ok()?));
    match operator {
        "StringEquals" => value == actual,
        "StringEqualsIgnoreCase" | "Bool" => value.to_lowercase() == actual.to_lowercase(),
        "StringLike" => like(value.as_bytes(), actual.as_bytes()),
        "ArnLike" | "ArnEquals" => {
            let (patterns, parts): (Vec<_>, Vec<_>) = (value.splitn(6, ':').collect(), actual.splitn(6, ':').collect());
            let each = || patterns.iter().zip(&parts).all(|(p, t)| like(p.as_bytes(), t.as_bytes()));
            value == "*" || patterns.len() == 6 && parts.len() == 6 && each()
        }
        "NumericEquals" => numbers().is_some_and(|(a, b)| a == b),
        "NumericLessThan" => numbers().is_some_and(|(a, b)| a < b),
        "NumericGreaterThanEquals" => numbers().is_some_and(|(a, b)| a >= b),
        // All times of these tests are written alike.
        "DateLessThan" => actual < value,
        "DateGreaterThan" => actual > value,
        other => panic!("the oracle does not know {other}"),
    }
}

fn strategy(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::sample::select(values).prop_map(|text| json!(text)),
        proptest::collection::vec(proptest::sample::select(values), 1..3).prop_map(|all| json!(all)),
    ]
}

fn condition() -> impl Strategy<Value = (String, &'static str, Value)> {
    const TEXTS: &[&str] =
        &["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike"];
    let over = || proptest::sample::select(&["", "", "", "ForAllValues:", "ForAnyValue:"][..]);
    let optional = || proptest::sample::select(&["", "", "IfExists"][..]);
    let of = move |operators: &'static [&'static str], keys: &'static [&'static str], values| {
        let operator = (over(), proptest::sample::select(operators), optional());
        let operator = operator.prop_map(|(over, operator, optional)| format!("{over}{operator}{optional}"));
        (operator, proptest::sample::select(keys), strategy(values))
    };
    prop_oneof![
        of(TEXTS, &["k:Tags", "aws:username", "k:absent"], &["a", "b*", "A", "ann", "*"]),
        of(
            &["ArnLike", "ArnNotLike", "ArnEquals"],
            &["aws:SourceArn", "aws:PrincipalArn"],
            &["arn:aws:sns:*:000000000000:t*", "arn:aws:iam::*:user/*", "*", "arn:aws:sns:*:t:"]
        ),
        of(
            &["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"],
            &["k:n"],
            &["1", "2.5", "-3"]
        ),
        of(
            &["DateLessThan", "DateGreaterThan"],
            &["aws:CurrentTime"],
            &[AT, "2026-11-27T10:00:00.001Z", "2020-01-01T00:00:00.000Z"]
        ),
        of(&["Bool"], &["aws:SecureTransport", "aws:PrincipalIsAWSService", "k:absent"], &["true", "FALSE"]),
        (
            Just("Null".to_owned()),
            proptest::sample::select(&["aws:SourceArn", "k:Tags", "k:absent"][..]),
            strategy(&["true", "false"])
        ),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let principal = prop_oneof![
        Just(json!("*")),
        strategy(&["*", USER, "000000000000", "arn:aws:iam::111111111111:root"])
            .prop_map(|names| json!({"AWS": names})),
        strategy(&["sns.amazonaws.com", "events.amazonaws.com"]).prop_map(|names| json!({"Service": names})),
    ];
    let action = strategy(&["*", "sqs:*", "SQS:Send*", "sqs:ReceiveMessage", "sqs:?endMessage"]);
    let resource = strategy(&["*", QUEUE, "arn:aws:sqs:*:q?", "arn:aws:sqs:*"]);
    let flips =
        (any::<bool>(), proptest::bool::weighted(0.2), proptest::bool::weighted(0.2), proptest::bool::weighted(0.2));
    let conditions = proptest::collection::vec(condition(), 0..3);
    (flips, principal, action, resource, conditions).prop_map(|(flips, principal, action, resource, conditions)| {
        let name = |flip: bool, name: &str| if flip { format!("Not{name}") } else { name.to_owned() };
        let mut all = json!({"Effect": if flips.0 { "Allow" } else { "Deny" }});
        all[name(flips.1, "Principal")] = principal;
        all[name(flips.2, "Action")] = action;
        all[name(flips.3, "Resource")] = resource;
        for (operator, key, values) in conditions {
            all["Condition"][operator][key] = values;
        }
        all
    })
}

proptest! {
    #[test]
    fn decisions_are_what_the_document_means(
        statements in proptest::collection::vec(statement(), 1..4),
        service: bool,
        action in proptest::sample::select(&["sqs:SendMessage", "sqs:DeleteQueue"][..]),
        tags in proptest::collection::vec(proptest::sample::select(&["a", "b1", "A"][..]), 0..3),
        number in proptest::option::of(proptest::sample::select(&["1", "2.50", "none"][..])),
    ) {
        let (owner, ann) = (Account::parse("000000000000").unwrap(), user());
        let topic = Arn::new("sns", "us-east-1", "000000000000", "t");
        let who = if service { Who::Service("sns.amazonaws.com") } else { Who::Caller(&ann) };
        let at = Timestamp::from_millis(1_795_773_600_000);
        let mut request = Request::new(who, action, QUEUE, &owner);
        let mut context: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut known = |key: &str, value: &str| context.entry(key.into()).or_default().push(value.into());
        known("aws:currenttime", AT);
        known("aws:principalisawsservice", &service.to_string());
        request = match service {
            true => request.sent(Some(&topic), at),
            false => request.asked("10.0.0.1".parse().unwrap(), false, "", at),
        };
        known("aws:securetransport", &service.to_string());
        match service {
            true => known("aws:sourcearn", topic.as_str()),
            false => [("aws:username", "ann"), ("aws:principalarn", USER)].iter().for_each(|(key, value)| known(key, value)),
        }
        for tag in &tags {
            request = request.with("K:tags", *tag);
            known("k:tags", tag);
        }
        if let Some(number) = number {
            request = request.with("k:n", number);
            known("k:n", number);
        }
        let that = |effect: &str| {
            statements.iter().any(|s| s["Effect"] == effect && applies(s, service, action, &context))
        };
        let expected = match (that("Deny"), that("Allow")) {
            (true, _) => Decision::Denied,
            (false, true) => Decision::Allowed,
            (false, false) => Decision::Open,
        };
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policy = Policy::parse(&text, "sqs").unwrap();
        prop_assert_eq!(policy.decide(&request), expected, "{}", text);
        let admitted = admit(Some(&policy), &request);
        let home = if service { Err(Refusal::NotAllowed) } else { Ok(()) };
        let expected = match expected {
            Decision::Allowed => Ok(()),
            Decision::Denied => Err(Refusal::Denied),
            Decision::Open => home,
        };
        prop_assert_eq!(admitted, expected);
    }

    #[test]
    fn no_text_panics(text in r#"[\[\]{}":,a-zA-Z*$0-9.]{0,120}"#) {
        let _ = Policy::parse(&text, "sqs");
    }
}
