//! Which vocabulary a field of an entity speaks.

use ontology::status::{
    CaseStatus, Channel, CreditNoteStatus, CreditStatus, Direction, DispatchOutcome, DispatchStatus, DisputeStatus,
    InteractionStatus, InvoiceStatus, Lifecycle, PartyType, PaymentStatus, Priority, ServiceOrderStatus,
    ServiceOrderType,
};
use ontology::{EntityKind, Field, Vocabulary};

/// The words of a vocabulary in lower case, with their codes.
pub type Words = Vec<(String, u8)>;

/// A field that speaks a vocabulary: in which entity, or in every one.
struct Speaker {
    entity: Option<EntityKind>,
    field: Field,
    words: fn() -> Words,
}

const SPEAKERS: &[Speaker] = &[
    everywhere(Field::PartyType, of::<PartyType>),
    everywhere(Field::CreditStatus, of::<CreditStatus>),
    everywhere(Field::Lifecycle, of::<Lifecycle>),
    everywhere(Field::Channel, of::<Channel>),
    everywhere(Field::Direction, of::<Direction>),
    everywhere(Field::Priority, of::<Priority>),
    everywhere(Field::Outcome, of::<DispatchOutcome>),
    within(EntityKind::Case, Field::Status, of::<CaseStatus>),
    within(EntityKind::Invoice, Field::Status, of::<InvoiceStatus>),
    within(EntityKind::Payment, Field::Status, of::<PaymentStatus>),
    within(EntityKind::Dispute, Field::Status, of::<DisputeStatus>),
    within(EntityKind::CreditNote, Field::Status, of::<CreditNoteStatus>),
    within(EntityKind::Interaction, Field::Status, of::<InteractionStatus>),
    within(EntityKind::ServiceOrder, Field::Status, of::<ServiceOrderStatus>),
    within(EntityKind::ServiceOrder, Field::Type, of::<ServiceOrderType>),
    within(EntityKind::FieldDispatch, Field::Status, of::<DispatchStatus>),
];

const fn everywhere(field: Field, words: fn() -> Words) -> Speaker {
    Speaker { entity: None, field, words }
}

const fn within(entity: EntityKind, field: Field, words: fn() -> Words) -> Speaker {
    Speaker { entity: Some(entity), field, words }
}

fn of<V: Vocabulary>() -> Words {
    V::ALL.iter().map(|(word, name)| (name.to_lowercase(), word.code())).collect()
}

/// The words of `field` in `entity`; none where the field is no word of ours.
pub fn spoken(entity: EntityKind, field: Field) -> Option<Words> {
    let speaker = SPEAKERS.iter().find(|s| s.field == field && s.entity.is_none_or(|e| e == entity))?;
    Some((speaker.words)())
}
