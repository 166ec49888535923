//! The answer to documents that were posted: what became of each, as a status document.
//!
//! Every document that was stored is answered with status 53, one that went to quarantine with 51
//! and the reason, so that the sender's monitor shows what the hub thinks of it.

use std::fmt::Write as _;
use std::ops::Range;

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
            quick_xml::escape::escape(number),
            quick_xml::escape::escape(text)
        );
    }
    xml.push_str("  </IDOC>\n</SYSTAT01>\n");
    xml
}

fn covers(range: &Range<usize>, at: usize) -> bool {
    range.contains(&at)
}

/// The numbers of the documents in a text, each with its place. A text in another encoding shows none.
fn numbers(raw: &[u8]) -> Vec<(&str, usize)> {
    const OPEN: &str = "<DOCNUM>";
    let Ok(text) = std::str::from_utf8(raw) else { return Vec::new() };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("<EDI_DC40").map(|n| at + n) {
        let end = text[start..].find("</EDI_DC40>").map_or(text.len(), |n| start + n);
        let number = text[start..end].find(OPEN).map(|n| start + n + OPEN.len());
        let number = number.and_then(|from| Some(&text[from..from + text[from..end].find('<')?]));
        found.extend(number.map(|number| (number.trim(), start)));
        at = end.max(start + 1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
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
        let text = Text::of(answer.as_bytes()).unwrap();
        let tree = text.read().unwrap();
        let idoc = tree.roots().find_map(|root| root.child("IDOC")).unwrap();
        let told: Vec<_> = idoc
            .children()
            .filter(|child| child.name() == "E1STATS")
            .map(|s| ["DOCNUM", "STATUS", "STATXT"].map(|name| s.text_of(name).unwrap().to_owned()))
            .collect();
        assert_eq!(told[0], ["1", "53", ""]);
        assert_eq!(told[1], ["2", "51", "no_identity: a <row> without AUFNR"]);
    }

    #[test]
    fn a_cut_document_is_no_trouble() {
        for raw in ["<EDI_DC40", "<EDI_DC40><DOCNUM>", "<EDI_DC40><DOCNUM>5", "<EDI_DC40ä", ""] {
            assert!(!answer(raw.as_bytes(), &[]).contains("E1STATS"), "{raw}");
        }
    }
}
