//! Customers against true parties.

use hashbrown::HashMap;
use serde::Serialize;

use super::pairs::Quality;
use super::truth::Truth;

/// Quality of closed customers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClusterQuality {
    /// Over all pairs of records of one customer.
    #[serde(flatten)]
    pub closed: Quality,
    /// B-cubed precision: share of a record's customer that is its own party, over all records.
    pub b_cubed_precision: f64,
    /// B-cubed recall: share of a record's party that is in its customer, over all records.
    pub b_cubed_recall: f64,
    /// Harmonic mean of the two.
    pub b_cubed_f1: f64,
    /// Customers that are exactly one party.
    pub exact: usize,
    /// Customers.
    pub count: usize,
    /// True parties.
    pub true_count: usize,
    /// Records of the largest customer.
    pub largest: u64,
}

impl ClusterQuality {
    /// Compares the customer of each record with its true party. Records of unknown truth are left out.
    #[must_use]
    pub fn of(truth: &Truth, customers: &[String]) -> Self {
        let mut together: HashMap<(u32, &str), u64> = HashMap::new();
        let mut parties: HashMap<u32, u64> = HashMap::new();
        let mut found: HashMap<&str, u64> = HashMap::new();
        let mut records = 0_u64;
        for (party, customer) in truth.parties().iter().zip(customers) {
            let Some(party) = party else { continue };
            records += 1;
            *together.entry((*party, customer)).or_default() += 1;
            *parties.entry(*party).or_default() += 1;
            *found.entry(customer).or_default() += 1;
        }
        let pairs = |size: u64| size * (size - 1) / 2;
        let (mut right, mut exact) = (0, 0);
        // Sums of whole numbers first: what is added up in the order of a hash map may not round.
        let (mut precision, mut recall): (HashMap<u64, u64>, HashMap<u64, u64>) = (HashMap::new(), HashMap::new());
        for ((party, customer), n) in &together {
            right += pairs(*n);
            exact += usize::from(*n == parties[party] && *n == found[customer]);
            *precision.entry(found[customer]).or_default() += n * n;
            *recall.entry(parties[party]).or_default() += n * n;
        }
        let b_cubed = Quality::from_shares(mean(precision, records), mean(recall, records));
        ClusterQuality {
            closed: Quality::of(
                right,
                found.values().map(|n| pairs(*n)).sum(),
                parties.values().map(|n| pairs(*n)).sum(),
            ),
            b_cubed_precision: b_cubed.precision,
            b_cubed_recall: b_cubed.recall,
            b_cubed_f1: b_cubed.f1,
            exact,
            count: found.len(),
            true_count: parties.len(),
            largest: found.values().copied().max().unwrap_or(0),
        }
    }
}

/// Sum of squares over sizes, per record.
fn mean(squares_by_size: HashMap<u64, u64>, records: u64) -> f64 {
    let mut sizes: Vec<(u64, u64)> = squares_by_size.into_iter().collect();
    sizes.sort_unstable();
    let sum: f64 = sizes.iter().map(|(size, squares)| *squares as f64 / *size as f64).sum();
    if records == 0 { 1.0 } else { sum / records as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(truth: &[&str], customers: &[&str]) -> ClusterQuality {
        let customers: Vec<String> = customers.iter().map(|customer| (*customer).to_owned()).collect();
        ClusterQuality::of(&Truth::of_words(truth.iter().copied()), &customers)
    }

    #[test]
    fn equal_partitions_are_perfect_whatever_they_are_called() {
        let found = quality(&["x", "x", "y"], &["1", "1", "2"]);
        assert_eq!((found.closed.f1, found.b_cubed_f1, found.exact, found.largest), (1.0, 1.0, 2, 2));
    }

    #[test]
    fn figures_are_those_of_a_count_by_hand() {
        // Party x has three records, one of them with y's.
        let found = quality(&["x", "x", "x", "y", ""], &["1", "1", "2", "2", "2"]);
        assert!((found.closed.precision - 0.5).abs() < 1e-12 && (found.closed.recall - 1.0 / 3.0).abs() < 1e-12);
        assert!((found.b_cubed_precision - 0.75).abs() < 1e-12, "{found:?}");
        assert!((found.b_cubed_recall - (2.0 * 2.0 / 3.0 + 1.0 / 3.0 + 1.0) / 4.0).abs() < 1e-12, "{found:?}");
        assert_eq!((found.exact, found.count, found.true_count, found.largest), (0, 2, 2, 2));
    }

    #[test]
    fn no_records_are_no_error() {
        assert_eq!(quality(&[], &[]).closed.f1, 1.0);
    }
}
