//! Signatures of notifications, so that receivers can tell who sent them: RSA over a canonical text, with SHA-1
//! (version 1) or SHA-256 (version 2), and the certificate that verifies them.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Home;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use ring::digest;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use world::{Entropy, World};

/// The files in the data directory: a private key (PKCS #8, PEM) and its certificate (X.509, PEM).
const KEY: &str = "sns-signing.key";
const CERTIFICATE: &str = "sns-signing.pem";
/// As long as SNS's own keys.
const BITS: usize = 2048;

/// `SignatureVersion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    /// SHA-1.
    #[default]
    One,
    /// SHA-256.
    Two,
}

impl Version {
    /// As notifications say it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Version::One => "1",
            Version::Two => "2",
        }
    }
}

/// The key and certificate that sign, in PEM form: for who brings their own.
#[derive(Clone)]
pub struct SigningKey {
    /// A private key of RSA, PKCS #8.
    pub key: String,
    /// Its certificate; receivers fetch it from here.
    pub certificate: String,
}

/// The key is not printed.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A notification's signature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signed {
    /// How it was made.
    pub(crate) version: Version,
    /// Base64.
    pub(crate) signature: String,
    /// The path of the certificate.
    pub(crate) path: String,
}

impl Signed {
    /// Where the certificate is, as the subscriber reaches the house.
    pub(crate) fn url(&self, base: &str) -> String {
        format!("{base}{}", self.path)
    }
}

/// Signs.
pub(crate) struct Signer {
    key: RsaPrivateKey,
    entropy: Arc<dyn Entropy>,
    certificate: String,
    name: String,
}

/// The canonical text: names and values, line by line.
pub(crate) fn canonical(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        for part in [name, "\n", value, "\n"] {
            out.push_str(part);
        }
    }
    out
}

impl Signer {
    /// Reads the key and certificate from the data directory; makes them where there are none. That takes seconds.
    pub(crate) fn open(world: &World, home: &Home, dir: &Path) -> Result<Signer, String> {
        let (key_path, certificate_path) = (dir.join(KEY), dir.join(CERTIFICATE));
        let file = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let read = |path: &Path| {
            let bytes = world.disk.read(path).map_err(|error| file(path, error))?;
            String::from_utf8(bytes.to_vec()).map_err(|_| format!("{} is not PEM", path.display()))
        };
        if !world.disk.exists(&key_path) || !world.disk.exists(&certificate_path) {
            let made = make(world, home)?;
            let write =
                |path: &Path, text: &str| world.disk.replace(path, text.as_bytes()).map_err(|error| file(path, error));
            write(&key_path, &made.key)?;
            write(&certificate_path, &made.certificate)?;
        }
        Signer::new(world, &SigningKey { key: read(&key_path)?, certificate: read(&certificate_path)? })
    }

    /// From a key in hand.
    pub(crate) fn new(world: &World, given: &SigningKey) -> Result<Signer, String> {
        let key = RsaPrivateKey::from_pkcs8_pem(&given.key).map_err(|error| format!("the signing key: {error}"))?;
        let hash = digest::digest(&digest::SHA256, given.certificate.as_bytes());
        let hash: String = hash.as_ref()[..16].iter().map(|b| format!("{b:02x}")).collect();
        let name = format!("SimpleNotificationService-{hash}.pem");
        Ok(Signer { key, entropy: world.entropy.clone(), certificate: given.certificate.clone(), name })
    }

    /// The certificate, where it is asked for by its own name.
    pub(crate) fn certificate(&self, name: &str) -> Option<&str> {
        (name == self.name).then_some(self.certificate.as_str())
    }

    /// Signs a canonical text.
    pub(crate) fn sign(&self, version: Version, text: &str) -> Result<Signed, rsa::Error> {
        // The prefixes are PKCS #1's names of the two hashes.
        let (hash, prefix) = match version {
            Version::One => (digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()), SHA1.as_slice()),
            Version::Two => (digest::digest(&digest::SHA256, text.as_bytes()), SHA256.as_slice()),
        };
        let scheme = Pkcs1v15Sign { hash_len: Some(hash.as_ref().len()), prefix: prefix.into() };
        let signature = self.key.sign_with_rng(&mut Random(&*self.entropy), scheme, hash.as_ref())?;
        let path = format!("/_headwater/sns/{}", self.name);
        Ok(Signed { version, signature: STANDARD.encode(signature), path })
    }
}

const SHA1: [u8; 15] = [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
const SHA256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// The house's randomness in the form that RSA asks for.
struct Random<'a>(&'a dyn Entropy);

impl RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0.u64()
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

impl CryptoRng for Random<'_> {}

/// A new key with a certificate that it signs itself.
fn make(world: &World, home: &Home) -> Result<SigningKey, String> {
    let text = |error: &dyn std::fmt::Display| format!("a signing key cannot be made: {error}");
    let key = RsaPrivateKey::new(&mut Random(&*world.entropy), BITS).map_err(|error| text(&error))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| text(&error))?;
    let pair = KeyPair::from_pem(&pem).map_err(|error| text(&error))?;
    debug_assert!(!pair.der_bytes().is_empty());
    let mut params = CertificateParams::new(Vec::new()).map_err(|error| text(&error))?;
    // Validators look for this name; whose certificate it is, the organisation says.
    params.distinguished_name.push(DnType::CommonName, format!("sns.{}.amazonaws.com", home.region));
    params.distinguished_name.push(DnType::OrganizationName, "Headwater");
    let certificate = params.self_signed(&pair).map_err(|error| text(&error))?;
    Ok(SigningKey { key: pem.to_string(), certificate: certificate.pem() })
}
