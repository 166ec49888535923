//! Times, money, references, evidence, freshness.

use ontology::{EntityKey, EntityKind, Evidence, Millis, Money, System, Vocabulary};
use pipeline::sources::LastEvents;
use proto::v1;
use state::{Freshness, SystemFreshness};

use super::{vocabulary, word};
use crate::reason::{Reason, Refusal};
use crate::token::position_token;

/// Nanos in one unit of money have this many digits.
const NANO_DIGITS: u8 = 9;

/// An instant on the wire; none for instants outside what can be written there.
#[must_use]
pub fn time(at: Millis) -> Option<prost_types::Timestamp> {
    let seconds = at.0.div_euclid(1_000);
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).expect("less than a second fits");
    (-62_135_596_800..=253_402_300_799).contains(&seconds).then_some(prost_types::Timestamp { seconds, nanos })
}

/// An instant from the wire, cut to milliseconds.
///
/// # Errors
/// If the timestamp lies outside years 1 to 9999 or its nanos are out of range.
pub fn millis(field: &'static str, at: &prost_types::Timestamp) -> Result<Millis, Refusal> {
    let is_valid = (-62_135_596_800..=253_402_300_799).contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos);
    if !is_valid {
        return Err(Refusal::field(field, "is not a timestamp"));
    }
    Ok(Millis(at.seconds * 1_000 + i64::from(at.nanos / 1_000_000)))
}

/// A span of time on the wire.
#[must_use]
pub fn duration(span_ms: i64) -> prost_types::Duration {
    let nanos = i32::try_from(span_ms % 1_000 * 1_000_000).expect("less than a second fits");
    prost_types::Duration { seconds: span_ms / 1_000, nanos }
}

/// A decimal amount of a record; none without currency or with more digits than nanos hold.
#[must_use]
pub fn decimal_money(amount: Option<(i64, u8)>, currency: Option<&str>) -> Option<v1::Money> {
    let (mantissa, scale) = amount?;
    let unit = 10_i64.pow(u32::from(scale.min(18)));
    let below = 10_i64.pow(u32::from(NANO_DIGITS.checked_sub(scale)?));
    let nanos = i32::try_from(mantissa % unit * below).ok()?;
    Some(v1::Money { currency_code: currency?.to_owned(), units: mantissa / unit, nanos })
}

/// Money of the core.
#[must_use]
pub fn money(money: Money) -> v1::Money {
    decimal_money(Some((money.minor, money.currency.decimals())), Some(money.currency.code()))
        .expect("minor units have at most four decimals")
}

/// A system on the wire.
#[must_use]
pub fn system(system: System) -> i32 {
    word(system)
}

/// A system from the wire.
///
/// # Errors
/// If it is unspecified or unknown.
pub fn system_of(field: &'static str, number: i32) -> Result<System, Refusal> {
    vocabulary(number).ok_or_else(|| Refusal::field(field, "names no system"))
}

/// The system whose records are of a kind.
#[must_use]
pub fn home(kind: EntityKind) -> System {
    match kind {
        EntityKind::Account | EntityKind::Case | EntityKind::KnowledgeArticle => System::Salesforce,
        EntityKind::ArCustomer
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Dispute
        | EntityKind::CreditNote
        | EntityKind::ExchangeRate => System::Oracle,
        EntityKind::CallerProfile | EntityKind::Interaction => System::Wxcc,
        EntityKind::BusinessPartner | EntityKind::ServiceOrder | EntityKind::FieldDispatch => System::Sap,
        EntityKind::Transfer | EntityKind::Judgement | EntityKind::DiscrepancyDecision | EntityKind::AlertDecision => {
            System::Human
        }
        EntityKind::DirectoryEntry
        | EntityKind::DesktopTelemetry
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => System::Engine,
    }
}

/// A record's reference on the wire.
#[must_use]
pub fn source_ref(key: &EntityKey) -> v1::SourceRef {
    v1::SourceRef {
        source: system(home(key.kind)),
        entity_type: key.kind.name().to_owned(),
        native_id: key.id.to_string(),
    }
}

/// The record that a reference names. Without entity type it is the system's party record.
///
/// # Errors
/// If the reference names no kind of record or no id.
pub fn entity_key(field: &'static str, reference: &v1::SourceRef) -> Result<EntityKey, Refusal> {
    if reference.native_id.is_empty() {
        return Err(Refusal::field(field, "has no native_id"));
    }
    if reference.source != i32::from(v1::System::Unspecified) {
        system_of(field, reference.source)?;
    }
    let kind = if reference.entity_type.is_empty() {
        let source = system_of(field, reference.source)?;
        EntityKind::PARTIES.into_iter().find(|kind| kind.party_system() == Some(source))
    } else {
        EntityKind::parse(&reference.entity_type)
    };
    let kind = kind.ok_or_else(|| {
        let kinds: Vec<&str> = EntityKind::ALL.iter().map(|(_, name)| *name).collect();
        Refusal::field(field, format!("names no kind of record; there are {}", kinds.join(", ")))
    })?;
    Ok(EntityKey::new(kind, &reference.native_id))
}

/// The id in a resource name such as `customers/1f`.
///
/// # Errors
/// If the name is not of the collection.
pub fn id_of<'a>(field: &'static str, collection: &str, name: &'a str) -> Result<&'a str, Refusal> {
    let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')).filter(|id| !id.is_empty());
    id.ok_or_else(|| Refusal::field(field, format!("is not a name such as {collection}/...")))
}

/// Evidence on the wire.
#[must_use]
pub fn evidence(evidence: &Evidence) -> v1::Evidence {
    v1::Evidence {
        record: Some(source_ref(&evidence.entity)),
        field: evidence.field.name().to_owned(),
        value: evidence.value.to_string(),
        version: evidence.version.to_string(),
        event_id: evidence.event_id.to_string(),
        position: position_token(evidence.log_pos),
    }
}

/// Millionths as a number in [0, 1].
#[must_use]
pub fn ratio(micros: u32) -> f64 {
    f64::from(micros) / 1e6
}

/// Freshness of the four systems at `now`.
#[must_use]
pub fn freshness(freshness: &Freshness, now: Millis) -> Vec<v1::Freshness> {
    System::SOURCES.into_iter().map(|system| freshness_of(freshness, system, now)).collect()
}

/// Freshness of one system at `now`.
#[must_use]
pub fn freshness_of(freshness: &Freshness, of: System, now: Millis) -> v1::Freshness {
    let source = freshness.source(of);
    let state = freshness.at(of, now);
    let (wire, stale_since) = match state {
        SystemFreshness::Fresh => (v1::FreshnessState::Fresh, None),
        SystemFreshness::Stale { since } => (v1::FreshnessState::Stale, time(since)),
        SystemFreshness::Unknown => (v1::FreshnessState::Unknown, None),
        SystemFreshness::Unmonitored => (v1::FreshnessState::Unmonitored, None),
    };
    v1::Freshness {
        system: system(of),
        state: wire.into(),
        last_event_time: None,
        watermark_time: source.watermark.and_then(time),
        lag: source.watermark.map(|watermark| duration(now.since(watermark).max(0))),
        stale: !state.is_fresh(),
        stale_since,
    }
}

/// Adds when the newest event of each system happened, which its watermark does not tell: a source that is
/// quiet says that there is nothing new.
pub fn tell_last_events(freshness: &mut [v1::Freshness], last_events: &LastEvents) {
    for (of, at) in last_events.of_sources() {
        for known in freshness.iter_mut().filter(|known| known.system == system(of)) {
            known.last_event_time = at.and_then(time);
        }
    }
}

/// Refuses if any connected system lags more than the caller allows.
///
/// # Errors
/// With reason `TOO_STALE`, for the first such system.
pub fn check_staleness(freshness: &Freshness, now: Millis, max: Option<&prost_types::Duration>) -> Result<(), Refusal> {
    let Some(max) = max else { return Ok(()) };
    if max.seconds < 0 || max.nanos < 0 {
        return Err(Refusal::field("max_staleness", "is negative"));
    }
    let max_ms = max.seconds.saturating_mul(1_000).saturating_add(i64::from(max.nanos / 1_000_000));
    for system in System::SOURCES {
        let source = freshness.source(system);
        let Some(watermark) = source.watermark.filter(|_| source.is_monitored) else { continue };
        let lag_ms = now.since(watermark);
        if lag_ms > max_ms {
            let refusal = Refusal::new(Reason::TooStale).with("system", system.name());
            return Err(refusal.with("lag_s", seconds(lag_ms)).with("max_s", seconds(max_ms)));
        }
    }
    Ok(())
}

/// A span in seconds, with its milliseconds where it has some.
fn seconds(span_ms: i64) -> String {
    let (seconds, ms) = (span_ms / 1_000, span_ms % 1_000);
    if ms == 0 { seconds.to_string() } else { format!("{seconds}.{ms:03}") }
}

#[cfg(test)]
#[path = "common_tests.rs"]
mod tests;
