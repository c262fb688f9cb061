//! The canonical request, fed into the hash piece by piece: it is never built.

use super::claim::Claim;
use super::{Signed, hex_into, payload_hash};
use crate::{ApiError, common};
use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use ring::digest::{Context, SHA256};

/// Everything but letters, digits and `-._~` is encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// And in paths, slashes stay too.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What the host is called: over HTTP/2 the SDK for JavaScript signs the pseudo-header.
const HOSTS: [&str; 2] = ["host", ":authority"];

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Refuses a request whose signature leaves out what must be signed: the host and all `x-amz-` headers. (AWS takes an
/// unsigned content type, and curl sends one.)
pub(super) fn covers(head: &Parts, claim: &Claim<'_>) -> Result<(), ApiError> {
    let signed = |name: &str| claim.signed_headers.split(';').any(|s| s == name);
    let refuse = |what: &str| {
        Err(common::INVALID_SIGNATURE.because(format!("{what} must be a 'SignedHeader' in the AWS Authorization.")))
    };
    if !HOSTS.iter().any(|name| signed(name)) {
        return refuse("'Host' or ':authority'");
    }
    let left_out = head.headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str()));
    left_out.map_or(Ok(()), |name| refuse(&format!("'{name}'")))
}

/// The hash of the canonical request, in hexadecimal.
pub(super) fn hash(signed: &Signed<'_>, claim: &Claim<'_>) -> [u8; 64] {
    let head = signed.head;
    let mut hash = Context::new(&SHA256);
    hash.update(head.method.as_str().as_bytes());
    hash.update(b"\n");
    path(head.uri.path(), signed.rules.verbatim_path, &mut hash);
    hash.update(b"\n");
    query(head.uri.query().unwrap_or(""), claim.presigned, &mut hash);
    hash.update(b"\n");
    for name in claim.signed_headers.split(';') {
        hash.update(name.as_bytes());
        hash.update(b":");
        header(head, name, &mut hash);
        hash.update(b"\n");
    }
    hash.update(b"\n");
    hash.update(claim.signed_headers.as_bytes());
    hash.update(b"\n");
    if signed.rules.unsigned_payload && says_unsigned(&head.headers, claim) {
        hash.update(UNSIGNED.as_bytes());
    } else {
        hash.update(&payload_hash(signed.body));
    }
    let mut out = [0; 64];
    hex_into(hash.finish().as_ref(), &mut out);
    out
}

fn says_unsigned(headers: &HeaderMap, claim: &Claim<'_>) -> bool {
    // A presigned request to S3 never signs its body.
    headers.get("x-amz-content-sha256").map_or(claim.presigned, |value| value == UNSIGNED)
}

fn path(path: &str, verbatim: bool, hash: &mut Context) {
    let path = if path.is_empty() { "/" } else { path };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
    if verbatim || (path.bytes().all(plain) && !path.contains("//") && !path.contains("/.")) {
        hash.update(path.as_bytes());
        return;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let slash = if folder && !kept.is_empty() { "/" } else { "" };
    let normal = format!("/{}{slash}", kept.join("/"));
    // What came is encoded once already; the signature is made over the second encoding.
    for piece in percent_encode(normal.as_bytes(), PATH) {
        hash.update(piece.as_bytes());
    }
}

fn query(query: &str, presigned: bool, hash: &mut Context) {
    if query.is_empty() {
        return;
    }
    let normal = |text: &str| {
        let decoded: Vec<u8> = percent_decode(text.as_bytes()).collect();
        percent_encode(&decoded, QUERY).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| !(presigned && *name == "X-Amz-Signature"))
        .map(|(name, value)| (normal(name), normal(value)))
        .collect();
    pairs.sort_unstable();
    for (i, (name, value)) in pairs.iter().enumerate() {
        for piece in [if i > 0 { "&" } else { "" }, name, "=", value] {
            hash.update(piece.as_bytes());
        }
    }
}

/// A header's values, trimmed, runs of blanks folded into one, several joined by commas. In HTTP/2 the host is the
/// authority of the target.
fn header(head: &Parts, name: &str, hash: &mut Context) {
    let mut any = false;
    for value in head.headers.get_all(name) {
        if std::mem::replace(&mut any, true) {
            hash.update(b",");
        }
        let value = value.as_bytes().trim_ascii();
        if value.windows(2).any(|pair| pair == b"  ") {
            for (i, word) in value.split(|b| *b == b' ').filter(|word| !word.is_empty()).enumerate() {
                hash.update(if i > 0 { b" " } else { b"" });
                hash.update(word);
            }
        } else {
            hash.update(value);
        }
    }
    if !any
        && HOSTS.contains(&name)
        && let Some(authority) = head.uri.authority()
    {
        hash.update(authority.as_str().as_bytes());
    }
}
