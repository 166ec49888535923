//! An entity: the join of the source rows that make it up.

use ontology::codec::{Corrupt, Cursor, put_bytes, put_u64};
use ontology::{EntityKey, EntityKind, Evidence, Fact, Field, FieldReader, Stamp, ValueRef, Vocabulary};
use smallvec::SmallVec;

use crate::history::{Change, History, Tracked};
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
    /// What is outstanding as mantissa and scale, if several rows tell.
    outstanding: Option<Box<(i64, u8)>>,
}

impl Entity {
    /// A name without content.
    #[must_use]
    pub fn named(key: EntityKey) -> Self {
        Entity::of_rows(key, SmallVec::new())
    }

    fn of_rows(key: EntityKey, rows: SmallVec<[SourceRow; 1]>) -> Self {
        let mut carriers = rows.iter().filter(|row| row.has(Field::Status)).peekable();
        let has_carrier = carriers.peek().is_some();
        let is_alive =
            if has_carrier { carriers.any(SourceRow::is_alive) } else { rows.first().is_some_and(SourceRow::is_alive) };
        let outstanding = if rows.len() > 1 { outstanding_of(&rows).map(Box::new) } else { None };
        let mut entity = Entity { key, rows, is_alive, lists_related: false, outstanding };
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

    /// Whether the entity exists: a row that carries its status does, or its first row if none carries
    /// one. With one row, which is the rule, it is that row's life.
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

    /// History of one tracked field. Of several rows of the system that gives it, the changes of all
    /// are in the order of their versions; of a row that is gone those before another took over.
    #[must_use]
    pub fn history(&self, field: Field) -> History {
        if let [only] = self.rows.as_slice() {
            return History::of(&only.history(), field);
        }
        let Some(system) = self.row_of(field).map(SourceRow::system) else { return History::default() };
        let told = |is_alive: bool| {
            let rows = self.rows.iter().filter(move |row| row.system() == system && row.is_alive() == is_alive);
            rows.flat_map(SourceRow::history).filter(move |change| change.field == field)
        };
        let mut changes: Vec<Change> = told(true).collect();
        let taken_over = changes.iter().map(|change| change.provenance.stamp.clone()).min();
        let is_before = |change: &Change| {
            let goes_on = |stamp: &Stamp| change.provenance.stamp < *stamp && change.tracked != Tracked::Deleted;
            taken_over.as_ref().is_none_or(goes_on)
        };
        changes.extend(told(false).filter(is_before));
        changes.sort_by(|a, b| a.place().cmp(&b.place()));
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

    /// The row that gives a field: of living rows with a value the newest that is of the same system as
    /// the first, else the first row that ever named it. Versions of different systems tell nothing.
    fn row_of(&self, field: Field) -> Option<&SourceRow> {
        if let [only] = self.rows.as_slice() {
            return Some(only);
        }
        let mut telling = self.rows.iter().filter(|row| !row.get(field).is_empty() && row.is_alive());
        let Some(first) = telling.next() else { return self.rows.iter().find(|row| row.has(field)) };
        let stamp = |row: &SourceRow| row.provenance(field).map(|provenance| provenance.stamp);
        let others = telling.filter(|row| row.system() == first.system());
        Some(others.fold(first, |newest, row| if stamp(row) > stamp(newest) { row } else { newest }))
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
        match &self.outstanding {
            Some(sum) if field == Field::Outstanding => ValueRef::Decimal { mantissa: sum.0, scale: sum.1 },
            Some(_) | None => self.row_of(field).map_or(ValueRef::Null, |row| row.get(field)),
        }
    }
}

/// What is outstanding where several living rows tell an amount: those of the first one's table
/// together, as a header tells the whole and instalments tell parts. None where fewer than two tell, or
/// the sum is beyond what an amount can be.
fn outstanding_of(rows: &[SourceRow]) -> Option<(i64, u8)> {
    let told = rows.iter().filter_map(|row| Some((row, row.get(Field::Outstanding).decimal()?)));
    let mut living = told.filter(|(row, _)| row.is_alive()).peekable();
    let (first, mut sum) = living.next()?;
    living.peek()?;
    for (_, amount) in living.filter(|(row, _)| row.is_of_one_table(first)) {
        sum = add(sum, amount)?;
    }
    Some(sum)
}

/// The sum of two decimals at the finer scale.
fn add(one: (i64, u8), other: (i64, u8)) -> Option<(i64, u8)> {
    let scale = one.1.max(other.1);
    let scaled = |(mantissa, of): (i64, u8)| mantissa.checked_mul(10_i64.checked_pow(u32::from(scale - of))?);
    Some((scaled(one)?.checked_add(scaled(other)?)?, scale))
}

#[cfg(test)]
mod tests;
