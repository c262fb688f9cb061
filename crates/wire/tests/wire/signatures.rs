//! The published test vectors of Signature Version 4, and what is said to those who sign badly.
//! Source: the `aws-sig-v4-test-suite` of <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use crate::house::{KEY, Keys, SECRET};
use names::Timestamp;
use std::time::Duration;
use wire::ApiError;
use wire::sigv4::{Signed, SigningRules, Verifier};

/// 2015-08-30T12:36:00Z
const NOW: Timestamp = Timestamp::from_millis(1_440_938_160_000);
const SCOPE: &str = "20150830/us-east-1/service/aws4_request";

struct Ask<'a> {
    method: &'a str,
    uri: &'a str,
    headers: Vec<(&'a str, String)>,
    body: &'a str,
    now: Timestamp,
    rules: SigningRules,
}

impl<'a> Ask<'a> {
    fn new(method: &'a str, uri: &'a str) -> Ask<'a> {
        let headers = vec![("host", "example.amazonaws.com".to_owned()), ("x-amz-date", "20150830T123600Z".to_owned())];
        Ask { method, uri, headers, body: "", now: NOW, rules: SigningRules::default() }
    }

    fn with(mut self, name: &'a str, value: &str) -> Ask<'a> {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn signed(self, headers: &str, signature: &str) -> Ask<'a> {
        let text = format!("AWS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, SignedHeaders={headers}, Signature={signature}");
        self.with("authorization", &text)
    }

    fn verify(&self) -> Result<(), ApiError> {
        let mut builder = http::Request::builder().method(self.method).uri(self.uri);
        for (name, value) in &self.headers {
            builder = builder.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (head, ()) = builder.body(()).unwrap().into_parts();
        let signed = Signed {
            head: &head,
            body: self.body.as_bytes(),
            service: "service",
            regions: &["us-east-1"],
            rules: self.rules,
            now: self.now,
        };
        Verifier::new(Duration::from_secs(300)).verify(&signed, &Keys).map(drop)
    }
}

const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[test]
fn published_vectors_hold() {
    let plain = "host;x-amz-date";
    let vectors = [
        ("get-vanilla", Ask::new("GET", "/").signed(plain, VANILLA)),
        ("get-relative", Ask::new("GET", "/example/..").signed(plain, VANILLA)),
        ("get-relative-relative", Ask::new("GET", "/example1/example2/../..").signed(plain, VANILLA)),
        ("get-slash", Ask::new("GET", "//").signed(plain, VANILLA)),
        ("get-slash-dot-slash", Ask::new("GET", "/./").signed(plain, VANILLA)),
        (
            "get-slashes",
            Ask::new("GET", "//example//")
                .signed(plain, "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        ),
        (
            "get-unreserved",
            Ask::new("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
                .signed(plain, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        ),
        (
            "get-vanilla-query-order-key-case",
            Ask::new("GET", "/?Param2=value2&Param1=value1")
                .signed(plain, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ),
        (
            "get-vanilla-query-unreserved",
            Ask::new(
                "GET",
                concat!(
                    "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=",
                    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                ),
            )
            .signed(plain, "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
        ),
        (
            "get-header-key-duplicate",
            Ask::new("GET", "/")
                .with("my-header1", "value2")
                .with("my-header1", "value2")
                .with("my-header1", "value1")
                .signed(
                    "host;my-header1;x-amz-date",
                    "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
                ),
        ),
        (
            "get-header-value-trim",
            Ask::new("GET", "/").with("my-header1", "  value1").with("my-header2", "  \"a   b   c\"").signed(
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ),
        (
            "post-vanilla",
            Ask::new("POST", "/").signed(plain, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ),
        (
            "post-x-www-form-urlencoded",
            Ask { body: "Param1=value1", ..Ask::new("POST", "/") }
                .with("content-type", "application/x-www-form-urlencoded")
                .signed(
                    "content-type;host;x-amz-date",
                    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
                ),
        ),
    ];
    for (name, ask) in vectors {
        assert_eq!(ask.verify(), Ok(()), "{name}");
    }
}

/// S3 signs the path as it is and not the body; botocore made this one.
#[test]
fn s3_has_rules_of_its_own() {
    let uri = concat!(
        "/b/a//b%20c/../%C3%A9%2B?X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "&X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261122T231606Z",
        "&X-Amz-Expires=60&X-Amz-SignedHeaders=host",
        "&X-Amz-Signature=b9f5a51c3b28ecd30075765ad4c8c774125e07100fff9ccf1621e8d883eb1c51"
    );
    let (head, ()) =
        http::Request::builder().uri(uri).header("host", "example.amazonaws.com").body(()).unwrap().into_parts();
    // 2026-11-22T23:16:06Z
    let signed_at = 1_795_389_366;
    let verify = |rules: SigningRules, seconds: i64| {
        let now = Timestamp::from_millis((signed_at + seconds) * 1000);
        let signed = Signed { head: &head, body: b"", service: "s3", regions: &["us-east-1"], rules, now };
        Verifier::new(Duration::from_secs(300)).verify(&signed, &Keys).map_err(|error| error.message)
    };
    let s3 = SigningRules { verbatim_path: true, unsigned_payload: true };
    assert!(verify(s3, 0).is_ok());
    assert!(verify(s3, 60).is_ok());
    let late = "Signature expired: 20261122T231706Z is now earlier than 20261122T231707Z";
    assert_eq!(verify(s3, 61).unwrap_err(), late);
    assert!(verify(SigningRules::default(), 0).is_err());
    assert!(verify(SigningRules { unsigned_payload: false, ..s3 }, 0).is_err());
    assert!(verify(SigningRules { verbatim_path: false, ..s3 }, 0).is_err());
}

#[track_caller]
fn refused(ask: &Ask<'_>, code: &str, message: &str) {
    let error = ask.verify().unwrap_err();
    assert_eq!((error.model.name, error.message.as_str()), (code, message));
}

fn vanilla<'a>() -> Ask<'a> {
    Ask::new("GET", "/").signed("host;x-amz-date", VANILLA)
}

fn authorized<'a>(text: &str) -> Ask<'a> {
    Ask::new("GET", "/").with("authorization", text)
}

#[test]
fn time_is_looked_at() {
    let minutes = |n: i64| Timestamp(NOW.0 + n * 60_000_000);
    assert_eq!(Ask { now: minutes(5), ..vanilla() }.verify(), Ok(()));
    assert_eq!(Ask { now: minutes(-5), ..vanilla() }.verify(), Ok(()));
    refused(
        &Ask { now: minutes(6), ..vanilla() },
        "InvalidSignatureException",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T124200Z - 5 min.)",
    );
    refused(
        &Ask { now: minutes(-6), ..vanilla() },
        "InvalidSignatureException",
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T123000Z + 5 min.)",
    );
}

#[test]
fn missing_and_incomplete_signatures_are_told_what_they_lack() {
    refused(&Ask::new("GET", "/"), "MissingAuthenticationTokenException", "Missing Authentication Token");
    let nothing = Ask { headers: vec![("host", "h".into()), ("authorization", "X".into())], ..Ask::new("GET", "/") };
    refused(
        &nothing,
        "IncompleteSignatureException",
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
         Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a \
         'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 and encoded with Base64) \
         Authorization=S2irOEf+2n1sYsH7y+6/o16rc1HtXnj03a3qXfZLgBU=",
    );
    let short = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c";
    refused(
        &authorized(short),
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'",
    );
    refused(
        &Ask::new("GET", "/?X-Amz-Algorithm"),
        "IncompleteSignatureException",
        "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include \
         'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters \
         must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the \
         query-string parameters.",
    );
    refused(
        &Ask::new("GET", "/?X-Amz-Algorithm").with("authorization", "X"),
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );
}

#[test]
fn keys_and_tokens_must_be_known() {
    let of = |key: &str| {
        authorized(&format!("AWS4-HMAC-SHA256 Credential={key}/{SCOPE}, SignedHeaders=host, Signature={VANILLA}"))
    };
    let invalid = "The security token included in the request is invalid.";
    refused(&of("AKIDOTHER"), "UnrecognizedClientException", invalid);
    refused(&of(KEY).with("x-amz-security-token", "forged"), "UnrecognizedClientException", invalid);
    refused(
        &of(KEY).with("x-amz-security-token", "old"),
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
}

#[test]
fn the_scope_must_fit() {
    let of = |scope: &str| {
        authorized(&format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders=host;x-amz-date, Signature={VANILLA}"
        ))
    };
    let code = "InvalidSignatureException";
    refused(&of("20150830/eu-west-1/service/aws4_request"), code, "Credential should be scoped to a valid region.");
    refused(
        &of("20150830/us-east-1/kinesis/aws4_request"),
        code,
        "Credential should be scoped to correct service: 'service'.",
    );
    refused(
        &of("20150829/us-east-1/service/aws4_request"),
        code,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150829' != \
         '20150830', from '20150830T123600Z'.",
    );
    refused(
        &of("20150830/us-east-1/service/aws4"),
        code,
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'.",
    );
}

#[test]
fn what_must_be_signed_must_be_signed() {
    refused(
        &Ask::new("GET", "/").signed("x-amz-date", VANILLA),
        "InvalidSignatureException",
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
    refused(
        &vanilla().with("x-amz-target", "A.B"),
        "InvalidSignatureException",
        "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
    );
}

#[test]
fn nonsense_is_refused_without_panic() {
    let wrong = [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=a/é/b/c/aws4_request, SignedHeaders=host, Signature=é",
        "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/aws4_request, SignedHeaders=host, Signature=x",
        "Basic dGVzdDp0ZXN0",
    ];
    for text in wrong {
        assert!(authorized(text).verify().is_err(), "{text}");
    }
    for date in ["", "20150830", "20150830T123600", "20159930T123600Z", "2015083éT12360Z", "99999999T999999Z"] {
        let mut ask = vanilla();
        ask.headers[1].1 = date.to_owned();
        assert!(ask.verify().is_err(), "{date}");
    }
}

#[test]
fn what_the_house_signs_it_takes() {
    let signer = wire::sigv4::Signer {
        access_key_id: KEY,
        secret_access_key: SECRET,
        session_token: None,
        region: "us-east-1",
        service: "service",
    };
    let head = || {
        let request = http::Request::get("http://example.amazonaws.com/");
        request.body(()).unwrap().into_parts().0
    };
    let mut vanilla = head();
    signer.sign(&mut vanilla, b"", NOW).unwrap();
    let text = vanilla.headers[http::header::AUTHORIZATION].to_str().unwrap();
    assert!(
        text.ends_with(&format!("SignedHeaders=host;x-amz-date, Signature={VANILLA}")),
        "the published vector: {text}"
    );
    let verify = |head: &http::request::Parts, body: &[u8]| {
        let rules = SigningRules::default();
        let signed = Signed { head, body, service: "service", regions: &["us-east-1"], rules, now: NOW };
        Verifier::new(Duration::from_secs(300)).verify(&signed, &Keys).map(drop)
    };
    let mut full = head();
    full.method = http::Method::POST;
    full.uri = "http://127.0.0.1:4566/a%20b/?x=1&a=%2f".parse().unwrap();
    full.headers.insert("x-amz-target", http::HeaderValue::from_static("Kinesis_20131202.UpdateShardCount"));
    signer.sign(&mut full, b"{}", NOW).unwrap();
    assert!(verify(&full, b"{}").is_ok());
    assert!(verify(&full, b"{ }").is_err(), "another body");
}

/// Over HTTP/2 the SDK for JavaScript signs the pseudo-header instead. The signature is worked out after the rules: the
/// published vectors know no HTTP/2.
#[test]
fn the_authority_stands_for_the_host() {
    let ask = |uri| {
        let mut ask = Ask::new("GET", uri);
        ask.headers.remove(0);
        ask.signed(":authority;x-amz-date", "f4f76e64657334fd8315f9078b5e4f85a30d60d44c6341dcbe8018821ff7c80a")
    };
    assert_eq!(ask("http://example.amazonaws.com/").verify(), Ok(()));
    assert!(ask("http://other.amazonaws.com/").verify().is_err());
    assert!(ask("/").verify().is_err());
}
