//! Histories: how a tracked field went through its values, read in version order and never in
//! arrival order, so that a late fact takes its place between the others.

use ontology::canonical::value_digest;
use ontology::codec::Cursor;
use ontology::{EntityKind, Fact, Field, Millis, Op, Stamp, ValueRef, Vocabulary};

use crate::row::Provenance;

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
    fn place(&self) -> (Field, &Stamp, u8) {
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

/// Kinds whose status decides over time: a rule asks since when it stands.
fn is_tracked(kind: EntityKind, field: Field) -> bool {
    match kind {
        EntityKind::Case => matches!(field, Field::Status | Field::OwnerTeam | Field::Priority),
        EntityKind::CreditNote | EntityKind::Dispute | EntityKind::ServiceOrder | EntityKind::FieldDispatch => {
            field == Field::Status
        }
        EntityKind::Account => field == Field::Plan,
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
        | EntityKind::Configuration => false,
    }
}

/// The field under which the deletion of a row stands in the history of its kind.
fn deletion_field(kind: EntityKind) -> Option<Field> {
    [Field::Status, Field::Plan].into_iter().find(|field| is_tracked(kind, *field))
}

/// Reads a stored history.
#[must_use]
pub(crate) fn read(bytes: &[u8]) -> Vec<Change> {
    let mut cursor = Cursor(bytes);
    std::iter::from_fn(|| Change::decode(&mut cursor)).collect()
}

/// The history with the changes of `fact` in their places; none if it stays as it is.
pub(crate) fn merge(bytes: &[u8], fact: &Fact, provenance: &Provenance) -> Option<Vec<u8>> {
    let new = changes_of(fact, provenance);
    if new.is_empty() {
        return None;
    }
    if bytes.is_empty() {
        return Some(write(&new));
    }
    let mut all = read(bytes);
    let mut is_changed = false;
    for change in new {
        is_changed |= insert(&mut all, change);
    }
    is_changed.then(|| write(&all))
}

fn write(changes: &[Change]) -> Vec<u8> {
    let mut out = Vec::with_capacity(changes.len() * 64);
    for change in changes {
        change.encode(&mut out);
    }
    out
}

fn changes_of(fact: &Fact, provenance: &Provenance) -> Vec<Change> {
    let kind = fact.entity.kind;
    let change = |field, tracked| Change { field, tracked, provenance: provenance.clone() };
    match fact.op {
        Op::Delete => deletion_field(kind).map(|field| change(field, Tracked::Deleted)).into_iter().collect(),
        Op::Patch | Op::Image | Op::Undelete => {
            let revives = fact.op != Op::Patch;
            let is_said = |field: &Field| fact.fields.iter().any(|(said, _)| said == *field);
            // An image says every field that its mapping knows; only an undelete may say none.
            let silent = deletion_field(kind).filter(|field| fact.op == Op::Undelete && !is_said(field));
            let said = fact.fields.iter().filter(|(field, _)| is_tracked(kind, *field)).map(|(field, value)| {
                let mut encoded = Vec::new();
                value.encode(&mut encoded);
                change(field, Tracked::Value { value: encoded, revives })
            });
            said.chain(silent.map(|field| change(field, Tracked::Revived))).collect()
        }
        Op::Gap | Op::Heartbeat => Vec::new(),
    }
}

/// Puts a change in its place by version. Of two of a kind at one version the row's own rule
/// chooses.
fn insert(all: &mut Vec<Change>, new: Change) -> bool {
    match all.binary_search_by(|known| known.place().cmp(&new.place())) {
        Err(place) => {
            all.insert(place, new);
            true
        }
        Ok(place) => {
            let joined = join(&all[place], new);
            let is_changed = all[place] != joined;
            all[place] = joined;
            is_changed
        }
    }
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
