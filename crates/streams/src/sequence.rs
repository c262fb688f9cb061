//! Sequence numbers as AWS shapes them: 56 decimal digits that grow with every record of a shard.
//!
//! In hexadecimal such a number has 47 digits: `2`, the second the shard was created (9), the shard's number modulo 16 (1),
//! an index (16), `00`, the second the record came (9), the shard's number (8), `2`. The layout was found out and published
//! by Kinesalite's author. Index 0 is the shard's starting number; a record's index is its place in the log plus one.

use std::fmt;

/// A sequence number, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The second the shard was created.
    pub(crate) created: u64,
    /// The shard's number.
    pub(crate) shard: u32,
    /// The record's place in the shard, from 1; 0 for the shard's start.
    pub(crate) index: u64,
    /// The second the record came.
    pub(crate) at: u64,
}

/// Why a text is not a sequence number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number")]
pub(crate) struct NotASequence;

const TEN_19: u64 = 10_000_000_000_000_000_000;
const DIGITS: usize = 56;

/// The 188 bits as they are laid out: a high part of 60 bits and a low part of 128.
struct Bits {
    high: u64,
    low: u128,
}

impl Sequence {
    /// The position in the log that this number stands for: that of its record, or the log's first for the shard's start.
    pub(crate) fn position(self) -> u64 {
        self.index.saturating_sub(1)
    }

    /// The position after this number.
    pub(crate) fn position_after(self) -> u64 {
        self.index
    }

    fn bits(self) -> Bits {
        // From the right: version (4 bits), shard (32), second (36), zero (8), index (64), shard % 16 (4), created (36), 2 (4).
        let low = 2u128
            | u128::from(self.shard) << 4
            | u128::from(self.at & 0xf_ffff_ffff) << 36
            | u128::from(self.index) << 80;
        let high = self.index >> 48 | u64::from(self.shard & 15) << 16 | (self.created & 0xf_ffff_ffff) << 20 | 2 << 56;
        Bits { high, low }
    }

    fn from_bits(bits: &Bits) -> Result<Sequence, NotASequence> {
        let sequence = Sequence {
            created: bits.high >> 20 & 0xf_ffff_ffff,
            shard: (bits.low >> 4) as u32,
            index: (bits.low >> 80) as u64 | bits.high << 48,
            at: (bits.low >> 36) as u64 & 0xf_ffff_ffff,
        };
        let again = sequence.bits();
        let sound = again.high == bits.high && again.low == bits.low;
        if sound && sequence.index >> 63 == 0 && sequence.shard >> 31 == 0 { Ok(sequence) } else { Err(NotASequence) }
    }

    /// Reads a number of this layout; older ones are refused.
    pub(crate) fn parse(text: &str) -> Result<Sequence, NotASequence> {
        if text.len() != DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotASequence);
        }
        let mut limbs = [0u64; 3];
        for digit in text.bytes() {
            let mut carry = u128::from(digit - b'0');
            for limb in &mut limbs {
                let product = u128::from(*limb) * 10 + carry;
                *limb = product as u64;
                carry = product >> 64;
            }
        }
        Sequence::from_bits(&Bits { high: limbs[2], low: u128::from(limbs[0]) | u128::from(limbs[1]) << 64 })
    }

    /// Writes the 56 digits.
    pub(crate) fn digits(self) -> [u8; DIGITS] {
        let Bits { high, low } = self.bits();
        // Long division by 10^19, three digits of base 2^64 at a time. `high` is below 10^19, and so is each rest.
        let (upper, rest) = divide(high, (low >> 64) as u64);
        let (lower, last) = divide(rest, low as u64);
        let (first, middle) = divide(upper, lower);
        let mut out = [b'0'; DIGITS];
        write_digits(&mut out[..18], first);
        write_digits(&mut out[18..37], middle);
        write_digits(&mut out[37..], last);
        out
    }
}

/// Quotient and rest of a two-digit number by 10^19. The first digit must be below 10^19.
fn divide(first: u64, second: u64) -> (u64, u64) {
    let number = u128::from(first) << 64 | u128::from(second);
    let quotient = (number / u128::from(TEN_19)) as u64;
    // Not `%`: that would be the same long division again.
    (quotient, second.wrapping_sub(quotient.wrapping_mul(TEN_19)))
}

/// Two digits at a time: every record that is put or read has such a number, and each step waits for the one before.
fn write_digits(out: &mut [u8], mut number: u64) {
    let mut pairs = out.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if let [digit] = pairs.into_remainder() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    debug_assert_eq!(number, 0, "every sequence number has 56 digits");
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < pairs.len() {
        pairs[n] = [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
        n += 1;
    }
    pairs
};

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("digits are ASCII"))
    }
}

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> String {
        std::str::from_utf8(&sequence.digits()).expect("digits are ASCII").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbouring_shards_of_one_creation_differ_as_at_aws() {
        let start = |shard| Sequence { created: 1_700_000_000, shard, index: 0, at: 1_700_000_000 };
        let (a, b) = (start(0).to_string(), start(1).to_string());
        assert_eq!(&a[..2], "49");
        let parts = |text: &str| (text[..18].parse::<i128>().unwrap(), text[18..].parse::<i128>().unwrap());
        let ((a_high, a_low), (b_high, b_low)) = (parts(&a), parts(&b));
        let borrow = i128::from(b_low < a_low);
        let low = b_low - a_low + borrow * 10i128.pow(38);
        // The difference that was observed at AWS between the starting numbers of neighbouring shards.
        assert_eq!(format!("{}{low:038}", b_high - a_high - borrow), "22300745198530623141535718272648361505980432");
    }

    #[test]
    fn what_is_not_one_is_refused() {
        for text in ["", "0", "5", "49", &"9".repeat(56), &"4".repeat(56), &"x".repeat(56)] {
            assert_eq!(Sequence::parse(text), Err(NotASequence), "{text}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(created in 1_400_000_000u64..2_500_000_000, shard in 0u32..1 << 31, index in 0u64..1 << 63, late in 0u64..1 << 20) {
            let sequence = Sequence { created, shard, index, at: created + late };
            let text = sequence.to_string();
            prop_assert_eq!(text.len(), 56);
            prop_assert!(text.starts_with("49"));
            prop_assert_eq!(Sequence::parse(&text), Ok(sequence));
        }

        #[test]
        fn they_grow_with_the_index_whatever_the_clock_does(index in 0u64..1 << 40, early in 0u64..100, late in 0u64..100) {
            let one = |index, at| Sequence { created: 1_700_000_000, shard: 7, index, at: 1_700_000_000 + at }.to_string();
            prop_assert!(one(index, late) < one(index + 1, early));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[0-9]{56}") {
            if let Ok(sequence) = Sequence::parse(&text) {
                prop_assert_eq!(sequence.to_string(), text);
            }
        }
    }
}
