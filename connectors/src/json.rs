//! JSON as it was written: numbers keep their digits, equal keys are refused, depth is bounded.
//!
//! A general parser turns `100.10` into a float and lets the last of two equal keys win. Both lose
//! money, so amounts are read from the raw token here.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Deepest nesting that is read.
pub const DEPTH_MAX: usize = 64;

/// Most documents in one text, one behind the other.
pub const DOCUMENTS_MAX: usize = 10_000;

/// A JSON value that borrows from its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, in the order of writing.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// What was expected or refused.
    pub what: &'static str,
    /// Offset in bytes.
    pub at: usize,
}

impl<'a> Json<'a> {
    /// Reads one value and nothing after it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, JsonError> {
        let mut parser = Parser::new(raw)?;
        let value = parser.value(0)?;
        parser.end()?;
        Ok(value)
    }

    /// Reads one value, or several objects one behind the other, as some senders write them; the elements
    /// of a top-level array come singly. Each has its bytes.
    pub fn entries(raw: &'a [u8]) -> Result<Vec<(Range<usize>, Json<'a>)>, JsonError> {
        let mut parser = Parser::new(raw)?;
        parser.blanks();
        let mut entries = Vec::new();
        if parser.peek() == Some(b'[') {
            parser.at += 1;
            parser.sequence(b']', |parser| {
                parser.blanks();
                let start = parser.at;
                let value = parser.value(1)?;
                entries.push((start..parser.at, value));
                Ok(())
            })?;
        } else {
            loop {
                if entries.len() >= DOCUMENTS_MAX {
                    return parser.fail("too many documents");
                }
                let start = parser.at;
                let value = parser.value(0)?;
                entries.push((start..parser.at, value));
                parser.blanks();
                if parser.peek() != Some(b'{') {
                    break;
                }
            }
        }
        parser.end()?;
        Ok(entries)
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        if let Json::Object(members) = self { members.iter().find(|(n, _)| n == name).map(|(_, v)| v) } else { None }
    }

    /// The member `name`, whatever the case of its letters.
    #[must_use]
    pub fn get_any_case(&self, name: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The member reached by names with dots between them.
    #[must_use]
    pub fn path(&self, path: &str) -> Option<&Json<'a>> {
        match path.split_once('.') {
            None => self.get(path),
            Some((name, rest)) => self.get(name)?.path(rest),
        }
    }

    /// The text, if it is some.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }

    /// Text or the digits of a number: what identifies a row may be either.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Number(digits) => Some(digits),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// A whole number, written as number or as text.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        self.scalar()?.trim().parse().ok()
    }

    /// The elements of an array, none for anything else.
    #[must_use]
    pub fn elements(&self) -> &[Json<'a>] {
        if let Json::Array(elements) = self { elements } else { &[] }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(raw: &'a [u8]) -> Result<Self, JsonError> {
        let text =
            std::str::from_utf8(raw).map_err(|e| JsonError { what: "text is not utf-8", at: e.valid_up_to() })?;
        Ok(Parser { text, at: 0 })
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, JsonError> {
        Err(JsonError { what, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { self.fail("text after the value") }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        if depth > DEPTH_MAX {
            return self.fail("nesting is too deep");
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                self.at += 1;
                let mut elements = Vec::new();
                self.sequence(b']', |parser| {
                    elements.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::Array(elements))
            }
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) | None => self.fail("a value was expected"),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            self.fail("a value was expected")
        }
    }

    /// Reads items with commas between them up to `close`; the opening bracket is behind us.
    fn sequence(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(c) if c == close => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) | None => return self.fail("a comma or a closing bracket was expected"),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        /// Above this many members a set is cheaper than looking through the list.
        const LINEAR_MAX: usize = 24;
        /// Room for this many, so that most objects never move.
        const MEMBERS_USUAL: usize = 12;
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(MEMBERS_USUAL);
        let mut names: HashSet<Cow<'a, str>> = HashSet::new();
        self.sequence(b'}', |parser| {
            parser.blanks();
            if parser.peek() != Some(b'"') {
                return parser.fail("a member name was expected");
            }
            let name = parser.string()?;
            if members.len() == LINEAR_MAX {
                names.extend(members.iter().map(|(n, _)| n.clone()));
            }
            let is_repeated = if members.len() >= LINEAR_MAX {
                !names.insert(name.clone())
            } else {
                members.iter().any(|(n, _)| *n == name)
            };
            if is_repeated {
                return parser.fail("a member name stands twice");
            }
            parser.blanks();
            if parser.peek() != Some(b':') {
                return parser.fail("a colon was expected");
            }
            parser.at += 1;
            let value = parser.value(depth + 1)?;
            members.push((name, value));
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return self.fail("a number was expected");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.fail("a digit was expected");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fail("a digit was expected");
            }
        }
        Ok(Json::Number(&self.text[start..self.at]))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
        self.at = start + plain;
        match rest.get(plain) {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(&self.text[start..start + plain]))
            }
            Some(b'\\') => self.escaped(start),
            Some(_) => self.fail("a control character in a string"),
            None => self.fail("a string has no end"),
        }
    }

    /// The rest of a string that has an escape in it.
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut text = self.text[start..self.at].to_owned();
        let mut plain = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    text.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    text.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    text.push(self.escape()?);
                    plain = self.at;
                }
                Some(0..=0x1f) => return self.fail("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("a string has no end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(letter) = self.peek() else { return self.fail("a string has no end") };
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return self.fail("an unknown escape"),
        })
    }

    fn code_point(&mut self) -> Result<char, JsonError> {
        let high = self.unit()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).map_or_else(|| self.fail("a lone surrogate"), Ok);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return self.fail("a lone surrogate");
        }
        self.at += 2;
        let low = self.unit()?;
        if !(0xdc00..0xe000).contains(&low) {
            return self.fail("a lone surrogate");
        }
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        char::from_u32(code).map_or_else(|| self.fail("a lone surrogate"), Ok)
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let is_hex = digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
        if !is_hex {
            return self.fail("four hex digits were expected");
        }
        let value = u32::from_str_radix(&self.text[self.at..self.at + 4], 16);
        self.at += 4;
        value.or_else(|_| self.fail("four hex digits were expected"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_text_is_unescaped() {
        let raw = r#" {"a":100.10,"b":123456789012345678901234,"c":"x\n\u00e4\ud83d\ude00","d":[true,null]} "#;
        let json = Json::parse(raw.as_bytes()).unwrap();
        assert_eq!(json.get("a"), Some(&Json::Number("100.10")));
        assert_eq!(json.get("b").unwrap().scalar(), Some("123456789012345678901234"));
        assert_eq!(json.get("c").unwrap().text(), Some("x\nä😀"));
        assert_eq!(json.get("d").unwrap().elements(), &[Json::Bool(true), Json::Null]);
        assert_eq!(json.get_any_case("A"), Some(&Json::Number("100.10")));
    }

    #[test]
    fn hostile_texts_are_refused() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(deep(DEPTH_MAX + 1).as_bytes()).is_ok());
        assert!(Json::parse(deep(DEPTH_MAX + 2).as_bytes()).is_err());
        assert!(Json::parse(deep(100_000).as_bytes()).is_err());
        let many = |n: usize| (0..n).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(",");
        assert!(Json::parse(format!("{{{}}}", many(100)).as_bytes()).is_ok());
        assert!(Json::parse(format!("{{{},\"k3\":2}}", many(100)).as_bytes()).is_err());
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "01",
            "1.",
            "-",
            "1e",
            "nul",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\x\"",
            "\"a\nb\"",
            "{} {}",
            "\"\\u12\"",
            "NaN",
            "{a:1}",
        ] {
            assert!(Json::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Json::parse(&[b'"', 0xff, b'"']).is_err());
    }

    #[test]
    fn entries_come_with_their_bytes() {
        let raw = br#" [ {"a":1} , null ] "#;
        let entries = Json::entries(raw).unwrap();
        assert_eq!(&raw[entries[0].0.clone()], br#"{"a":1}"#);
        assert_eq!(entries[1].1, Json::Null);
        assert_eq!(Json::entries(b"{}").unwrap().len(), 1);
        let behind = Json::entries(b"{\"a\":1}{} \n{}").unwrap();
        assert_eq!(behind.iter().map(|(range, _)| range.clone()).collect::<Vec<_>>(), [0..7, 7..9, 11..13]);
        for bad in [&b"{} x"[..], b"{},{}", b"{}[]", b"{}{", b"[]{}"] {
            assert!(Json::entries(bad).is_err());
        }
        assert!(Json::entries(b"[]").unwrap().is_empty());
    }
}
