//! Explanations as people read them, whole.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;

use ontology::Vocabulary;
use ontology::status::Verdict;
use resolver::{Explanation, LinkState};
use support::{account, ar, judgement, partner, record, resolved};

fn told(explanation: &Explanation) -> String {
    let mut text = format!("{} - {}\n", explanation.left, explanation.right);
    for feature in explanation.features.iter().filter(|feature| feature.level != resolver::Level::Silent) {
        let (name, level) = (feature.feature.name(), feature.level.name());
        let bits = feature.contribution_millibits;
        writeln!(text, "{name} {level} {bits} [{}] [{}]", feature.left, feature.right).unwrap();
    }
    let (prior, total) = (explanation.prior_millibits, explanation.total_millibits);
    writeln!(text, "prior {prior} total {total} rules {:?}", explanation.rules).unwrap();
    let (confidence, threshold) = (explanation.confidence, explanation.threshold);
    writeln!(text, "{confidence} of {threshold}: {:?} {:?}", explanation.state, explanation.vetoes).unwrap();
    text
}

#[test]
fn a_linked_pair_is_explained() {
    let resolver = resolved(&[
        record(
            &account("A1"),
            &[
                ("name", "Hartwell Logistics, Inc."),
                ("phone", "(212) 555-0123"),
                ("street", "12 Mill Ln"),
                ("city", "Albany"),
                ("web_domain", "https://www.hartwell.example/"),
            ],
        ),
        record(
            &ar("R1"),
            &[
                ("name", "HARTWELL LOGISTISC LLC"),
                ("phone", "+12125550123"),
                ("street", "12 Mill Lane"),
                ("city", "Albany"),
                ("email", "ap@hartwell.example"),
            ],
        ),
    ]);
    let explanation = resolver.explain(&ar("R1"), &account("A1")).unwrap();
    assert_eq!(
        told(&explanation),
        "\
account/A1 - ar_customer/R1
name close 8000 [hartwell logistics] [hartwell logistisc]
phone exact 9000 [+12125550123] [+12125550123]
address exact 4007 [mill lane 12] [mill lane 12]
place partial 0 [albany] [albany]
web_domain exact 0 [hartwell.example] [hartwell.example]
prior -14000 total 7007 rules [\"confidence_max\"]
0.990000 of 0.950000: Linked []
"
    );
    assert_eq!(explanation.model_version, resolver.model().version);
    assert!(explanation.was_candidate && explanation.same_customer);
}

#[test]
fn a_pair_that_was_never_a_candidate_is_explained_too() {
    let resolver = resolved(&[
        record(&account("A1"), &[("name", "Zenith Foods"), ("tax_id", "111222333")]),
        record(&partner("P1"), &[("name", "Orchard Dairy"), ("tax_id", "999888777")]),
    ]);
    let explanation = resolver.explain(&account("A1"), &partner("P1")).unwrap();
    assert_eq!(
        told(&explanation),
        "\
account/A1 - business_partner/P1
tax_id different -9900 [111222333] [999888777]
name different -6000 [foods zenith] [dairy orchard]
prior -14000 total -29900 rules [\"name_or_place_only\", \"not_individuating\"]
0.000000 of 0.950000: Below [TaxIdVeto]
"
    );
    assert!(!explanation.was_candidate && !explanation.same_customer);
}

#[test]
fn decisions_are_told_in_the_order_in_which_they_count() {
    let mut resolver =
        resolved(&[record(&account("A1"), &[("name", "Zenith")]), record(&partner("P1"), &[("name", "Orchard")])]);
    resolver.judge(partner("P1"), account("A1"), judgement(Verdict::Link, 9));
    resolver.judge(account("A1"), partner("P1"), judgement(Verdict::Unlink, 3));
    resolver.drain();
    let explanation = resolver.explain(&account("A1"), &partner("P1")).unwrap();
    let verdicts: Vec<Verdict> = explanation.judgements.iter().map(|judgement| judgement.verdict).collect();
    assert_eq!(verdicts, [Verdict::Unlink, Verdict::Link]);
    assert_eq!(explanation.state, LinkState::Linked);
    assert!(explanation.confidence < explanation.threshold, "the score stays visible beside the decision");
}
