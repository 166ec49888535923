//! Names of people, given and family name apart, because members of a household share one of them.

use super::{Comparison, Subject, bits, words};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::{edits_up_to_two, jaro_winkler_from};
use crate::standard::{BETWEEN, Part, lexicon};

pub(super) const COMPARISON: Comparison =
    Comparison { needs: bits([Part::Given, Part::Family]), sets: &[Feature::GivenName, Feature::FamilyName], compare };

/// Similarities from which words are alike, and from which they are not clearly different.
const ALIKE_MIN: f64 = 0.9;
const SOMEWHAT_ALIKE_MIN: f64 = 0.8;

/// Words shorter than this are other ones after one error, and after two.
const ONE_ERROR_LENGTH_MIN: usize = 3;
const TWO_ERRORS_LENGTH_MIN: usize = 6;

/// Letters that a name has in common with its longer form at least: `berg` and `vandenberg`.
const ENDING_LENGTH_MIN: usize = 4;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let names = |subject: &'_ Subject| -> (usize, usize) {
        (subject.standard.part(Part::Given).len(), subject.standard.part(Part::Family).len())
    };
    let (a, b) = (left, right);
    let (given_a, family_a) = (a.standard.part(Part::Given), a.standard.part(Part::Family));
    let (given_b, family_b) = (b.standard.part(Part::Given), b.standard.part(Part::Family));
    let mut given = of_given(given_a, given_b);
    let mut family = of_family(family_a, family_b);
    if !(given.agrees() && family.agrees()) && names(a).0.min(names(b).0) > 0 {
        // Entered the wrong way round; word for word, or with an error.
        let crossed = crossed((given_a, family_a), (given_b, family_b));
        let is_bag = family != Level::Exact && same_bag((given_a, family_a), (given_b, family_b));
        if is_bag || crossed == Some((Level::Exact, Level::Exact)) {
            (given, family) = (Level::Variant, Level::Variant);
        } else if crossed.is_some() {
            (given, family) = (Level::Close, Level::Close);
        }
    }
    if !given.agrees() && (family_a.is_empty() || family_b.is_empty()) {
        // One name alone may be either: `Leach` against `Carl Leach`.
        let other =
            if family_a.is_empty() { agreeing_family(given_a, family_b) } else { agreeing_family(given_b, family_a) };
        if other.is_some() {
            (given, family) = (Level::Silent, Level::Variant);
        }
    }
    let (generation_a, generation_b) = (a.standard.part(Part::Generation), b.standard.part(Part::Generation));
    if !generation_a.is_empty() && !generation_b.is_empty() && generation_a != generation_b {
        // A father and the son of his name.
        given = Level::Different;
    }
    levels.set(Feature::GivenName, given);
    levels.set(Feature::FamilyName, family);
}

/// Agreement of given names, mostly by their first one: middle names come and go.
fn of_given(a: &[u8], b: &[u8]) -> Level {
    if a.is_empty() || b.is_empty() {
        return Level::Silent;
    }
    let (x, y) = (first(a), first(b));
    if x == y {
        return if x.len() == 1 && (a.len() > 1 || b.len() > 1) && a != b { Level::Initial } else { Level::Exact };
    }
    if x.len() == 1 || y.len() == 1 {
        return if x[0] == y[0] { Level::Initial } else { Level::Different };
    }
    if lexicon().are_one_name(x, y) || same_letters_parted_otherwise(a, b) {
        return Level::Variant;
    }
    let mut level = of_given_words(x, y);
    if lexicon().is_name(x) && lexicon().is_name(y) {
        // `Mary` and `Mark` are two names, not one with a typing error: sisters as often as one.
        level = level.max(Level::Household);
    }
    let shares_a_later_one = words(a).any(|one| one.len() > 1 && words(b).any(|other| other == one));
    if shares_a_later_one { level.min(Level::Partial) } else { level }
}

/// Agreement of two given names. Names that begin alike and go on differently are two of a family as
/// often as one mistyped, so that two errors or a shortened name are the most that is near.
fn of_given_words(a: &[u8], b: &[u8]) -> Level {
    let is_shortened = a.len().min(b.len()) >= ONE_ERROR_LENGTH_MIN && (a.starts_with(b) || b.starts_with(a));
    match of_words(a, b) {
        Level::Near if !is_shortened && edits_up_to_two(a, b) > 2 => Level::Partial,
        level => level,
    }
}

/// How the names agree, each as the other's kind, if both do.
fn crossed(a: (&[u8], &[u8]), b: (&[u8], &[u8])) -> Option<(Level, Level)> {
    Some((agreeing_family(a.0, b.1)?, agreeing_family(a.1, b.0)?))
}

/// Agreement of family names, if they agree.
fn agreeing_family(a: &[u8], b: &[u8]) -> Option<Level> {
    family_by_errors(a, b).filter(|level| level.agrees())
}

/// Agreement of family names.
fn of_family(a: &[u8], b: &[u8]) -> Level {
    family_by_errors(a, b).unwrap_or_else(|| by_likeness(a, b))
}

/// Agreement of family names as far as errors are to be counted; none if only likeness is left.
fn family_by_errors(a: &[u8], b: &[u8]) -> Option<Level> {
    if a.is_empty() || b.is_empty() {
        return Some(Level::Silent);
    }
    if a == b {
        return Some(Level::Exact);
    }
    if a.len() == 1 || b.len() == 1 {
        return Some(if a[0] == b[0] { Level::Initial } else { Level::Different });
    }
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let is_part = words(short).any(|one| one.len() > 1 && words(long).any(|other| other == one));
    let is_ending = short.len() >= ENDING_LENGTH_MIN && long.ends_with(short);
    if is_part || is_ending || same_letters_parted_otherwise(a, b) || same_without_umlauts(a, b) {
        return Some(Level::Variant);
    }
    by_errors(a, b)
}

fn of_words(a: &[u8], b: &[u8]) -> Level {
    by_errors(a, b).unwrap_or_else(|| by_likeness(a, b))
}

/// Agreement of words by the errors between them; none if those are too many.
fn by_errors(a: &[u8], b: &[u8]) -> Option<Level> {
    let length = a.len().min(b.len());
    match edits_up_to_two(a, b) {
        0 => Some(Level::Exact),
        1 if length >= ONE_ERROR_LENGTH_MIN => Some(Level::Close),
        2 if length >= TWO_ERRORS_LENGTH_MIN => Some(Level::Near),
        _ => None,
    }
}

fn by_likeness(a: &[u8], b: &[u8]) -> Level {
    match jaro_winkler_from(a, b, SOMEWHAT_ALIKE_MIN) {
        Some(similarity) if similarity >= ALIKE_MIN => Level::Near,
        Some(_) => Level::Partial,
        None => Level::Different,
    }
}

fn first(names: &[u8]) -> &[u8] {
    words(names).next().unwrap_or_default()
}

/// `mary ann` and `maryann`.
fn same_letters_parted_otherwise(a: &[u8], b: &[u8]) -> bool {
    let letters = |value: &'_ [u8]| value.iter().filter(|byte| **byte != b' ').count();
    let is_parted = a.contains(&b' ') || b.contains(&b' ');
    is_parted
        && letters(a) == letters(b)
        && a.iter().filter(|byte| **byte != b' ').eq(b.iter().filter(|byte| **byte != b' '))
}

/// `mueller` and `muller`: an umlaut written out and one that lost its dots.
fn same_without_umlauts(a: &[u8], b: &[u8]) -> bool {
    a.len() != b.len() && plain(a).eq(plain(b))
}

/// Letters without an e that follows a, o or u.
fn plain(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut before = 0u8;
    name.iter().copied().filter(move |letter| {
        let is_umlaut = *letter == b'e' && matches!(before, b'a' | b'o' | b'u');
        before = *letter;
        !is_umlaut
    })
}

/// Whether two people have the same words in their names, at least two, in whatever place.
fn same_bag(a: (&[u8], &[u8]), b: (&[u8], &[u8])) -> bool {
    let all = |names: (&'_ [u8], &'_ [u8])| words(names.0).count() + words(names.1).count();
    let count = all(a);
    let within = |word: &[u8], names: (&[u8], &[u8])| words(names.0).chain(words(names.1)).any(|other| other == word);
    count > 2
        && count == all(b)
        && !a.0.contains(&BETWEEN)
        && words(a.0).chain(words(a.1)).all(|word| within(word, b))
        && words(b.0).chain(words(b.1)).all(|word| within(word, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    fn people(left: (&str, &str), right: (&str, &str), given: Level, family: Level) {
        let of = |(given, family): (&'static str, &'static str)| [(Kind::GivenName, given), (Kind::FamilyName, family)];
        // Leaked for the helper's sake: a few bytes in a test.
        let fixed = |(given, family): (&str, &str)| -> (&'static str, &'static str) {
            (given.to_owned().leak(), family.to_owned().leak())
        };
        check(&of(fixed(left)), &of(fixed(right)), Feature::GivenName, given);
        check(&of(fixed(left)), &of(fixed(right)), Feature::FamilyName, family);
    }

    use Level::{Close, Different, Exact, Household, Initial, Near, Partial, Silent, Variant};

    #[test]
    fn given_names() {
        people(("Anna", "Bauer"), ("anna maria", "Bauer"), Exact, Exact);
        people(("Robert", "Bauer"), ("Bob", "Bauer"), Variant, Exact);
        people(("Mary Ann", "Bauer"), ("Maryann", "Bauer"), Variant, Exact);
        people(("Hannah", "Bauer"), ("Hannha", "Bauer"), Close, Exact);
        people(("Mary", "Bauer"), ("Mark", "Bauer"), Household, Exact);
        people(("Mary", "Bauer"), ("Mmry", "Bauer"), Close, Exact);
        people(("Anna Maria", "Bauer"), ("Tessa Maria", "Bauer"), Partial, Exact);
        people(("A", "Bauer"), ("Anna", "Bauer"), Initial, Exact);
        people(("B", "Bauer"), ("Anna", "Bauer"), Different, Exact);
        people(("Anna", "Bauer"), ("Tobias", "Bauer"), Different, Exact);
        people(("", "Bauer"), ("Anna", "Bauer"), Silent, Exact);
    }

    #[test]
    fn names_that_begin_alike_are_not_near_for_that_alone() {
        people(("Zorella", "Bauer"), ("Zorelinde", "Bauer"), Partial, Exact);
        people(("Zorelin", "Bauer"), ("Zorelinde", "Bauer"), Near, Exact);
        people(("Zorelinde", "Bauer"), ("Zorelnide", "Bauer"), Close, Exact);
    }

    #[test]
    fn a_father_is_not_the_son_of_his_name() {
        people(("David", "Dobbins Jr"), ("David", "Dobbins Sr"), Different, Exact);
        people(("David I", "Dobbins"), ("David", "Dobbins II"), Different, Exact);
        people(("David", "Dobbins Jr"), ("David", "Dobbins II"), Exact, Exact);
        people(("David", "Dobbins Jr"), ("David", "Dobbins"), Exact, Exact);
    }

    #[test]
    fn family_names() {
        people(("Ana", "García López"), ("Ana", "Garcia"), Exact, Variant);
        people(("Jan", "van den Berg"), ("Jan", "Berg"), Exact, Variant);
        people(("Uwe", "Müller"), ("Uwe", "Mueller"), Exact, Exact);
        people(("Uwe", "Käs"), ("Uwe", "Kaes"), Exact, Variant);
        people(("Uwe", "Kessler"), ("Uwe", "Kesler"), Exact, Close);
        people(("Uwe", "Richardson"), ("Uwe", "Richradsin"), Exact, Near);
        people(("Uwe", "Kessler"), ("Uwe", "Bauer"), Exact, Different);
    }

    #[test]
    fn names_in_each_others_place() {
        people(("Bauer", "Anna"), ("Anna", "Bauer"), Variant, Variant);
        people(("Bauer", "Ana"), ("Anna", "Bauer"), Close, Close);
        people(("Kessler", ""), ("Uwe", "Kessler"), Silent, Variant);
        people(("Uwe", ""), ("Uwe", "Kessler"), Exact, Silent);
        people(("Thi An", "Nguyen"), ("Nguyen Thi", "An"), Variant, Variant);
    }
}
