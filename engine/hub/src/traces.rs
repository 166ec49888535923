//! Traces that facts came with, on their way to the events that they cause.
//!
//! ```text
//! sink, API ──note──▶ coming ──publication──▶ applied ──publisher of events──▶ headers
//! ```
//!
//! A fact keeps no trace: the same fact is the same bytes whoever brings it. So traces are remembered
//! here, of the newest facts, for as long as this process lives; after a restart, and in a process that
//! takes over, there are none.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ontology::{EntityKey, Fact, LogPos, Millis, Op, Trace, Traced};
use pipeline::effects::Applied;

/// Facts whose traces are remembered; of more, the oldest are forgotten.
const FACTS_MAX: usize = 16_384;

/// What is remembered. Clones share it.
#[derive(Clone, Default)]
pub struct Traces(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Whether anybody asks for them.
    are_wanted: AtomicBool,
    /// Facts that wait, readable without the lock.
    waiting: AtomicUsize,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Of facts that are not applied yet, by what tells them apart; with the number of the note.
    coming: HashMap<(EntityKey, Millis), (u64, Trace)>,
    /// The same, in the order of their numbers; what was noted twice stands there twice.
    order: VecDeque<(u64, (EntityKey, Millis))>,
    /// How many were noted.
    noted: u64,
    applied: VecDeque<Cause>,
}

/// A fact that was applied and came with a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What it is about.
    pub entity: EntityKey,
    /// Everything up to here is applied with it.
    pub position: LogPos,
    /// What it came with.
    pub trace: Trace,
}

impl Traces {
    /// From here on traces are remembered.
    pub fn want(&self) {
        self.0.are_wanted.store(true, Ordering::Release);
    }

    /// Remembers the traces of facts that are about to be appended.
    pub fn note(&self, facts: &[Fact], traces: &Traced) {
        if traces.is_empty() || !self.0.are_wanted.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.lock();
        for (range, trace) in traces {
            let of_range = facts.get(range.clone()).unwrap_or_default();
            // A heartbeat says nothing of any customer.
            for fact in of_range.iter().filter(|fact| fact.op != Op::Heartbeat) {
                let key = (fact.entity.clone(), fact.event_time());
                told.noted += 1;
                let number = told.noted;
                told.order.push_back((number, key.clone()));
                told.coming.insert(key, (number, trace.clone()));
            }
        }
        while told.order.len() > FACTS_MAX
            && let Some((number, oldest)) = told.order.pop_front()
        {
            if told.coming.get(&oldest).is_some_and(|(newest, _)| *newest == number) {
                told.coming.remove(&oldest);
            }
        }
        self.0.waiting.store(told.coming.len(), Ordering::Release);
    }

    /// Facts are about to be readable at `position`.
    pub fn apply(&self, applied: &[Applied], position: LogPos) {
        if self.0.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut told = self.lock();
        for fact in applied {
            let key = (fact.entity.clone(), fact.event_time);
            if let Some((_, trace)) = told.coming.remove(&key) {
                told.applied.push_back(Cause { entity: key.0, position, trace });
            }
        }
        if told.coming.is_empty() {
            told.order.clear();
        }
        let excess = told.applied.len().saturating_sub(FACTS_MAX);
        told.applied.drain(..excess);
        self.0.waiting.store(told.coming.len(), Ordering::Release);
    }

    /// Takes what was applied since, the oldest first.
    pub fn take(&self) -> Vec<Cause> {
        self.lock().applied.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // Whatever a panicking caller left is complete enough: at worst a trace is missing.
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ontology::{EntityKind, Fields, System, Version};

    use super::*;

    fn fact(id: &str, at: i64) -> Fact {
        Fact {
            event_id: "e".into(),
            system: System::Oracle,
            object: "o".into(),
            record_id: id.into(),
            entity: EntityKey::new(EntityKind::Account, id),
            op: Op::Image,
            version: Version::new(1, 0, 0),
            changed_at: Millis(at),
            observed_at: Millis(at),
            ingested_at: Millis(at),
            log_pos: LogPos(0),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields: Fields::default(),
        }
    }

    fn applied(fact: &Fact) -> Applied {
        Applied {
            system: fact.system,
            entity: fact.entity.clone(),
            event_id: fact.event_id.clone(),
            event_time: fact.event_time(),
            read_at: None,
        }
    }

    fn trace(number: u64) -> Trace {
        Trace::parse(&format!("00-{:032x}-{number:016x}-01", 1), "").unwrap()
    }

    #[test]
    fn a_trace_is_told_once_its_fact_is_applied_and_once_only() {
        let traces = Traces::default();
        traces.want();
        let facts = [fact("a", 1), fact("b", 2), fact("c", 3)];
        traces.note(&facts, &vec![(0..1, trace(1)), (2..3, trace(3))]);
        assert_eq!(traces.take(), []);
        traces.apply(&facts.each_ref().map(applied), LogPos(3));
        let told: Vec<_> = traces.take().into_iter().map(|cause| (cause.entity.id.to_string(), cause.trace)).collect();
        assert_eq!(told, [("a".to_owned(), trace(1)), ("c".to_owned(), trace(3))]);
        traces.apply(&[applied(&facts[0])], LogPos(4));
        assert_eq!(traces.take(), []);
    }

    #[test]
    fn of_two_that_bring_one_fact_the_last_counts_and_another_time_is_another_fact() {
        let traces = Traces::default();
        traces.want();
        let one = fact("a", 1);
        traces.note(std::slice::from_ref(&one), &vec![(0..1, trace(1))]);
        traces.note(std::slice::from_ref(&one), &vec![(0..1, trace(2))]);
        traces.apply(&[applied(&fact("a", 2)), applied(&one)], LogPos(7));
        assert_eq!(traces.take(), [Cause { entity: one.entity, position: LogPos(7), trace: trace(2) }]);
    }

    #[test]
    fn what_nobody_wants_or_nobody_takes_costs_a_bounded_memory() {
        let traces = Traces::default();
        let all = || (0..FACTS_MAX + 1).map(|n| fact(&n.to_string(), 1)).collect::<Vec<_>>();
        traces.note(&all(), &vec![(0..2, trace(1))]);
        assert!(traces.lock().coming.is_empty(), "nobody wants them");
        traces.want();
        traces.note(&all(), &vec![(0..FACTS_MAX + 1, trace(1)), (FACTS_MAX..FACTS_MAX + 9, trace(2))]);
        let kept = |told: &Told| (told.coming.len(), told.order.len());
        assert_eq!(kept(&traces.lock()), (FACTS_MAX, FACTS_MAX));
        traces.apply(&[applied(&fact("0", 1)), applied(&fact("1", 1))], LogPos(1));
        assert_eq!(traces.take().len(), 1, "the oldest is forgotten");
        for _ in 0..3 {
            traces.note(&all()[..FACTS_MAX], &vec![(0..FACTS_MAX, trace(1))]);
            traces.apply(&all().iter().map(applied).collect::<Vec<_>>(), LogPos(2));
        }
        assert_eq!(traces.take().len(), FACTS_MAX);
    }
}
