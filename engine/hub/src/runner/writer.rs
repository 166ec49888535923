//! The log writer: group commits, acknowledgements, ticks.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use connectors::SharedClock;
use ontology::{LogPos, Millis};
use serve::standing::{Part, Standing};
use storage::{Distributed, Intake, NewBlock, Priority, Store};
use tokio::sync::mpsc;

use super::core::{Input, Wake};
use super::{Job, Message};

/// How long the writer sleeps at the most before it looks at the clock again.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(10);
/// How often at the most those who follow are told of an instant at which something is due, and how
/// often they are told in any case, of the wall's time. Each is a transaction of Kafka.
const TICK_GAP: Duration = Duration::from_millis(50);
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Bytes of facts and payloads after which a block is closed.
const BLOCK_BYTES: usize = 64 << 20;

/// When callers whose jobs were committed with one that failed may come again.
const RETRY_AFTER_MS: u64 = 1_000;

pub(super) struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) inputs: SyncSender<Input>,
    pub(super) clock: SharedClock,
    pub(super) batch_max: usize,
    pub(super) wake: Arc<Wake>,
    /// Told whether the log is reached.
    pub(super) standing: Standing,
    /// The newest instant in the store: nothing is stamped before it, wherever the clock stands.
    pub(super) after: Millis,
}

/// What is to be written, at the most, in one block.
#[derive(Clone, Copy)]
struct Room {
    facts: usize,
    payload_bytes: usize,
}

/// Tells those who follow how far time has come, so that what is due fires there too. It tells on a
/// thread of its own: servers that are away hold up no question.
pub(super) struct Teller {
    instants: SyncSender<Millis>,
    thread: JoinHandle<anyhow::Result<()>>,
    /// The instant told last: everything is taken after it.
    told: Millis,
    /// When that was; none if nothing was told yet.
    told_at: Option<Instant>,
}

impl Teller {
    /// Everything is taken after `told`.
    pub(super) fn start(store: Distributed, told: Millis, standing: Standing) -> anyhow::Result<Self> {
        let (instants, waiting) = sync_channel(1);
        let thread = super::named("opshub-time", move || tell_all(&store, &waiting, &standing))?;
        Ok(Teller { instants, thread, told, told_at: None })
    }

    /// Whether `now` is to be told: soon when something is due, else now and then.
    fn is_due(&self, is_awaited: bool, now: Millis) -> bool {
        let gap = if is_awaited { TICK_GAP } else { TELL_EVERY };
        now > self.told && self.told_at.is_none_or(|at| at.elapsed() >= gap)
    }

    /// Blocks tell how far time has come as well, to those who read them.
    #[allow(clippy::disallowed_methods, reason = "the outermost layer is where time enters")]
    fn note(&mut self, now: Millis) {
        self.told = self.told.max(now);
        self.told_at = Some(Instant::now());
    }

    fn tell(&mut self, now: Millis) -> anyhow::Result<()> {
        if self.thread.is_finished() {
            anyhow::bail!("tell those who follow how far time has come: the store is owned no longer");
        }
        // While an instant before waits yet, this one is left out: the next counts for it.
        let _ = self.instants.try_send(now);
        self.note(now);
        Ok(())
    }
}

/// Each second at the latest it is seen here whether the log is reached, also while nothing is written.
fn tell_all(store: &Distributed, waiting: &Receiver<Millis>, standing: &Standing) -> anyhow::Result<()> {
    while let Ok(now) = waiting.recv() {
        let told = store.tell_time(now);
        standing.note(Part::Log, !matches!(told, Err(storage::Error::Unreachable { .. })));
        match told {
            Err(error) if error.class() != storage::Class::Retry => {
                tracing::error!(%error, "tell those who follow how far time has come");
                return Err(error.into());
            }
            Err(error) => tracing::warn!(%error, "tell those who follow how far time has come"),
            Ok(()) => {}
        }
    }
    Ok(())
}

impl Writer {
    /// Runs until every sender is gone or one asks for the end. With a `teller` others follow.
    pub(super) fn run(self, messages: &mut mpsc::Receiver<Message>, mut teller: Option<Teller>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let mut waiting = Vec::new();
        let (mut jobs, mut asks) = (Vec::new(), Vec::new());
        let mut ingested_at = self.after;
        let mut is_end = false;
        while !is_end {
            let received = runtime.block_on(async {
                tokio::time::timeout(LOOK_AT_CLOCK, messages.recv_many(&mut waiting, self.batch_max.max(1))).await
            });
            let told = teller.as_ref().map_or(Millis::MIN, |teller| teller.told + 1);
            ingested_at = ingested_at.max(self.clock.now()).max(told);
            is_end = received == Ok(0);
            for message in waiting.drain(..) {
                match message {
                    Message::Append(job) => jobs.push(job),
                    Message::Ask(ask) => asks.push(ask),
                    // Asked twice: it owns the store already.
                    Message::Own { done, .. } => drop(done.send(())),
                    Message::End => is_end = true,
                }
            }
            if !jobs.is_empty() {
                crate::crash::point("writer.received");
            }
            let room = Room {
                facts: jobs.iter().map(|job: &Job| job.facts.len()).sum::<usize>().min(self.batch_max),
                payload_bytes: jobs.iter().map(|job| job.payload.raw.len()).sum::<usize>().min(BLOCK_BYTES),
            };
            // Where others follow, an instant is told once the clock has passed it: while the clock
            // stands, what comes is still of that instant.
            let now = if teller.is_some() { ingested_at - 1 } else { ingested_at };
            let mut rest = jobs.drain(..).peekable();
            while rest.peek().is_some() {
                let is_told = self.commit(&mut rest, room, ingested_at)?;
                if let Some(teller) = teller.as_mut().filter(|_| is_told) {
                    teller.note(now);
                }
            }
            drop(rest);
            for ask in asks.drain(..) {
                self.send(Input::Ask(ask))?;
            }
            let mut is_due = self.wake.is_due(now);
            if let Some(teller) = &mut teller {
                is_due = teller.is_due(is_due, now);
                if is_due && !is_end {
                    teller.tell(now)?;
                }
            }
            if is_due && !is_end {
                self.send(Input::Tick { now })?;
            }
        }
        self.stop()
    }

    /// Nothing comes any more.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        self.send(Input::Stop)
    }

    /// Writes one block from as many jobs as fit, which take at most about so much room, answers them, and
    /// passes the facts on; whether there is such a block now.
    fn commit(
        &self,
        jobs: &mut std::iter::Peekable<impl Iterator<Item = Job>>,
        room: Room,
        ingested_at: Millis,
    ) -> anyhow::Result<bool> {
        let mut block = NewBlock::new(ingested_at);
        let mut intake = Intake::new();
        block.reserve(room.facts, room.payload_bytes);
        let mut facts = Vec::with_capacity(room.facts);
        let mut replies = Vec::new();
        let mut priority = Priority::Source;
        while let Some(job) = jobs.next_if(|job| facts.is_empty() || facts.len() + job.facts.len() <= self.batch_max) {
            let first = block.count();
            for fact in &job.facts {
                block.push_with(|out| fact.encode(out));
            }
            if !job.payload.raw.is_empty() {
                block.push_raw(first, block.count() - first, &job.payload.beside, &job.payload.raw);
            }
            for record in job.quarantined {
                intake = intake.quarantine(record);
            }
            if let Some((name, position)) = job.source {
                intake = intake.source(name, position);
            }
            if job.priority == Priority::Decision {
                priority = Priority::Decision;
            }
            facts.extend(job.facts);
            replies.push((job.reply, u64::from(block.count())));
            if block.size_bytes() > BLOCK_BYTES {
                break;
            }
        }
        if !block.is_empty() {
            intake = intake.block(block);
        }
        crate::crash::point("writer.before_append");
        let appended = super::timed("log", || self.store.append(intake.priority(priority)));
        self.standing.note(Part::Log, !matches!(appended, Err(storage::Error::Unreachable { .. })));
        match appended {
            Ok(positions) => {
                crate::crash::point("writer.after_append");
                for (reply, count) in replies {
                    // A caller that went away has its facts in the log all the same.
                    let _ = reply.send(Ok(LogPos(positions.start.0 + count.saturating_sub(1))));
                }
                crate::crash::point("writer.after_reply");
                for (place, fact) in (positions.start.0..).zip(&mut facts) {
                    fact.log_pos = LogPos(place);
                    fact.ingested_at = ingested_at;
                }
                let is_block = !facts.is_empty();
                if is_block {
                    self.send(Input::Facts { facts, ingested_at })?;
                    crate::crash::point("writer.after_send");
                }
                Ok(is_block)
            }
            Err(error) => self.refuse(replies, error).map(|()| false),
        }
    }

    fn send(&self, input: Input) -> anyhow::Result<()> {
        self.inputs.send(input).map_err(|_| anyhow::anyhow!("pass facts on: the engine has ended"))
    }

    /// Tells every caller of a failed commit. A failed disk ends the writer; a full one, or servers that
    /// do not answer, do not.
    fn refuse(
        &self,
        replies: Vec<(tokio::sync::oneshot::Sender<Result<LogPos, storage::Error>>, u64)>,
        error: storage::Error,
    ) -> anyhow::Result<()> {
        let is_passing = matches!(error.class(), storage::Class::Retry | storage::Class::Reject);
        let text = error.to_string();
        let silent = if let storage::Error::Unreachable { server, .. } = &error { Some(*server) } else { None };
        let mut error = Some(error);
        for (reply, _) in replies {
            let told = error.take().unwrap_or_else(|| match (is_passing, silent) {
                (true, Some(server)) => storage::Error::Unreachable {
                    doing: "commit with others",
                    server,
                    cause: text.clone(),
                    retry_after_ms: RETRY_AFTER_MS,
                },
                (true, None) => storage::Error::Full { free_bytes: 0, needed_bytes: 0, retry_after_ms: RETRY_AFTER_MS },
                (false, _) => storage::Error::Stop { cause: text.clone() },
            });
            let _ = reply.send(Err(told));
        }
        if is_passing { Ok(()) } else { Err(anyhow::anyhow!("write the log: {text}")) }
    }
}
