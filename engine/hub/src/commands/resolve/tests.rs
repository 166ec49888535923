//! The commands on a small table, end to end.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::commands::{Cli, run};
use clap::Parser;

const TABLE: &str = "\
no,given,family,born,phone,party\n\
1,Ann,Bauer,1970-01-02,+491711234567,x\n\
2,Anne,Bauer,1970-01-02,+491711234567,x\n\
3,Boris,Yamada,1981-03-04,+491719999999,y\n\
4,broken\n";
const MAP: &str = "\
id = \"no\"\n\
[columns]\n\
given = \"given\"\n\
family = \"family\"\n\
born = { kind = \"date\", scheme = \"birth\" }\n\
phone = \"phone\"\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("people.csv"), TABLE).unwrap();
        fs::write(place.path("people.toml"), MAP).unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    /// Runs `opshub resolve` with words; those that begin with `@` are files of this place.
    fn resolve(&self, words: &str) -> Result<(), u8> {
        let word = |word: &str| word.strip_prefix('@').map_or(word.to_owned(), |name| self.path(name));
        let words = ["opshub", "resolve"].map(str::to_owned).into_iter().chain(words.split(' ').map(word));
        run(Cli::try_parse_from(words).map_err(|_| 2_u8)?).map_err(|failure| failure.code)
    }
}

#[test]
fn a_table_goes_through_every_command() {
    let place = Place::new();
    assert_eq!(place.resolve("train --input @people.csv --map @people.toml --out @model.toml"), Ok(()));
    assert_eq!(place.resolve("run --input @people.csv --map @people.toml --model @model.toml --out @found"), Ok(()));
    let links = fs::read_to_string(place.path("found/links.csv")).unwrap();
    assert!(links.starts_with("left,right,probability,decision,weight_bits\n1,2,0.9"), "{links}");
    let clusters = fs::read_to_string(place.path("found/clusters.csv")).unwrap();
    assert_eq!(clusters.lines().count(), 4, "{clusters}");
    let rejected = fs::read_to_string(place.path("found/rejected.csv")).unwrap();
    assert_eq!(rejected, "file,line,reason,raw\npeople.csv,5,cells,\"4,broken\"\n");
    assert_eq!(place.resolve("evaluate --run @found --input @people.csv --truth party"), Ok(()));
    assert_eq!(place.resolve("evaluate --run @found --input @people.csv --truth party --mistakes @wrong.json"), Ok(()));
    assert_eq!(fs::read_to_string(place.path("wrong.json")).unwrap(), "[]\n");
    assert_eq!(place.resolve("explain --input @people.csv --map @people.toml 1 3 --json"), Ok(()));
    assert_eq!(place.resolve("diff --input @people.csv --map @people.toml --model @model.toml"), Ok(()));
}

#[test]
fn exit_codes_say_what_was_wrong() {
    let place = Place::new();
    assert_eq!(place.resolve("run --input @people.csv --out @found"), Err(2), "no map");
    assert_eq!(place.resolve("run --input @none.csv --map @people.toml --out @found"), Err(NOT_FOUND));
    assert_eq!(place.resolve("explain --input @people.csv --map @people.toml 1 99"), Err(NOT_FOUND));
    fs::write(place.path("bad.toml"), "[columns]\ngiven = \"givn\"\n").unwrap();
    assert_eq!(place.resolve("run --input @people.csv --map @bad.toml --out @found"), Err(CONFIG_INVALID));
    let with_bad_model = "run --input @people.csv --map @people.toml --model @bad.toml --out @found";
    assert_eq!(place.resolve(with_bad_model), Err(CONFIG_INVALID));
    assert_eq!(place.resolve("evaluate --run @found --input @people.csv --truth party"), Err(NOT_FOUND));
    fs::create_dir(place.path("found")).unwrap();
    assert_eq!(place.resolve("evaluate --run @found --input @people.csv --truth party"), Err(super::super::FAILED));
    assert_eq!(place.resolve("explain --input @people.csv --map @people.toml 1 1"), Err(USAGE), "one record");
}

#[test]
fn a_model_that_is_not_there_is_told_with_what_makes_one() {
    let place = Place::new();
    let failed = model(Some(Path::new(&place.path("none.toml")))).unwrap_err();
    let told = failed.error.unwrap().to_string();
    assert!(failed.code == NOT_FOUND && told.contains("`opshub resolve train` writes one"), "{told}");
    let failed = model(Some(Path::new(&place.path("")))).unwrap_err();
    assert!(failed.error.unwrap().to_string().contains("read model"), "a folder is no model");
}

#[test]
fn decisions_are_taken_over_by_a_run() {
    let place = Place::new();
    fs::write(place.path("decided.csv"), "left,right,same\n1,2,no\n1,3,yes\n").unwrap();
    let run = "run --input @people.csv --map @people.toml --out @found --decisions";
    assert_eq!(place.resolve(&format!("{run} @decided.csv")), Ok(()));
    let clusters = fs::read_to_string(place.path("found/clusters.csv")).unwrap();
    let customer = |record: &str| {
        let row = clusters.lines().find_map(|line| line.strip_prefix(&format!("{record},")));
        row.unwrap_or_default().to_owned()
    };
    assert!(customer("1") == customer("3") && customer("1") != customer("2"), "{clusters}");
    fs::write(place.path("decided.csv"), "left,right,same\n1,2,perhaps\n").unwrap();
    assert_eq!(place.resolve(&format!("{run} @decided.csv")), Err(super::super::FAILED));
}

#[test]
fn a_review_that_left_nothing_in_doubt_corrects_nothing() {
    let place = Place::new();
    fs::write(place.path("decided.csv"), "left,right,same\n1,3,no\n").unwrap();
    let with = "calibrate --input @people.csv --map @people.toml --decisions @decided.csv --out @new.toml";
    assert_eq!(place.resolve(with), Err(super::super::FAILED));
    assert!(!std::path::Path::new(&place.path("new.toml")).exists());
    assert_eq!(place.resolve("calibrate --input @people.csv --map @people.toml --out @new.toml"), Err(2));
    assert_eq!(place.resolve("calibrate --store @nowhere --out @new.toml"), Err(NOT_FOUND));
}

#[test]
fn what_people_decided_is_never_written_over() {
    let place = Place::new();
    let run = "run --input @people.csv --map @people.toml --out @found";
    assert_eq!(place.resolve(run), Ok(()));
    assert_eq!(place.resolve(run), Ok(()), "its own results are written anew");
    let with_itself = format!("{run} --decisions @found/review.csv");
    assert_eq!(place.resolve(&with_itself), Err(super::super::FAILED), "it would write over what it reads");
    let decided = "left,right,probability,weight_bits,why_not_automatic,same\n1,3,0.5,0.0,below_gate,no\n";
    fs::write(place.path("found/review.csv"), decided).unwrap();
    assert_eq!(place.resolve(run), Err(super::super::FAILED));
    assert_eq!(place.resolve(&with_itself), Err(super::super::FAILED));
    assert_eq!(fs::read_to_string(place.path("found/review.csv")).unwrap(), decided);
    let elsewhere = with_itself.replace("--out @found", "--out @next");
    assert_eq!(place.resolve(&elsewhere), Ok(()), "decisions are read where they stand");
}

#[test]
fn nothing_foreign_and_nothing_that_is_read_is_written_over() {
    let place = Place::new();
    let run = |out: &str| place.resolve(&format!("run --input @people.csv --map @people.toml --out {out}"));
    assert_eq!(run("@people.csv"), Err(super::super::FAILED), "a file is no folder");
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/links.csv"), "my own\n").unwrap();
    assert_eq!(run("@mine"), Err(super::super::FAILED));
    assert_eq!(fs::read_to_string(place.path("mine/links.csv")).unwrap(), "my own\n");
    fs::rename(place.path("mine/links.csv"), place.path("mine/notes.csv")).unwrap();
    assert_eq!(run("@mine"), Ok(()), "what has another name is left alone");

    let train = |out: &str| place.resolve(&format!("train --input @people.csv --map @people.toml --out {out}"));
    assert_eq!((train("@people.toml"), train("@people.csv")), (Err(super::super::FAILED), Err(super::super::FAILED)));
    assert_eq!((train("@model.toml"), train("@model.toml")), (Ok(()), Ok(())), "a model may be learned anew");
    let calibrate = "calibrate --input @people.csv --map @people.toml --decisions @people.csv --out @people.toml";
    assert_eq!(place.resolve(calibrate), Err(super::super::FAILED));
    let evaluate = "evaluate --run @mine --input @people.csv --truth party --mistakes @people.csv";
    assert_eq!(place.resolve(evaluate), Err(super::super::FAILED));
    assert_eq!(fs::read_to_string(place.path("people.toml")).unwrap(), MAP);
    assert_eq!(fs::read_to_string(place.path("people.csv")).unwrap(), TABLE);
}
