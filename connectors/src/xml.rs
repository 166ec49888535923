//! XML within bounds: no document type, no entities of one's own, a limit on everything.
//!
//! A text is read once, into a flat list of elements that know their neighbours and borrow names and
//! texts from it. Mappings read few of them, so nothing is copied, trimmed or looked up before it is
//! asked for.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::contract::BODY_BYTES_MAX;
use crate::value::trimmed;

/// Most elements of a text, which may hold many documents: as many as a whole body has room for.
pub const ELEMENTS_MAX: usize = BODY_BYTES_MAX / 8;
/// Most elements of one document.
pub const DOCUMENT_ELEMENTS_MAX: usize = 10_000;
/// Most attributes of an element.
pub const ATTRIBUTES_MAX: usize = 64;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 64;

/// Bytes of text that an element takes in most documents, with its tags.
const ELEMENT_BYTES_USUAL: usize = 32;

/// Elements in the order of writing. The first holds the roots and is none itself.
#[derive(Debug)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

/// An element, and where its neighbours stand in the list; none of them is at 0. Kept small, since a
/// document has many: places beyond 4 GiB are none that anybody sends.
#[derive(Debug, Default)]
struct Node<'a> {
    name: &'a str,
    text: Cow<'a, str>,
    range: Range<u32>,
    first: u32,
    last: u32,
    next: u32,
}

fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// An element of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Element<'t> {
    nodes: &'t [Node<'t>],
    at: usize,
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

impl<'t> Element<'t> {
    fn node(self) -> &'t Node<'t> {
        &self.nodes[self.at]
    }

    fn other(self, at: u32) -> Option<Element<'t>> {
        (at != 0).then_some(Element { nodes: self.nodes, at: at as usize })
    }

    /// Local name, without namespace prefix.
    #[must_use]
    pub fn name(self) -> &'t str {
        self.node().name
    }

    /// Text directly within it, trimmed.
    #[must_use]
    pub fn text(self) -> &'t str {
        trimmed(&self.node().text)
    }

    /// The bytes it takes in the document.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        let Range { start, end } = self.node().range;
        start as usize..end as usize
    }

    /// Whether nothing stands within it but text.
    #[must_use]
    pub fn is_leaf(self) -> bool {
        self.node().first == 0
    }

    /// How many elements stand within it, where elements were added in the order of writing.
    #[must_use]
    pub fn count_within(self) -> usize {
        let mut end = self.at;
        while self.nodes[end].last != 0 {
            end = self.nodes[end].last as usize;
        }
        end - self.at
    }

    /// Its children in the order of writing.
    pub fn children(self) -> impl Iterator<Item = Element<'t>> {
        std::iter::successors(self.other(self.node().first), |child| child.other(child.node().next))
    }

    /// The first child called `name`.
    #[must_use]
    pub fn child(self, name: &str) -> Option<Element<'t>> {
        self.children().find(|child| is_same(child.name(), name))
    }

    /// Text of the first child called `name`.
    #[must_use]
    pub fn text_of(self, name: &str) -> Option<&'t str> {
        self.child(name).map(Element::text)
    }
}

/// Whether two names are equal. Names of one document are often of one length and differ at their end.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.as_bytes().last() == other.as_bytes().last() && one == other
}

impl<'a> Tree<'a> {
    /// A tree without elements, with room for `count` of them.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        let mut nodes = Vec::with_capacity(count + 1);
        nodes.push(Node::default());
        Tree { nodes }
    }

    /// Adds an element as the last child of the one at `parent`, or as a root where that is 0; where it
    /// stands.
    pub(crate) fn add(&mut self, parent: usize, name: &'a str, text: &'a str, range: Range<usize>) -> usize {
        let at = self.nodes.len();
        let range = small(range.start)..small(range.end);
        self.nodes.push(Node { name, text: Cow::Borrowed(text), range, ..Node::default() });
        let before = std::mem::replace(&mut self.nodes[parent].last, small(at));
        let link = if before == 0 { &mut self.nodes[parent].first } else { &mut self.nodes[before as usize].next };
        *link = small(at);
        at
    }

    /// The elements that stand in no other.
    pub fn roots(&self) -> impl Iterator<Item = Element<'_>> {
        Element { nodes: &self.nodes, at: 0 }.children()
    }
}

/// A text taken out of its encoding, which elements borrow from.
#[derive(Debug)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    places: Places,
}

impl<'a> Text<'a> {
    /// Takes `raw` out of its encoding.
    ///
    /// # Errors
    /// [`XmlError`] when it is not in the encoding that it declares, or holds what no text has.
    pub fn of(raw: &'a [u8]) -> Result<Self, XmlError> {
        let (text, places) = text_of_encoding(raw)?;
        // Characters that XML does not have: a reader may pass them, the next one refuses them.
        let is_no_text = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
        // Without a way out of the loop it is done for many bytes at once.
        if text.bytes().fold(false, |found, byte| found | is_no_text(byte)) {
            let at = text.bytes().position(is_no_text).unwrap_or_default();
            return Err(XmlError { what: "a character that no text has", at });
        }
        Ok(Text { text, places })
    }

    /// Reads the elements of the text, which may be several documents one behind the other; there is at
    /// least one root.
    ///
    /// # Errors
    /// [`XmlError`] when it is not well-formed or above a bound.
    pub fn read(&self) -> Result<Tree<'_>, XmlError> {
        let text: &str = &self.text;
        let tree = Tree::with_capacity((text.len() / ELEMENT_BYTES_USUAL).min(ELEMENTS_MAX));
        let mut builder = Builder { text, tree, open: vec![0] };
        let mut reader = Reader::from_str(text);
        let mut start = 0;
        loop {
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => {
                    let end = position(&reader);
                    builder.event(event, start, end)?;
                    start = end;
                }
                Err(_) => return Err(XmlError { what: "text is not well-formed", at: start }),
            }
        }
        let mut tree = builder.tree()?;
        if let Some(places) = self.places.table(text) {
            let place = |at: u32| small(places[at as usize]);
            tree.nodes.iter_mut().for_each(|node| node.range = place(node.range.start)..place(node.range.end));
        }
        Ok(tree)
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// How places in the text relate to the bytes that came.
#[derive(Debug)]
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

struct Builder<'a> {
    text: &'a str,
    tree: Tree<'a>,
    /// Where the open elements stand; the first holds the roots.
    open: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, start: usize, end: usize) -> Result<(), XmlError> {
        let fail = |what| Err(XmlError { what, at: start });
        match event {
            Event::Start(tag) => {
                let at = self.element(&tag, start)?;
                self.open.push(at);
                if self.open.len() > DEPTH_MAX + 1 {
                    return fail("nesting is too deep");
                }
            }
            Event::Empty(tag) => {
                let at = self.element(&tag, start)?;
                self.tree.nodes[at].range.end = small(end);
            }
            Event::End(_) => match self.open.pop() {
                Some(at) if at != 0 => self.tree.nodes[at].range.end = small(end),
                Some(_) | None => return Err(XmlError { what: "an end without a start", at: end }),
            },
            Event::Text(text) => self.say(text.into_inner()),
            Event::CData(text) => self.say(text.into_inner()),
            Event::GeneralRef(name) => {
                let Some(text) = entity(&name) else { return fail("an unknown entity") };
                self.say(Cow::Owned(text));
            }
            Event::DocType(_) => return fail("a document type is refused"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn element(&mut self, tag: &quick_xml::events::BytesStart<'_>, start: usize) -> Result<usize, XmlError> {
        // The first node is no element.
        if self.tree.nodes.len() > ELEMENTS_MAX {
            return Err(XmlError { what: "too many elements", at: start });
        }
        let length = tag.name().into_inner().len();
        // Most have none.
        if tag.len() > length {
            let mut attributes = 0;
            // Checking for equal names compares each with each, so the count comes first.
            for attribute in tag.attributes().with_checks(false) {
                attributes += 1;
                if attribute.is_err() || attributes > ATTRIBUTES_MAX {
                    return Err(XmlError { what: "too many or broken attributes", at: start });
                }
            }
        }
        // The reader lends the name for as long as the event lives, the text for longer.
        let name = self.text.get(start + 1..start + 1 + length);
        let name = name.ok_or(XmlError { what: "text is not well-formed", at: start })?;
        let prefix = name.bytes().position(|byte| byte == b':').map_or(0, |colon| colon + 1);
        let parent = self.open.last().copied().unwrap_or_default();
        Ok(self.tree.add(parent, &name[prefix..], "", start..start))
    }

    /// Text within the innermost open element.
    fn say(&mut self, text: Cow<'a, str>) {
        let at = self.open.last().copied().unwrap_or_default();
        let told = &mut self.tree.nodes[at].text;
        if !told.is_empty() {
            told.to_mut().push_str(&text);
            return;
        }
        // Blanks before it do not count.
        *told = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_start()),
            Cow::Owned(text) => Cow::Owned(text.trim_start().to_owned()),
        };
    }

    fn tree(self) -> Result<Tree<'a>, XmlError> {
        let at = self.text.len();
        if self.open.len() > 1 {
            return Err(XmlError { what: "an element has no end", at });
        }
        let outside = &self.tree.nodes[0];
        if !outside.text.is_empty() {
            return Err(XmlError { what: "text outside the root", at });
        }
        if outside.first == 0 {
            return Err(XmlError { what: "a document has one root", at });
        }
        Ok(self.tree)
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

    fn read(raw: &[u8]) -> Result<String, XmlError> {
        fn told(element: Element<'_>, out: &mut String) {
            out.push_str(&format!("{}={}", element.name(), element.text()));
            if !element.is_leaf() {
                out.push('(');
                element.children().for_each(|child| told(child, out));
                out.push(')');
            }
            out.push(';');
        }
        let mut out = String::new();
        Text::of(raw)?.read()?.roots().for_each(|root| told(root, &mut out));
        Ok(out)
    }

    #[test]
    fn elements_carry_text_children_and_place() {
        let raw = b"<?xml version=\"1.0\"?><A x='1'> a&amp;b&#65; <B/><n:C>c</n:C><!-- no --></A>";
        assert_eq!(read(raw).unwrap(), "A=a&bA(B=;C=c;);");
        let text = Text::of(raw).unwrap();
        let tree = text.read().unwrap();
        let root = tree.roots().next().unwrap();
        assert_eq!((root.text_of("C"), root.text_of("D")), (Some("c"), None));
        assert_eq!(&raw[root.child("C").unwrap().range()], b"<n:C>c</n:C>");
        assert_eq!(&raw[root.child("B").unwrap().range()], b"<B/>");
        assert_eq!((root.count_within(), root.child("B").unwrap().count_within()), (2, 0));
    }

    #[test]
    fn blanks_count_within_a_text_only() {
        assert_eq!(read(b"<a>\n <b> x  y </b>\n <c>&#32;</c>\n</a>").unwrap(), "a=(b=x  y;c=;);");
        assert_eq!(read(b"<a> one <b/> two<![CDATA[ & ]]>three </a>").unwrap(), "a=one  two & three(b=;);");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(read(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(read(nested(100_000).as_bytes()).is_err());
        let wide = |n: usize| format!("<r>{}</r>", "<a/>".repeat(n));
        assert!(read(wide(ELEMENTS_MAX - 1).as_bytes()).is_ok());
        assert!(read(wide(ELEMENTS_MAX).as_bytes()).is_err());
        let attributes = |n: usize| format!("<r {}/>", (0..n).map(|i| format!("a{i}='1' ")).collect::<String>());
        assert!(read(attributes(ATTRIBUTES_MAX).as_bytes()).is_ok());
        assert!(read(attributes(ATTRIBUTES_MAX + 1).as_bytes()).is_err());
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a>&bomb;</a>",
            "<a>&#0;</a>",
            "<a",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(&[0xff, 0xfe, b'<', 0, b'a', 0]).is_err(), "utf-16");
        assert!(read(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xfc</a>").is_ok());
        assert!(read(b"<a>\xfc</a>").is_err());
    }

    #[test]
    fn wide_text_and_glued_documents_are_read() {
        let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>\u{fc}\u{1f600}</a>";
        let wide = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(order);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for raw in [wide([0xff, 0xfe], u16::to_le_bytes), wide([0xfe, 0xff], u16::to_be_bytes)] {
            assert_eq!(read(&raw).unwrap(), "a=\u{fc}\u{1f600};");
            assert!(read(&raw[..raw.len() - 1]).is_err(), "a half character");
            let text = Text::of(&raw).unwrap();
            assert_eq!(text.read().unwrap().roots().next().unwrap().range().end, raw.len());
        }
        let marked = "\u{feff}<a><b>\u{fc}</b></a>";
        let text = Text::of(marked.as_bytes()).unwrap();
        let b = text.read().unwrap().roots().find_map(|root| root.child("b")).map(Element::range);
        assert_eq!(&marked[b.unwrap()], "<b>\u{fc}</b>");
        assert_eq!(read(b"<?xml version=\"1.0\"?><a/>\n<?xml version=\"1.0\"?><b/>").unwrap(), "a=;b=;");
        assert!(read(b" ").is_err());
    }
}
