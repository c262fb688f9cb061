//! Signature version 4 for the load generator: one signature, sent again and again within its five minutes.

use bytes::Bytes;
use http::Request;
use ring::{digest, hmac};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// A signed request of a JSON service.
pub fn json(host: &str, service: &str, version: &str, target: &str, body: Bytes) -> Request<Bytes> {
    let kind = format!("application/x-amz-json-{version}");
    post(host, service, &[("content-type", &kind), ("x-amz-target", target)], body)
}

/// A signed POST to `/`.
pub fn post(host: &str, service: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Bytes> {
    request(host, service, "POST", "/", headers, body)
}

/// A signed request to a plain path, by the root key.
pub fn request(
    host: &str,
    service: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Request<Bytes> {
    request_by(("test", "test"), host, service, method, path, headers, body)
}

/// The same by another key: its id and its secret.
pub fn request_by(
    (key_id, secret): (&str, &str),
    host: &str,
    service: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Request<Bytes> {
    let now = world::World::real().now();
    let (y, mo, d, h, mi, s) = now.civil();
    let day = format!("{y:04}{mo:02}{d:02}");
    let date = format!("{day}T{h:02}{mi:02}{s:02}Z");
    let mut all: Vec<(&str, &str)> = headers.to_vec();
    all.push(("host", host));
    all.push(("x-amz-date", &date));
    all.sort_unstable();
    let canonical: String = all.iter().map(|(k, v)| format!("{k}:{v}\n")).collect();
    let names = all.iter().map(|(k, _)| *k).collect::<Vec<_>>().join(";");
    let canonical_request = format!("{method}\n{path}\n\n{canonical}\n{names}\n{}", sha256(&body));
    let scope = format!("{day}/us-east-1/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical_request.as_bytes()));
    let key = ["us-east-1", service, "aws4_request"]
        .iter()
        .fold(mac(format!("AWS4{secret}").as_bytes(), &day), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in &all {
        builder = builder.header(*name, *value);
    }
    builder
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"),
        )
        .body(body)
        .expect("a request made of constants is well formed")
}
