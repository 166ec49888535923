//! `opshub bench resolve`: entity resolution on tables with known truth, against its goals.
//!
//! Figures are called `ROW.TABLE.MEASURE`; the rows, R1 to R11, are those of `benches/README.md`.
//!
//! Tables lie in a folder of the user's, because their licences differ; the maps that say what their
//! columns hold are this project's. A table that is not there is named and left out.

mod order;
mod packages;
mod peer;
mod quality;
mod stream;
mod undo;
mod world;

use std::path::{Path, PathBuf};

use benches::report::{Figure, Report};
use offline::{Error, Inputs, Tables};

pub use peer::Peer;

/// Tables and the maps of their columns.
const TABLES: &[(&str, &str)] = &[
    ("febrl3", include_str!("../../../../../benches/peers/maps/febrl3.toml")),
    ("febrl4", include_str!("../../../../../benches/peers/maps/febrl4.toml")),
    ("historical_50k", include_str!("../../../../../benches/peers/maps/historical_50k.toml")),
    ("senzing_truth_set", include_str!("../../../../../benches/peers/maps/senzing_truth_set.toml")),
    ("zingg_febrl20k", include_str!("../../../../../benches/peers/maps/zingg_febrl20k.toml")),
    ("synth_100k", include_str!("../../../../../benches/peers/maps/synth.toml")),
    ("synth_1m", include_str!("../../../../../benches/peers/maps/synth.toml")),
];

/// Name of the four-system world among the tables.
const WORLD: &str = "world";

/// Column with the truth.
const TRUTH: &str = "cluster";

/// What to measure, and on what.
#[derive(Debug, Clone)]
pub struct ResolveOptions {
    /// Folder with the tables.
    pub folder: PathBuf,
    /// Names of the tables to use; all that are there if empty.
    pub tables: Vec<String>,
    /// Seed of the four-system world.
    pub seed: u64,
    /// Customers of the four-system world; each has three to four records.
    pub customers: u32,
    /// How the peer is called, to measure it in the same run.
    pub peer: Option<Peer>,
}

/// One table on disk, with its map beside it.
#[derive(Debug)]
struct Subject {
    name: &'static str,
    inputs: Inputs,
    /// Holds the map for as long as it is read.
    _folder: tempfile::TempDir,
}

impl Subject {
    fn open(&self, asked: Option<&str>) -> Result<Tables, Error> {
        self.inputs.open(asked)
    }

    fn table(&self) -> &Path {
        &self.inputs.files[0]
    }
}

/// Measures everything for which there is a table; the figures come by row.
///
/// # Errors
/// A table cannot be read, or none is there.
pub fn resolve(options: &ResolveOptions) -> anyhow::Result<Report> {
    let mut results = Vec::new();
    let subjects = subjects(options)?;
    let is_wanted = |name: &str| options.tables.is_empty() || options.tables.iter().any(|wanted| wanted == name);
    if is_wanted(WORLD) {
        eprintln!("{WORLD}");
        results.extend(world::measure(options.seed, options.customers));
    }
    anyhow::ensure!(
        !subjects.is_empty() || !results.is_empty(),
        "find tables in {}: none of {} is there; OPSHUB_ER_DATA names the folder",
        options.folder.display(),
        TABLES.iter().map(|(name, _)| format!("{name}.csv.gz")).collect::<Vec<_>>().join(", ")
    );
    for subject in &subjects {
        eprintln!("{}", subject.name);
        results.extend(figures(subject, options.peer.as_ref())?);
    }
    // A stable sort: within a row the order of tables and measures stays.
    results.sort_by_key(|figure| row_of(&figure.measure));
    Ok(Report::new("resolve", results))
}

fn figures(subject: &Subject, peer: Option<&Peer>) -> anyhow::Result<Vec<Figure>> {
    match subject.name {
        "synth_1m" => stream::measure(subject, peer),
        "synth_100k" => {
            let mut figures = quality::measure(subject)?;
            figures.extend(order::measure(subject)?);
            figures.extend(undo::measure(subject)?);
            Ok(figures)
        }
        "historical_50k" => {
            let mut figures = quality::measure(subject)?;
            figures.extend(undo::measure(subject)?);
            Ok(figures)
        }
        _ => quality::measure(subject),
    }
}

fn subjects(options: &ResolveOptions) -> anyhow::Result<Vec<Subject>> {
    let mut found = Vec::new();
    for (name, map) in TABLES {
        if !options.tables.is_empty() && !options.tables.iter().any(|wanted| wanted == name) {
            continue;
        }
        let places = ["csv.gz", "csv"].map(|ending| options.folder.join(format!("{name}.{ending}")));
        let Some(table) = places.into_iter().find(|place| place.is_file()) else {
            eprintln!("{name} is not in {}: left out", options.folder.display());
            continue;
        };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.toml");
        std::fs::write(&path, map)?;
        found.push(Subject { name, inputs: Inputs { files: vec![table], maps: vec![path] }, _folder: folder });
    }
    Ok(found)
}

/// Figures that belong to no row.
const NO_ROW: &str = "also";

/// The name of a measure on a table, behind the row that it belongs to.
fn measure_of(subject: &Subject, row: &str, measure: &str) -> String {
    format!("{row}.{}.{measure}", subject.name)
}

/// The number of a measure's row; those without one come last.
fn row_of(measure: &str) -> u32 {
    let row = measure.split('.').next().and_then(|row| row.strip_prefix('R'));
    row.and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::rng::Rng;

    /// A small table called as one of the measured ones: persons, each with one to four records.
    pub(super) fn subject(folder: &Path) -> Subject {
        let mut rng = Rng::new(4);
        let mut text = "rec_id,given_name,surname,street_number,address_1,address_2,suburb,postcode,state,\
                        date_of_birth,soc_sec_id,source,cluster\n"
            .to_owned();
        for person in 0..120 {
            let mut word = || -> String { (0..7).map(|_| char::from(b'a' + rng.below(26) as u8)).collect() };
            let fields = format!("{},{},{person},{} street,,{},2000,nsw", word(), word(), word(), word());
            let born = format!("19{:02}{:02}{:02}", 10 + rng.below(80), 1 + rng.below(12), 1 + rng.below(28));
            for copy in 0..=person % 4 {
                text += &format!("{person}-{copy},{fields},{born},{},a,{person}\n", 1_000_000 + person * 7919);
            }
        }
        std::fs::write(folder.join("febrl3.csv"), text).expect("the folder is there");
        let options = ResolveOptions {
            folder: folder.to_owned(),
            tables: vec!["febrl3".to_owned()],
            seed: 1,
            customers: 1,
            peer: None,
        };
        subjects(&options).expect("the folder is there").pop().expect("the table is there")
    }

    #[test]
    fn figures_come_by_row() {
        let mut names = ["also.x.y", "R11.a", "R2.a", "R1.b", "R1.a"];
        names.sort_by_key(|name| row_of(name));
        assert_eq!(names, ["R1.b", "R1.a", "R2.a", "R11.a", "also.x.y"]);
    }

    #[test]
    fn a_folder_without_tables_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let tables = vec!["febrl4".to_owned()];
        let options = ResolveOptions { folder: folder.path().into(), tables, seed: 1, customers: 1, peer: None };
        let why = resolve(&options).expect_err("nothing is there").to_string();
        assert!(why.contains("OPSHUB_ER_DATA names the folder"), "{why}");
    }
}
