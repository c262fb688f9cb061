//! Tokens that lead from page to page of a list that is sorted by a text. A token is the last text given, so it stays good
//! whatever comes and goes in between; a checksum tells it from what this list never gave.

use base64_simd::URL_SAFE_NO_PAD;

/// The token of the page after the item `last`. `list` names what is listed.
pub fn token(list: &str, last: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string([&checksum(list, last).to_be_bytes(), last.as_bytes()].concat())
}

/// The last item of the page before; `None` where the token is none of this list's.
pub fn after(list: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token).ok()?;
    let (sum, last) = bytes.split_first_chunk::<4>()?;
    let last = String::from_utf8(last.to_vec()).ok()?;
    (checksum(list, &last).to_be_bytes() == *sum).then_some(last)
}

fn checksum(list: &str, last: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [list.as_bytes(), b"\0", last.as_bytes()] {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_go_there_and_back(last: String) {
            let token = token("pipes", &last);
            prop_assert_eq!(after("pipes", &token), Some(last));
            prop_assert_eq!(after("rules", &token), None);
            prop_assert!(token.bytes().all(|b| b.is_ascii_graphic()));
        }

        #[test]
        fn what_was_not_given_is_no_token(text in "[A-Za-z0-9_/=-]{0,40}|.{0,10}") {
            prop_assert_eq!(after("pipes", &text), None);
        }
    }
}
