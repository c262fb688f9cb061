//! Policy documents: what is taken reads again as the same, decides the same, and lets nobody in whom it denies.

use names::{Account, Arn, Timestamp};
use policies::{Decision, Policy, Request, Who, admit};

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

pub(crate) fn run(data: &[u8]) {
    let Ok(policy) = Policy::parse(&String::from_utf8_lossy(data), "sqs") else { return };
    let Ok(home) = Account::parse("000000000000") else { return };
    let (topic, role) =
        (Arn::new("sns", "us-east-1", "000000000000", "t"), Arn::new("iam", "", "000000000000", "role/r"));
    let again = policy.text().map(|text| Policy::parse(&text, "sqs"));
    assert_eq!(again, Some(Ok(policy.clone())), "shown and read again");
    let denies_all = policy.put(serde_json::json!({"Effect": "Deny", "Principal": "*", "Action": "*"}));
    for who in [Who::Service("sns.amazonaws.com"), Who::Role(&role)] {
        let request = Request::new(who, "sqs:SendMessage", QUEUE, &home).sent(Some(&topic), Timestamp::from_millis(0));
        match policy.decide(&request) {
            Decision::Denied => assert!(admit(Some(&policy), &request).is_err()),
            Decision::Allowed => assert!(admit(Some(&policy), &request).is_ok()),
            Decision::Open => assert_eq!(admit(Some(&policy), &request).is_ok(), matches!(who, Who::Role(_))),
        }
        let denied = denies_all.as_ref().map(|policy| policy.decide(&request));
        assert_eq!(denied, Ok(Decision::Denied), "a denial wins");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:*:000000000000:q","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:t*"}}}]}"#,
        r#"{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["000000000000","arn:aws:iam::000000000000:role/r"]},"NotAction":["SQS:Get*"],"NotResource":"*"}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:${aws:PrincipalAccount}:${*}","Condition":{"ForAllValues:StringNotLikeIfExists":{"aws:userid":["a*","${k, 'd'}"]},"Null":{"k":true}}}}"#,
        r#"{"Statement":{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Condition":{"NumericLessThanEquals":{"aws:EpochTime":"1.5e3"},"DateGreaterThan":{"aws:CurrentTime":"1969-12-31T23:59:59.5+01:00"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::/0"]},"Bool":{"aws:SecureTransport":"true"},"BinaryEquals":{"k":"AQ=="}}}}"#,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
