//! Wake-ups: when a customer or a source must be looked at again though nothing arrives.

use std::collections::{BTreeSet, HashMap};

use ontology::{EntityKey, Millis, System};

/// What wakes up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// A source whose picture may have turned stale.
    Source(System),
    /// A known change that may have stayed unapplied for too long.
    Gap(EntityKey),
    /// A customer with something that changes by time alone, by one of its party records: whoever
    /// the record belongs to by then is looked at.
    Customer(EntityKey),
}

/// All wake-ups, at most one for each thing.
#[derive(Debug, Clone, Default)]
pub struct Timers {
    queue: BTreeSet<(Millis, Due)>,
    by_thing: HashMap<Due, Millis>,
}

impl Timers {
    /// Sets, moves or clears the wake-up of `thing`.
    pub fn set(&mut self, thing: Due, at: Option<Millis>) {
        let known = match at {
            Some(at) => self.by_thing.insert(thing.clone(), at),
            None => self.by_thing.remove(&thing),
        };
        if known == at {
            return;
        }
        match (known, at) {
            (Some(known), Some(at)) => {
                self.queue.remove(&(known, thing.clone()));
                self.queue.insert((at, thing));
            }
            (Some(known), None) => {
                self.queue.remove(&(known, thing));
            }
            (None, Some(at)) => {
                self.queue.insert((at, thing));
            }
            (None, None) => {}
        }
    }

    /// The next wake-up.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes everything that is due at the earliest instant before `until`, in order.
    pub fn take_before(&mut self, until: Millis) -> Option<(Millis, Vec<Due>)> {
        let at = self.next().filter(|at| *at < until)?;
        let mut due = Vec::new();
        while let Some((first, _)) = self.queue.first() {
            if *first != at {
                break;
            }
            let (_, thing) = self.queue.pop_first().expect("the queue has a first");
            self.by_thing.remove(&thing);
            due.push(thing);
        }
        Some((at, due))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wake_ups_come_in_order_of_time_and_name_and_only_before_the_limit() {
        let mut timers = Timers::default();
        timers.set(Due::Source(System::Sap), Some(Millis(20)));
        timers.set(Due::Source(System::Oracle), Some(Millis(10)));
        timers.set(Due::Source(System::Salesforce), Some(Millis(10)));
        timers.set(Due::Source(System::Wxcc), Some(Millis(5)));
        timers.set(Due::Source(System::Wxcc), None);
        assert_eq!(timers.take_before(Millis(10)), None);
        let (at, due) = timers.take_before(Millis(11)).unwrap();
        assert_eq!((at, due), (Millis(10), vec![Due::Source(System::Salesforce), Due::Source(System::Oracle)]));
        timers.set(Due::Source(System::Sap), Some(Millis(30)));
        assert_eq!(timers.take_before(Millis(30)), None);
        assert_eq!(timers.next(), Some(Millis(30)));
    }
}
