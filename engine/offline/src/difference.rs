//! What another model would do to customers: seen before it is adopted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::records::Records;

/// How customers differ between two outcomes over the same records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Customers before.
    pub customers_before: usize,
    /// Customers after.
    pub customers_after: usize,
    /// Customers that are the same in both.
    pub unchanged: usize,
    /// Several customers become one.
    pub merges: Vec<Change>,
    /// One customer becomes several.
    pub splits: Vec<Change>,
    /// Members change places between several customers.
    pub regroupings: Vec<Change>,
}

/// Customers before and after, connected by common members; each as the names of its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Customers that were.
    pub before: Vec<Vec<String>>,
    /// Customers that would be.
    pub after: Vec<Vec<String>>,
}

impl Difference {
    /// Compares the customer of each record, by place, before and after.
    #[must_use]
    pub fn between(records: &Records, before: &[String], after: &[String]) -> Self {
        let (old, new) = (Members::of(before), Members::of(after));
        let mut found =
            Difference { customers_before: old.0.len(), customers_after: new.0.len(), ..Difference::default() };
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for first in old.0.keys() {
            if done.contains(first) {
                continue;
            }
            let (were, are) = connected(first, &old, &new, before, after);
            done.extend(&were);
            let told = |customers: &BTreeSet<&str>, of: &Members<'_>| {
                let names = |customer: &&str| of.0[customer].iter().map(|at| records.name(*at)).collect();
                customers.iter().map(names).collect()
            };
            let change = || Change { before: told(&were, &old), after: told(&are, &new) };
            match (were.len(), are.len()) {
                (1, 1) => found.unchanged += 1,
                (_, 1) => found.merges.push(change()),
                (1, _) => found.splits.push(change()),
                (_, _) => found.regroupings.push(change()),
            }
        }
        found
    }
}

/// Places of the records of each customer.
struct Members<'a>(BTreeMap<&'a str, Vec<usize>>);

impl<'a> Members<'a> {
    fn of(customers: &'a [String]) -> Self {
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, customer) in customers.iter().enumerate() {
            members.entry(customer).or_default().push(at);
        }
        Members(members)
    }
}

/// The customers of both sides that hang together with `first` by their members.
fn connected<'a>(
    first: &'a str,
    old: &Members<'a>,
    new: &Members<'a>,
    before: &'a [String],
    after: &'a [String],
) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let (mut were, mut are) = (BTreeSet::from([first]), BTreeSet::new());
    let mut waiting = vec![first];
    while let Some(customer) = waiting.pop() {
        for at in &old.0[customer] {
            let now = after[*at].as_str();
            if !are.insert(now) {
                continue;
            }
            let others = new.0[now].iter().map(|member| before[*member].as_str());
            waiting.extend(others.filter(|other| were.insert(other)));
        }
    }
    (were, are)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(before: [&str; 6], after: [&str; 6]) -> Difference {
        let records = Records::named(["a", "b", "c", "d", "e", "f"].map(|id| (0, id)).into_iter());
        Difference::between(&records, &before.map(str::to_owned), &after.map(str::to_owned))
    }

    fn names(customers: &[&[&str]]) -> Vec<Vec<String>> {
        customers.iter().map(|customer| customer.iter().map(|name| (*name).to_owned()).collect()).collect()
    }

    #[test]
    fn other_names_for_the_same_customers_are_no_change() {
        let found = between(["1", "1", "2", "2", "3", "3"], ["x", "x", "y", "y", "z", "z"]);
        assert_eq!((found.unchanged, found.merges.len(), found.splits.len()), (3, 0, 0));
    }

    #[test]
    fn merges_splits_and_regroupings_are_told_apart() {
        let found = between(["1", "2", "3", "3", "4", "5"], ["1", "1", "3", "6", "4", "5"]);
        assert_eq!(found.merges[0], Change { before: names(&[&["a"], &["b"]]), after: names(&[&["a", "b"]]) });
        assert_eq!(found.splits[0], Change { before: names(&[&["c", "d"]]), after: names(&[&["c"], &["d"]]) });
        assert_eq!((found.unchanged, found.customers_before, found.customers_after), (2, 5, 5));
        let found = between(["1", "1", "2", "2", "3", "3"], ["1", "2", "2", "4", "3", "3"]);
        assert_eq!(found.regroupings.len(), 1);
        assert_eq!((found.unchanged, found.merges.len(), found.splits.len()), (1, 0, 0));
    }
}
