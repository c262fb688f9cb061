//! A queue's policy: who may do what with it. Other services need a statement of it that lets them send; callers belong to
//! the account that owns the queue and come in unless one denies.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-basic-examples-of-sqs-policies.html>

use crate::error::{ACCESS_DENIED, OVER_LIMIT, bad_value};
use crate::limits::{ACTIONS, POLICY_BYTES, STATEMENTS};
use crate::room::Room;
use crate::settings::{SettingError, Settings};
use names::{Arn, CallerKind, Home};
use policies::{Form, Identities, Policy, PolicyError, Request, Unfit, Who};
use std::sync::Arc;
use wire::{ApiError, Call};

/// What the policies of queues may be. A batch is asked for as its entries are.
/// Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html>
const FORM: Form = Form {
    vendor: "sqs",
    bytes: POLICY_BYTES,
    statements: STATEMENTS,
    actions: ACTIONS,
    names: || {
        let all = shapes::sqs::SERVICE.operations.iter().map(|entry| entry.name);
        all.filter(|name| !name.ends_with("Batch")).collect()
    },
    patterns: true,
};

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

/// Reads a document, or says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Policy, Unfit> {
    FORM.parse(text)
}

/// Whether the policy that is to be set is one for this queue.
pub(crate) fn check(identities: &dyn Identities, queue: &Arn, settings: &Settings) -> Result<(), ApiError> {
    let Some(text) = &settings.policy else { return Ok(()) };
    FORM.check(text, queue.as_str(), identities).map(|_| ()).map_err(|why| match &why {
        Unfit::Actions { .. } => OVER_LIMIT.because(why.to_string()),
        Unfit::UnknownAction(action) => {
            bad_value("ActionName", action, "Please refer to the appropriate WSDL for a list of valid actions.")
        }
        _ => SettingError::policy(&why).into(),
    })
}

/// The policy of a queue as it is kept.
pub(crate) fn kept(queue: &str, settings: &Settings) -> Option<Arc<Policy>> {
    let text = settings.policy.as_deref()?;
    Some(Arc::new(Policy::kept(Policy::parse(text, FORM.vendor), FORM.vendor, &queue)))
}

/// The policy that AddPermission begins with.
pub(crate) fn empty(queue: &str) -> Result<Policy, PolicyError> {
    Policy::empty(FORM.vendor).with_head("2008-10-17", &format!("{queue}/SQSDefaultPolicy"))
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

    #[test]
    fn what_no_longer_reads_lets_nobody_in() {
        let with = |text: &str| Settings { policy: Some(text.to_owned()), ..Settings::default() };
        let old = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:*","Condition":{"Odd":{"k":"v"}}}}"#;
        assert_eq!(kept("q", &with(old)).as_deref(), Some(&Policy::nobody("sqs")));
        assert_eq!(kept("q", &Settings::default()), None);
    }

    #[test]
    fn the_actions_are_those_of_the_service_and_batches_are_none() {
        let (known, named) = ((FORM.names)(), |name| (FORM.names)().contains(&name));
        assert_eq!(known.len(), 20);
        assert!(named("SendMessage") && named("StartMessageMoveTask") && !named("SendMessageBatch"), "{known:?}");
    }
}
