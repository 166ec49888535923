//! The feed of changed keys: a ring that resumes read, and the watchers that listen now.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use compact_str::CompactString;
use ontology::LogPos;
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
    /// A change of which nothing but the key is known.
    #[must_use]
    pub fn of(key: impl Into<CompactString>) -> Self {
        Change { key: key.into(), paths: 0, causes: Vec::new() }
    }
}

/// Where a watcher stands: everything before `(position, key)` has been sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// Position of the next change to send.
    pub position: LogPos,
    /// Key of the next change to send within that position.
    pub key: CompactString,
}

impl Place {
    /// The place behind everything that was published up to `position`.
    pub fn behind(position: LogPos) -> Self {
        Place { position: LogPos(position.0.saturating_add(1)), key: CompactString::const_new("") }
    }
}

/// Changed keys in the order of positions. There is one publisher, and positions never fall.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    ring_max: usize,
    pending_max: usize,
}

#[derive(Debug)]
struct State {
    /// Recent changes, oldest first, by key within one position.
    ring: VecDeque<(LogPos, Change)>,
    /// Changes at or before this position may be missing from the ring.
    forgotten: LogPos,
    /// The last position that was published.
    published: LogPos,
    watchers: Vec<Weak<Watcher>>,
}

/// One listener: what it is interested in, and what it has not been sent.
#[derive(Debug)]
pub(super) struct Watcher {
    names: Option<HashSet<CompactString>>,
    pub pending: Mutex<Pending>,
    pub wake: Notify,
}

impl Feed {
    /// Changes that the ring keeps unless told otherwise.
    pub const RING_MAX: usize = 262_144;
    /// Keys that one watcher may fall behind by unless told otherwise; then it gets a reset.
    pub const PENDING_MAX: usize = 16_384;

    /// A feed that begins behind `position`.
    #[must_use]
    pub fn new(position: LogPos, ring_max: usize, pending_max: usize) -> Self {
        let state = State { ring: VecDeque::new(), forgotten: position, published: position, watchers: Vec::new() };
        Feed { state: Mutex::new(state), ring_max, pending_max }
    }

    /// Tells all watchers what changed up to `position`. The states must be readable before.
    pub fn publish(&self, position: LogPos, mut changes: Vec<Change>) {
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut state = lock(&self.state);
        debug_assert!(position >= state.published, "positions never fall");
        state.published = state.published.max(position);
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
        for watcher in state.watchers.iter().filter_map(Weak::upgrade) {
            watcher.take(position, &changes);
        }
        for change in changes {
            if state.ring.len() >= self.ring_max
                && let Some((oldest, _)) = state.ring.pop_front()
            {
                state.forgotten = state.forgotten.max(oldest);
            }
            state.ring.push_back((position, change));
        }
    }

    /// The last position that was published.
    #[must_use]
    pub fn published(&self) -> LogPos {
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
        let is_reachable = from.is_none_or(|place| place.position > state.forgotten);
        let mut pending = Pending::new(self.pending_max, state.published);
        let watcher = if let (Some(place), true) = (from, is_reachable) {
            let start = state.ring.partition_point(|(position, change)| {
                (*position, change.key.as_str()) < (place.position, place.key.as_str())
            });
            for (position, change) in state.ring.range(start..) {
                if names.as_ref().is_none_or(|names| names.contains(&change.key)) {
                    pending.push(*position, change);
                }
            }
            pending.skip_before(place.clone());
            Arc::new(Watcher { names, pending: Mutex::new(pending), wake: Notify::new() })
        } else {
            Arc::new(Watcher { names, pending: Mutex::new(pending), wake: Notify::new() })
        };
        state.watchers.push(Arc::downgrade(&watcher));
        (watcher, is_reachable)
    }
}

impl Watcher {
    fn take(&self, position: LogPos, changes: &[Change]) {
        let mut pending = lock(&self.pending);
        for change in changes {
            if self.names.as_ref().is_none_or(|names| names.contains(&change.key)) {
                pending.push(position, change);
            }
        }
        pending.reach(position);
        drop(pending);
        self.wake.notify_one();
    }
}

/// Locks; a panic elsewhere leaves no half-made change behind, because none of the sections panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
