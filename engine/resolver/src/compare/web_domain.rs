//! Web domains: equal or not.

use super::{Comparison, Subject, equality};
use crate::feature::{Feature, Level};

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::WebDomain, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    equality(Feature::WebDomain, (left, &left.standard.web_domain), (right, &right.standard.web_domain))
}
