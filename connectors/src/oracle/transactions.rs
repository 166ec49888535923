//! Whether all changes of a transaction arrived, by the counts that change capture gives at its end.
//!
//! With transaction metadata on, the capture tells when a transaction begins and ends, how many
//! changes of which table it made, and of each change which one of its table it is. A table of which
//! fewer arrived is read whole. Beginning and end stand in a topic of their own, so changes may come
//! before the one and after the other: the end is judged only after a while. Where an end comes of
//! which no beginning was heard, as after a restart of the hub, nobody counted the changes: then its
//! tables are read whole too.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use compact_str::CompactString;
use ontology::Millis;

use crate::contract::Mark;

/// How long changes may come after the end of their transaction.
pub const LATE_MS_MAX: i64 = Millis::MINUTE_MS;

/// Transactions that are counted at once; the oldest are given up first.
const OPEN_MAX: usize = 10_000;

/// Transactions that are remembered after they were judged, so that a repeated end is no news.
const CLOSED_MAX: usize = 10_000;

/// Transactions of which changes came before their beginning was heard; beyond it the oldest are given up.
const EARLY_MAX: usize = 10_000;

/// Changes of one table that are remembered out of their order.
const BEYOND_MAX: usize = 10_000;

/// Changes of a table that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The transaction.
    pub transaction: CompactString,
    /// The table, as the mapping calls it.
    pub object: CompactString,
    /// How many changes were told.
    pub told: u64,
    /// How many of them arrived; none where nobody counted them from the beginning.
    pub arrived: Option<u64>,
}

/// Transactions whose changes are being counted.
#[derive(Debug, Default)]
pub struct Transactions {
    open: BTreeMap<CompactString, Open>,
    /// The ids of `open` in order of their beginning, with those that were closed since.
    begun: VecDeque<CompactString>,
    closed: Closed,
    /// Changes that came before their transaction's beginning, which stands in a topic of its own.
    early: BTreeMap<CompactString, BTreeMap<CompactString, Arrived>>,
    /// The ids of `early` in the order in which they came, with those that began since.
    early_order: VecDeque<CompactString>,
}

/// Transactions that were judged or given up, the latest ones.
#[derive(Debug, Default)]
struct Closed {
    ids: HashSet<CompactString>,
    order: VecDeque<CompactString>,
}

impl Closed {
    /// Whether it is new.
    fn add(&mut self, transaction: CompactString) -> bool {
        if !self.ids.insert(transaction.clone()) {
            return false;
        }
        self.order.push_back(transaction);
        if self.order.len() > CLOSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[derive(Debug, Default)]
struct Open {
    arrived: BTreeMap<CompactString, Arrived>,
    /// What its end told, and when that was heard.
    end: Option<(Millis, Vec<(CompactString, u64)>)>,
}

/// Which changes of a table arrived: all up to a number, and some beyond it.
#[derive(Debug, Default)]
struct Arrived {
    upto: u64,
    beyond: BTreeSet<u64>,
}

impl Arrived {
    fn add(&mut self, order: u64) {
        if order > self.upto && self.beyond.len() < BEYOND_MAX {
            self.beyond.insert(order);
        }
        while self.beyond.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
    }

    fn count(&self) -> u64 {
        self.upto + self.beyond.len() as u64
    }
}

impl Transactions {
    /// Counts what a delivery of `now` says, and gives what is lacking of transactions that ended long
    /// enough ago.
    pub fn take(&mut self, marks: Vec<Mark>, now: Millis) -> Vec<Lack> {
        let mut lacks = Vec::new();
        for mark in marks {
            match mark {
                Mark::Begin { transaction } => self.begin(transaction),
                Mark::Change { transaction, object, order } => {
                    if let Some(open) = self.open.get_mut(&transaction) {
                        open.arrived.entry(object).or_default().add(order);
                    } else if !self.closed.ids.contains(&transaction) {
                        self.add_early(transaction, object, order);
                    }
                }
                Mark::End { transaction, counts } => {
                    if let Some(open) = self.open.get_mut(&transaction) {
                        open.end.get_or_insert((now, counts));
                    } else if self.closed.add(transaction.clone()) {
                        self.early.remove(&transaction);
                        let told = counts.into_iter().filter(|(_, told)| *told > 0);
                        let uncounted =
                            |(object, told)| Lack { transaction: transaction.clone(), object, told, arrived: None };
                        lacks.extend(told.map(uncounted));
                    }
                }
            }
        }
        self.judge(now, &mut lacks);
        lacks
    }

    fn begin(&mut self, transaction: CompactString) {
        if self.open.contains_key(&transaction) {
            return;
        }
        if self.open.len() >= OPEN_MAX {
            while let Some(oldest) = self.begun.pop_front() {
                if self.open.remove(&oldest).is_some() {
                    metrics::counter!("opshub_connector_transactions_uncounted_total", "system" => "oracle")
                        .increment(1);
                    self.closed.add(oldest);
                    break;
                }
            }
        }
        self.begun.push_back(transaction.clone());
        let arrived = self.early.remove(&transaction).unwrap_or_default();
        self.open.insert(transaction, Open { arrived, end: None });
    }

    fn add_early(&mut self, transaction: CompactString, object: CompactString, order: u64) {
        if !self.early.contains_key(&transaction) {
            if self.early_order.len() >= EARLY_MAX {
                self.early_order.retain(|id| self.early.contains_key(id));
            }
            if self.early_order.len() >= EARLY_MAX
                && let Some(oldest) = self.early_order.pop_front()
            {
                self.early.remove(&oldest);
            }
            self.early_order.push_back(transaction.clone());
        }
        self.early.entry(transaction).or_default().entry(object).or_default().add(order);
    }

    fn judge(&mut self, now: Millis, lacks: &mut Vec<Lack>) {
        self.open.retain(|transaction, open| {
            let Some((ended_at, counts)) = &open.end else { return true };
            let arrived = |object| open.arrived.get(object).map_or(0, Arrived::count);
            let lacking = || counts.iter().filter(|(object, told)| arrived(object) < *told);
            if lacking().next().is_some() && now.since(*ended_at) < LATE_MS_MAX {
                return true;
            }
            lacks.extend(lacking().map(|(object, told)| Lack {
                transaction: transaction.clone(),
                object: object.clone(),
                told: *told,
                arrived: Some(arrived(object)),
            }));
            self.closed.add(transaction.clone());
            false
        });
        while self.begun.front().is_some_and(|oldest| !self.open.contains_key(oldest)) {
            self.begun.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(id: &str) -> Mark {
        Mark::Begin { transaction: id.into() }
    }

    fn change(id: &str, object: &str, order: u64) -> Mark {
        Mark::Change { transaction: id.into(), object: object.into(), order }
    }

    fn end(id: &str, counts: &[(&str, u64)]) -> Mark {
        Mark::End {
            transaction: id.into(),
            counts: counts.iter().map(|(name, told)| ((*name).into(), *told)).collect(),
        }
    }

    /// What is lacking just before the while is over, and at its end.
    fn check(marks: Vec<Mark>, expected: &[(&str, u64, u64)]) {
        let mut transactions = Transactions::default();
        let mut lacks = transactions.take(marks, Millis(0));
        lacks.extend(transactions.take(Vec::new(), Millis(LATE_MS_MAX - 1)));
        assert_eq!(lacks, [], "too early");
        let lacks = transactions.take(Vec::new(), Millis(LATE_MS_MAX));
        let found: Vec<_> = lacks.iter().map(|lack| (lack.object.as_str(), lack.told, lack.arrived)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(object, told, arrived)| (*object, *told, Some(*arrived))).collect();
        assert_eq!(found, expected);
        assert!(transactions.take(Vec::new(), Millis(i64::MAX)).is_empty(), "told once");
    }

    #[test]
    fn a_table_of_which_fewer_arrived_is_lacking() {
        let all = || vec![begin("t"), change("t", "A", 2), change("t", "A", 1), change("t", "B", 1)];
        check([all(), vec![end("t", &[("A", 2), ("B", 1)])]].concat(), &[]);
        check([all(), vec![end("t", &[("A", 3), ("B", 1)])]].concat(), &[("A", 3, 2)]);
        check([all(), vec![end("t", &[("A", 2), ("B", 1), ("C", 1)])]].concat(), &[("C", 1, 0)]);
        check(all(), &[]);
    }

    #[test]
    fn repeats_count_once_and_other_transactions_not_at_all() {
        let marks = [begin("t"), begin("u"), change("t", "A", 1), change("t", "A", 1), change("u", "A", 2)];
        check([marks.to_vec(), vec![end("t", &[("A", 2)]), end("t", &[("A", 2)])]].concat(), &[("A", 2, 1)]);
    }

    #[test]
    fn changes_may_come_after_the_end() {
        let mut transactions = Transactions::default();
        assert_eq!(transactions.take(vec![begin("t"), end("t", &[("A", 1)])], Millis(0)), []);
        assert_eq!(transactions.take(vec![change("t", "A", 1)], Millis(1)), []);
        assert_eq!(transactions.take(Vec::new(), Millis(LATE_MS_MAX)), []);
        assert!(transactions.open.is_empty() && transactions.begun.is_empty());
    }

    #[test]
    fn changes_may_come_before_the_beginning() {
        let early = || vec![change("t", "A", 1), change("t", "A", 1), change("u", "A", 9)];
        check([early(), vec![begin("t"), end("t", &[("A", 1)])]].concat(), &[]);
        check([early(), vec![begin("t"), end("t", &[("A", 2)])]].concat(), &[("A", 2, 1)]);
        check([early(), vec![begin("t"), change("t", "A", 2), end("t", &[("A", 2)])]].concat(), &[]);
    }

    #[test]
    fn of_too_many_early_ones_the_oldest_are_given_up() {
        let mut transactions = Transactions::default();
        for n in 0..=EARLY_MAX {
            transactions.take(vec![change(&n.to_string(), "A", 1)], Millis(0));
        }
        assert_eq!((transactions.early.len(), transactions.early_order.len()), (EARLY_MAX, EARLY_MAX));
        let newest = EARLY_MAX.to_string();
        let ends = |id: &str| vec![begin(id), end(id, &[("A", 1)])];
        transactions.take([ends("0"), ends(&newest)].concat(), Millis(0));
        let lacks = transactions.take(Vec::new(), Millis(LATE_MS_MAX));
        assert_eq!(lacks.iter().map(|lack| lack.transaction.as_str()).collect::<Vec<_>>(), ["0"]);
    }

    #[test]
    fn what_began_before_us_was_counted_by_nobody() {
        let mut transactions = Transactions::default();
        let marks = || vec![change("t", "A", 2), end("t", &[("A", 2), ("B", 0)])];
        let lacks = transactions.take(marks(), Millis(0));
        let lack = Lack { transaction: "t".into(), object: "A".into(), told: 2, arrived: None };
        assert_eq!(lacks, [lack]);
        assert_eq!(transactions.take(marks(), Millis(1)), [], "told once");
    }

    #[test]
    fn an_end_that_comes_again_is_no_news() {
        let mut transactions = Transactions::default();
        let marks = || vec![begin("t"), change("t", "A", 1), end("t", &[("A", 1)])];
        assert_eq!(transactions.take(marks(), Millis(0)), []);
        assert_eq!(transactions.take(vec![end("t", &[("A", 1)])], Millis(LATE_MS_MAX)), []);
    }

    #[test]
    fn the_oldest_of_too_many_is_given_up() {
        let mut transactions = Transactions::default();
        transactions.take((0..=OPEN_MAX).map(|n| begin(&n.to_string())).collect(), Millis(0));
        let ends = vec![end("0", &[("A", 1)]), end("1", &[("A", 1)])];
        transactions.take(ends, Millis(0));
        let lacks = transactions.take(Vec::new(), Millis(LATE_MS_MAX));
        assert_eq!(lacks.iter().map(|lack| lack.transaction.as_str()).collect::<Vec<_>>(), ["1"]);
    }
}
