//! Decisions of a review: taken over by a run, and learned from by the model that made it.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use offline::{Deciding, Decision, Decisions, Error, Inputs, Loaded, Recalibrated, load, recalibrate, run_with};
use resolver::{LinkState, Model, Parameters};

const MAP: &str = r#"
id = "no"
[columns]
given = "given_name"
family = "family_name"
born = { kind = "date", scheme = "birth" }
phone = "phone"
"#;

/// Pairs of rows of one name and day of birth. The first `sure` pairs have a number in common as well.
const PAIRS: usize = 80;
const SURE: usize = 10;

/// What the doubtful pairs score in [`doubtful`], log2 odds: 0.85.
const DOUBT_BITS: f64 = 2.5;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        let mut text = "no,given,family,born,phone\n".to_owned();
        for pair in 0..PAIRS {
            let name: String =
                [pair / 26, pair % 26].map(|n| char::from(b'a' + u8::try_from(n).unwrap())).iter().collect();
            let born = format!("19{:02}-{:02}-{:02}", 10 + pair, 1 + pair % 12, 1 + pair % 28);
            let phone = if pair < SURE { format!("+4915112345{pair:03}") } else { String::new() };
            for copy in ["x", "y"] {
                let _ = writeln!(text, "{pair}{copy},{name}o{name}a,{name}er{name},{born},{phone}");
            }
        }
        std::fs::write(place.0.path().join("people.csv"), text).unwrap();
        std::fs::write(place.0.path().join("people.toml"), MAP).unwrap();
        place
    }

    fn inputs(&self) -> Inputs {
        Inputs { files: vec![self.0.path().join("people.csv")], maps: vec![self.0.path().join("people.toml")] }
    }

    fn loaded(&self, model: Model) -> Loaded {
        load(self.inputs().open(None).unwrap(), model, Deciding::Now, &mut |_| ()).unwrap()
    }
}

/// The shipped model with a prior by which the pairs without a number are in doubt.
fn doubtful(place: &Place) -> Parameters {
    let loaded = place.loaded(Model::shipped());
    let mut bits = f64::NAN;
    let last = loaded.resolver.slot_of(&loaded.records.key(u32::try_from(2 * PAIRS - 1).unwrap()));
    loaded.resolver.for_each_edge(|edge| {
        if loaded.resolver.slot_of(edge.right).max(loaded.resolver.slot_of(edge.left)) == last {
            bits = f64::from(edge.total_millibits) / 1e3;
        }
    });
    let mut parameters = Parameters::shipped();
    parameters.prior.pair_bits += DOUBT_BITS - bits;
    parameters
}

/// The pairs by what became of them.
fn count(place: &Place, parameters: Parameters, state: LinkState) -> usize {
    let loaded = place.loaded(Model::from_parameters(parameters).unwrap());
    let mut count = 0;
    loaded.resolver.for_each_edge(|edge| count += usize::from(edge.state == state));
    count
}

/// Every pair that waits is decided; `accept` gets its number.
fn reviewed(place: &Place, parameters: &Parameters, accept: impl Fn(usize) -> bool) -> Result<Recalibrated, Error> {
    let mut loaded = place.loaded(Model::from_parameters(parameters.clone()).unwrap());
    let mut waiting = Vec::new();
    loaded.resolver.for_each_edge(|edge| {
        if edge.state == LinkState::Review {
            let slot = |key| loaded.resolver.slot_of(key).unwrap();
            let (left, right) = (slot(edge.left), slot(edge.right));
            waiting.push((left.min(right), left.max(right)));
        }
    });
    waiting.sort_unstable();
    let decisions: Decisions = waiting.into_iter().enumerate().map(|(at, pair)| (pair, accept(at))).collect();
    loaded.judge(&decisions);
    recalibrate(&loaded.resolver, "reviewed")
}

#[test]
fn pairs_that_people_reject_are_not_asked_about_again_and_sure_ones_stay_linked() {
    let place = Place::new();
    let before = doubtful(&place);
    assert_eq!(count(&place, before.clone(), LinkState::Review), PAIRS - SURE);
    let Recalibrated { parameters, report } = reviewed(&place, &before, |_| false).unwrap();
    assert_eq!((report.decided, report.used, report.undone), (PAIRS - SURE, PAIRS - SURE, 0));
    let step = &report.steps[0];
    assert!(step.accepted == 0.0 && (step.promised - 0.85).abs() < 0.01 && step.corrected < 0.4, "{step:?}");
    assert!(report.notes.iter().any(|note| note.contains("the model promised 0.85")), "{:?}", report.notes);
    assert_ne!(parameters.version, before.version);
    // The file holds all of it.
    let read = Parameters::parse(&parameters.to_toml()).unwrap();
    assert_eq!(count(&place, read.clone(), LinkState::Review), 0);
    assert_eq!(count(&place, read, LinkState::Linked), SURE);
}

#[test]
fn pairs_that_people_accept_are_linked_once_there_are_enough_of_them() {
    let place = Place::new();
    let before = doubtful(&place);
    let corrected = |accepted: usize| reviewed(&place, &before, |at| at < accepted).unwrap().report.steps[0].corrected;
    let (half, all) = (corrected((PAIRS - SURE) / 2), corrected(PAIRS - SURE));
    assert!(half < 0.85 && all > 0.9 && all < 0.95, "{half} {all}: seventy decisions do not outweigh the gate");
}

#[test]
fn decisions_on_pairs_that_were_in_no_doubt_correct_nothing() {
    let place = Place::new();
    let mut loaded = place.loaded(Model::shipped());
    loaded.judge(&Decisions::from_iter([((0, 1), false)]));
    let why = recalibrate(&loaded.resolver, "reviewed").unwrap_err().to_string();
    assert!(why.contains("of 1 decided pairs none was in doubt"), "{why}");
}

#[test]
fn a_run_takes_decisions_over() {
    let place = Place::new();
    let decisions = Decisions::from_iter([((0, 1), false), ((0, 2), true)]);
    let tables = place.inputs().open(None).unwrap();
    let run = run_with(tables, Model::shipped(), |_| Ok(decisions), &mut |_| ()).unwrap();
    let customers = &run.outcome.customers;
    assert!(customers[0] == customers[2] && customers[0] != customers[1], "{customers:?}");
    let decision = |right: u32| run.outcome.pairs.iter().find(|p| (p.left, p.right) == (0, right)).map(|p| p.decision);
    assert_eq!((decision(1), decision(2)), (Some(Decision::None), Some(Decision::Linked)));
}
