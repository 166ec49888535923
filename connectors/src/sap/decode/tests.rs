#![allow(clippy::unwrap_used)]

use ontology::status::ServiceOrderStatus;
use ontology::{Field, FieldReader as _, ValueRef, Vocabulary};

use super::*;

const AT: Millis = Millis(1_773_154_800_000);

fn decode_by(mapping: &Mapping, raw: &str) -> Decoded {
    SapDecoder::new(mapping.clone()).decode(&Delivery::document(raw.as_bytes(), AT))
}

fn decode(raw: &str) -> Decoded {
    decode_by(&Mapping::shipped(System::Sap).unwrap(), raw)
}

fn mapping(objects: &str) -> Mapping {
    Mapping::parse(&format!("version = 1\nsystem = \"sap\"\n{objects}")).unwrap()
}

fn idoc(message: &str, segments: &str) -> String {
    format!(
        "<IDOC BEGIN=\"1\"><EDI_DC40><MANDT>100</MANDT><DOCNUM>0000000000000042</DOCNUM><MESTYP>{message}</MESTYP>\
         <SNDPRN>S4P</SNDPRN><SERIAL>20260310150000</SERIAL></EDI_DC40>{segments}</IDOC>"
    )
}

const ORDER: &str = "<Z1SRVORD><AUFNR>000000700123</AUFNR><STTXT>TECO</STTXT></Z1SRVORD>";

#[test]
fn documents_are_found_however_they_are_wrapped() {
    let one = idoc("ZSRVORD", ORDER);
    let soap = format!("<s:Envelope><s:Body><ZSRVORD01>{one}{one}</ZSRVORD01></s:Body></s:Envelope>");
    assert_eq!(decode(&soap).facts.len(), 2);
    assert_eq!(decode(&format!("{one}\n{one}")).facts.len(), 2, "glued without a root");
    let multipart = format!(
        "--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b1\r\nContent-Type: text/xml\r\n\r\n<Z>{one}</Z>\r\n--b1--\r\n"
    );
    assert_eq!(decode(&multipart).facts.len(), 1);
    let broken = multipart.replace("<AUFNR>", "<AUFNX>").replace("</AUFNR>", "</AUFNX>");
    let reject = decode(&broken).rejects.remove(0);
    assert!(broken[reject.range].starts_with("<IDOC"));
    for bad in ["--b1\r\nno part", "--\r\n", "-", "--b1\r\nA: b\r\n\r\nplain\r\n--b1--"] {
        assert_eq!(decode(bad).rejects.len(), 1, "{bad}");
    }
}

#[test]
fn a_body_holds_as_many_documents_as_its_bytes_allow() {
    // A thousand small documents: more elements than one document may have.
    let many = idoc("ZSRVORD", &ORDER.replace("<STTXT>", "<KUNUM>17100001</KUNUM><STTXT>")).repeat(1_000);
    let decoded = decode(&format!("<Z>{many}</Z>"));
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1_000, 0));
    // At the bound of one document it is read, beyond it alone is refused.
    let wide = |n: usize| idoc("ZSRVORD", &format!("{ORDER}{}", "<A/>".repeat(n)));
    let around = DOCUMENT_ELEMENTS_MAX - 9;
    let decoded = decode(&format!("<Z>{}{}{}</Z>", wide(around), wide(around + 1), wide(0)));
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (2, 1), "{:?}", decoded.rejects);
    assert!(decoded.rejects[0].detail.contains("too many elements"));
}

#[test]
fn finished_orders_are_finished() {
    let status = |word: &str| {
        let decoded = decode(&idoc("ZSRVORD", &ORDER.replace("TECO", word)));
        let fields = &decoded.facts[0].fields;
        match fields.get(Field::Status) {
            ValueRef::Code(code) => ServiceOrderStatus::from_code(code).map(Vocabulary::name),
            _ => None,
        }
    };
    for (word, expected) in [
        ("CRTD", Some("Created")),
        ("PCNF", Some("InProgress")),
        ("CNF", Some("Completed")),
        ("TECO", Some("Completed")),
        ("CLSD", Some("Completed")),
        // The line of all statuses that an order has: the one furthest on counts.
        ("REL  PCNF PRC", Some("InProgress")),
        ("TECO CNF  PRC  SETC", Some("Completed")),
        ("CRTD MANC NMAT", Some("Created")),
        ("MANC PRC", None),
    ] {
        assert_eq!(status(word), expected, "{word}");
    }
}

#[test]
fn a_serial_that_is_no_time_orders_within_the_second() {
    let numbered = |serial: &str| {
        let control = format!("<SERIAL>{serial}</SERIAL><CREDAT>20260310</CREDAT><CRETIM>150000</CRETIM>");
        idoc("ZSRVORD", ORDER).replace("<SERIAL>20260310150000</SERIAL>", &control)
    };
    let fact = |serial: &str| {
        let mut decoded = decode(&numbered(serial));
        assert!(decoded.rejects.is_empty(), "{serial}: {:?}", decoded.rejects);
        decoded.facts.remove(0)
    };
    let (twelve, thirteen) = (fact("00000000000000000012"), fact("00000000000000000013"));
    assert_eq!(twelve.changed_at, AT);
    assert!(twelve.version < thirteen.version);
    // A time stays what it is, beside another of the control record.
    assert_eq!(fact("20260310145959").changed_at, AT - 1_000);
    assert_eq!(fact("").changed_at, AT);
    let nothing = numbered("00000000000000000012").replace("<CREDAT>20260310</CREDAT>", "");
    assert_eq!(decode(&nothing).rejects.len(), 1, "no time at all");
}

#[test]
fn segments_are_found_at_any_depth_and_columns_lead_everywhere() {
    let mapping = mapping(
        "[[object]]\nname = \"E1OP\"\nentity = \"field_dispatch\"\nrecord = \"VORNR\"\nfields = [\n\
         { from = \"../AUFNR\", to = \"service_order_ref\", form = \"trim_zeros\" },\n\
         { from = \"E1EDKA1[PARVW=AG].PARTN\", to = \"technician_id\" },\n\
         { from = \"EDI_DC40.MESTYP\", to = \"outcome\", kind = \"code\" },\n]",
    );
    let operation = |n: &str| {
        format!(
            "<E1OP><VORNR>{n}</VORNR><E1EDKA1><PARVW>RE</PARVW><PARTN>1</PARTN></E1EDKA1>\
             <E1EDKA1><PARVW>AG</PARVW><PARTN>2</PARTN></E1EDKA1></E1OP>"
        )
    };
    let raw = idoc("Fixed", &format!("<E1HEAD><AUFNR>0007</AUFNR>{}{}</E1HEAD>", operation("10"), operation("20")));
    let facts = decode_by(&mapping, &raw).facts;
    assert_eq!(facts.iter().map(|f| f.record_id.as_str()).collect::<Vec<_>>(), ["10", "20"]);
    let first = &facts[0].fields;
    assert_eq!((first.text(Field::ServiceOrderRef), first.text(Field::TechnicianId)), (Some("7"), Some("2")));
    assert!(matches!(first.get(Field::Outcome), ValueRef::Code(_)));
}

#[test]
fn a_segment_three_levels_down_knows_all_around_it() {
    let mapping = mapping(
        "[[object]]\nname = \"E1AFVOL\"\nentity = \"field_dispatch\"\nrecord = \"VORNR\"\nfields = [\n\
         { from = \"../../AUFNR\", to = \"service_order_ref\", form = \"trim_zeros\" },\n\
         { from = \"../PLNFL\", to = \"technician_id\" },\n]",
    );
    let operation = |n: &str| format!("<E1AFVOL SEGMENT=\"1\"><VORNR>{n}</VORNR></E1AFVOL>");
    let sequence = |n: u32, within: String| format!("<E1AFFLL SEGMENT=\"1\"><PLNFL>{n}</PLNFL>{within}</E1AFFLL>");
    let (first, second) = (sequence(1, operation("10") + &operation("20")), sequence(2, operation("30")));
    let raw = idoc("LOIPRO", &format!("<E1AFKOL SEGMENT=\"1\"><AUFNR>007</AUFNR>{first}{second}</E1AFKOL>"));
    let facts = decode_by(&mapping, &raw).facts;
    let of = |fact: &Fact| {
        let text = |field| fact.fields.text(field).unwrap_or_default().to_owned();
        [fact.record_id.to_string(), text(Field::ServiceOrderRef), text(Field::TechnicianId)]
    };
    assert_eq!(facts.iter().map(of).collect::<Vec<_>>(), [["10", "7", "1"], ["20", "7", "1"], ["30", "7", "2"]]);
}

#[test]
fn a_segment_beside_is_read_where_it_should_be_below() {
    let beside = idoc("DEBMAS", "<E1KNA1M><KUNNR>7</KUNNR><NAME1>A</NAME1></E1KNA1M><Z1KNA1X><DUNS>9</DUNS></Z1KNA1X>");
    assert_eq!(decode(&beside).facts[0].fields.text(Field::Duns), Some("9"));
    let two = "<E1KNA1M><KUNNR>7</KUNNR></E1KNA1M><E1KNA1M><KUNNR>8</KUNNR></E1KNA1M><Z1KNA1X><DUNS>9</DUNS></Z1KNA1X>";
    assert_eq!(decode(&idoc("DEBMAS", two)).facts[0].fields.text(Field::Duns), None, "of which of the two?");
}

#[test]
fn a_reduced_segment_names_only_what_changed() {
    let mapping = mapping(
        "[[object]]\nname = \"DEBMAS/E1KNA1M\"\nentity = \"business_partner\"\nrecord = \"KUNNR\"\n\
         delete_when = [{ column = \"MSGFN\", is = \"003\" }]\npatch_when = [{ column = \"MSGFN\", is = \"004\" }]\n\
         fields = [{ from = \"NAME1\", to = \"name\" }, { from = \"ORT01\", to = \"city\" }, { from = \"TELF1\", to = \"phone\" }]",
    );
    let partner = |message: &str, msgfn: &str| {
        let segment =
            format!("<E1KNA1M><MSGFN>{msgfn}</MSGFN><KUNNR>7</KUNNR><NAME1>A</NAME1><ORT01>/</ORT01></E1KNA1M>");
        decode_by(&mapping, &idoc(message, &segment))
    };
    let fields = |msgfn: &str| {
        let fact = partner("DEBMAS", msgfn).facts.remove(0);
        let named: Vec<_> = fact.fields.iter().map(|(field, value)| (field, value.is_empty())).collect();
        (fact.op, named)
    };
    assert_eq!(fields("004"), (Op::Patch, vec![(Field::Name, false), (Field::City, true)]));
    let (op, named) = fields("005");
    assert_eq!((op, named.len()), (Op::Image, 3));
    assert_eq!(fields("003"), (Op::Delete, vec![]));
    assert_eq!(partner("CREMAS", "005").ignored, 1, "mapped for another message");
}

#[test]
fn numbers_of_documents_may_be_long_or_no_numbers() {
    let version = |number: &str| {
        let raw = idoc("ZSRVORD", ORDER).replace("0000000000000042", number);
        decode(&raw).facts[0].version.to_string()
    };
    assert_eq!(version("42"), "1773154800000.42.1");
    assert_eq!(version("99999999999999999999"), "1773154800000.0.1.99999999999999999999");
    assert_eq!(version("Avon"), "1773154800000.0.1.Avon");
    let without = decode(&idoc("ZSRVORD", ORDER).replace("<DOCNUM>0000000000000042</DOCNUM>", "<DOCNUM/>"));
    assert_eq!(without.rejects[0].code, RejectCode::NoIdentity);
}

#[test]
fn one_record_has_one_row_whatever_the_path() {
    let document = decode(&idoc("ZSRVORD", ORDER)).facts.remove(0);
    let row = r#"{"d":{"results":[{"ServiceOrder":"700123","ServiceOrderType":"REPR","SoldToParty":"17100001",
        "ServiceOrderIsReleased":"X","ServiceOrderIsCompleted":"X","ServiceOrderIsRejected":"","TransactionCurrency":"USD",
        "ServiceDocChangedDateTime":"/Date(1773154800500)/","to_Item":{"__deferred":{"uri":"x"}}}],"__count":"1"}}"#;
    let listed = decode(row).facts.remove(0);
    assert_eq!(document.source_key(), listed.source_key());
    assert_eq!(document.fields.get(Field::Status), listed.fields.get(Field::Status));
    assert!(listed.version > document.version, "read half a second later");
    let event = r#"{"specversion":"1.0","type":"sap.s4.beh.serviceorder.v1.ServiceOrder.Completed.v1",
        "source":"/default/sap.s4.beh/1","id":"e-1","time":"2026-03-10T15:00:01Z","data":{"ServiceOrder":"0000700123"}}"#;
    let gap = decode(event).facts.remove(0);
    assert_eq!((gap.source_key(), gap.op), (document.source_key(), Op::Gap));
    let read = row.replacen('{', "{\"set\":\"A_ServiceOrder\",\"gapMs\":1773154801000,", 1);
    let read = decode(&read).facts.remove(0);
    assert!(read.version >= gap.version && read.op == Op::Image, "the gap is closed");
    let shown =
        row.replace("\"SoldToParty\"", "\"YY1_Serial\":\"20260310150000\",\"YY1_Docnum\":\"0042\",\"SoldToParty\"");
    let shown = decode(&shown).facts.remove(0);
    assert_eq!((shown.version.major, shown.version.minor), (document.version.major, document.version.minor));
    assert!(shown.version > document.version, "what is read stands above the document that it repeats");
}

#[test]
fn flags_of_an_order_come_to_a_status() {
    let status = |released: &str, completed: &str, rejected: &str| {
        let raw = format!(
            "{{\"d\":{{\"ServiceOrder\":\"1\",\"ServiceOrderType\":\"REPR\",\"ServiceOrderIsReleased\":\"{released}\",\
             \"ServiceOrderIsCompleted\":\"{completed}\",\"ServiceOrderIsRejected\":\"{rejected}\",\
             \"ServiceDocChangedDateTime\":\"/Date(5)/\"}}}}"
        );
        let fact = decode(&raw).facts.remove(0);
        match fact.fields.coded::<ontology::status::ServiceOrderStatus>(Field::Status) {
            ontology::Coded::Known(status) => format!("{status:?}"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(status("", "", ""), "Created");
    assert_eq!(status("X", "", ""), "Scheduled");
    assert_eq!(status("X", "A", ""), "InProgress");
    assert_eq!(status("X", "X", ""), "Completed");
    assert_eq!(status("X", "", "X"), "Cancelled");
}

#[test]
fn a_partner_is_read_with_its_related_entities() {
    let raw = r#"{"set":"A_BusinessPartner","d":{"BusinessPartner":"17100001","BusinessPartnerCategory":"2",
        "OrganizationBPName1":"Cust10","OrganizationBPName2":"","LastChangeDate":"/Date(1773100800000)/",
        "LastChangeTime":"PT15H00M00S","BirthDate":null,"to_BusinessPartnerAddress":{"results":[{"CityName":"Berlin",
        "to_PhoneNumber":{"results":[{"PhoneNumber":"1"}]},"to_EmailAddress":{"results":[]}}]},
        "to_BuPaIdentification":{"results":[{"BPIdentificationType":"X","BPIdentificationNumber":"0"},
        {"BPIdentificationType":"BUP001","BPIdentificationNumber":"9"}]}}}"#;
    let fact = decode(raw).facts.remove(0);
    let text = |field| fact.fields.text(field);
    assert_eq!((text(Field::Name), text(Field::City)), (Some("Cust10"), Some("Berlin")));
    assert_eq!((text(Field::Phone), text(Field::Email), text(Field::Duns)), (Some("1"), None, Some("9")));
    assert_eq!((fact.version.major, fact.object.as_str()), (1_773_154_800_000, "E1KNA1M"));
    let archived = raw.replace("\"LastChangeTime\"", "\"IsMarkedForArchiving\":true,\"LastChangeTime\"");
    assert_eq!(decode(&archived).facts[0].op, Op::Delete);
    let timeless = raw.replace("\"/Date(1773100800000)/\"", "\"\"");
    assert_eq!(decode(&timeless).rejects[0].code, RejectCode::NoIdentity);
}

#[test]
fn events_without_sense_are_told_apart() {
    let event = |change: fn(String) -> String| {
        decode(&change(
            r#"{"specversion":"1.0","type":"sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1","source":"s",
                "id":"e-1","time":"2026-03-10T15:00:01Z","data":{"BusinessPartner":"0000000007"}}"#
                .to_owned(),
        ))
    };
    assert_eq!(event(|e| e).facts[0].record_id, "7");
    assert_eq!(event(|e| format!("[{e},{e}]")).facts.len(), 2);
    assert_eq!(event(|e| e.replace("businesspartner", "material")).ignored, 1);
    for (change, code) in [
        ((|e: String| e.replace("\"e-1\"", "\"\"")) as fn(String) -> String, RejectCode::NoIdentity),
        (|e| e.replace("\"1.0\"", "\"0.3\""), RejectCode::ContractBreach),
        (|e| e.replace("\"type\"", "\"kind\""), RejectCode::NoIdentity),
        (|e| e.replace("2026-03-10", "yesterday"), RejectCode::NoIdentity),
        (|e| e.replace("0000000007", ""), RejectCode::NoIdentity),
        (|e| e.replace("\"data\"", "\"content\""), RejectCode::NoIdentity),
        (|e| format!("{e}x"), RejectCode::Malformed),
    ] {
        assert_eq!(event(change).rejects[0].code, code);
    }
}

#[test]
fn a_flat_document_says_the_same_as_one_in_xml() {
    let docnum = "0000000000000042";
    let mut control = " ".repeat(524);
    for (at, text) in
        [(0, "EDI_DC40"), (10, "100"), (13, docnum), (99, "ZSRVORD"), (162, "S4P"), (504, "20260310150000")]
    {
        control.replace_range(at..at + text.len(), text);
    }
    let data = format!(
        "{:<30}100{docnum}{:06}{:06}{:02}{:<12}{:<10}{:<4}{:<40}",
        "Z2SRVORD000", 1, 0, 1, "000000700123", "", "", "TECO"
    );
    let flat = decode(&format!("{control}\n{data}\n"));
    let xml = decode(&idoc("ZSRVORD", ORDER));
    assert_eq!(flat.facts, xml.facts);
    let unknown = data.replace("Z2SRVORD000", "E2KNA1M005 ");
    let reject = decode(&format!("{control}\n{unknown}\n{control}\n{data}\n"));
    assert_eq!((reject.rejects[0].code, reject.facts.len()), (RejectCode::ContractBreach, 1));
    assert!(reject.rejects[0].detail.contains("E1KNA1M"), "{}", reject.rejects[0].detail);
}

#[test]
fn an_event_in_binary_mode_is_read_from_headers_and_body() {
    let decoder = SapDecoder::new(Mapping::shipped(System::Sap).unwrap());
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-type", "sap.s4.beh.serviceorder.v1.ServiceOrder.Completed.v1"),
        ("ce-source", "/default/sap.s4.beh/a%20b%"),
        ("ce-id", "i-1"),
        ("ce-time", "2026-03-10T15:00:00Z"),
    ];
    let read = |without: &str, body: &str| {
        let headers = attributes.into_iter().filter(|(name, _)| *name != without).collect();
        decoder.decode(&Delivery { headers: &headers, ..Delivery::document(body.as_bytes(), AT) })
    };
    let gap = &read("", r#"{"ServiceOrder":"0000700123"}"#).facts[0];
    assert_eq!((gap.op, gap.record_id.as_str()), (Op::Gap, "700123"));
    assert!(gap.event_id.starts_with("/default/sap.s4.beh/a b%/i-1/"), "{}", gap.event_id);
    for (without, body, code) in [
        ("", "{", RejectCode::Malformed),
        ("", "", RejectCode::Malformed),
        ("", "{}", RejectCode::NoIdentity),
        ("ce-id", r#"{"ServiceOrder":"1"}"#, RejectCode::NoIdentity),
    ] {
        let rejects = read(without, body).rejects;
        assert_eq!((rejects[0].code, &rejects[0].range), (code, &(0..body.len())), "{without} {body}");
    }
}

#[test]
fn a_record_that_is_gone_is_deleted_at_the_version_of_its_event() {
    let decoded = decode(r#"{"set":"A_ServiceOrder","gapMs":5000,"gone":"700123"}"#);
    let [fact] = decoded.facts.as_slice() else { panic!("{decoded:?}") };
    assert_eq!((fact.op, fact.object.as_str(), fact.record_id.as_str()), (Op::Delete, "Z1SRVORD", "700123"));
    assert_eq!((fact.version.clone(), fact.changed_at), (Version::new(5_000, 0, 0), Millis(5_000)));
    for bad in [r#"{"set":"NOPE","gapMs":5000,"gone":"1"}"#, r#"{"set":"A_ServiceOrder","gone":"1"}"#] {
        let decoded = decode(bad);
        assert!(decoded.facts.is_empty() && decoded.rejects.len() == 1, "{bad}");
    }
}
