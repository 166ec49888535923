//! What a process that follows keeps aside: rows that changed and actions that were decided, as long
//! as no snapshot of the owner holds them. When it takes over, they are what its first snapshot adds.

use std::collections::{BTreeMap, VecDeque};

use ontology::codec::{Corrupt, Cursor};
use ontology::{LogPos, Millis};
use pipeline::Effects;
use pipeline::snapshot::Snapshot;

/// Cuts that are kept apart; beyond them the two oldest become one.
const CUTS_MAX: usize = 8;

/// Where a stored snapshot stands in the order of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The newest fact in it.
    pub(crate) position: LogPos,
    /// Engine time.
    pub(crate) now: Millis,
}

impl Stand {
    /// Before every input.
    pub(super) const START: Stand = Stand { position: LogPos(0), now: Millis::MIN };

    /// Reads it from the head of a snapshot; an empty one is none.
    pub(crate) fn of(head: &[u8]) -> Result<Stand, Corrupt> {
        if head.is_empty() {
            return Ok(Stand::START);
        }
        let mut cursor = Cursor(head);
        Ok(Stand { now: Millis(cursor.i64()?), position: LogPos(cursor.u64()?) })
    }

    fn holds(self, other: Stand) -> bool {
        self.position >= other.position && self.now >= other.now
    }
}

/// An action and when it was decided.
struct Decided {
    at: Millis,
    /// End of the block whose facts decided it; none if time did.
    by: Option<LogPos>,
    body: String,
}

impl Decided {
    /// Whether a snapshot that stands there was taken after this was decided. Where the instant alone
    /// does not tell, it counts as decided later: receivers know a repeated action by its id.
    fn is_before(&self, stand: Stand) -> bool {
        self.at < stand.now || (self.at == stand.now && self.by.is_some_and(|position| position <= stand.position))
    }
}

/// The rows lack what a process that takes over has forgotten, because they held it before.
#[derive(Debug, thiserror::Error)]
#[error(
    "take the store over: its rows stand at position {} and this process counted on {}; started again, it \
     builds them from the log", .stored.0, .counted_on.0
)]
pub struct RowsWentBack {
    /// Where the rows stand.
    pub stored: LogPos,
    /// Where they stood before.
    pub counted_on: LogPos,
}

/// What is kept aside.
pub(super) struct Aside {
    actions: BTreeMap<String, Decided>,
    /// What changed up to the stand of each cut since the one before.
    cuts: VecDeque<(Stand, Snapshot)>,
    /// What was stored by others and is therefore forgotten here.
    forgotten: Stand,
}

impl Default for Aside {
    fn default() -> Self {
        Aside { actions: BTreeMap::new(), cuts: VecDeque::new(), forgotten: Stand::START }
    }
}

impl Aside {
    /// Keeps what a step decided; `ingested_at` is that of its facts, if it had any.
    pub(super) fn remember(&mut self, effects: &Effects, ingested_at: Option<Millis>) {
        for action in &effects.actions {
            let by = (ingested_at == Some(action.at)).then_some(effects.position);
            let decided = Decided { at: action.at, by, body: action.body().to_string() };
            self.actions.insert(action.id.to_string(), decided);
        }
    }

    /// Keeps what changed up to `now`.
    pub(super) fn cut(&mut self, snapshot: Snapshot, now: Millis) {
        self.cuts.push_back((Stand { position: snapshot.position, now }, snapshot));
        if self.cuts.len() > CUTS_MAX
            && let (Some((_, older)), Some((stand, newer))) = (self.cuts.pop_front(), self.cuts.pop_front())
        {
            self.cuts.push_front((stand, merged([older, newer])));
        }
    }

    /// Forgets what a stored snapshot holds.
    pub(super) fn forget(&mut self, stored: Stand) {
        while self.cuts.front().is_some_and(|(stand, _)| stored.holds(*stand)) {
            self.cuts.pop_front();
        }
        self.actions.retain(|_, decided| !decided.is_before(stored));
        if stored.holds(self.forgotten) {
            self.forgotten = stored;
        }
    }

    /// Everything that the stored snapshot lacks: rows as `last` has them where it has them, and the
    /// bodies of actions by id.
    ///
    /// # Errors
    /// When the stored snapshot lacks what was forgotten, because the rows have gone back.
    pub(super) fn since(
        mut self,
        stored: Stand,
        last: Snapshot,
    ) -> Result<(Snapshot, BTreeMap<String, String>), RowsWentBack> {
        if !stored.holds(self.forgotten) {
            return Err(RowsWentBack { stored: stored.position, counted_on: self.forgotten.position });
        }
        self.forget(stored);
        let snapshot = merged(self.cuts.into_iter().map(|(_, snapshot)| snapshot).chain([last]));
        Ok((snapshot, self.actions.into_iter().map(|(id, decided)| (id, decided.body)).collect()))
    }
}

/// Several snapshots as one: each row as the last that has it, and where the last one stands.
fn merged(snapshots: impl IntoIterator<Item = Snapshot>) -> Snapshot {
    let mut entities = BTreeMap::new();
    let mut memory = BTreeMap::new();
    let (mut head, mut position) = (Vec::new(), LogPos(0));
    for snapshot in snapshots {
        entities.extend(snapshot.entities.into_iter().map(|entity| (entity.key.clone(), entity)));
        memory.extend(snapshot.memory);
        (head, position) = (snapshot.head, snapshot.position);
    }
    Snapshot { entities: entities.into_values().collect(), memory: memory.into_iter().collect(), head, position }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::codec::{put_i64, put_u64};
    use ontology::{EntityKey, EntityKind};
    use pipeline::{Action, ActionKind};

    use super::*;

    fn stand(position: u64, now: i64) -> Stand {
        Stand { position: LogPos(position), now: Millis(now) }
    }

    fn snapshot(position: u64, rows: &[(&str, &str)]) -> Snapshot {
        let memory = rows.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        Snapshot { entities: Vec::new(), memory, head: Vec::new(), position: LogPos(position) }
    }

    /// A step that ended at `position` and decided an action at `at`.
    fn decided(opening: &str, position: u64, at: i64) -> Effects {
        let kind = ActionKind::PushPackage { transfer: EntityKey::new(EntityKind::Transfer, "t"), version: 1 };
        let action = Action::new("push_package", "t", opening, Millis(at), None, kind);
        Effects { position: LogPos(position), actions: vec![action], ..Effects::default() }
    }

    #[test]
    fn the_head_of_a_snapshot_tells_where_it_stands() {
        let mut head = Vec::new();
        put_i64(&mut head, 30);
        put_u64(&mut head, 7);
        assert_eq!(Stand::of(&head).unwrap(), stand(7, 30));
        assert_eq!(Stand::of(b"").unwrap(), Stand::START);
        assert!(Stand::of(&head[..head.len() - 1]).is_err());
    }

    #[test]
    fn rows_are_kept_until_a_snapshot_holds_them_and_the_newest_wins() {
        let mut aside = Aside::default();
        aside.cut(snapshot(1, &[("a", "1"), ("b", "1")]), Millis(10));
        aside.cut(snapshot(2, &[("a", "2")]), Millis(20));
        aside.forget(stand(1, 10));
        let (last, _) = aside.since(stand(1, 19), snapshot(3, &[("c", "3")])).unwrap();
        let rows: Vec<_> = last.memory.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        assert_eq!(rows, [(&b"a"[..], &b"2"[..]), (&b"c"[..], &b"3"[..])]);
        assert_eq!(last.position, LogPos(3));
    }

    #[test]
    fn many_cuts_become_few_and_lose_nothing() {
        let mut aside = Aside::default();
        for place in 0..=2 * CUTS_MAX as u64 {
            aside.cut(snapshot(place, &[(&place.to_string(), "x")]), Millis(place as i64));
        }
        assert_eq!(aside.cuts.len(), CUTS_MAX);
        let (all, _) = aside.since(Stand::START, snapshot(99, &[])).unwrap();
        assert_eq!(all.memory.len(), 2 * CUTS_MAX + 1);
    }

    #[test]
    fn actions_are_put_once_and_none_is_lost() {
        let check = |by: Option<i64>, at: i64, stored: Stand, is_put: bool| {
            let mut aside = Aside::default();
            aside.remember(&decided("1", 5, at), by.map(Millis));
            let (_, actions) = aside.since(stored, snapshot(9, &[])).unwrap();
            assert_eq!(actions.len(), usize::from(is_put), "decided at {at} by {by:?}, stored {stored:?}");
        };
        // Facts of the block that ends at 5 and came in at 30.
        check(Some(30), 30, stand(4, 29), true);
        check(Some(30), 30, stand(4, 30), true);
        check(Some(30), 30, stand(5, 30), false);
        check(Some(30), 30, stand(6, 31), false);
        // A timer due at 20, which fired with that block here and alone elsewhere.
        check(Some(30), 20, stand(4, 19), true);
        check(Some(30), 20, stand(4, 20), true);
        check(Some(30), 20, stand(4, 21), false);
        check(None, 20, stand(5, 21), false);
    }

    #[test]
    fn rows_that_went_back_are_not_taken_over() {
        let mut aside = Aside::default();
        aside.forget(stand(5, 50));
        let refused = aside.since(stand(4, 40), snapshot(9, &[])).err().unwrap();
        assert!(
            refused.to_string().contains("position 4") && refused.to_string().contains("counted on 5"),
            "{refused}"
        );
    }
}
