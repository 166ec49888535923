#![allow(clippy::unwrap_used)]

use ontology::status::{CaseStatus, Priority};
use ontology::{Coded, Field, FieldReader as _};

use super::*;

const OBSERVED_AT: Millis = Millis(1_773_154_800_000);
/// 2026-03-10T14:59:58Z.
const UPDATED_MS: u64 = 1_773_154_798_000;

fn decode(raw: &str) -> Decoded {
    decoder("").decode(&Delivery::document(raw.as_bytes(), OBSERVED_AT))
}

/// The shipped mapping with more fields of a ticket.
fn decoder(more: &str) -> ZendeskDecoder {
    let shipped = include_str!("../../mappings/zendesk.toml");
    let anchor = "    { from = \"problem_id\"";
    assert!(shipped.contains(anchor));
    ZendeskDecoder::new(Mapping::parse(&shipped.replace(anchor, &format!("{more}\n{anchor}"))).unwrap())
}

fn event(kind: &str, detail: &str, change: &str) -> String {
    format!(
        "{{\"account_id\": 22129848, \"id\": \"2b24ef10-19e0-4c4d-8c4c-f3f11a84a2a5\", \
         \"subject\": \"zen:ticket:35436\", \"time\": \"2026-03-10T14:59:59.123456789Z\", \
         \"type\": \"zen:event-type:{kind}\", \"zendesk_event_version\": \"2022-11-06\", \
         \"detail\": {detail}, \"event\": {change}}}"
    )
}

fn ticket(status: &str) -> String {
    format!(
        "{{\"id\": \"35436\", \"organization_id\": \"8831\", \"status\": \"{status}\", \"priority\": \"HIGH\", \
         \"type\": null, \"tags\": null, \"subject\": \"Charged twice\", \"via\": {{\"channel\": \"web\"}}, \
         \"created_at\": \"2026-03-02T09:00:00Z\", \"updated_at\": \"2026-03-10T14:59:58Z\"}}"
    )
}

fn says(fact: &Fact, field: Field) -> bool {
    fact.fields.iter().any(|(said, _)| said == field)
}

fn status(fact: &Fact) -> Option<CaseStatus> {
    match fact.fields.coded(Field::Status) {
        Coded::Known(status) => Some(status),
        Coded::Unknown(_) | Coded::Missing => None,
    }
}

#[test]
fn an_event_is_a_patch_of_the_ticket_at_its_last_change() {
    let sequence = r#"{"current": "OPEN", "previous": "NEW",
        "meta": {"sequence": {"id": 12345678901234567890123456, "position": 2}}}"#;
    let decoded = decode(&event("ticket.status_changed", &ticket("OPEN"), sequence));
    assert!(decoded.rejects.is_empty(), "{decoded:?}");
    let fact = &decoded.facts[0];
    assert_eq!((fact.op, fact.entity.to_string()), (Op::Patch, "case/35436".to_owned()));
    assert_eq!(fact.version, Version::new(UPDATED_MS, 1_773_154_799_123_456_789, 2));
    assert_eq!(fact.event_id, "2b24ef10-19e0-4c4d-8c4c-f3f11a84a2a5");
    assert_eq!(status(fact), Some(CaseStatus::InProgress));
    assert_eq!(fact.fields.coded(Field::Priority), Coded::Known(Priority::P2));
    assert_eq!(fact.fields.text(Field::AccountRef), Some("8831"));
    assert_eq!(fact.fields.text(Field::Origin), Some("web"));
    assert!(says(fact, Field::Type), "null is known to be empty");
    assert!(!says(fact, Field::CauseRef), "what the event does not carry stays as it was");
}

#[test]
fn a_row_of_the_export_stands_above_every_event_of_its_second() {
    let page = r#"{"tickets": [{"id": 35436, "organization_id": 8831, "status": "pending", "priority": "urgent",
        "updated_at": "2026-03-10T14:59:58Z", "tags": ["a", "b"]}], "after_cursor": "x", "end_of_stream": true}"#;
    let fact = &decode(page).facts[0];
    assert_eq!((fact.op, fact.version.clone()), (Op::Image, Version::new(UPDATED_MS, u64::MAX, 0)));
    assert_eq!((fact.record_id.as_str(), fact.read_at), ("35436", Some(OBSERVED_AT)));
    assert_eq!(status(fact), Some(CaseStatus::WaitingCustomer));
    assert!(says(fact, Field::Subject), "an image clears what is absent");
    let later = event("ticket.status_changed", &ticket("OPEN").replace(":58Z", ":59Z"), "{}");
    assert!(decode(&later).facts[0].version > fact.version);
    let same_second = event("ticket.status_changed", &ticket("OPEN").replace(":58Z", ":58.900Z"), "{}");
    assert!(decode(&same_second).facts[0].version < fact.version);
}

#[test]
fn deletions_and_their_undoing_are_known_by_type_and_by_status() {
    let op = |kind: &str, status: &str| decode(&event(kind, &ticket(status), "{}")).facts[0].op;
    assert_eq!(op("ticket.soft_deleted", "OPEN"), Op::Delete);
    assert_eq!(op("ticket.permanently_deleted", "SCRUBBED"), Op::Delete);
    assert_eq!(op("ticket.comment_added", "DELETED"), Op::Delete);
    assert_eq!(op("ticket.undeleted", "OPEN"), Op::Undelete);
    let page = r#"{"tickets": [{"id": 1, "status": "deleted", "updated_at": "2026-03-10T14:59:58Z"}]}"#;
    assert_eq!(decode(page).facts[0].op, Op::Delete);
    let gone = r#"{"organizations": [{"id": 1, "name": "x", "deleted_at": "2026-03-10T14:59:58Z",
        "updated_at": "2026-03-10T14:59:58Z"}, {"id": 2, "name": "y", "deleted_at": null,
        "updated_at": "2026-03-10T14:59:58Z"}]}"#;
    let ops: Vec<Op> = decode(gone).facts.iter().map(|fact| fact.op).collect();
    assert_eq!(ops, [Op::Delete, Op::Image]);
}

#[test]
fn a_merged_ticket_is_closed() {
    let merged = decode(&event("ticket.merged", &ticket("OPEN"), r#"{"target_ticket_id": "7"}"#));
    assert_eq!(status(&merged.facts[0]), Some(CaseStatus::Closed));
}

#[test]
fn a_custom_field_that_changed_is_told_beside_the_ticket() {
    let decoder = decoder("    { from = \"custom_fields.3600\", to = \"category\" },");
    let change = r#"{"field": {"id": 3600, "title": "Area"}, "current": "billing", "previous": null}"#;
    let raw = event("ticket.custom_field_changed", &ticket("OPEN"), change);
    let decoded = decoder.decode(&Delivery::document(raw.as_bytes(), OBSERVED_AT));
    assert_eq!(decoded.facts.len(), 2);
    assert!(!says(&decoded.facts[0], Field::Category));
    assert_eq!(decoded.facts[1].fields.text(Field::Category), Some("billing"));
    assert_eq!(decoded.facts[1].fields.iter().count(), 1);
    let page = r#"{"tickets": [{"id": 1, "status": "open", "updated_at": "2026-03-10T14:59:58Z",
        "custom_fields": [{"id": 1, "value": null}, {"id": 3600, "value": "network"}]}]}"#;
    let fact = &decoder.decode(&Delivery::document(page.as_bytes(), OBSERVED_AT)).facts[0];
    assert_eq!(fact.fields.text(Field::Category), Some("network"));
    // A field that nobody maps says nothing.
    let other = event("ticket.custom_field_changed", &ticket("OPEN"), &change.replace("3600", "1"));
    assert_eq!(decoder.decode(&Delivery::document(other.as_bytes(), OBSERVED_AT)).facts.len(), 1);
}

#[test]
fn what_says_nothing_of_a_record_is_counted_and_kept() {
    for (kind, detail) in [
        ("messaging_ticket.message_added", "{\"id\": \"35436\"}".to_owned()),
        ("ticket.status_changed", "{\"id\": \"35436\"}".to_owned()),
        ("article.published", ticket("OPEN")),
    ] {
        let decoded = decode(&event(kind, &detail, "{}"));
        assert_eq!((decoded.facts.len(), decoded.rejects.len(), decoded.ignored), (0, 0, 1), "{kind}");
    }
}

#[test]
fn a_bad_row_is_kept_by_itself_and_can_be_read_again() {
    let page = r#"{"tickets": [{"id": 1, "status": "open", "updated_at": "2026-03-10T14:59:58Z"},
        {"status": "open", "updated_at": "2026-03-10T14:59:58Z"},
        {"id": 3, "status": "open"}, {"id": 4, "status": "mystery", "updated_at": "2026-03-10T14:59:58Z"}]}"#;
    let decoded = decode(page);
    assert_eq!(decoded.facts.len(), 2);
    assert_eq!(status(&decoded.facts[1]), None, "an unknown word is kept as it is");
    let kept: Vec<_> = decoded.rejects.iter().map(|r| (r.code, r.standalone.clone().unwrap())).collect();
    assert_eq!(kept.len(), 2);
    for (code, alone) in kept {
        assert_eq!(code, RejectCode::NoIdentity);
        let again = decode(std::str::from_utf8(&alone).unwrap());
        assert_eq!((again.facts.len(), again.rejects.len()), (0, 1));
    }
}

#[test]
fn bad_bodies_say_what_they_lack() {
    let check = |raw: &str, code: RejectCode, detail: &str| {
        let decoded = decode(raw);
        assert_eq!(decoded.facts.len(), 0, "{raw}");
        assert_eq!((decoded.rejects[0].code, decoded.rejects[0].range.clone()), (code, 0..raw.len()), "{raw}");
        assert!(decoded.rejects[0].detail.contains(detail), "{}", decoded.rejects[0].detail);
    };
    check("", RejectCode::Malformed, "a value was expected");
    check("{\"subject\": \"a\nb\"}", RejectCode::Malformed, "control character");
    check("{}", RejectCode::NoIdentity, "no object of the mapping");
    check("[]", RejectCode::NoIdentity, "no object of the mapping");
    let whole = event("ticket.created", &ticket("NEW"), "{}");
    check(&whole.replace("\"detail\"", "\"x\""), RejectCode::NoIdentity, "without detail");
    check(&whole.replace("\"time\"", "\"x\""), RejectCode::NoIdentity, "without time");
    check(&whole.replace("\"id\": \"35436\"", "\"id\": null"), RejectCode::NoIdentity, "without id");
}

#[test]
fn an_event_without_id_is_known_by_subject_type_and_time() {
    let raw = event("ticket.created", &ticket("NEW"), "{}");
    let raw = raw.replace("\"id\": \"2b24ef10-19e0-4c4d-8c4c-f3f11a84a2a5\"", "\"x\": 1");
    assert_eq!(decode(&raw).facts[0].event_id, "ticket.created/zen:ticket:35436/2026-03-10T14:59:59.123456789Z");
}

#[test]
fn a_trigger_is_read_by_an_object_of_its_own() {
    let shipped = include_str!("../../mappings/zendesk.toml");
    let own = r#"
        [[object]]
        name = "trigger_billing"
        entity = "case"
        record = "ticket_number"
        fields = [{ from = "state", to = "status", kind = "code", words = "status" }]
    "#;
    let decoder = ZendeskDecoder::new(Mapping::parse(&format!("{shipped}{own}")).unwrap());
    let read = |raw: &str| decoder.decode(&Delivery::document(raw.as_bytes(), OBSERVED_AT));
    let fact = &read(r#"{"ticket_number": 7, "state": "solved", "updated_at": "2026-03-10T14:59:58Z"}"#).facts[0];
    assert_eq!((fact.op, fact.entity.to_string(), fact.object.as_str()), (Op::Patch, "case/7".to_owned(), "ticket"));
    assert_eq!(status(fact), Some(CaseStatus::Resolved));
    assert_eq!(read(r#"{"ticket_number": 7, "state": "solved"}"#).rejects[0].code, RejectCode::NoIdentity);
}

#[test]
fn the_content_of_comments_never_becomes_a_fact() {
    let comment = r#"{"comment": {"id": 1, "body": "<b>the margin is 40 %</b>", "is_public": false}}"#;
    let decoded = decode(&event("ticket.comment_added", &ticket("OPEN"), comment));
    assert_eq!(decoded.facts.len(), 1);
    assert!(!format!("{:?}", decoded.facts[0]).contains("margin"));
}
