//! The log's thread in a process that does not own the store: it passes on what the owner writes, and
//! takes over when the turn comes.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use connectors::SharedClock;
use ontology::{LogPos, Millis};
use serve::standing::{Part, Standing};
use storage::{Distributed, Error, Log as _, Position, Tail, Told};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::core::Input;
use super::{Message, poison, recovery};

/// How long the follower waits for the log before it looks at messages again.
const LOOK: Duration = Duration::from_millis(10);
/// How often it is asked how far the owner's snapshots are.
const STORED_EVERY_MS: i64 = 10_000;
/// How often it is measured how far this process lags behind.
const MEASURE_EVERY_MS: i64 = 1_000;

/// A living owner speaks each second: after so much silence this process is cut off from the log, or the
/// log has no owner.
const SILENT_MAX_MS: i64 = 30_000;

/// What is done when another process says that it owns the store: called with what it says.
pub type OwnerChanged = Box<dyn FnMut(&str) + Send>;

pub(super) struct Follower {
    store: Distributed,
    tail: Tail,
    inputs: SyncSender<Input>,
    clock: SharedClock,
    standing: Standing,
    owner_changed: OwnerChanged,
    /// Everything up to here was passed on.
    passed: Position,
    /// Whether nothing is passed on until an owner has come to the end of the log, because a process before
    /// this one died of it.
    waits: bool,
    /// How far time has come, and after which position; none once that was passed on.
    time: Option<(Millis, Position)>,
    /// The newest instant that the log has told.
    newest: Millis,
    /// When it began to follow.
    began_at: Millis,
    asked_at: Millis,
    measured_at: Millis,
}

/// What ends the following.
pub(super) enum Ended {
    /// It is this process's turn. Those who follow are to be told so, and who asked when it is done.
    Turn(String, oneshot::Sender<()>),
    /// The hub stops.
    Stop,
}

impl Follower {
    /// Follows behind `applied`, which was taken at `now` at the latest.
    pub(super) fn new(
        store: Distributed,
        (inputs, clock, standing): (SyncSender<Input>, SharedClock, Standing),
        mut owner_changed: OwnerChanged,
        ((applied, now), waits): ((LogPos, Millis), bool),
    ) -> anyhow::Result<Self> {
        let passed = Position(applied.0);
        let tail = store.tail(passed.next())?;
        owner_changed(&store.owner());
        let began_at = clock.now();
        Ok(Follower {
            store,
            tail,
            inputs,
            clock,
            standing,
            owner_changed,
            passed,
            waits,
            time: None,
            newest: now,
            began_at,
            asked_at: began_at,
            measured_at: Millis::MIN,
        })
    }

    /// Passes on what the owner writes until the turn comes.
    pub(super) fn run(&mut self, messages: &mut Receiver<Message>) -> anyhow::Result<Ended> {
        loop {
            match messages.try_recv() {
                // The caller may have gone away.
                Ok(Message::Append(job)) => drop(job.reply.send(Err(Error::NotOwner))),
                Ok(Message::Ask(ask)) => self.send(Input::Ask(ask))?,
                Ok(Message::Own { told, done }) => return Ok(Ended::Turn(told, done)),
                Ok(Message::End) | Err(TryRecvError::Disconnected) => return Ok(Ended::Stop),
                Err(TryRecvError::Empty) => self.follow()?,
            }
        }
    }

    fn follow(&mut self) -> anyhow::Result<()> {
        match self.tail.next(LOOK)? {
            // Read again once an owner tells time, which it does when it has applied everything.
            Some(Told::Time { .. }) if self.waits => {
                self.tail = self.store.tail(self.passed.next())?;
                self.begins();
            }
            Some(Told::Block(_)) if self.waits => {}
            Some(Told::Block(block)) => {
                let passed_over = poison::passed_over(&self.store)?;
                let facts = recovery::facts_of(&block, (self.passed.next(), None), &passed_over)?;
                let ingested_at = block.ingested_at();
                self.send(Input::Facts { facts, ingested_at })?;
                self.passed = block.last();
                self.newest = ingested_at.max(self.newest);
            }
            Some(Told::Time { now, position }) => self.time = Some((now, position)),
            Some(Told::Owner(told)) => (self.owner_changed)(&told),
            None => {}
        }
        if let Some((now, _)) = self.time.take_if(|(_, position)| *position <= self.passed) {
            self.send(Input::Tick { now })?;
            self.newest = now.max(self.newest);
        }
        let now = self.clock.now();
        if now.since(self.asked_at) >= STORED_EVERY_MS {
            self.asked_at = now;
            let stored = recovery::stored(&self.store);
            let error = stored.as_ref().err().and_then(|error| error.downcast_ref::<Error>());
            self.standing.note(Part::Rows, !matches!(error, Some(Error::Unreachable { .. })));
            match stored {
                Ok(stand) => self.send(Input::Stored(stand))?,
                Err(error) => tracing::warn!(error = format!("{error:#}"), "look how far the owner's snapshots are"),
            }
        }
        if now.since(self.measured_at) >= MEASURE_EVERY_MS {
            self.measured_at = now;
            self.measure(now);
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a lag for a gauge")]
    fn measure(&self, now: Millis) {
        let behind = self.store.last().0.saturating_sub(self.passed.0);
        serve::metrics::REPLICA_LAG_POSITIONS.set(&[], behind as f64);
        let silent_ms = if self.newest == Millis::MIN { 0 } else { now.since(self.newest).max(0) };
        serve::metrics::REPLICA_LAG_SECONDS.set(&[], silent_ms as f64 / 1_000.0);
        // What was told before this process began to listen may be old.
        let heard_at = self.newest.max(self.began_at);
        self.standing.note(Part::Log, now.since(heard_at) <= SILENT_MAX_MS);
    }

    /// Claims the store, passes on what was written before, and tells the engine. Gives the instant
    /// after which everything is to be taken from here on.
    pub(super) fn take_over(mut self, told: &str, done: oneshot::Sender<()>) -> anyhow::Result<Millis> {
        self.store.claim(told)?;
        let (store, from) = (self.store.clone(), self.passed.next());
        poison::replay(&store, from, self.waits, |input| {
            let pipeline::Input::Facts { facts, ingested_at } = input else { return Ok(()) };
            self.newest = ingested_at.max(self.newest);
            self.send(Input::Facts { facts, ingested_at })?;
            self.until_applied()
        })?;
        self.begins();
        let stored = recovery::stored(&self.store)?;
        for part in [Part::Log, Part::Rows] {
            self.standing.note(part, true);
        }
        self.send(Input::Own { stored, done })?;
        serve::metrics::REPLICA_LAG_POSITIONS.set(&[], 0.0);
        serve::metrics::REPLICA_LAG_SECONDS.set(&[], 0.0);
        let told = self.store.time().unwrap_or(Millis::MIN);
        Ok(self.newest.max(told).max(stored.now))
    }

    /// Nothing keeps it from passing on any more.
    fn begins(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.store.end_start();
        }
    }

    /// Waits until the engine has applied what it was sent.
    fn until_applied(&self) -> anyhow::Result<()> {
        let (tell, told) = sync_channel(1);
        self.send(Input::Ask(Box::new(move |_| {
            let _ = tell.send(());
        })))?;
        told.recv().map_err(|_| anyhow::anyhow!("apply the end of the log: the engine has ended"))
    }

    fn send(&self, input: Input) -> anyhow::Result<()> {
        self.inputs.send(input).map_err(|_| anyhow::anyhow!("pass facts on: the engine has ended"))
    }
}
