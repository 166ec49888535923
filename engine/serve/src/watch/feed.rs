//! The feed of changed keys: a ring that resumes read, and the watchers that listen now.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use compact_str::CompactString;
use ontology::{LogPos, Millis};
use tokio::sync::Notify;

use super::pending::Pending;

/// One changed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id of the resource, without its collection.
    pub key: CompactString,
    /// Which of the resource's top-level fields changed, one bit per field; 0 if not known.
    pub paths: u32,
    /// Events that caused it, where known.
    pub causes: Vec<CompactString>,
}

impl Change {
    /// Causes that one change names at most.
    pub const CAUSES_MAX: usize = 16;

    /// A change of which nothing but the key is known.
    #[must_use]
    pub fn of(key: impl Into<CompactString>) -> Self {
        Change { key: key.into(), paths: 0, causes: Vec::new() }
    }
}

/// When something was published: by the facts up to a position and, because time alone changes states too,
/// by engine time. Processes that publish the same log agree on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Everything up to here was applied.
    pub position: LogPos,
    /// Engine time: what was due before had fired.
    pub now: Millis,
    /// How many publications with changes came before it at the same position and engine time.
    pub nth: u32,
}

impl Stamp {
    /// Counts from here on where a process began with what it found: it does not know what of that an
    /// earlier process had told, so nothing that one told at the same position and time is as late.
    const FOUND: u32 = 1 << 31;

    /// The stamp of what a process finds when it starts.
    #[must_use]
    pub fn found(position: LogPos, now: Millis) -> Self {
        Stamp { position, now, nth: Self::FOUND }
    }

    /// The stamp of the next publication, at `position` and engine time `now`. It is later than this one,
    /// or the same if nothing happened and there is no change to tell.
    #[must_use]
    pub fn next(self, position: LogPos, now: Millis, has_changes: bool) -> Self {
        if (position, now) > (self.position, self.now) {
            Stamp { position: position.max(self.position), now, nth: 0 }
        } else {
            Stamp { nth: self.nth.saturating_add(u32::from(has_changes)), ..self }
        }
    }
}

/// Where a watcher stands: everything before `(stamp, key)` has been sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// Stamp of the next change to send.
    pub stamp: Stamp,
    /// Key of the next change to send among those of that stamp.
    pub key: CompactString,
}

impl Place {
    /// The place behind everything that was published up to `stamp`.
    pub fn behind(stamp: Stamp) -> Self {
        let stamp = Stamp { nth: stamp.nth.saturating_add(1), ..stamp };
        Place { stamp, key: CompactString::const_new("") }
    }

    /// Whether the change of `key` at `stamp` has been sent.
    pub fn is_behind(&self, stamp: Stamp, key: &str) -> bool {
        (stamp, key) < (self.stamp, self.key.as_str())
    }
}

/// Changed keys in the order of stamps. There is one publisher, and stamps never fall.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    ring_max: usize,
    pending_max: usize,
}

#[derive(Debug)]
struct State {
    /// Recent changes, oldest first, by key within one stamp.
    ring: VecDeque<(Stamp, Change)>,
    /// Changes at or before this stamp may be missing from the ring.
    forgotten: Stamp,
    /// The last stamp that was published.
    published: Stamp,
    watchers: Vec<Weak<Watcher>>,
}

/// One listener: what it is interested in, and what it has not been sent.
#[derive(Debug)]
pub(super) struct Watcher {
    names: Option<Mutex<HashSet<CompactString>>>,
    pub pending: Mutex<Pending>,
    pub wake: Notify,
}

impl Feed {
    /// Changes that the ring keeps unless told otherwise.
    pub const RING_MAX: usize = 262_144;
    /// Keys that one watcher may fall behind by unless told otherwise; then it gets a reset.
    pub const PENDING_MAX: usize = 16_384;

    /// A feed that begins behind `stamp`.
    #[must_use]
    pub fn new(stamp: Stamp, ring_max: usize, pending_max: usize) -> Self {
        let state = State { ring: VecDeque::new(), forgotten: stamp, published: stamp, watchers: Vec::new() };
        Feed { state: Mutex::new(state), ring_max, pending_max }
    }

    /// Forgets what changed before `stamp`: a watch that was told no more than that begins again.
    pub fn begin(&self, stamp: Stamp) {
        let mut state = lock(&self.state);
        state.ring.clear();
        (state.forgotten, state.published) = (stamp, stamp);
    }

    /// Tells all watchers what changed up to `stamp`. The states must be readable before.
    pub fn publish(&self, stamp: Stamp, mut changes: Vec<Change>) {
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut state = lock(&self.state);
        debug_assert!(stamp >= state.published, "stamps never fall");
        state.published = state.published.max(stamp);
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
        for watcher in state.watchers.iter().filter_map(Weak::upgrade) {
            watcher.take(stamp, &changes);
        }
        for change in changes {
            if state.ring.len() >= self.ring_max
                && let Some((oldest, _)) = state.ring.pop_front()
            {
                state.forgotten = state.forgotten.max(oldest);
            }
            state.ring.push_back((stamp, change));
        }
    }

    /// The last stamp that was published.
    #[must_use]
    pub fn published(&self) -> Stamp {
        lock(&self.state).published
    }

    /// How many watchers listen.
    #[must_use]
    pub fn watcher_count(&self) -> usize {
        lock(&self.state).watchers.iter().filter(|watcher| watcher.strong_count() > 0).count()
    }

    /// Starts listening. With a place, what came after it is pending; none if the ring no longer
    /// reaches back that far, and then the watcher listens from now on.
    pub(super) fn listen(&self, names: Option<HashSet<CompactString>>, from: Option<&Place>) -> (Arc<Watcher>, bool) {
        let mut state = lock(&self.state);
        let is_reachable = from.is_none_or(|place| place.stamp > state.forgotten);
        let mut pending = Pending::new(self.pending_max, state.published);
        if let (Some(place), true) = (from, is_reachable) {
            let start = state.ring.partition_point(|(stamp, change)| place.is_behind(*stamp, &change.key));
            for (stamp, change) in state.ring.range(start..) {
                if names.as_ref().is_none_or(|names| names.contains(&change.key)) {
                    pending.push(*stamp, change);
                }
            }
            pending.skip_before(place.clone());
        }
        let (names, pending) = (names.map(Mutex::new), Mutex::new(pending));
        let watcher = Arc::new(Watcher { names, pending, wake: Notify::new() });
        state.watchers.push(Arc::downgrade(&watcher));
        (watcher, is_reachable)
    }
}

impl Watcher {
    fn take(&self, stamp: Stamp, changes: &[Change]) {
        let names = self.names.as_ref().map(lock);
        let mut pending = lock(&self.pending);
        for change in changes {
            if names.as_ref().is_none_or(|names| names.contains(&change.key)) {
                pending.push(stamp, change);
            }
        }
        pending.reach(stamp);
        drop(pending);
        self.wake.notify_one();
    }

    /// Listens for another key, too, which changed at `stamp` and was not listened for.
    pub fn follow(&self, key: &CompactString, stamp: Stamp) {
        let is_new = self.names.as_ref().is_some_and(|names| lock(names).insert(key.clone()));
        if is_new {
            lock(&self.pending).push_first(stamp, key);
        }
    }
}

/// Locks; a panic elsewhere leaves no half-made change behind, because none of the sections panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
