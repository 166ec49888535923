//! Entities as joins of their rows, and what hangs below what.

use std::collections::BTreeMap;

use ontology::canonical::Json;
use ontology::{EntityKey, EntityKind, Fact, Field, FieldReader, Op, SourceKey, ValueRef, Vocabulary};

use super::course::course_of;
use super::row::{Cell, Row};

/// One entity with all deliveries of its rows.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its name.
    pub key: EntityKey,
    /// Its rows, in the order of their keys; at least one.
    pub rows: Vec<Row<'a>>,
}

/// Every entity that some fact is about. Heartbeats are about no entity.
#[must_use]
pub fn records(facts: &[Fact]) -> BTreeMap<EntityKey, Record<'_>> {
    let mut sorted: BTreeMap<EntityKey, BTreeMap<SourceKey, Vec<&Fact>>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.op != Op::Heartbeat) {
        sorted.entry(fact.entity.clone()).or_default().entry(fact.source_key()).or_default().push(fact);
    }
    let mut records = BTreeMap::new();
    for (key, rows) in sorted {
        let rows = rows.into_iter().map(|(row, facts)| Row::of(row, facts)).collect();
        records.insert(key.clone(), Record { key, rows });
    }
    records
}

impl<'a> Record<'a> {
    /// Whether the entity exists: a row that carries its status does, or the first if none carries one.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let carriers: Vec<&Row<'a>> = self.rows.iter().filter(|row| row.cell(Field::Status).is_some()).collect();
        if carriers.is_empty() { self.rows[0].is_alive() } else { carriers.into_iter().any(Row::is_alive) }
    }

    /// The change that is known and not applied: of several rows' the one that happened first.
    #[must_use]
    pub fn open_gap(&self) -> Option<&'a Fact> {
        self.rows.iter().filter_map(Row::open_gap).min_by_key(|gap| gap.event_time())
    }

    /// The cell that a field is read from: the newest of living rows with a value, of the system of the
    /// first, else that of the first row that ever named the field.
    #[must_use]
    pub fn cell(&self, field: Field) -> Option<Cell<'a>> {
        let has_value = |row: &&Row<'a>| row.cell(field).is_some_and(|cell| !cell.value.is_empty());
        if let [only] = self.rows.as_slice() {
            return only.cell(field);
        }
        let telling = || self.rows.iter().filter(|row| row.is_alive() && has_value(row));
        let Some(first) = telling().next() else {
            return self.rows.iter().find_map(|row| row.cell(field));
        };
        let of_one_system = telling().filter(|row| row.key.system == first.key.system);
        let cells: Vec<Cell<'a>> = of_one_system.filter_map(|row| row.cell(field)).collect();
        let newest = cells.iter().map(|cell| cell.from.stamp()).max();
        cells.into_iter().find(|cell| Some(cell.from.stamp()) == newest)
    }

    /// What is outstanding if several living rows say: those of the first one's table together.
    fn instalments(&self) -> Option<ValueRef<'a>> {
        let amount = |row: &Row<'a>| row.cell(Field::Outstanding)?.value.decimal();
        let telling: Vec<&Row<'a>> = self.rows.iter().filter(|row| row.is_alive() && amount(row).is_some()).collect();
        let table = |row: &Row<'a>| (row.key.system, row.key.object.clone());
        if telling.len() < 2 {
            return None;
        }
        let of_one_table = || telling.iter().filter(|row| table(row) == table(telling[0]));
        let amounts = || of_one_table().filter_map(|row| amount(row));
        let scale = amounts().map(|(_, scale)| scale).max()?;
        let mantissa = amounts().map(|(mantissa, of)| mantissa * 10_i64.pow(u32::from(scale - of))).sum();
        Some(ValueRef::Decimal { mantissa, scale })
    }

    /// Whether two contents stood at the version that gave the field, in any row.
    #[must_use]
    pub fn has_conflict(&self, field: Field) -> bool {
        self.rows.iter().filter_map(|row| row.cell(field)).any(|cell| cell.is_conflict)
    }

    /// Canonical JSON: value and version of every field, life, gap, and how the status went.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let named = self.rows.iter().flat_map(Row::cells).map(|cell| cell.field);
        let fields = named.filter_map(|field| self.cell(field)).map(|cell| {
            let json = Json::object([
                ("value", Json::value(self.get(cell.field))),
                ("version", Json::text(cell.from.version.to_string())),
                ("conflict", Json::Bool(self.has_conflict(cell.field))),
            ]);
            (cell.field.name(), json)
        });
        let status = self.rows.iter().flat_map(|row| course_of(row, self.key.kind, Field::Status));
        let status = status.map(|stretch| {
            Json::object([
                ("from_ms", Json::Int(stretch.from.0)),
                ("value", stretch.value.map_or(Json::Null, Json::value)),
            ])
        });
        Json::object([
            ("alive", Json::Bool(self.is_alive())),
            ("gap", Json::maybe_text(self.open_gap().map(|gap| &gap.event_id))),
            ("fields", Json::object(fields)),
            ("status_history", Json::array(status)),
        ])
    }
}

impl FieldReader for Record<'_> {
    fn get(&self, field: Field) -> ValueRef<'_> {
        let sum = if field == Field::Outstanding { self.instalments() } else { None };
        sum.unwrap_or_else(|| self.cell(field).map_or(ValueRef::Null, |cell| cell.value))
    }
}

/// The party record that an entity hangs below: itself if it is one, else where the first of its
/// parents leads that leads to one.
#[must_use]
pub fn root_of(records: &BTreeMap<EntityKey, Record<'_>>, key: &EntityKey) -> Option<EntityKey> {
    if key.kind.is_party() {
        return Some(key.clone());
    }
    let record = records.get(key)?;
    parents(key.kind).iter().find_map(|(field, kind)| {
        let parent = EntityKey::new(*kind, record.text(*field)?);
        root_of(records, &parent)
    })
}

/// The fields that name parents, most telling first, and the kind of parent that each names.
fn parents(kind: EntityKind) -> &'static [(Field, EntityKind)] {
    use EntityKind as K;
    const REGISTER: (Field, EntityKind) = (Field::CustomerXref, K::Account);
    match kind {
        K::Case => &[(Field::AccountRef, K::Account), REGISTER],
        K::Invoice => &[(Field::ArCustomerRef, K::ArCustomer), REGISTER],
        K::InvoiceLine => &[(Field::InvoiceRef, K::Invoice), REGISTER],
        K::Payment => &[(Field::InvoiceRef, K::Invoice), (Field::ArCustomerRef, K::ArCustomer), REGISTER],
        K::Dispute => &[(Field::InvoiceRef, K::Invoice), (Field::CaseRef, K::Case), REGISTER],
        K::CreditNote => {
            &[(Field::InvoiceRef, K::Invoice), (Field::DisputeRef, K::Dispute), (Field::CaseRef, K::Case), REGISTER]
        }
        K::Interaction => &[(Field::CaseRef, K::Case), (Field::CallerRef, K::CallerProfile), REGISTER],
        K::ServiceOrder => &[(Field::AccountRef, K::BusinessPartner), REGISTER],
        K::FieldDispatch => &[(Field::ServiceOrderRef, K::ServiceOrder), REGISTER],
        K::DesktopTelemetry | K::Transfer => &[(Field::CaseRef, K::Case)],
        K::Account
        | K::ArCustomer
        | K::BusinessPartner
        | K::CallerProfile
        | K::KnowledgeArticle
        | K::DirectoryEntry
        | K::ExchangeRate
        | K::Judgement
        | K::DiscrepancyDecision
        | K::AlertDecision
        | K::Watermark
        | K::CommandOutcome
        | K::Configuration => &[],
    }
}
