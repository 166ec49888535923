//! What the engine tells when nothing of a customer changes, and at instants that several inputs share.
#![allow(clippy::unwrap_used)]

use insight::alerts::{AlertRule, AlertState};
use ontology::status::{CaseStatus, CreditNoteStatus, Decision};
use ontology::{EntityKind, Field, Fields, FieldsBuilder, Op, ValueRef, Version, Vocabulary};

use super::*;

/// 2026-03-10T15:00:00Z.
const NOON: Millis = Millis(1_773_154_800_000);

/// An engine with facts told one after the other.
struct Told {
    engine: Engine,
    position: u64,
}

impl Told {
    fn new() -> Self {
        Told { engine: Engine::new(EngineSettings::default(), Model::shipped()), position: 0 }
    }

    /// Tells one fact as a batch of its own, `after_ms` after noon.
    fn tell(&mut self, system: System, entity: EntityKey, op: Op, fields: Fields, after_ms: i64) -> Effects {
        self.position += 1;
        let at = NOON + after_ms;
        let fact = Fact {
            event_id: format!("e{}", self.position).into(),
            system,
            object: entity.kind.name().into(),
            record_id: entity.id.clone(),
            entity,
            op,
            version: Version::new(self.position, 0, 0),
            changed_at: at,
            observed_at: at,
            ingested_at: at,
            log_pos: LogPos(self.position),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields,
        };
        self.engine.step(Input::Facts { facts: vec![fact], ingested_at: at })
    }

    fn tick(&mut self, after_ms: i64) -> Effects {
        self.engine.step(Input::Tick { now: NOON + after_ms })
    }

    /// A case that is resolved at noon while a credit note of it is pending: RC1 opens a minute later.
    fn contradiction() -> Self {
        let mut told = Told::new();
        let mut case = FieldsBuilder::default();
        case.text(Field::AccountRef, Some("ACCT-1")).word(Field::Status, CaseStatus::Resolved);
        told.tell(System::Salesforce, EntityKey::new(EntityKind::Case, "SF-1"), Op::Image, case.build(), 0);
        told.note(CreditNoteStatus::PendingApproval, 0);
        told
    }

    fn note(&mut self, status: CreditNoteStatus, after_ms: i64) -> Effects {
        let mut note = FieldsBuilder::default();
        note.text(Field::CaseRef, Some("SF-1")).word(Field::Status, status);
        self.tell(System::Oracle, EntityKey::new(EntityKind::CreditNote, "CN-1"), Op::Image, note.build(), after_ms)
    }

    fn decide(&mut self, subject: &str, verdict: Decision, after_ms: i64) -> Effects {
        let mut fields = FieldsBuilder::default();
        fields.text(Field::SubjectRef, Some(subject)).word(Field::Verdict, verdict).text(Field::Actor, Some("ann"));
        fields.set(Field::DecidedAt, ValueRef::Time(NOON + after_ms));
        let key = EntityKey::new(EntityKind::AlertDecision, format!("D-{}", self.position));
        self.tell(System::Human, key, Op::Image, fields.build(), after_ms)
    }
}

#[test]
fn what_a_person_says_of_a_sync_failure_is_published_at_once() {
    let mut told = Told::new();
    told.engine.set_unmonitored(&[System::Salesforce]);
    let case = EntityKey::new(EntityKind::Case, "SF-1");
    told.tell(System::Salesforce, case.clone(), Op::Gap, Fields::default(), 0);
    let fired = told.tick(Freshness::LAG_MAX_MS + 1);
    let id = AlertRule::SyncFailure.id(&case.to_string());
    let state = |effects: &Effects| {
        let alerts = effects.source_alerts.as_ref().expect("the sources were looked at");
        alerts.iter().find(|alert| alert.id == id).map(|alert| alert.state.clone())
    };
    assert_eq!(state(&fired), Some(AlertState::Firing));

    let acknowledged = told.decide(&id.0, Decision::Acknowledged, 400_000);
    assert_eq!(state(&acknowledged), Some(AlertState::Acknowledged { by: "ann".into() }));
    assert_eq!((acknowledged.actions, acknowledged.open_by_rule["11-1"]), (vec![], 1));

    let resolved = told.decide(&id.0, Decision::Resolved, 500_000);
    assert_eq!(state(&resolved), Some(AlertState::Resolved { by: Some("ann".into()), at: NOON + 500_000 }));
    let verbs: Vec<&str> = resolved.actions.iter().map(|action| action.verb()).collect();
    assert_eq!((verbs, resolved.open_by_rule["11-1"]), (vec!["notify"], 0));

    let elsewhere = told.decide("11-4-unknown", Decision::Acknowledged, 600_000);
    assert_eq!(elsewhere.actions, []);
}

#[test]
fn an_acknowledgement_of_a_lag_holds_while_the_source_goes_on_at_the_same_lag() {
    let mut told = Told::new();
    let partition = EntityKey::new(EntityKind::Watermark, "erp");
    let lag_ms = Freshness::LAG_MAX_MS + 100_000;
    // Every 10 s the source says how far it is: always as far behind.
    let beat = |told: &mut Told, at_ms: i64| {
        told.tell(System::Oracle, partition.clone(), Op::Heartbeat, Fields::default(), at_ms - lag_ms);
        told.tick(at_ms)
    };
    let oracle = |effects: &Effects| {
        let alerts = effects.source_alerts.as_ref().expect("the sources were looked at");
        alerts.iter().find(|alert| alert.subject == "oracle/all").cloned().expect("oracle lags")
    };
    told.tell(System::Oracle, partition.clone(), Op::Heartbeat, Fields::default(), 0);
    let first = oracle(&told.tick(Freshness::LAG_MAX_MS + 1));
    assert_eq!((first.fired_at, first.state), (NOON + Freshness::LAG_MAX_MS + 1, AlertState::Firing));
    let acknowledged = oracle(&told.decide(&first.id.0, Decision::Acknowledged, 310_000));
    assert_eq!(acknowledged.state, AlertState::Acknowledged { by: "ann".into() });
    told.engine.step(Input::Tick { now: NOON + 400_000 });
    for at_ms in (400_000..1_600_000).step_by(10_000) {
        beat(&mut told, at_ms);
        let alert = oracle(&told.decide("another", Decision::Acknowledged, at_ms));
        assert_eq!((alert.state, alert.fired_at), (acknowledged.state.clone(), first.fired_at), "{at_ms}");
    }
}

#[test]
fn facts_of_the_instant_at_which_something_is_due_come_before_it_in_any_batch() {
    let mut told = Told::contradiction();
    let mut plan = FieldsBuilder::default();
    plan.text(Field::Name, Some("Linden Energy"));
    let account = EntityKey::new(EntityKind::Account, "ACCT-1");
    let unrelated = told.tell(System::Salesforce, account, Op::Image, plan.build(), 60_000);
    assert_eq!((unrelated.actions, unrelated.next_wake), (vec![], Some(NOON + 60_000)), "it is due, and waits");
    assert_eq!(told.note(CreditNoteStatus::Approved, 60_000).actions, []);
    assert_eq!(told.tick(60_000).actions, []);
}

#[test]
fn what_has_fired_at_an_instant_stands_for_facts_of_that_instant() {
    let mut told = Told::contradiction();
    let opened = told.tick(60_000);
    assert!(!opened.actions.is_empty());
    assert_eq!(told.note(CreditNoteStatus::PendingApproval, 60_000).actions, [], "said again");
    let closed = told.note(CreditNoteStatus::Approved, 60_000);
    assert!(closed.actions.iter().any(|action| action.verb() == "complete_task"));
}

#[test]
fn a_further_gap_of_a_record_starts_no_new_wait_and_the_alert_names_the_first() {
    let mut told = Told::new();
    told.engine.set_unmonitored(&[System::Salesforce]);
    let case = EntityKey::new(EntityKind::Case, "SF-1");
    for after_ms in [0, 100_000, 290_000] {
        told.tell(System::Salesforce, case.clone(), Op::Gap, Fields::default(), after_ms);
    }
    let open = |effects: &Effects| effects.source_alerts.clone().into_iter().flatten().collect::<Vec<_>>();
    assert!(open(&told.tick(Freshness::GAP_MAX_MS)).is_empty());
    let fired = open(&told.tick(Freshness::GAP_MAX_MS + 1));
    let [alert] = &fired[..] else { panic!("{fired:?}") };
    let evidence = alert.grounds.evidence();
    let [said] = &evidence[..] else { panic!("{evidence:?}") };
    assert_eq!((&said.entity, said.event_id.as_str(), said.log_pos), (&case, "e1", LogPos(1)));
    assert_eq!((&said.version, said.value.as_str()), (&Version::new(1, 0, 0), "2026-03-10T15:00:00Z"));
}

#[test]
fn a_source_is_stale_beyond_its_own_bound() {
    let mut settings = EngineSettings::default();
    settings.lag_max.set(System::Wxcc, 480_000);
    let mut told = Told { engine: Engine::new(settings, Model::shipped()), position: 0 };
    for system in [System::Wxcc, System::Sap] {
        let key = EntityKey::new(EntityKind::Watermark, "all");
        told.tell(system, key, Op::Heartbeat, Fields::default(), 0);
    }
    let stale = |told: &Told, after_ms: i64| {
        let known = told.engine.sources().freshness();
        [System::Wxcc, System::Sap].map(|system| !known.at(system, NOON + after_ms).is_fresh())
    };
    let alerts = |effects: &Effects| effects.source_alerts.as_ref().map(Vec::len);
    assert_eq!(alerts(&told.tick(300_001)), Some(1));
    assert_eq!(stale(&told, 300_001), [false, true]);
    assert_eq!(alerts(&told.tick(480_000)), None, "nothing is due");
    assert_eq!(alerts(&told.tick(480_001)), Some(2));
    assert_eq!(stale(&told, 480_001), [true, true]);
}

#[test]
fn what_had_opened_before_rows_told_since_when_it_holds_stays_open() {
    let mut told = Told::contradiction();
    told.tick(60_000);
    let snapshot = told.engine.take_snapshot();
    let mut memory = crate::memory::Memory::default();
    let rows = snapshot.memory.iter().filter(|(key, _)| !key.starts_with(b"noticed/"));
    assert!(rows.clone().count() < snapshot.memory.len(), "it is told now");
    rows.for_each(|(key, value)| memory.restore(key, value).unwrap());
    let entities = snapshot.entities.iter().map(|entity| (**entity).clone()).collect();
    let restored = crate::snapshot::Restored { entities, memory, head: snapshot.head, position: snapshot.position };
    let mut engine = Engine::new(EngineSettings::default(), Model::shipped());
    let effects = engine.restore(restored).unwrap();
    assert_eq!((effects.actions, effects.open_by_rule["RC1"]), (vec![], 1));
}

#[test]
fn a_customer_that_parts_again_and_again_leaves_one_row() {
    let mut memory = Memory::default();
    let [one, two, three] = ["1", "2", "3"].map(|id| EntityKey::new(EntityKind::Account, id));
    let customer = CustomerId::of_member(&one);
    for _ in 0..3 {
        memory.add_split(&customer, &[one.clone(), two.clone()]);
    }
    assert_eq!(memory.take_dirty().len(), 1);
    memory.add_split(&customer, &[two.clone(), one.clone()]);
    assert_eq!(memory.take_dirty(), [], "nothing new");
    memory.add_split(&customer, &[one.clone(), three.clone()]);
    let rows = memory.take_dirty();
    assert_eq!((rows.len(), memory.split(&customer)), (1, &[one, two, three][..]));
    let mut restored = Memory::default();
    rows.iter().for_each(|(key, value)| restored.restore(key, value).unwrap());
    assert_eq!(restored.split(&customer), memory.split(&customer));
}
