//! Further forms that documentation and users publish, with our own values: settings of a capture, what
//! brokers and relays wrap around an event, events that somebody decoded before.

use ontology::System;

use super::shapes::{SOURCE, check, idoc, oracle};

/// A change envelope around a row of credit notes.
fn envelope(row: &str) -> String {
    format!(r#"{{"before":null,"after":{row},{SOURCE},"op":"c","ts_ms":1773154800123}}"#)
}

const AT: &str = "at 2122185.2122184.320254237474817";

/// `decimal.handling.mode`: doubles as Jackson writes them, and decimals of any scale. The
/// documentation of the capture's data types describes both.
#[test]
fn ids_and_amounts_in_every_mode_of_decimals() {
    let row = |id: &str, invoice: &str, amount: &str| {
        envelope(&format!(
            r#"{{"CREDIT_NOTE_ID":{id},"INVOICE_ID":{invoice},"AMOUNT":{amount},"CURRENCY":"USD","STATUS":"DRAFT"}}"#
        ))
    };
    let image = |id: &str| format!("image CREDIT_NOTE/{id} {AT}");
    let cents = "amount = Decimal { mantissa: 34250, scale: 2 }";
    oracle(
        &row("1000.0", "1.2345678E7", "342.5"),
        &[&image("1000")],
        &["invoice_ref = Text(\"12345678\")", "amount = Decimal { mantissa: 3425, scale: 1 }"],
    );
    let scaled = |scale: i32, base64: &str| format!(r#"{{"scale":{scale},"value":"{base64}"}}"#);
    let (thousand, thousands) = (scaled(0, "A+g="), scaled(-3, "AQ=="));
    oracle(
        &row(&thousand, &thousands, &scaled(2, "AIXK")),
        &[&image("1000")],
        &["invoice_ref = Text(\"1000\")", cents],
    );
    oracle(&row(&thousands, "\"7.0\"", "\"342.50\""), &[&image("1000")], &["invoice_ref = Text(\"7.0\")", cents]);
    oracle(&row(&scaled(1, "AQ=="), "1", "1"), &["no_identity: CREDIT_NOTE: a row without CREDIT_NOTE_ID"], &[]);
    oracle(&row("1", "1", "\"1,50\""), &["contract_breach: CREDIT_NOTE.AMOUNT"], &[]);
    oracle(&row("1", "1", "\"AIXK\""), &["contract_breach: CREDIT_NOTE.AMOUNT"], &[]);
}

/// A large object that a snapshot or an insert leaves out is unknown, not empty.
#[test]
fn a_placeholder_empties_nothing() {
    let row = r#"{"CREDIT_NOTE_ID":"1","INVOICE_ID":"__debezium_unavailable_value","DISPUTE_ID":null,"CASE_REF":null,"AMOUNT":1,"CURRENCY":"USD","STATUS":"DRAFT"}"#;
    oracle(&envelope(row), &[&format!("patch CREDIT_NOTE/1 {AT}")], &["dispute_ref = Null"]);
    oracle(&envelope(&row.replace("__debezium_unavailable_value", "7")), &[&format!("image CREDIT_NOTE/1 {AT}")], &[]);
}

/// A flattened row with its schema: the base64 of a decimal may well read as a number.
#[test]
fn a_flattened_row_is_read_by_its_schema() {
    let schema = r#"{"type":"struct","fields":[{"type":"string","field":"CREDIT_NOTE_ID"},{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2","connect.decimal.precision":"12"},"field":"AMOUNT"}],"name":"erp.AR.CREDIT_NOTE.Value"}"#;
    let row = r#"{"CREDIT_NOTE_ID":"CN-1","AMOUNT":"1234","CURRENCY":"USD","STATUS":"DRAFT","__op":"c","__table":"CREDIT_NOTE","__source_scn":"7","__source_ts_ms":1773154800000,"__deleted":"false"}"#;
    let wrapped = format!(r#"{{"schema":{schema},"payload":{row}}}"#);
    let at = "image CREDIT_NOTE/CN-1 at 7.7.0";
    oracle(&wrapped, &[at], &["amount = Decimal { mantissa: -2658824, scale: 2 }"]);
    oracle(row, &[at], &["amount = Decimal { mantissa: 1234, scale: 0 }"]);
}

/// Heartbeats of later releases, boundaries of transactions, and messages of no row.
#[test]
fn what_captures_say_beside_rows() {
    oracle(
        r#"{"ts_ms":1773154800000,"ts_us":1773154800000000,"ts_ns":1773154800000000000}"#,
        &["ignored 1, unmapped 0"],
        &[],
    );
    let end = r#"{"status":"END","id":"5.6.641","event_count":2,"data_collections":[{"data_collection":"ORCLPDB1.AR.CREDIT_NOTE","event_count":2}],"ts_ms":1773154800000}"#;
    let begin = r#"{"status":"BEGIN","id":"5.6.641","event_count":null,"data_collections":null,"ts_ms":1773154800000}"#;
    oracle(&format!("{begin}\n{end}"), &["ignored 2, unmapped 0"], &[]);
    let notice = r#"{"id":"c485c3c3","aggregate_type":"Initial Snapshot","type":"COMPLETED","additional_data":{"connector_name":"erp"},"timestamp":1773154800000}"#;
    oracle(notice, &["no_identity: neither an envelope"], &[]);
    // Another capture that keeps the form of the envelope.
    let row = r#"{"CREDIT_NOTE_ID":"CN-1","INVOICE_ID":"1","AMOUNT":5,"STATUS":"DRAFT","CURRENCY":"USD"}"#;
    let source = r#"{"instance_number":1,"version":"19.0","instance_name":"ERP","dbid":1,"owner":"AR","table":"CREDIT_NOTE","scn":81129,"ts_ms":1773154800000}"#;
    oracle(
        &format!(
            r#"{{"op":"c","ts_ms":1773154800123,"before":{{"CREDIT_NOTE_ID":"CN-1"}},"after":{row},"source":{source}}}"#
        ),
        &["image CREDIT_NOTE/CN-1 at 81129.81129.0"],
        &[],
    );
}

/// In the mode of whole transactions the trail's operations stand in one message, one behind the other.
#[test]
fn operations_of_a_trail_behind_each_other() {
    let operation = |id: &str, pos: u32, amount: &str| {
        format!(
            r#"{{"table":"AR.CREDIT_NOTE","op_type":"I","op_ts":"2026-03-10 15:00:00.000000","current_ts":"2026-03-10T15:00:01.123000","pos":"{pos:020}","primary_keys":["CREDIT_NOTE_ID"],"tokens":{{"R":"AADPkvAAEAAEqL2AAA"}},"after":{{"CREDIT_NOTE_ID":"{id}","AMOUNT":{amount},"STATUS":"DRAFT"}}}}"#
        )
    };
    let both = [operation("CN-1", 5_921, "1"), operation("CN-2", 6_400, "2")];
    let images = ["image CREDIT_NOTE/CN-1 at 0.5921.0", "image CREDIT_NOTE/CN-2 at 0.6400.0"];
    oracle(&both.concat(), &images, &[]);
    oracle(&both.join("\n"), &images, &[]);
    let bad = [operation("CN-0", 5_000, "\"?\""), both.concat()].concat();
    oracle(&bad, &[images[0], images[1], "contract_breach: CREDIT_NOTE.AMOUNT"], &[]);
    // As a record of a topic, which is no one JSON document.
    let line = connectors::oracle::decode::record_line("ogg", 0, 7, None, Some(bad.as_bytes()));
    oracle(&line, &[images[0], images[1], "contract_breach: CREDIT_NOTE.AMOUNT"], &[]);
    // Captures that imitate the form and know no position.
    oracle(&operation("CN-1", 1, "1").replace("\"pos\"", "\"x\""), &["no_identity: a trail record without pos"], &[]);
    // What an update was before need not be told.
    let update = operation("CN-1", 1, "1").replace("\"I\"", "\"U\"").replace("\"after\"", "\"before\":{},\"after\"");
    oracle(&update, &["patch CREDIT_NOTE/CN-1 at 0.1.0"], &[]);
}

/// An event as clients print it, with the names of what changed or with the bitmaps.
fn decoded(header: &str, body: &str) -> String {
    format!(
        r#"{{"ChangeEventHeader":{{"entityName":"Account","recordIds":["001ZM000001n4n5YAA"],"changeOrigin":"","transactionKey":"000a50de-05dd-07c4-22fb-44b7f9e72ab5","sequenceNumber":19,"commitTimestamp":1714417112000,"commitNumber":72784468115,"commitUser":"005ZM000000Q6ipYAC",{header}}},{body}}}"#
    )
}

#[test]
fn change_events_that_were_decoded_before() {
    let check = |raw: &str, expected: &[&str], holds: &[&str]| check(System::Salesforce, &[], raw, expected, holds);
    let [gap, patch, image] =
        ["gap", "patch", "image"].map(|op| format!("{op} Account/001ZM000001n4n5YAA at 1714417112000.72784468115.19"));
    let none = r#""nulledFields":[],"diffFields":[],"changedFields":[]"#;
    check(&decoded(&format!(r#""changeType":"GAP_CREATE",{none}"#), r#""Name":null"#), &[&gap], &[]);
    let created = decoded(
        &format!(r#""changeType":"CREATE",{none}"#),
        r#""Name":"Acme","BillingAddress":{"Street":"1 Market","City":"San Francisco"},"CreatedDate":1714156685000"#,
    );
    check(&created, &[&image], &["name = Text(\"Acme\")", "street = Text(\"1 Market\")"]);
    // The relay to a cloud's bus puts it into the detail.
    let relayed = format!(
        r#"{{"version":"0","detail-type":"AccountChangeEvent","detail":{{"payload":{created},"schemaId":"s","id":"e-1"}}}}"#
    );
    check(&relayed, &[&image], &[]);
    let named =
        r#""changeType":"UPDATE","nulledFields":["Phone"],"diffFields":[],"changedFields":["BillingAddress.Street"]"#;
    let body = r#""BillingAddress":{"Street":"1 Market","City":null},"Name":"Acme","Phone":null"#;
    check(&decoded(named, body), &[&patch], &["phone = Null\n    street = Text(\"1 Market\")"]);
    // Bitmaps that nobody resolved: that it changed is known, how is not, so the record is read.
    for masked in [r#"["0x400002"]"#, r#"["4-0x08"]"#, r#"["LastModifiedDate","0x0"]"#] {
        let header = named.replace(r#"["BillingAddress.Street"]"#, masked);
        check(&decoded(&header, body), &[&gap, &patch], &[]);
    }
    let platform_event =
        r#"{"schema":"x","payload":{"CreatedDate":"2026-03-10T15:00:00Z","Order__c":"1"},"event":{"replayId":1}}"#;
    check(platform_event, &["no_identity"], &[]);
}

/// Answers of the fourth version of the interface: a list, and one entity by itself.
#[test]
fn answers_of_either_version() {
    let partner = r#""BusinessPartner":"1003764","BusinessPartnerCategory":"2","OrganizationBPName1":"Acme","LastChangeDate":"2026-03-10","LastChangeTime":"15:00:00""#;
    let image = "image E1KNA1M/1003764 at 1773154800000.18446744073709551615.0";
    let list =
        format!(r#"{{"@odata.context":"$metadata#BusinessPartner","value":[{{"@odata.etag":"W/1",{partner}}}]}}"#);
    check(System::Sap, &[], &list, &[image], &["name = Text(\"Acme\")"]);
    let one = format!(r#"{{"@odata.context":"$metadata#BusinessPartner/$entity",{partner}}}"#);
    check(System::Sap, &[], &one, &[image], &[]);
    let older = format!(r#"{{"d":{{{partner}}}}}"#)
        .replace("2026-03-10", "/Date(1773100800000)/")
        .replace("15:00:00", "PT15H00M00S");
    check(System::Sap, &[], &older, &[image], &[]);
    let refused = r#"{"error":{"code":"005056","message":{"lang":"en","value":"Resource not found"}}}"#;
    check(System::Sap, &[], refused, &["no_identity"], &[]);
}

/// Envelopes around documents, and events of other generations, which name no record that can be read.
#[test]
fn documents_and_events_of_other_senders() {
    let segments =
        "<Z1SRVORD><AUFNR>1</AUFNR><STTXT>REL</STTXT><KUNUM>1</KUNUM><ESTIMATE>125.00-</ESTIMATE></Z1SRVORD>";
    let document = idoc("ZSRVORD01", "ZSRVORD", segments);
    let body = document.split_once("?>").map_or("", |(_, body)| body);
    let soap = format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{body}</s:Body></s:Envelope>"#
    );
    let estimate = "estimate = Decimal { mantissa: -12500, scale: 2 }";
    check(System::Sap, &[], &soap, &["image Z1SRVORD/1"], &[estimate]);
    let spaced = document.replace("<ZSRVORD01>", "<n:ZSRVORD01 xmlns:n=\"urn:sap-com:document:sap:idoc:messages\">");
    check(System::Sap, &[], &spaced.replace("</ZSRVORD01>", "</n:ZSRVORD01>"), &["image Z1SRVORD/1"], &[]);
    check(System::Sap, &[], &document.replace("125.00-", "1.250,00"), &["image Z1SRVORD/1"], &["estimate = Bad"]);
    let status = "<E1ADHDR><MESTYP>ZSRVORD</MESTYP><E1STATE><DOCNUM>1</DOCNUM><STATUS>53</STATUS></E1STATE></E1ADHDR>";
    check(System::Sap, &[], &idoc("ALEAUD01", "ALEAUD", status), &["ignored 1, unmapped 1"], &[]);
    let first = r#"{"eventType":"BO.BusinessPartner.Changed","cloudEventsVersion":"0.1","source":"https://s4","eventID":"AAE","eventTime":"2026-03-10T15:00:00Z","data":{"KEY":[{"BUSINESSPARTNER":"1003764"}]}}"#;
    check(System::Sap, &[], first, &["no_identity"], &[]);
    let wrapped = r#"{"type":"sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1","specversion":"1.0","source":"/default","id":"a","time":"2026-03-10T15:00:00Z","data":"{\"BusinessPartner\":\"1003764\"}"}"#;
    // Brokers may carry data as text, or as bytes.
    let gap = "gap E1KNA1M/1003764 at 1773154800000.0.0";
    check(System::Sap, &[], wrapped, &[gap], &[]);
    let (attributes, _) = wrapped.split_once("\"data\"").unwrap();
    let bytes = format!("{attributes}\"data_base64\":\"eyJCdXNpbmVzc1BhcnRuZXIiOiIxMDAzNzY0In0=\"}}");
    check(System::Sap, &[], &bytes, &[gap], &[]);
    for broken in [bytes.replace("eyJC", "?"), wrapped.replace("{\\\"Business", "<\\\"Business")] {
        check(System::Sap, &[], &broken, &["no_identity"], &[]);
    }
}

/// Events of work items and of messages that could not be delivered.
#[test]
fn events_of_other_channels() {
    let event = |kind: &str, data: &str| {
        format!(
            r#"{{"id":"4c2c4890","specversion":"1.0","type":"{kind}","source":"/com/cisco/wxcc/1a2b","comciscoorgid":"a12b","comciscotimestamp":"1773154800001","datacontenttype":"application/json","data":{data}}}"#
        )
    };
    let check = |raw: &str, expected: &[&str], holds: &[&str]| check(System::Wxcc, &[], raw, expected, holds);
    let item = r#"{"taskId":"t-1","messageDirection":"INBOUND","channelType":"workItem","createdTime":1773154800000,"channelParams":{"type":"work-item-form","message":{"aliasId":"a","workItemData":{"claimStatus":"Approved"},"timestamp":1773154800000}}}"#;
    check(&event("task-message:appended", item), &["ignored 1, unmapped 0"], &[]);
    let lost = r#"{"taskId":"t-1","createdTime":1773154800000,"channelParams":null,"reason":"CONVERSATION_NOT_FOUND"}"#;
    check(&event("task-message:append-failed", lost), &["ignored 1, unmapped 1"], &[]);
    let failed = r#"{"taskId":"t-1","createdTime":"1773154800000","channelType":"customMessaging","direction":"INBOUND","origin":"customer@example.com","destination":"support@channel.biz","reason":"CONVERSATION_ALREADY_OPEN","failureType":"NEW"}"#;
    check(
        &event("task:failed", failed),
        &["patch task/t-1 at 1773154800000.12", "patch caller/customer@example.com"],
        &["channel = Code(1)"],
    );
    check(&event("task:new", &failed.replace("\"1773154800000\"", "\"soon\"")), &["no_identity"], &[]);
}

/// Events as other carriers wrap them, and single records, which no transport of ours asks for: nothing
/// is guessed.
#[test]
fn desk_payloads_of_other_carriers() {
    let check = |raw: &str, expected: &[&str]| check(System::Zendesk, &[], raw, expected, &[]);
    check(
        r#"{"version":"0","detail-type":"Support Ticket: Agent Assignment Changed","source":"aws.partner/zendesk.com/1/default","time":"2026-03-10T15:00:00Z","detail":{"ticket_event":{"type":"Agent Assignment Changed","ticket":{"id":35436}}}}"#,
        &["no_identity: a body that no object of the mapping reads"],
    );
    check(r#"{"ticket_events":[{"id":1,"ticket_id":2,"child_events":[]}],"end_of_stream":true}"#, &["no_identity"]);
    check(r#"{"ticket_id":"35436","ticket_status":"Open"}"#, &["no_identity"]);
    let by_time = r#"{"tickets":[{"id":35436,"status":"open","organization_id":5,"updated_at":"2026-03-10T15:00:00Z"}],"next_page":null,"count":1,"end_time":1773154800}"#;
    check(by_time, &["image ticket/35436 at 1773154800000"]);
}
