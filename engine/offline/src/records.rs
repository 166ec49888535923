//! Rows of several tables as records: named, of a source, with their values by column.

use std::path::{Path, PathBuf};

use hashbrown::{HashMap, HashSet};

use crate::error::Error;
use crate::map::{ColumnMeaning, Linking, Map, nearest};
use crate::table::{BadRow, Row, Table};

/// One row, as the map reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Place of its source in [`Records::sources`].
    pub source: u16,
    /// Id within its source.
    pub id: String,
    /// Column (place in [`Records::columns`]) and value; no value is empty.
    pub values: Vec<(u16, String)>,
}

/// The rows of all inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Names of the sources, in order of appearance.
    pub sources: Vec<String>,
    /// The columns that identify, by name, with their meaning.
    pub columns: Vec<(String, ColumnMeaning)>,
    /// The records, in order of appearance.
    pub records: Vec<Record>,
    /// Which pairs may be one party.
    pub linking: Linking,
    /// Country of values that name none.
    pub country: String,
    /// Columns of which no map says anything.
    pub unknown: Vec<String>,
    /// Rows that were set aside.
    pub bad: Vec<BadRow>,
    /// Whether two sources use the same id, so that ids alone do not tell records apart.
    pub(crate) has_shared_ids: bool,
    /// Values of the column that the caller asked for beside those of the map, by record.
    pub asked: Vec<String>,
}

/// Which tables to read, and how.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The tables.
    pub files: Vec<PathBuf>,
    /// One map for all of them, or one for each.
    pub maps: Vec<PathBuf>,
}

impl Inputs {
    /// Reads all tables. `on_row` is told how many rows have been read so far.
    ///
    /// # Errors
    /// A file cannot be read, or a map does not fit its tables.
    pub fn read(&self, on_row: &mut dyn FnMut(u64)) -> Result<Records, Error> {
        self.read_with(None, on_row)
    }

    /// Reads all tables, and the values of one more column such as that of the truth.
    ///
    /// # Errors
    /// As [`Inputs::read`]; or no table has the column.
    pub fn read_with(&self, asked: Option<&str>, on_row: &mut dyn FnMut(u64)) -> Result<Records, Error> {
        let maps: Vec<Map> = self.maps.iter().map(|path| Map::read(path)).collect::<Result<_, _>>()?;
        let first = maps.first().ok_or_else(|| no_map("no map is given: name one with --map"))?;
        if maps.len() > 1 && maps.len() != self.files.len() {
            return Err(no_map("give one map for all inputs, or one for each input in their order"));
        }
        let mut reading = Reading { records: Records::of(first), asked, ..Reading::default() };
        let mut tables = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            tables.push((Table::open(file)?, maps.get(at).unwrap_or(first)));
        }
        self.check_columns(&tables, asked)?;
        for (table, map) in tables {
            reading.take(table, map, on_row)?;
        }
        Ok(reading.finish())
    }

    /// Every column that a map names must stand in some table that it is the map of.
    fn check_columns(&self, tables: &[(Table, &Map)], asked: Option<&str>) -> Result<(), Error> {
        let has = |map: &Map, name: &str| {
            tables.iter().any(|(table, of)| *of == map && table.header().iter().any(|column| column == name))
        };
        let headers = || tables.iter().flat_map(|(table, _)| table.header().iter().map(String::as_str));
        for (at, path) in self.maps.iter().enumerate() {
            let Some(map) = tables.get(at).map(|(_, map)| *map) else { continue };
            let named = map.columns.keys().chain(&map.ignored).chain(&map.id).chain(&map.source);
            if let Some(name) = named.into_iter().find(|name| !has(map, name)) {
                return Err(Error::Map { path: path.clone(), why: absent(name, headers()) });
            }
        }
        match asked {
            Some(name) if !headers().any(|column| column == name) => {
                Err(Error::TooLittle { attempted: "read the truth", why: absent(name, headers()) })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn no_map(why: &str) -> Error {
    Error::TooLittle { attempted: "read the tables", why: why.to_owned() }
}

fn absent<'a>(name: &str, headers: impl Iterator<Item = &'a str> + Clone) -> String {
    let meant = nearest(name, headers.clone()).map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
    let there: Vec<&str> = headers.collect();
    format!("no input has a column {name:?}{meant} There are {}", there.join(", "))
}

impl Records {
    fn of(map: &Map) -> Self {
        Records { linking: map.linking, country: map.country.clone(), ..Records::default() }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How a record is named in outputs: its id, behind its source where ids alone do not tell.
    #[must_use]
    pub fn name(&self, at: usize) -> String {
        let record = &self.records[at];
        if self.has_shared_ids {
            format!("{}/{}", self.sources[usize::from(record.source)], record.id)
        } else {
            record.id.clone()
        }
    }

    /// The records by name.
    #[must_use]
    pub fn by_name(&self) -> HashMap<String, u32> {
        (0..self.len()).map(|at| (self.name(at), u32::try_from(at).expect("fewer than 2^32 records"))).collect()
    }
}

/// Reading in progress.
#[derive(Debug, Default)]
struct Reading<'a> {
    records: Records,
    asked: Option<&'a str>,
    /// First record of each id, by source.
    seen: HashMap<(u16, String), u32>,
    read: u64,
}

/// What the columns of one table are.
struct Layout {
    id: Option<usize>,
    source: Option<usize>,
    asked: Option<usize>,
    /// Place in the header, place in [`Records::columns`], separator within a value.
    values: Vec<(usize, u16, Option<String>)>,
}

impl Reading<'_> {
    fn take(&mut self, mut table: Table, map: &Map, on_row: &mut dyn FnMut(u64)) -> Result<(), Error> {
        const TOLD_EVERY: u64 = 1_000;
        let layout = self.layout(&table, map);
        let whole = table.stem();
        while let Some((line, row)) = table.next_row()? {
            self.read += 1;
            if self.read.is_multiple_of(TOLD_EVERY) {
                on_row(self.read);
            }
            match row {
                Row::Bad(bad) => self.records.bad.push(bad),
                Row::Cells(cells) => self.row(&table, line, &cells, &layout, &whole),
            }
        }
        on_row(self.read);
        Ok(())
    }

    fn layout(&mut self, table: &Table, map: &Map) -> Layout {
        let at = |name: &Option<String>| name.as_ref().and_then(|name| place(table, name));
        let mut values = Vec::new();
        for (place, name) in table.header().iter().enumerate() {
            if let Some(meaning) = map.columns.get(name) {
                values.push((place, self.column(name, meaning), meaning.separator.clone()));
            }
            let is_named = map.columns.contains_key(name)
                || map.ignored.contains(name)
                || [&map.id, &map.source].contains(&&Some(name.clone()))
                || self.asked == Some(name);
            if !is_named && !self.records.unknown.contains(name) {
                self.records.unknown.push(name.clone());
            }
        }
        Layout {
            id: at(&map.id),
            source: at(&map.source),
            asked: self.asked.and_then(|name| place(table, name)),
            values,
        }
    }

    /// The place of a column among those of all tables. Two tables may give one name two meanings.
    fn column(&mut self, name: &str, meaning: &ColumnMeaning) -> u16 {
        let columns = &mut self.records.columns;
        let known = columns.iter().position(|(known, of)| known == name && of == meaning);
        let place = known.unwrap_or_else(|| {
            columns.push((name.to_owned(), meaning.clone()));
            columns.len() - 1
        });
        u16::try_from(place).expect("a row of a megabyte has fewer than 65,536 columns")
    }

    fn source(&mut self, name: &str) -> u16 {
        let sources = &mut self.records.sources;
        let place = sources.iter().position(|source| source == name).unwrap_or_else(|| {
            sources.push(name.to_owned());
            sources.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    fn row(&mut self, table: &Table, line: u64, cells: &[String], layout: &Layout, whole: &str) {
        let cell = |at: Option<usize>| at.map(|at| cells[at].trim());
        let raw = || cells.join(",");
        let id = match cell(layout.id) {
            Some("") => return self.records.bad.push(table.bad(line, "no_id", raw())),
            Some(id) => id.to_owned(),
            None => format!("{}:{line}", table.file()),
        };
        let named = cell(layout.source).filter(|name| !name.is_empty());
        if self.records.sources.len() >= SOURCES_MAX && !self.records.sources.iter().any(|s| Some(s.as_str()) == named)
        {
            return self.records.bad.push(table.bad(line, "too_many_sources", raw()));
        }
        let source = self.source(named.unwrap_or(whole));
        let place = u32::try_from(self.records.len()).expect("fewer than 2^32 records");
        if self.seen.insert((source, id.clone()), place).is_some_and(|first| first != place) {
            return self.records.bad.push(table.bad(line, "duplicate_id", raw()));
        }
        let mut values = Vec::with_capacity(layout.values.len());
        for (at, column, separator) in &layout.values {
            let parts = match separator {
                Some(separator) => cells[*at].split(separator.as_str()).collect(),
                None => vec![cells[*at].as_str()],
            };
            let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
            values.extend(parts.map(|part| (*column, part.to_owned())));
        }
        if self.asked.is_some() {
            self.records.asked.push(cell(layout.asked).unwrap_or_default().to_owned());
        }
        self.records.records.push(Record { source, id, values });
    }

    fn finish(mut self) -> Records {
        self.records.has_shared_ids = has_repeats(self.records.records.iter().map(|record| record.id.as_str()));
        self.records
    }
}

fn has_repeats<'a>(mut ids: impl Iterator<Item = &'a str>) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    ids.any(|id| !seen.insert(id))
}

/// Largest number of sources: a source per row would be an id in the wrong place.
const SOURCES_MAX: usize = 250;

fn place(table: &Table, name: &str) -> Option<usize> {
    table.header().iter().position(|column| column == name)
}

/// The first two columns of a table: their names, and the cells of every row.
pub(crate) type TwoColumns = ([String; 2], Vec<(String, String)>);

/// The file at `path` read as a table of two columns: the first two of its header.
///
/// # Errors
/// The file cannot be read, or has fewer than two columns.
pub(crate) fn two_columns(path: &Path) -> Result<TwoColumns, Error> {
    let mut table = Table::open(path)?;
    let [first, second, ..] = table.header() else {
        return Err(Error::table(path, "expected at least two columns"));
    };
    let header = [first.clone(), second.clone()];
    let mut rows = Vec::new();
    while let Some((line, row)) = table.next_row()? {
        match row {
            Row::Cells(cells) => rows.push((cells[0].trim().to_owned(), cells[1].trim().to_owned())),
            Row::Bad(bad) => return Err(Error::table(path, format!("line {line}: {}", bad.reason))),
        }
    }
    Ok((header, rows))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    const MAP: &str = "id = \"id\"\n[columns]\nname = \"full_name\"\nnotes = \"ignore\"\n";

    fn read(map: &str, tables: &[(&str, &str)]) -> Result<Records, Error> {
        let folder = TempDir::new().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = tables.iter().map(|(name, text)| put(name, text)).collect();
        Inputs { files, maps: vec![put("map.toml", map)] }.read(&mut |_| ())
    }

    #[test]
    fn each_file_is_a_source_unless_a_column_says_otherwise() {
        let tables = [("a.csv", "id,name,notes,extra\n1,Ann,x,y\n2, ,x,y\n"), ("b.csv.gz", "id,name\n1,Bob\n")];
        let records = read(MAP, &tables).unwrap();
        assert_eq!(records.sources, ["a", "b"]);
        assert_eq!(records.unknown, ["extra"]);
        assert_eq!(records.records[0].values, [(0, "Ann".to_owned())]);
        assert_eq!(records.records[1].values, []);
        assert_eq!(records.name(2), "b/1");
        let with_source = format!("source = \"s\"\n{MAP}");
        let records = read(&with_source, &[("a.csv", "id,name,notes,s\n1,Ann,,x\n2,Bob,,y\n3,Cy,,\n")]).unwrap();
        assert_eq!(records.sources, ["x", "y", "a"]);
        assert_eq!(records.name(0), "1");
    }

    #[test]
    fn rows_without_an_id_of_their_own_are_set_aside() {
        let records = read(MAP, &[("a.csv", "id,name,notes\n1,Ann,\n1,Ben,\n,Cy,\n2,Di,\n")]).unwrap();
        let bad: Vec<_> = records.bad.iter().map(|bad| (bad.line, bad.reason)).collect();
        assert_eq!(bad, [(3, "duplicate_id"), (4, "no_id")]);
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn without_an_id_column_file_and_line_name_a_record() {
        let records = read("[columns]\nname = \"full_name\"\n", &[("a.csv", "name\nAnn\n")]).unwrap();
        assert_eq!(records.name(0), "a.csv:2");
    }

    #[test]
    fn several_values_in_one_cell_are_parted() {
        let map = "[columns]\np = { kind = \"phone\", separator = \";\" }\n";
        let records = read(map, &[("a.csv", "p\n1; 2;;\n")]).unwrap();
        assert_eq!(records.records[0].values, [(0, "1".to_owned()), (0, "2".to_owned())]);
    }

    #[test]
    fn a_column_that_is_nowhere_is_told_with_the_one_meant() {
        let why = read(MAP, &[("a.csv", "id,nam,notes\n1,Ann,\n")]).unwrap_err().to_string();
        assert!(why.contains("no input has a column \"name\"; did you mean \"nam\"?"), "{why}");
    }
}
