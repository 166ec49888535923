//! What a transfer's package would hold, and whether that is enough.

use ontology::entity::{Interaction, Transfer};
use ontology::status::InteractionStatus;
use ontology::{Coded, CustomerId, EntityKey, EntityKind, Field, FieldReader, LogPos, Millis};
use state::{Composite, Entity};

use super::concluded::Concluded;
use super::narrative;
use super::package::PackageContent;
use super::relevant;
use super::section::SectionName;
use super::sections::Material;
use crate::context::Context;
use crate::derived::Derived;

/// A transfer and the context that it would be given now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The transfer.
    pub transfer: EntityKey,
    /// The case that it names.
    pub case: Option<EntityKey>,
    /// The customer that the case belongs to now.
    pub customer: CustomerId,
    /// When the transfer began.
    pub initiated_at: Millis,
    /// What the receiver would be given.
    pub package: PackageContent,
    /// Whether all required sections are there.
    pub complete: bool,
    /// Whether a section that a transfer waits for is missing.
    pub context_gap: bool,
    /// The transfer or its case was deleted.
    pub is_gone: bool,
    /// The customer left before anybody took over.
    pub is_abandoned: bool,
    /// A later transfer of the same case that takes the place of this one.
    pub superseded_by: Option<EntityKey>,
    /// The position that all of this reflects.
    pub log_pos: LogPos,
}

/// Assesses `transfer`, an entity of kind `transfer` among the customer's records.
#[must_use]
pub fn assess(transfer: &Entity, composite: &Composite, derived: &Derived, context: &Context<'_>) -> Assessment {
    let request = Transfer::read(transfer);
    let case_key = request.case_ref.map(|id| EntityKey::new(EntityKind::Case, id));
    let initiated_at = initiated_at(transfer).unwrap_or(context.now);
    let relevant = relevant::select(transfer, initiated_at, composite, context);
    let concluded = Concluded::read(derived);
    let material =
        Material { composite, context, relevant: &relevant, concluded: &concluded, case_key: case_key.as_ref() };
    let sections = material.sections();
    let team = request.to_team.or(request.to_agent).unwrap_or("unnamed");
    let open = concluded.open_discrepancies.len();
    let package = PackageContent {
        narrative: narrative::tell(team, case_key.as_ref(), &relevant, &sections, open, context),
        recommendations: material.recommendations(),
        members: composite.members.iter().map(|member| member.key.clone()).collect(),
        sections,
    };
    let gaps: Vec<SectionName> = package.gaps().map(|section| section.name).collect();
    Assessment {
        transfer: transfer.key.clone(),
        customer: composite.id.clone(),
        initiated_at,
        complete: gaps.is_empty(),
        context_gap: gaps.iter().any(|name| name.holds()),
        is_gone: !transfer.is_alive() || case_key.as_ref().is_some_and(|key| is_deleted(composite, key)),
        is_abandoned: is_abandoned(&request, initiated_at, composite),
        superseded_by: superseded_by(transfer, initiated_at, composite),
        case: case_key,
        package,
        log_pos: composite.log_pos,
    }
}

/// When a transfer began: what it says, else when it was first spoken of.
fn initiated_at(transfer: &Entity) -> Option<Millis> {
    transfer.time(Field::InitiatedAt).or_else(|| Some(transfer.provenance(Field::CaseRef)?.event_time))
}

/// Whether the record was there and is no more. One that is only named may still arrive.
fn is_deleted(composite: &Composite, key: &EntityKey) -> bool {
    composite.get(key).is_none()
        && composite.entities().any(|entity| entity.key == *key && entity.cells().next().is_some())
}

/// The customer hung up: the contact that is being transferred ended, after the transfer began and
/// with a word that says so. A contact that ends in any other way was transferred or served.
fn is_abandoned(request: &Transfer<'_>, initiated_at: Millis, composite: &Composite) -> bool {
    let contact = request.interaction_ref.and_then(|id| composite.get(&EntityKey::new(EntityKind::Interaction, id)));
    contact.is_some_and(|contact| {
        let contact = Interaction::read(contact.as_ref());
        contact.status == Coded::Known(InteractionStatus::Ended)
            && contact.ended_at.is_some_and(|ended_at| ended_at >= initiated_at)
            && contact.disposition.is_some_and(|disposition| disposition.to_ascii_lowercase().contains("abandon"))
    })
}

/// The first later transfer of the same case that began before this one was accepted.
fn superseded_by(transfer: &Entity, began_at: Millis, composite: &Composite) -> Option<EntityKey> {
    let request = Transfer::read(transfer);
    let later = composite.of_kind(EntityKind::Transfer).filter_map(|other| {
        let rival = Transfer::read(other.as_ref());
        let rival_began_at = initiated_at(other)?;
        let is_later = (rival_began_at, &other.key) > (began_at, &transfer.key);
        let is_in_time = request.accepted_at.is_none_or(|accepted_at| rival_began_at < accepted_at);
        let is_real = rival.cancelled_at.is_none() && rival.from_team != rival.to_team;
        let is_same_case = rival.case_ref.is_some() && rival.case_ref == request.case_ref;
        (is_later && is_in_time && is_real && is_same_case).then(|| (rival_began_at, other.key.clone()))
    });
    later.min().map(|(_, key)| key)
}
