//! Which requests may be answered with much, as far as their heads tell.

use super::urls;
use functions::PACKAGES;
use http::request::Parts;

/// The operations that answer with megabytes.
const OPERATIONS: [&str; 5] = ["FilterLogEvents", "GetLogEvents", "GetRecords", "LookupEvents", "ReceiveMessage"];

/// An operation that only a form in the body names is not seen.
pub(super) fn is_asked(head: &Parts) -> bool {
    let path = head.uri.path();
    let named = match head.headers.get("x-amz-target") {
        Some(target) => target.to_str().ok().and_then(|target| target.rsplit('.').next()),
        None => path.rsplit_once("/operation/").map(|(_, operation)| operation),
    };
    named.is_some_and(|operation| OPERATIONS.contains(&operation))
        || (named.is_none() && path.ends_with("/invocations"))
        || path.starts_with(PACKAGES)
        || urls::place(head).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_asked_of_reads_and_of_functions() {
        let asked = |uri: &str, target: &str| {
            let request = http::Request::post(uri).header("host", "127.0.0.1:4566");
            let request = if target.is_empty() { request } else { request.header("x-amz-target", target) };
            is_asked(&request.body(()).unwrap().into_parts().0)
        };
        for target in ["Kinesis_20131202.GetRecords", "AmazonSQS.ReceiveMessage", "Logs_20140328.GetLogEvents"] {
            assert!(asked("/", target), "{target}");
        }
        for target in ["Kinesis_20131202.PutRecord", "AmazonSQS.DeleteMessage", "AWSEvents.PutEvents", "GetRecordsX"] {
            assert!(!asked("/", target), "{target}");
        }
        assert!(asked("/service/Kinesis_20131202/operation/GetRecords", ""));
        assert!(!asked("/service/Kinesis_20131202/operation/PutRecord", ""));
        assert!(asked("/2015-03-31/functions/f/invocations", ""));
        assert!(!asked("/2021-11-15/functions/f/response-streaming-invocations", ""), "it comes in pieces");
        assert!(!asked("/2015-03-31/functions/f", ""));
        assert!(asked("/_headwater/lambda-url/abc/x", ""));
        assert!(asked("/_headwater/code/abc", ""));
        assert!(!asked("/_headwater/health", ""));
    }
}
