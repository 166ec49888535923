//! Flat documents: one record a line, fields by position.
//!
//! A control record begins a document, data records follow. They are read into the same tree as XML,
//! so everything behind does not know the difference; fields are cut and not copied. Positions are characters: text that is not
//! UTF-8 is read as ISO 8859-1, the usual page of systems that write one byte a character.

use std::borrow::Cow;
use std::ops::Range;

use super::segments::{Layout, Segments};
use crate::contract::RejectCode;
use crate::value::trimmed;
use crate::xml::{DEPTH_MAX, DOCUMENT_ELEMENTS_MAX, Element, Tree};

/// How a control record begins.
pub const CONTROL: &str = "EDI_DC40";

/// Name, first character and width of a field of the control record.
pub type ControlField = (&'static str, usize, usize);

/// Fields of the control record.
pub const CONTROL_FIELDS: &[ControlField] = &[
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

/// Where the control record has the number of its document.
const NUMBER: (usize, usize) = (13, 16);

/// Fields that most segments have.
const FIELDS_USUAL: usize = 24;

/// Where the parts of a data record lie: first character and width.
const SEGNAM: (usize, usize) = (0, 30);
const DOCNUM: (usize, usize) = (33, 16);
const SEGNUM: (usize, usize) = (49, 6);
const PSGNUM: (usize, usize) = (55, 6);
const HLEVEL: (usize, usize) = (61, 2);
/// The fields of the segment itself.
pub const SDATA: (usize, usize) = (63, 1_000);

/// A document that could be read.
#[derive(Debug, Clone, Copy)]
pub struct Document<'t> {
    /// The tree, as XML would have it.
    pub idoc: Element<'t>,
    /// Names of segments that cannot be cut into fields.
    pub without_layout: &'t [&'t str],
}

/// Why a document could not be read.
pub type Unread = (RejectCode, String);

/// A line with its place.
struct Line<'a> {
    text: Cow<'a, str>,
    /// Whether its characters are bytes, so that positions need no counting.
    is_ascii: bool,
    range: Range<usize>,
}

/// What a data record says of its place.
struct Place {
    number: u64,
    level: u64,
    /// Where its segment stands in the tree.
    at: usize,
    /// How many segments it hangs below.
    depth: usize,
}

/// Whether the bytes begin as flat documents do.
#[must_use]
pub fn is_flat(raw: &[u8]) -> bool {
    raw.starts_with(b"EDI_DC")
}

/// Reads every document of a delivery, and gives each to `each` with the bytes that it takes there. Of
/// the control record the fields of `control` are read.
pub fn documents(
    raw: &[u8],
    control: &[ControlField],
    segments: &Segments,
    mut each: impl FnMut(Result<Document<'_>, Unread>, Range<usize>),
) {
    let lines = lines(raw);
    let begins = |line: &Line<'_>| line.text.starts_with("EDI_DC");
    let mut rest = lines.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let count = 1 + behind.iter().position(begins).unwrap_or(behind.len());
        let (document, next) = rest.split_at(count);
        let end = document.last().map_or(first.range.end, |last| last.range.end);
        let range = first.range.start..end;
        let names: Vec<Cow<'_, str>> = document.iter().skip(1).map(|line| segments.name_of(line.cut(SEGNAM))).collect();
        let mut without_layout = Vec::new();
        let flat = Flat { lines: document, names: &names, control, segments };
        let read = flat.tree(&range, &mut without_layout);
        let read = read.as_ref().map_err(Clone::clone);
        each(
            read.and_then(|tree| {
                let idoc = tree.roots().next().ok_or_else(|| malformed("a document without lines".to_owned()))?;
                Ok(Document { idoc, without_layout: &without_layout })
            }),
            range,
        );
        rest = next;
    }
}

/// The numbers of the documents in a delivery, each with where its control record begins; one without a
/// number has none.
pub fn numbers(raw: &[u8]) -> Vec<(String, usize)> {
    let begins = |line: &Line<'_>| line.text.starts_with(CONTROL);
    let numbers = lines(raw).into_iter().filter(begins).map(|line| (line.cut(NUMBER).to_owned(), line.range.start));
    numbers.filter(|(number, _)| !number.is_empty()).collect()
}

fn malformed(what: String) -> Unread {
    (RejectCode::Malformed, what)
}

fn lines(raw: &[u8]) -> Vec<Line<'_>> {
    let read = |line| match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|byte| char::from(*byte)).collect()),
    };
    match std::str::from_utf8(raw) {
        Ok(text) => placed(text.split_inclusive('\n').map(|line| (Cow::Borrowed(line), line.len()))),
        // Only the lines that are of another page are read by it.
        Err(_) => placed(raw.split_inclusive(|byte| *byte == b'\n').map(|line| (read(line), line.len()))),
    }
}

/// The lines that are not blank, of all with how many bytes they take. What ends a line is a blank too.
fn placed<'a>(all: impl Iterator<Item = (Cow<'a, str>, usize)>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (text, bytes) in all {
        let range = start..start + bytes;
        start = range.end;
        if !text.trim_start().is_empty() {
            lines.push(Line { is_ascii: text.is_ascii(), text, range });
        }
    }
    lines
}

/// The lines of one document, with what they are cut by.
struct Flat<'t> {
    lines: &'t [Line<'t>],
    /// Names in XML of the segments behind the control record.
    names: &'t [Cow<'t, str>],
    control: &'t [ControlField],
    segments: &'t Segments,
}

impl<'t> Flat<'t> {
    fn tree(&self, range: &Range<usize>, without_layout: &mut Vec<&'t str>) -> Result<Tree<'t>, Unread> {
        let Some((first, data)) = self.lines.split_first() else {
            return Err(malformed("a document without lines".to_owned()));
        };
        if !first.text.starts_with(CONTROL) {
            return Err(malformed("a flat document that does not begin with an EDI_DC40 record".to_owned()));
        }
        if data.len() * 4 > DOCUMENT_ELEMENTS_MAX {
            return Err(malformed("too many segments".to_owned()));
        }
        let mut tree = Tree::with_capacity(2 + self.control.len() + data.len() * FIELDS_USUAL);
        let idoc = tree.add(0, "IDOC", "", range.clone());
        let control = tree.add(idoc, CONTROL, "", 0..0);
        for (name, start, width) in self.control {
            tree.add(control, name, first.slice((*start, *width)), 0..0);
        }
        let number = first.cut(NUMBER);
        let mut places: Vec<Place> = Vec::with_capacity(data.len());
        for (line, name) in data.iter().zip(self.names) {
            if line.cut(DOCNUM) != number {
                return Err(malformed(format!("document {number}: a segment of another document")));
            }
            let place = line.place(&places).map_err(|what| malformed(format!("document {number}: {what}")))?;
            let (mut place, parent) = place;
            let parent = parent.map(|parent| &places[parent]);
            // Deeper than XML may be: it stays where it is, at the top.
            let parent = parent.filter(|parent| parent.depth + 3 <= DEPTH_MAX);
            place.depth = parent.map_or(0, |parent| parent.depth + 1);
            place.at = tree.add(parent.map_or(idoc, |parent| parent.at), name, "", 0..0);
            match self.segments.layout(name) {
                Some(layout) => line.fields(layout, place.at, &mut tree),
                None => without_layout.push(name),
            }
            places.push(place);
        }
        Ok(tree)
    }
}

impl<'t> Line<'t> {
    /// Adds the fields of a segment to the one at `segment`.
    fn fields(&'t self, layout: &'t Layout, segment: usize, tree: &mut Tree<'t>) {
        let mut rest = self.slice(SDATA);
        for (field, width) in &layout.fields {
            let (text, behind) = rest.split_at(self.behind(rest, *width));
            tree.add(segment, field, text, 0..0);
            rest = behind;
        }
    }

    /// What a data record says of its place, and below which of those `before` it stands.
    fn place(&self, before: &[Place]) -> Result<(Place, Option<usize>), String> {
        let external = self.cut(SEGNAM);
        if external.is_empty() {
            return Err("a segment without name".to_owned());
        }
        let count = |place, what: &str| match self.cut(place) {
            "" => Ok(0),
            text => text.parse::<u64>().map_err(|_| format!("{external}: {what} is no number")),
        };
        let (number, parent, level) = (count(SEGNUM, "SEGNUM")?, count(PSGNUM, "PSGNUM")?, count(HLEVEL, "HLEVEL")?);
        if number != 0 && before.last().is_some_and(|last| last.number >= number) {
            return Err(format!("{external}: segment {number} is out of order"));
        }
        let missing = || format!("{external}: segment {number} hangs below {parent}, which is not there");
        let parent = match parent {
            // Without the parent's number the level says below which of the earlier ones it hangs.
            0 => before.iter().rposition(|one| one.level < level),
            wanted => Some(before.iter().position(|one| one.number == wanted).ok_or_else(missing)?),
        };
        Ok((Place { number, level, at: 0, depth: 0 }, parent))
    }

    /// The characters of a field, without the blanks around it. A line may end before it.
    fn cut(&self, place: (usize, usize)) -> &str {
        trimmed(self.slice(place))
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

    /// What each document says, without its control record, with the bytes that it takes.
    fn read(raw: impl AsRef<[u8]>) -> Vec<(Result<String, Unread>, Range<usize>)> {
        fn told(element: Element<'_>) -> String {
            let own = element.children().filter(|child| child.name() != CONTROL);
            let own: Vec<String> = own.map(|child| format!("{}{}", child.name(), told(child))).collect();
            if own.is_empty() { format!("={}", element.text()) } else { format!("({})", own.join(" ")) }
        }
        let mut out = Vec::new();
        documents(raw.as_ref(), CONTROL_FIELDS, &segments(), |read, range| {
            out.push((read.map(|document| told(document.idoc)), range));
        });
        out
    }

    fn one(raw: impl AsRef<[u8]>) -> Result<String, Unread> {
        read(raw).remove(0).0
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
        let text = lines.join("\n");
        let items = "Z1ITEM(POSNR=000010) Z1ITEM(POSNR=000020)";
        assert_eq!(one(&text).unwrap(), format!("(Z1SRVORD(AUFNR=000000700123 KTEXT=Müller  1 {items}))"));
        documents(text.as_bytes(), CONTROL_FIELDS, &segments(), |read, _| {
            let control = read.unwrap().idoc.child(CONTROL).unwrap();
            assert_eq!((control.text_of("DOCNUM"), control.text_of("SERIAL")), (Some(docnum), Some("20260310150000")));
        });
    }

    #[test]
    fn a_segment_hangs_where_it_says_whatever_stands_between() {
        let lines = [
            control("1"),
            data("Z2SRVORD000", "1", (1, 0, 1), "1"),
            data("Z2SRVORD000", "1", (2, 0, 1), "2"),
            data("Z2ITEM000", "1", (3, 1, 2), "000010"),
            data("Z2OTHER000", "1", (4, 3, 3), "x"),
            data("Z2ITEM000", "1", (5, 2, 2), "000020"),
        ];
        let text = lines.join("\n");
        let first = "Z1SRVORD(AUFNR=1 KTEXT= Z1ITEM(POSNR=000010 Z1OTHER=))";
        assert_eq!(one(&text).unwrap(), format!("({first} Z1SRVORD(AUFNR=2 KTEXT= Z1ITEM(POSNR=000020)))"));
        documents(text.as_bytes(), CONTROL_FIELDS, &segments(), |read, _| {
            assert_eq!(read.unwrap().without_layout, ["Z1OTHER"])
        });
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
        let expected = "(Z1SRVORD(AUFNR=1 KTEXT= Z1ITEM(POSNR=000010)) Z1SRVORD(AUFNR=2 KTEXT=))";
        assert_eq!(one(lines.join("\r\n")).unwrap(), expected);
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
        assert_eq!(one(raw).unwrap(), "(Z1SRVORD(AUFNR=7 KTEXT=Müller))");
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
            let is_read: Vec<_> = found.iter().map(|(read, _)| read.is_ok()).collect();
            assert_eq!(is_read, [true, false, true], "{bad}");
        }
        let twice = [data("Z2SRVORD000", "3", (1, 0, 1), ""), data("Z2ITEM000", "3", (1, 0, 1), "")].join("\n");
        assert!(one(format!("{}\n{twice}", control("3"))).is_err(), "two segments of one number");
        assert!(one("Z2SRVORD000 without control").is_err());
        assert!(one("EDI_DC   of an older release").is_err());
        assert!(read("").is_empty());
    }

    #[test]
    fn a_document_knows_its_bytes() {
        let one = format!("{}\n{}\n", control("1"), data("Z2SRVORD000", "1", (1, 0, 1), "7"));
        let text = format!("{one}\n{one}");
        let found = read(&text);
        assert_eq!(found.iter().map(|(_, range)| &text[range.clone()]).collect::<Vec<_>>(), [&one, &one]);
    }

    #[test]
    fn a_chain_deeper_than_xml_may_be_is_no_trouble() {
        let lines = (1..=200).map(|n| data("Z2ITEM000", "1", (n, n - 1, 1), "000010"));
        let text = [control("1")].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
        let told = one(&text).unwrap();
        assert_eq!(told.matches("POSNR").count(), 200);
    }
}
