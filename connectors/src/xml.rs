//! XML within bounds: no document type, no entities of one's own, a limit on everything.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;

/// Most elements of a document.
pub const ELEMENTS_MAX: usize = 10_000;
/// Most attributes of an element.
pub const ATTRIBUTES_MAX: usize = 64;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 64;

/// An element with its children, its own text and the place where it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name, without namespace prefix.
    pub name: String,
    /// Text directly within it, trimmed.
    pub text: String,
    /// Children in the order of writing.
    pub children: Vec<Element>,
    /// The bytes it takes in the document.
    pub range: std::ops::Range<usize>,
}

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct XmlError {
    /// What was refused.
    pub what: &'static str,
    /// Offset in bytes.
    pub at: usize,
}

impl Element {
    /// The first child called `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// Every child called `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// Text of the first child called `name`.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.as_str())
    }

    /// Reads a document to its root element.
    pub fn parse(raw: &[u8]) -> Result<Element, XmlError> {
        let text = text_of_encoding(raw)?;
        let mut builder = Builder { stack: vec![Element::default()], count: 0 };
        let mut reader = Reader::from_str(&text);
        loop {
            let start = position(&reader);
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => builder.event(&event, start, position(&reader))?,
                Err(_) => return Err(XmlError { what: "text is not well-formed", at: start }),
            }
        }
        builder.root(text.len())
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// UTF-8, or ISO 8859-1 where the declaration says so.
fn text_of_encoding(raw: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    let error = match std::str::from_utf8(raw) {
        Ok(text) => return Ok(Cow::Borrowed(text)),
        Err(error) => error,
    };
    let head = String::from_utf8_lossy(&raw[..raw.len().min(120)]).to_lowercase();
    if head.contains("encoding=\"iso-8859-1\"") || head.contains("encoding='iso-8859-1'") {
        return Ok(Cow::Owned(raw.iter().map(|b| char::from(*b)).collect()));
    }
    Err(XmlError { what: "text is not in the encoding it declares", at: error.valid_up_to() })
}

struct Builder {
    /// Open elements; the first holds the root.
    stack: Vec<Element>,
    count: usize,
}

impl Builder {
    fn event(&mut self, event: &Event<'_>, start: usize, end: usize) -> Result<(), XmlError> {
        let fail = |what| Err(XmlError { what, at: start });
        match event {
            Event::Start(tag) => {
                self.open(tag, start)?;
                if self.stack.len() > DEPTH_MAX + 1 {
                    return fail("nesting is too deep");
                }
            }
            Event::Empty(tag) => {
                self.open(tag, start)?;
                self.close(end)?;
            }
            Event::End(_) => self.close(end)?,
            Event::Text(text) => self.top(start)?.text.push_str(text),
            Event::CData(text) => self.top(start)?.text.push_str(text),
            Event::GeneralRef(name) => {
                let Some(text) = entity(name) else { return fail("an unknown entity") };
                self.top(start)?.text.push_str(&text);
            }
            Event::DocType(_) => return fail("a document type is refused"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn open(&mut self, tag: &quick_xml::events::BytesStart<'_>, start: usize) -> Result<(), XmlError> {
        self.count += 1;
        if self.count > ELEMENTS_MAX {
            return Err(XmlError { what: "too many elements", at: start });
        }
        let mut attributes = 0;
        // Checking for equal names compares each with each, so the count comes first.
        for attribute in tag.attributes().with_checks(false) {
            attributes += 1;
            if attribute.is_err() || attributes > ATTRIBUTES_MAX {
                return Err(XmlError { what: "too many or broken attributes", at: start });
            }
        }
        let name = tag.local_name().into_inner().to_owned();
        self.stack.push(Element { name, range: start..start, ..Element::default() });
        Ok(())
    }

    fn top(&mut self, at: usize) -> Result<&mut Element, XmlError> {
        self.stack.last_mut().ok_or(XmlError { what: "text outside the document", at })
    }

    fn close(&mut self, end: usize) -> Result<(), XmlError> {
        let unmatched = XmlError { what: "an end without a start", at: end };
        if self.stack.len() < 2 {
            return Err(unmatched);
        }
        let mut element = self.stack.pop().ok_or(unmatched.clone())?;
        element.range.end = end;
        if element.text.trim().len() != element.text.len() {
            element.text = element.text.trim().to_owned();
        }
        self.stack.last_mut().ok_or(unmatched)?.children.push(element);
        Ok(())
    }

    fn root(mut self, at: usize) -> Result<Element, XmlError> {
        let mut document = self.stack.pop().ok_or(XmlError { what: "a document without a root", at })?;
        if !self.stack.is_empty() {
            return Err(XmlError { what: "an element has no end", at });
        }
        if !document.text.trim().is_empty() {
            return Err(XmlError { what: "text outside the root", at });
        }
        match (document.children.pop(), document.children.is_empty()) {
            (Some(root), true) => Ok(root),
            (Some(_) | None, _) => Err(XmlError { what: "a document has one root", at }),
        }
    }
}

/// The predefined entities and character references; no others exist without a document type.
fn entity(name: &str) -> Option<String> {
    let code = match name {
        "lt" => return Some("<".to_owned()),
        "gt" => return Some(">".to_owned()),
        "amp" => return Some("&".to_owned()),
        "apos" => return Some("'".to_owned()),
        "quot" => return Some("\"".to_owned()),
        _ => name.strip_prefix('#')?,
    };
    let code = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => code.parse().ok()?,
    };
    let is_allowed = matches!(code, 0x9 | 0xa | 0xd) || code >= 0x20;
    char::from_u32(code).filter(|_| is_allowed).map(String::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn elements_carry_text_children_and_place() {
        let raw = b"<?xml version=\"1.0\"?><A x='1'> a&amp;b&#65; <B/><n:C>c</n:C><!-- no --></A>";
        let root = Element::parse(raw).unwrap();
        assert_eq!((root.name.as_str(), root.text.as_str()), ("A", "a&bA"));
        assert_eq!(root.text_of("C"), Some("c"));
        let c = root.child("C").unwrap();
        assert_eq!(&raw[c.range.clone()], b"<n:C>c</n:C>");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(Element::parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(Element::parse(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(Element::parse(nested(100_000).as_bytes()).is_err());
        let wide = |n: usize| format!("<r>{}</r>", "<a/>".repeat(n));
        assert!(Element::parse(wide(ELEMENTS_MAX - 1).as_bytes()).is_ok());
        assert!(Element::parse(wide(ELEMENTS_MAX).as_bytes()).is_err());
        let attributes = |n: usize| format!("<r {}/>", (0..n).map(|i| format!("a{i}='1' ")).collect::<String>());
        assert!(Element::parse(attributes(ATTRIBUTES_MAX).as_bytes()).is_ok());
        assert!(Element::parse(attributes(ATTRIBUTES_MAX + 1).as_bytes()).is_err());
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a>&bomb;</a>",
            "<a>&#0;</a>",
            "<a",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        ] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Element::parse(&[0xff, 0xfe, b'<', 0, b'a', 0]).is_err(), "utf-16");
        assert!(Element::parse(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xfc</a>").is_ok());
    }
}
