//! Mail addresses: equal or not.

use super::{Comparison, Subject, equality};
use crate::feature::{Feature, Level};

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::Email, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    equality(Feature::Email, (left, &left.standard.email), (right, &right.standard.email))
}
