//! What `opshub resolve` prints for people.

use std::fmt::Write;
use std::path::Path;

use offline::{Change, DecisionsReport, Difference, Evaluation, Summary, Told, TrainReport};

use crate::client::{count, table};

/// Changes that are listed of each kind; `--json` has them all.
const CHANGES_SHOWN: usize = 10;

/// Widest bar of a waterfall, in characters, and the bits that it stands for.
const BAR_MAX: f64 = 24.0;
const BAR_BITS: f64 = 24.0;

pub(super) fn summary(told: &Summary, folder: &Path) -> String {
    let Summary { records, sources, candidates, linked, review, customers, largest, model, .. } = told;
    format!(
        "{} of {} are {}, the largest with {}\n{} compared by model {model}: {linked} linked, {review} for review\nsee {}\n",
        count(*records, "record"),
        if sources.len() == 1 { "one source".to_owned() } else { format!("{} sources", sources.len()) },
        count(*customers, "customer"),
        count(*largest, "record"),
        count(usize::try_from(*candidates).unwrap_or(usize::MAX), "pair"),
        folder.display()
    )
}

pub(super) fn trained(report: &TrainReport) -> String {
    let mut text = format!(
        "model {}: {} records, {} random pairs, {} candidates, {} passes\n\n",
        report.version, report.records, report.random_pairs, report.candidates, report.passes
    );
    let rules = report
        .rules
        .iter()
        .map(|rule| [rule.rule.clone(), rule.pairs.to_string(), percent(rule.match_share), percent(rule.home_share)]);
    let _ = writeln!(text, "{}\n", table(["training rule", "pairs", "matches", "one home"], rules));
    let levels = report.features.iter().flat_map(|feature| {
        feature.levels.iter().map(|level| {
            [
                feature.feature.clone(),
                level.level.clone(),
                format!("{:.4}", level.m),
                format!("{:.7}", level.u),
                level.home.map(|home| format!("{home:.4}")).unwrap_or_default(),
                format!("{:+.1}", level.bits),
            ]
        })
    });
    let head = ["feature", "level", "m", "u", "home", "bits"];
    let _ = writeln!(text, "{}\n", table(head, levels));
    let _ = writeln!(
        text,
        "prior {:+.1} bits: about {:.0} pairs of records are one party; one home {:+.1} bits, moved {:+.1} bits",
        report.pair_bits, report.matches_expected, report.home_bits, report.moved_bits
    );
    if let Some(curve) = &report.calibration {
        let _ = writeln!(
            text,
            "\ncalibrated ({}) on {} pairs, {} of them one party",
            curve.method, curve.labels, curve.matches
        );
        let knots = curve.knots.iter().map(|[bits, share]| [format!("{bits:+.1}"), format!("{share:.4}")]);
        let _ = writeln!(text, "{}", table(["bits", "probability"], knots));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

pub(super) fn recalibrated(report: &DecisionsReport) -> String {
    let DecisionsReport { from, version, decided, used, .. } = report;
    let mut text = format!("model {version}: model {from} corrected by {used} of {decided} decided pairs\n\n");
    let steps = report.steps.iter().map(|step| {
        [
            format!("{:+.1}", step.bits),
            step.decisions.to_string(),
            format!("{:.4}", step.promised),
            format!("{:.4}", step.accepted),
            format!("{:.4}-{:.4}", step.accepted_low, step.accepted_high),
            format!("{:.4}", step.corrected),
        ]
    });
    let head = ["bits", "decisions", "promised", "accepted", "95 % interval", "corrected"];
    let _ = writeln!(text, "{}", table(head, steps));
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

pub(super) fn evaluation(found: &Evaluation) -> String {
    let Evaluation { pairwise, clusters, automatic, .. } = found;
    let share = |value: f64| format!("{value:.4}");
    let figures = [
        ["links".to_owned(), share(pairwise.precision), share(pairwise.recall), share(pairwise.f1)],
        [
            "clusters, closed".to_owned(),
            share(clusters.closed.precision),
            share(clusters.closed.recall),
            share(clusters.closed.f1),
        ],
        [
            "clusters, B-cubed".to_owned(),
            share(clusters.b_cubed_precision),
            share(clusters.b_cubed_recall),
            share(clusters.b_cubed_f1),
        ],
    ];
    let mut text = table(["", "precision", "recall", "F1"], figures).to_string();
    let _ = write!(
        text,
        "\n\n{} records, {} true pairs; {} links, right in {} (95 % interval {} to {})\n\
         {} customers ({} in truth, {} exactly so), the largest with {} records\n\
         recall where 99 of 100 are right: {}\n{} candidates",
        found.records,
        found.true_pairs,
        automatic.links,
        percent(automatic.precision),
        percent(automatic.precision_low),
        percent(automatic.precision_high),
        clusters.count,
        clusters.true_count,
        clusters.exact,
        clusters.largest,
        share(found.recall_at_precision_99),
        found.candidates,
    );
    if let Some(recall) = found.blocking_recall {
        let _ = write!(text, ", blocking recall {}", share(recall));
    }
    let bins = found.calibration.iter().map(|bin| {
        [
            bin.bin.clone(),
            share(bin.predicted),
            share(bin.observed),
            format!("{:.4}-{:.4}", bin.observed_low, bin.observed_high),
            bin.n.to_string(),
        ]
    });
    let _ = writeln!(text, "\n\n{}", table(["probability", "promised", "observed", "95 % interval", "pairs"], bins));
    if found.by_sources.len() > 1 {
        let sources = found.by_sources.iter().map(|pair| {
            let interval = format!("{:.4}-{:.4}", pair.automatic.precision_low, pair.automatic.precision_high);
            let names = format!("{} - {}", pair.left, pair.right);
            [
                names,
                pair.automatic.links.to_string(),
                share(pair.automatic.precision),
                interval,
                share(pair.automatic.recall),
            ]
        });
        let _ = writeln!(text, "\n{}", table(["sources", "links", "precision", "95 % interval", "recall"], sources));
    }
    text
}

pub(super) fn difference(found: &Difference) -> String {
    let Difference { customers_before, customers_after, unchanged, merges, splits, regroupings } = found;
    let mut text = format!(
        "{customers_before} customers become {customers_after}: {unchanged} unchanged, {} merges, {} splits, {} regroupings\n",
        merges.len(),
        splits.len(),
        regroupings.len()
    );
    for (word, changes) in [("merge", merges), ("split", splits), ("regroup", regroupings)] {
        for Change { before, after } in changes.iter().take(CHANGES_SHOWN) {
            let _ = writeln!(text, "{word}: {} -> {}", customers(before), customers(after));
        }
        if changes.len() > CHANGES_SHOWN {
            let _ = writeln!(text, "{word}: {} more, see --json", changes.len() - CHANGES_SHOWN);
        }
    }
    text
}

fn customers(of: &[Vec<String>]) -> String {
    of.iter().map(|members| format!("[{}]", members.join(", "))).collect::<Vec<_>>().join(" ")
}

pub(super) fn explanation(told: &Told) -> String {
    let mut text = format!(
        "{} and {}: {} at {:.6} (linked from {:.2}, model {})\n\n",
        told.left, told.right, told.state, told.probability, told.link_min, told.model
    );
    let prior =
        ["prior".to_owned(), String::new(), String::new(), String::new(), bits(told.prior_bits), bar(told.prior_bits)];
    let features = told.features.iter().map(|feature| {
        [
            feature.feature.clone(),
            feature.left.clone(),
            feature.right.clone(),
            feature.level.clone(),
            bits(feature.bits),
            bar(feature.bits),
        ]
    });
    let total =
        ["total".to_owned(), String::new(), String::new(), String::new(), bits(told.total_bits), bar(told.total_bits)];
    let rows = std::iter::once(prior).chain(features).chain(std::iter::once(total));
    let _ = writeln!(text, "{}", table(["", told.left.as_str(), told.right.as_str(), "level", "bits", ""], rows));
    for note in &told.notes {
        let _ = writeln!(text, "{note}");
    }
    for (at, step) in told.steps.iter().enumerate() {
        let _ = writeln!(text, "step {}: {} and {} at {:.6}", at + 1, step.left, step.right, step.probability);
    }
    text
}

fn bits(value: f64) -> String {
    format!("{value:+.1}")
}

/// A bar to the right for what speaks for a link, to the left for what speaks against it.
fn bar(value: f64) -> String {
    let length = (value.abs() / BAR_BITS * BAR_MAX).round().min(BAR_MAX) as usize;
    if value < 0.0 { format!("{:->length$}", "", length = length) } else { "+".repeat(length) }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_bits_and_end_at_their_width() {
        assert_eq!((bar(0.2), bar(3.0), bar(-2.0)), (String::new(), "+++".to_owned(), "--".to_owned()));
        assert_eq!((bar(99.0).len(), bar(-99.0).len()), (24, 24));
    }

    #[test]
    fn long_lists_of_changes_say_how_many_are_left_out() {
        let change =
            Change { before: vec![vec!["a".into()], vec!["b".into()]], after: vec![vec!["a".into(), "b".into()]] };
        let found = Difference { merges: vec![change; 12], ..Difference::default() };
        let text = difference(&found);
        assert_eq!(text.matches("merge: [a] [b] -> [a, b]").count(), 10);
        assert!(text.contains("merge: 2 more, see --json"), "{text}");
    }
}
