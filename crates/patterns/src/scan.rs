//! One pass over an event's text that reads the places asked for and steps over everything else.

use crate::event::EventError;
use crate::finds::Finds;
use crate::json::{Fault, Reader};
use crate::limits::DEPTH_MAX;
use crate::paths::{Paths, PlaceId, ROOT};
use crate::value::Value;

/// Why a scan ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The text is no event.
    Invalid(EventError),
    /// A name that is asked for is repeated or written with dots: the event must be taken apart whole to tell what counts.
    Odd,
}

impl Stop {
    fn invalid(why: &str) -> Stop {
        Stop::Invalid(EventError::Json(why.to_owned()))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Invalid(EventError::Json(fault.reason))
    }
}

/// Finds what an event holds at the places. The text is trusted to be JSON where nothing is asked for; one that is not
/// gives an error or some answer.
pub(crate) fn scan(text: &str, paths: &Paths, finds: &mut Finds) -> Result<(), Stop> {
    if u32::try_from(text.len()).is_err() {
        return Err(Stop::invalid("the event is larger than any service takes"));
    }
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0, depth: 1, paths, finds };
    scan.skip_space();
    if scan.peek() != b'{' {
        return Err(Stop::Invalid(EventError::NotObject));
    }
    scan.at += 1;
    scan.object(ROOT)?;
    scan.skip_space();
    if scan.at < scan.bytes.len() { Err(Stop::invalid("text after the object")) } else { Ok(()) }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Objects and arrays that are open.
    depth: usize,
    paths: &'a Paths,
    finds: &'a mut Finds,
}

/// A string between its quotes.
struct Raw {
    start: usize,
    end: usize,
    /// Whether it has a backslash.
    escaped: bool,
}

impl Scan<'_> {
    /// The next byte, or zero at the end: no JSON holds one.
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    fn deeper(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Stop::invalid("nested too deeply")) } else { Ok(()) }
    }

    /// Reads an object after its brace.
    fn object(&mut self, place: PlaceId) -> Result<(), Stop> {
        let object = self.finds.object();
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() != b'"' {
                return Err(Stop::invalid("expected a name"));
            }
            self.at += 1;
            let name = self.string()?;
            self.skip_space();
            if self.peek() != b':' {
                return Err(Stop::invalid("expected a colon"));
            }
            self.at += 1;
            self.skip_space();
            match self.named(place, &name)? {
                Some(below) if self.finds.is_repeated(below, object) => return Err(Stop::Odd),
                Some(below) => self.value(below)?,
                None => self.skip_value()?,
            }
            self.skip_space();
            self.at += 1;
            match self.bytes.get(self.at - 1) {
                Some(b',') => {}
                Some(b'}') => return Ok(()),
                _ => return Err(Stop::invalid("expected a comma or the end of the object")),
            }
        }
    }

    /// The place a name leads to, if it is asked for.
    fn named(&self, place: PlaceId, name: &Raw) -> Result<Option<PlaceId>, Stop> {
        let raw = &self.bytes[name.start..name.end];
        if name.escaped {
            let name = unescape(&self.text[name.start - 1..])?;
            return self.dotted(place, name.as_bytes()).map_or(Ok(None), |_| Err(Stop::Odd));
        }
        match self.paths.below(place, raw) {
            None if self.paths.may_be_dotted(place, raw) && self.dotted(place, raw).is_some() => Err(Stop::Odd),
            found => Ok(found),
        }
    }

    fn dotted(&self, place: PlaceId, name: &[u8]) -> Option<PlaceId> {
        name.split(|byte| *byte == b'.').try_fold(place, |place, name| self.paths.below(place, name))
    }

    /// Reads the value at a place.
    fn value(&mut self, place: PlaceId) -> Result<(), Stop> {
        match self.peek() {
            b'{' if self.paths.has_below(place) => {
                self.at += 1;
                self.deeper()?;
                self.object(place)?;
                self.depth -= 1;
                Ok(())
            }
            b'[' => self.array(place),
            b'{' => self.skip_value(),
            _ if self.paths.asked(place) => self.scalar(place),
            _ => self.skip_value(),
        }
    }

    fn array(&mut self, place: PlaceId) -> Result<(), Stop> {
        self.at += 1;
        self.deeper()?;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() == b'{' && self.paths.has_below(place) {
                let outer = self.finds.enter(place);
                self.value(place)?;
                self.finds.leave(outer);
            } else {
                self.value(place)?;
            }
            self.skip_space();
            self.at += 1;
            match self.bytes.get(self.at - 1) {
                Some(b',') => {}
                Some(b']') => break,
                _ => return Err(Stop::invalid("expected a comma or the end of the array")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn scalar(&mut self, place: PlaceId) -> Result<(), Stop> {
        let start = self.at;
        match self.peek() {
            b'"' => {
                self.at += 1;
                let raw = self.string()?;
                if raw.escaped {
                    let text = unescape(&self.text[start..])?;
                    self.finds.value(place, Value::String(&text));
                } else {
                    self.finds.part(place, raw.start, raw.end, None);
                }
            }
            b'-' | b'0'..=b'9' => {
                self.skip_word();
                let digits = &self.text[start..self.at];
                if !is_number(digits.as_bytes()) {
                    return Err(Stop::invalid("not a number"));
                }
                self.finds.part(place, start, self.at, Some(digits));
            }
            _ => {
                self.skip_word();
                let value = match &self.bytes[start..self.at] {
                    b"true" => Value::True,
                    b"false" => Value::False,
                    b"null" => Value::Null,
                    _ => return Err(Stop::invalid("expected a value")),
                };
                self.finds.value(place, value);
            }
        }
        Ok(())
    }

    /// Reads a string after its opening quote.
    fn string(&mut self) -> Result<Raw, Stop> {
        let (start, mut escaped) = (self.at, false);
        loop {
            self.at = quote_or_backslash(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(_) => {
                    escaped = true;
                    self.at += 2;
                }
                None => return Err(Stop::invalid("a string does not end")),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(Raw { start, end, escaped })
    }

    fn skip_word(&mut self) {
        while matches!(self.peek(), b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'+' | b'E') {
            self.at += 1;
        }
    }

    fn skip_value(&mut self) -> Result<(), Stop> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.string().map(|_| ())
            }
            b'{' | b'[' => self.skip_nested(),
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                self.skip_word();
                Ok(())
            }
            _ => Err(Stop::invalid("expected a value")),
        }
    }

    /// Steps over an object or array.
    fn skip_nested(&mut self) -> Result<(), Stop> {
        let outside = self.depth;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') => self.deeper()?,
                Some(b'}' | b']') => self.depth -= 1,
                Some(_) => {}
                None => return Err(Stop::invalid("an object or array does not end")),
            }
            self.at += 1;
            if self.depth == outside {
                return Ok(());
            }
        }
    }
}

/// The string whose opening quote a text begins with, without its escapes.
fn unescape(text: &str) -> Result<String, Fault> {
    let mut reader = Reader::new(text);
    reader.next()?;
    Ok(reader.text()?.to_owned())
}

/// Where the next quote or backslash is: sixteen bytes at a time, as most strings are shorter.
#[inline(always)]
fn quote_or_backslash(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u128 = u128::MAX / 0xFF;
    const TOPS: u128 = ONES * 0x80;
    // The lowest top bit set marks the first byte that is zero.
    let zero = |word: u128| word.wrapping_sub(ONES) & !word & TOPS;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let word = u128::from_le_bytes(*chunk);
        let found = zero(word ^ (ONES * b'"' as u128)) | zero(word ^ (ONES * b'\\' as u128));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    while at < bytes.len() && !matches!(bytes[at], b'"' | b'\\') {
        at += 1;
    }
    at.min(bytes.len())
}

/// Whether a word is a number as JSON writes it.
fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> Option<&[u8]> {
        let count = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then(|| &word[count..])
    }
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    let Some(mut rest) = digits(unsigned) else { return false };
    if unsigned[0] == b'0' && unsigned.len() - rest.len() > 1 {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let Some(after) = digits(fraction) else { return false };
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return digits(exponent).is_some_and(<[u8]>::is_empty);
    }
    rest.is_empty()
}
