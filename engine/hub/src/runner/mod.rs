//! The runner: log, engine and snapshots, each on a thread of its own, with bounded queues between.
//!
//! ```text
//! connectors, API ──jobs, asks──▶ log writer ──inputs──▶ engine ──changes──▶ snapshot writer
//!                  ◀────ack─────  (group commit,         │  step, publish
//!                                  ticks in order)       └──actions──▶ outer layer
//! ```
//!
//! The log writer is the only one that looks at the clock: it stamps blocks and sends ticks down
//! the same queue, so that a timer never overtakes a fact that was ingested before it was due.
//! Questions take the same way: who was told that a fact is in the log finds it in every answer.
//!
//! On servers a runner begins by following the process that owns the store: in place of the log writer
//! stands a follower, which sends the engine what the owner wrote, and what the owner would store is
//! kept aside. When its turn comes, it takes over with the engine that it has.

mod aside;
mod core;
mod follower;
pub(crate) mod poison;
mod recovery;
mod snapshots;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use bytes::Bytes;
use connectors::SharedClock;
use ontology::{Fact, LogPos, Millis};
use pipeline::snapshot::Restored;
use pipeline::{Effects, Engine, EngineSettings};
use serve::standing::Standing;
use storage::{Distributed, NewQuarantined, Priority, Store};
use tokio::sync::{mpsc, oneshot};

use aside::Aside;
use core::{Core, Input, Keeping, Wake};
use follower::{Ended, Follower};
use recovery::Reading;
use writer::Teller;

pub use aside::RowsWentBack;
pub(crate) use aside::Stand;
pub use core::Ask;
pub use follower::OwnerChanged;
pub(crate) use recovery::{inputs, recover, replay};
pub(crate) use snapshots::{HEAD, write as write_snapshot};

/// Jobs and questions that may wait for the log writer.
const MESSAGES_WAITING_MAX: usize = 1_024;
/// Group commits that may wait for the engine. Few: while it is busy the next one grows, and each
/// customer that it touches is evaluated once for all of it.
const INPUTS_WAITING_MAX: usize = 2;

/// A native payload, to be kept for as long as payloads are.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// What was told beside it.
    pub beside: Vec<u8>,
    /// Its bytes; none of an empty one is kept.
    pub raw: Bytes,
}

/// What one caller wants in the log, as one atom.
pub struct Job {
    /// The facts.
    pub facts: Vec<Fact>,
    /// What was not understood.
    pub quarantined: Vec<NewQuarantined>,
    /// The payload that all of it came from; empty where none is kept.
    pub payload: Payload,
    /// Source position that holds once it is durable.
    pub source: Option<(String, Vec<u8>)>,
    /// Who asks.
    pub priority: Priority,
    /// Told the position of the last fact, or why not.
    pub reply: oneshot::Sender<Result<LogPos, storage::Error>>,
}

/// What the log writer is told.
pub(crate) enum Message {
    /// To be put into the log.
    Append(Job),
    /// To be asked once the engine has what came before.
    Ask(Ask),
    /// It is this process's turn to own the store.
    Own {
        /// What those are told who follow it.
        told: String,
        /// Told once it does.
        done: oneshot::Sender<()>,
    },
    /// Nothing comes after this.
    End,
}

/// What the outer layer does with what the engine says. Called on the engine's thread: it must not
/// wait.
pub type Publish = Box<dyn FnMut(Effects) + Send>;

/// How a hub is set up.
pub struct RunnerOptions {
    /// The engine's settings.
    pub engine: EngineSettings,
    /// The model that identity starts with.
    pub model: resolver::Model,
    /// The clock.
    pub clock: SharedClock,
    /// Largest number of facts in one block.
    pub batch_max: usize,
    /// Systems for which neither heartbeat nor probe is configured.
    pub unmonitored: Vec<ontology::System>,
    /// Told whether the servers of the store are reached.
    pub standing: Standing,
}

/// A running hub. Dropping it without [`Runner::stop`] is like losing the process: what was
/// acknowledged is safe.
pub struct Runner {
    handle: Handle,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

/// What others hold of a running hub.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    store: Arc<dyn Store>,
    clock: SharedClock,
}

impl Runner {
    /// Takes up where the store left off, replays what is behind, and starts to listen for jobs.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this program did not write.
    pub fn start(store: Arc<dyn Store>, options: RunnerOptions, publish: Publish) -> anyhow::Result<Runner> {
        let keeping = Keeping::Written(snapshots::start(store.clone())?);
        let restored = recovery::read_snapshot(&*store)?;
        let begun = begin(store.clone(), (restored, Reading::Owns), &options, publish, keeping)?;
        let log_writer = begun.writer(store.clone(), &options);
        let (messages, mut waiting) = mpsc::channel(MESSAGES_WAITING_MAX);
        let log = named("opshub-log", move || log_writer.run(&mut waiting, None))?;
        let handle = Handle { messages, store, clock: options.clock };
        Ok(Runner { handle, threads: vec![begun.thread, log] })
    }

    /// Takes up where the store left off and follows the process that owns it, until [`Runner::own`].
    /// `owner_changed` is called on another thread with what an owner tells those who follow it.
    ///
    /// # Errors
    /// As [`Runner::start`].
    pub fn follow(
        shared: Distributed,
        options: RunnerOptions,
        publish: Publish,
        owner_changed: OwnerChanged,
    ) -> anyhow::Result<Runner> {
        let store: Arc<dyn Store> = Arc::new(shared.clone());
        let restored = recovery::read_while_written(&shared)?;
        // Whoever died of the end of the log before leaves it to the owner, who notes what it dies of.
        let waits = shared.begin_start() > 1 || poison::is_noted(&shared)?;
        let restored = (restored, if waits { Reading::Waits } else { Reading::Follows });
        let begun = begin(store.clone(), restored, &options, publish, Keeping::Aside(Aside::default()))?;
        if !waits {
            shared.end_start();
        }
        let log_writer = begun.writer(store.clone(), &options);
        let inputs = begun.inputs.clone();
        let mut follower = Follower::new(
            shared.clone(),
            (inputs, options.clock.clone(), options.standing.clone()),
            owner_changed,
            (begun.recovered, waits),
        )?;
        let (messages, mut waiting) = mpsc::channel(MESSAGES_WAITING_MAX);
        let follow_then_write = move || match follower.run(&mut waiting)? {
            Ended::Stop => log_writer.stop(),
            Ended::Turn(told, done) => {
                let after = follower.take_over(&told, done)?;
                log_writer.run(&mut waiting, Some(Teller::start(shared, after, options.standing.clone())?))
            }
        };
        let log = named("opshub-log", follow_then_write)?;
        let handle = Handle { messages, store, clock: options.clock };
        Ok(Runner { handle, threads: vec![begun.thread, log] })
    }

    /// Takes the store over from its owner, applies what that one wrote, and takes jobs from here on.
    /// `told` is what those are told who follow.
    ///
    /// # Errors
    /// When the store could not be taken over; [`Runner::stop`] tells why.
    pub async fn own(&self, told: String) -> anyhow::Result<()> {
        let (done, is_done) = oneshot::channel();
        let ended = || anyhow::anyhow!("take the store over: the hub has stopped");
        self.handle.messages.send(Message::Own { told, done }).await.map_err(|_| ended())?;
        is_done.await.map_err(|_| ended())
    }

    /// What others may hold.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether a thread has ended, which none does by itself unless it failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Takes no more jobs, applies what is in the log, writes a last snapshot.
    ///
    /// # Errors
    /// The first error that any of the threads ended with.
    pub fn stop(self) -> anyhow::Result<()> {
        let Runner { handle, threads } = self;
        drop(handle.messages.blocking_send(Message::End));
        drop(handle);
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a hub thread panicked"))??;
        }
        Ok(())
    }
}

/// An engine that has recovered and runs.
struct Begun {
    inputs: SyncSender<Input>,
    wake: Arc<Wake>,
    thread: JoinHandle<anyhow::Result<()>>,
    /// The newest fact in it, and its time.
    recovered: (LogPos, Millis),
}

impl Begun {
    fn writer(&self, store: Arc<dyn Store>, options: &RunnerOptions) -> writer::Writer {
        let (inputs, wake) = (self.inputs.clone(), self.wake.clone());
        let (clock, batch_max) = (options.clock.clone(), options.batch_max);
        let standing = options.standing.clone();
        writer::Writer { store, inputs, clock, batch_max, wake, standing, after: self.recovered.1 }
    }
}

fn begin(
    store: Arc<dyn Store>,
    (restored, reading): (Restored, Reading),
    options: &RunnerOptions,
    mut publish: Publish,
    mut keeping: Keeping,
) -> anyhow::Result<Begun> {
    let mut engine = Engine::new(options.engine.clone(), options.model.clone());
    engine.set_unmonitored(&options.unmonitored);
    recovery::take_up(&*store, &mut engine, restored, reading, &mut |effects, ingested_at| {
        // In no outbox yet: the process before ended first.
        keeping.remember(&effects, ingested_at);
        publish(effects);
    })?;
    let recovered = (engine.position(), engine.now());
    let (inputs, waiting) = std::sync::mpsc::sync_channel(INPUTS_WAITING_MAX);
    let wake = Arc::new(Wake::new());
    let core = Core::new(engine, publish, keeping, store, wake.clone());
    let thread = named("opshub-engine", move || core.run(&waiting))?;
    Ok(Begun { inputs, wake, thread, recovered })
}

impl Handle {
    /// Puts a job into the log; resolves when it is durable.
    ///
    /// # Errors
    /// What the store said, or that the hub is stopping.
    pub async fn append(
        &self,
        facts: Vec<Fact>,
        quarantined: Vec<NewQuarantined>,
        payload: Payload,
        source: Option<(String, Vec<u8>)>,
        priority: Priority,
    ) -> Result<LogPos, storage::Error> {
        let stopping = || storage::Error::Stop { cause: "the hub is stopping".to_owned() };
        let (reply, answer) = oneshot::channel();
        let job = Job { facts, quarantined, payload, source, priority, reply };
        self.messages.send(Message::Append(job)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Asks the engine something; it answers between two inputs, after all that was acknowledged before.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        let ask: Ask = Box::new(move |engine| drop(reply.send(question(engine))));
        let stopped = || anyhow::anyhow!("ask the engine: the hub has stopped");
        self.messages.send(Message::Ask(ask)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }

    /// How many jobs and questions wait for the log's thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.messages.max_capacity() - self.messages.capacity()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The hub's clock.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// Does a piece of work and counts how long it took.
#[allow(clippy::disallowed_methods, reason = "the outermost layer measures durations")]
fn timed<T>(stage: &str, work: impl FnOnce() -> T) -> T {
    let begun = std::time::Instant::now();
    let done = work();
    serve::metrics::STAGE_SECONDS.record(&[stage], begun.elapsed().as_secs_f64());
    done
}

fn named(
    name: &str,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(work)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
