//! How right the outcome is, with a model trained on the table itself and no labels.

use benches::cpu::Stopwatch;
use benches::report::Figure;
use offline::{Evaluation, Linking, Truth, mistakes};
use resolver::Model;

use super::{NO_ROW, Subject, TRUTH, measure_of};

/// What is expected of a measure: its row, its name, the goal, and whether that is a ceiling.
type Goal = (&'static str, &'static str, f64, bool);

/// What is expected of each table.
const GOALS: &[(&str, &[Goal])] = &[
    ("febrl3", &[("R4", "f1", 0.998, false)]),
    ("febrl4", &[("R4", "f1", 0.999, false)]),
    (
        "historical_50k",
        &[
            ("R3", "closed_f1", 0.86, false),
            ("R3", "b_cubed_f1", 0.88, false),
            ("R3", "largest", 25.0, true),
            ("R3", "blocking_recall", 0.80, false),
        ],
    ),
    ("senzing_truth_set", &[("R10", "exact_clusters", 85.0, false)]),
    ("synth_100k", &[("R1", "precision_low", 0.95, false), ("R2", "recall_at_precision_99", 0.85, false)]),
    ("synth_1m", &[("R1", "precision_low", 0.95, false), ("R2", "recall_at_precision_99", 0.76, false)]),
];

/// Wrong customers that are told one by one, of tables of which every customer counts.
const MISTAKES_MAX: usize = 200;

pub(super) fn measure(subject: &Subject) -> anyhow::Result<Vec<Figure>> {
    let watch = Stopwatch::start();
    let trained = offline::train(&subject.inputs, subject.name, None, &mut |_| ())?;
    let train_cpu_s = watch.spent().cpu_s;
    let model = Model::from_parameters(trained.parameters)?;
    let watch = Stopwatch::start();
    let run = offline::run(subject.open(Some(TRUTH))?, model, &mut |_| ())?;
    let run_cpu_s = watch.spent().cpu_s;
    let records = &run.loaded.records;
    let truth = Truth::of_words(records.asked.iter().map(|word| word.as_str()));
    let found = offline::evaluate(
        records,
        &truth,
        &run.outcome,
        run.outcome.pairs.len() as u64,
        records.linking == Linking::Across,
    );
    let mut figures = told(subject, &found);
    if let Some(first) = figures.first_mut() {
        *first = first.clone().with("train_cpu_s", train_cpu_s).with("run_cpu_s", run_cpu_s);
    }
    if let Some(exact) = figures.iter_mut().find(|figure| figure.measure.starts_with("R10.")) {
        let wrong = mistakes(&run, &truth);
        *exact = exact.clone().with("wrong", serde_json::to_value(&wrong[..wrong.len().min(MISTAKES_MAX)])?);
    }
    Ok(figures)
}

/// The figures of a table: those with a goal first.
pub(super) fn told(subject: &Subject, found: &Evaluation) -> Vec<Figure> {
    let Evaluation { pairwise, clusters, automatic, .. } = found;
    let values = [
        ("precision_low", automatic.precision_low),
        ("recall_at_precision_99", found.recall_at_precision_99),
        ("f1", pairwise.f1),
        ("closed_f1", clusters.closed.f1),
        ("b_cubed_f1", clusters.b_cubed_f1),
        ("largest", clusters.largest as f64),
        ("exact_clusters", clusters.exact as f64),
        ("blocking_recall", found.blocking_recall.unwrap_or(f64::NAN)),
        ("candidates", found.candidates as f64),
    ];
    let goals = GOALS.iter().find(|(name, _)| *name == subject.name).map_or(&[][..], |(_, goals)| *goals);
    let figure = |(measure, value): (&str, f64)| match goals.iter().find(|(_, goal, ..)| *goal == measure) {
        Some((row, _, goal, true)) => Figure::at_most(measure_of(subject, row, measure), value, "", *goal),
        Some((row, _, goal, false)) => Figure::at_least(measure_of(subject, row, measure), value, "", *goal),
        None => Figure::told(measure_of(subject, NO_ROW, measure), value, ""),
    };
    let mut figures: Vec<Figure> = values.into_iter().map(figure).collect();
    figures.sort_by_key(|figure| figure.goal.is_none());
    if let Some(first) = figures.first_mut() {
        *first = first
            .clone()
            .with("links", automatic.links)
            .with("precision", automatic.precision)
            .with("precision_low", automatic.precision_low)
            .with("precision_high", automatic.precision_high)
            .with("recall", automatic.recall)
            .with("true_clusters", clusters.true_count as u64);
    }
    figures
}
