//! Fast primitives for codecs: a borrowing JSON scanner, base64 straight into a buffer, integer and text writers.
//!
//! The generic JSON codec stands on the same scanner as the hot codecs, so there is one idea of what JSON is.

use base64_simd::{AsOut, STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;

/// JSON nested deeper than this is refused: recursion must end somewhere.
pub const MAX_DEPTH: usize = 100;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request body is not valid JSON: {what} at byte {at}")]
pub struct Broken {
    what: &'static str,
    at: usize,
}

/// What comes next in a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    Text,
    /// A digit or `-`.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// Walks through a JSON text without building a tree. Borrows texts that hold no escapes.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// Starts. JSON is UTF-8 or it is nothing, which is judged string by string: anything but ASCII is only in strings.
    pub fn new(bytes: &'a [u8]) -> Scanner<'a> {
        Scanner { bytes, at: 0, depth: 0 }
    }

    fn broken<T>(&self, what: &'static str) -> Result<T, Broken> {
        Err(Broken { what, at: self.at })
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.byte() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str) -> Result<(), Broken> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.broken("unknown word")
        }
    }

    /// What the next value is; it is not consumed.
    pub fn peek(&mut self) -> Result<Next, Broken> {
        self.space();
        match self.byte() {
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::Array),
            Some(b'"') => Ok(Next::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'n') => Ok(Next::Null),
            Some(_) => self.broken("unexpected character"),
            None => self.broken("unexpected end"),
        }
    }

    /// Enters an object; then [`Scanner::next_key`] until it gives `None`.
    pub fn object(&mut self) -> Result<(), Broken> {
        self.enter(b'{')
    }

    /// Enters an array; then [`Scanner::next_item`] until it gives `false`.
    pub fn array(&mut self) -> Result<(), Broken> {
        self.enter(b'[')
    }

    fn enter(&mut self, bracket: u8) -> Result<(), Broken> {
        self.space();
        if self.depth == MAX_DEPTH {
            return self.broken("nested too deeply");
        }
        if !self.take(bracket) {
            return self.broken("unexpected character");
        }
        self.depth += 1;
        Ok(())
    }

    /// The next key of the object, the colon behind it consumed; `None` at its end, which is consumed.
    /// `first` must be true for the first call of each object.
    pub fn next_key(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>, Broken> {
        if !self.more(first, b'}')? {
            return Ok(None);
        }
        let key = self.string()?;
        self.space();
        if self.take(b':') { Ok(Some(key)) } else { self.broken("expected a colon") }
    }

    /// Whether the array has another item; its end is consumed. `first` as for [`Scanner::next_key`].
    pub fn next_item(&mut self, first: &mut bool) -> Result<bool, Broken> {
        self.more(first, b']')
    }

    fn more(&mut self, first: &mut bool, bracket: u8) -> Result<bool, Broken> {
        self.space();
        if self.take(bracket) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(false);
        }
        if !std::mem::take(first) {
            if !self.take(b',') {
                return self.broken("expected a comma or the end");
            }
            self.space();
        }
        Ok(true)
    }

    /// A text, borrowed where it holds no escapes.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Broken> {
        self.space();
        let start = self.at;
        if !self.take(b'"') {
            return self.broken("expected a string");
        }
        let mut escaped = false;
        loop {
            self.at += plain_run(&self.bytes[self.at..]);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // What follows is judged by the unescaping below; here it must only not end the text.
                    self.at = (self.at + 2).min(self.bytes.len());
                }
                Some(_) => return self.broken("control character in a string"),
                None => return self.broken("unexpected end"),
            }
        }
        self.at += 1;
        let inside = start + 1..self.at - 1;
        let text = std::str::from_utf8(&self.bytes[inside.clone()])
            .map_err(|error| Broken { what: "not UTF-8", at: inside.start + error.valid_up_to() })?;
        if !escaped {
            return Ok(Cow::Borrowed(text));
        }
        match serde_json::from_slice::<String>(&self.bytes[start..self.at]) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => Err(Broken { what: "invalid escape", at: start }),
        }
    }

    /// What is between two quotes, where it is base64, strictly: found and judged in two fast passes. Nothing where it is
    /// not (and then the scanner stands somewhere: give up and decode the other way).
    pub fn base64(&mut self) -> Option<Base64<'a>> {
        self.space();
        if !self.take(b'"') {
            return None;
        }
        let rest = &self.bytes[self.at..];
        // No escape is in the alphabet, so the first quote is the end or the text is not base64.
        let end = memchr::memchr(b'"', rest)?;
        self.at += end + 1;
        Base64::new(&rest[..end])
    }

    /// A text without escapes, or nothing (and then the scanner stands somewhere: give up and decode the other way).
    pub fn plain_string(&mut self) -> Option<&'a str> {
        match self.string() {
            Ok(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    /// A number, as written.
    pub fn number(&mut self) -> Result<&'a str, Broken> {
        self.space();
        let start = self.at;
        let _ = self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return self.broken("not a number");
        }
        if self.take(b'.') && self.digits() == 0 {
            return self.broken("not a number");
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return self.broken("not a number");
            }
        }
        Ok(std::str::from_utf8(&self.bytes[start..self.at]).expect("digits and signs are ASCII"))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Broken> {
        self.space();
        if self.byte() == Some(b't') { self.word("true").map(|()| true) } else { self.word("false").map(|()| false) }
    }

    /// `null`
    pub fn null(&mut self) -> Result<(), Broken> {
        self.space();
        self.word("null")
    }

    /// Consumes the next value, whatever it is.
    pub fn skip(&mut self) -> Result<(), Broken> {
        let mut first = true;
        match self.peek()? {
            Next::Object => {
                self.object()?;
                while self.next_key(&mut first)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            Next::Array => {
                self.array()?;
                while self.next_item(&mut first)? {
                    self.skip()?;
                }
                Ok(())
            }
            Next::Text => self.string().map(drop),
            Next::Number => self.number().map(drop),
            Next::True | Next::False => self.boolean().map(drop),
            Next::Null => self.null(),
        }
    }

    /// Refuses anything but white space behind the value.
    pub fn end(&mut self) -> Result<(), Broken> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.broken("more behind the end") }
    }
}

/// How many bytes from the start are neither quote, backslash nor control character. Most texts are keys and names of a few
/// bytes, looked through a word at a time; the loop over a long text is one that the compiler turns into SIMD.
fn plain_run(bytes: &[u8]) -> usize {
    const WORD: usize = 8;
    const SHORT: usize = 4 * WORD;
    const STEP: usize = 32;
    let special = |b: u8| (b == b'"') | (b == b'\\') | (b < 0x20);
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<WORD>() {
        let found = first_special(u64::from_le_bytes(*word));
        at += found;
        if found < WORD {
            return at;
        }
        if at >= SHORT {
            for chunk in bytes[at..].chunks_exact(STEP) {
                if chunk.iter().fold(false, |any, &b| any | special(b)) {
                    break;
                }
                at += STEP;
            }
        }
    }
    at + bytes[at..].iter().position(|&b| special(b)).unwrap_or(bytes.len() - at)
}

/// The place of the first byte of a word that is quote, backslash or control character; 8 where there is none. The tests
/// may take a byte behind a special one for special, never one before it.
fn first_special(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    ((is(b'"') | is(b'\\') | below(word, 0x20)).trailing_zeros() / 8) as usize
}

/// Decodes base64 as AWS takes it: the standard alphabet, padded or not.
pub fn base64_decode(text: &[u8]) -> Option<Bytes> {
    if let Ok(bytes) = STANDARD.decode_to_vec(text) {
        return Some(bytes.into());
    }
    base64_simd::forgiving_decode_to_vec(text).ok().map(Bytes::from)
}

/// A text that is known to be base64: the standard alphabet, padded, no white space.
#[derive(Debug, Clone, Copy)]
pub struct Base64<'a> {
    text: &'a [u8],
    len: usize,
}

impl<'a> Base64<'a> {
    /// Judges a text; nothing where it is not base64.
    pub fn new(text: &'a [u8]) -> Option<Base64<'a>> {
        STANDARD.check(text).ok()?;
        Some(Base64 { text, len: STANDARD.decoded_length(text).ok()? })
    }

    /// How many bytes it stands for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it stands for none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the bytes it stands for. There should be room for them already.
    pub fn decode_into(&self, out: &mut Vec<u8>) {
        STANDARD.decode_append(self.text, out).expect("the text has been judged");
    }
}

/// Appends base64, padded. There should be room for it already.
pub fn base64_append(bytes: &[u8], out: &mut Vec<u8>) {
    STANDARD.encode_append(bytes, out);
}

/// Appends base64, padded.
pub fn base64_encode_into(bytes: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.resize(start + STANDARD.encoded_length(bytes.len()), 0);
    let _ = STANDARD.encode(bytes, out[start..].as_out());
}

/// Appends an integer in decimal.
pub fn integer_into(value: i64, out: &mut impl BufMut) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
}

/// Appends seconds since the epoch with as much of a fraction as there is: how AWS's JSON writes time.
pub fn epoch_into(time: names::Timestamp, out: &mut impl BufMut) {
    let micros = time.micros();
    if micros < 0 {
        out.put_u8(b'-');
    }
    integer_into((micros.unsigned_abs() / 1_000_000) as i64, out);
    let mut fraction = micros.unsigned_abs() % 1_000_000;
    if fraction != 0 {
        out.put_u8(b'.');
        let mut unit = 100_000;
        while fraction != 0 {
            out.put_u8(b'0' + (fraction / unit) as u8);
            fraction %= unit;
            unit /= 10;
        }
    }
}

/// Appends a text as a JSON string, quotes included.
pub fn string_into(text: &str, out: &mut impl BufMut) {
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_run(rest);
        out.put_slice(&rest[..plain]);
        let Some(&special) = rest.get(plain) else { break };
        match special {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\u00");
                out.put_u8(HEX[usize::from(control >> 4)]);
                out.put_u8(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(bytes: &[u8]) -> bool {
        let mut scanner = Scanner::new(bytes);
        scanner.skip().and_then(|()| scanner.end()).is_ok()
    }

    #[test]
    fn json_and_nothing_else() {
        for good in ["{}", " [1, -0.5e+3, \"a\\u00e9\\n\", null, true, {\"a\": []}] ", "\"\\ud83d\\ude00\"", "0"] {
            assert!(accepts(good.as_bytes()), "{good}");
        }
        for bad in
            ["", "{", "{,}", "[1,]", "{\"a\" 1}", "01", "1.", "-", "tru", "\"\n\"", "\"\\x\"", "\"\\", "[1 2]", "{}x"]
        {
            assert!(!accepts(bad.as_bytes()), "{bad}");
        }
        assert!(!accepts(b"\"\xff\"") && !accepts(b"\"\\\xff\"") && !accepts(b"\xff"));
        assert!(!accepts("\"\\é\"".as_bytes()) && accepts("\"é\\n\"".as_bytes()));
        assert!(accepts(&[vec![b'['; MAX_DEPTH], vec![b']'; MAX_DEPTH]].concat()));
        assert!(!accepts(&[vec![b'['; MAX_DEPTH + 1], vec![b']'; MAX_DEPTH + 1]].concat()));
    }

    proptest! {
        #[test]
        fn a_plain_run_ends_at_the_first_special_byte(
            bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'"'), 0x1eu8..0x24, 0x5au8..0x5e, 0x7fu8..], 0..12),
            before in 0usize..100,
        ) {
            let text = [vec![b'x'; before], bytes].concat();
            let special = |b: &u8| *b == b'"' || *b == b'\\' || *b < 0x20;
            prop_assert_eq!(plain_run(&text), text.iter().position(special).unwrap_or(text.len()));
        }
    }

    #[test]
    fn numbers_and_times_are_written() {
        let mut out = BytesMut::new();
        for n in [0, 7, -1, i64::MAX, i64::MIN] {
            integer_into(n, &mut out);
            out.put_u8(b' ');
        }
        for us in [1_500_000, -1_500_000, 2_000_000, 1, 123_456_789] {
            epoch_into(names::Timestamp(us), &mut out);
            out.put_u8(b' ');
        }
        let expected = "0 7 -1 9223372036854775807 -9223372036854775808 1.5 -1.5 2 0.000001 123.456789 ";
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }

    #[test]
    fn base64_padded_or_not() {
        for text in ["aGk=", "aGk"] {
            assert_eq!(base64_decode(text.as_bytes()).as_deref(), Some(&b"hi"[..]));
        }
        assert_eq!(base64_decode(b"a"), None);
        assert_eq!(base64_decode(b"=+/="), None);
        let mut out = b"x".to_vec();
        let mut scanner = Scanner::new(b" \"aGk=\" , \"\"");
        let found = scanner.base64().unwrap();
        found.decode_into(&mut out);
        assert_eq!((&out[..], found.len()), (&b"xhi"[..], 2));
        for odd in ["\"aGk\"", "\"!!!!\"", "\"aGk=", "aGk=", "\"aG\\/=\"", "\"aGl=\"", "\"aG k\""] {
            assert!(Scanner::new(odd.as_bytes()).base64().is_none(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_any_text(text in "[\\[\\]{}\",:0-9eE.+\\-tfn\\\\u \\PC]{0,24}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json refuses numbers out of f64's range, which is a limit of values and not of JSON.
            if !theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range")) {
                prop_assert_eq!(accepts(text.as_bytes()), theirs.is_ok());
            }
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let mut out = BytesMut::new();
            string_into(&text, &mut out);
            let mut scanner = Scanner::new(&out);
            prop_assert_eq!(scanner.string().unwrap(), text.as_str());
            prop_assert!(scanner.end().is_ok());
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            accepts(&bytes);
            base64_decode(&bytes);
        }

        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = BytesMut::new();
            base64_encode_into(&bytes, &mut text);
            let mut same = Vec::new();
            base64_append(&bytes, &mut same);
            prop_assert_eq!(&same[..], &text[..]);
            let (found, mut out) = (Base64::new(&text).unwrap(), Vec::new());
            found.decode_into(&mut out);
            prop_assert_eq!((&out[..], found.len(), found.is_empty()), (&bytes[..], bytes.len(), bytes.is_empty()));
        }
    }
}
