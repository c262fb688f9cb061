//! Requests that botocore made and signed (`golden.py`): their signatures hold, and what went in comes out.

use crate::house::{Keys, call, caller};
use base64_simd::STANDARD;
use names::Timestamp;
use serde_json::Value as Json;
use std::time::Duration;
use wire::codec::{self, Style};
use wire::sigv4::{Signed, SigningRules, Verifier};
use wire::{Protocol, Request, ServiceModel, validate};

fn service(name: &str) -> &'static ServiceModel {
    let all = [
        &shapes::kinesis::SERVICE,
        &shapes::events::SERVICE,
        &shapes::cloudtrail::SERVICE,
        &shapes::sqs::SERVICE,
        &shapes::sns::SERVICE,
        &shapes::iam::SERVICE,
        &shapes::sts::SERVICE,
        &shapes::ec2::SERVICE,
        &shapes::lambda::SERVICE,
    ];
    all.into_iter().find(|s| s.name == name).unwrap()
}

struct Case {
    name: String,
    service: &'static ServiceModel,
    operation: String,
    request: Request,
    stamp: String,
    parameters: Json,
}

fn cases() -> Vec<Case> {
    let all: Vec<Json> = serde_json::from_str(include_str!("golden.json")).unwrap();
    all.into_iter().map(case).collect()
}

fn case(case: Json) -> Case {
    let field = |name: &str| case[name].as_str().unwrap();
    let (base, path) = field("url").strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut builder = http::Request::builder().method(field("method")).uri(format!("/{path}")).header("host", base);
    for pair in case["headers"].as_array().unwrap() {
        builder = builder.header(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    }
    let (head, ()) = builder.body(()).unwrap().into_parts();
    let in_query = || head.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Date="));
    let stamp = head.headers.get("x-amz-date").map(|v| v.to_str().unwrap()).or_else(in_query).unwrap().to_owned();
    let service = service(field("service"));
    let protocol = match service.protocol {
        "query" => Protocol::Query,
        "ec2" => Protocol::Ec2Query,
        "rest-json" => Protocol::RestJson,
        _ => Protocol::AwsJson11,
    };
    let body = STANDARD.decode_to_vec(field("body")).unwrap().into();
    Case {
        name: format!("{} {}", field("service"), field("operation")),
        service,
        operation: field("operation").to_owned(),
        request: Request { protocol, head: head.into(), body, observed: false },
        stamp,
        parameters: case["parameters"].clone(),
    }
}

fn time(stamp: &str) -> Timestamp {
    let zoned = jiff::Timestamp::strptime("%Y%m%dT%H%M%S%z", stamp.replace('Z', "+0000")).unwrap();
    Timestamp(zoned.as_microsecond())
}

fn verify(verifier: &Verifier, case: &Case, body: &[u8], now: Timestamp) -> Result<names::Caller, wire::ApiError> {
    let signed = Signed {
        head: &case.request.head,
        body,
        service: case.service.name,
        regions: &["us-east-1"],
        rules: SigningRules::default(),
        now,
    };
    verifier.verify(&signed, &Keys)
}

#[test]
fn signatures_hold_and_are_broken_by_any_change() {
    let verifier = Verifier::new(Duration::from_secs(300));
    for case in cases() {
        let now = time(&case.stamp);
        for _ in 0..2 {
            // The second time with a derived key that was kept.
            assert_eq!(verify(&verifier, &case, &case.request.body, now), Ok(caller()), "{}", case.name);
        }
        let changed = [&case.request.body[..], b" "].concat();
        let refused = verify(&verifier, &case, &changed, now).unwrap_err();
        assert_eq!(refused.model.name, "InvalidSignatureException", "{}", case.name);
        assert!(refused.message.starts_with("The request signature we calculated does not match"), "{refused}");
    }
}

#[test]
fn what_went_in_comes_out() {
    for case in cases() {
        let call = call(case.service, &case.operation);
        let value = codec::decode(&call, &case.request).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let mut shown = codec::to_json(call.operation.input, &value, Style::default());
        // Clients add a token of their own where the model asks for one.
        for token in ["ClientToken", "ClientRequestToken"] {
            shown.as_object_mut().unwrap().remove(token);
        }
        assert_eq!(shown, case.parameters, "{}", case.name);
        assert_eq!(validate(case.service, call.operation.input, &value), Ok(()), "{}", case.name);
    }
}
