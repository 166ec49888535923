//! What belongs to no customer: rates, articles, decisions, and how far the sources are.

use std::collections::BTreeMap;
use std::sync::Arc;

use insight::Reference;
use ontology::entity::{Decided, ExchangeRate};
use ontology::id::ObjectId;
use ontology::money::div_half_even;
use ontology::{EntityKey, EntityKind, Fact, Field, FieldReader, Millis, Op, System};
use state::Freshness;

use super::record::Record;
use super::stored::entity_of;

/// Side inputs as they stand.
#[must_use]
pub fn reference(records: &BTreeMap<EntityKey, Record<'_>>) -> Reference {
    let mut reference = Reference::default();
    for record in records.values() {
        match record.key.kind {
            EntityKind::ExchangeRate => rate(record, &mut reference),
            EntityKind::KnowledgeArticle => {
                let article = Arc::new(entity_of(&record.key, &record.rows));
                reference.articles.insert(record.key.id.to_string(), article);
            }
            EntityKind::DiscrepancyDecision | EntityKind::AlertDecision => decision(record, records, &mut reference),
            EntityKind::Account
            | EntityKind::ArCustomer
            | EntityKind::BusinessPartner
            | EntityKind::CallerProfile
            | EntityKind::Case
            | EntityKind::Invoice
            | EntityKind::InvoiceLine
            | EntityKind::Payment
            | EntityKind::Dispute
            | EntityKind::CreditNote
            | EntityKind::Interaction
            | EntityKind::ServiceOrder
            | EntityKind::FieldDispatch
            | EntityKind::DesktopTelemetry
            | EntityKind::DirectoryEntry
            | EntityKind::Transfer
            | EntityKind::Judgement
            | EntityKind::Watermark
            | EntityKind::CommandOutcome
            | EntityKind::Configuration => {}
        }
    }
    reference
}

/// Records come in the order of keys: the first that states a rate for a day counts.
fn rate(record: &Record<'_>, reference: &mut Reference) {
    if !record.is_alive() {
        return;
    }
    let rate = ExchangeRate::read(record);
    let (Some(from), Some(to), Some(day)) = (rate.currency, rate.quote_currency, rate.valid_on) else { return };
    let Some((mantissa, scale)) = rate.rate else { return };
    let micros = div_half_even(i128::from(mantissa) * 1_000_000, 10_i128.pow(u32::from(scale)));
    let key = (from.to_owned(), to.to_owned(), day.to_owned());
    if let Ok(micros) = i64::try_from(micros)
        && reference.rates.get(&key).is_none()
    {
        reference.rates.set(&record.key, Some((key, micros)));
    }
}

/// Of several decisions on one object the latest counts: by time, then actor, then name.
fn decision(record: &Record<'_>, records: &BTreeMap<EntityKey, Record<'_>>, reference: &mut Reference) {
    let Some(subject) = record.text(Field::SubjectRef) else { return };
    let rank = |record: &Record<'_>| {
        let decided = Decided::read(record);
        (decided.decided_at, decided.actor.map(str::to_owned), record.key.clone())
    };
    let is_superseded = records.values().any(|other| {
        matches!(other.key.kind, EntityKind::DiscrepancyDecision | EntityKind::AlertDecision)
            && other.text(Field::SubjectRef) == Some(subject)
            && rank(other) > rank(record)
    });
    if !is_superseded {
        let entity = Arc::new(entity_of(&record.key, &record.rows));
        reference.decisions.insert(ObjectId(subject.into()), entity);
    }
}

/// What is known about the sources: the lowest watermark over a system's partitions, or its newest
/// event if it has none, and its oldest change that is known and not applied.
#[must_use]
pub fn freshness(facts: &[Fact], records: &BTreeMap<EntityKey, Record<'_>>) -> Freshness {
    let mut freshness = Freshness::default();
    for system in System::SOURCES {
        let mut partitions: BTreeMap<(System, &str), Millis> = BTreeMap::new();
        // Another service desk counts with Salesforce.
        let is_of = |of: System| of == system || (system == System::Salesforce && of == System::Zendesk);
        let of_system = || facts.iter().filter(|fact| is_of(fact.system));
        for beat in of_system().filter(|fact| fact.op == Op::Heartbeat) {
            let watermark = partitions.entry((beat.system, &beat.record_id)).or_insert(Millis::MIN);
            *watermark = beat.event_time().max(*watermark);
        }
        let newest = of_system().filter(|fact| fact.op != Op::Heartbeat).map(Fact::event_time).max();
        let gaps = || records.values().filter_map(Record::open_gap).filter(|gap| is_of(gap.system));
        let state = freshness.source_mut(system);
        state.watermark = partitions.into_values().min().or(newest);
        state.oldest_gap = gaps().map(Fact::event_time).min();
        state.gap_count = gaps().count() as u64;
    }
    freshness
}
