//! Web domains: equal, the same name under another ending, or not.

use super::{Comparison, Subject, best, bits, is_generic};
use crate::feature::{Feature, Level, Levels};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison =
    Comparison { needs: bits([Part::Domain]), sets: &[Feature::WebDomain], compare };

/// Names shorter than this are had under many endings by many firms.
const LABEL_LENGTH_MIN: usize = 5;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let generic = is_generic(left, right, Feature::WebDomain);
    let (a, b) = (left.standard.part(Part::Domain), right.standard.part(Part::Domain));
    levels.set(Feature::WebDomain, if generic { Level::Generic } else { best(a, b, of_values) });
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let is_below = long.len() > short.len() && long.ends_with(short) && long[long.len() - short.len() - 1] == b'.';
    let label = |host: &'_ [u8]| host.iter().position(|byte| *byte == b'.').unwrap_or(host.len());
    let (x, y) = (&a[..label(a)], &b[..label(b)]);
    if is_below || (x == y && x.len() >= LABEL_LENGTH_MIN) { Level::Close } else { Level::Different }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn domains() {
        let domains = |a, b, level| check(&[(Kind::WebDomain, a)], &[(Kind::WebDomain, b)], Feature::WebDomain, level);
        domains("https://www.hartwell.example/shop", "hartwell.example", Level::Exact);
        domains("hartwell.com", "hartwell.co.uk", Level::Close);
        domains("shop.abc.com", "abc.com", Level::Close);
        domains("abc.com", "abc.de", Level::Different);
        domains("notabc.com", "abc.com", Level::Different);
    }
}
