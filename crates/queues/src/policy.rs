//! A queue's policy: who may do what with it. Other services need a statement of it that lets them send; callers belong to
//! the account that owns the queue and come in unless one denies.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-basic-examples-of-sqs-policies.html>

use crate::error::ACCESS_DENIED;
use crate::limits::{POLICY_BYTES, STATEMENTS};
use crate::room::Room;
use crate::settings::Settings;
use names::{CallerKind, Home};
use policies::{Policy, PolicyError, Request, Who};
use serde_json::{Value, json};
use std::sync::Arc;
use wire::{ApiError, Call};

const VENDOR: &str = "sqs";

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

/// Why a queue does not take a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("A policy may have {POLICY_BYTES} bytes.")]
    TooLong,
    #[error("A policy must have 1 to {STATEMENTS} statements.")]
    Statements,
    #[error(transparent)]
    Malformed(#[from] PolicyError),
}

/// Reads a document, or says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Policy, Unfit> {
    if text.len() > POLICY_BYTES {
        return Err(Unfit::TooLong);
    }
    let policy = Policy::parse(text, VENDOR)?;
    if policy.len() > STATEMENTS { Err(Unfit::Statements) } else { Ok(policy) }
}

/// The policy of a queue as it is kept. One of an older program that no longer reads lets nobody in.
pub(crate) fn kept(queue: &str, settings: &Settings) -> Option<Arc<Policy>> {
    let policy = settings.policy.as_deref().map(parse).transpose().unwrap_or_else(|why| {
        tracing::error!(queue, %why, "a policy no longer reads and lets nobody in");
        Some(Policy::nobody(VENDOR))
    });
    policy.map(Arc::new)
}

/// The policy that AddPermission begins with.
pub(crate) fn empty(queue: &str) -> Result<Policy, PolicyError> {
    Policy::empty(VENDOR).with_head("2008-10-17", &format!("{queue}/SQSDefaultPolicy"))
}

/// A statement that lets accounts act.
pub(crate) fn share(label: &str, accounts: &[String], actions: &[String], queue: &str) -> Value {
    let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let actions = actions.iter().map(|action| format!("SQS:{action}")).collect();
    json!({
        "Sid": label, "Effect": "Allow", "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions), "Resource": queue,
    })
}

fn one_or_many(mut all: Vec<String>) -> Value {
    if all.len() == 1 { Value::String(all.remove(0)) } else { json!(all) }
}

/// Lets a caller in, or says why not.
pub(crate) fn admit(policy: &Policy, room: &Room, call: &Call, home: &Home) -> Result<(), ApiError> {
    // A batch is as many calls as it has entries.
    // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html>
    let operation = call.operation.name;
    let action = format!("sqs:{}", operation.strip_suffix("Batch").unwrap_or(operation));
    // Who shuts himself out needs a way back in: at AWS the account itself has one, too.
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html>
    let unlocks = matches!(operation, "GetQueueAttributes" | "SetQueueAttributes");
    if unlocks && call.caller.kind == CallerKind::Root {
        return Ok(());
    }
    let request = Request::new(Who::Caller(&call.caller), &action, room.arn.as_str(), &home.account);
    let request = request.asked(call.source_ip, call.tls, &call.user_agent, call.at);
    policies::admit(Some(policy), &request).map_err(|why| ACCESS_DENIED.because(request.refused(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

    #[test]
    fn documents_are_those_of_queues() {
        let allow = r#"{"Effect":"Allow","Principal":"*","Action":"sqs:*"}"#;
        let of = |n: usize| format!(r#"{{"Statement":[{}]}}"#, vec![allow; n].join(","));
        assert_eq!(parse(&of(STATEMENTS)).map(|policy| policy.len()), Ok(STATEMENTS));
        assert_eq!(parse(&of(STATEMENTS + 1)), Err(Unfit::Statements));
        assert_eq!(parse(&of(0)), Err(Unfit::Malformed(PolicyError::NoStatement)));
        assert_eq!(parse(&" ".repeat(POLICY_BYTES + 1)), Err(Unfit::TooLong));
        let other = of(1).replace("sqs:*", "sns:Publish");
        assert_eq!(parse(&other), Err(Unfit::Malformed(PolicyError::Action("sns:Publish".into()))));
    }

    #[test]
    fn permissions_are_statements() {
        let accounts = ["111122223333".to_owned()];
        let statement = share("one", &accounts, &["SendMessage".to_owned()], QUEUE);
        let policy = empty(QUEUE).unwrap().put(statement).unwrap();
        let expected = json!({
            "Version": "2008-10-17", "Id": format!("{QUEUE}/SQSDefaultPolicy"), "Statement": [{
                "Sid": "one", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
                "Action": "SQS:SendMessage", "Resource": QUEUE,
            }],
        });
        let text = policy.text().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert_eq!(parse(&text), Ok(policy));
    }

    #[test]
    fn what_no_longer_reads_lets_nobody_in() {
        let with = |text: &str| Settings { policy: Some(text.to_owned()), ..Settings::default() };
        let old = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:*","Condition":{"Odd":{"k":"v"}}}}"#;
        assert_eq!(kept("q", &with(old)).as_deref(), Some(&Policy::nobody("sqs")));
        assert_eq!(kept("q", &Settings::default()), None);
    }
}
