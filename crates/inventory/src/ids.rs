//! The ids of EC2 resources: a prefix and 8 or 17 hexadecimal digits.

use crate::error::{IMAGE_MALFORMED, INSTANCE_MALFORMED};
use wire::ApiError;

/// Whether `id` is `prefix` and 8 or 17 hexadecimal digits.
pub(crate) fn is(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn check_instance(id: &str) -> Result<(), ApiError> {
    is(id, "i-").then_some(()).ok_or_else(|| INSTANCE_MALFORMED.because(format!("Invalid id: \"{id}\"")))
}

pub(crate) fn check_image(id: &str) -> Result<(), ApiError> {
    let why = || IMAGE_MALFORMED.because(format!("Invalid id: \"{id}\" (expecting \"ami-...\")"));
    is(id, "ami-").then_some(()).ok_or_else(why)
}

/// An id that always belongs to the same account and purpose, such as the default subnet's.
pub(crate) fn stable(prefix: &str, seed: &str) -> String {
    // FNV-1a: <https://www.rfc-editor.org/rfc/rfc9923>
    let hash = prefix
        .bytes()
        .chain(seed.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{prefix}0{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_eight_or_seventeen_digits() {
        for (id, fine) in [
            ("i-1234567890abcdef0", true),
            ("i-12345678", true),
            ("i-1234567", false),
            ("i-1234567890abcdefg", false),
            ("ami-12345678", false),
            ("", false),
        ] {
            assert_eq!(is(id, "i-"), fine, "{id}");
        }
        assert!(is(&stable("subnet-", "000000000000"), "subnet-"));
        assert_ne!(stable("vpc-", "1"), stable("vpc-", "2"));
    }
}
