//! XML within bounds: no document type, no entities of one's own, a limit on everything.

use std::borrow::Cow;

use compact_str::CompactString;
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
    pub name: CompactString,
    /// Text directly within it, trimmed.
    pub text: CompactString,
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
        let mut roots = Element::parse_all(raw)?;
        match (roots.pop(), roots.is_empty()) {
            (Some(root), true) => Ok(root),
            (Some(_) | None, _) => Err(XmlError { what: "a document has one root", at: raw.len() }),
        }
    }

    /// Reads a text that may be several documents one behind the other; at least one.
    pub fn parse_all(raw: &[u8]) -> Result<Vec<Element>, XmlError> {
        let (text, places) = text_of_encoding(raw)?;
        // Characters that XML does not have: a reader may pass them, the next one refuses them.
        let is_no_text = |byte: u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31);
        if let Some(at) = text.bytes().position(is_no_text) {
            return Err(XmlError { what: "a character that no text has", at });
        }
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
        let mut roots = builder.roots(text.len())?;
        if let Some(places) = places.table(&text) {
            roots.iter_mut().for_each(|root| root.renumber(&places));
        }
        Ok(roots)
    }

    fn renumber(&mut self, places: &[usize]) {
        self.range = places[self.range.start]..places[self.range.end];
        self.children.iter_mut().for_each(|child| child.renumber(places));
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// How places in the text relate to the bytes that came.
enum Places {
    /// As many bytes further on.
    Behind(usize),
    /// Each character was one byte.
    Bytes,
    /// Each character was one unit of two bytes, or two of them, behind a mark.
    Units,
}

impl Places {
    /// The place in the delivery of every place in the text; none where they are the same.
    fn table(&self, text: &str) -> Option<Vec<usize>> {
        let (mut place, width): (usize, fn(char) -> usize) = match self {
            Places::Behind(0) => return None,
            Places::Behind(offset) => (*offset, char::len_utf8),
            Places::Bytes => (0, |_| 1),
            Places::Units => (2, |c| c.len_utf16() * 2),
        };
        let mut places = vec![0; text.len() + 1];
        for (at, c) in text.char_indices() {
            places[at..at + c.len_utf8()].fill(place);
            place += width(c);
        }
        places[text.len()] = place;
        Some(places)
    }
}

/// UTF-8; UTF-16 where a byte order mark says so; ISO 8859-1 where the declaration says so.
fn text_of_encoding(raw: &[u8]) -> Result<(Cow<'_, str>, Places), XmlError> {
    const MARK: &str = "\u{feff}";
    let wide = |order: fn([u8; 2]) -> u16| {
        let units = raw[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match text {
            Ok(text) if raw.len().is_multiple_of(2) => Ok((Cow::Owned(text), Places::Units)),
            Ok(_) | Err(_) => Err(XmlError { what: "text is not the utf-16 that it says it is", at: 0 }),
        }
    };
    let error = match raw {
        [0xff, 0xfe, ..] => return wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => return wide(u16::from_be_bytes),
        _ => match std::str::from_utf8(raw) {
            Ok(text) => {
                return Ok(match text.strip_prefix(MARK) {
                    Some(text) => (Cow::Borrowed(text), Places::Behind(MARK.len())),
                    None => (Cow::Borrowed(text), Places::Behind(0)),
                });
            }
            Err(error) => error,
        },
    };
    let head = String::from_utf8_lossy(&raw[..raw.len().min(120)]).to_lowercase();
    if head.contains("encoding=\"iso-8859-1\"") || head.contains("encoding='iso-8859-1'") {
        return Ok((Cow::Owned(raw.iter().map(|b| char::from(*b)).collect()), Places::Bytes));
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
        let name = CompactString::new(tag.local_name().into_inner());
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
            element.text = CompactString::new(element.text.trim());
        }
        self.stack.last_mut().ok_or(unmatched)?.children.push(element);
        Ok(())
    }

    fn roots(mut self, at: usize) -> Result<Vec<Element>, XmlError> {
        let document = self.stack.pop().ok_or(XmlError { what: "a document without a root", at })?;
        if !self.stack.is_empty() {
            return Err(XmlError { what: "an element has no end", at });
        }
        if !document.text.trim().is_empty() {
            return Err(XmlError { what: "text outside the root", at });
        }
        if document.children.is_empty() {
            Err(XmlError { what: "a document has one root", at })
        } else {
            Ok(document.children)
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
        assert!(Element::parse(b"<a>\xfc</a>").is_err());
    }

    #[test]
    fn wide_text_and_glued_documents_are_read() {
        let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>\u{fc}\u{1f600}</a>";
        let wide = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(order);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for raw in [wide([0xff, 0xfe], u16::to_le_bytes), wide([0xfe, 0xff], u16::to_be_bytes)] {
            assert_eq!(Element::parse(&raw).unwrap().text, "\u{fc}\u{1f600}");
            assert!(Element::parse(&raw[..raw.len() - 1]).is_err(), "a half character");
            assert_eq!(Element::parse(&raw).unwrap().range.end, raw.len());
        }
        let marked = "\u{feff}<a><b>\u{fc}</b></a>";
        let b = Element::parse(marked.as_bytes()).unwrap().children.remove(0);
        assert_eq!(&marked[b.range], "<b>\u{fc}</b>");
        let glued = Element::parse_all(b"<?xml version=\"1.0\"?><a/>\n<?xml version=\"1.0\"?><b/>").unwrap();
        assert_eq!(glued.iter().map(|root| root.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Element::parse_all(b" ").is_err());
    }
}
