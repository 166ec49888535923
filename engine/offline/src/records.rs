//! Rows of several tables as records, one at a time: named, of a source, with their values by column.

use std::fs;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use csv::StringRecord;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use crate::error::Error;
use crate::map::{ColumnMeaning, Linking, Map, is_kind, nearest};
use crate::table::{BadRow, Row, Table};

/// Largest number of sources: a source per row would be an id in the wrong place.
const SOURCES_MAX: usize = 250;

/// Which tables to read, and how.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The tables.
    pub files: Vec<PathBuf>,
    /// One map for all of them, or one for each.
    pub maps: Vec<PathBuf>,
}

/// Tables whose headers are read and whose rows are not.
#[derive(Debug)]
pub struct Tables {
    tables: Vec<(Table, Layout)>,
    columns: Vec<(String, ColumnMeaning)>,
    country: String,
    records: Records,
    /// Places of the records seen, by source and id.
    seen: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// A record as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place among all records, from 0.
    pub place: u32,
    /// Place of its source in [`Records::sources`].
    pub source: u8,
    /// Id within its source.
    pub id: &'a str,
    /// Column (place in [`Tables::columns`]) and value; no value is empty.
    pub values: &'a [(usize, &'a str)],
}

/// Who the records are; what they say has gone to whoever read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Names of the sources, in order of appearance.
    pub sources: Vec<String>,
    /// Which pairs may be one party.
    pub linking: Linking,
    /// Columns of which no map says anything.
    pub unknown: Vec<String>,
    /// Rows that were set aside.
    pub bad: Vec<BadRow>,
    /// Values of the column that was asked for beside those of the map, by record.
    pub asked: Vec<CompactString>,
    /// Source and id of each record, in order of appearance.
    ids: Vec<(u8, CompactString)>,
    /// Whether two sources use the same id, so that ids alone do not tell records apart.
    has_shared_ids: bool,
}

impl Inputs {
    /// Opens all tables. `asked` is the name of one more column to keep, such as that of the truth.
    ///
    /// # Errors
    /// A file cannot be read, a map does not fit its tables, or no table has the column.
    pub fn open(&self, asked: Option<&str>) -> Result<Tables, Error> {
        let maps: Vec<Map> = self.maps.iter().map(|path| Map::read(path)).collect::<Result<_, _>>()?;
        let first = maps.first().ok_or_else(|| no_map("no map is given: name one with --map"))?;
        if self.files.is_empty() {
            return Err(no_map("no table is given: name one or more with --input"));
        }
        if maps.len() > 1 && maps.len() != self.files.len() {
            return Err(no_map("give one map for all inputs, or one for each input in their order"));
        }
        let map_of = |at: usize| maps.get(at).filter(|_| maps.len() > 1).unwrap_or(first);
        let opened = |(at, file)| Table::open_as(file, &map_of(at).form).map(|table| (table, map_of(at)));
        let tables: Vec<(Table, &Map)> =
            self.files.iter().map(PathBuf::as_path).enumerate().map(opened).collect::<Result<_, _>>()?;
        self.check_columns(&maps, &tables, asked)?;
        let mut opened = Tables {
            tables: Vec::new(),
            columns: Vec::new(),
            country: first.country.clone(),
            records: Records { linking: first.linking, ..Records::default() },
            seen: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        for (table, map) in tables {
            let layout = opened.layout(&table, map, asked);
            opened.tables.push((table, layout));
        }
        Ok(opened)
    }

    /// Keeps copies of the maps in the folder of a run, so that it can be evaluated without them.
    ///
    /// # Errors
    /// A map cannot be read, or the folder not be written.
    pub fn keep_maps(&self, folder: &Path) -> Result<(), Error> {
        for (at, map) in self.maps.iter().enumerate() {
            let to = folder.join(kept_map(at));
            fs::copy(map, &to).map_err(|source| Error::file("write", to, source))?;
        }
        Ok(())
    }

    /// The maps that a run keeps.
    ///
    /// # Errors
    /// The folder keeps none.
    pub fn kept_maps(folder: &Path) -> Result<Vec<PathBuf>, Error> {
        fs::metadata(folder).map_err(|source| Error::file("open the run", folder, source))?;
        let maps: Vec<PathBuf> =
            (0..SOURCES_MAX).map(|at| folder.join(kept_map(at))).take_while(|p| p.exists()).collect();
        let why = || format!("{} keeps no map: is it the folder of a run? name the map with --map", folder.display());
        if maps.is_empty() { Err(no_map(&why())) } else { Ok(maps) }
    }

    /// Every column that a map names must stand in some table that it is the map of.
    fn check_columns(&self, maps: &[Map], tables: &[(Table, &Map)], asked: Option<&str>) -> Result<(), Error> {
        let headers = |of: Option<&Map>| -> Vec<&str> {
            let tables = tables.iter().filter(|(_, map)| of.is_none_or(|of| of == *map));
            tables.flat_map(|(table, _)| table.header().iter().map(String::as_str)).collect()
        };
        for (map, path) in maps.iter().zip(&self.maps) {
            let there = headers(Some(map));
            let mut named = map.columns.keys().chain(&map.ignored).chain(&map.id).chain(&map.source);
            if let Some(name) = named.find(|name| !there.contains(&name.as_str())) {
                let is_none_there = !map.columns.keys().any(|column| there.contains(&column.as_str()));
                let why = absent(name, &there) + if is_none_there { reversed(name, &there) } else { "" };
                return Err(Error::Map { path: path.clone(), why });
            }
        }
        let says_nothing =
            |(table, map): &&(Table, &Map)| !table.header().iter().any(|name| map.columns.contains_key(name));
        if let Some((table, _)) = tables.iter().find(says_nothing) {
            let there: Vec<&str> = table.header().iter().map(String::as_str).collect();
            let why = format!("the map names none of its columns; there are {}{}", there.join(", "), hint(&there));
            return Err(Error::table(table.file(), why));
        }
        match asked {
            Some(name) if !headers(None).contains(&name) => {
                Err(Error::TooLittle { attempted: "read the truth", why: absent(name, &headers(None)) })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Name of a kept map.
fn kept_map(at: usize) -> String {
    format!("map-{}.toml", at + 1)
}

fn no_map(why: &str) -> Error {
    Error::TooLittle { attempted: "read the tables", why: why.to_owned() }
}

fn absent(name: &str, there: &[&str]) -> String {
    let meant = nearest(name, there.iter().copied()).map(|meant| format!(" did you mean {meant:?}?"));
    let hint = hint(there);
    format!("no input has a column {name:?};{} there are {}{hint}", meant.unwrap_or_default(), there.join(", "))
}

/// What may be the matter with a map of which no column is there, though columns are called like kinds.
fn reversed(name: &str, there: &[&str]) -> &'static str {
    if nearest(name, there.iter().copied()).is_some() || !there.iter().any(|column| is_kind(column)) {
        return "";
    }
    "; in a map the table's column stands on the left, and what it holds on the right: surname = \"family_name\""
}

/// What may be the matter with a table whose columns are not those of the map.
fn hint(there: &[&str]) -> &'static str {
    let starts_with_number =
        |column: &&str| column.starts_with(|letter: char| letter.is_ascii_digit() || letter == '+');
    if there.len() == 1 {
        "; is another sign than comma, semicolon, tab or bar between the cells?"
    } else if there.iter().any(starts_with_number) {
        "; if the first line is a row, name the columns in the map: header = [\"id\", ...]"
    } else {
        ""
    }
}

/// What the columns of one table are.
#[derive(Debug)]
struct Layout {
    id: Option<usize>,
    source: Option<usize>,
    asked: Option<usize>,
    is_asked: bool,
    /// Place in the header, place in [`Tables::columns`], separator within a value.
    values: Vec<(usize, usize, Option<String>)>,
}

impl Tables {
    /// The columns that identify, by name, with their meaning.
    #[must_use]
    pub fn columns(&self) -> &[(String, ColumnMeaning)] {
        &self.columns
    }

    /// Country of values that name none, ISO 3166 alpha-2; empty if the first map names none.
    #[must_use]
    pub fn country(&self) -> &str {
        &self.country
    }

    /// Which pairs may be one party, by the first map.
    #[must_use]
    pub fn linking(&self) -> Linking {
        self.records.linking
    }

    /// Reads every row and hands it to `take`; rows that cannot be used are set aside.
    ///
    /// # Errors
    /// A file cannot be read on.
    pub fn read(mut self, mut take: impl FnMut(Entry<'_>)) -> Result<Records, Error> {
        for (mut table, layout) in std::mem::take(&mut self.tables) {
            let (file, whole) = (table.file(), table.stem());
            while let Some((line, row)) = table.next_row()? {
                let bad = match row {
                    Row::Bad(bad) => Some(bad),
                    Row::Cells(cells) => self.row(cells, (&file, line), &layout, &whole, &mut take).err(),
                };
                self.records.bad.extend(bad);
            }
        }
        self.records.has_shared_ids = has_repeats(self.records.ids.iter().map(|(_, id)| id.as_str()));
        Ok(self.records)
    }

    fn layout(&mut self, table: &Table, map: &Map, asked: Option<&str>) -> Layout {
        let place = |name: &str| table.header().iter().position(|column| column == name);
        let mut values = Vec::new();
        for (at, name) in table.header().iter().enumerate() {
            if let Some(meaning) = map.columns.get(name) {
                values.push((at, self.column(name, meaning), meaning.separator.clone()));
                continue;
            }
            let is_named =
                map.ignored.contains(name) || [map.id.as_deref(), map.source.as_deref(), asked].contains(&Some(name));
            if !is_named && !name.is_empty() && !self.records.unknown.contains(name) {
                self.records.unknown.push(name.clone());
            }
        }
        Layout {
            id: map.id.as_deref().and_then(place),
            source: map.source.as_deref().and_then(place),
            asked: asked.and_then(place),
            is_asked: asked.is_some(),
            values,
        }
    }

    /// The place of a column among those of all tables. Two tables may give one name two meanings.
    fn column(&mut self, name: &str, meaning: &ColumnMeaning) -> usize {
        let known = self.columns.iter().position(|(known, of)| known == name && of == meaning);
        known.unwrap_or_else(|| {
            self.columns.push((name.to_owned(), meaning.clone()));
            self.columns.len() - 1
        })
    }

    fn row(
        &mut self,
        cells: &StringRecord,
        (file, line): (&str, u64),
        layout: &Layout,
        whole: &str,
        take: &mut impl FnMut(Entry<'_>),
    ) -> Result<(), BadRow> {
        let cell = |at: Option<usize>| at.map(|at| cells[at].trim());
        let bad =
            |reason| BadRow { file: file.to_owned(), line, reason, raw: cells.iter().collect::<Vec<_>>().join(",") };
        let id = match cell(layout.id) {
            Some("") => return Err(bad("no_id")),
            Some(id) => CompactString::from(id),
            None => CompactString::from(format!("{file}:{line}")),
        };
        let named = cell(layout.source).filter(|name| !name.is_empty());
        let source = self.records.source(named.unwrap_or(whole)).ok_or_else(|| bad("too_many_sources"))?;
        let place = self.place(source, &id).ok_or_else(|| bad("duplicate_id"))?;
        let mut values = Vec::with_capacity(layout.values.len());
        for (at, column, separator) in &layout.values {
            match separator {
                Some(separator) => {
                    values.extend(cells[*at].split(separator.as_str()).map(|part| (*column, part.trim())))
                }
                None => values.push((*column, cells[*at].trim())),
            }
        }
        values.retain(|(_, value)| !value.is_empty());
        if layout.is_asked {
            self.records.asked.push(CompactString::from(cell(layout.asked).unwrap_or_default()));
        }
        take(Entry { place, source, id: &id, values: &values });
        self.records.ids.push((source, id));
        Ok(())
    }

    /// The place of a new record; none if its source has one of that id.
    fn place(&mut self, source: u8, id: &str) -> Option<u32> {
        let ids = &self.records.ids;
        let hash = |source: u8, id: &str| self.hasher.hash_one((source, id));
        let is_same = |place: &u32| ids[*place as usize].0 == source && ids[*place as usize].1 == id;
        let of_place = |place: &u32| hash(ids[*place as usize].0, &ids[*place as usize].1);
        if self.seen.find(hash(source, id), is_same).is_some() {
            return None;
        }
        let place = u32::try_from(ids.len()).expect("fewer than 2^32 records");
        self.seen.insert_unique(hash(source, id), place, of_place);
        Some(place)
    }
}

impl Records {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The place of a record's source in [`Records::sources`].
    #[must_use]
    pub fn source_of(&self, at: u32) -> u8 {
        self.ids[at as usize].0
    }

    /// Id of a record within its source.
    #[must_use]
    pub fn id(&self, at: usize) -> &str {
        &self.ids[at].1
    }

    /// Number of records of each source.
    pub(crate) fn source_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.sources.len()];
        for (source, _) in &self.ids {
            sizes[usize::from(*source)] += 1;
        }
        sizes
    }

    /// How a record is named in outputs: its id, behind its source where ids alone do not tell.
    #[must_use]
    pub fn name(&self, at: usize) -> String {
        let (source, id) = &self.ids[at];
        if self.has_shared_ids { format!("{}/{id}", self.sources[usize::from(*source)]) } else { id.to_string() }
    }

    /// The records by name.
    #[must_use]
    pub fn by_name(&self) -> HashMap<String, u32> {
        (0..self.len()).map(|at| (self.name(at), u32::try_from(at).expect("fewer than 2^32 records"))).collect()
    }

    fn source(&mut self, name: &str) -> Option<u8> {
        let place = self.sources.iter().position(|source| source == name).unwrap_or(self.sources.len());
        if place >= SOURCES_MAX {
            return None;
        }
        if place == self.sources.len() {
            self.sources.push(name.to_owned());
        }
        u8::try_from(place).ok()
    }

    #[cfg(test)]
    pub(crate) fn named<'a>(ids: impl Iterator<Item = (u8, &'a str)>) -> Self {
        let sources = ["a", "b"].map(str::to_owned).to_vec();
        Records { sources, ids: ids.map(|(source, id)| (source, id.into())).collect(), ..Records::default() }
    }
}

fn has_repeats<'a>(mut ids: impl Iterator<Item = &'a str>) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    ids.any(|id| !seen.insert(id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    const MAP: &str = "id = \"id\"\n[columns]\nname = \"full_name\"\nnotes = \"ignore\"\n";

    /// The records, and the values of each with the names of their columns.
    type Read = (Records, Vec<Vec<(String, String)>>);

    fn read(map: &str, tables: &[(&str, &str)], asked: Option<&str>) -> Result<Read, Error> {
        let folder = TempDir::new().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = tables.iter().map(|(name, text)| put(name, text)).collect();
        let tables = Inputs { files, maps: vec![put("map.toml", map)] }.open(asked)?;
        let columns = tables.columns().to_vec();
        let mut values = Vec::new();
        let records = tables.read(|entry| {
            let named = |(column, value): &(usize, &str)| (columns[*column].0.clone(), (*value).to_owned());
            values.push(entry.values.iter().map(named).collect());
        })?;
        Ok((records, values))
    }

    #[test]
    fn each_file_is_a_source_unless_a_column_says_otherwise() {
        let tables = [("a.csv", "id,name,notes,extra\n1,Ann,x,y\n2, ,x,y\n"), ("b.csv.gz", "id,name\n1,Bob\n")];
        let (records, values) = read(MAP, &tables, None).unwrap();
        assert_eq!(records.sources, ["a", "b"]);
        assert_eq!(records.unknown, ["extra"]);
        assert_eq!(values[0], [("name".to_owned(), "Ann".to_owned())]);
        assert_eq!(values[1], []);
        assert_eq!((records.name(2), records.source_of(2)), ("b/1".to_owned(), 1));
        let with_source = format!("source = \"s\"\n{MAP}");
        let tables = [("a.csv", "id,name,notes,s\n1,Ann,,x\n2,Bob,,y\n3,Cy,,\n")];
        let (records, _) = read(&with_source, &tables, None).unwrap();
        assert_eq!(records.sources, ["x", "y", "a"]);
        assert_eq!(records.name(0), "1");
    }

    #[test]
    fn rows_without_an_id_of_their_own_are_set_aside() {
        let (records, values) = read(MAP, &[("a.csv", "id,name,notes\n1,Ann,\n1,Ben,\n,Cy,\n2,Di,\n")], None).unwrap();
        let bad: Vec<_> = records.bad.iter().map(|bad| (bad.line, bad.reason)).collect();
        assert_eq!(bad, [(3, "duplicate_id"), (4, "no_id")]);
        assert_eq!((records.len(), values.len()), (2, 2));
    }

    #[test]
    fn a_source_per_row_is_an_id_in_the_wrong_place() {
        let rows: String = (0..=SOURCES_MAX).map(|at| format!("{at},Ann,,s{at}\n")).collect();
        let map = format!("source = \"s\"\n{MAP}");
        let (records, _) = read(&map, &[("a.csv", &format!("id,name,notes,s\n{rows}"))], None).unwrap();
        assert_eq!((records.len(), records.bad[0].reason), (SOURCES_MAX, "too_many_sources"));
    }

    #[test]
    fn without_an_id_column_file_and_line_name_a_record() {
        let (records, _) = read("[columns]\nname = \"full_name\"\n", &[("a.csv", "name\nAnn\n")], None).unwrap();
        assert_eq!(records.name(0), "a.csv:2");
    }

    #[test]
    fn several_values_in_one_cell_are_parted() {
        let map = "[columns]\np = { kind = \"phone\", separator = \";\" }\n";
        let (_, values) = read(map, &[("a.csv", "p\n1; 2;;\n")], None).unwrap();
        let values: Vec<&str> = values[0].iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn the_column_that_is_asked_for_is_kept_and_not_called_unknown() {
        let table = [("a.csv", "id,name,notes,party\n1,Ann,,x\n2,Bob,,\n")];
        let (records, _) = read(MAP, &table, Some("party")).unwrap();
        assert_eq!((records.asked, records.unknown.len()), (vec!["x".into(), "".into()], 0));
        let why = read(MAP, &table, Some("prty")).unwrap_err().to_string();
        assert!(why.contains("did you mean \"party\"?"), "{why}");
    }

    #[test]
    fn a_table_of_which_the_map_knows_nothing_is_told_with_what_may_be_the_matter() {
        let why = |text: &str| {
            let tables = [("a.csv", "id,name,notes\n1,Ann,\n"), ("b.csv", text)];
            read(MAP, &tables, None).unwrap_err().to_string()
        };
        assert!(why("7,Bob\n").contains("read table b.csv: the map names none of its columns; there are 7, Bob;"));
        assert!(why("7,Bob\n").ends_with("name the columns in the map: header = [\"id\", ...]"));
        assert!(why("no^who\n1^Bob\n").ends_with("semicolon, tab or bar between the cells?"));
    }

    #[test]
    fn a_column_that_is_nowhere_is_told_with_the_one_meant() {
        let why = read(MAP, &[("a.csv", "id,nam,notes\n1,Ann,\n")], None).unwrap_err().to_string();
        assert!(why.contains("no input has a column \"name\"; did you mean \"nam\"?"), "{why}");
        assert!(!why.contains("on the left"), "{why}");
    }

    #[test]
    fn a_map_that_is_written_the_other_way_round_is_told() {
        let map = "[columns]\nfirst = \"given_name\"\n";
        let why = read(map, &[("a.csv", "given_name,phone no\nAnn,1\n")], None).unwrap_err().to_string();
        assert!(why.contains("in a map the table's column stands on the left"), "{why}");
    }
}
