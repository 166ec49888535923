//! Hostile JSON: refused as `malformed` before it costs anything; exact where it is only unusual.

use ontology::{Field, FieldReader as _, System, ValueRef};

use super::{check, decode, invoice};

/// Refused as a whole by everything that reads JSON.
fn refused(raw: &[u8]) {
    for system in [System::Oracle, System::Wxcc] {
        check(system, raw, &["malformed"], 0);
    }
}

#[test]
fn json_one_hundred_thousand_levels() {
    refused(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes());
    refused("{\"a\":".repeat(100_000).as_bytes());
}

#[test]
fn json_one_megabyte_number() {
    let digits = "9".repeat(1_000_000);
    check(System::Oracle, invoice("\"INV-1\"", &digits).as_bytes(), &["contract_breach"], 0);
    check(System::Oracle, invoice("\"INV-1\"", &format!("0.{digits}")).as_bytes(), &["contract_breach"], 0);
}

#[test]
fn json_exponent_999() {
    for number in ["1e999", "1e-999", "1e99999999999999999999", "-1e999"] {
        let decoded = decode(System::Oracle, invoice("\"INV-1\"", number).as_bytes());
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (0, 1), "{number}");
    }
}

#[test]
fn json_duplicate_key() {
    let good = invoice("\"INV-1\"", "\"1.00\"");
    refused(good.replacen("\"AMOUNT\":", "\"AMOUNT\":\"9.00\",\"AMOUNT\":", 1).as_bytes());
    refused(good.replacen("\"AMOUNT\":", "\"AMOUNT\":\"9.00\",\"\\u0041MOUNT\":", 1).as_bytes());
}

#[test]
fn json_lone_surrogate() {
    for text in ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\ud800", "\\uD83D"] {
        refused(format!("{{\"a\":\"{text}\"}}").as_bytes());
    }
}

#[test]
fn json_bad_utf8() {
    for bytes in [&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf8, 0x88, 0x80, 0x80, 0x80], &[0xe2, 0x82]] {
        refused(&[b"{\"a\":\"", bytes, b"\"}"].concat());
    }
}

#[test]
fn json_byte_order_mark_and_other_encodings() {
    refused(&[&[0xff, 0xfe][..], &"{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat());
    refused(b"{\0}");
}

#[test]
fn json_one_hundred_thousand_members() {
    let members: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let decoded = decode(System::Oracle, format!("{{{}}}", members.join(",")).as_bytes());
    assert_eq!(decoded.rejects[0].code.name(), "no_identity");
}

#[test]
fn json_five_hundred_thousand_entries() {
    let raw = format!("[{}null]", "null,".repeat(200_000));
    assert_eq!(decode(System::Oracle, raw.as_bytes()).ignored, 200_001);
    let raw = format!("[{}0]", "0,".repeat(400_000));
    let decoded = decode(System::Oracle, raw.as_bytes());
    assert_eq!(decoded.facts.len(), 0);
    assert!(!decoded.rejects.is_empty());
    refused("{}".repeat(500_000).as_bytes());
    assert_eq!(decode(System::Oracle, "{}".repeat(10_000).as_bytes()).rejects.len(), 10_000);
}

#[test]
fn json_text_where_an_object_is_expected() {
    for raw in ["0", "\"x\"", "true", "[[]]", "{\"payload\":7}", "{\"op\":7}", "{\"op\":\"u\",\"source\":\"x\"}"] {
        let decoded = decode(System::Oracle, raw.as_bytes());
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (0, 1), "{raw}");
        assert_eq!(decode(System::Wxcc, raw.as_bytes()).facts.len(), 0, "{raw}");
    }
}

#[test]
fn json_control_characters_arrive_as_text() {
    let raw = invoice("\"INV-1\"", "\"1.00\"").replace("\"OPEN\"", "\"\\u0000\\u001b[2J\"");
    let decoded = decode(System::Oracle, raw.as_bytes());
    assert_eq!(decoded.facts[0].fields.get(Field::Status), ValueRef::Unknown("\0\u{1b}[2J"));
}
