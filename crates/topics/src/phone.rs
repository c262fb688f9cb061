//! Phone numbers.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>

use crate::limits::PHONE_DIGITS;

/// The number in E.164 form (`+15551230000`); nothing where it is no number. Spaces, hyphens, dots and brackets are
/// overlooked, and so is a missing plus, as SNS does.
pub(crate) fn e164(text: &str) -> Option<String> {
    let rest = text.strip_prefix('+').unwrap_or(text);
    if !rest.chars().all(|c| c.is_ascii_digit() || " -.()".contains(c)) {
        return None;
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let fine = PHONE_DIGITS.contains(&digits.len()) && !digits.starts_with('0');
    fine.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_one_form() {
        for text in ["+15551230000", "1 (555) 123-0000", "+1.555.123.0000"] {
            assert_eq!(e164(text).as_deref(), Some("+15551230000"), "{text}");
        }
        for text in ["", "+", "+123456", "+1234567890123456", "+0555123000", "+1555CALLME", "++15551230000"] {
            assert_eq!(e164(text), None, "{text}");
        }
    }
}
