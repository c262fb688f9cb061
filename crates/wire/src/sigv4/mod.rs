//! AWS Signature Version 4, verified over the bytes as they came: in the `Authorization` header or presigned.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
//!
//! Invariant: no secret, signature or canonical request of ours is ever told to a caller.

mod canonical;
mod claim;
mod keys;
mod sign;

pub(crate) use claim::{is_signed, scope_service};
pub use sign::{Signer, Unsignable};

use crate::auth::{AuthError, Authenticator};
use crate::{ApiError, common};
use claim::Claim;
use http::request::Parts;
use keys::SigningKeys;
use names::{Caller, Timestamp};
use ring::digest::{SHA256, digest};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How a service departs from the general rules of signing. S3 does, nobody else.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SigningRules {
    /// The path is signed as it is: not normalised, not encoded a second time.
    pub verbatim_path: bool,
    /// `UNSIGNED-PAYLOAD` may stand for the hash of the body.
    pub unsigned_payload: bool,
}

/// What is verified, and against what.
pub struct Signed<'a> {
    /// The head as it came.
    pub head: &'a Parts,
    /// The body as it came.
    pub body: &'a [u8],
    /// The service that the request was routed to; the credential must be scoped to it.
    pub service: &'a str,
    /// The regions that the credential may be scoped to.
    pub regions: &'a [&'a str],
    /// The service's departures from the rules.
    pub rules: SigningRules,
    /// The time.
    pub now: Timestamp,
}

/// Verifies signatures; keeps the keys derived for them.
pub struct Verifier {
    keys: SigningKeys,
    skew: Duration,
}

/// A presigned request is good for a week at most.
const MAX_EXPIRES_SECS: u64 = 604_800;

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your \
    AWS Secret Access Key and signing method. Consult the service documentation for details.";

impl Verifier {
    /// `skew`: how far the client's clock may be off, either way.
    pub fn new(skew: Duration) -> Verifier {
        Verifier { keys: SigningKeys::default(), skew }
    }

    /// Who signed the request; an error in AWS's words where it is not properly signed.
    pub fn verify(&self, signed: &Signed<'_>, authenticator: &dyn Authenticator) -> Result<Caller, ApiError> {
        let claim = Claim::read(signed.head)?;
        let found = authenticator.find(&claim.access_key_id, claim.token.as_deref(), signed.now);
        let principal = found.map_err(|error| match error {
            AuthError::UnknownKey | AuthError::InactiveKey | AuthError::WrongToken => {
                common::UNRECOGNIZED_CLIENT.because("The security token included in the request is invalid.")
            }
            AuthError::ExpiredToken => {
                common::EXPIRED_TOKEN.because("The security token included in the request is expired")
            }
        })?;
        scope_fits(&claim, signed)?;
        self.time_fits(&claim, signed.now)?;
        canonical::covers(signed.head, &claim)?;
        let request = canonical::hash(signed, &claim);
        let key = self.keys.derive(&claim, &principal.secret);
        let expected = keys::sign(&key, &claim, &request);
        let fits = decode_hex(&claim.signature).is_some_and(|given| expected.as_ref().ct_eq(&given[..]).into());
        if fits { Ok(principal.caller) } else { Err(common::INVALID_SIGNATURE.because(WRONG_SIGNATURE)) }
    }

    fn time_fits(&self, claim: &Claim<'_>, now: Timestamp) -> Result<(), ApiError> {
        let refuse = |text: String| Err(common::INVALID_SIGNATURE.because(text));
        let skew = self.skew.as_micros() as i64;
        let minutes = self.skew.as_secs() / 60;
        let earliest = Timestamp(now.0.saturating_sub(skew));
        let latest = Timestamp(now.0.saturating_add(skew));
        if claim.at > latest {
            let (at, latest, now) = (basic(claim.at), basic(latest), basic(now));
            return refuse(format!(
                "Signature not yet current: {at} is still later than {latest} ({now} + {minutes} min.)"
            ));
        }
        let Some(secs) = claim.expires_secs else {
            if claim.at >= earliest {
                return Ok(());
            }
            let (at, earliest, now) = (basic(claim.at), basic(earliest), basic(now));
            return refuse(format!("Signature expired: {at} is now earlier than {earliest} ({now} - {minutes} min.)"));
        };
        if secs > MAX_EXPIRES_SECS {
            return refuse(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
                 than 604800 seconds"
                    .to_owned(),
            );
        }
        let end = claim.at.plus(Duration::from_secs(secs));
        if end >= now {
            return Ok(());
        }
        refuse(format!("Signature expired: {} is now earlier than {}", basic(end), basic(now)))
    }
}

fn scope_fits(claim: &Claim<'_>, signed: &Signed<'_>) -> Result<(), ApiError> {
    let refuse = |text: String| Err(common::INVALID_SIGNATURE.because(text));
    if !signed.regions.contains(&claim.region()) {
        return refuse("Credential should be scoped to a valid region.".to_owned());
    }
    if claim.service() != signed.service {
        return refuse(format!("Credential should be scoped to correct service: '{}'.", signed.service));
    }
    let day = &claim.stamp[..8];
    if claim.date() != day {
        return refuse(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', \
             from '{}'.",
            claim.date(),
            claim.stamp
        ));
    }
    Ok(())
}

/// The hash of the body in hexadecimal. The header `x-amz-content-sha256` is not believed: where it is wrong, so is the
/// signature.
fn payload_hash(body: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    hex_into(digest(&SHA256, body).as_ref(), &mut out);
    out
}

fn hex_into(bytes: &[u8], out: &mut [u8; 64]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// `20150830T123600Z`
fn basic(time: Timestamp) -> String {
    let (y, mo, d, h, mi, s) = time.civil();
    format!("{y:04}{mo:02}{d:02}T{h:02}{mi:02}{s:02}Z")
}
