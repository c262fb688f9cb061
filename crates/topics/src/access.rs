//! A topic's policy: who may do what with it. Callers belong to the account that owns the topic and come in unless a
//! statement denies; other services need one that lets them publish. That of a topic for which none was given lets in those
//! who name the account as the owner of their source, which rules do not.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html>

use crate::Topics;
use crate::limits::{POLICY_BYTES, STATEMENTS};
use crate::settings::TopicSettings;
use delivery::Envelope;
use names::{Arn, CallerKind, Home};
use policies::{Form, Policy, PolicyError, Request, Who};
use serde_json::json;
use shapes::sns::errors::AUTHORIZATION_ERROR_EXCEPTION;
use wire::{ApiError, Call};

const PUBLISH: &str = "SNS:Publish";

/// What the policies of topics may be: actions by name only, as measured at AWS, whose page lists them. `Receive` is of
/// policies of the past.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html>
pub(crate) const FORM: Form = Form {
    vendor: "sns",
    bytes: POLICY_BYTES,
    statements: STATEMENTS,
    // The page names no number.
    actions: usize::MAX,
    names: || {
        vec![
            "AddPermission",
            "DeleteTopic",
            "GetDataProtectionPolicy",
            "GetTopicAttributes",
            "ListSubscriptionsByTopic",
            "ListTagsForResource",
            "Publish",
            "PutDataProtectionPolicy",
            "Receive",
            "RemovePermission",
            "SetTopicAttributes",
            "Subscribe",
        ]
    },
    patterns: false,
};

/// The policy of a topic as it is kept; nothing where its last statement was removed.
pub(crate) fn kept(arn: &Arn, home: &Home, settings: &TopicSettings) -> Policy {
    let read = match &settings.policy {
        Some(text) => Policy::parse(text, FORM.vendor),
        None => Policy::parse(&default_policy(arn, home), FORM.vendor),
    };
    match read {
        Err(PolicyError::NoStatement) => Policy::empty(FORM.vendor),
        read => Policy::kept(read, FORM.vendor, arn),
    }
}

/// The policy of a topic for which none was given.
pub(crate) fn default_policy(arn: &Arn, home: &Home) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": home.account } },
        }],
    })
    .to_string()
}

impl Topics {
    /// The name of the topic that a call means, where the topic's policy lets it; whether or not there is one.
    pub(crate) fn asked(&self, call: &Call, arn: &str) -> Result<String, ApiError> {
        self.asked_of(call, arn, &[])
    }

    /// The same, with what else the service tells of the call.
    pub(crate) fn asked_of(&self, call: &Call, arn: &str, more: &[(&str, &str)]) -> Result<String, ApiError> {
        let name = self.name(arn)?;
        let operation = call.operation.name;
        // Who shuts himself out needs a way back in: at AWS the account itself has one, too.
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html>
        let unlocks = matches!(operation, "GetTopicAttributes" | "SetTopicAttributes");
        if unlocks && call.caller.kind == CallerKind::Root {
            return Ok(name);
        }
        // The default policy denies nothing.
        let own = self.catalog.read(|state| {
            let topic = state.topics.get(&name)?;
            topic.settings.policy.as_ref().map(|_| kept(&self.arn(&name), &self.home, &topic.settings))
        });
        let Some(policy) = own else { return Ok(name) };
        let (arn, action) = (self.arn(&name), format!("SNS:{}", operation.strip_suffix("Batch").unwrap_or(operation)));
        let request = Request::new(Who::Caller(&call.caller), &action, arn.as_str(), &self.home.account)
            .asked(call.source_ip, call.tls, &call.user_agent, call.at)
            .with("aws:SourceOwner", call.caller.account.as_str());
        let request = more.iter().fold(request, |request, (key, value)| request.with(*key, *value));
        policies::admit(Some(&policy), &request).map_err(|why| denied(&request.refused(why)))?;
        Ok(name)
    }

    /// Whether the topic's policy lets another service publish. Who comes with a role comes as the account.
    pub(crate) fn pushed(&self, envelope: &Envelope, settings: &TopicSettings) -> Result<(), ApiError> {
        let policy = kept(&envelope.to, &self.home, settings);
        let who = Who::service(&envelope.principal, envelope.role.as_ref());
        let request = Request::new(who, PUBLISH, envelope.to.as_str(), &self.home.account);
        let request = request.sent(envelope.from.as_ref(), self.world.now());
        policies::admit(Some(&policy), &request).map_err(|why| denied(&request.refused(why)))
    }
}

fn denied(why: &str) -> ApiError {
    AUTHORIZATION_ERROR_EXCEPTION.because(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::{AllBut, Unfit};

    #[test]
    fn what_is_kept_acts_though_it_could_not_be_set() {
        let (home, arn) = (Home::default(), Home::default().arn("sns", "t"));
        let default = default_policy(&arn, &home);
        assert_eq!(FORM.check(&default, arn.as_str(), &AllBut(&[])).map(|policy| policy.len()), Ok(1));
        let with = |text: &str| TopicSettings { policy: Some(text.to_owned()), ..TopicSettings::default() };
        let all = default.replace("SNS:Publish", "SNS:*");
        assert_eq!(FORM.check(&all, arn.as_str(), &AllBut(&[])), Err(Unfit::UnknownAction("SNS:*".to_owned())));
        assert!(kept(&arn, &home, &with(&all)).has("__default_statement_ID"));
        let other = default.replace("SNS:Publish", "sqs:SendMessage");
        assert_eq!(kept(&arn, &home, &with(&other)), Policy::nobody("sns"));
        assert!(kept(&arn, &home, &with(r#"{"Statement":[]}"#)).is_empty());
        assert!(kept(&arn, &home, &TopicSettings::default()).has("__default_statement_ID"));
    }
}
