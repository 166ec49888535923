//! What has come by the stream lately: what the audit compares the organisation's own list with, and
//! how far back the stream can be sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use ontology::{Fact, Millis, Op};
use tokio::sync::Notify;

/// Most records that are remembered; beyond it all are forgotten, and the audit reads again what it
/// misses.
const RECORDS_MAX: usize = 1_000_000;

/// Most positions that are remembered.
const MARKS_MAX: usize = 1_000;

/// Source time between two positions that are remembered, in milliseconds.
const MARK_EVERY_MS: i64 = 10_000;

/// Shared by the stream and the audit.
#[derive(Debug, Clone, Default)]
pub struct Lately(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Newest version that came, by object and id, in source time.
    newest: HashMap<(CompactString, CompactString), i64>,
    /// Positions of the stream with the source time of the last event before them.
    marks: VecDeque<(i64, Vec<u8>)>,
    /// Whether all that the source had when the stream opened has come.
    is_caught_up: bool,
    /// When the stream opened.
    opened_at: i64,
    /// Where the stream is to go back to.
    back_to: Option<Vec<u8>>,
}

impl State {
    fn came(&mut self, record: (CompactString, CompactString), at: i64) {
        if self.newest.len() >= RECORDS_MAX {
            self.newest.clear();
        }
        let newest = self.newest.entry(record).or_insert(at);
        *newest = at.max(*newest);
    }
}

impl Lately {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Facts that the log has.
    pub fn came(&self, facts: &[Fact]) {
        let mut state = self.state();
        for fact in facts.iter().filter(|fact| fact.op != Op::Heartbeat) {
            let at = i64::try_from(fact.version.major).unwrap_or(i64::MAX);
            state.came((fact.object.clone(), fact.record_id.clone()), at);
        }
    }

    /// The stream stands at `position`, and all before source time `at` has come by it.
    pub fn stands(&self, position: &[u8], at: Millis) {
        let mut state = self.state();
        state.is_caught_up |= at.0 >= state.opened_at && state.back_to.is_none();
        if state.marks.back().is_some_and(|(last, _)| at.0 < last.saturating_add(MARK_EVERY_MS)) {
            return;
        }
        if state.marks.len() >= MARKS_MAX {
            state.marks.pop_front();
        }
        state.marks.push_back((at.0, position.to_vec()));
    }

    /// The stream opened at `position`, empty for the oldest event that is kept: what the source had
    /// before has still to come.
    pub fn opened(&self, position: &[u8], at: Millis) {
        let mut state = self.state();
        state.is_caught_up = false;
        state.opened_at = at.0;
        if state.marks.is_empty() {
            state.marks.push_back((i64::MIN, position.to_vec()));
        }
    }

    /// Nothing that is kept stands before `position`: from there all can be delivered again, and a source
    /// that numbers anew does not know it.
    pub fn begins_at(&self, position: &[u8]) {
        if let Some((i64::MIN, mark)) = self.state().marks.front_mut()
            && mark.is_empty()
        {
            *mark = position.to_vec();
        }
    }

    /// The source says that there is nothing more.
    pub fn is_empty_now(&self) {
        let mut state = self.state();
        state.is_caught_up = state.back_to.is_none();
    }

    /// Whether what the source had when the stream opened has come.
    pub fn is_caught_up(&self) -> bool {
        self.state().is_caught_up
    }

    /// The earliest change that has come.
    pub fn earliest(&self) -> Option<Millis> {
        self.state().newest.values().min().copied().map(Millis)
    }

    /// Whether a change of a record at `modified_ms` has come. Instants of the list end at the second,
    /// and a change is stamped before its transaction commits.
    pub fn has(&self, object: &str, id: &str, modified_ms: i64) -> bool {
        let key = (CompactString::new(object), CompactString::new(id));
        self.state().newest.get(&key).is_some_and(|newest| *newest >= modified_ms)
    }

    /// The last position that is known to lie before `at`.
    pub fn mark_before(&self, at: Millis) -> Option<Vec<u8>> {
        self.state().marks.iter().rev().find(|(time, _)| *time < at.0).map(|(_, position)| position.clone())
    }

    /// The oldest position that is remembered.
    pub fn oldest_mark(&self) -> Option<Vec<u8>> {
        self.state().marks.front().map(|(_, position)| position.clone())
    }

    /// Counts a change of a record as come.
    pub fn note(&self, object: &str, id: &str, modified_ms: i64) {
        self.state().came((CompactString::new(object), CompactString::new(id)), modified_ms);
    }

    /// Sends the stream back. It is behind until it has been there and come again.
    pub fn go_back(&self, position: Vec<u8>) {
        let mut state = self.state();
        state.back_to = Some(position);
        state.is_caught_up = false;
        self.0.asked.notify_one();
    }

    /// Resolves when the stream is sent back, with where to.
    pub async fn sent_back(&self) -> Vec<u8> {
        loop {
            if let Some(position) = self.state().back_to.take() {
                return position;
            }
            self.0.asked.notified().await;
        }
    }

    /// Forgets records that changed before `at`. Positions are kept, as many as there is room for.
    pub fn forget_before(&self, at: Millis) {
        self.state().newest.retain(|_, newest| *newest >= at.0);
    }

    /// Forgets every position: the source numbers anew.
    pub fn forget_positions(&self) {
        let mut state = self.state();
        state.marks.clear();
        state.back_to = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn positions_are_remembered_sparsely_and_within_bounds() {
        let lately = Lately::default();
        for (at, position) in [(1_000, 1), (2_000, 2), (12_000, 3), (40_000, 4)] {
            lately.stands(&[position], Millis(at));
        }
        assert_eq!(lately.mark_before(Millis(40_000)), Some(vec![3]));
        assert_eq!(lately.mark_before(Millis(12_000)), Some(vec![1]), "the second came too soon");
        assert_eq!((lately.mark_before(Millis(1_000)), lately.oldest_mark()), (None, Some(vec![1])));
        for n in 0..MARKS_MAX {
            lately.stands(&[5], Millis(100_000 + 10_000 * i64::try_from(n).unwrap()));
        }
        assert_eq!(lately.oldest_mark(), Some(vec![5]));
        lately.forget_positions();
        assert_eq!((lately.mark_before(Millis(i64::MAX)), lately.oldest_mark()), (None, None));
    }

    #[tokio::test]
    async fn a_stream_is_behind_until_it_comes_to_when_it_opened() {
        let lately = Lately::default();
        lately.opened(&[], Millis(5_000));
        lately.stands(&[1], Millis(4_999));
        assert!(!lately.is_caught_up());
        assert_eq!(lately.oldest_mark(), Some(Vec::new()), "where the stream began");
        lately.begins_at(&[9]);
        lately.begins_at(&[8]);
        assert_eq!(lately.oldest_mark(), Some(vec![9]), "the position of an empty beginning");
        lately.stands(&[2], Millis(5_000));
        assert!(lately.is_caught_up());
        lately.go_back(vec![1]);
        lately.is_empty_now();
        assert!(!lately.is_caught_up(), "an answer that was sent before");
        assert_eq!(lately.sent_back().await, [1]);
        lately.is_empty_now();
        assert!(lately.is_caught_up());
    }
}
