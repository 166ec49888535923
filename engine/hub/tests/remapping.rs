//! A mapping that is mended reads quarantine again, and history when asked; a change that a kill
//! left unread is still known after a restart.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use connectors::{Connectors, Framing, Known as _, Mapping};
use hub::app::{App, AppOptions};
use hub::clock::StoryClock;
use hub::known::EngineKnown;
use hub::remapping::{RemapError, Remapped, Remapping, history, quarantine};
use hub::runner::Payload;
use ontology::{EntityKey, EntityKind, Field, Millis, System, ValueRef};
use storage::{Embedded, QuarantineFilter};

const NOW: Millis = Millis(1_773_154_800_000);

async fn hub(dir: &Path, connectors: Connectors) -> App {
    let store = Arc::new(Embedded::open(dir, storage::Options::default()).unwrap());
    let options = AppOptions { batch_max: 100, connectors, ..AppOptions::local(Arc::new(StoryClock::standing(NOW))) };
    App::start(store, options).await.unwrap()
}

/// The shipped mapping of Oracle with `changes` made, as another version of it.
fn mapping(version: u32, changes: &[(&str, &str)]) -> Mapping {
    let mut text = include_str!("../../../connectors/mappings/oracle.toml").to_owned();
    text = text.replacen("version = 1", &format!("version = {version}"), 1);
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Mapping::parse(&text).unwrap()
}

fn row(id: &str, amount: &str, status: &str) -> String {
    format!(
        "{{\"op\":\"c\",\"source\":{{\"connector\":\"oracle\",\"ts_ms\":1000,\"table\":\"CREDIT_NOTE\",\"scn\":\"7\"}},\
         \"after\":{{\"CREDIT_NOTE_ID\":\"{id}\",\"AMOUNT\":\"{amount}\",\"STATUS\":\"{status}\",\"CURRENCY\":\"USD\"}}}}"
    )
}

async fn deliver(app: &App, system: System, body: String, framing: Framing) {
    let context = app.context(system, "erp");
    let decoding = context.decode(system, "erp", &Bytes::from(body), framing);
    context.submit_until_taken(decoding.submission).await.unwrap();
}

async fn field(app: &App, id: &str, field: Field) -> Option<String> {
    let key = EntityKey::new(EntityKind::CreditNote, id);
    let handle = app.handle();
    let read = handle.ask(move |engine| {
        let entity = engine.entity(&key)?;
        let (_, value, _) = entity.cells().find(|(found, _, _)| *found == field)?;
        Some(format!("{value:?}"))
    });
    read.await.unwrap()
}

fn held(app: &App) -> usize {
    let filter = QuarantineFilter { held_only: true, ..QuarantineFilter::default() };
    app.handle().store().list(&filter, None, 100).unwrap().records.len()
}

const AMOUNT: &str = "{ from = \"AMOUNT\", to = \"amount\", kind = \"decimal\", required = true }";
const COMMA: (&str, &str) = (AMOUNT, "{ from = \"AMOUNT\", to = \"amount\", kind = \"decimal\" }");
const WORDS: (&str, &str) = ("[words.credit_note_status]\n", "[words.credit_note_status]\nGEBUCHT = \"Applied\"\n");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mended_mapping_reads_quarantine_and_then_history_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = hub(dir.path(), Connectors::shipped()).await;
    deliver(&first, System::Oracle, row("CN-1", "12,5x", "DRAFT"), Framing::Document).await;
    let lines = format!("{}\n{}\n", row("CN-2", "3.00", "GEBUCHT"), row("CN-3", "4.00", "DRAFT"));
    deliver(&first, System::Oracle, lines, Framing::Lines).await;
    deliver(&first, System::Sap, "<broken".to_owned(), Framing::Document).await;
    assert_eq!((held(&first), field(&first, "CN-1", Field::Amount).await), (2, None));
    quarantine(&first.handle(), first.connectors(), System::Oracle).await.unwrap();
    first.stop().await.unwrap();

    let unraised = hub(dir.path(), Connectors::new(vec![mapping(1, &[COMMA])])).await;
    let refused = Remapping::plan(&unraised, &[System::Oracle], &[]).unwrap_err();
    assert!(matches!(refused, RemapError::SameVersion { system: "oracle", version: 1 }), "{refused}");
    unraised.stop().await.unwrap();

    let mended = hub(dir.path(), Connectors::new(vec![mapping(2, &[COMMA, WORDS])])).await;
    assert!(Remapping::plan(&mended, &[System::Oracle], &[]).is_ok());
    let done = quarantine(&mended.handle(), mended.connectors(), System::Oracle).await.unwrap();
    assert_eq!((done, held(&mended)), (Remapped { understood: 1, refused: 0 }, 1), "the other system's is left alone");
    assert_eq!(field(&mended, "CN-1", Field::Amount).await, Some(format!("{:?}", ValueRef::Bad("12,5x"))));
    assert!(field(&mended, "CN-2", Field::Status).await.unwrap().starts_with("Unknown"));

    let done = history(&mended.handle(), mended.connectors(), System::Oracle).await.unwrap();
    assert_eq!((done.refused, done.understood >= 1), (0, true), "{done:?}");
    assert!(
        field(&mended, "CN-2", Field::Status).await.unwrap().starts_with("Code"),
        "history is read by the new words"
    );
    let again = history(&mended.handle(), mended.connectors(), System::Oracle).await.unwrap();
    assert_eq!(again, done, "what was read again is not read as new history");
    mended.stop().await.unwrap();
}

/// A row that names its table in no byte: the topic stands in a header.
fn nameless(id: &str, amount: &str) -> String {
    row(id, amount, "DRAFT").replace("\"table\":\"CREDIT_NOTE\",", "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_header_told_is_known_when_its_bytes_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = hub(dir.path(), Connectors::shipped()).await;
    let told = |app: &App, body: String, topic: &str| {
        let context = app.context(System::Oracle, "erp");
        let headers = [("x-debezium-destination", topic)].into_iter().collect();
        let raw = Bytes::from(body);
        let decoding = context.decode_told(System::Oracle, "erp", &raw, Framing::Document, headers);
        async move { context.submit_until_taken(decoding.submission).await.unwrap() }
    };
    told(&first, nameless("CN-1", "1,5x"), "erp.AR.CREDIT_NOTE").await;
    told(&first, nameless("CN-2", "2.00"), "erp.AR.CREDIT_MEMO").await;
    let store = first.handle().store().clone();
    let page = store.list(&QuarantineFilter::default(), None, 10).unwrap();
    assert_eq!(store.raw(page.records[0].id).unwrap(), nameless("CN-1", "1,5x").into_bytes(), "as it was sent");
    first.stop().await.unwrap();
    drop(store);

    let memo = ("name = \"CREDIT_NOTE\"", "name = \"CREDIT_MEMO\"");
    for (mapping, id, amount) in [(mapping(2, &[COMMA]), "CN-1", "1,5x"), (mapping(3, &[memo]), "CN-2", "2.00")] {
        let mended = hub(dir.path(), Connectors::new(vec![mapping])).await;
        quarantine(&mended.handle(), mended.connectors(), System::Oracle).await.unwrap();
        history(&mended.handle(), mended.connectors(), System::Oracle).await.unwrap();
        let found = field(&mended, id, Field::Amount).await;
        assert!(
            found.as_ref().is_some_and(|found| found.contains(amount.trim_end_matches('0').trim_end_matches('.'))),
            "{id}: {found:?}"
        );
        mended.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_still_to_be_read_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = hub(dir.path(), Connectors::shipped()).await;
    let gap = gap_fact();
    first.handle().append(vec![gap], Vec::new(), Payload::default(), None, storage::Priority::Source).await.unwrap();
    first.stop().await.unwrap();

    let second = hub(dir.path(), Connectors::shipped()).await;
    let known = EngineKnown::new(second.handle());
    let gaps = known.open_gaps(System::Salesforce).await;
    assert_eq!((gaps[0].object.as_str(), gaps[0].record_id.as_str(), gaps[0].version.major), ("Case", "500A", 9));
    assert!(known.open_gaps(System::Oracle).await.is_empty());
    deliver(&second, System::Oracle, row("CN-3", "4.00", "DRAFT"), Framing::Document).await;
    let records = known.records(System::Oracle, "CREDIT_NOTE").await;
    assert_eq!((records.len(), records[0].record_id.as_str(), records[0].version.major), (1, "CN-3", 7));
    assert!(known.records(System::Oracle, "AR_INVOICE").await.is_empty());
    let gone = row("CN-3", "4.00", "DRAFT").replace("\"op\":\"c\"", "\"op\":\"d\"").replace("\"after\"", "\"before\"");
    deliver(&second, System::Oracle, gone.replace("\"7\"", "\"8\""), Framing::Document).await;
    assert!(known.records(System::Oracle, "CREDIT_NOTE").await.is_empty());
    let rows = known.rows(System::Oracle, "CREDIT_NOTE").await;
    assert_eq!((rows.len(), rows[0].entity.id.as_str(), rows[0].version.major), (1, "CN-3", 8), "what is deleted, too");
    second.stop().await.unwrap();
}

fn gap_fact() -> ontology::Fact {
    ontology::Fact {
        event_id: "gap".into(),
        system: System::Salesforce,
        object: "Case".into(),
        record_id: "500A".into(),
        entity: EntityKey::new(EntityKind::Case, "500A"),
        op: ontology::Op::Gap,
        version: ontology::Version::new(9, 1, 1),
        changed_at: NOW,
        observed_at: NOW,
        ingested_at: Millis::MIN,
        log_pos: ontology::LogPos(0),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: ontology::FieldsBuilder::default().build(),
    }
}
