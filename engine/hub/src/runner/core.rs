//! The engine's thread: one input after another, then publish, then now and then a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;

use ontology::{Fact, Millis};
use pipeline::{Effects, Engine};
use storage::Store;
use tokio::sync::oneshot;

use super::aside::{Aside, Stand};
use super::snapshots::{self, Snapshots};
use super::{Publish, timed};

/// Facts after which a snapshot is due.
const FACTS_PER_SNAPSHOT: usize = 500_000;
/// Engine time after which one is due when there are facts to write: a restart reads at the most so
/// much of the log again.
const SNAPSHOT_EVERY_MS: i64 = 10_000;
/// The same while actions wait: they leave the hub only once a snapshot holds them.
const ACTIONS_WAIT_MS: i64 = 1_000;

/// A question to the engine.
pub type Ask = Box<dyn FnOnce(&mut Engine) + Send>;

/// What the engine's thread is told.
pub(super) enum Input {
    /// Facts of one block.
    Facts {
        /// The facts.
        facts: Vec<Fact>,
        /// When the log took them.
        ingested_at: Millis,
    },
    /// Time has passed.
    Tick {
        /// Engine time.
        now: Millis,
    },
    /// A question.
    Ask(Ask),
    /// The owner of the store, whom this process follows, has stored a snapshot.
    Stored(Stand),
    /// This process owns the store now, whose newest snapshot stands there.
    Own {
        /// Where the newest snapshot stands.
        stored: Stand,
        /// Told once the engine works as the owner's.
        done: oneshot::Sender<()>,
    },
    /// Nothing comes after this.
    Stop,
}

/// When the engine wants to be ticked, readable from the log writer's thread.
pub(super) struct Wake(AtomicI64);

impl Wake {
    pub(super) fn new() -> Self {
        Wake(AtomicI64::new(i64::MAX))
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.0.load(Ordering::Acquire) <= now.0
    }

    fn set(&self, at: Option<Millis>) {
        self.0.store(at.map_or(i64::MAX, |at| at.0), Ordering::Release);
    }
}

/// What becomes of what changed.
pub(super) enum Keeping {
    /// It is written, by the owner of the store.
    Written(Snapshots),
    /// It is kept aside, by one who follows.
    Aside(Aside),
}

impl Keeping {
    /// Keeps what a step decided; `ingested_at` is that of its facts, if it had any.
    pub(super) fn remember(&mut self, effects: &Effects, ingested_at: Option<Millis>) {
        match self {
            Keeping::Written(snapshots) => snapshots.remember(&effects.actions),
            Keeping::Aside(aside) => aside.remember(effects, ingested_at),
        }
    }
}

pub(super) struct Core {
    engine: Engine,
    publish: Publish,
    keeping: Keeping,
    store: Arc<dyn Store>,
    wake: Arc<Wake>,
    /// Facts since the last snapshot, and engine time of that.
    unsaved: usize,
    saved_at: Millis,
}

impl Core {
    /// The thread of an engine that has recovered.
    pub(super) fn new(
        engine: Engine,
        publish: Publish,
        keeping: Keeping,
        store: Arc<dyn Store>,
        wake: Arc<Wake>,
    ) -> Self {
        let saved_at = engine.now();
        let core = Core { engine, publish, keeping, store, wake, unsaved: 0, saved_at };
        core.set_wake();
        core
    }

    pub(super) fn run(mut self, inputs: &Receiver<Input>) -> anyhow::Result<()> {
        while let Ok(input) = inputs.recv() {
            match input {
                Input::Facts { facts, ingested_at } => {
                    self.unsaved += facts.len();
                    self.step(pipeline::Input::Facts { facts, ingested_at }, Some(ingested_at));
                }
                Input::Tick { now } => self.step(pipeline::Input::Tick { now }, None),
                Input::Ask(ask) => {
                    ask(&mut self.engine);
                    continue;
                }
                Input::Stored(stand) => {
                    if let Keeping::Aside(aside) = &mut self.keeping {
                        aside.forget(stand);
                    }
                    continue;
                }
                Input::Own { stored, done } => {
                    self = self.own(stored)?;
                    // Whoever asked may be gone; the store is owned all the same.
                    let _ = done.send(());
                }
                Input::Stop => break,
            }
            self.save_if_due()?;
            self.set_wake();
        }
        match self.keeping {
            Keeping::Aside(_) => Ok(()),
            Keeping::Written(mut snapshots) => {
                snapshots.write(self.engine.take_snapshot())?;
                snapshots.finish()
            }
        }
    }

    fn step(&mut self, input: pipeline::Input, ingested_at: Option<Millis>) {
        crate::crash::point("engine.before_step");
        if let pipeline::Input::Facts { facts, .. } = &input {
            crate::crash::facts(facts);
        }
        let effects = timed("step", || self.engine.step(input));
        crate::crash::point("engine.after_step");
        self.keeping.remember(&effects, ingested_at);
        timed("publish", || (self.publish)(effects));
        crate::crash::point("engine.after_publish");
    }

    /// Works as the owner's engine from here on: the first snapshot holds everything that the stored one
    /// lacks.
    fn own(mut self, stored: Stand) -> anyhow::Result<Self> {
        // The owner before may have told its engine of an instant that it did not get into the log.
        if self.engine.now() < stored.now {
            self.step(pipeline::Input::Tick { now: stored.now }, None);
        }
        if let Keeping::Aside(aside) = self.keeping {
            let (snapshot, actions) = aside.since(stored, self.engine.take_snapshot())?;
            let mut snapshots = snapshots::start(self.store.clone())?;
            snapshots.put(actions);
            snapshots.write(snapshot)?;
            (self.unsaved, self.saved_at) = (0, self.engine.now());
            self.keeping = Keeping::Written(snapshots);
        }
        Ok(self)
    }

    fn save_if_due(&mut self) -> anyhow::Result<()> {
        let now = self.engine.now();
        let is_full = self.unsaved >= FACTS_PER_SNAPSHOT;
        match &mut self.keeping {
            Keeping::Aside(aside) => {
                if is_full || now >= self.saved_at + SNAPSHOT_EVERY_MS {
                    aside.cut(self.engine.take_snapshot(), now);
                    (self.unsaved, self.saved_at) = (0, now);
                }
            }
            Keeping::Written(snapshots) => {
                let is_due = is_full || save_at(self.unsaved, self.saved_at, snapshots).is_some_and(|at| now >= at);
                if is_due && snapshots.is_idle() {
                    snapshots.write(self.engine.take_snapshot())?;
                    (self.unsaved, self.saved_at) = (0, now);
                }
            }
        }
        Ok(())
    }

    /// Asks for a tick when something is due, or a snapshot.
    fn set_wake(&self) {
        let save_at = match &self.keeping {
            Keeping::Aside(_) => None,
            Keeping::Written(snapshots) => save_at(self.unsaved, self.saved_at, snapshots),
        };
        let save_at = save_at.map(|at| at.max(self.engine.now() + 1));
        self.wake.set([self.engine.next_wake(), save_at].into_iter().flatten().min());
    }
}

/// When a snapshot is due; none while there is nothing to write.
fn save_at(unsaved: usize, saved_at: Millis, snapshots: &Snapshots) -> Option<Millis> {
    match (snapshots.has_actions(), unsaved > 0) {
        (true, _) => Some(saved_at + ACTIONS_WAIT_MS),
        (false, true) => Some(saved_at + SNAPSHOT_EVERY_MS),
        (false, false) => None,
    }
}
