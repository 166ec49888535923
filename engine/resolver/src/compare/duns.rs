//! D-U-N-S numbers: equal or not. Sites of one company have different ones.

use super::{Comparison, Subject, equality};
use crate::feature::{Feature, Level};

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::Duns, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    equality(Feature::Duns, (left, &left.standard.duns), (right, &right.standard.duns))
}
