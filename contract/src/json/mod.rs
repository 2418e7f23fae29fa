//! A bounded pull parser for JSON (RFC 8259): no tree, no float, no recursion beyond a stated depth, and an error
//! that names the place. Why not serde_json in the filter: docs/adr/0002-pull-parser.md.
use std::borrow::Cow;

mod error;
mod escape;

pub use error::{Details, ParseError};
use escape::unescape;

/// How much of foreign bytes is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one document.
    pub bytes: usize,
    /// Nesting of objects and arrays.
    pub depth: usize,
    /// Members of one array.
    pub items: usize,
    /// Bytes of one string, as written.
    pub string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 16, items: 50_000, string: 4_096 }
    }
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A digit or `-`
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// Reads one document from front to back.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    limits: Limits,
}

/// Reads a member of an object; called with its key.
pub type Member<'r, 'a> = dyn FnMut(&mut Reader<'a>, &str) -> Result<(), ParseError> + 'r;
/// Reads an item of an array; called with its position.
pub type Item<'r, 'a> = dyn FnMut(&mut Reader<'a>, usize) -> Result<(), ParseError> + 'r;

impl<'a> Reader<'a> {
    /// Begins a document.
    ///
    /// # Errors
    /// It is longer than the limit, or no UTF-8.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.bytes {
            return Err(ParseError::at(String::new(), limits.bytes, "the document is longer than the limit"));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, at: 0, depth: 0, limits: *limits }),
            Err(error) => Err(ParseError::at(String::new(), error.valid_up_to(), "not UTF-8")),
        }
    }

    /// An error at the place reached.
    #[must_use]
    pub fn error(&self, what: impl Into<Cow<'static, str>>) -> ParseError {
        ParseError::at(String::new(), self.at, what)
    }

    /// Ends the document.
    ///
    /// # Errors
    /// Something other than white space follows.
    pub fn end(mut self) -> Result<(), ParseError> {
        match self.peek_byte() {
            None => Ok(()),
            Some(_) => Err(self.error("something follows the end of the document")),
        }
    }

    /// What the next value is.
    ///
    /// # Errors
    /// The document ends, or no value begins here.
    pub fn kind(&mut self) -> Result<Kind, ParseError> {
        Ok(match self.peek_byte() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            Some(_) => return Err(self.error("no value begins here")),
            None => return Err(self.error("the document ends in the middle")),
        })
    }

    /// Reads an object. `member` is called for each key and must read its value (or [`Reader::skip`] it).
    ///
    /// # Errors
    /// It is none, or is broken, or `member` says so.
    pub fn object(&mut self, member: &mut Member<'_, 'a>) -> Result<(), ParseError> {
        self.open(b'{', "expected an object")?;
        if self.take(b'}') {
            return self.close();
        }
        loop {
            if self.peek_byte() != Some(b'"') {
                return Err(self.error("expected a key"));
            }
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.error("expected a colon"));
            }
            member(self, &key).map_err(|error| error.within(&key))?;
            if self.take(b',') {
                continue;
            }
            if self.take(b'}') {
                return self.close();
            }
            return Err(self.error("expected a comma or the end of the object"));
        }
    }

    /// Reads an array. `item` is called at each item and must read it (or [`Reader::skip`] it).
    ///
    /// # Errors
    /// It is none, is broken, has more items than the limit, or `item` says so.
    pub fn array(&mut self, item: &mut Item<'_, 'a>) -> Result<(), ParseError> {
        self.open(b'[', "expected an array")?;
        if self.take(b']') {
            return self.close();
        }
        let mut position: usize = 0;
        loop {
            if position >= self.limits.items {
                return Err(self.error("the array has more items than the limit"));
            }
            item(self, position).map_err(|error| error.within(&format!("[{position}]")))?;
            position = position.saturating_add(1);
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                return self.close();
            }
            return Err(self.error("expected a comma or the end of the array"));
        }
    }

    /// Reads a string; borrowed unless it has escapes.
    ///
    /// # Errors
    /// It is none, is broken, or is longer than the limit.
    pub fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let (raw, escaped) = self.raw_string()?;
        if !escaped {
            return Ok(Cow::Borrowed(raw));
        }
        let start = self.at.saturating_sub(raw.len()).saturating_sub(1);
        unescape(raw, start).map(Cow::Owned)
    }

    /// Reads a whole number that is not negative.
    ///
    /// # Errors
    /// It is none, has a sign, a fraction or an exponent, or is over 2⁶⁴ − 1.
    pub fn u64(&mut self) -> Result<u64, ParseError> {
        if self.kind()? != Kind::Number {
            return Err(self.error("expected a number"));
        }
        let start = self.at;
        let text = self.number()?;
        match text.parse() {
            Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
            _ => Err(ParseError::at(
                String::new(),
                start,
                "expected a whole number from 0 to 18446744073709551615",
            )),
        }
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// It is neither.
    pub fn bool(&mut self) -> Result<bool, ParseError> {
        match self.kind()? {
            Kind::Bool if self.literal("true") => Ok(true),
            Kind::Bool if self.literal("false") => Ok(false),
            _ => Err(self.error("expected true or false")),
        }
    }

    /// Reads `null` if it is next; says whether it was.
    ///
    /// # Errors
    /// No value begins here.
    pub fn null(&mut self) -> Result<bool, ParseError> {
        Ok(self.kind()? == Kind::Null && self.literal("null"))
    }

    /// Reads over the next value, whatever it is.
    ///
    /// # Errors
    /// It is broken or nested deeper than the limit.
    pub fn skip(&mut self) -> Result<(), ParseError> {
        match self.kind()? {
            Kind::Object => self.object(&mut |reader, _| reader.skip()),
            Kind::Array => self.array(&mut |reader, _| reader.skip()),
            Kind::String => self.raw_string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Bool => self.bool().map(drop),
            Kind::Null if self.literal("null") => Ok(()),
            Kind::Null => Err(self.error("expected null")),
        }
    }

    /// What stands between the quotes, and whether it has escapes (whose form is checked).
    fn raw_string(&mut self) -> Result<(&'a str, bool), ParseError> {
        if !self.take(b'"') {
            return Err(self.error("expected a string"));
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        // Nearly all strings are plain up to their end: a loop that has nothing else to do.
        let plain = rest
            .bytes()
            .take(self.limits.string)
            .take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20))
            .count();
        if rest.as_bytes().get(plain) == Some(&b'"') {
            self.at = self.at.saturating_add(plain).saturating_add(1);
            return Ok((rest.get(..plain).unwrap_or_default(), false));
        }
        let mut bytes = rest.bytes().enumerate();
        let mut escaped = false;
        while let Some((offset, byte)) = bytes.next() {
            if offset > self.limits.string {
                return Err(self.error("the string is longer than the limit"));
            }
            match byte {
                b'"' => {
                    self.at = self.at.saturating_add(offset).saturating_add(1);
                    return Ok((rest.get(..offset).unwrap_or_default(), escaped));
                }
                b'\\' => {
                    escaped = true;
                    let good = match bytes.next().map(|(_, b)| b) {
                        Some(b'u') => {
                            (0..4).all(|_| bytes.next().is_some_and(|(_, b)| b.is_ascii_hexdigit()))
                        }
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
                        _ => false,
                    };
                    if !good {
                        self.at = self.at.saturating_add(offset);
                        return Err(self.error("no such escape"));
                    }
                }
                0..0x20 => {
                    self.at = self.at.saturating_add(offset);
                    return Err(self.error("a control character in a string"));
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        Err(self.error("the document ends within a string"))
    }

    /// Reads over a number; gives its text.
    fn number(&mut self) -> Result<&'a str, ParseError> {
        let start = self.at;
        self.next_if(|b| b == b'-');
        if !self.next_if(|b| b == b'0') && self.digits() == 0 {
            return Err(self.error("expected a digit"));
        }
        if self.next_if(|b| b == b'.') && self.digits() == 0 {
            return Err(self.error("expected a digit"));
        }
        if self.next_if(|b| matches!(b, b'e' | b'E')) {
            self.next_if(|b| matches!(b, b'+' | b'-'));
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
        }
        if self.next_if(|b| b.is_ascii_digit()) {
            return Err(self.error("a number with a leading zero"));
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.next_if(|b| b.is_ascii_digit()) {}
        self.at.saturating_sub(start)
    }

    fn next_if(&mut self, wanted: impl FnOnce(u8) -> bool) -> bool {
        let taken = self.text.as_bytes().get(self.at).copied().is_some_and(wanted);
        if taken {
            self.at = self.at.saturating_add(1);
        }
        taken
    }

    fn literal(&mut self, word: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at = self.at.saturating_add(word.len());
        }
        found
    }

    fn peek_byte(&mut self) -> Option<u8> {
        while self.next_if(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {}
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek_byte() == Some(byte);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn open(&mut self, byte: u8, expected: &'static str) -> Result<(), ParseError> {
        if self.depth >= self.limits.depth {
            return Err(self.error("nested deeper than the limit"));
        }
        if !self.take(byte) {
            return Err(self.error(expected));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ParseError> {
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}
