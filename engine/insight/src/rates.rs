//! Exchange rates, as the records that state them stand now.

use std::collections::BTreeMap;

use ontology::EntityKey;

/// Currency, the currency that it is converted to, and the ISO day.
pub type RateKey = (String, String, String);

/// What every living record states. Two records may state a rate for one day: that of the smaller key
/// counts, whichever came first.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    of_records: BTreeMap<EntityKey, (RateKey, i64)>,
    of_days: BTreeMap<RateKey, BTreeMap<EntityKey, i64>>,
}

impl Rates {
    /// The rate of a day, in millionths.
    #[must_use]
    pub fn get(&self, key: &RateKey) -> Option<i64> {
        self.of_days.get(key)?.values().next().copied()
    }

    /// Takes what a record states now, in millionths; none if it was deleted or cannot be read. Returns
    /// whether it stated something else before.
    pub fn set(&mut self, record: &EntityKey, stated: Option<(RateKey, i64)>) -> bool {
        if self.of_records.get(record) == stated.as_ref() {
            return false;
        }
        if let Some((key, _)) = self.of_records.remove(record)
            && let Some(of_day) = self.of_days.get_mut(&key)
        {
            of_day.remove(record);
            if of_day.is_empty() {
                self.of_days.remove(&key);
            }
        }
        if let Some((key, micros)) = stated {
            self.of_days.entry(key.clone()).or_default().insert(record.clone(), micros);
            self.of_records.insert(record.clone(), (key, micros));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ontology::EntityKind;

    use super::*;

    fn record(id: &str) -> EntityKey {
        EntityKey::new(EntityKind::ExchangeRate, id)
    }

    fn day(day: &str) -> RateKey {
        ("USD".to_owned(), "EUR".to_owned(), day.to_owned())
    }

    #[test]
    fn of_two_records_for_a_day_the_smaller_counts_in_any_order() {
        for order in [["R1", "R2"], ["R2", "R1"]] {
            let mut rates = Rates::default();
            for id in order {
                assert!(
                    rates.set(&record(id), Some((day("2026-03-10"), if id == "R1" { 900_000 } else { 1_200_000 })))
                );
            }
            assert_eq!(rates.get(&day("2026-03-10")), Some(900_000));
            assert!(rates.set(&record("R1"), None));
            assert_eq!(rates.get(&day("2026-03-10")), Some(1_200_000));
        }
    }

    #[test]
    fn a_record_states_one_rate_and_none_once_it_is_gone() {
        let mut rates = Rates::default();
        rates.set(&record("R1"), Some((day("2026-03-10"), 900_000)));
        assert!(!rates.set(&record("R1"), Some((day("2026-03-10"), 900_000))), "said again");
        assert!(rates.set(&record("R1"), Some((day("2026-04-10"), 900_000))));
        assert_eq!((rates.get(&day("2026-03-10")), rates.get(&day("2026-04-10"))), (None, Some(900_000)));
        assert!(rates.set(&record("R1"), None));
        assert!(!rates.set(&record("R1"), None));
        assert_eq!(rates.get(&day("2026-04-10")), None);
    }
}
