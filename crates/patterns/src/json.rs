//! A pull reader of JSON that stands, at each token, where AWS's own parser stands: a refused text is answered with
//! the line and column AWS gives, and a number keeps the digits it was written with.

use crate::limits::DEPTH_MAX;

const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, in the words of AWS's parser.
    pub reason: String,
    /// Byte offset of the place to name, where AWS names one.
    pub at: Option<usize>,
    /// AWS wraps errors found in lists of anything-but a second time, so their place is printed twice.
    pub(crate) twice: bool,
}

impl Fault {
    /// A refusal for which AWS names no place.
    pub(crate) fn nowhere(reason: impl Into<String>) -> Fault {
        Fault { reason: reason.into(), at: None, twice: false }
    }
}

/// What the reader met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    /// A field; `name` gives its name.
    Field,
    /// A string, read no further than its opening quote until `text` is called.
    String,
    /// A number; `text` gives its digits.
    Number,
    True,
    False,
    Null,
    /// The end of the text.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Object { start: usize, entered: bool },
    Array { start: usize, entered: bool },
}

/// The reader.
pub(crate) struct Reader<'a> {
    source: &'a str,
    at: usize,
    frames: Vec<Frame>,
    pending: Option<Token>,
    /// The string the reader stands in: only its opening quote was read.
    unread: bool,
    name: String,
    text: String,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str) -> Reader<'a> {
        Reader {
            source,
            at: 0,
            frames: Vec::new(),
            pending: None,
            unread: false,
            name: String::new(),
            text: String::new(),
        }
    }

    /// A refusal at the place where the reader stands.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { reason: reason.into(), at: Some(self.at), twice: false }
    }

    /// The next token. After a field's name the first token of its value is read ahead, as AWS's parser does.
    pub(crate) fn next(&mut self) -> Result<Token, Fault> {
        if let Some(token) = self.pending.take() {
            return Ok(token);
        }
        if self.unread {
            self.read_string()?;
        }
        self.skip_space();
        match self.frames.last().copied() {
            Some(Frame::Object { entered, .. }) => self.next_in_object(entered),
            Some(Frame::Array { entered, .. }) => self.next_in_array(entered),
            None if self.peek().is_none() => Ok(Token::End),
            None => self.value(),
        }
    }

    /// The name of the field just met.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text of the string or the digits of the number just met.
    pub(crate) fn text(&mut self) -> Result<&str, Fault> {
        if self.unread {
            self.read_string()?;
        }
        Ok(&self.text)
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn next_in_object(&mut self, entered: bool) -> Result<Token, Fault> {
        if self.peek() == Some(b'}') {
            return self.close(Token::ObjectEnd);
        }
        if entered {
            self.comma("Object")?;
        }
        self.enter();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("was expecting double-quote to start field name"));
        }
        self.at += 1;
        self.read_string()?;
        self.name = std::mem::take(&mut self.text);
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("was expecting a colon to separate field name and value"));
        }
        self.at += 1;
        self.skip_space();
        self.pending = Some(self.value()?);
        Ok(Token::Field)
    }

    fn next_in_array(&mut self, entered: bool) -> Result<Token, Fault> {
        if self.peek() == Some(b']') {
            return self.close(Token::ArrayEnd);
        }
        if entered {
            self.comma("Array")?;
        }
        self.enter();
        self.value()
    }

    fn enter(&mut self) {
        if let Some(Frame::Object { entered, .. } | Frame::Array { entered, .. }) = self.frames.last_mut() {
            *entered = true;
        }
    }

    fn close(&mut self, token: Token) -> Result<Token, Fault> {
        self.at += 1;
        self.frames.pop();
        Ok(token)
    }

    fn comma(&mut self, what: &str) -> Result<(), Fault> {
        if self.peek() != Some(b',') {
            return Err(self.unexpected(&format!("was expecting comma to separate {what} entries")));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn value(&mut self) -> Result<Token, Fault> {
        match self.peek() {
            Some(b'{') => self.open(Frame::Object { start: self.at, entered: false }, Token::ObjectStart),
            Some(b'[') => self.open(Frame::Array { start: self.at, entered: false }, Token::ArrayStart),
            Some(b'"') => {
                self.at += 1;
                self.unread = true;
                Ok(Token::String)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b) if b.is_ascii_alphabetic() || b == b'_' || b == b'$' => self.word(),
            _ => Err(self.unexpected(&format!("expected a valid value {VALUES}"))),
        }
    }

    fn open(&mut self, frame: Frame, token: Token) -> Result<Token, Fault> {
        self.at += 1;
        if self.frames.len() == DEPTH_MAX {
            return Err(self.fault(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({DEPTH_MAX})",
                DEPTH_MAX + 1
            )));
        }
        self.frames.push(frame);
        Ok(token)
    }

    fn word(&mut self) -> Result<Token, Fault> {
        let rest = &self.source[self.at..];
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        let word = &rest[..len];
        self.at += len;
        match word {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            _ => Err(self.fault(format!("Unrecognized token '{word}': was expecting {VALUES}"))),
        }
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits()?;
        if self.at - first > 1 && self.source.as_bytes()[first] == b'0' {
            return Err(self.fault("Invalid numeric value: Leading zeroes not allowed"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text = self.source[start..self.at].to_owned();
        Ok(Token::Number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("expected digit (0-9) in a number")) } else { Ok(()) }
    }

    /// Reads the string after whose opening quote the reader stands.
    fn read_string(&mut self) -> Result<(), Fault> {
        self.unread = false;
        self.text.clear();
        loop {
            let rest = &self.source[self.at..];
            let Some(len) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') else {
                self.at = self.source.len();
                return Err(self.fault("Unexpected end-of-input: was expecting closing quote for a string value"));
            };
            self.text.push_str(&rest[..len]);
            self.at += len + 1;
            match rest.as_bytes()[len] {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                code => {
                    self.at -= 1;
                    return Err(self.fault(format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to be included in string value"
                    )));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let Some(c) = self.source[self.at..].chars().next() else {
            return Err(self.fault("Unexpected end-of-input in character escape sequence"));
        };
        self.at += c.len_utf8();
        let plain = match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode()?,
            _ => return Err(self.fault(format!("Unrecognized character escape '{c}' (code {})", u32::from(c)))),
        };
        self.text.push(plain);
        Ok(())
    }

    /// The character of `\uXXXX`, or of two of them that are a surrogate pair; half a pair becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, Fault> {
        let high = self.hex4()?;
        if !(0xD800..0xDC00).contains(&high) || !self.source[self.at..].starts_with("\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let back = self.at;
        self.at += 2;
        let low = self.hex4()?;
        if (0xDC00..0xE000).contains(&low) {
            let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = back;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let code = self
            .source
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(code) = code else {
            return Err(self.unexpected("expected a hex-digit for character escape sequence"));
        };
        self.at += 4;
        Ok(code)
    }

    fn unexpected(&self, expected: &str) -> Fault {
        match self.source[self.at..].chars().next() {
            Some(c) => self.fault(format!("Unexpected character ('{c}' (code {})): {expected}", u32::from(c))),
            None => self.fault(self.end_of_input()),
        }
    }

    fn end_of_input(&self) -> String {
        let (what, start) = match self.frames.last() {
            Some(Frame::Object { start, .. }) => ("Object", *start),
            Some(Frame::Array { start, .. }) => ("Array", *start),
            None => return "Unexpected end-of-input".into(),
        };
        format!(
            "Unexpected end-of-input: expected close marker for {what} (start marker at {})",
            place(self.source, start)
        )
    }
}

/// Checks that a text is one JSON value, or any number of them one after another.
pub fn check(text: &str, several: bool) -> Result<(), Fault> {
    let mut reader = Reader::new(text);
    let mut values = 0;
    loop {
        match reader.next()? {
            Token::End if values == 1 || (several && values > 0) => return Ok(()),
            Token::End => return Err(reader.fault("expected one JSON value")),
            _ if reader.frames.is_empty() => values += 1,
            _ => {}
        }
    }
}

/// How AWS writes where in the text something was found.
pub fn place(source: &str, at: usize) -> String {
    // Longer sources are shown with their first 500 characters.
    const SHOWN_CHARS: usize = 500;
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].encode_utf16().count() + 1;
    let total = source.chars().count();
    let shown: String = source.chars().take(SHOWN_CHARS).collect();
    let cut = if total > SHOWN_CHARS { format!("[truncated {} chars]", total - SHOWN_CHARS) } else { String::new() };
    format!("[Source: (String)\"{shown}\"{cut}; line: {line}, column: {column}]")
}
