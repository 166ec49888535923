//! Payloads in the shapes that vendors publish, written for this test: each becomes the facts that
//! stand beside it, or goes to quarantine with that code.

use connectors::{Connectors, Delivery, Framing, Headers};
use ontology::{System, Vocabulary as _};

use super::{OBSERVED_AT, fields};

/// What a payload becomes: a line for each fact (`image CREDIT_NOTE/CN-1 at 9.8.0`), the code of each
/// reject, and how many entries are left alone.
fn become_of(system: System, headers: &[(&str, &str)], raw: &str) -> (Vec<String>, String) {
    let headers: Headers = headers.iter().copied().collect();
    let delivery = Delivery { headers: &headers, ..Delivery::document(raw.as_bytes(), OBSERVED_AT) };
    let decoded = Connectors::shipped().decode(system, &delivery);
    let mut found: Vec<String> = decoded
        .facts
        .iter()
        .map(|fact| format!("{} {}/{} at {}", fact.op.name(), fact.object, fact.record_id, fact.version))
        .collect();
    found.extend(decoded.rejects.iter().map(|reject| format!("{}: {}", reject.code.name(), reject.detail)));
    found.extend((decoded.ignored > 0).then(|| format!("ignored {}, unmapped {}", decoded.ignored, decoded.unmapped)));
    (found, decoded.facts.iter().map(|fact| fields(&fact.fields)).collect())
}

/// The payload becomes `expected`, line by line (each by its beginning), and its facts hold `holds`.
pub fn check(system: System, headers: &[(&str, &str)], raw: &str, expected: &[&str], holds: &[&str]) {
    let (found, said) = become_of(system, headers, raw);
    let is_so = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(is_so, "{raw}\n  became {found:#?}\n  and not {expected:#?}");
    for part in holds {
        assert!(said.contains(part), "{raw}\n  says\n{said}  and not {part}");
    }
}

pub fn oracle(raw: &str, expected: &[&str], holds: &[&str]) {
    check(System::Oracle, &[], raw, expected, holds);
}

pub const SOURCE: &str = r#""source":{"version":"3.0.0.Final","connector":"oracle","name":"erp","ts_ms":1773154800000,"ts_us":1773154800000000,"snapshot":"false","db":"ORCLPDB1","sequence":null,"schema":"AR","table":"CREDIT_NOTE","txId":"6.28.807","scn":"2122184","commit_scn":"2122185","lcr_position":null,"rs_id":"001234.00012345.0010","ssn":1,"redo_thread":1,"user_name":"AR","redo_sql":null,"row_id":"AAASgjAAMAAAACnAAA"}"#;

#[test]
fn change_capture_of_this_and_other_databases() {
    let row = r#"{"CREDIT_NOTE_ID":"CN-1","INVOICE_ID":"INV-1","AMOUNT":{"scale":2,"value":"AIXK"},"CURRENCY":"USD","STATUS":"DRAFT"}"#;
    let envelope = |op: &str, before: &str, after: &str| {
        format!(
            r#"{{"before":{before},"after":{after},{SOURCE},"op":"{op}","ts_ms":1773154800123,"transaction":null}}"#
        )
    };
    let at = "CREDIT_NOTE/CN-1 at 2122185.2122184.320254237474817";
    oracle(&envelope("c", "null", row), &[&format!("image {at}")], &["amount = Decimal { mantissa: 34250, scale: 2 }"]);
    oracle(&envelope("u", row, &row.replace("DRAFT", "APPROVED")), &[&format!("patch {at}")], &["status = Code"]);
    oracle(&envelope("d", row, "null"), &[&format!("delete {at}")], &[]);
    oracle(&envelope("r", "null", row).replace("\"false\"", "\"incremental\""), &[&format!("image {at}")], &[]);
    oracle(&envelope("t", "null", "null"), &["ignored 1, unmapped 0"], &[]);
    let message = r#"{"op":"m","ts_ms":1773154800123,"source":{"connector":"oracle","name":"erp","ts_ms":1773154800000,"snapshot":"false","db":"ORCLPDB1","schema":"","table":"","scn":"9"},"message":{"prefix":"audit","content":"Ymfy"}}"#;
    oracle(message, &["ignored 1, unmapped 0"], &[]);
    oracle(&envelope("x", "null", row), &["no_identity: CREDIT_NOTE: an envelope with an op"], &[]);
    let unmapped = envelope("c", "null", row).replace("\"CREDIT_NOTE\"", "\"FND_USER\"");
    oracle(&unmapped, &["ignored 1, unmapped 1"], &[]);
    let mysql = r#"{"before":null,"after":{"id":1004,"first_name":"Anne","last_name":"Kretchmar","email":"annek@noanswer.org"},"source":{"version":"2.7.0.Final","connector":"mysql","name":"dbserver1","ts_ms":1465491411815,"snapshot":"false","db":"inventory","sequence":null,"table":"customers","server_id":0,"gtid":null,"file":"mysql-bin.000003","pos":154,"row":0,"thread":7,"query":"INSERT INTO customers"},"op":"c","ts_ms":1465491411815}"#;
    oracle(mysql, &["no_identity: an envelope of another system"], &[]);
    let wrapped = format!(
        r#"{{"schema":{{"type":"struct","fields":[],"optional":false,"name":"erp.AR.CREDIT_NOTE.Envelope"}},"payload":{}}}"#,
        envelope("c", "null", row)
    );
    oracle(&wrapped, &[&format!("image {at}")], &[]);
    oracle("null", &["ignored 1, unmapped 0"], &[]);
    oracle(r#"{"schema":null,"payload":null}"#, &["ignored 1, unmapped 0"], &[]);
    oracle(r#"{"ts_ms":1773154800000}"#, &["ignored 1, unmapped 0"], &[]);
    oracle(r#"{"schema":{"type":"struct"},"payload":{"ts_ms":1773154800000}}"#, &["ignored 1, unmapped 0"], &[]);
    oracle(
        &envelope("c", "null", row).replace("\"2122184\"", "null"),
        &["no_identity: CREDIT_NOTE: a source without scn"],
        &[],
    );
}

#[test]
fn flattened_changes() {
    let row = r#""CREDIT_NOTE_ID":"CN-1","INVOICE_ID":"INV-1","AMOUNT":"342.50","CURRENCY":"USD","STATUS":"DRAFT""#;
    let meta = r#""__table":"CREDIT_NOTE","__source_ts_ms":1773154800000,"__source_scn":"2122184","__source_commit_scn":"2122185""#;
    let at = "CREDIT_NOTE/CN-1 at 2122185.2122184.0";
    oracle(
        &format!(r#"{{{row},"__op":"c","__deleted":"false",{meta}}}"#),
        &[&format!("image {at}")],
        &["amount = Decimal"],
    );
    oracle(&format!(r#"{{{row},"__op":"d","__deleted":"true",{meta}}}"#), &[&format!("delete {at}")], &[]);
    oracle(&format!(r#"{{{row},"__deleted":true,{meta}}}"#), &[&format!("delete {at}")], &[]);
    let named = meta.replace("__source_", "__").replace("__ts_ms", "__source_ts_ms");
    oracle(&format!(r#"{{{row},"__op":"u",{named}}}"#), &[&format!("patch {at}")], &[]);
    let orderless = r#""__table":"CREDIT_NOTE","__source_ts_ms":1773154800000"#;
    oracle(&format!(r#"{{{row},"__op":"c",{orderless}}}"#), &["no_identity: CREDIT_NOTE: a source without scn"], &[]);
    let bare = format!("{{{row}}}");
    oracle(&bare, &["no_identity: neither an envelope"], &[]);
    let sent_to = [("X-Debezium-Destination", "erp.AR.CREDIT_NOTE")];
    check(System::Oracle, &sent_to, &bare, &["no_identity: neither an envelope"], &[]);
}

#[test]
fn trail_records() {
    let meta = r#""table":"AR.CREDIT_NOTE","op_ts":"2026-03-10 15:00:00.000000","current_ts":"2026-03-10T15:00:01.123000","pos":"00000000000000005921""#;
    let row = r#""CREDIT_NOTE_ID":"CN-1","INVOICE_ID":"INV-1","AMOUNT":"342.50","CURRENCY":"USD","STATUS":"DRAFT""#;
    let at = "CREDIT_NOTE/CN-1 at 0.5921.0";
    oracle(&format!(r#"{{{meta},"op_type":"I","after":{{{row}}}}}"#), &[&format!("image {at}")], &["amount = Decimal"]);
    oracle(&format!(r#"{{{meta},"op_type":"D","before":{{{row}}}}}"#), &[&format!("delete {at}")], &[]);
    oracle(&format!(r#"{{{meta},"op_type":"I",{row}}}"#), &[&format!("image {at}")], &["amount = Decimal"]);
    let part = r#"{"CREDIT_NOTE_ID":"CN-1","STATUS":"APPROVED","AMOUNT":null,"AMOUNT_isMissing":true}"#;
    oracle(
        &format!(r#"{{{meta},"op_type":"U","before":{{{row}}},"after":{part}}}"#),
        &[&format!("patch {at}")],
        &["status = Code"],
    );
    let other = row.replace("CN-1", "CN-2");
    let moved = [format!("delete {at}"), "patch CREDIT_NOTE/CN-2 at 0.5921.0".to_owned()];
    oracle(
        &format!(r#"{{{meta},"op_type":"U","before":{{{row}}},"after":{{{other}}}}}"#),
        &[&moved[0], &moved[1]],
        &[],
    );
    oracle(&format!(r#"{{{meta},"op_type":"T"}}"#), &["ignored 1, unmapped 0"], &[]);
    oracle(
        &format!(r#"{{{meta},"op_type":"I","csn":"2122185","after":{{{row}}}}}"#),
        &["image CREDIT_NOTE/CN-1 at 2122185.0.5921"],
        &[],
    );
    oracle(
        &format!(r#"{{{meta},"op_type":"S","after":{{{row}}}}}"#),
        &["no_identity: a trail record with an op_type"],
        &[],
    );
}

const CDC: &str = r#"{"ChangeEventHeader":{"entityName":"Case","recordIds":["500Hs00001AbCdEIAV"],"changeType":"UPDATE","changeOrigin":"com/salesforce/api/soap/51.0;client=SfdcInternalAPI/","transactionKey":"0002343d-9d90-e395-ed20-cf416ba652ad","sequenceNumber":1,"commitTimestamp":1612912679000,"commitNumber":10716283339728,"commitUser":"005Hs000IntUserIAA","nulledFields":[],"diffFields":[],"changedFields":["Status","LastModifiedDate"]},"Status":"Working","LastModifiedDate":"2021-02-09T23:17:59Z"}"#;

#[test]
fn change_events_of_the_streaming_interface() {
    let at = "patch Case/500Hs00001AbCdEIAV at 1612912679000.10716283339728.1";
    let message = format!(
        r#"{{"data":{{"schema":"IeRuaY6cbI_HsV8Rv1Mc5g","payload":{CDC},"event":{{"replayId":6}}}},"channel":"/data/ChangeEvents"}}"#
    );
    check(System::Salesforce, &[], &message, &[at], &["status = "]);
    check(System::Salesforce, &[], &format!("\n  {message}"), &[at], &[]);
    check(System::Salesforce, &[], &format!("[{message},{message}]"), &[at, at], &[]);
    let plain = format!(r#"{{"schema":"IeRuaY6cbI_HsV8Rv1Mc5g","payload":{CDC},"event":{{"replayId":6}}}}"#);
    check(System::Salesforce, &[], &plain, &[at], &[]);
    let created = plain.replace("UPDATE", "CREATE");
    check(System::Salesforce, &[], &created, &["image Case/500Hs00001AbCdEIAV"], &[]);
    check(System::Salesforce, &[], &plain.replace("UPDATE", "DELETE"), &["delete Case/500Hs00001AbCdEIAV"], &[]);
    check(System::Salesforce, &[], &plain.replace("UPDATE", "GAP_UPDATE"), &["gap Case/500Hs00001AbCdEIAV"], &[]);
    check(System::Salesforce, &[], &plain.replace("\"Case\"", "\"Lead\""), &["ignored 1, unmapped 1"], &[]);
    let two = plain.replace("[\"500Hs00001AbCdEIAV\"]", "[\"500Hs00001AbCdEIAV\",\"500Hs00001AbCdFIAV\"]");
    check(System::Salesforce, &[], &two, &["patch Case/500Hs00001AbCdEIAV", "patch Case/500Hs00001AbCdFIAV"], &[]);
    let headless = plain.replace("ChangeEventHeader", "Header");
    check(System::Salesforce, &[], &headless, &["no_identity"], &[]);
    check(System::Salesforce, &[], &plain.replace("1612912679000", "null"), &["no_identity"], &[]);
}

#[test]
fn contact_centre_events() {
    let event = |kind: &str, data: &str| {
        format!(
            r#"{{"id":"c13d6c33-5ba4-4ee4-8b36-3a3f1e6b2c11","specversion":"1.0","type":"{kind}","source":"/com/cisco/wxcc/1a2b","comciscoorgid":"a12b","datacontenttype":"application/json","data":{data}}}"#
        )
    };
    let task = r#"{"taskId":"93912f11-6017-404b-bf14-5331890b1797","createdTime":1773154800000,"channelType":"telephony","direction":"INBOUND","origin":"+15551234567","destination":"+18005550100","queueId":null,"outboundType":null}"#;
    let row = "task/93912f11-6017-404b-bf14-5331890b1797 at 1773154800000";
    let caller = "patch caller/+15551234567";
    check(System::Wxcc, &[], &event("task:new", task), &[&format!("patch {row}.1"), caller], &["status = "]);
    let connected = event("task:connected", task);
    check(System::Wxcc, &[], &connected, &[&format!("patch {row}.4"), caller, "patch leg/93912f11-"], &[]);
    let ended = task.replace("\"queueId\":null", "\"terminatingParty\":\"Customer\",\"queueId\":\"q1\"");
    check(System::Wxcc, &[], &event("task:ended", &ended), &[&format!("patch {row}.13"), caller], &["ended_at"]);
    let capture = r#"{"taskId":"93912f11-6017-404b-bf14-5331890b1797","createdTime":1773154860000,"captureId":"c-1"}"#;
    check(System::Wxcc, &[], &event("capture:available", capture), &["patch task/93912f11-"], &[]);
    let agent = r#"{"agentId":"a-1","currentState":"available","createdTime":1773154800000,"channelId":"ch-1","origin":"a@example.com","destination":"b@example.com","teamId":"t-1"}"#;
    check(System::Wxcc, &[], &event("agent:state_change", agent), &["ignored 1, unmapped 0"], &[]);
    check(System::Wxcc, &[], &event("agent:login", agent), &["ignored 1, unmapped 1"], &[]);
    check(System::Wxcc, &[], &event("task:new", "{}"), &["no_identity"], &[]);
    check(
        System::Wxcc,
        &[],
        &event("task:new", task).replace("c13d6c33-5ba4-4ee4-8b36-3a3f1e6b2c11", ""),
        &["no_identity"],
        &[],
    );
}

pub fn idoc(kind: &str, message: &str, segments: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><{kind}><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><TABNAM>EDI_DC40</TABNAM><MANDT>800</MANDT><DOCNUM>0000000000817122</DOCNUM><DOCREL>750</DOCREL><STATUS>30</STATUS><DIRECT>1</DIRECT><OUTMOD>2</OUTMOD><IDOCTYP>{kind}</IDOCTYP><MESTYP>{message}</MESTYP><SNDPOR>SAPS4P</SNDPOR><SNDPRT>LS</SNDPRT><SNDPRN>S4PCLNT800</SNDPRN><RCVPOR>OPSHUB</RCVPOR><RCVPRT>LS</RCVPRT><RCVPRN>OPSHUB</RCVPRN><CREDAT>20260310</CREDAT><CRETIM>150000</CRETIM></EDI_DC40>{segments}</IDOC></{kind}>"#
    )
}

#[test]
fn documents() {
    let customer = r#"<E1KNA1M SEGMENT="1"><MSGFN>005</MSGFN><KUNNR>0000100017</KUNNR><ANRED>Company</ANRED><LAND1>US</LAND1><NAME1>Becker Berlin</NAME1><ORT01>Berlin</ORT01><PSTLZ>13467</PSTLZ><STRAS>Calvinstrasse 36</STRAS><TELF1>030-8853-0</TELF1><E1KNVVM SEGMENT="1"><MSGFN>005</MSGFN><VKORG>1000</VKORG></E1KNVVM><E1KNB1M SEGMENT="1"><BUKRS>1000</BUKRS></E1KNB1M></E1KNA1M>"#;
    check(
        System::Sap,
        &[],
        &idoc("DEBMAS07", "DEBMAS", customer),
        &["image E1KNA1M/100017"],
        &["name = Text(\"Becker Berlin\")"],
    );
    let gone = customer.replacen("<MSGFN>005", "<MSGFN>003", 1);
    check(System::Sap, &[], &idoc("DEBMAS07", "DEBMAS", &gone), &["delete E1KNA1M/100017"], &[]);
    let order = r#"<E1EDK01 SEGMENT="1"><ACTION>000</ACTION><CURCY>EUR</CURCY><BELNR>4500012345</BELNR></E1EDK01><E1EDKA1 SEGMENT="1"><PARVW>AG</PARVW><PARTN>0000100017</PARTN></E1EDKA1><E1EDP01 SEGMENT="1"><POSEX>000010</POSEX><MENGE>5.000</MENGE></E1EDP01>"#;
    check(System::Sap, &[], &idoc("ORDERS05", "ORDERS", order), &["ignored 1, unmapped 1"], &[]);
    let material = r#"<E1MARAM SEGMENT="1"><MSGFN>005</MSGFN><MATNR>000000000000000038</MATNR><MTART>HAWA</MTART><E1MAKTM SEGMENT="1"><SPRAS>E</SPRAS><MAKTX>Bolt</MAKTX></E1MAKTM></E1MARAM>"#;
    check(System::Sap, &[], &idoc("MATMAS05", "MATMAS", material), &["ignored 1, unmapped 1"], &[]);
    let custom = "<Z1SRVORD SEGMENT=\"1\"><AUFNR>000000700123</AUFNR><STTXT>TECO</STTXT></Z1SRVORD>";
    check(System::Sap, &[], &idoc("ZSRVORD01", "ZSRVORD", custom), &["image Z1SRVORD/700123"], &["status = "]);
    let nameless = custom.replace("000000700123", "");
    check(System::Sap, &[], &idoc("ZSRVORD01", "ZSRVORD", &nameless), &["no_identity: document 0000000000817122"], &[]);
    let undated = idoc("ZSRVORD01", "ZSRVORD", custom).replace("20260310", "00000000");
    check(System::Sap, &[], &undated, &["no_identity: document 0000000000817122"], &[]);
}

#[test]
fn business_events() {
    let attributes = r#""type":"sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1","specversion":"1.0","source":"/default/sap.s4.beh/S4PCLNT800","id":"QgEnAPKxHtqHm5vTWhBSrQ==","time":"2026-03-10T15:00:00Z","datacontenttype":"application/json""#;
    let data = r#"{"BusinessPartner":"0001003764"}"#;
    let event = format!(r#"{{{attributes},"data":{data}}}"#);
    let gap = "gap E1KNA1M/1003764 at 1773154800000.0.0";
    check(System::Sap, &[], &event, &[gap], &[]);
    check(System::Sap, &[], &format!("[{event},{event}]"), &[gap, gap], &[]);
    check(System::Sap, &[], "[]", &[], &[]);
    let headers = [
        ("ce-type", "sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1"),
        ("ce-specversion", "1.0"),
        ("ce-source", "/default/sap.s4.beh/S4PCLNT800"),
        ("ce-id", "QgEnAPKxHtqHm5vTWhBSrQ=="),
        ("ce-time", "2026-03-10T15:00:00Z"),
    ];
    check(System::Sap, &headers, data, &[gap], &[]);
    let other = event.replace("businesspartner.v1.BusinessPartner", "salesorder.v1.SalesOrder");
    check(System::Sap, &[], &other, &["ignored 1, unmapped 1"], &[]);
    check(System::Sap, &[], &event.replace("\"1.0\"", "\"0.3\""), &["contract_breach"], &[]);
    check(System::Sap, &[], &event.replace("2026-03-10T15:00:00Z", "soon"), &["no_identity"], &[]);
}

#[test]
fn desk_webhooks_and_exports() {
    let event = |kind: &str, detail: &str, change: &str| {
        format!(
            r#"{{"type":"zen:event-type:{kind}","account_id":12514403,"id":"2b24ff37-3e8c-4c6e-9b2b-51d3f5b0c001","time":"2026-03-10T15:00:00Z","zendesk_event_version":"2022-06-20","subject":"zen:ticket:5158","detail":{detail},"event":{change}}}"#
        )
    };
    let ticket = r#"{"actor_id":"8447388090494","assignee_id":"8447388090494","brand_id":"8447346621310","created_at":"2026-03-10T14:00:00Z","custom_status":"8447320465790","description":"No dial tone","external_id":null,"form_id":"8646151517822","group_id":"8447320466430","id":"5158","is_public":true,"organization_id":"8447346622462","priority":"LOW","requester_id":"8447388090494","status":"OPEN","subject":"cc test","submitter_id":"8447388090494","tags":["cc-tag"],"type":"TASK","updated_at":"2026-03-10T15:00:00Z","via":{"channel":"web_service"}}"#;
    let change = r#"{"current":"OPEN","previous":"NEW"}"#;
    let row = "patch ticket/5158 at 1773154800000";
    check(System::Zendesk, &[], &event("ticket.status_changed", ticket, change), &[row], &["status = ", "account_ref"]);
    check(System::Zendesk, &[], &event("ticket.created", ticket, "{}"), &["patch ticket/5158"], &[]);
    let user = r#"{"created_at":"2026-03-10T14:00:00Z","email":"a@example.com","external_id":"","default_group_id":"0","id":"6596848315901","organization_id":"0","role":"end-user","updated_at":"2026-03-10T15:00:00Z"}"#;
    let user = event("user.created", user, "{}").replace("zen:ticket:5158", "zen:user:6596848315901");
    check(System::Zendesk, &[], &user, &["ignored 1, unmapped 1"], &[]);
    let exported = r#"{"id":35436,"url":"https://x.zendesk.com/api/v2/tickets/35436.json","external_id":"ahg35h3jh","created_at":"2026-03-10T14:00:00Z","updated_at":"2026-03-10T15:00:00Z","generated_timestamp":1773154800,"type":"incident","subject":"Help, my printer is on fire!","raw_subject":"{{dc.printer}}","description":"The fire is very colorful.","priority":"high","status":"open","recipient":"support@example.com","requester_id":20978392,"assignee_id":235323,"organization_id":509974,"group_id":98738,"problem_id":9873764,"has_incidents":false,"tags":["enterprise"],"via":{"channel":"web"},"custom_fields":[{"id":27642,"value":"745"}]}"#;
    let page = format!(
        r#"{{"tickets":[{exported}],"after_url":null,"after_cursor":"MTU3NjYx","before_url":null,"before_cursor":null,"end_of_stream":true}}"#
    );
    check(System::Zendesk, &[], &page, &["image ticket/35436 at 1773154800000"], &["status = ", "cause_ref"]);
    let deleted = page.replace("\"status\":\"open\"", "\"status\":\"deleted\"");
    check(System::Zendesk, &[], &deleted, &["delete ticket/35436"], &[]);
    let people =
        r#"{"users":[{"id":1,"name":"A","updated_at":"2026-03-10T15:00:00Z"}],"count":1,"end_of_stream":true}"#;
    check(System::Zendesk, &[], people, &["ignored 1, unmapped 1"], &[]);
}

#[test]
fn what_is_of_no_vendor_is_refused_by_each() {
    for system in Connectors::SYSTEMS {
        for raw in ["{}", "[{}]", "\"text\"", "7", "{\"hello\":\"world\"}"] {
            let (found, _) = become_of(system, &[], raw);
            let is_kept = found
                .iter()
                .any(|line| ["malformed", "no_identity", "contract_breach"].iter().any(|code| line.starts_with(code)));
            assert!(is_kept, "{}: {raw} became {found:?}", system.name());
        }
        let delivery = Delivery { framing: Framing::Lines, ..Delivery::document(b"", OBSERVED_AT) };
        assert!(Connectors::shipped().decode(system, &delivery).facts.is_empty());
    }
}
