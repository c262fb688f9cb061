//! What a request says of its own signature.

use crate::codec::read_time;
use crate::route::header;
use crate::{ApiError, common};
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use names::Timestamp;
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use std::borrow::Cow;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The parts of a signature, from the header or the query string.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) access_key_id: Cow<'a, str>,
    /// `KEY/20150830/us-east-1/service/aws4_request`
    pub(super) credential: Cow<'a, str>,
    pub(super) signed_headers: Cow<'a, str>,
    pub(super) signature: Cow<'a, str>,
    /// `20150830T123600Z`
    pub(super) stamp: Cow<'a, str>,
    pub(super) at: Timestamp,
    pub(super) token: Option<Cow<'a, str>>,
    /// How long a presigned request is good for.
    pub(super) expires_secs: Option<u64>,
    pub(super) presigned: bool,
}

impl<'a> Claim<'a> {
    pub(super) fn read(head: &'a Parts) -> Result<Claim<'a>, ApiError> {
        let query = Presigned::read(head.uri.query().unwrap_or(""));
        match (header(head, AUTHORIZATION), query.algorithm.is_some()) {
            (Some(_), true) => Err(common::INVALID_SIGNATURE
                .because("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")),
            (Some(text), false) => from_header(head, text),
            (None, true) => query.claim(),
            (None, false) => Err(common::MISSING_TOKEN.because("Missing Authentication Token")),
        }
    }

    /// `20150830/us-east-1/service/aws4_request`
    pub(super) fn scope(&self) -> &str {
        self.credential.split_once('/').map_or("", |(_, scope)| scope)
    }

    fn part(&self, index: usize) -> &str {
        self.credential.split('/').nth(index).unwrap_or("")
    }
    pub(super) fn date(&self) -> &str {
        self.part(1)
    }
    pub(super) fn region(&self) -> &str {
        self.part(2)
    }
    pub(super) fn service(&self) -> &str {
        self.part(3)
    }
}

fn incomplete(text: impl Into<String>) -> ApiError {
    common::INCOMPLETE_SIGNATURE.because(text)
}

fn from_header<'a>(head: &'a Parts, text: &'a str) -> Result<Claim<'a>, ApiError> {
    let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (mut credential, mut signature, mut signed_headers) = (None, None, None);
    for (name, value) in rest.split([',', ' ']).filter_map(|pair| pair.split_once('=')) {
        let part = match name {
            "Credential" => &mut credential,
            "Signature" => &mut signature,
            "SignedHeaders" => &mut signed_headers,
            _ => continue,
        };
        // The first of a name counts.
        part.get_or_insert(value);
    }
    let [credential, signature, signed_headers] =
        [credential, signature, signed_headers].map(|part| part.filter(|value| !value.is_empty()));
    let date = header(head, DATE).or_else(|| header(head, http::header::DATE));
    let (Some(credential), Some(signature), Some(signed_headers), Some(date)) =
        (credential, signature, signed_headers, date)
    else {
        let lacking = [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)];
        let mut why: String = lacking
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| format!("Authorization header requires '{name}' parameter. "))
            .collect();
        if date.is_none() {
            why.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
        }
        let hash = base64_simd::STANDARD.encode_to_string(digest(&SHA256, text.as_bytes()));
        return Err(incomplete(format!("{why}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}")));
    };
    algorithm_fits(algorithm)?;
    let (stamp, at) = stamp(date)?;
    Ok(Claim {
        access_key_id: Cow::Borrowed(key_id(credential)?),
        credential: Cow::Borrowed(credential),
        signed_headers: Cow::Borrowed(signed_headers),
        signature: Cow::Borrowed(signature),
        stamp,
        at,
        token: header(head, TOKEN).map(Cow::Borrowed),
        expires_secs: None,
        presigned: false,
    })
}

fn algorithm_fits(algorithm: &str) -> Result<(), ApiError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    let shown: String = algorithm.chars().take(64).collect();
    Err(incomplete(format!("Unsupported AWS 'algorithm': '{shown}'.")))
}

/// The key id of a credential whose form is right.
fn key_id(credential: &str) -> Result<&str, ApiError> {
    let shown = || credential.chars().take(256).collect::<String>();
    let mut parts = credential.split('/');
    let (Some(id), Some(_), Some(_), Some(_), Some(term), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            shown()
        )));
    };
    if term != "aws4_request" {
        let term: String = term.chars().take(64).collect();
        return Err(common::INVALID_SIGNATURE
            .because(format!("Credential should be scoped with a valid terminator: 'aws4_request', not '{term}'.")));
    }
    Ok(id)
}

/// The time of signing, in the form the signature was made over and as a time.
fn stamp(date: &str) -> Result<(Cow<'_, str>, Timestamp), ApiError> {
    if let Some(at) = parse_basic(date) {
        return Ok((Cow::Borrowed(date), at));
    }
    // A `Date` header in HTTP's own form is allowed too; the signature is made over the basic form of it.
    match read_time(date) {
        Some(at) if date.contains(' ') => Ok((Cow::Owned(super::basic(at)), at)),
        _ => {
            let shown: String = date.chars().take(64).collect();
            Err(incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{shown}'. See http://en.wikipedia.org/wiki/ISO_8601"
            )))
        }
    }
}

/// `20150830T123600Z`
fn parse_basic(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    let fits = b.len() == 16
        && b[8] == b'T'
        && b[15] == b'Z'
        && b.iter().enumerate().all(|(i, c)| i == 8 || i == 15 || c.is_ascii_digit());
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| b[from..to].iter().fold(0i16, |n, c| n * 10 + i16::from(c - b'0'));
    let small = |from: usize| number(from, from + 2) as i8;
    let date = jiff::civil::Date::new(number(0, 4), small(4), small(6)).ok()?;
    let time = jiff::civil::Time::new(small(9), small(11), small(13), 0).ok()?;
    let days = date.duration_since(jiff::civil::Date::constant(1970, 1, 1)).as_secs();
    let within = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(Timestamp((days + within) * 1_000_000))
}

/// The query parameters of a presigned request.
#[derive(Default)]
struct Presigned<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
}

impl<'a> Presigned<'a> {
    fn read(query: &'a str) -> Presigned<'a> {
        let mut found = Presigned::default();
        if query.is_empty() {
            return found;
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "X-Amz-Algorithm" => &mut found.algorithm,
                "X-Amz-Credential" => &mut found.credential,
                "X-Amz-Date" => &mut found.date,
                "X-Amz-Expires" => &mut found.expires,
                "X-Amz-SignedHeaders" => &mut found.signed_headers,
                "X-Amz-Signature" => &mut found.signature,
                "X-Amz-Security-Token" => &mut found.token,
                _ => continue,
            };
            *slot = Some(percent_decode_str(value).decode_utf8_lossy());
        }
        found
    }

    fn is_any(&self) -> bool {
        self.algorithm.is_some() || self.credential.is_some() || self.signature.is_some()
    }

    fn claim(self) -> Result<Claim<'a>, ApiError> {
        let filled = |value: Option<Cow<'a, str>>| value.filter(|v| !v.is_empty());
        let (algorithm, credential, signature, signed_headers, date) = (
            filled(self.algorithm),
            filled(self.credential),
            filled(self.signature),
            filled(self.signed_headers),
            filled(self.date),
        );
        let (Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)) =
            (&algorithm, &credential, &signature, &signed_headers, &date)
        else {
            let all = [
                ("X-Amz-Algorithm", algorithm.is_some()),
                ("X-Amz-Credential", credential.is_some()),
                ("X-Amz-Signature", signature.is_some()),
                ("X-Amz-SignedHeaders", signed_headers.is_some()),
                ("X-Amz-Date", date.is_some()),
            ];
            let lacking = all.iter().filter(|(_, there)| !there);
            let why: String =
                lacking.map(|(name, _)| format!("AWS query-string parameters must include '{name}'. ")).collect();
            return Err(incomplete(format!("{why}Re-examine the query-string parameters.")));
        };
        algorithm_fits(algorithm)?;
        let expires = self.expires.as_deref().map(str::parse::<u64>).transpose();
        let expires_secs = expires.map_err(|_| incomplete("X-Amz-Expires should be a number"))?;
        let (stamp, at) = stamp(date)?;
        Ok(Claim {
            access_key_id: Cow::Owned(key_id(credential)?.to_owned()),
            credential: credential.clone(),
            signed_headers: signed_headers.clone(),
            signature: signature.clone(),
            stamp: Cow::Owned(stamp.into_owned()),
            at,
            token: self.token,
            expires_secs,
            presigned: true,
        })
    }
}

/// Whether a request claims a signature at all, good or bad.
pub(crate) fn is_signed(head: &Parts) -> bool {
    head.headers.contains_key(AUTHORIZATION) || Presigned::read(head.uri.query().unwrap_or("")).is_any()
}

/// The service in the credential scope, unverified: for routing.
pub(crate) fn scope_service(head: &Parts) -> Option<Cow<'_, str>> {
    if let Some(text) = header(head, AUTHORIZATION) {
        let credential = text.split_once("Credential=")?.1;
        let credential = credential.split([',', ' ']).next()?;
        return credential.split('/').nth(3).map(Cow::Borrowed);
    }
    let credential = Presigned::read(head.uri.query()?).credential?;
    credential.split('/').nth(3).map(|service| Cow::Owned(service.to_owned()))
}
