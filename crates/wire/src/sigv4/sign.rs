//! Signing, as a client does it: what the house's own command line calls its operations with. It stands on the same
//! canonical request as verification.

use super::claim::Claim;
use super::{Signed, SigningRules, basic, canonical, hex_into, keys};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use names::Timestamp;
use std::borrow::Cow;

/// Who signs, and what for.
pub struct Signer<'a> {
    /// The access key.
    pub access_key_id: &'a str,
    /// Its secret.
    pub secret_access_key: &'a str,
    /// The token of a session's key.
    pub session_token: Option<&'a str>,
    /// The region that is called.
    pub region: &'a str,
    /// The service that is called, by its signing name.
    pub service: &'a str,
}

/// A request cannot be signed: a key, a token or its host has bytes that no header takes.
#[derive(Debug, thiserror::Error)]
#[error("the key, its token or the host cannot stand in a header")]
pub struct Unsignable;

impl Signer<'_> {
    /// Adds `Host`, `X-Amz-Date`, where there is one `X-Amz-Security-Token`, and `Authorization`.
    pub fn sign(&self, head: &mut Parts, body: &[u8], now: Timestamp) -> Result<(), Unsignable> {
        let stamp = basic(now);
        let host = head.uri.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(host).map_err(|_| Unsignable)?;
        let mut add = |name: HeaderName, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|_| Unsignable)?;
            head.headers.insert(name, value);
            Ok(())
        };
        add(HeaderName::from_static("x-amz-date"), &stamp)?;
        if let Some(token) = self.session_token {
            add(HeaderName::from_static("x-amz-security-token"), token)?;
        }
        head.headers.insert(HOST, host);
        let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let names = names.join(";");
        let scope = format!("{}/{}/{}/aws4_request", &stamp[..8], self.region, self.service);
        let claim = Claim {
            access_key_id: Cow::Borrowed(self.access_key_id),
            credential: Cow::Owned(format!("{}/{scope}", self.access_key_id)),
            signed_headers: Cow::Borrowed(&names),
            signature: Cow::Borrowed(""),
            stamp: Cow::Borrowed(&stamp),
            at: now,
            token: None,
            expires_secs: None,
            presigned: false,
        };
        let signed = Signed { head, body, service: self.service, regions: &[], rules: SigningRules::default(), now };
        let request = canonical::hash(&signed, &claim);
        let key = keys::SigningKeys::default().derive(&claim, self.secret_access_key);
        let mut signature = [0; 64];
        hex_into(keys::sign(&key, &claim, &request).as_ref(), &mut signature);
        let signature = String::from_utf8_lossy(&signature);
        let credential = &claim.credential;
        let text = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        let mut value = HeaderValue::from_str(&text).map_err(|_| Unsignable)?;
        value.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}
