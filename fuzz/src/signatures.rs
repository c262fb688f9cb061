//! Requests that claim to be signed. Nobody gets in whose signature is not right.

use http::request::Parts;
use names::{Account, Caller, Timestamp};
use std::time::Duration;
use wire::auth::{AuthError, Authenticator, Principal};
use wire::sigv4::{Signed, Signer, SigningRules, Verifier};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// One key. Its secret is not among the seeds.
struct OneKey;

impl Authenticator for OneKey {
    fn find(&self, access_key_id: &str, _: Option<&str>, _: Timestamp) -> Result<Principal, AuthError> {
        let account = Account::parse("000000000000").expect("an account");
        let caller = Caller::root(&account, access_key_id);
        let known = access_key_id == "AKIDEXAMPLE";
        known.then(|| Principal { secret: "secret".to_owned(), caller }).ok_or(AuthError::UnknownKey)
    }
}

/// A first line of method and path, then a header a line, then an empty line and the body.
fn request(text: &str) -> Option<(Parts, &[u8])> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = http::Request::builder().method(method).uri(path);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value);
    }
    Some((request.body(()).ok()?.into_parts().0, body.as_bytes()))
}

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some((head, body)) = request(&text) else { return };
    for unusual in [false, true] {
        let rules = SigningRules { verbatim_path: unusual, unsigned_payload: unusual };
        let signed = Signed { head: &head, body, service: "kinesis", regions: &["us-east-1"], rules, now: NOW };
        if let Ok(caller) = Verifier::new(Duration::from_secs(300)).verify(&signed, &OneKey) {
            assert_eq!(caller.access_key_id, "AKIDEXAMPLE");
            // Whoever gets in has every byte that was signed as it was signed: the seeds' own body.
            assert!(unusual || body == BODY.as_bytes(), "another body got in");
        }
    }
}

const BODY: &str = r#"{"StreamName":"orders"}"#;

fn text(head: &Parts) -> Vec<u8> {
    let mut out = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        out += &format!("{name}:{}\n", value.to_str().unwrap_or_default());
    }
    (out + "\n" + BODY).into_bytes()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for path in ["http://localhost/", "http://localhost/a/../b%20c?x=1&y=%2F&x"] {
        let request = http::Request::post(path).header("content-type", "application/x-amz-json-1.1").body(());
        let (mut head, ()) = request.expect("a plain request").into_parts();
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: "secret",
            session_token: None,
            region: "us-east-1",
            service: "kinesis",
        };
        signer.sign(&mut head, BODY.as_bytes(), NOW).expect("plain headers");
        seeds.push(text(&head));
    }
    let presigned = "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Fus-east-1%2Fkinesis%2F\
                     aws4_request&X-Amz-Date=20231114T221320Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=00ff\n\
                     host:localhost\n\n";
    seeds.push(presigned.as_bytes().to_vec());
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_get_in_as_they_are() {
        for seed in &seeds()[..2] {
            let text = String::from_utf8(seed.clone()).unwrap();
            let (head, body) = request(&text).unwrap();
            let rules = SigningRules::default();
            let signed = Signed { head: &head, body, service: "kinesis", regions: &["us-east-1"], rules, now: NOW };
            Verifier::new(Duration::from_secs(300)).verify(&signed, &OneKey).unwrap();
        }
    }
}
