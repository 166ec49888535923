//! How right the outcome is, with a model trained on the table itself and no labels.

use benches::cpu::Stopwatch;
use benches::report::Figure;
use offline::{Evaluation, Linking, Truth};
use resolver::Model;

use super::{Subject, TRUTH, measure_of};

/// What is expected of the figures of one table: measure, goal, whether it is a ceiling.
type Goals = &'static [(&'static str, f64, bool)];

/// What is expected of each table.
const GOALS: &[(&str, Goals)] = &[
    ("febrl3", &[("f1", 0.998, false)]),
    ("febrl4", &[("f1", 0.999, false)]),
    (
        "historical_50k",
        &[
            ("closed_f1", 0.86, false),
            ("b_cubed_f1", 0.88, false),
            ("largest", 25.0, true),
            ("blocking_recall", 0.80, false),
        ],
    ),
    ("senzing_truth_set", &[("exact_clusters", 85.0, false)]),
    ("synth_100k", &[("precision_low", 0.95, false), ("recall_at_precision_99", 0.85, false)]),
    ("synth_1m", &[("precision_low", 0.95, false), ("recall_at_precision_99", 0.76, false)]),
];

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
    let figure = |(measure, value): (&str, f64)| {
        let (name, unit) = (measure_of(subject, measure), "");
        match goals.iter().find(|(goal, _, _)| *goal == measure) {
            Some((_, goal, true)) => Figure::at_most(name, value, unit, *goal),
            Some((_, goal, false)) => Figure::at_least(name, value, unit, *goal),
            None => Figure::told(name, value, unit),
        }
    };
    let mut figures: Vec<Figure> = values.into_iter().map(figure).collect();
    figures.sort_by_key(|figure| figure.goal.is_none());
    if let Some(first) = figures.first_mut() {
        *first = first
            .clone()
            .with("links", automatic.links)
            .with("precision", automatic.precision)
            .with("precision_high", automatic.precision_high)
            .with("recall", automatic.recall)
            .with("true_clusters", clusters.true_count as u64);
    }
    figures
}
