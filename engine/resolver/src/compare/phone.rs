//! Telephone numbers: equal or not.

use super::{Comparison, Subject, equality};
use crate::feature::{Feature, Level};

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::Phone, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    equality(Feature::Phone, (left, &left.standard.phone), (right, &right.standard.phone))
}
