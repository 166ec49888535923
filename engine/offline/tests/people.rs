//! A table of invented people through the whole journey: train, run, evaluate, explain, compare.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use offline::{Decision, Evaluation, Inputs, Labels, Linking, Outcome, Run, Truth, difference, evaluate, run, train};
use resolver::{Model, Parameters};

const GIVEN: &[&str] = &[
    "anna", "boris", "carla", "dmitri", "elena", "farid", "greta", "hugo", "irene", "jonas", "karin", "luis", "mei",
    "nils", "olga", "pavel", "quentin", "rosa", "selim", "tamar", "ulrich", "vera", "walid", "xenia", "yusuf", "zoe",
];
const FAMILY: &[&str] = &[
    "abernathy",
    "bauer",
    "castellan",
    "drummond",
    "eriksen",
    "farrow",
    "grantham",
    "hoffmann",
    "iverson",
    "jankowski",
    "kessler",
    "lindqvist",
    "moreno",
    "nakamura",
    "okafor",
    "petrov",
    "quigley",
    "rosenthal",
    "santiago",
    "thornbury",
    "ullman",
    "vasquez",
    "whitcombe",
    "yamada",
    "zimmermann",
];
const STREETS: &[&str] = &["mill lane", "station road", "high street", "park avenue", "church row", "north quay"];

const MAP: &str = r#"
id = "no"
country = "AU"
[columns]
given = "given_name"
family = "family_name"
born = { kind = "date", scheme = "birth" }
house = "house_number"
street = "street"
zip = "postcode"
phone = "phone"
"#;

/// A linear congruential generator (Knuth's constants): the table is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// People, every third with a second row that has a typing error or lacks its number, every fifth
/// with a partner of the same home.
fn table(people: usize) -> String {
    let mut chance = Chance(7);
    let mut text = "no,given,family,born,house,street,zip,phone,party,extra\n".to_owned();
    let mut row = 0;
    let mut write = |fields: [&str; 7], party: usize| {
        row += 1;
        let _ = writeln!(text, "R-{row},{},P{party},x", fields.join(","));
    };
    for party in 0..people {
        let (family, house) = (chance.pick(FAMILY), (1 + chance.below(400)).to_string());
        let (street, zip) = (chance.pick(STREETS), (2_000 + chance.below(900)).to_string());
        let phone = format!("04{:08}", chance.below(100_000_000));
        let mut person = |number: usize, copies: usize| {
            let given = chance.pick(GIVEN);
            let born =
                format!("19{:02}-{:02}-{:02}", 10 + chance.below(80), 1 + chance.below(12), 1 + chance.below(28));
            write([given, family, &born, &house, street, &zip, &phone], number);
            if copies > 1 {
                let slip = family.replacen(&family[1..2], "", 1);
                let phone = if chance.below(2) == 0 { "" } else { phone.as_str() };
                write([given, &slip, &born, &house, street, &zip, phone], number);
            }
        };
        person(party, if party % 3 == 0 { 2 } else { 1 });
        if party % 5 == 0 {
            person(people + party, 1);
        }
    }
    text
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn inputs(&self, table: &str, map: &str) -> Inputs {
        Inputs { files: vec![self.put("people.csv", table)], maps: vec![self.put("people.toml", map)] }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn resolved(inputs: &Inputs, model: Model) -> (Run, Evaluation) {
    let run = run(inputs.open(Some("party")).unwrap(), model, &mut |_| ()).unwrap();
    let records = &run.loaded.records;
    let truth = Truth::of_words(records.asked.iter().map(|word| word.as_str()));
    let found = evaluate(records, &truth, &run.outcome, run.outcome.pairs.len() as u64, false);
    (run, found)
}

#[test]
fn a_model_is_learned_from_the_table_and_resolves_it() {
    let folder = Folder::new();
    let inputs = folder.inputs(&table(600), MAP);
    let trained = train(&inputs, "people", None, &mut |_| ()).unwrap();
    assert!(trained.report.has_converged, "{:?}", trained.report.notes);
    assert!((150.0..260.0).contains(&trained.report.matches_expected), "{}", trained.report.matches_expected);
    let again = train(&inputs, "people", None, &mut |_| ()).unwrap();
    assert_eq!(trained.parameters, again.parameters, "the same table gives the same model");

    let text = trained.parameters.to_toml();
    let model = Model::from_parameters(Parameters::parse(&text).unwrap()).unwrap();
    let (run, found) = resolved(&inputs, model);
    assert_eq!(run.loaded.records.unknown, ["extra"]);
    assert!(found.automatic.precision >= 0.98, "{found:?}");
    assert!(found.automatic.recall >= 0.95, "{found:?}");
    assert!(found.clusters.largest <= 3, "{found:?}");
    assert!(found.blocking_recall.unwrap() >= 0.99, "{found:?}");
}

#[test]
fn labels_calibrate_and_change_nothing_else() {
    let folder = Folder::new();
    let inputs = folder.inputs(&table(600), MAP);
    let plain = train(&inputs, "people", None, &mut |_| ()).unwrap();
    let labels = Labels::named("party");
    let labelled = train(&inputs, "people", Some(&labels), &mut |_| ()).unwrap();
    let curve = labelled.report.calibration.unwrap();
    assert!(curve.labels > curve.matches && curve.matches >= 190, "{curve:?}");
    assert!(curve.knots.windows(2).all(|pair| pair[0][1] <= pair[1][1]), "{curve:?}");
    assert_eq!(labelled.parameters.features, plain.parameters.features);
    assert_ne!(labelled.parameters.version, plain.parameters.version);
}

#[test]
fn a_run_can_be_evaluated_later_from_its_folder() {
    let folder = Folder::new();
    let inputs = folder.inputs(&table(60), MAP);
    let (run, found) = resolved(&inputs, Model::shipped());
    let out = folder.path().join("found");
    let records = &run.loaded.records;
    run.outcome.write(&out, records, &run.outcome.summary(records, "shipped")).unwrap();
    inputs.keep_maps(&out).unwrap();
    let kept = Inputs { files: inputs.files.clone(), maps: Inputs::kept_maps(&out).unwrap() };
    let read = kept.open(Some("party")).unwrap().read(|_| ()).unwrap();
    let (outcome, summary) = Outcome::read(&out, &read).unwrap();
    let truth = Truth::of_words(read.asked.iter().map(|word| word.as_str()));
    assert_eq!(evaluate(&read, &truth, &outcome, summary.candidates, summary.across_only), found);
    assert!(Inputs::kept_maps(folder.path()).unwrap_err().to_string().contains("keeps no map"));
}

#[test]
fn two_records_are_explained_in_either_order() {
    let folder = Folder::new();
    let (run, _) = resolved(&folder.inputs(&table(60), MAP), Model::shipped());
    let told = run.explain("R-1", "R-2").unwrap();
    assert_eq!((told.left.as_str(), told.right.as_str()), ("R-1", "R-2"));
    let swapped = run.explain("R-2", "R-1").unwrap();
    assert_eq!(told.total_bits, swapped.total_bits);
    let family = |told: &offline::Told| told.features.iter().find(|f| f.feature == "family_name").unwrap().clone();
    assert_eq!(family(&told).left, family(&swapped).right);
    let sum: f64 = told.prior_bits + told.features.iter().map(|feature| feature.bits).sum::<f64>();
    assert_eq!(told.steps.len(), 1, "two records need one link: {:?}", told.steps);
    assert!(told.notes.iter().any(|note| note.starts_with("proposed by: ")), "{:?}", told.notes);
    assert!((sum - told.total_bits).abs() < 0.05, "the waterfall adds up: {sum} {}", told.total_bits);
    assert!(run.explain("R-1", "nobody").unwrap_err().to_string().contains("find record nobody"));
}

#[test]
fn a_stricter_model_only_splits() {
    let folder = Folder::new();
    let inputs = folder.inputs(&table(120), MAP);
    let mut strict = Parameters::shipped();
    strict.prior.pair_bits -= 30.0;
    let strict = Model::from_parameters(strict).unwrap();
    let changes = difference(&inputs, Model::shipped(), strict, &mut |_| ()).unwrap();
    assert!(!changes.splits.is_empty() && changes.merges.is_empty(), "{changes:?}");
    let same = difference(&inputs, Model::shipped(), Model::shipped(), &mut |_| ()).unwrap();
    assert_eq!((same.unchanged, same.splits.len()), (same.customers_before, 0));
}

#[test]
fn across_sources_no_two_records_of_one_are_linked() {
    let folder = Folder::new();
    let inputs = Inputs {
        files: vec![folder.put("a.csv", &table(60)), folder.put("b.csv", &table(60))],
        maps: vec![folder.put("people.toml", &format!("link = \"across\"\n{MAP}"))],
    };
    let tables = inputs.open(None).unwrap();
    assert_eq!(tables.linking(), Linking::Across);
    let run = run(tables, Model::shipped(), &mut |_| ()).unwrap();
    let records = &run.loaded.records;
    let linked: Vec<_> = run.outcome.pairs.iter().filter(|pair| pair.decision == Decision::Linked).collect();
    assert!(linked.len() >= 60, "{}", linked.len());
    assert!(linked.iter().all(|pair| records.source_of(pair.left) != records.source_of(pair.right)));
    assert_eq!(records.name(0), "a/R-1");
}

#[test]
fn too_little_is_told_and_not_guessed() {
    let folder = Folder::new();
    let one = folder.inputs("no,given,family,born,house,street,zip,phone,party\n1,ann,bauer,,,,,,\n", MAP);
    let why = run(one.open(None).unwrap(), Model::shipped(), &mut |_| ()).unwrap_err().to_string();
    assert!(why.contains("1 usable records"), "{why}");
    let strangers = "no,given,family,born,house,street,zip,phone,party\n1,ann,bauer,,,,,,\n2,zoe,yamada,,,,,,\n";
    let two = folder.inputs(strangers, MAP);
    let trained = train(&two, "two", None, &mut |_| ()).unwrap();
    assert!(trained.report.notes[0].contains("the model is the shipped one"), "{:?}", trained.report.notes);
}
