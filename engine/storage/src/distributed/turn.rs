//! Whose turn it is to own a store: Kafka's group protocol gives the one partition of its marks to one
//! process at a time, and to another when that one is gone.
//!
//! The turn saves work; it is no lock. Whoever believes too long that it is theirs is refused by both
//! servers, because the next owner has fenced them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};

use super::options::DistributedOptions;
use super::topics::{Topics, unreachable};
use crate::{Error, Result};

/// How often the group is listened to.
const LISTEN: Duration = Duration::from_millis(100);
/// How often in the time of a silence each says that it lives. It hears by the answer that others have
/// come or gone, and they wait for that, whoever ends too. The client's own 3 s would be too long.
const BEATS_IN_SILENCE: u32 = 20;

/// A place in the queue of those who would own a store. Dropping it leaves the queue.
pub struct Turn {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Turn {
    /// Queues for the store, whose topics are made if they are missing. `changed` is told on another
    /// thread when the turn comes, and when it goes; it must not wait.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when Kafka does not answer, [`crate::Error::Unfit`] as for
    /// [`crate::Distributed::open`].
    pub fn queue(options: &DistributedOptions, changed: impl Fn(bool) + Send + Sync + 'static) -> Result<Turn> {
        let topics = Topics::of(&options.name);
        if !topics.are_there(options)? {
            topics.ensure(options)?;
        }
        let mut config = options.client();
        config.set("group.id", format!("{}.owners", options.name)).set("enable.auto.commit", "false");
        config.set("session.timeout.ms", options.silence_max.as_millis().to_string());
        config.set("heartbeat.interval.ms", (options.silence_max / BEATS_IN_SILENCE).as_millis().max(1).to_string());
        config.set("auto.offset.reset", "latest");
        if let Some(member) = &options.member {
            config.set("group.instance.id", member);
        }
        // Who joins takes nothing from the one whose turn it is.
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let context = Listening { changed: Box::new(changed) };
        let consumer: BaseConsumer<Listening> = config.create_with_context(context).map_err(unreachable)?;
        consumer.subscribe(&[&topics.marks]).map_err(unreachable)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let listen = move || {
            while !over.load(Ordering::Acquire) {
                // What the marks say is of no interest here: being heard is.
                if let Some(Err(error)) = consumer.poll(LISTEN) {
                    tracing::debug!(%error, "listen to the group of owners");
                }
            }
        };
        let thread = std::thread::Builder::new().name("opshub-turn".to_owned()).spawn(listen);
        let thread = thread.map_err(Error::io("start the thread that queues for the store"))?;
        Ok(Turn { is_over, thread: Some(thread) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It leaves the group when it ends; a panic of it has been told already.
            let _ = thread.join();
        }
    }
}

struct Listening {
    changed: Box<dyn Fn(bool) + Send + Sync>,
}

impl ClientContext for Listening {}

impl ConsumerContext for Listening {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance
            && partitions.count() > 0
        {
            (self.changed)(true);
        }
    }

    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance
            && partitions.count() > 0
        {
            (self.changed)(false);
        }
    }
}
