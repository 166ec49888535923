//! `stale_record`: open, and nothing was heard of it for long. It ends when something is heard again, or
//! when the record is finished.
//!
//! Nobody may conclude from silence that a record is finished, so its status stays as it was last told. But
//! a call or a chat does not go on for a day: where its end was lost, and no list tells of it, the finding
//! says so. E-mails and callbacks wait for days, like every other record.

use ontology::status::{
    CaseStatus, Channel, CreditNoteStatus, DispatchStatus, DisputeStatus, InteractionStatus, InvoiceStatus,
    ServiceOrderStatus,
};
use ontology::{Coded, EntityKind, Field, FieldReader as _, Finding, FindingKind, Millis, Vocabulary};
use state::Entity;

use super::{finding, shown};

/// How long an open record may be untouched (spec 10).
pub const UNTOUCHED_MAX_MS: i64 = 180 * Millis::DAY_MS;

/// How long a call or a chat may be untouched that counts as live.
pub const LIVE_UNTOUCHED_MAX_MS: i64 = 24 * Millis::HOUR_MS;

/// Whether a record is open and was untouched for too long at `now`. A deleted record has no findings.
#[must_use]
pub fn stale_record(entity: &Entity, now: Millis) -> Option<Finding> {
    if !entity.is_alive() || !is_open(entity) {
        return None;
    }
    let rows = entity.rows().iter();
    let touched_at = rows.flat_map(|row| row.provenances()).map(|provenance| provenance.event_time).max()?;
    let status = || shown(entity, Field::Status, entity.get(Field::Status));
    (now.since(touched_at) > untouched_max_ms(entity))
        .then(|| finding(entity, FindingKind::StaleRecord, Some(Field::Status), status()))
}

fn untouched_max_ms(entity: &Entity) -> i64 {
    let is_live = entity.key.kind == EntityKind::Interaction
        && matches!(entity.coded(Field::Channel), Coded::Known(Channel::Call | Channel::Chat));
    if is_live { LIVE_UNTOUCHED_MAX_MS } else { UNTOUCHED_MAX_MS }
}

/// Whether the record has a status and it is none of those in which it is finished. What the mapping has no
/// word for is not finished.
fn is_open(entity: &Entity) -> bool {
    fn is<V: Vocabulary>(entity: &Entity, is_open: impl Fn(V) -> bool) -> bool {
        match entity.coded(Field::Status) {
            Coded::Known(status) => is_open(status),
            Coded::Unknown(_) => true,
            Coded::Missing => false,
        }
    }
    match entity.key.kind {
        EntityKind::Case => is(entity, |status: CaseStatus| !status.is_resolved()),
        EntityKind::Invoice => is(entity, InvoiceStatus::is_pending),
        EntityKind::Dispute => is(entity, DisputeStatus::is_active),
        EntityKind::CreditNote => is(entity, CreditNoteStatus::is_pending),
        EntityKind::Interaction => is(entity, InteractionStatus::is_active),
        EntityKind::ServiceOrder => is(entity, ServiceOrderStatus::is_in_flight),
        EntityKind::FieldDispatch => is(entity, DispatchStatus::is_in_flight),
        EntityKind::Account
        | EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::DesktopTelemetry
        | EntityKind::Transfer
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => false,
    }
}
