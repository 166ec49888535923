//! The engine's thread: one input after another, then publish, then now and then a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;

use ontology::{Fact, Millis};
use pipeline::Engine;

use super::Publish;
use super::snapshots::Snapshots;

/// Facts after which a snapshot is due.
const FACTS_PER_SNAPSHOT: usize = 250_000;
/// Engine time after which one is due when there are facts to write: a restart reads at the most so
/// much of the log again.
const SNAPSHOT_EVERY_MS: i64 = 10_000;
/// The same while actions wait: they leave the hub only once a snapshot holds them.
const ACTIONS_WAIT_MS: i64 = 1_000;

/// A question to the engine.
pub type Ask = Box<dyn FnOnce(&mut Engine) + Send>;

/// What the engine's thread is told.
pub enum Input {
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
    /// Nothing comes after this.
    Stop,
}

/// When the engine wants to be ticked, readable from the log writer's thread.
pub(super) struct Wake(AtomicI64);

impl Wake {
    pub(super) fn new(at: Option<Millis>) -> Self {
        Wake(AtomicI64::new(at.map_or(i64::MAX, |at| at.0)))
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.0.load(Ordering::Acquire) <= now.0
    }

    fn set(&self, at: Option<Millis>) {
        self.0.store(at.map_or(i64::MAX, |at| at.0), Ordering::Release);
    }
}

pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) publish: Publish,
    pub(super) snapshots: Snapshots,
    pub(super) wake: Arc<Wake>,
}

impl Core {
    pub(super) fn run(mut self, inputs: &Receiver<Input>) -> anyhow::Result<()> {
        let mut unsaved = 0;
        let mut saved_at = self.engine.now();
        while let Ok(input) = inputs.recv() {
            let step = match input {
                Input::Facts { facts, ingested_at } => {
                    unsaved += facts.len();
                    pipeline::Input::Facts { facts, ingested_at }
                }
                Input::Tick { now } => pipeline::Input::Tick { now },
                Input::Ask(ask) => {
                    ask(&mut self.engine);
                    continue;
                }
                Input::Stop => break,
            };
            crate::crash::point("engine.before_step");
            let effects = self.engine.step(step);
            crate::crash::point("engine.after_step");
            let next_wake = effects.next_wake;
            self.snapshots.remember(&effects.actions);
            (self.publish)(effects);
            crate::crash::point("engine.after_publish");
            let is_unsaved = unsaved > 0 || self.snapshots.has_actions();
            let save_at = saved_at + if self.snapshots.has_actions() { ACTIONS_WAIT_MS } else { SNAPSHOT_EVERY_MS };
            let is_due = unsaved >= FACTS_PER_SNAPSHOT || (is_unsaved && self.engine.now() >= save_at);
            if is_due && self.snapshots.is_idle() {
                self.snapshots.write(self.engine.take_snapshot())?;
                (unsaved, saved_at) = (0, self.engine.now());
                self.wake.set(next_wake);
            } else {
                let save_at = is_unsaved.then_some(save_at.max(self.engine.now() + 1));
                self.wake.set([next_wake, save_at].into_iter().flatten().min());
            }
        }
        self.snapshots.write(self.engine.take_snapshot())?;
        self.snapshots.finish()
    }
}
