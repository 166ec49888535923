#![allow(clippy::unwrap_used)]
use ontology::Field;
use proptest::prelude::*;

use super::*;
use crate::compare::testing::subject;
use crate::compare::{Subject, compare};
use crate::kind::Kind;
use crate::score::{Circumstances, Standing, score};

const KINDS: [Kind; 12] = [
    Kind::GivenName,
    Kind::FamilyName,
    Kind::Date,
    Kind::Phone,
    Kind::Email,
    Kind::Identifier,
    Kind::Street,
    Kind::HouseNumber,
    Kind::PostalCode,
    Kind::City,
    Kind::WebDomain,
    Kind::Organisation,
];

/// Values of each kind that comparisons find equal, alike, within each other, swapped or different.
fn values() -> impl Strategy<Value = Vec<&'static str>> {
    let of = |values: &'static [&'static str]| prop::sample::select(values);
    vec![
        of(&["Robert", "Bob", "Rupert", "Robet", "Kessler", "Anna Maria", "Maria", "R", "Sue", ""]),
        of(&["Kessler", "Kesler", "Kesslre", "Robert", "Vankessler", "Mueller", "Muller", "Li", "Bo Kessler", ""]),
        of(&["1980-05-02", "1980-02-05", "1981-05-02", "1980-05-00", "1891-11-30", "1980-11-29", "1981-10-29", ""]),
        of(&["+14155550123", "+14155550132", "+14155551123", "4155550123", "+442079460123", ""]),
        of(&["bob.kessler@x.org", "bob.kesler@x.org", "bob.kessler@y.com", "rkessler@x.org", "b@x.org", ""]),
        of(&["AB1234567", "1234567", "1234576", "1234667", "9876543", "AB1", ""]),
        of(&["Mill Lane", "Mil Lane", "Old Mill Lane", "Lane Mill", "Abbey Road", ""]),
        of(&["12", "12a", "21", "140", ""]),
        of(&["62704", "62740", "62799", "62714", "90210", "123456789", ""]),
        of(&["Springfield", "Springfeld", "Portland", "Port", ""]),
        of(&["hartwell.com", "hartwell.de", "shop.hartwell.com", "abc.com", ""]),
        of(&["Kessler Foods", "Robert Kessler", "Kessler Foods 12", "Kessler Foods 13", "12 Kessler 13", "", "", ""]),
    ]
}

fn of(values: &[&'static str]) -> Subject {
    subject(&KINDS.into_iter().zip(values.iter().copied()).collect::<Vec<_>>())
}

fn model_of(case: usize) -> Model {
    let mut parameters = crate::parameters::Parameters::shipped();
    if case == 1 {
        // Where likeness speaks against, and difference for a pair, the bound still holds.
        for row in &mut parameters.features {
            for chances in row {
                (chances.m, chances.u) = (chances.u, chances.m);
            }
        }
    }
    Model::from_parameters(parameters).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn no_pair_is_worth_more_than_its_bound(a in values(), b in values(), generic in any::<u32>(), case in 0usize..2) {
        let model = model_of(case);
        let (mut left, right) = (of(&a), of(&b));
        for (feature, _) in <Feature as ontology::Vocabulary>::ALL.iter().filter(|(f, _)| generic >> *f as u32 & 5 == 5) {
            left.generic.insert(*feature);
        }
        let whole = compare(&left, &right);
        let total = score(&model, whole, Circumstances::of(&left, &right), Standing::default()).total_millibits;
        let sketches = [&left, &right].map(|of| Sketch::of(&of.standard, of.generic));
        for (x, y) in [(0, 1), (1, 0)] {
            let most = worth_at_most(&model, &sketches[x], &sketches[y]).unwrap();
            prop_assert!(most >= total, "{most} {total} {a:?} {b:?} {whole:?}");
        }
    }
}

#[test]
fn strangers_of_one_name_and_two_of_a_home_are_told_apart_at_a_glance() {
    let model = Model::shipped();
    let most = |a: &[(Kind, &str)], b: &[(Kind, &str)]| {
        let sketch = |values| Sketch::of(&subject(values).standard, FeatureSet::default());
        worth_at_most(&model, &sketch(a), &sketch(b)).unwrap()
    };
    let anna = [
        (Kind::GivenName, "Anna"),
        (Kind::FamilyName, "Bauer"),
        (Kind::Date, "1980-05-02"),
        (Kind::PostalCode, "62704"),
        (Kind::Phone, "+14155550123"),
    ];
    let (mut namesake, mut sister) = (anna, anna);
    (namesake[2].1, namesake[3].1, namesake[4].1) = ("1957-11-30", "90210", "+442079461999");
    (sister[0].1, sister[2].1) = ("Tobias", "1983-11-17");
    assert!(most(&anna, &namesake) < model.kept_millibits);
    assert!(most(&anna, &sister) < model.kept_millibits + 12_000 && most(&anna, &anna) > 15_000);
    assert_eq!(std::mem::size_of::<Sketch>(), 128);
}

/// A record of the hub with a few of the values that others have too.
fn record() -> impl Strategy<Value = ontology::PartyRecord> {
    use ontology::{EntityKey, EntityKind, FieldsBuilder, PartyRecord};
    let kind = prop::sample::select(&[EntityKind::Account, EntityKind::ArCustomer, EntityKind::BusinessPartner][..]);
    let text = |values: &'static [&'static str]| prop::sample::select(values);
    let texts = (
        text(&["", "A-1", "A-2", "A-3"]),
        text(&["", "P-1", "P-2"]),
        text(&["Hartwell Foods", "Hartwell Foods 7", "Hartwell Foods 70", "Hartwell 7a", "Orchard Dairy 7"]),
        text(&["", "+14155550123", "+442079461999"]),
        text(&["", "sales@hartwell.com", "info@orchard.org"]),
    );
    (kind, 0..40u8, texts).prop_map(|(kind, id, (account, partner, name, phone, email))| {
        let mut fields = FieldsBuilder::default();
        fields.text(Field::AccountXref, Some(account)).text(Field::PartnerXref, Some(partner));
        fields.text(Field::Name, Some(name)).text(Field::Phone, Some(phone)).text(Field::Email, Some(email));
        PartyRecord::read(&EntityKey::new(kind, id.to_string()), &fields.build())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn records_with_keys_are_judged_at_a_glance_if_they_share_none(a in record(), b in record(), case in 0usize..2) {
        let model = model_of(case);
        let [left, right] = [a, b].map(|record| Subject::of(Standard::of(&record, &model)));
        let whole = compare(&left, &right);
        let total = score(&model, whole, Circumstances::of(&left, &right), Standing::default()).total_millibits;
        let [x, y] = [&left, &right].map(|of| Sketch::of(&of.standard, of.generic));
        match worth_at_most(&model, &x, &y) {
            Some(most) => prop_assert!(most >= total && whole.of(Feature::Key) != Level::Exact, "{most} {total} {whole:?}"),
            None => prop_assert!(x.keys & y.keys != 0),
        }
    }
}

#[test]
fn keys_in_common_are_never_judged_at_a_glance() {
    let tax = |id| {
        let columns = [crate::kind::Column { kind: Kind::Identifier, scheme: "tax".into() }];
        let row = crate::kind::Layout::new(&columns).unwrap();
        let key = ontology::EntityKey::new(ontology::EntityKind::Account, "1");
        let row = row.row(key, 0, &[id]);
        Sketch::of(&Standard::of_row(&row, &Model::shipped()), FeatureSet::default())
    };
    assert_eq!(worth_at_most(&Model::shipped(), &tax("DE123456789"), &tax("987654321")), None);
}
