//! The answer to documents that were posted: what became of each, as a status document.
//!
//! Every document that was stored is answered with status 53, one that went to quarantine with 51
//! and the reason, so that the sender's monitor shows what the hub thinks of it.

use std::fmt::Write as _;
use std::ops::Range;

use super::flat;
use crate::contract::Reject;

/// The document was taken.
const POSTED: &str = "53";
/// The document was kept, and not understood.
const NOT_POSTED: &str = "51";

/// Most documents that are answered one by one.
const DOCUMENTS_MAX: usize = 1_000;

/// Longest status text, in characters.
const TEXT_CHARS_MAX: usize = 70;

/// The status document for the IDocs in `raw`.
#[must_use]
pub fn answer(raw: &[u8], rejects: &[Reject]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<SYSTAT01>\n  <IDOC BEGIN=\"1\">\n");
    xml.push_str("    <EDI_DC40 SEGMENT=\"1\"><TABNAM>EDI_DC40</TABNAM><IDOCTYP>SYSTAT01</IDOCTYP><MESTYP>STATUS</MESTYP></EDI_DC40>\n");
    for (number, at) in numbers(raw).into_iter().take(DOCUMENTS_MAX) {
        let reject = rejects.iter().find(|reject| covers(&reject.range, at));
        let (status, text) = match reject {
            Some(reject) => (NOT_POSTED, format!("{}: {}", reject.code.name(), reject.detail)),
            None => (POSTED, String::new()),
        };
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "    <E1STATS SEGMENT=\"1\"><DOCNUM>{}</DOCNUM><STATUS>{status}</STATUS><STATXT>{}</STATXT></E1STATS>",
            quick_xml::escape::escape(number.as_str()),
            quick_xml::escape::escape(text)
        );
    }
    xml.push_str("  </IDOC>\n</SYSTAT01>\n");
    xml
}

fn covers(range: &Range<usize>, at: usize) -> bool {
    range.contains(&at)
}

/// The numbers of the documents in a body, each with its place: what begins a document and what encloses
/// its number reads the same in every encoding, and is looked for without taking the rest out of it.
fn numbers(raw: &[u8]) -> Vec<(String, usize)> {
    if flat::is_flat(raw) {
        return flat::numbers(raw);
    }
    // Of text of two bytes a character those with other than plain letters are none that is looked for.
    let plain = |order: fn([u8; 2]) -> u16| {
        let units = raw[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
        let plain: Vec<u8> = units.map(|unit| u8::try_from(unit).unwrap_or(b'?')).collect();
        within(&plain).into_iter().map(|(number, at)| (number, 2 + at * 2)).collect()
    };
    match raw {
        [0xff, 0xfe, ..] => plain(u16::from_le_bytes),
        [0xfe, 0xff, ..] => plain(u16::from_be_bytes),
        _ => within(raw),
    }
}

fn within(text: &[u8]) -> Vec<(String, usize)> {
    const OPEN: &[u8] = b"<DOCNUM>";
    let find = |what: &[u8], from: usize, to: usize| {
        text[from..to].windows(what.len()).position(|window| window == what).map(|n| from + n)
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find(b"<EDI_DC40", at, text.len()) {
        let end = find(b"</EDI_DC40>", start, text.len()).unwrap_or(text.len());
        let number = find(OPEN, start, end).map(|n| n + OPEN.len());
        let number = number.and_then(|from| Some(&text[from..find(b"<", from, end)?]));
        found.extend(number.map(|number| (String::from_utf8_lossy(number.trim_ascii()).into_owned(), start)));
        at = end.max(start + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::contract::RejectCode;
    use crate::xml::Text;

    #[test]
    fn every_document_is_answered() {
        let one = |number: u32| format!("<IDOC><EDI_DC40><TABNAM/><DOCNUM>{number}</DOCNUM></EDI_DC40><X/></IDOC>");
        let raw = format!("<R>{}{}</R>", one(1), one(2));
        let second = raw.find("<DOCNUM>2").unwrap() - 20;
        let rejects = [Reject::new(RejectCode::NoIdentity, "a <row> without AUFNR", second..raw.len())];
        let answer = answer(raw.as_bytes(), &rejects);
        let told = told(&answer);
        assert_eq!(told[0], ["1", "53", ""]);
        assert_eq!(told[1], ["2", "51", "no_identity: a <row> without AUFNR"]);
    }

    /// Number, status and text of each document that an answer tells of.
    fn told(answer: &str) -> Vec<[String; 3]> {
        let text = Text::of(answer.as_bytes()).unwrap();
        let tree = text.read().unwrap();
        let idoc = tree.roots().find_map(|root| root.child("IDOC")).unwrap();
        let stats = idoc.children().filter(|child| child.name() == "E1STATS");
        stats.map(|s| ["DOCNUM", "STATUS", "STATXT"].map(|name| s.text_of(name).unwrap().to_owned())).collect()
    }

    /// What is answered to two documents in `raw`, of which the second, beginning at `second`, was refused.
    fn check(raw: &[u8], second: usize) {
        let rejects = [Reject::new(RejectCode::NoIdentity, "a row without AUFNR", second..raw.len())];
        let expected = [["1", "53", ""], ["2", "51", "no_identity: a row without AUFNR"]];
        assert_eq!(told(&answer(raw, &rejects)), expected.map(|one| one.map(str::to_owned)));
    }

    #[test]
    fn documents_are_answered_in_every_encoding() {
        let one = |number: u32| format!("<IDOC><EDI_DC40><DOCNUM>{number}</DOCNUM></EDI_DC40><X>\u{fc}</X></IDOC>");
        let text = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><R>{}{}</R>", one(1), one(2));
        let second = text[..text.find(&one(2)).unwrap()].chars().count();
        let narrow: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert!(std::str::from_utf8(&narrow).is_err());
        check(&narrow, second);
        let wide = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain(text.encode_utf16().flat_map(order)).collect()
        };
        check(&wide([0xff, 0xfe], u16::to_le_bytes), 2 + second * 2);
        check(&wide([0xfe, 0xff], u16::to_be_bytes), 2 + second * 2);
        check(text.as_bytes(), text.find(&one(2)).unwrap());
    }

    #[test]
    fn flat_documents_are_answered() {
        let one = |number: u32| format!("EDI_DC40  100{number:<16}\nZ1X  M\u{fc}ller\n");
        let text = one(1) + &one(2);
        check(text.as_bytes(), one(1).len());
        let narrow: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        check(&narrow, one(1).chars().count());
        assert!(told(&answer(b"EDI_DC40  100\n", &[])).is_empty(), "a document without number");
    }

    #[test]
    fn a_cut_document_is_no_trouble() {
        for raw in ["<EDI_DC40", "<EDI_DC40><DOCNUM>", "<EDI_DC40><DOCNUM>5", "<EDI_DC40ä", ""] {
            assert!(!answer(raw.as_bytes(), &[]).contains("E1STATS"), "{raw}");
        }
    }
}
