//! Flat documents: one record a line, fields by position.
//!
//! A control record begins a document, data records follow. They are read into the same tree as XML,
//! so everything behind does not know the difference. Positions are characters: text that is not
//! UTF-8 is read as ISO 8859-1, the usual page of systems that write one byte a character.

use std::borrow::Cow;
use std::ops::Range;

use compact_str::CompactString;

use super::segments::Segments;
use crate::contract::RejectCode;
use crate::xml::{DEPTH_MAX, ELEMENTS_MAX, Element};

/// How a control record begins.
pub const CONTROL: &str = "EDI_DC40";

/// Fields of the control record: name, first character, width.
pub const CONTROL_FIELDS: &[(&str, usize, usize)] = &[
    ("TABNAM", 0, 10),
    ("MANDT", 10, 3),
    ("DOCNUM", 13, 16),
    ("DOCREL", 29, 4),
    ("STATUS", 33, 2),
    ("DIRECT", 35, 1),
    ("OUTMOD", 36, 1),
    ("EXPRSS", 37, 1),
    ("TEST", 38, 1),
    ("IDOCTYP", 39, 30),
    ("CIMTYP", 69, 30),
    ("MESTYP", 99, 30),
    ("MESCOD", 129, 3),
    ("MESFCT", 132, 3),
    ("STD", 135, 1),
    ("STDVRS", 136, 6),
    ("STDMES", 142, 6),
    ("SNDPOR", 148, 10),
    ("SNDPRT", 158, 2),
    ("SNDPFC", 160, 2),
    ("SNDPRN", 162, 10),
    ("RCVPOR", 263, 10),
    ("RCVPRT", 273, 2),
    ("RCVPFC", 275, 2),
    ("RCVPRN", 277, 10),
    ("CREDAT", 378, 8),
    ("CRETIM", 386, 6),
    ("REFINT", 392, 14),
    ("REFGRP", 406, 14),
    ("REFMES", 420, 14),
    ("ARCKEY", 434, 70),
    ("SERIAL", 504, 20),
];

/// Where the parts of a data record lie: first character and width.
const SEGNAM: (usize, usize) = (0, 30);
const DOCNUM: (usize, usize) = (33, 16);
const SEGNUM: (usize, usize) = (49, 6);
const PSGNUM: (usize, usize) = (55, 6);
const HLEVEL: (usize, usize) = (61, 2);
/// The fields of the segment itself.
pub const SDATA: (usize, usize) = (63, 1_000);

/// A document, or why there is none, with its bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// The tree, as XML would have it.
    pub read: Result<Element, (RejectCode, String)>,
    /// Where it stands in the delivery.
    pub range: Range<usize>,
}

/// A line with its place.
struct Line<'a> {
    text: Cow<'a, str>,
    /// Whether its characters are bytes, so that positions need no counting.
    is_ascii: bool,
    range: Range<usize>,
}

/// A data record on its way into the tree.
struct Node {
    element: Element,
    /// Segments that hang below it.
    below: Vec<Element>,
    number: u64,
    parent: Option<usize>,
    level: u64,
}

/// Whether the bytes begin as flat documents do.
#[must_use]
pub fn is_flat(raw: &[u8]) -> bool {
    raw.starts_with(b"EDI_DC")
}

/// Reads every document of a delivery.
#[must_use]
pub fn documents(raw: &[u8], segments: &Segments) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut open: Vec<Line<'_>> = Vec::new();
    for line in lines(raw) {
        if line.text.starts_with("EDI_DC") && !open.is_empty() {
            documents.push(document(&open, segments));
            open.clear();
        }
        open.push(line);
    }
    if !open.is_empty() {
        documents.push(document(&open, segments));
    }
    documents
}

fn lines(raw: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for part in raw.split_inclusive(|b| *b == b'\n') {
        let range = start..start + part.len();
        start = range.end;
        let trimmed = part.strip_suffix(b"\n").unwrap_or(part);
        let trimmed = trimmed.strip_suffix(b"\r").unwrap_or(trimmed);
        let text = match std::str::from_utf8(trimmed) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(trimmed.iter().map(|b| char::from(*b)).collect()),
        };
        if !text.trim().is_empty() {
            lines.push(Line { is_ascii: text.is_ascii(), text, range });
        }
    }
    lines
}

fn document(lines: &[Line<'_>], segments: &Segments) -> Document {
    let range = match (lines.first(), lines.last()) {
        (Some(first), Some(last)) => first.range.start..last.range.end,
        (None, _) | (_, None) => 0..0,
    };
    Document { read: tree(lines, segments, &range), range }
}

fn tree(lines: &[Line<'_>], segments: &Segments, range: &Range<usize>) -> Result<Element, (RejectCode, String)> {
    let malformed = |what: String| (RejectCode::Malformed, what);
    let Some((first, data)) = lines.split_first() else { return Err(malformed("a document without lines".to_owned())) };
    if !first.text.starts_with(CONTROL) {
        return Err(malformed("a flat document that does not begin with an EDI_DC40 record".to_owned()));
    }
    if data.len() * 4 > ELEMENTS_MAX {
        return Err(malformed("too many segments".to_owned()));
    }
    let control = control(first);
    let number = CompactString::new(control.text_of("DOCNUM").unwrap_or_default());
    let mut nodes: Vec<Node> = Vec::new();
    for line in data {
        if line.cut(DOCNUM) != number {
            return Err(malformed(format!("document {number}: a segment of another document")));
        }
        let node = node(line, segments, &nodes).map_err(|what| malformed(format!("document {number}: {what}")))?;
        nodes.push(node);
    }
    let mut idoc = Element { name: CompactString::const_new("IDOC"), range: range.clone(), ..Element::default() };
    idoc.children.push(control);
    idoc.children.extend(hung(nodes));
    Ok(idoc)
}

impl Line<'_> {
    /// The characters of a field, without the blanks around it. A line may end before it.
    fn cut(&self, place: (usize, usize)) -> &str {
        self.slice(place).trim()
    }

    /// The characters of a field, in which every blank counts.
    fn slice(&self, (start, width): (usize, usize)) -> &str {
        let rest = &self.text[self.behind(&self.text, start)..];
        &rest[..self.behind(rest, width)]
    }

    /// Where the first `count` characters of a part of the line end.
    fn behind(&self, part: &str, count: usize) -> usize {
        if self.is_ascii {
            return count.min(part.len());
        }
        part.char_indices().nth(count).map_or(part.len(), |(at, _)| at)
    }
}

fn leaf(name: &str, text: &str) -> Element {
    Element { name: CompactString::new(name), text: CompactString::new(text), ..Element::default() }
}

fn control(line: &Line<'_>) -> Element {
    let fields = CONTROL_FIELDS.iter().map(|(name, start, width)| leaf(name, line.cut((*start, *width))));
    Element { name: CompactString::const_new(CONTROL), children: fields.collect(), ..Element::default() }
}

fn node(line: &Line<'_>, segments: &Segments, before: &[Node]) -> Result<Node, String> {
    let external = line.cut(SEGNAM);
    if external.is_empty() {
        return Err("a segment without name".to_owned());
    }
    let count = |place, what: &str| match line.cut(place) {
        "" => Ok(0),
        text => text.parse::<u64>().map_err(|_| format!("{external}: {what} is no number")),
    };
    let (number, parent, level) = (count(SEGNUM, "SEGNUM")?, count(PSGNUM, "PSGNUM")?, count(HLEVEL, "HLEVEL")?);
    if number != 0 && before.last().is_some_and(|last| last.number >= number) {
        return Err(format!("{external}: segment {number} is out of order"));
    }
    let parent = match parent {
        // Without the parent's number the level says below which of the earlier ones it hangs.
        0 => before.iter().rposition(|one| one.level < level),
        wanted => {
            let found = before.iter().position(|one| one.number == wanted);
            Some(
                found
                    .ok_or_else(|| format!("{external}: segment {number} hangs below {wanted}, which is not there"))?,
            )
        }
    };
    let name = segments.name_of(external);
    let fields = segments.layout(&name).map(|layout| layout.fields.as_slice()).unwrap_or_default();
    let mut children = Vec::with_capacity(fields.len());
    let mut rest = line.slice(SDATA);
    for (field, width) in fields {
        let (text, behind) = rest.split_at(line.behind(rest, *width));
        children.push(leaf(field, text.trim()));
        rest = behind;
    }
    let element = Element { name, children, ..Element::default() };
    Ok(Node { element, below: Vec::new(), number, parent, level })
}

/// Hangs every segment below its parent, which stands before it.
fn hung(mut nodes: Vec<Node>) -> Vec<Element> {
    let mut top = Vec::new();
    let mut depths: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in &mut nodes {
        let depth = node.parent.map_or(0, |parent| depths[parent] + 1);
        // Deeper than XML may be: it stays where it is, at the top.
        if depth + 2 > DEPTH_MAX {
            node.parent = None;
        }
        depths.push(node.parent.map_or(0, |_| depth));
    }
    while let Some(Node { mut element, mut below, parent, .. }) = nodes.pop() {
        // They were hung in from the last to the first.
        below.reverse();
        element.children.append(&mut below);
        match parent {
            Some(parent) => nodes[parent].below.push(element),
            None => top.push(element),
        }
    }
    top.reverse();
    top
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn control(docnum: &str) -> String {
        let mut line = " ".repeat(524);
        let mut put = |at: usize, text: &str| line.replace_range(at..at + text.len(), text);
        put(0, CONTROL);
        put(13, docnum);
        put(39, "ZSRVORD01");
        put(504, "20260310150000");
        line
    }

    fn data(name: &str, docnum: &str, numbers: (u32, u32, u32), text: &str) -> String {
        let (number, parent, level) = numbers;
        format!("{name:<30}100{docnum:<16}{number:06}{parent:06}{level:02}{text}")
    }

    fn segments() -> Segments {
        let mut segments = Segments::default();
        let fields = |list: &[(&str, usize)]| list.iter().map(|(name, width)| ((*name).to_owned(), *width)).collect();
        segments.add("Z1SRVORD", &[], fields(&[("AUFNR", 12), ("KTEXT", 10)])).unwrap();
        segments.add("Z1ITEM", &[], fields(&[("POSNR", 6)])).unwrap();
        segments
    }

    fn read(text: &str) -> Vec<Result<Element, (RejectCode, String)>> {
        documents(text.as_bytes(), &segments()).into_iter().map(|document| document.read).collect()
    }

    #[test]
    fn segments_hang_where_their_numbers_say() {
        let docnum = "0000000000000042";
        let lines = [
            control(docnum),
            data("Z2SRVORD000", docnum, (1, 0, 1), "000000700123Müller  1"),
            data("Z2ITEM000", docnum, (2, 1, 2), "000010"),
            data("Z2ITEM000", docnum, (3, 1, 2), "000020"),
        ];
        let idoc = read(&lines.join("\n")).remove(0).unwrap();
        assert_eq!(idoc.child(CONTROL).unwrap().text_of("DOCNUM"), Some(docnum));
        assert_eq!(idoc.child(CONTROL).unwrap().text_of("SERIAL"), Some("20260310150000"));
        let order = idoc.child("Z1SRVORD").unwrap();
        assert_eq!((order.text_of("AUFNR"), order.text_of("KTEXT")), (Some("000000700123"), Some("Müller  1")));
        let items: Vec<_> = order.all("Z1ITEM").map(|item| item.text_of("POSNR").unwrap()).collect();
        assert_eq!(items, ["000010", "000020"]);
    }

    #[test]
    fn without_parents_the_level_says_where() {
        let docnum = "1";
        let lines = [
            control(docnum),
            data("Z2SRVORD000", docnum, (1, 0, 2), "1"),
            data("Z2ITEM000", docnum, (2, 0, 3), "000010"),
            data("Z2SRVORD000", docnum, (3, 0, 2), "2"),
        ];
        let idoc = read(&lines.join("\r\n")).remove(0).unwrap();
        let orders: Vec<_> = idoc.all("Z1SRVORD").map(|order| order.all("Z1ITEM").count()).collect();
        assert_eq!(orders, [1, 0]);
    }

    #[test]
    fn a_cut_line_is_padded_and_another_page_is_read() {
        let raw = [
            control("1").trim_end().as_bytes(),
            b"\n",
            data("Z2SRVORD000", "1", (1, 0, 1), "7").as_bytes(),
            b"           M\xfcller\n",
        ]
        .concat();
        let idoc = documents(&raw, &segments()).remove(0).read.unwrap();
        let order = idoc.child("Z1SRVORD").unwrap();
        assert_eq!((order.text_of("AUFNR"), order.text_of("KTEXT")), (Some("7"), Some("Müller")));
    }

    #[test]
    fn bad_documents_leave_their_neighbours_alone() {
        let good = [control("1"), data("Z2SRVORD000", "1", (1, 0, 1), "7")].join("\n");
        for bad in [
            data("Z2SRVORD000", "2", (1, 0, 1), "7"),
            data("Z2SRVORD000", "3", (1, 9, 1), "7"),
            data("", "3", (1, 0, 1), "7"),
            data("Z2SRVORD000", "3", (1, 0, 1), "7").replace("000001", "00000x"),
            "short".to_owned(),
        ] {
            let text = format!("{good}\n{}\n{bad}\n{good}\n", control("3"));
            let found = read(&text);
            let is_read: Vec<_> = found.iter().map(Result::is_ok).collect();
            assert_eq!(is_read, [true, false, true], "{bad}");
        }
        let twice = [data("Z2SRVORD000", "3", (1, 0, 1), ""), data("Z2ITEM000", "3", (1, 0, 1), "")].join("\n");
        assert!(read(&format!("{}\n{twice}", control("3"))).remove(0).is_err(), "two segments of one number");
        assert!(read("Z2SRVORD000 without control").remove(0).is_err());
        assert!(read("EDI_DC   of an older release").remove(0).is_err());
        assert!(read("").is_empty());
    }

    #[test]
    fn a_document_knows_its_bytes() {
        let one = format!("{}\n{}\n", control("1"), data("Z2SRVORD000", "1", (1, 0, 1), "7"));
        let text = format!("{one}\n{one}");
        let found = documents(text.as_bytes(), &segments());
        assert_eq!(found.iter().map(|d| &text[d.range.clone()]).collect::<Vec<_>>(), [one.as_str(), one.as_str()]);
    }

    #[test]
    fn a_chain_deeper_than_xml_may_be_is_no_trouble() {
        let lines = (1..=200).map(|n| data("Z2ITEM000", "1", (n, n - 1, 1), "000010"));
        let text = [control("1")].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
        assert!(read(&text).remove(0).is_ok());
    }
}
