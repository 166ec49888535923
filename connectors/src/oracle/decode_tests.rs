#![allow(clippy::unwrap_used)]

use ontology::{Fact, Field, FieldReader as _, Millis, Op, ValueRef, Version, Vocabulary as _};

use super::decode::{OracleDecoder, heartbeat, record_line};
use crate::contract::{Decoded, Delivery, Framing, RejectCode};
use crate::mapping::Mapping;

const MAPPING: &str = r#"
version = 1
system = "oracle"
[[object]]
name = "CREDIT_NOTE"
entity = "credit_note"
record = "CREDIT_NOTE_ID"
fields = [
    { from = "INVOICE_ID", to = "invoice_ref" },
    { from = "AMOUNT", to = "amount", kind = "decimal", required = true },
]
[[object]]
name = "CM_REQUEST"
entity = "credit_note"
record = "REQUEST_ID"
ordered_by = ["LAST_UPDATE_DATE", "OBJECT_VERSION_NUMBER"]
fields = [{ from = "TOTAL_AMOUNT", to = "amount", kind = "decimal", required = true }]
"#;

const SOURCE: &str = r#""source":{"connector":"oracle","table":"CREDIT_NOTE","ts_ms":5,"scn":"90","commit_scn":"100","ssn":2,"txId":"t"}"#;

fn decode(raw: &str) -> Decoded {
    let decoder = OracleDecoder::new(Mapping::parse(MAPPING).unwrap());
    decoder.decode(&Delivery { framing: Framing::Lines, ..Delivery::document(raw.as_bytes(), Millis(9)) })
}

fn one(raw: &str) -> Fact {
    let decoded = decode(raw);
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1, 0), "{raw}: {:?}", decoded.rejects);
    decoded.facts.into_iter().next().unwrap()
}

fn refused(raw: &str, code: RejectCode, what: &str) {
    let decoded = decode(raw);
    assert!(decoded.facts.is_empty(), "{raw}: {:?}", decoded.facts);
    assert_eq!(decoded.rejects.len(), 1, "{raw}");
    assert_eq!(decoded.rejects[0].code, code, "{raw}");
    assert!(decoded.rejects[0].detail.contains(what), "{raw}: {}", decoded.rejects[0].detail);
}

fn row(id: &str) -> String {
    format!(r#"{{"CREDIT_NOTE_ID":"{id}","INVOICE_ID":"I-1","AMOUNT":"1.50"}}"#)
}

fn said(fact: &Fact) -> (Op, &str, Version) {
    (fact.op, fact.record_id.as_str(), fact.version.clone())
}

#[test]
fn every_shape_of_an_envelope_says_the_same() {
    let bare = format!(r#"{{"op":"c","before":null,"after":{},{SOURCE}}}"#, row("C-1"));
    let with_schema = format!(r#"{{"schema":{{"type":"struct"}},"payload":{bare}}}"#);
    let flat = r#"{"CREDIT_NOTE_ID":"C-1","INVOICE_ID":"I-1","AMOUNT":"1.50","__op":"c","__deleted":"false",
                   "__source_table":"CREDIT_NOTE","__source_ts_ms":5,"__source_scn":"90","__source_commit_scn":"100",
                   "__source_ssn":2,"__source_txId":"t"}"#;
    let event = format!(
        r#"{{"specversion":"1.0","id":"x","type":"io.debezium.connector.oracle.DataChangeEvent","iodebeziumop":"c",
            "iodebeziumconnector":"oracle","iodebeziumtable":"CREDIT_NOTE","iodebeziumtsms":"5","iodebeziumscn":"90",
            "iodebeziumcommitscn":"100","iodebeziumssn":"2","iodebeziumtxid":"t","data":{{"before":null,"after":{}}}}}"#,
        row("C-1")
    );
    let expected = one(&bare);
    assert_eq!(said(&expected), (Op::Image, "C-1", Version::new(100, 90, 2)));
    assert_eq!(expected.changed_at, Millis(5));
    for other in [with_schema, flat.to_owned(), event] {
        assert_eq!(one(&other.replace('\n', " ")), expected, "{other}");
    }
}

#[test]
fn what_a_change_does_to_its_row() {
    let envelope =
        |op: &str, before: &str, after: &str| format!(r#"{{"op":"{op}","before":{before},"after":{after},{SOURCE}}}"#);
    assert_eq!(one(&envelope("r", "null", &row("C-1"))).op, Op::Image);
    assert_eq!(one(&envelope("u", &row("C-1"), &row("C-1"))).op, Op::Image);
    let part = r#"{"CREDIT_NOTE_ID":"C-1","AMOUNT":"2"}"#;
    let patch = one(&envelope("u", "null", part));
    assert_eq!((patch.op, patch.fields.iter().count()), (Op::Patch, 1), "what is not told stays");
    let whole = one(&envelope("c", "null", part));
    assert_eq!(whole.fields.get(Field::InvoiceRef), ValueRef::Null, "what an insert does not tell is empty");
    assert_eq!(one(&envelope("d", &row("C-1"), "null")).op, Op::Delete);
    refused(&envelope("d", "null", "null"), RejectCode::ContractBreach, "without before");
    refused(&envelope("u", &row("C-1"), "null"), RejectCode::ContractBreach, "without after");
    assert_eq!(decode(&envelope("m", "null", "null")).ignored, 1);
}

#[test]
fn a_place_within_the_transaction_orders_what_shares_an_scn() {
    let at = |more: &str| {
        let source = format!(r#""source":{{"table":"CREDIT_NOTE","ts_us":5999,"scn":90{more}}}"#);
        one(&format!(r#"{{"op":"c","after":{},{source}}}"#, row("C-1")))
    };
    assert_eq!(at("").version, Version::new(90, 90, 0), "a row of a snapshot has no commit");
    assert_eq!(at(r#","commit_scn":null,"ssn":1"#).version, Version::new(90, 90, 1));
    assert_eq!(at(r#","commit_scn":"100","ssn":1,"txSeq":7"#).version, Version::new(100, 90, 7));
    assert_eq!(at("").changed_at, Millis(5));
    let beyond = format!(
        r#"{{"op":"c","after":{},"source":{{"table":"CREDIT_NOTE","ts_ms":1,"scn":"{}"}}}}"#,
        row("C"),
        u128::MAX
    );
    refused(&beyond, RejectCode::NoIdentity, "without scn");
}

#[test]
fn an_emptied_table_and_the_end_of_a_snapshot_ask_for_a_whole_reading() {
    let truncate = decode(&format!(r#"{{"op":"t","before":null,"after":null,{SOURCE}}}"#));
    assert_eq!(truncate.ignored, 1);
    assert_eq!(truncate.resyncs[0].object, "CREDIT_NOTE");
    assert_eq!(truncate.resyncs[0].version, Some(Version::new(100, 90, 2)));
    let last = SOURCE.replace("\"ssn\"", "\"snapshot\":\"last_in_data_collection\",\"ssn\"");
    let last = decode(&format!(r#"{{"op":"r","after":{},{last}}}"#, row("C-1")));
    assert_eq!((last.facts.len(), last.resyncs.len()), (1, 1));
    assert_eq!(last.resyncs[0].version, None);
}

#[test]
fn a_record_of_a_topic_names_the_table_and_the_key() {
    let nameless = SOURCE.replace(r#""table":"CREDIT_NOTE","#, "");
    let value = format!(r#"{{"op":"d","before":null,"after":null,{nameless}}}"#);
    let key = r#"{"schema":{},"payload":{"CREDIT_NOTE_ID":"C-1"}}"#;
    refused(&value, RejectCode::NoIdentity, "without table");
    let line = record_line("erp.AR.CREDIT_NOTE", 0, 7, Some(key.as_bytes()), Some(value.as_bytes()));
    assert_eq!(said(&one(&line)), (Op::Delete, "C-1", Version::new(100, 90, 2)));
    let tombstone = record_line("erp.AR.CREDIT_NOTE", 0, 8, Some(key.as_bytes()), None);
    assert_eq!((decode(&tombstone).ignored, decode(&tombstone).rejects.len()), (1, 0));
    let pretty = value.replace(',', ",\r\n");
    assert_eq!(one(&record_line("a.CREDIT_NOTE", 0, 7, Some(key.as_bytes()), Some(pretty.as_bytes()))).op, Op::Delete);
    let other = record_line("erp.AR.OTHER", 0, 7, None, Some(value.as_bytes()));
    assert_eq!(decode(&other).ignored, 1, "a table that no mapping reads");
}

#[test]
fn values_that_are_no_json_are_kept_byte_for_byte() {
    let line = |value: &[u8]| record_line("erp.AR.CREDIT_NOTE", 0, 7, None, Some(value));
    refused(&line(b"{cut\n"), RejectCode::Malformed, "member name");
    assert!(line(b"{cut\n").contains(r#""value_base64":"e2N1dAo=""#));
    refused(&line(&[0, 0, 0, 0, 1, 2]), RejectCode::Malformed, "Avro");
    refused(&line(&[0xff]), RejectCode::Malformed, "utf-8");
    assert_eq!(decode(&record_line("t", 0, 0, Some(&[0xff]), Some(b"{\"ts_ms\":1}"))).ignored, 1);
    refused(r#"{"topic":"a.b.CREDIT_NOTE"}"#, RejectCode::NoIdentity, "without value");
}

#[test]
fn a_trail_is_read_by_its_positions() {
    let record = |op: &str, images: &str| {
        format!(
            r#"{{"table":"AR.CREDIT_NOTE","op_type":"{op}","op_ts":"2013-06-02 22:14:41.000000",
               "current_ts":"2015-09-18T10:17:49.899000","pos":"00000000250000058833",{images}}}"#
        )
        .replace('\n', " ")
    };
    let insert = one(&record("I", &format!(r#""after":{}"#, row("C-1"))));
    assert_eq!(said(&insert), (Op::Image, "C-1", Version::new(25, 58_833, 0)));
    assert_eq!(insert.changed_at, Millis(1_370_211_281_000));
    let with_csn = record("I", &format!(r#""csn":"777","after":{}"#, row("C-1")));
    assert_eq!(one(&with_csn).version.major, 777);
    let part = r#""before":{"CREDIT_NOTE_ID":"C-1"},"after":{"CREDIT_NOTE_ID":"C-1","AMOUNT":null,"AMOUNT_isMissing":true,"INVOICE_ID":"I-2"}"#;
    let patch = one(&record("U", part));
    assert_eq!((patch.op, patch.fields.iter().count()), (Op::Patch, 1));
    assert_eq!(one(&record("D", &format!(r#""before":{},"after":null"#, row("C-1")))).op, Op::Delete);
    let moved = decode(&record("U", &format!(r#""before":{},"after":{}"#, row("C-1"), row("C-2"))));
    let moved: Vec<_> = moved.facts.iter().map(|f| (f.op, f.record_id.as_str())).collect();
    assert_eq!(moved, [(Op::Delete, "C-1"), (Op::Image, "C-2")], "another key");
    let flat = record("I", r#""CREDIT_NOTE_ID":"C-3","AMOUNT":1.5,"INVOICE_ID":null"#);
    assert_eq!(said(&one(&flat)).1, "C-3");
    assert_eq!(decode(&record("T", r#""before":null"#)).resyncs.len(), 1);
    refused(&record("X", "\"after\":{}"), RejectCode::NoIdentity, "op_type");
    refused(&record("I", "\"after\":null"), RejectCode::ContractBreach, "without after");
    let lost = record("I", &format!(r#""after":{}"#, row("C-1"))).replace("\"pos\"", "\"position\"");
    refused(&lost, RejectCode::NoIdentity, "without pos");
}

#[test]
fn a_row_that_orders_itself_does_so_on_every_path() {
    let body =
        r#"{"REQUEST_ID":7,"TOTAL_AMOUNT":"5.00","LAST_UPDATE_DATE":"2026-03-10T15:00:00Z","OBJECT_VERSION_NUMBER":3}"#;
    let version = Version::new(1_773_154_800_000, 3, 0);
    let queued = one(&format!(r#"{{"table":"CM_REQUEST","op":"U","row":{body}}}"#));
    assert_eq!(said(&queued), (Op::Image, "7", version.clone()));
    assert_eq!((queued.read_at, queued.changed_at), (None, Millis(1_773_154_800_000)));
    let by_topic = one(&record_line("CM_REQUEST", 1, 2, None, Some(body.as_bytes())));
    assert_eq!(said(&by_topic), said(&queued));
    let text = serde_json::Value::from(body).to_string();
    assert_eq!(said(&one(&format!(r#"{{"topic":"CM_REQUEST","value":{text}}}"#))), said(&queued));
    let wrapped = serde_json::Value::from(format!(r#"{{"text_vc":{text},"text_lob":null}}"#)).to_string();
    assert_eq!(said(&one(&format!(r#"{{"topic":"CM_REQUEST","value":{wrapped}}}"#))), said(&queued));
    let listed =
        one(&format!(r#"{{"table":"CM_REQUEST","row":{}}}"#, body.replace("{\"REQ", "{\"ora_rowscn\":\"9\",\"REQ")));
    assert_eq!((listed.version.clone(), listed.read_at), (version, Some(Millis(9))));
    let gone = one(&format!(r#"{{"table":"CM_REQUEST","op":"D","row":{body}}}"#));
    assert_eq!(gone.op, Op::Delete);
    // Whatever a path counts in, the version is of the same instant.
    let counted = |unit: &str, count: &str| {
        let mapping = MAPPING.replace("ordered_by", &format!("{unit}ordered_by"));
        let body = body.replace("\"2026-03-10T15:00:00Z\"", count);
        let raw = format!(r#"{{"table":"CM_REQUEST","op":"U","row":{body}}}"#);
        let decoded = OracleDecoder::new(Mapping::parse(&mapping).unwrap())
            .decode(&Delivery::document(raw.as_bytes(), Millis(9)));
        (decoded.facts[0].version.major, decoded.facts[0].changed_at.0)
    };
    let at = 1_773_154_800_000;
    assert_eq!(counted("order_unit = \"us\"\n", "1773154800000000"), (at, 1_773_154_800_000));
    assert_eq!(counted("order_unit = \"days\"\n", "20522"), (1_773_100_800_000, 1_773_100_800_000));
    assert_eq!(counted("", "1773154800000"), (at, 1_773_154_800_000), "a number stands for itself");
    let unordered = body.replace("LAST_UPDATE_DATE", "OTHER");
    refused(&format!(r#"{{"table":"CM_REQUEST","row":{unordered}}}"#), RejectCode::NoIdentity, "LAST_UPDATE_DATE");
    refused(&format!(r#"{{"table":"CREDIT_NOTE","row":{}}}"#, row("C")), RejectCode::NoIdentity, "ora_rowscn");
}

#[test]
fn rows_of_the_list_may_show_wall_time() {
    let mapping = MAPPING.replace("system =", "time_zone = \"Europe/Berlin\"\nsystem =").replace(
        r#"{ from = "INVOICE_ID", to = "invoice_ref" },"#,
        r#"{ from = "VALID_ON", to = "valid_on", kind = "date" }, { from = "OPENED", to = "opened_at", kind = "time" },"#,
    );
    let decoder = OracleDecoder::new(Mapping::parse(&mapping).unwrap());
    let read = |wall: &str| {
        let raw = format!(
            r#"{{"table":"CREDIT_NOTE"{wall},"row":{{"credit_note_id":"C","amount":"1.00","ora_rowscn":5,
                "valid_on":"2026-03-10T00:00:00Z","opened":"2026-03-10T15:00:00Z","last_update":"2026-03-10T15:00:00Z"}}}}"#
        );
        let fact = decoder.decode(&Delivery::document(raw.as_bytes(), Millis(9))).facts.remove(0);
        (fact.fields.text(Field::ValidOn).map(str::to_owned), fact.fields.time(Field::OpenedAt), fact.changed_at)
    };
    let (as_told, an_hour_before) = (Millis(1_773_154_800_000), Millis(1_773_151_200_000));
    let day = Some("2026-03-10".to_owned());
    assert_eq!(read(""), (day.clone(), Some(as_told), as_told), "a Z is believed");
    assert_eq!(read(",\"wall\":false"), read(""));
    assert_eq!(read(",\"wall\":true"), (day, Some(an_hour_before), an_hour_before), "15:00 in Berlin");
}

#[test]
fn heartbeats_are_told_from_changes() {
    assert_eq!(heartbeat(br#"{"ts_ms":7}"#), Some(Millis(7)));
    assert_eq!(heartbeat(br#"{"schema":{},"payload":{"ts_ms":7}}"#), Some(Millis(7)));
    for other in ["{}", "{\"ts_ms\":7,\"op\":\"c\"}", "null", "[]", "x"] {
        assert_eq!(heartbeat(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn the_topic_in_a_header_counts_where_an_entry_names_no_table() {
    let nameless =
        format!(r#"{{"op":"c","after":{},{}}}"#, row("C-1"), SOURCE.replace(r#""table":"CREDIT_NOTE","#, ""));
    let decoder = OracleDecoder::new(Mapping::parse(MAPPING).unwrap());
    let sent_to = |topic: &str, raw: &str| {
        let headers = [("X-Debezium-Destination", topic)].into_iter().collect();
        decoder.decode(&Delivery { headers: &headers, ..Delivery::document(raw.as_bytes(), Millis(9)) })
    };
    let found = sent_to("erp.AR.CREDIT_NOTE", &nameless);
    assert_eq!(said(&found.facts[0]), (Op::Image, "C-1", Version::new(100, 90, 2)));
    let named = format!(r#"{{"op":"c","after":{},{SOURCE}}}"#, row("C-1"));
    assert_eq!(sent_to("erp.AR.OTHER", &named).facts.len(), 1, "its own table goes before");
    let unmapped = sent_to("erp.AR.OTHER", &nameless);
    assert_eq!((unmapped.facts.len(), unmapped.ignored, unmapped.unmapped), (0, 1, 1), "kept for another mapping");
    let tombstone = sent_to("erp.AR.CREDIT_NOTE", "null");
    assert_eq!((tombstone.ignored, tombstone.unmapped), (1, 0), "nothing that any mapping could read");
    let told = r#"{"REQUEST_ID":"R-1","TOTAL_AMOUNT":"1.00","LAST_UPDATE_DATE":5,"OBJECT_VERSION_NUMBER":3}"#;
    assert_eq!(said(&sent_to("q.CM_REQUEST", told).facts[0]), (Op::Image, "R-1", Version::new(5, 3, 0)));
    refused(&nameless, RejectCode::NoIdentity, "a source without table");
}

/// A mapping whose rows may be deleted by a word in them, and are rows of something else.
fn of_schedule(raw: &str) -> Decoded {
    let mapping = r#"
version = 1
system = "oracle"
[[object]]
name = "AR_PAYMENT_SCHEDULE"
entity = "invoice"
record = "SCHEDULE_ID"
id = "INVOICE_ID"
delete_when = [{ column = "STATUS", is = ["M", "I"] }]
fields = [
    { from = "OUTSTANDING", to = "outstanding", kind = "decimal", required = true },
    { from = "NOTE", to = "billing_type" },
]
"#;
    let decoder = OracleDecoder::new(Mapping::parse(mapping).unwrap());
    decoder.decode(&Delivery { framing: Framing::Lines, ..Delivery::document(raw.as_bytes(), Millis(9)) })
}

#[test]
fn redo_records_of_one_scn_stand_in_their_order() {
    let at = |rs_id: &str, more: &str| {
        let source = format!(r#""source":{{"table":"CREDIT_NOTE","ts_ms":5,"scn":90,"rs_id":"{rs_id}"{more}}}"#);
        one(&format!(r#"{{"op":"c","after":{},{source}}}"#, row("C-1")))
    };
    let ordered = [
        at(" 0x00002a.0000000f.0010 ", r#","ssn":7"#),
        at("0x00002a.00000010.0010", r#","ssn":0"#),
        at("0x00002a.00000010.0020", r#","ssn":0"#),
        at("0x00002a.00000010.0020", r#","ssn":1"#),
        at("0x00002a.00000011.0000", ""),
    ];
    assert!(ordered.is_sorted_by(|one, next| one.version < next.version), "{ordered:?}");
    assert!(ordered.is_sorted_by(|one, next| one.event_id != next.event_id));
    assert_eq!(at("0x00002a.00000010.0020", r#","txSeq":7,"ssn":1"#).version, Version::new(90, 90, 7));
    for unread in ["", "x.y.z", "1.2", "0x1.123456789.0010"] {
        assert_eq!(at(unread, r#","ssn":3"#).version, Version::new(90, 90, 3), "{unread}");
    }
}

#[test]
fn a_row_that_says_that_it_is_gone_is_gone_whatever_else_it_tells() {
    let source = r#""source":{"table":"AR_PAYMENT_SCHEDULE","ts_ms":5,"scn":90}"#;
    let op = |op: &str, after: &str| {
        let after = format!(r#"{{"SCHEDULE_ID":1,"INVOICE_ID":"I-1"{after}}}"#);
        let decoded = of_schedule(&format!(r#"{{"op":"{op}","after":{after},{source}}}"#));
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1, 0), "{after}: {:?}", decoded.rejects);
        decoded.facts[0].op
    };
    let whole = r#","OUTSTANDING":"1","NOTE":"n""#;
    let unknown = r#","OUTSTANDING":"1","NOTE":"__debezium_unavailable_value""#;
    for told in ["", whole, unknown] {
        assert_eq!(op("u", &format!(r#"{told},"STATUS":"M""#)), Op::Delete, "{told}");
        assert_eq!(op("c", &format!(r#"{told},"STATUS":"I""#)), Op::Delete, "{told}");
    }
    assert_eq!(op("u", &format!(r#"{whole},"STATUS":"A""#)), Op::Image);
    assert_eq!(op("u", r#","STATUS":"A""#), Op::Patch);
    assert_eq!(op("u", whole), Op::Patch, "nobody says that it lives");
}

#[test]
fn a_row_of_something_else_names_what_it_is_of() {
    let refused = |raw: &str| {
        let decoded = of_schedule(raw);
        assert!(decoded.facts.is_empty());
        let unplaced: Vec<_> = decoded.unplaced.iter().map(|one| (one.fact.op, one.reject)).collect();
        (decoded.rejects[0].detail.clone(), unplaced)
    };
    let words = "AR_PAYMENT_SCHEDULE: a row without INVOICE_ID, which names its invoice: let the source send it too";
    let update =
        r#"{"table":"AR.AR_PAYMENT_SCHEDULE","op_type":"U","pos":"1","after":{"SCHEDULE_ID":1,"OUTSTANDING":0}}"#;
    assert_eq!(refused(update), (words.to_owned(), vec![(Op::Patch, 0)]), "whoever knows the row knows the invoice");
    let delete = r#"{"topic":"AR_PAYMENT_SCHEDULE","key":{"SCHEDULE_ID":1},
        "value":{"op":"d","before":null,"source":{"scn":90,"ts_ms":1}}}"#;
    let gone = vec![(Op::Delete, 0)];
    assert_eq!(refused(&delete.replace('\n', "")), (words.to_owned(), gone.clone()), "by its key");
    let empty = r#"{"op":"d","before":{"SCHEDULE_ID":1,"INVOICE_ID":null},"source":{"table":"AR_PAYMENT_SCHEDULE","scn":90,"ts_ms":1}}"#;
    assert_eq!(refused(empty), (words.to_owned(), gone.clone()), "what was not logged of a deleted row is empty");
    let none = empty.replace("\"d\",\"before\"", "\"u\",\"after\"");
    assert_eq!(refused(&none), (words.to_owned(), vec![]), "a living row that says that it is of none");
    let trail = r#"{"table":"AR.AR_PAYMENT_SCHEDULE","op_type":"D","pos":"1","before":{"SCHEDULE_ID":1}}"#;
    assert_eq!(refused(trail), (words.to_owned(), gone));
    let nameless = trail.replace("{\"SCHEDULE_ID\":1}", "{\"NOTE\":\"n\"}");
    assert_eq!(refused(&nameless), ("AR_PAYMENT_SCHEDULE: a row without SCHEDULE_ID".to_owned(), vec![]));
    // Each has its own reject, whatever stands between.
    let both = of_schedule(&format!("{update}\n{nameless}\n{trail}"));
    assert_eq!(both.unplaced.iter().map(|one| one.reject).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_row_that_moves_leaves_what_it_was_of() {
    let told = |raw: &str| {
        let decoded = of_schedule(raw);
        assert_eq!((decoded.rejects.len(), decoded.unplaced.len()), (0, 0), "{raw}: {:?}", decoded.rejects);
        let facts = decoded.facts.iter();
        facts
            .map(|f| format!("{} {} of {} at {}", f.op.name(), f.record_id, f.entity.id, f.version))
            .collect::<Vec<_>>()
    };
    let row = |invoice: &str| format!(r#"{{"SCHEDULE_ID":1,"OUTSTANDING":"5.00","NOTE":"n","STATUS":"A"{invoice}}}"#);
    let (first, second) = (row(r#","INVOICE_ID":"I-1""#), row(r#","INVOICE_ID":"I-2""#));
    let moved = ["delete 1 of I-1 at 9.9.0", "image 1 of I-2 at 9.9.0"];
    let update = |before: &str, after: &str| {
        format!(
            r#"{{"op":"u","before":{before},"after":{after},"source":{{"table":"AR_PAYMENT_SCHEDULE","scn":9,"ts_ms":1}}}}"#
        )
    };
    assert_eq!(told(&update(&first, &second)), moved);
    assert_eq!(told(&update(&second, &second)), moved[1..], "it stays");
    assert_eq!(told(&update("null", &second)), moved[1..], "nobody says what it was");
    assert_eq!(told(&update(&row(""), &second)), moved[1..]);
    assert_eq!(told(&update(&second, &row(""))), moved[1..], "what an update leaves out did not change");
    let trail = |op: &str, before: &str, after: &str| {
        format!(r#"{{"table":"AR_PAYMENT_SCHEDULE","op_type":"{op}","pos":"9","before":{before},"after":{after}}}"#)
    };
    assert_eq!(told(&trail("U", &first, &second)), ["delete 1 of I-1 at 0.9.0", "image 1 of I-2 at 0.9.0"]);
    let renamed = second.replace("_ID\":1", "_ID\":2");
    assert_eq!(told(&trail("PK", &first, &renamed)), ["delete 1 of I-1 at 0.9.0", "image 2 of I-2 at 0.9.0"]);
    // A key that changes where the trail tells keys alone: somebody may know what the old row was of.
    let decoded = of_schedule(&trail("PK", r#"{"SCHEDULE_ID":1}"#, &renamed));
    assert_eq!(decoded.facts.iter().map(|f| f.record_id.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(decoded.unplaced.iter().map(|one| one.fact.record_id.as_str()).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn a_key_is_read_by_its_schema() {
    let id = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"0"},"field":"CREDIT_NOTE_ID"}"#;
    let key = format!(r#"{{"schema":{{"type":"struct","fields":[{id}]}},"payload":{{"CREDIT_NOTE_ID":"ETo="}}}}"#);
    let record = format!(r#"{{"topic":"CREDIT_NOTE","key":{key},"value":{{"op":"d","before":null,{SOURCE}}}}}"#);
    assert_eq!(said(&one(&record)), (Op::Delete, "4410", Version::new(100, 90, 2)));
}
