//! Values of records as people read them, for evidence, timelines and lines of a package.

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use ontology::status::{
    CaseStatus, Channel, CreditNoteStatus, CreditStatus, Direction, DispatchOutcome, DispatchStatus, DisputeStatus,
    InteractionStatus, InvoiceStatus, Lifecycle, PartyType, PaymentStatus, Priority, ServiceOrderStatus,
    ServiceOrderType,
};
use ontology::{EntityKind, Evidence, Field, FieldReader, Millis, ValueRef, Vocabulary};
use state::Entity;

/// Reads a word's code back to its name.
type WordReader = fn(u8) -> Option<&'static str>;

fn name_of<V: Vocabulary>(code: u8) -> Option<&'static str> {
    V::from_code(code).map(V::name)
}

/// Which vocabulary a field has, where that depends on the kind.
const STATUSES: &[(EntityKind, WordReader)] = &[
    (EntityKind::Case, name_of::<CaseStatus>),
    (EntityKind::Invoice, name_of::<InvoiceStatus>),
    (EntityKind::Payment, name_of::<PaymentStatus>),
    (EntityKind::Dispute, name_of::<DisputeStatus>),
    (EntityKind::CreditNote, name_of::<CreditNoteStatus>),
    (EntityKind::Interaction, name_of::<InteractionStatus>),
    (EntityKind::ServiceOrder, name_of::<ServiceOrderStatus>),
    (EntityKind::FieldDispatch, name_of::<DispatchStatus>),
];

/// Vocabularies of the other fields.
const WORDS: &[(Field, WordReader)] = &[
    (Field::Type, name_of::<ServiceOrderType>),
    (Field::Priority, name_of::<Priority>),
    (Field::Channel, name_of::<Channel>),
    (Field::Direction, name_of::<Direction>),
    (Field::Outcome, name_of::<DispatchOutcome>),
    (Field::CreditStatus, name_of::<CreditStatus>),
    (Field::Lifecycle, name_of::<Lifecycle>),
    (Field::PartyType, name_of::<PartyType>),
];

/// The value of a field of a record of `kind`, as people read it; none if there is none.
#[must_use]
pub fn text_of(kind: EntityKind, field: Field, value: ValueRef<'_>) -> Option<CompactString> {
    match value {
        ValueRef::Text(text) | ValueRef::Unknown(text) => (!text.is_empty()).then(|| text.into()),
        ValueRef::Int(int) => Some(format_compact!("{int}")),
        ValueRef::Bool(b) => Some(CompactString::const_new(if b { "yes" } else { "no" })),
        ValueRef::Time(at) => Some(instant(at)),
        ValueRef::Decimal { mantissa, scale } => Some(decimal(mantissa, scale)),
        ValueRef::Code(code) => word(kind, field, code).map(CompactString::const_new),
        ValueRef::List(_) => Some(format_compact!("{} items", value.items().count())),
        ValueRef::Null | ValueRef::Bad(_) => None,
    }
}

fn word(kind: EntityKind, field: Field, code: u8) -> Option<&'static str> {
    let reader = if field == Field::Status {
        STATUSES.iter().find(|(of, _)| *of == kind).map(|(_, reader)| reader)
    } else {
        WORDS.iter().find(|(of, _)| *of == field).map(|(_, reader)| reader)
    };
    reader.and_then(|reader| reader(code))
}

/// An instant as RFC 3339 writes it, in UTC; milliseconds if no calendar reaches it.
#[must_use]
pub fn instant(at: Millis) -> CompactString {
    match Timestamp::from_millisecond(at.0) {
        Ok(timestamp) => format_compact!("{timestamp}"),
        Err(_) => format_compact!("{} ms", at.0),
    }
}

/// A decimal with all its places: 34200 at scale 2 is `342.00`.
#[must_use]
pub fn decimal(mantissa: i64, scale: u8) -> CompactString {
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, rest) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if mantissa < 0 { "-" } else { "" };
    if rest.is_empty() { format_compact!("{sign}{whole}") } else { format_compact!("{sign}{whole}.{rest}") }
}

/// Evidence for those of `fields` that have a value, in the order given.
#[must_use]
pub fn evidence_of(entity: &Entity, fields: &[Field]) -> Vec<Evidence> {
    fields
        .iter()
        .filter_map(|field| entity.evidence(*field, &text_of(entity.key.kind, *field, entity.get(*field))?))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        let text = |field, value| text_of(EntityKind::ServiceOrder, field, value);
        assert_eq!(text(Field::Status, ValueRef::Code(3)).unwrap(), "Completed");
        assert_eq!(text(Field::Type, ValueRef::Code(1)).unwrap(), "PlanUpgrade");
        assert_eq!(text(Field::Status, ValueRef::Code(99)), None);
        assert_eq!(text(Field::Status, ValueRef::Unknown("Geparkt")).unwrap(), "Geparkt");
        assert_eq!(text(Field::Amount, ValueRef::Bad("12,5x")), None);
        assert_eq!(text(Field::ScheduledAt, ValueRef::Time(Millis(0))).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(text_of(EntityKind::Account, Field::Status, ValueRef::Code(0)), None);
        assert_eq!(instant(Millis::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn decimals_keep_their_places() {
        for (mantissa, scale, expected) in [
            (34_200, 2, "342.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (7, 0, "7"),
            (0, 1, "0.0"),
            (i64::MIN, 0, "-9223372036854775808"),
        ] {
            assert_eq!(decimal(mantissa, scale), expected);
        }
    }
}
