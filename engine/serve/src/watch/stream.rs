//! One watch: snapshot, then changes, pulled by the client.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use futures::Stream;
use tonic::Status;

use super::feed::{Change, Feed, Place, Stamp, Watcher, lock};
use super::pending::Folded;
use super::resume::ResumePoint;
use crate::drain::Drain;
use crate::metrics;
use crate::page::Arguments;
use crate::reason::{Reason, Refusal};

/// Longest silence of a stream.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30);
/// Bookmarks never come faster than this.
const BOOKMARK_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A watcher that overflows this often without reaching the end of a snapshot is closed.
const RESETS_MAX: u32 = 3;

/// What a watch is about: how its keys are found, read and worded.
pub trait Selection: Send + 'static {
    /// State of one key, as it is sent.
    type State: Send;
    /// Message of the stream.
    type Message: Send + 'static;
    /// What is watched, as metrics call it.
    const RESOURCE: &'static str;

    /// All keys in ascending order.
    fn keys(&self) -> Vec<CompactString>;
    /// The newest state of a key with the stamp of its last change; none if there is no such
    /// key or it is not selected.
    fn load(&self, key: &str) -> Option<(Stamp, Self::State)>;
    /// The key that one which is gone leads to.
    fn leads_to(&self, _key: &str) -> Option<CompactString> {
        None
    }
    /// Whether a key may leave the selection while it exists, as with a filter.
    fn is_filtered(&self) -> bool;
    /// Words a message.
    fn message(&self, resume_token: String, event: Event<Self::State>) -> Self::Message;
}

/// One event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<S> {
    /// A key is new or changed.
    Upsert(Upsert<S>),
    /// This key is gone or left the selection.
    Removed(CompactString),
    /// Everything before has been sent; true when the snapshot is complete.
    Bookmark(bool),
    /// Forget everything; a snapshot follows.
    Reset(&'static str),
}

/// The newest state of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsert<S> {
    /// The state.
    pub state: S,
    /// What is known about the change.
    pub change: Change,
    /// How many changes were folded into it.
    pub coalesced_count: u64,
}

/// What every watch request carries.
#[derive(Debug, Clone, Default)]
pub struct WatchRequest {
    /// Keys to follow; none follows all.
    pub names: Option<HashSet<CompactString>>,
    /// Digest of names, filter and mask.
    pub selection: Option<Arguments>,
    /// Token to go on from; empty begins anew.
    pub resume_token: String,
    /// Whether to leave out the snapshot.
    pub skip_snapshot: bool,
    /// Longest silence asked for.
    pub bookmark_interval: Option<Duration>,
}

/// A running watch.
pub struct Watch<S: Selection> {
    selection: S,
    arguments: Arguments,
    names: Option<HashSet<CompactString>>,
    feed: Arc<Feed>,
    watcher: Arc<Watcher>,
    drain: Drain,
    interval: Duration,
    /// Keys of the snapshot that are not sent yet.
    snapshot: Option<VecDeque<CompactString>>,
    /// Where changes begin for one who resumes during the snapshot.
    snapshot_place: Place,
    /// Last key sent of the snapshot.
    snapshot_after: CompactString,
    /// States that were sent ahead of their change: the change itself then says nothing new.
    ahead: HashMap<CompactString, Stamp>,
    /// Keys the client holds; none if not known because the stream was resumed.
    held: Option<HashSet<CompactString>>,
    reset: Option<&'static str>,
    resets: u32,
}

impl<S: Selection> Watch<S> {
    /// Begins or resumes a watch.
    ///
    /// # Errors
    /// If the resume token is malformed.
    pub fn begin(feed: Arc<Feed>, drain: Drain, selection: S, request: WatchRequest) -> Result<Self, Refusal> {
        let arguments = request.selection.unwrap_or_else(|| Arguments::of("", &[]));
        let is_new = request.resume_token.is_empty();
        let point = if is_new { None } else { ResumePoint::read(&request.resume_token, arguments)? };
        let (watcher, is_reachable) = feed.listen(request.names.clone(), point.as_ref().map(|point| &point.place));
        let mut watch = Watch {
            interval: request
                .bookmark_interval
                .map_or(BOOKMARK_INTERVAL, |asked| asked.clamp(BOOKMARK_INTERVAL_MIN, BOOKMARK_INTERVAL)),
            held: (is_new && selection.is_filtered()).then(HashSet::new),
            selection,
            arguments,
            names: request.names,
            feed,
            watcher,
            drain,
            snapshot: None,
            snapshot_place: Place::default(),
            snapshot_after: CompactString::const_new(""),
            ahead: HashMap::new(),
            reset: None,
            resets: 0,
        };
        metrics::WATCHES.shift(&[S::RESOURCE], 1.0);
        match point {
            None if is_new && request.skip_snapshot => {}
            None if is_new => watch.begin_snapshot(None),
            None => watch.begin_again("RESUME_TOKEN_MISMATCH"),
            Some(_) if !is_reachable => watch.begin_again("POSITION_TOO_OLD"),
            Some(ResumePoint { place, snapshot_after: Some(after) }) => {
                watch.begin_snapshot(Some(after));
                watch.snapshot_place = place;
            }
            Some(ResumePoint { snapshot_after: None, .. }) => {}
        }
        Ok(watch)
    }

    /// The watch as a stream that ends with a refusal when the server goes away.
    pub fn into_stream(self) -> impl Stream<Item = Result<S::Message, Status>> + Send {
        futures::stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(message) => Some((Ok(message), Some(watch))),
                Err(refusal) => Some((Err(refusal.into()), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<S::Message, Refusal> {
        if self.drain.is_draining() {
            return Err(Refusal::new(Reason::Draining));
        }
        if lock(&self.watcher.pending).take_overflow() {
            self.resets += 1;
            if self.resets > RESETS_MAX {
                let limit = Feed::PENDING_MAX;
                return Err(Refusal::new(Reason::Overloaded).with("queue", "watch").with("limit", limit));
            }
            self.listen_anew();
            self.begin_again("WATCHER_TOO_SLOW");
        }
        if let Some(reason) = self.reset.take() {
            return Ok(self.message(Event::Reset(reason)));
        }
        if let Some(message) = self.next_of_snapshot() {
            return Ok(message);
        }
        let quiet = tokio::time::sleep(self.interval);
        tokio::pin!(quiet);
        loop {
            if let Some(event) = self.next_change() {
                return Ok(self.message(event));
            }
            tokio::select! {
                biased;
                () = self.drain.draining() => return Err(Refusal::new(Reason::Draining)),
                () = self.watcher.wake.notified() => {}
                () = &mut quiet => return Ok(self.message(Event::Bookmark(false))),
            }
        }
    }

    /// The next message of the snapshot; none once its end has been sent.
    fn next_of_snapshot(&mut self) -> Option<S::Message> {
        while let Some(key) = self.snapshot.as_mut()?.pop_front() {
            self.snapshot_after = key.clone();
            if let Some((loaded, state)) = self.selection.load(&key) {
                self.note_sent(&key, loaded, loaded >= self.snapshot_place.stamp);
                let upsert = Upsert { state, change: Change::of(key), coalesced_count: 1 };
                return Some(self.message(Event::Upsert(upsert)));
            }
        }
        self.snapshot = None;
        self.resets = 0;
        Some(self.message(Event::Bookmark(true)))
    }

    /// The next change that says something new.
    fn next_change(&mut self) -> Option<Event<S::State>> {
        loop {
            // Bound to a name, so that the lock is gone before the state is read.
            let next = lock(&self.watcher.pending).pop();
            let Folded { stamp, change, count } = next?;
            if count > 1 {
                metrics::FOLDED.add(&[S::RESOURCE], count - 1);
            }
            if self.ahead.get(&change.key).is_some_and(|sent| *sent >= stamp) {
                if self.ahead.get(&change.key) == Some(&stamp) {
                    self.ahead.remove(&change.key);
                }
                continue;
            }
            match self.selection.load(&change.key) {
                Some((loaded, state)) => {
                    self.note_sent(&change.key, loaded, loaded > stamp);
                    return Some(Event::Upsert(Upsert { state, change, coalesced_count: count }));
                }
                None => {
                    self.ahead.remove(&change.key);
                    self.follow_on(&change.key, stamp);
                    let was_held = self.held.as_mut().is_none_or(|held| held.remove(&change.key));
                    if was_held {
                        return Some(Event::Removed(change.key));
                    }
                }
            }
        }
    }

    /// Follows what a followed name leads to from `stamp` on, when its own key was gone.
    fn follow_on(&mut self, gone: &CompactString, stamp: Stamp) {
        if let Some(names) = &mut self.names
            && let Some(next) = self.selection.leads_to(gone)
        {
            self.watcher.follow(&next, stamp);
            names.insert(next);
        }
    }

    fn note_sent(&mut self, key: &CompactString, loaded: Stamp, is_ahead: bool) {
        if is_ahead {
            self.ahead.insert(key.clone(), loaded);
        } else {
            self.ahead.remove(key);
        }
        if let Some(held) = &mut self.held {
            held.insert(key.clone());
        }
    }

    fn message(&self, event: Event<S::State>) -> S::Message {
        let point = match &self.snapshot {
            Some(_) => {
                ResumePoint { place: self.snapshot_place.clone(), snapshot_after: Some(self.snapshot_after.clone()) }
            }
            None => ResumePoint { place: lock(&self.watcher.pending).place(), snapshot_after: None },
        };
        self.selection.message(point.token(self.arguments), event)
    }

    /// Forgets what was sent and begins with a snapshot.
    fn begin_again(&mut self, reason: &'static str) {
        metrics::RESETS.add(&[S::RESOURCE, reason], 1);
        self.reset = Some(reason);
        self.ahead.clear();
        self.held = self.selection.is_filtered().then(HashSet::new);
        self.begin_snapshot(None);
    }

    fn begin_snapshot(&mut self, after: Option<CompactString>) {
        let after = after.unwrap_or_default();
        let mut keys = match &self.names {
            Some(names) => {
                let mut keys: Vec<CompactString> = names.iter().cloned().collect();
                keys.sort_unstable();
                keys
            }
            None => self.selection.keys(),
        };
        keys.retain(|key| after.is_empty() || *key > after);
        self.snapshot = Some(keys.into());
        self.snapshot_after = after;
        self.snapshot_place = lock(&self.watcher.pending).place();
    }

    fn listen_anew(&mut self) {
        let (watcher, _) = self.feed.listen(self.names.clone(), None);
        self.watcher = watcher;
    }
}

impl<S: Selection> Drop for Watch<S> {
    fn drop(&mut self) {
        metrics::WATCHES.shift(&[S::RESOURCE], -1.0);
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
