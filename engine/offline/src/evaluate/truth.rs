//! Which records are one party in truth.

use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use crate::decisions::{Decisions, are_decisions, read_decisions};
use crate::error::Error;
use crate::records::Records;
use crate::table::{Row, Table};

/// The true party of each record, by place; none if nobody knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    parties: Vec<Option<u32>>,
}

impl Truth {
    /// Records with equal words are one party; an empty word is no answer.
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut number = |word: &str| {
            let next = u32::try_from(numbers.len()).expect("no more parties than records");
            (!word.is_empty()).then(|| *numbers.entry_ref(word).or_insert(next))
        };
        Truth { parties: words.map(&mut number).collect() }
    }

    /// Reads the truth from a table: record and party, or `left` and `right` of true pairs.
    ///
    /// # Errors
    /// The file is no such table, or names none of the records.
    pub fn read(path: &Path, records: &Records) -> Result<Self, Error> {
        let (header, rows) = rows_of(path)?;
        let names = records.by_name();
        let mut parties: Vec<Option<u32>> = vec![None; records.len()];
        let is_pairs = header[0] == "left";
        let mut found = 0;
        if is_pairs {
            let mut sets = Sets::of(records.len());
            for (left, right) in &rows {
                if let (Some(left), Some(right)) = (names.get(left), names.get(right)) {
                    found += 1;
                    sets.join(*left, *right);
                }
            }
            parties = (0..records.len()).map(|at| u32::try_from(at).ok().map(|at| sets.root(at))).collect();
        } else {
            let mut words: Vec<&str> = vec![""; records.len()];
            for (record, party) in &rows {
                if let Some(at) = names.get(record) {
                    found += 1;
                    words[*at as usize] = party;
                }
            }
            parties.clone_from(&Truth::of_words(words.into_iter()).parties);
        }
        if found == 0 {
            let why = "it names no record of the inputs: expected columns record and party, or left and right";
            return Err(Error::table(path, why));
        }
        Ok(Truth { parties })
    }

    /// The true party of a record.
    #[must_use]
    pub fn of(&self, record: u32) -> Option<u32> {
        self.parties[record as usize]
    }

    /// The true parties, by record.
    pub(crate) fn parties(&self) -> &[Option<u32>] {
        &self.parties
    }

    /// Number of records with a known party.
    #[must_use]
    pub fn known(&self) -> usize {
        self.parties.iter().flatten().count()
    }
}

/// Where the truth is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// A column of the inputs: records with equal words are one party.
    Column(String),
    /// A table of record and party, or of true pairs.
    File(PathBuf),
}

impl Labels {
    /// A file if there is one of that name, a column otherwise.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let path = PathBuf::from(word);
        if path.is_file() { Labels::File(path) } else { Labels::Column(word.to_owned()) }
    }

    /// The column that the inputs have to be read with.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Labels::Column(column) => Some(column),
            Labels::File(_) => None,
        }
    }

    /// Pairs of which somebody said whether they are one party, if that is what the file holds: `left`,
    /// `right` and `same`, such as the decisions of a review. None for other truths.
    ///
    /// # Errors
    /// The file cannot be read, or an answer is neither yes nor no.
    pub fn pairs(&self, records: &Records) -> Result<Option<Decisions>, Error> {
        let Labels::File(path) = self else { return Ok(None) };
        if !are_decisions(Table::open(path)?.header()) {
            return Ok(None);
        }
        read_decisions(path, records).map(Some)
    }

    /// The truth of records that were read with the column.
    ///
    /// # Errors
    /// As [`Truth::read`].
    pub fn truth(&self, records: &Records) -> Result<Truth, Error> {
        match self {
            Labels::Column(_) => Ok(Truth::of_words(records.asked.iter().map(|word| word.as_str()))),
            Labels::File(path) => Truth::read(path, records),
        }
    }
}

/// First and second cell of a row.
type Cells = (String, String);

/// The file at `path` read as a table of two columns or more: header and rows.
fn rows_of(path: &Path) -> Result<(Vec<String>, Vec<Cells>), Error> {
    let mut table = Table::open(path)?;
    let header = table.header().to_vec();
    if header.len() < 2 {
        return Err(Error::table(path, "expected at least two columns: record and party, or left and right"));
    }
    let mut rows = Vec::new();
    while let Some((line, row)) = table.next_row()? {
        match row {
            Row::Cells(cells) => {
                let cell = |at: usize| cells.get(at).unwrap_or_default().trim().to_owned();
                rows.push((cell(0), cell(1)));
            }
            Row::Bad(bad) => return Err(Error::table(path, format!("line {line}: {}", bad.reason))),
        }
    }
    Ok((header, rows))
}

/// Disjoint sets.
pub(super) struct Sets(Vec<u32>);

impl Sets {
    pub(super) fn of(count: usize) -> Self {
        Sets((0..u32::try_from(count).expect("fewer than 2^32 records")).collect())
    }

    pub(super) fn root(&mut self, mut at: u32) -> u32 {
        while self.0[at as usize] != at {
            let above = self.0[self.0[at as usize] as usize];
            self.0[at as usize] = above;
            at = above;
        }
        at
    }

    pub(super) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Vec<Option<u32>>, Error> {
        let records = Records::named(["a", "b", "c", "d"].map(|id| (0, id)).into_iter());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Truth::read(file.path(), &records).map(|truth| truth.parties)
    }

    #[test]
    fn parties_may_be_named_or_given_as_pairs() {
        let named = read("record,customer\na,x\nc,x\nd,y\n").unwrap();
        assert_eq!(named, [Some(0), None, Some(0), Some(1)]);
        let pairs = read("left,right\nd,b\nb,c\n").unwrap();
        assert_eq!(pairs, [Some(0), Some(1), Some(1), Some(1)]);
    }

    #[test]
    fn a_truth_of_other_records_is_refused() {
        let why = read("record,customer\nz,x\n").unwrap_err().to_string();
        assert!(why.contains("names no record of the inputs"), "{why}");
        assert!(read("record\na\n").is_err());
    }

    #[test]
    fn only_a_file_with_answers_holds_decisions() {
        let records = Records::named(["a", "b", "c"].map(|id| (0, id)).into_iter());
        let file = tempfile::NamedTempFile::new().unwrap();
        let pairs = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            Labels::File(file.path().into()).pairs(&records).unwrap()
        };
        assert_eq!(pairs("left,right,same\nb,a,yes\na,c,no\n").map(|pairs| pairs.len()), Some(2));
        assert_eq!(pairs("left,right\nb,a\n"), None);
        assert_eq!(Labels::Column("x".into()).pairs(&records).unwrap(), None);
    }

    #[test]
    fn an_empty_word_is_no_answer() {
        let truth = Truth::of_words(["x", "", "x"].into_iter());
        assert_eq!((truth.of(0), truth.of(1), truth.known()), (truth.of(2), None, 2));
    }
}
