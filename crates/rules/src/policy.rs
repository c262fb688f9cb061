//! A bus's policy: who may put events on it. Callers of the bus's own account need no statement, but one that denies
//! them holds; all others need one that allows. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html>

use crate::limits::POLICY_CHARS;
use serde_json::{Map, Value, json};

/// The one action that a policy of a bus is asked about.
pub(crate) const PUT_EVENTS: &str = "events:PutEvents";

/// A policy document that was looked through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy(Map<String, Value>);

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("The policy has more than {POLICY_CHARS} characters.")]
    TooLong,
    #[error("{0}")]
    Malformed(&'static str),
}

/// Who would put events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Who<'a> {
    /// A service such as `events.amazonaws.com`, for a resource of the bus's account.
    Service(&'a str),
    /// A user or role.
    Caller { account: &'a str, arn: &'a str },
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) who: Who<'a>,
    /// The account that owns the bus.
    pub(crate) owner: &'a str,
    /// The bus's ARN.
    pub(crate) bus: &'a str,
    /// Condition keys in lower case, and their values.
    pub(crate) context: &'a [(&'a str, &'a str)],
}

impl Policy {
    /// Reads a document, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Policy, PolicyError> {
        if text.chars().count() > POLICY_CHARS {
            return Err(PolicyError::TooLong);
        }
        let Ok(Value::Object(document)) = serde_json::from_str(text) else {
            return Err(PolicyError::Malformed("The policy is not a JSON object."));
        };
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17" | "2012-10-17")) => {}
            _ => return Err(PolicyError::Malformed("The policy's Version must be 2008-10-17 or 2012-10-17.")),
        }
        let policy = Policy(document);
        if policy.statements().is_empty() {
            return Err(PolicyError::Malformed("The policy must have a Statement."));
        }
        policy.statements().into_iter().try_for_each(check).map_err(PolicyError::Malformed)?;
        Ok(policy)
    }

    /// A policy with no statement yet.
    pub(crate) fn empty() -> Policy {
        let mut document = Map::new();
        document.insert("Version".to_owned(), json!("2012-10-17"));
        document.insert("Statement".to_owned(), json!([]));
        Policy(document)
    }

    /// A policy that denies all.
    pub(crate) fn nobody() -> Policy {
        let mut policy = Policy::empty();
        policy.put(json!({"Sid": "nobody", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}));
        policy
    }

    /// The document; nothing where no statement is left.
    pub(crate) fn text(&self) -> Option<String> {
        (!self.statements().is_empty()).then(|| Value::Object(self.0.clone()).to_string())
    }

    /// Adds a statement; one with the same `Sid` makes room for it.
    pub(crate) fn put(&mut self, statement: Value) {
        if let Some(sid) = statement["Sid"].as_str() {
            self.remove(sid);
        }
        let mut all: Vec<Value> = self.statements().into_iter().cloned().map(Value::Object).collect();
        all.push(statement);
        self.0.insert("Statement".to_owned(), Value::Array(all));
    }

    /// Removes a statement; whether there was one of that `Sid`.
    pub(crate) fn remove(&mut self, sid: &str) -> bool {
        let all = self.statements();
        let kept = all.iter().filter(|statement| statement.get("Sid").and_then(Value::as_str) != Some(sid));
        let kept: Vec<Value> = kept.map(|statement| Value::Object((*statement).clone())).collect();
        let found = kept.len() < all.len();
        self.0.insert("Statement".to_owned(), Value::Array(kept));
        found
    }

    /// Whether it lets somebody put events.
    pub(crate) fn admits(&self, ask: &Ask<'_>) -> bool {
        // A statement that cannot be judged does not allow, and does not deny.
        let mut allowed = ask.is_at_home();
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

    fn statements(&self) -> Vec<&Map<String, Value>> {
        match self.0.get("Statement") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_object).collect(),
            Some(Value::Object(one)) => vec![one],
            _ => Vec::new(),
        }
    }
}

impl Ask<'_> {
    /// Whether it comes from the bus's own account.
    pub(crate) fn is_at_home(&self) -> bool {
        match self.who {
            Who::Service(_) => true,
            Who::Caller { account, .. } => account == self.owner,
        }
    }

    fn is(&self, principal: &Value) -> bool {
        let texts = match principal {
            Value::String(star) => return star == "*",
            Value::Object(kinds) => kinds,
            _ => return false,
        };
        match self.who {
            Who::Service(service) => words(texts.get("Service")).contains(&service),
            Who::Caller { account, arn } => words(texts.get("AWS")).into_iter().any(|named| {
                named == "*" || named == account || named == arn || named == format!("arn:aws:iam::{account}:root")
            }),
        }
    }
}

fn check(statement: &Map<String, Value>) -> Result<(), &'static str> {
    if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err("Effect must be Allow or Deny.");
    }
    if statement.contains_key("Principal") == statement.contains_key("NotPrincipal") {
        return Err("A statement must have a Principal.");
    }
    if statement.contains_key("Action") == statement.contains_key("NotAction") {
        return Err("A statement must have an Action.");
    }
    let ours = |action: &str| action == "*" || action.to_ascii_lowercase().starts_with("events:");
    if !words(statement.get("Action").or(statement.get("NotAction"))).into_iter().all(ours) {
        return Err("Actions must be those of EventBridge.");
    }
    let Some(condition) = statement.get("Condition") else { return Ok(()) };
    let Some(operators) = condition.as_object() else { return Err("Condition must be a JSON object.") };
    // A condition that cannot be judged must not be kept as if it could.
    match operators.keys().all(|operator| OPERATORS.contains(&operator.strip_suffix("IfExists").unwrap_or(operator))) {
        true => Ok(()),
        false => Err("The policy has a condition operator that Headwater does not serve yet."),
    }
}

const OPERATORS: [&str; 12] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "ArnEquals",
    "ArnNotEquals",
    "ArnLike",
    "ArnNotLike",
    "Bool",
    "Null",
];

fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn concerns(statement: &Map<String, Value>, ask: &Ask<'_>) -> bool {
    let action = PUT_EVENTS.to_ascii_lowercase();
    let acts = |list: &Value| words(Some(list)).iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action));
    let resource = |list: &Value| words(Some(list)).iter().any(|pattern| like(pattern, ask.bus));
    let one_of = |yes: &str, no: &str, test: &dyn Fn(&Value) -> bool| match (statement.get(yes), statement.get(no)) {
        (Some(list), _) => test(list),
        (None, Some(list)) => !test(list),
        (None, None) => true,
    };
    one_of("Principal", "NotPrincipal", &|principal| ask.is(principal))
        && one_of("Action", "NotAction", &acts)
        && one_of("Resource", "NotResource", &resource)
}

/// Whether all conditions hold.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
fn hold(condition: &Value, context: &[(&str, &str)]) -> bool {
    let operators = condition.as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, keys)| {
        keys.as_object().into_iter().flatten().all(|(key, values)| {
            let key = key.to_ascii_lowercase();
            let actual = context.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let values: Vec<String> = match values {
                Value::Array(all) => all.iter().map(plain).collect(),
                one => vec![plain(one)],
            };
            holds(operator, actual, &values)
        })
    })
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

/// `*` stands for any text, `?` for one character. It goes back to the latest star only.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    (at, read) = (place + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/b";

    fn admits(policy: &Value, account: &str, context: &[(&str, &str)]) -> bool {
        let arn = format!("arn:aws:iam::{account}:user/u");
        let who = Who::Caller { account, arn: &arn };
        Policy::parse(&policy.to_string()).unwrap().admits(&Ask { who, owner: "000000000000", bus: BUS, context })
    }

    fn one(statement: Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": [statement]})
    }

    #[test]
    fn strangers_need_a_statement_and_the_house_does_not() {
        let account = json!({"AWS": "arn:aws:iam::111111111111:root"});
        let allow = one(json!({"Effect": "Allow", "Principal": account, "Action": PUT_EVENTS, "Resource": BUS}));
        assert!(admits(&allow, "111111111111", &[]));
        assert!(!admits(&allow, "222222222222", &[]));
        assert!(admits(&allow, "000000000000", &[]));
        let other = one(json!({"Effect": "Allow", "Principal": "*", "Action": "events:PutRule", "Resource": BUS}));
        assert!(!admits(&other, "111111111111", &[]));
        let elsewhere = one(json!({"Effect": "Allow", "Principal": "*", "Action": "events:*", "Resource": "arn:x"}));
        assert!(!admits(&elsewhere, "111111111111", &[]));
    }

    #[test]
    fn a_denial_holds_for_everybody() {
        let deny = one(json!({"Effect": "Deny", "Principal": "*", "Action": "events:*", "Resource": "*",
            "Condition": {"StringEquals": {"events:source": ["bad", "worse"]}}}));
        assert!(!admits(&deny, "000000000000", &[("events:source", "bad")]));
        assert!(admits(&deny, "000000000000", &[("events:source", "good")]));
        assert!(!Policy::nobody().admits(&Ask { who: Who::Service("s"), owner: "0", bus: BUS, context: &[] }));
    }

    #[test]
    fn statements_come_and_go_by_sid() {
        let mut policy = Policy::empty();
        assert_eq!(policy.text(), None);
        let statement = |effect: &str| json!({"Sid": "s", "Effect": effect, "Principal": "*", "Action": "events:*"});
        policy.put(statement("Allow"));
        policy.put(statement("Deny"));
        assert_eq!(policy.text().unwrap().matches("Sid").count(), 1);
        assert!(policy.text().unwrap().contains("Deny"));
        assert!(!policy.remove("t") && policy.remove("s") && policy.text().is_none());
    }

    #[test]
    fn what_cannot_be_judged_is_not_taken() {
        let error = |document: Value| Policy::parse(&document.to_string()).unwrap_err().to_string();
        let with = |name: &str, value: Value| {
            let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": PUT_EVENTS});
            statement[name] = value;
            one(statement)
        };
        assert!(error(with("Effect", json!("Maybe"))).contains("Effect"));
        assert!(error(with("Action", json!("sqs:SendMessage"))).contains("EventBridge"));
        assert!(error(with("Condition", json!({"IpAddress": {"aws:SourceIp": "1.2.3.4"}}))).contains("operator"));
        assert!(error(json!({"Statement": []})).contains("Statement"));
        assert!(error(json!([])).contains("JSON object"));
        assert_eq!(Policy::parse(&" ".repeat(POLICY_CHARS + 1)), Err(PolicyError::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn stars_are_any_text(text in "[ab]{0,8}", cut in 0usize..8) {
            let cut = cut.min(text.len());
            let (start, end) = (format!("{}*", &text[..cut]), format!("*{}", &text[cut..]));
            proptest::prop_assert!(like(&start, &text) && like(&end, &text));
        }
    }
}
