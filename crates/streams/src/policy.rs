//! Resource policies of streams and of their consumers: who may do what with them. An identity of the account comes in unless
//! a statement denies it; a consumer is a resource of its own, which its stream's policy says nothing of.
//! Source: <https://docs.aws.amazon.com/streams/latest/dev/resource-based-policy-examples.html>

use crate::Streams;
use crate::consumer::Consumer;
use crate::limits::POLICY_BYTES;
use crate::live::LiveStream;
use crate::state::Stream;
use delivery::Envelope;
use names::CallerKind;
use policies::{Decision, Form, Identities, Policy, Refusal, Request, Unfit, Who};
use shapes::kinesis::errors;
use std::collections::BTreeMap;
use wire::{ApiError, Call};

/// Operations that are about no stream.
const ABOUT_NONE: [&str; 4] = ["DescribeAccountSettings", "DescribeLimits", "ListStreams", "UpdateAccountSettings"];

/// What AWS gives policies of streams: all operations that are about one.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesisdatastreams.html>
const FORM: Form = Form {
    vendor: "kinesis",
    bytes: POLICY_BYTES,
    statements: usize::MAX,
    actions: usize::MAX,
    names: || {
        let served = shapes::kinesis::SERVICE.operations.iter().filter(|entry| entry.model.is_some());
        served.map(|entry| entry.name).filter(|name| !ABOUT_NONE.contains(name)).collect()
    },
    patterns: true,
};

/// Whether a document may be the policy of the resource with this ARN.
pub(crate) fn check(text: &str, arn: &str, identities: &dyn Identities) -> Result<(), Unfit> {
    FORM.check(text, arn, identities).map(drop)
}

/// The policies of a stream and its consumers as they are kept, by ARN. One of an older program that no longer reads lets
/// nobody in.
pub(crate) fn kept(stream: &Stream) -> BTreeMap<String, Policy> {
    let read = |(arn, text): (&String, &String)| (arn.clone(), Policy::kept(FORM.parse(text), FORM.vendor, arn));
    stream.policies.iter().map(read).collect()
}

impl Streams {
    /// Lets a call in that is about a stream, where there is one of that name: as its policy says, and not more often than
    /// AWS does.
    pub(crate) fn admit(&self, call: &Call, stream: Option<&str>) -> Result<(), ApiError> {
        if let Some(stream) = stream.and_then(|name| self.lookup(name)) {
            self.admit_to(call, &stream)?;
        }
        self.throttle(call, stream)
    }

    /// Lets a call in to a stream, as its policy says.
    pub(crate) fn admit_to(&self, call: &Call, stream: &LiveStream) -> Result<(), ApiError> {
        stream.policies.get(stream.arn.as_str()).map_or(Ok(()), |policy| self.judge(call, stream.arn.as_str(), policy))
    }

    /// Lets a call in that is about a consumer: as the consumer's policy says, and not more often than AWS does.
    pub(crate) fn admit_to_consumer(
        &self,
        call: &Call,
        stream: &LiveStream,
        consumer: &Consumer,
    ) -> Result<(), ApiError> {
        if !stream.policies.is_empty() {
            let arn = consumer.arn(&stream.arn);
            stream.policies.get(&arn).map_or(Ok(()), |policy| self.judge(call, &arn, policy))?;
        }
        self.throttle(call, Some(&stream.def.name))
    }

    fn judge(&self, call: &Call, arn: &str, policy: &Policy) -> Result<(), ApiError> {
        let operation = call.operation.name;
        // Who shuts himself out needs a way back in, and at AWS the account itself always may.
        // <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutResourcePolicy.html>
        let unlocks = matches!(operation, "DeleteResourcePolicy" | "GetResourcePolicy" | "PutResourcePolicy");
        if unlocks && call.caller.kind == CallerKind::Root {
            return Ok(());
        }
        let action = format!("kinesis:{operation}");
        let request = Request::new(Who::Caller(&call.caller), &action, arn, &self.home().account);
        let request = request.asked(call.source_ip, call.tls, &call.user_agent, call.at);
        policies::admit(Some(policy), &request).map_err(|why| denied(request.refused(why)))
    }

    /// Lets in what delivery brings, unless the stream's policy denies it. Rules come without the role that AWS wants of them
    /// here, so none needs a statement.
    pub(crate) fn admit_pushed(&self, stream: &LiveStream, envelope: &Envelope) -> Result<(), ApiError> {
        let Some(policy) = stream.policies.get(stream.arn.as_str()) else { return Ok(()) };
        let who = Who::service(&envelope.principal, envelope.role.as_ref());
        let request = Request::new(who, "kinesis:PutRecord", stream.arn.as_str(), &self.home().account);
        let request = request.sent(envelope.from.as_ref(), self.world().now());
        match policy.decide(&request) {
            Decision::Denied => Err(denied(request.refused(Refusal::Denied))),
            Decision::Allowed | Decision::Open => Ok(()),
        }
    }
}

fn denied(why: String) -> ApiError {
    errors::ACCESS_DENIED_EXCEPTION.because(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::AllBut;
    use serde_json::{Value, json};

    const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

    #[test]
    fn a_policy_says_who_may_do_what_with_the_resource() {
        let good = json!({
            "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": ["kinesis:PutRecord"], "Resource": ARN,
        });
        let check = |statement: &Value| check(&json!({ "Statement": statement }).to_string(), ARN, &AllBut(&[]));
        assert_eq!(check(&good), Ok(()));
        assert_eq!(check(&json!([good, good])), Ok(()));
        for (member, value) in [
            ("Principal", json!(null)),
            ("Action", json!("s3:GetObject")),
            ("Action", json!("kinesis:ListStreams")),
            ("Resource", json!("arn:aws:kinesis:us-east-1:000000000000:stream/other")),
            ("Condition", json!({"Odd": {"aws:SourceIp": "10.0.0.1"}})),
        ] {
            let mut bad = good.clone();
            bad[member] = value.clone();
            assert!(check(&bad).is_err(), "{member}: {value}");
        }
    }

    #[test]
    fn every_operation_about_a_stream_or_a_consumer_can_be_named() {
        let (known, named) = ((FORM.names)(), |name| (FORM.names)().contains(&name));
        assert_eq!(known.len(), 35);
        assert!(named("PutRecord") && named("SubscribeToShard") && !named("ListStreams"), "{known:?}");
    }
}
