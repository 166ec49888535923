//! Histories: how a tracked field went through its values, read in version order and never in
//! arrival order, so that a late fact takes its place between the others.

use ontology::canonical::value_digest;
use ontology::codec::Cursor;
use ontology::{EntityKind, Fact, Field, Millis, Op, Stamp, ValueRef, Vocabulary};
use smallvec::SmallVec;

use crate::row::Provenance;

/// Bytes that most changes take.
const CHANGE_BYTES_USUAL: usize = 64;

/// What a change did to the tracked field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracked {
    /// The field got this value, encoded as [`ValueRef`]; an image also brings a deleted row back.
    Value {
        /// The encoded value.
        value: Vec<u8>,
        /// Whether the row lives again by it.
        revives: bool,
    },
    /// The row lives again, and nothing is said of the field.
    Revived,
    /// The row was deleted.
    Deleted,
}

impl Tracked {
    /// Order of what happens at one version: a deletion has the last word, as it has for the row.
    fn rank(&self) -> u8 {
        match self {
            Tracked::Value { .. } => 0,
            Tracked::Revived => 1,
            Tracked::Deleted => 2,
        }
    }
}

/// One change of a tracked field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field.
    pub field: Field,
    /// What happened.
    pub tracked: Tracked,
    /// By which delivery.
    pub provenance: Provenance,
}

impl Change {
    /// The new value; none if nothing was said of it.
    #[must_use]
    pub fn value(&self) -> Option<ValueRef<'_>> {
        match &self.tracked {
            Tracked::Value { value, .. } => ValueRef::decode(&mut Cursor(value)).ok(),
            Tracked::Revived | Tracked::Deleted => None,
        }
    }

    /// Where the change stands in a history.
    pub(crate) fn place(&self) -> (Field, &Stamp, u8) {
        (self.field, &self.provenance.stamp, self.tracked.rank())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.field.code());
        match &self.tracked {
            Tracked::Deleted => out.push(0),
            Tracked::Revived => out.push(3),
            Tracked::Value { value, revives } => {
                out.push(if *revives { 2 } else { 1 });
                out.extend_from_slice(value);
            }
        }
        self.provenance.encode(out);
    }

    fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        let field = Field::from_code(cursor.byte().ok()?)?;
        let tracked = match cursor.byte().ok()? {
            0 => Tracked::Deleted,
            3 => Tracked::Revived,
            flag => {
                let mut value = Vec::new();
                ValueRef::decode(cursor).ok()?.encode(&mut value);
                Tracked::Value { value, revives: flag == 2 }
            }
        };
        Some(Change { field, tracked, provenance: Provenance::decode(cursor).ok()? })
    }
}

/// Fields of a kind whose values decide over time: a rule asks since when one stands.
fn tracked(kind: EntityKind) -> &'static [Field] {
    match kind {
        EntityKind::Case => &[Field::Status, Field::OwnerTeam, Field::Priority],
        EntityKind::CreditNote | EntityKind::Dispute => &[Field::Status, Field::Amount, Field::CaseRef],
        EntityKind::ServiceOrder | EntityKind::FieldDispatch => &[Field::Status, Field::CaseRef],
        EntityKind::Account => &[Field::Plan],
        EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Interaction
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::DesktopTelemetry
        | EntityKind::Transfer
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => &[],
    }
}

/// The tracked field under which the deletion of a row stands.
fn deletion_field(tracked: &[Field]) -> Option<Field> {
    [Field::Status, Field::Plan].into_iter().find(|field| tracked.contains(field))
}

/// Reads a stored history.
#[must_use]
pub(crate) fn read(bytes: &[u8]) -> Vec<Change> {
    let mut cursor = Cursor(bytes);
    std::iter::from_fn(|| Change::decode(&mut cursor)).collect()
}

/// The history with the changes of `fact` in their places by version; none if it stays as it is.
pub(crate) fn merge(bytes: &[u8], fact: &Fact, provenance: &Provenance) -> Option<Vec<u8>> {
    let new = changes_of(fact, provenance);
    if new.is_empty() {
        return None;
    }
    let mut new = new.into_iter().peekable();
    let mut out = Vec::with_capacity(bytes.len() + new.len() * CHANGE_BYTES_USUAL);
    let mut is_changed = false;
    let mut cursor = Cursor(bytes);
    loop {
        let rest = cursor.0;
        let Some(known) = Change::decode(&mut cursor) else { break };
        while let Some(change) = new.next_if(|change| change.place() < known.place()) {
            change.encode(&mut out);
            is_changed = true;
        }
        // Of two of a kind at one version the row's own rule chooses.
        match new.next_if(|change| change.place() == known.place()) {
            Some(change) => {
                let joined = join(&known, change);
                is_changed |= joined != known;
                joined.encode(&mut out);
            }
            None => out.extend_from_slice(&rest[..rest.len() - cursor.0.len()]),
        }
    }
    for change in new {
        change.encode(&mut out);
        is_changed = true;
    }
    is_changed.then_some(out)
}

/// What a fact changes, in the order of histories.
fn changes_of(fact: &Fact, provenance: &Provenance) -> SmallVec<[Change; 3]> {
    let tracked = tracked(fact.entity.kind);
    let change = |field, tracked| Change { field, tracked, provenance: provenance.clone() };
    let mut changes = SmallVec::new();
    let deletion = deletion_field(tracked);
    match fact.op {
        Op::Delete => changes.extend(deletion.map(|field| change(field, Tracked::Deleted))),
        Op::Patch | Op::Image | Op::Undelete => {
            let revives = fact.op != Op::Patch;
            let said = fact.fields.as_ref().encoded().filter(|(field, _)| tracked.contains(field));
            changes.extend(said.map(|(field, value)| change(field, Tracked::Value { value: value.into(), revives })));
            // An image says every field that its mapping knows; only an undelete may say none.
            let silent = deletion.filter(|_| fact.op == Op::Undelete);
            let silent = silent.filter(|silent| !changes.iter().any(|said: &Change| said.field == *silent));
            changes.extend(silent.map(|field| change(field, Tracked::Revived)));
            changes.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        Op::Gap | Op::Heartbeat => {}
    }
    changes
}

/// One change for two of a kind at one version: the value that the row's rule chooses, by the
/// delivery that stands for all that brought it.
fn join(standing: &Change, new: Change) -> Change {
    let chosen =
        |tracked, provenance: &Provenance| Change { tracked, provenance: provenance.clone(), ..standing.clone() };
    let first = if new.provenance.stands_before(&standing.provenance) { &new.provenance } else { &standing.provenance };
    match (&standing.tracked, new.tracked) {
        (Tracked::Value { value: old, revives: was }, Tracked::Value { value, revives: is }) => {
            let revives = *was || is;
            let digest = |bytes: &[u8]| ValueRef::decode(&mut Cursor(bytes)).map(value_digest).ok();
            if *old == value {
                chosen(Tracked::Value { value, revives }, first)
            } else if digest(&value) > digest(old) {
                chosen(Tracked::Value { value, revives }, &new.provenance)
            } else {
                chosen(Tracked::Value { value: old.clone(), revives }, &standing.provenance)
            }
        }
        (_, tracked) => chosen(tracked, first),
    }
}

/// A value of a tracked field over a stretch of event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub from: Millis,
    /// When it ended; none if it still stands.
    pub until: Option<Millis>,
    /// The encoded value; none while the row was deleted.
    pub value: Option<Vec<u8>>,
    /// The delivery that began it.
    pub provenance: Provenance,
}

impl Stretch {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Option<ValueRef<'_>> {
        self.value.as_deref().and_then(|bytes| ValueRef::decode(&mut Cursor(bytes)).ok())
    }
}

/// How one field went over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub Vec<Stretch>);

impl History {
    /// Joins changes of `field`, which are in version order, into stretches: equal neighbours are
    /// one stretch, and a later version never begins before an earlier one. A value that comes
    /// while the row is deleted is seen once the row lives again.
    #[must_use]
    pub fn of(changes: &[Change], field: Field) -> Self {
        let changes: Vec<&Change> = changes.iter().filter(|change| change.field == field).collect();
        let mut stretches: Vec<Stretch> = Vec::new();
        let (mut is_deleted, mut known) = (false, None);
        for step in changes.chunk_by(|a, b| a.provenance.stamp == b.provenance.stamp) {
            let mut began = &step[0].provenance;
            for change in step {
                match &change.tracked {
                    Tracked::Value { value, revives } => {
                        known = Some(value);
                        is_deleted &= !revives;
                    }
                    Tracked::Revived => is_deleted = false,
                    Tracked::Deleted => {
                        is_deleted = true;
                        began = &change.provenance;
                    }
                }
            }
            let value = if is_deleted { None } else { known.cloned() };
            let is_same = stretches.last().is_some_and(|last| last.value == value);
            if is_same || (value.is_none() && !is_deleted) {
                continue;
            }
            let begun = stretches.last().map_or(Millis::MIN, |last| last.from);
            let from = began.event_time.max(begun);
            if let Some(last) = stretches.last_mut() {
                last.until = Some(from);
            }
            stretches.push(Stretch { from, until: None, value, provenance: began.clone() });
        }
        History(stretches)
    }
}
