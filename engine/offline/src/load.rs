//! Tables into the resolver.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use ontology::EntityKey;
use resolver::{Column, Layout, Model, Resolver, Scope, kind_of_source};

use crate::error::Error;
use crate::map::{ColumnMeaning, Linking};
use crate::progress::Progress;
use crate::records::{Entry, Records, Tables};

/// Most values that one cell is parted into; the rest say nothing more.
const PARTS_MAX: usize = 8;

/// Records between two reports of progress, and between two drains.
const BATCH: usize = 10_000;

/// Tables in the resolver. A record's place among the records is its slot.
#[derive(Debug)]
pub struct Loaded {
    /// The resolver, drained or not as the caller asked.
    pub resolver: Resolver,
    /// Who the records are.
    pub records: Records,
    /// What the columns' features are called.
    pub layout: Layout,
}

/// Whether to decide while reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deciding {
    /// Customers are wanted.
    Now,
    /// Only comparisons are wanted.
    Never,
}

/// Reads tables into a resolver with `model`.
///
/// # Errors
/// A file cannot be read on, the columns do not fit the resolver, or there are too few records.
pub fn load(
    tables: Tables,
    model: Model,
    deciding: Deciding,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Loaded, Error> {
    let rows = Rows::of(&tables)?;
    let mut resolver = rows.resolver(model);
    let records = tables.read(|entry| {
        resolver.upsert_row(&rows.row(&entry));
        let read = entry.place as usize + 1;
        if read.is_multiple_of(BATCH) {
            on_progress(Progress::Read(read));
            if deciding == Deciding::Now {
                resolver.drain();
            }
        }
    })?;
    on_progress(Progress::Read(records.len()));
    if records.len() < 2 {
        let why = format!("the inputs hold {} usable records, two are needed{}", records.len(), set_aside(&records));
        return Err(Error::TooLittle { attempted: "compare records", why });
    }
    if deciding == Deciding::Now {
        on_progress(Progress::Resolving);
        resolver.drain();
    }
    Ok(Loaded { resolver, records, layout: rows.layout })
}

/// What became of the rows that were set aside, by reason; nothing if there are none.
fn set_aside(records: &Records) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for bad in &records.bad {
        *reasons.entry(bad.reason).or_default() += 1;
    }
    let Some(first) = records.bad.first() else { return String::new() };
    let counts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let hint =
        if reasons.contains_key("utf8") { "; name their encoding in the map: encoding = \"windows-1252\"" } else { "" };
    format!("; set aside: {}, the first on line {} of {}{hint}", counts.join(", "), first.line, first.file)
}

/// How the rows of some tables become rows of the resolver.
#[derive(Debug)]
pub struct Rows {
    layout: Layout,
    scope: Scope,
    /// Where the values of each column begin among those of the layout, and how many there may be.
    places: Vec<(usize, usize)>,
    width: usize,
}

impl Rows {
    /// Lays out the columns of `tables`.
    ///
    /// # Errors
    /// There are more columns of a kind than the resolver tells apart.
    pub fn of(tables: &Tables) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut places = Vec::new();
        for (_, ColumnMeaning { kind, scheme, separator }) in tables.columns() {
            let parts = if separator.is_some() { PARTS_MAX } else { 1 };
            places.push((columns.len(), parts));
            columns.extend((0..parts).map(|_| Column { kind: *kind, scheme: CompactString::from(scheme.as_str()) }));
        }
        let layout = Layout::new(&columns)
            .map_err(|error| Error::TooLittle { attempted: "lay out columns", why: error.to_string() })?
            .with_country(tables.country());
        let scope = match tables.linking() {
            Linking::All => Scope::All,
            Linking::Across => Scope::Across,
        };
        Ok(Rows { layout, scope, places, width: columns.len() })
    }

    /// A resolver for these rows.
    #[must_use]
    pub fn resolver(&self, model: Model) -> Resolver {
        Resolver::with_scope(model, self.scope)
    }

    /// A record as the resolver takes it.
    #[must_use]
    pub fn row(&self, entry: &Entry<'_>) -> resolver::Row {
        let mut values = vec![""; self.width];
        for (column, value) in entry.values {
            let (first, parts) = self.places[*column];
            if let Some(free) = values[first..first + parts].iter_mut().find(|value| value.is_empty()) {
                *free = value;
            }
        }
        self.layout.row(entry.key(), entry.source, &values)
    }

    /// What the columns' features are called.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// The resolver's key of a record. Two sources may use one id; sources beyond the second share a
/// kind of key, so theirs begin with the source.
fn key_of(source: u8, id: &str) -> EntityKey {
    let kind = kind_of_source(source);
    match source {
        0 | 1 => EntityKey::new(kind, id),
        _ => EntityKey::new(kind, format_compact!("{source}/{id}")),
    }
}

impl Entry<'_> {
    /// The resolver's key of the record.
    #[must_use]
    pub fn key(&self) -> EntityKey {
        key_of(self.source, self.id)
    }
}

impl Records {
    /// The resolver's key of a record.
    #[must_use]
    pub fn key(&self, at: u32) -> EntityKey {
        key_of(self.source_of(at), self.id(at as usize))
    }
}
