//! An entity: the join of the source rows that make it up.

use ontology::codec::{Corrupt, Cursor, put_bytes, put_u64};
use ontology::{EntityKey, EntityKind, Evidence, Fact, Field, FieldReader, ValueRef, Vocabulary};
use smallvec::SmallVec;

use crate::history::{Change, History};
use crate::row::{Applied, Provenance, SourceRow};

/// Most bytes of a stored length.
const LENGTH_BYTES_MAX: usize = 10;

/// What a machine reads from memory at a time.
const LINE_BYTES: usize = 64;

/// One entity with its source rows, in the order of their keys. Without rows it is only a name
/// that something else refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its name.
    pub key: EntityKey,
    rows: SmallVec<[SourceRow; 1]>,
    /// Asked for by every rule of every evaluation, so both are read off the rows once.
    is_alive: bool,
    lists_related: bool,
}

impl Entity {
    /// A name without content.
    #[must_use]
    pub fn named(key: EntityKey) -> Self {
        Entity::of_rows(key, SmallVec::new())
    }

    fn of_rows(key: EntityKey, rows: SmallVec<[SourceRow; 1]>) -> Self {
        let carrier = rows.iter().find(|row| row.has(Field::Status)).or(rows.first());
        let is_alive = carrier.is_some_and(SourceRow::is_alive);
        let mut entity = Entity { key, rows, is_alive, lists_related: false };
        let lists_related = entity.get(Field::RelatedRefs).items().next().is_some();
        entity.lists_related = lists_related;
        entity
    }

    /// The entity after `fact`; none if the fact changes nothing.
    #[must_use]
    pub fn apply(&self, fact: &Fact) -> Option<Entity> {
        let place = self.rows.binary_search_by(|row| row.cmp_row_of(fact));
        match SourceRow::apply(place.ok().map(|place| &self.rows[place]), fact) {
            Applied::Unchanged => None,
            Applied::Changed(row) => {
                let (place, behind) = place.map_or_else(|place| (place, place), |place| (place, place + 1));
                let mut rows = SmallVec::new();
                rows.extend(self.rows[..place].iter().cloned());
                rows.push(row);
                rows.extend(self.rows[behind..].iter().cloned());
                Some(Entity::of_rows(self.key.clone(), rows))
            }
        }
    }

    /// The source rows.
    #[must_use]
    pub fn rows(&self) -> &[SourceRow] {
        &self.rows
    }

    /// Whether the entity exists: some row does, and none that would carry its status is deleted.
    /// With one row, which is the rule, it is that row's life.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.is_alive
    }

    /// Whether the entity lists records that it is about.
    #[must_use]
    pub fn lists_related(&self) -> bool {
        self.lists_related
    }

    /// Whether something is known to have changed that has not been read yet, with its delivery.
    #[must_use]
    pub fn open_gap(&self) -> Option<Provenance> {
        self.rows.iter().filter_map(SourceRow::open_gap).min_by_key(|gap| gap.event_time)
    }

    /// Whether two contents stood at the version that gave the field.
    #[must_use]
    pub fn has_conflict(&self, field: Field) -> bool {
        self.conflicts().any(|conflict| conflict == field)
    }

    /// The fields at whose winning version two contents stood, in field order per row.
    pub fn conflicts(&self) -> impl Iterator<Item = Field> {
        self.rows.iter().flat_map(SourceRow::conflicts)
    }

    /// Fields that some row set, with the row's conflict mark, in field order per row.
    pub fn cells(&self) -> impl Iterator<Item = (Field, ValueRef<'_>, bool)> {
        self.rows.iter().flat_map(SourceRow::fields)
    }

    /// Where the value of a field came from.
    #[must_use]
    pub fn provenance(&self, field: Field) -> Option<Provenance> {
        self.row_of(field)?.provenance(field)
    }

    /// The delivery with the highest position that the entity rests on.
    #[must_use]
    pub fn newest(&self) -> Option<Provenance> {
        self.rows.iter().flat_map(SourceRow::provenances).max_by_key(|provenance| provenance.log_pos)
    }

    /// History of one tracked field.
    #[must_use]
    pub fn history(&self, field: Field) -> History {
        let changes: Vec<Change> = self.rows.iter().flat_map(SourceRow::history).collect();
        History::of(&changes, field)
    }

    /// Evidence for the value that a field has, as people read it.
    #[must_use]
    pub fn evidence(&self, field: Field, value: &str) -> Option<Evidence> {
        let provenance = self.provenance(field)?;
        Some(Evidence {
            entity: self.key.clone(),
            field,
            value: value.into(),
            version: provenance.stamp.version,
            event_id: provenance.event_id,
            log_pos: provenance.log_pos,
        })
    }

    /// The row that gives a field: the first with a value, else the first that ever named it.
    fn row_of(&self, field: Field) -> Option<&SourceRow> {
        if let [only] = self.rows.as_slice() {
            return Some(only);
        }
        let with_value = self.rows.iter().find(|row| !row.get(field).is_empty() && row.is_alive());
        with_value.or_else(|| self.rows.iter().find(|row| row.has(field)))
    }

    /// Reads a byte of every line of memory that the rows lie in, for nothing. Whoever is about to look
    /// at several entities and touches all of them first waits for memory once, not once for each.
    #[must_use]
    pub fn touch(&self) -> usize {
        let lines = self.rows.iter().flat_map(|row| row.as_bytes().iter().step_by(LINE_BYTES));
        lines.fold(0, |all, byte| all ^ usize::from(*byte))
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let rows = self.rows.iter().map(|row| row.as_bytes().len() + LENGTH_BYTES_MAX).sum::<usize>();
        out.reserve(1 + self.key.id.len() + 2 * LENGTH_BYTES_MAX + rows);
        out.push(self.key.kind.code());
        put_bytes(out, self.key.id.as_bytes());
        put_u64(out, self.rows.len() as u64);
        for row in &self.rows {
            put_bytes(out, row.as_bytes());
        }
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut cursor = Cursor(bytes);
        let kind = EntityKind::from_code(cursor.byte()?).ok_or(Corrupt("an entity kind"))?;
        let key = EntityKey { kind, id: cursor.compact()? };
        let count = cursor.u64()?;
        let mut rows = SmallVec::new();
        for _ in 0..count {
            rows.push(SourceRow::from_bytes(cursor.bytes()?)?);
        }
        Ok(Entity::of_rows(key, rows))
    }
}

impl FieldReader for Entity {
    fn get(&self, field: Field) -> ValueRef<'_> {
        self.row_of(field).map_or(ValueRef::Null, |row| row.get(field))
    }
}
