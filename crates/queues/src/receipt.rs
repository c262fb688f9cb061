//! Receipt handles: what a consumer shows to delete the message it received. They are signed, so that a handle which the
//! house did not make is told from one that is merely old.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Timestamp;
use ring::hmac;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Which life of the queue's name: a deleted and remade queue does not take its predecessor's handles.
    pub(crate) life: u64,
    /// The message.
    pub(crate) message: u64,
    /// The number of the receive.
    pub(crate) number: u64,
    /// When that was.
    pub(crate) at: Timestamp,
}

/// The key the handles are signed with; durable, so that a handle outlives a restart.
pub(crate) struct ReceiptKey(hmac::Key);

const PLAIN: usize = 32;

impl ReceiptKey {
    /// A key out of 32 random bytes.
    pub(crate) fn new(secret: &[u8]) -> ReceiptKey {
        ReceiptKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The handle's text.
    pub(crate) fn sign(&self, receipt: Receipt) -> String {
        let mut bytes = Vec::with_capacity(PLAIN + 32);
        for number in [receipt.life, receipt.message, receipt.number] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&receipt.at.micros().to_be_bytes());
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        STANDARD.encode(bytes)
    }

    /// What the handle stands for, where the house made it.
    pub(crate) fn read(&self, handle: &str) -> Option<Receipt> {
        let bytes = STANDARD.decode(handle).ok()?;
        let (plain, tag) = bytes.split_at_checked(PLAIN)?;
        hmac::verify(&self.0, plain, tag).ok()?;
        let number = |at: usize| u64::from_be_bytes(plain[at..at + 8].try_into().expect("eight bytes"));
        let at = Timestamp(number(24).cast_signed());
        Some(Receipt { life: number(0), message: number(8), number: number(16), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_houses_own_handles_are_read() {
        let key = ReceiptKey::new(&[1; 32]);
        let receipt = Receipt { life: 3, message: u64::MAX, number: 2, at: Timestamp(-5) };
        let handle = key.sign(receipt);
        assert_eq!(key.read(&handle), Some(receipt));
        assert_eq!(ReceiptKey::new(&[2; 32]).read(&handle), None);
        let mut forged = STANDARD.decode(&handle).unwrap();
        forged[20] ^= 1;
        assert_eq!(key.read(&STANDARD.encode(forged)), None);
        for nonsense in ["", "AAAA", "not base64!"] {
            assert_eq!(key.read(nonsense), None);
        }
    }
}
