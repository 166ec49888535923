//! Findings: what is wrong with the data, as opposed to with the customer.

use compact_str::CompactString;

use crate::field::Field;
use crate::key::EntityKey;
use crate::vocabulary::Vocabulary;

/// What kind of defect it is (spec 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A required field is empty.
    MissingField,
    /// An optional field had a wrong type or was out of range.
    BadField,
    /// A word that the mapping does not know.
    UnmappedValue,
    /// Two contents at one version.
    VersionConflict,
    /// The source's clock is too far ahead.
    ClockSkew,
    /// A reference to a record that has not arrived for a day.
    OrphanRef,
    /// Values that cannot both be right, such as an end before its start.
    Implausible,
    /// Two records of one system stand for one customer.
    DuplicateRecord,
    /// Systems disagree on a value.
    ConflictingValues,
    /// A value shared by too many records to identify anybody.
    GenericValue,
    /// No exchange rate for a day.
    FxRateMissing,
    /// Open work without exactly one owner.
    OwnershipGap,
    /// Open and untouched for long.
    StaleRecord,
}

impl Vocabulary for FindingKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (FindingKind::MissingField, "missing_field"),
        (FindingKind::BadField, "bad_field"),
        (FindingKind::UnmappedValue, "unmapped_value"),
        (FindingKind::VersionConflict, "version_conflict"),
        (FindingKind::ClockSkew, "clock_skew"),
        (FindingKind::OrphanRef, "orphan_ref"),
        (FindingKind::Implausible, "implausible"),
        (FindingKind::DuplicateRecord, "duplicate_record"),
        (FindingKind::ConflictingValues, "conflicting_values"),
        (FindingKind::GenericValue, "generic_value"),
        (FindingKind::FxRateMissing, "fx_rate_missing"),
        (FindingKind::OwnershipGap, "ownership_gap"),
        (FindingKind::StaleRecord, "stale_record"),
    ];
}

/// How much a finding forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingSeverity {
    /// Worth knowing.
    Info,
    /// Worth mending.
    Warn,
    /// Forbids automatic links, verdicts and commands that rest on the field.
    Block,
}

impl Vocabulary for FindingSeverity {
    const ALL: &'static [(Self, &'static str)] =
        &[(FindingSeverity::Info, "info"), (FindingSeverity::Warn, "warn"), (FindingSeverity::Block, "block")];
}

/// One finding on one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// With which record.
    pub entity: EntityKey,
    /// With which field, if one.
    pub field: Option<Field>,
    /// The value concerned, as the source gave it; empty if there is none.
    pub value: CompactString,
    /// How much it forbids.
    pub severity: FindingSeverity,
}
