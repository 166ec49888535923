//! What resolving tables gave, in memory and as files.
//!
//! A run's folder holds `links.csv` (left, right, probability, decision, weight_bits: every pair
//! that is linked or waits for a person), `clusters.csv` (record, customer), `review.csv` (the pairs
//! that wait, with the reason), `candidates.csv.gz` (every pair that was compared), `rejected.csv`
//! (rows that were set aside) and `run.json` (how it was made).

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use csv::StringRecord;
use flate2::Compression;
use flate2::write::GzEncoder;
use hashbrown::HashMap;
use ontology::Vocabulary;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::records::Records;
use crate::table::{Row, Table};

/// What was decided on a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// One party, without asking anybody.
    Linked,
    /// A person decides.
    Review,
    /// Not one party.
    None,
}

impl Vocabulary for Decision {
    const ALL: &'static [(Self, &'static str)] =
        &[(Decision::Linked, "linked"), (Decision::Review, "review"), (Decision::None, "none")];
}

/// A pair that was compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The record that came first, by place.
    pub left: u32,
    /// The other record, by place.
    pub right: u32,
    /// Probability that they are one party, in millionths.
    pub millionths: u32,
    /// Log2 odds that they are, thousandths.
    pub millibits: i32,
    /// What was decided.
    pub decision: Decision,
    /// Why it was not decided automatically, if it is in review.
    pub why: &'static str,
}

impl Pair {
    /// Probability that the records are one party.
    #[must_use]
    pub fn probability(&self) -> f64 {
        f64::from(self.millionths) / 1e6
    }

    /// Pairs by falling probability, then by falling weight.
    pub(crate) fn rank(&self) -> (std::cmp::Reverse<u32>, std::cmp::Reverse<i32>, u32, u32) {
        (std::cmp::Reverse(self.millionths), std::cmp::Reverse(self.millibits), self.left, self.right)
    }
}

/// Pairs and customers of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Every pair that was compared, or all that were kept of them.
    pub pairs: Vec<Pair>,
    /// Customer of each record, by place.
    pub customers: Vec<String>,
    /// Whether `pairs` has every pair that was compared.
    pub has_candidates: bool,
}

/// How a run was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the model.
    pub model: String,
    /// Number of records.
    pub records: usize,
    /// Names of the sources.
    pub sources: Vec<String>,
    /// Whether only records of different sources may be one party.
    pub across_only: bool,
    /// Columns that no map names: they say nothing.
    pub ignored_columns: Vec<String>,
    /// Rows set aside.
    pub rejected: usize,
    /// Pairs compared.
    pub candidates: u64,
    /// Pairs linked.
    pub linked: usize,
    /// Pairs that wait for a person.
    pub review: usize,
    /// Customers.
    pub customers: usize,
    /// Records of the largest customer.
    pub largest: usize,
}

/// File with every pair that is linked or waits.
const LINKS: &str = "links.csv";
/// File with the customer of each record.
const CLUSTERS: &str = "clusters.csv";
/// File with the pairs that wait.
const REVIEW: &str = "review.csv";
/// File with every pair that was compared.
const CANDIDATES: &str = "candidates.csv.gz";
/// File with the rows that were set aside.
const REJECTED: &str = "rejected.csv";
/// File with the summary.
const SUMMARY: &str = "run.json";

impl Outcome {
    /// Counts what the outcome holds.
    #[must_use]
    pub fn summary(&self, records: &Records, model: &str) -> Summary {
        let mut sizes: HashMap<&str, usize> = HashMap::new();
        for customer in &self.customers {
            *sizes.entry(customer).or_default() += 1;
        }
        let decided = |decision| self.pairs.iter().filter(|pair| pair.decision == decision).count();
        Summary {
            model: model.to_owned(),
            records: records.len(),
            sources: records.sources.clone(),
            across_only: records.linking == crate::map::Linking::Across,
            ignored_columns: records.unknown.clone(),
            rejected: records.bad.len(),
            candidates: self.pairs.len() as u64,
            linked: decided(Decision::Linked),
            review: decided(Decision::Review),
            customers: sizes.len(),
            largest: sizes.values().copied().max().unwrap_or(0),
        }
    }

    /// Writes the folder of a run. Pairs stand by falling probability.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn write(&self, folder: &Path, records: &Records, summary: &Summary) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(|source| Error::file("create", folder, source))?;
        let mut order: Vec<&Pair> = self.pairs.iter().collect();
        order.sort_by_key(|pair| pair.rank());
        let kept = || order.iter().copied().filter(|pair| pair.decision != Decision::None);
        let pair_header = ["left", "right", "probability", "decision", "weight_bits"];
        let cells = |pair: &Pair| pair_cells(pair, records);
        write_table(&folder.join(LINKS), &pair_header, kept().map(cells), false)?;
        let waiting = order.iter().copied().filter(|pair| pair.decision == Decision::Review);
        let with_why = waiting.map(|pair| {
            let [left, right, probability, _, weight] = cells(pair);
            [left, right, probability, weight, pair.why.to_owned()]
        });
        let review_header = ["left", "right", "probability", "weight_bits", "why_not_automatic"];
        write_table(&folder.join(REVIEW), &review_header, with_why, false)?;
        if self.has_candidates {
            write_table(&folder.join(CANDIDATES), &pair_header, order.iter().map(|pair| cells(pair)), true)?;
        }
        let members = self.customers.iter().enumerate().map(|(at, customer)| [records.name(at), customer.clone()]);
        write_table(&folder.join(CLUSTERS), &["record", "customer"], members, false)?;
        let bad = records.bad.iter();
        let bad = bad.map(|bad| [bad.file.clone(), bad.line.to_string(), bad.reason.to_owned(), bad.raw.clone()]);
        write_table(&folder.join(REJECTED), &["file", "line", "reason", "raw"], bad, false)?;
        let text = serde_json::to_string_pretty(summary).expect("a summary holds nothing that JSON cannot say");
        let path = folder.join(SUMMARY);
        fs::write(&path, text + "\n").map_err(|source| Error::file("write", path, source))
    }

    /// Reads the folder of a run over `records`.
    ///
    /// # Errors
    /// A file is not there, is no table, or names records that the inputs do not have.
    pub fn read(folder: &Path, records: &Records) -> Result<(Self, Summary), Error> {
        let path = folder.join(SUMMARY);
        let text = fs::read_to_string(&path).map_err(|source| Error::file("read run", &path, source))?;
        let summary: Summary = serde_json::from_str(&text).map_err(|error| Error::table(&path, error.to_string()))?;
        let names = records.by_name();
        let candidates = folder.join(CANDIDATES);
        let has_candidates = candidates.exists();
        let pairs = read_pairs(&if has_candidates { candidates } else { folder.join(LINKS) }, &names)?;
        let path = folder.join(CLUSTERS);
        let mut customers = vec![String::new(); records.len()];
        for_each_row(&path, 2, |cells| {
            customers[place(&names, &cells[0])? as usize] = cells[1].to_owned();
            Ok(())
        })?;
        if let Some(at) = customers.iter().position(String::is_empty) {
            let why = format!("record {} has no customer: these are not the inputs of the run", records.name(at));
            return Err(Error::table(path, why));
        }
        Ok((Outcome { pairs, customers, has_candidates }, summary))
    }
}

fn pair_cells(pair: &Pair, records: &Records) -> [String; 5] {
    [
        records.name(pair.left as usize),
        records.name(pair.right as usize),
        format!("{:.6}", pair.probability()),
        pair.decision.name().to_owned(),
        format!("{:.3}", f64::from(pair.millibits) / 1e3),
    ]
}

fn write_table<const N: usize>(
    path: &Path,
    header: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
    is_packed: bool,
) -> Result<(), Error> {
    let failed = |source| Error::file("write", path, source);
    let file = BufWriter::new(File::create(path).map_err(failed)?);
    if is_packed {
        let packed = write_rows(GzEncoder::new(file, Compression::fast()), header, rows).map_err(failed)?;
        packed.finish().and_then(|mut file| file.flush()).map_err(failed)
    } else {
        write_rows(file, header, rows).and_then(|mut file| file.flush()).map_err(failed)
    }
}

fn write_rows<W: Write, const N: usize>(
    to: W,
    header: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> std::io::Result<W> {
    let mut table = csv::Writer::from_writer(to);
    table.write_record(header)?;
    for row in rows {
        table.write_record(row)?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

fn read_pairs(path: &Path, names: &HashMap<String, u32>) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::new();
    for_each_row(path, 5, |cells| {
        let number = |text: &str| text.parse::<f64>().map_err(|error| format!("{text:?}: {error}"));
        let decision = Decision::parse(&cells[3]).ok_or_else(|| format!("no decision is called {:?}", &cells[3]))?;
        let (probability, weight) = (number(&cells[2])?, number(&cells[4])?);
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("probability is {probability}, expected 0 to 1"));
        }
        pairs.push(Pair {
            left: place(names, &cells[0])?,
            right: place(names, &cells[1])?,
            // In range, as checked above; weights saturate.
            millionths: (probability * 1e6).round() as u32,
            millibits: (weight * 1e3).round() as i32,
            decision,
            why: "",
        });
        Ok(())
    })?;
    Ok(pairs)
}

fn place(names: &HashMap<String, u32>, name: &str) -> Result<u32, String> {
    names.get(name).copied().ok_or_else(|| format!("no input has a record {name}: these are not the inputs of the run"))
}

fn for_each_row(
    path: &Path,
    columns: usize,
    mut take: impl FnMut(&StringRecord) -> Result<(), String>,
) -> Result<(), Error> {
    let mut table = Table::open(path)?;
    if table.header().len() < columns {
        return Err(Error::table(path, format!("expected {columns} columns, found {}", table.header().len())));
    }
    while let Some((line, row)) = table.next_row()? {
        let taken = match row {
            Row::Cells(cells) => take(cells),
            Row::Bad(bad) => Err(bad.reason.to_owned()),
        };
        taken.map_err(|why| Error::table(path, format!("line {line}: {why}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn records(ids: &[&str]) -> Records {
        Records::named(ids.iter().map(|id| (0, *id)))
    }

    fn pair(left: u32, right: u32, millionths: u32, decision: Decision) -> Pair {
        Pair { left, right, millionths, millibits: -1_500, decision, why: "" }
    }

    fn outcome() -> Outcome {
        Outcome {
            pairs: vec![pair(0, 2, 10, Decision::None), pair(0, 1, 990_000, Decision::Linked)],
            customers: ["x", "x", "y"].map(str::to_owned).to_vec(),
            has_candidates: true,
        }
    }

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let records = records(&["1", "2,\"b\"", "3"]);
        let outcome = outcome();
        let summary = outcome.summary(&records, "v1");
        assert_eq!((summary.linked, summary.review, summary.customers, summary.largest), (1, 0, 2, 2));
        outcome.write(folder.path(), &records, &summary).unwrap();
        let links = fs::read_to_string(folder.path().join(LINKS)).unwrap();
        assert_eq!(links, "left,right,probability,decision,weight_bits\n1,\"2,\"\"b\"\"\",0.990000,linked,-1.500\n");
        let (mut read, read_summary) = Outcome::read(folder.path(), &records).unwrap();
        read.pairs.sort_by_key(|pair| pair.millionths);
        assert_eq!((read, read_summary), (outcome, summary));
    }

    #[test]
    fn other_inputs_than_the_run_had_are_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let written = records(&["1", "2", "3"]);
        let outcome = outcome();
        outcome.write(folder.path(), &written, &outcome.summary(&written, "v1")).unwrap();
        let fewer = Outcome::read(folder.path(), &records(&["1", "2"])).unwrap_err().to_string();
        assert!(fewer.contains("no input has a record 3"), "{fewer}");
        let more = Outcome::read(folder.path(), &records(&["1", "2", "3", "4"])).unwrap_err().to_string();
        assert!(more.contains("record 4 has no customer"), "{more}");
        assert!(Outcome::read(&folder.path().join("none"), &written).is_err());
    }
}
