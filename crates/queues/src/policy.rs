//! A queue's policy: who may do what with it. It acts on what other services deliver: where a queue has a policy, they
//! come in only as it says. Callers all belong to the account that owns the queue; the policy is kept for them and read
//! back, and does not limit them, as the house does not evaluate identity policies either.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-basic-examples-of-sqs-policies.html>

use crate::limits::{POLICY_BYTES, STATEMENTS};
use serde_json::{Map, Value, json};

/// What AddPermission may share with others. Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html>
pub(crate) const SHARED: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];

/// A policy document that was looked through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy(Map<String, Value>);

/// Who asks for what.
pub(crate) struct Ask<'a> {
    /// Such as `sns.amazonaws.com`.
    pub(crate) service: &'a str,
    /// Such as `SendMessage`.
    pub(crate) action: &'a str,
    /// The queue.
    pub(crate) resource: &'a str,
    /// Condition keys in lower case, and their values.
    pub(crate) context: &'a [(&'a str, &'a str)],
}

impl Policy {
    /// Reads a document, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Policy, &'static str> {
        if text.len() > POLICY_BYTES {
            return Err("A policy may have 8192 bytes.");
        }
        let Ok(Value::Object(document)) = serde_json::from_str(text) else { return Err("It is not a JSON object.") };
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17" | "2012-10-17")) => {}
            _ => return Err("Version must be 2008-10-17 or 2012-10-17."),
        }
        let policy = Policy(document);
        let statements = policy.statements();
        if statements.is_empty() || statements.len() > STATEMENTS {
            return Err("A policy must have 1 to 20 statements.");
        }
        for statement in statements {
            check(statement)?;
        }
        Ok(policy)
    }

    /// The policy that AddPermission begins with.
    pub(crate) fn empty(queue: &str) -> Policy {
        let id = format!("{queue}/SQSDefaultPolicy");
        let Value::Object(document) = json!({ "Version": "2008-10-17", "Id": id, "Statement": [] }) else {
            unreachable!("an object was written down")
        };
        Policy(document)
    }

    /// The document; nothing where no statement is left.
    pub(crate) fn text(&self) -> Option<String> {
        (!self.statements().is_empty()).then(|| Value::Object(self.0.clone()).to_string())
    }

    /// Adds a statement that lets accounts act; whether its label was free.
    pub(crate) fn add(&mut self, label: &str, accounts: &[String], actions: &[String], queue: &str) -> bool {
        if self.find(label).is_some() {
            return false;
        }
        let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
        let actions = actions.iter().map(|action| format!("SQS:{action}")).collect();
        let statement = json!({
            "Sid": label, "Effect": "Allow", "Principal": { "AWS": one_or_many(principals) },
            "Action": one_or_many(actions), "Resource": queue,
        });
        let mut all: Vec<Value> = self.statements().into_iter().cloned().map(Value::Object).collect();
        all.push(statement);
        self.0.insert("Statement".to_owned(), Value::Array(all));
        true
    }

    /// Removes a statement; whether there was one of that label.
    pub(crate) fn remove(&mut self, label: &str) -> bool {
        let Some(at) = self.find(label) else { return false };
        let mut all: Vec<Value> = self.statements().into_iter().cloned().map(Value::Object).collect();
        all.remove(at);
        self.0.insert("Statement".to_owned(), Value::Array(all));
        true
    }

    /// Whether it lets a service act: some statement allows it and none denies it. A statement that cannot be judged
    /// does not allow.
    pub(crate) fn allows(&self, ask: &Ask<'_>) -> bool {
        let mut allowed = false;
        for statement in self.statements().into_iter().filter(|statement| concerns(statement, ask)) {
            let holds = statement.get("Condition").is_none_or(|condition| hold(condition, ask.context));
            match statement.get("Effect").and_then(Value::as_str) {
                Some("Deny") if holds => return false,
                Some("Allow") => allowed |= holds,
                _ => {}
            }
        }
        allowed
    }

    fn find(&self, label: &str) -> Option<usize> {
        self.statements().iter().position(|statement| statement.get("Sid").and_then(Value::as_str) == Some(label))
    }

    fn statements(&self) -> Vec<&Map<String, Value>> {
        match self.0.get("Statement") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_object).collect(),
            Some(Value::Object(one)) => vec![one],
            _ => Vec::new(),
        }
    }
}

fn one_or_many(mut all: Vec<String>) -> Value {
    if all.len() == 1 { Value::String(all.remove(0)) } else { json!(all) }
}

fn check(statement: &Map<String, Value>) -> Result<(), &'static str> {
    if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err("Effect must be Allow or Deny.");
    }
    let has = |one: &str, other: &str| statement.contains_key(one) != statement.contains_key(other);
    if !has("Principal", "NotPrincipal") {
        return Err("A statement must have a Principal.");
    }
    if !has("Action", "NotAction") {
        return Err("A statement must have an Action.");
    }
    let ours = |action: &str| action == "*" || action.to_ascii_lowercase().starts_with("sqs:");
    if !texts(statement.get("Action").or(statement.get("NotAction"))).into_iter().all(ours) {
        return Err("Actions must be those of SQS.");
    }
    match statement.get("Condition") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err("Condition must be a JSON object."),
    }
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn concerns(statement: &Map<String, Value>, ask: &Ask<'_>) -> bool {
    let named = |principal: &Value| match principal {
        Value::String(star) => star == "*",
        Value::Object(kinds) => {
            texts(kinds.get("Service")).contains(&ask.service) || texts(kinds.get("AWS")).contains(&"*")
        }
        _ => false,
    };
    let action = format!("sqs:{}", ask.action).to_ascii_lowercase();
    let acts = |list: &Value| texts(Some(list)).iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action));
    let resource = |list: &Value| texts(Some(list)).iter().any(|pattern| like(pattern, ask.resource));
    let one_of = |yes: &str, no: &str, test: &dyn Fn(&Value) -> bool| match (statement.get(yes), statement.get(no)) {
        (Some(list), _) => test(list),
        (None, Some(list)) => !test(list),
        // SQS takes statements without a resource as being about their queue.
        (None, None) => true,
    };
    one_of("Principal", "NotPrincipal", &named)
        && one_of("Action", "NotAction", &acts)
        && one_of("Resource", "NotResource", &resource)
}

/// Whether all conditions hold. An operator that is not known here does not.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
fn hold(condition: &Value, context: &[(&str, &str)]) -> bool {
    let operators = condition.as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, keys)| {
        keys.as_object().into_iter().flatten().all(|(key, values)| {
            let key = key.to_ascii_lowercase();
            let actual = context.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
            let values: Vec<String> = match values {
                Value::Array(all) => all.iter().map(plain).collect(),
                one => vec![plain(one)],
            };
            holds(operator, actual, &values)
        })
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn holds(operator: &str, actual: Option<&str>, values: &[String]) -> bool {
    let (operator, optional) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let any = |fits: &dyn Fn(&str, &str) -> bool, actual: &str| values.iter().any(|value| fits(value, actual));
    let same = |value: &str, actual: &str| value == actual;
    let same_letters = |value: &str, actual: &str| value.eq_ignore_ascii_case(actual);
    match (operator, actual) {
        ("Null", actual) => any(&same_letters, if actual.is_none() { "true" } else { "false" }),
        ("StringNotEquals" | "StringNotEqualsIgnoreCase" | "StringNotLike" | "ArnNotEquals" | "ArnNotLike", None) => {
            true
        }
        (_, None) => optional,
        ("StringEquals", Some(actual)) => any(&same, actual),
        ("StringEqualsIgnoreCase" | "Bool", Some(actual)) => any(&same_letters, actual),
        ("StringLike" | "ArnEquals" | "ArnLike", Some(actual)) => any(&like, actual),
        ("StringNotEquals", Some(actual)) => !any(&same, actual),
        ("StringNotEqualsIgnoreCase", Some(actual)) => !any(&same_letters, actual),
        ("StringNotLike" | "ArnNotEquals" | "ArnNotLike", Some(actual)) => !any(&like, actual),
        _ => false,
    }
}

/// `*` stands for any text, `?` for one character. Linear: it goes back to the latest star only.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:t";

    fn allows(text: &str, service: &str) -> bool {
        let context = [("aws:sourcearn", TOPIC), ("aws:securetransport", "true")];
        let ask = Ask { service, action: "SendMessage", resource: QUEUE, context: &context };
        Policy::parse(text).unwrap().allows(&ask)
    }

    fn statement(effect: &str, principal: &str, action: &str, condition: &str) -> String {
        format!(
            r#"{{"Effect":"{effect}","Principal":{principal},"Action":"{action}","Resource":"{QUEUE}","Condition":{condition}}}"#
        )
    }

    fn policy(statements: &[String]) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
    }

    #[test]
    fn services_come_in_as_the_policy_says() {
        let sns = r#"{"Service":"sns.amazonaws.com"}"#;
        let from = |arn: &str| format!(r#"{{"ArnEquals":{{"aws:SourceArn":"{arn}"}}}}"#);
        for (statements, expected) in [
            (vec![statement("Allow", sns, "sqs:SendMessage", &from(TOPIC))], true),
            (vec![statement("Allow", sns, "SQS:Send*", &from("arn:aws:sns:*:000000000000:?"))], true),
            (vec![statement("Allow", sns, "sqs:SendMessage", &from(QUEUE))], false),
            (vec![statement("Allow", sns, "sqs:ReceiveMessage", "{}")], false),
            (vec![statement("Allow", r#""*""#, "*", "{}")], true),
            (vec![statement("Allow", r#"{"AWS":"arn:aws:iam::000000000000:root"}"#, "sqs:*", "{}")], false),
            (vec![statement("Allow", r#""*""#, "sqs:*", r#"{"NumericLessThan":{"x":"1"}}"#)], false),
            (
                vec![
                    statement("Allow", sns, "sqs:SendMessage", "{}"),
                    statement("Deny", r#""*""#, "sqs:*", r#"{"Bool":{"aws:SecureTransport":"false"}}"#),
                ],
                true,
            ),
            (
                vec![
                    statement("Allow", sns, "sqs:SendMessage", "{}"),
                    statement("Deny", r#""*""#, "sqs:*", r#"{"Null":{"aws:SourceAccount":"true"}}"#),
                ],
                false,
            ),
        ] {
            let text = policy(&statements);
            assert_eq!(allows(&text, "sns.amazonaws.com"), expected, "{text}");
        }
        assert!(!allows(&policy(&[statement("Allow", sns, "sqs:*", "{}")]), "events.amazonaws.com"));
    }

    #[test]
    fn documents_are_checked() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Version":"2020-01-01","Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:*"}}"#,
            r#"{"Statement":{"Effect":"Perhaps","Principal":"*","Action":"sqs:*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"sqs:*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sns:Publish"}}"#,
            &format!(
                r#"{{"Id":"{}","Statement":{{"Effect":"Allow","Principal":"*","Action":"sqs:*"}}}}"#,
                "x".repeat(9000)
            ),
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
        assert!(Policy::parse(r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":["sqs:*"]}}"#).is_ok());
    }

    #[test]
    fn permissions_are_added_and_removed_by_label() {
        let mut policy = Policy::empty(QUEUE);
        assert_eq!(policy.text(), None);
        assert!(policy.add("one", &["111122223333".into()], &["SendMessage".into()], QUEUE));
        assert!(!policy.add("one", &[], &[], QUEUE));
        let expected = json!({
            "Version": "2008-10-17", "Id": format!("{QUEUE}/SQSDefaultPolicy"), "Statement": [{
                "Sid": "one", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
                "Action": "SQS:SendMessage", "Resource": QUEUE,
            }],
        });
        assert_eq!(serde_json::from_str::<Value>(&policy.text().unwrap()).unwrap(), expected);
        assert_eq!(Policy::parse(&policy.text().unwrap()), Ok(policy.clone()));
        assert!(!policy.remove("two"));
        assert!(policy.remove("one"));
        assert_eq!(policy.text(), None);
    }
}
