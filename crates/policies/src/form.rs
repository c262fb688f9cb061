//! What services take as the policy of a resource, beyond what the language says.

use crate::PolicyError;
use crate::identities::Identities;
use crate::policy::{Policy, listed};
use crate::request::Context;
use crate::statement::texts;
use crate::text::{Reading, Template, fits};
use serde_json::{Value, json};
use std::fmt::Display;

/// The policies of one kind of resource.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Whose actions they name, such as `sqs`.
    pub vendor: &'static str,
    /// Bytes of a document.
    pub bytes: usize,
    /// Statements of a document.
    pub statements: usize,
    /// Actions of a statement.
    pub actions: usize,
    /// The names of the actions, without the vendor.
    pub names: fn() -> Vec<&'static str>,
    /// Whether a statement may name several of them by a pattern.
    pub patterns: bool,
}

/// Why a service does not take a document as the policy of a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is no policy of the service.
    #[error(transparent)]
    Malformed(#[from] PolicyError),
    /// Too long.
    #[error("A policy may have {0} bytes.")]
    TooLong(usize),
    /// Too many statements.
    #[error("A policy must have 1 to {0} statements.")]
    Statements(usize),
    /// Too many actions in a statement.
    #[error("{given} Actions were found, maximum allowed is {most}.")]
    Actions {
        /// How many there may be.
        most: usize,
        /// How many there are.
        given: usize,
    },
    /// An action that the service does not have.
    #[error("{0} is not an action that policies may name here.")]
    UnknownAction(String),
    /// No resource, or more than one.
    #[error("A statement must have one Resource.")]
    OneResource,
    /// A resource that the policy does not belong to.
    #[error("Resource {0} is not what the policy belongs to.")]
    Foreign(String),
}

impl Form {
    /// Reads a document that is small enough.
    pub fn parse(&self, text: &str) -> Result<Policy, Unfit> {
        if text.len() > self.bytes {
            return Err(Unfit::TooLong(self.bytes));
        }
        let policy = Policy::parse(text, self.vendor)?;
        if policy.len() > self.statements { Err(Unfit::Statements(self.statements)) } else { Ok(policy) }
    }

    /// Whether a document may be set for a resource: each statement names principals and actions that there are, and this
    /// one resource. One that was set before this was asked still acts.
    pub fn check(&self, text: &str, resource: &str, identities: &dyn Identities) -> Result<Policy, Unfit> {
        let policy = self.parse(text)?;
        policy.check_principals(|name| identities.exists(name))?;
        for statement in listed(policy.members()) {
            let named = |these: &str, others: &str| statement.get(these).or_else(|| statement.get(others));
            let actions = texts(named("Action", "NotAction").unwrap_or(&Value::Null), "Action")?;
            if actions.len() > self.actions {
                return Err(Unfit::Actions { most: self.actions, given: actions.len() });
            }
            if let Some(unknown) = actions.iter().find(|action| !self.knows(action)) {
                return Err(Unfit::UnknownAction((*unknown).to_owned()));
            }
            let given = named("Resource", "NotResource").ok_or(Unfit::OneResource)?;
            let [one] = texts(given, "Resource")?[..] else { return Err(Unfit::OneResource) };
            if !names(one, resource) {
                return Err(Unfit::Foreign(one.to_owned()));
            }
        }
        Ok(policy)
    }

    fn knows(&self, action: &str) -> bool {
        let name = action.split_once(':').map_or(action, |(_, name)| name).to_ascii_lowercase();
        let mut known = (self.names)().into_iter();
        if !self.patterns {
            return known.any(|known| known.eq_ignore_ascii_case(&name));
        }
        known.any(|known| names(&name, &known.to_ascii_lowercase()))
    }
}

/// Whether a pattern is about a text. One with a variable may be.
fn names(pattern: &str, text: &str) -> bool {
    let read = Template::parse(pattern, Reading { wild: true, variables: true });
    read.is_ok_and(|template| template.fill(&Context::default()).is_none_or(|pattern| fits(&pattern, text)))
}

impl Policy {
    /// A policy as it was kept. One of an older program that no longer reads lets nobody in.
    pub fn kept<E: Display>(read: Result<Policy, E>, vendor: &'static str, whose: &dyn Display) -> Policy {
        read.unwrap_or_else(|why| {
            tracing::error!(%whose, %why, "a policy no longer reads and lets nobody in");
            Policy::nobody(vendor)
        })
    }
}

/// A statement that lets accounts do with a resource what is named: what `AddPermission` of queues and topics adds.
pub fn share(sid: &str, accounts: &[String], vendor: &str, actions: &[String], resource: &str) -> Value {
    let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let actions = actions.iter().map(|action| format!("{vendor}:{action}")).collect();
    json!({
        "Sid": sid, "Effect": "Allow", "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions), "Resource": resource,
    })
}

fn one_or_many(mut all: Vec<String>) -> Value {
    if all.len() == 1 { Value::String(all.remove(0)) } else { json!(all) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AllBut;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
    const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";
    const ALL: AllBut = AllBut(&[GHOST]);
    const FORM: Form = Form {
        vendor: "sqs",
        bytes: 1_000,
        statements: 2,
        actions: 2,
        names: || vec!["SendMessage", "ReceiveMessage"],
        patterns: true,
    };

    fn one(action: Value, resource: Value) -> String {
        let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource});
        if resource.is_null() {
            statement.as_object_mut().unwrap().remove("Resource");
        }
        json!({ "Statement": [statement] }).to_string()
    }

    #[test]
    fn documents_are_small_and_of_their_service() {
        let fine = one(json!("sqs:SendMessage"), json!(QUEUE));
        assert_eq!(FORM.check(&fine, QUEUE, &ALL).map(|policy| policy.len()), Ok(1));
        assert_eq!(FORM.parse(&" ".repeat(1_001)), Err(Unfit::TooLong(1_000)));
        let allow = r#"{"Effect":"Allow","Principal":"*","Action":"sqs:*"}"#;
        let three = format!(r#"{{"Statement":[{allow},{allow},{allow}]}}"#);
        assert_eq!(FORM.parse(&three), Err(Unfit::Statements(2)));
        let other = fine.replace("sqs:SendMessage", "sns:Publish");
        assert_eq!(FORM.parse(&other), Err(Unfit::Malformed(PolicyError::Action("sns:Publish".into()))));
    }

    #[test]
    fn statements_name_actions_that_there_are() {
        let check = |form: Form, action: Value| form.check(&one(action, json!(QUEUE)), QUEUE, &ALL).map(|_| ());
        let unknown = |action: &str| Err(Unfit::UnknownAction(action.to_owned()));
        for (action, patterns) in [
            ("SQS:sendmessage", Ok(())),
            ("sqs:*", Ok(())),
            ("*", Ok(())),
            ("sqs:Send*", Ok(())),
            ("sqs:Sen?", unknown("sqs:Sen?")),
        ] {
            assert_eq!(check(FORM, json!(action)), patterns, "{action}");
            let plain = if action.contains(['*', '?']) { unknown(action) } else { Ok(()) };
            assert_eq!(check(Form { patterns: false, ..FORM }, json!(action)), plain, "{action}");
        }
        let batch = json!(["sqs:SendMessage", "sqs:SendMessageBatch"]);
        assert_eq!(check(FORM, batch), unknown("sqs:SendMessageBatch"));
        let three = json!(["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:Send*"]);
        assert_eq!(check(FORM, three), Err(Unfit::Actions { most: 2, given: 3 }));
    }

    #[test]
    fn statements_name_the_resource_and_no_other() {
        let check = |resource: Value| FORM.check(&one(json!("sqs:*"), resource), QUEUE, &ALL).map(|_| ());
        for fine in [json!(QUEUE), json!([QUEUE]), json!("*"), json!("arn:aws:sqs:*:*:*"), json!("${aws:SourceArn}")] {
            assert_eq!(check(fine.clone()), Ok(()), "{fine}");
        }
        let other = format!("{QUEUE}2");
        assert_eq!(check(json!(other)), Err(Unfit::Foreign(other)));
        assert_eq!(check(Value::Null), Err(Unfit::OneResource));
        assert_eq!(check(json!([QUEUE, QUEUE])), Err(Unfit::OneResource));
    }

    #[test]
    fn statements_name_principals_that_there_are() {
        let of = |role: &str| one(json!("sqs:*"), json!(QUEUE)).replace("\"*\"", &json!({ "AWS": role }).to_string());
        let gone = PolicyError::NoSuchPrincipal(format!("\"AWS\":\"{GHOST}\""));
        assert_eq!(FORM.check(&of(GHOST), QUEUE, &ALL), Err(Unfit::Malformed(gone)));
        assert!(FORM.check(&of("arn:aws:iam::000000000000:role/r"), QUEUE, &ALL).is_ok());
        // What was set while the role was there is read as before.
        assert!(FORM.parse(&of(GHOST)).is_ok());
    }

    #[test]
    fn what_no_longer_reads_lets_nobody_in() {
        assert_eq!(Policy::kept(FORM.parse("{"), "sqs", &"q"), Policy::nobody("sqs"));
    }

    #[test]
    fn what_is_shared_is_a_statement() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let one = share("one", &of(&["111122223333"]), "SQS", &of(&["SendMessage"]), QUEUE);
        let root = "arn:aws:iam::111122223333:root";
        let expected = json!({
            "Sid": "one", "Effect": "Allow", "Principal": { "AWS": root }, "Action": "SQS:SendMessage", "Resource": QUEUE,
        });
        assert_eq!(one, expected);
        let two = share("two", &of(&["111122223333", "444455556666"]), "SQS", &of(&["A", "B"]), QUEUE);
        assert_eq!(two["Action"], json!(["SQS:A", "SQS:B"]));
        assert_eq!(two["Principal"]["AWS"], json!([root, "arn:aws:iam::444455556666:root"]));
    }
}
