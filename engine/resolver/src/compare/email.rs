//! Mail addresses: equal, mistyped, or one person's local part at another domain.

use super::{Comparison, Subject, best, bits, is_generic};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::{edits_up_to_two, jaro_winkler_from};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison = Comparison { needs: bits([Part::Email]), sets: &[Feature::Email], compare };

/// Local parts at least this alike are probably one.
const LOCAL_SIMILARITY_MIN: f64 = 0.9;

/// Local parts shorter than this are had by many.
const LOCAL_LENGTH_MIN: usize = 5;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let generic = is_generic(left, right, Feature::Email);
    let (a, b) = (left.standard.part(Part::Email), right.standard.part(Part::Email));
    levels.set(Feature::Email, if generic { Level::Generic } else { best(a, b, of_values) });
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    let edits = edits_up_to_two(a, b);
    if edits <= 1 {
        return Level::Close;
    }
    let (x, y) = (local(a), local(b));
    let is_telling = x.len().min(y.len()) >= LOCAL_LENGTH_MIN;
    if (x == y && is_telling) || edits == 2 {
        Level::Near
    } else if is_telling && jaro_winkler_from(x, y, LOCAL_SIMILARITY_MIN).is_some() {
        Level::Partial
    } else {
        Level::Different
    }
}

fn local(address: &[u8]) -> &[u8] {
    let at = address.iter().position(|byte| *byte == b'@').unwrap_or(address.len());
    &address[..at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn addresses() {
        let mails = |a, b, level| check(&[(Kind::Email, a)], &[(Kind::Email, b)], Feature::Email, level);
        mails("Ann.Lee@x.example", "ann.lee+shop@x.example", Level::Exact);
        mails("ann.lee@x.example", "ann.le@x.example", Level::Close);
        mails("ann.lee@x.example", "ann.lee@work.test", Level::Near);
        mails("ann.leesmith@x.example", "annlesmith77@work.test", Level::Partial);
        mails("info@x.example", "info@work.test", Level::Different);
        mails("ann@x.example", "tobias@work.test", Level::Different);
        mails("ann@x.example", "", Level::Silent);
    }
}
