//! The outer layer: empties the outbox. An action is sent at least once, with its id as
//! idempotency key, and leaves the outbox when its receiver has it. What a system can carry out
//! itself, and is enabled, goes to that system; everything else goes to the receiver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connectors::SharedClock;
use connectors::outbound::command::CommandKind;
use connectors::outbound::{Command, Failure};
use ontology::Millis;
use pipeline::CustomerView;
use serve::views::Published;
use storage::{Changes, Durability, Store};
use tokio_util::sync::CancellationToken;

use crate::outcomes::{Ending, Outcomes};
use crate::targets::Targets;

/// How often the outbox is looked at. Actions get there with the next snapshot, within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Actions performed at a time.
const AT_A_TIME_MAX: usize = 256;
/// First and longest pause after a failed delivery.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a command may wait for what it builds on.
const NOT_YET_MAX_MS: i64 = Millis::HOUR_MS;

/// Where actions go that no system carries out.
#[derive(Debug, Clone)]
pub enum Receiver {
    /// To the log of the hub only: teams look at the dashboard.
    Journal,
    /// By POST to a web address, `Idempotency-Key` in the head, until it answers 2xx.
    Webhook(String),
}

/// Everything that emptying the outbox needs.
pub struct Performer {
    /// The outbox.
    pub store: Arc<dyn Store>,
    /// Where actions go that no system carries out.
    pub receiver: Receiver,
    /// The systems that carry commands out.
    pub targets: Targets,
    /// What became of commands.
    pub outcomes: Outcomes,
    /// The time that outcomes are stamped with.
    pub clock: SharedClock,
    /// What is known of the customers that commands are about.
    pub published: Arc<Published<CustomerView>>,
}

impl Performer {
    /// Makes known which commands may have been sent before the last stop, so that their changes are
    /// recognised from the first delivery on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn announce(&mut self) -> anyhow::Result<()> {
        let outcomes = self.outcomes.clone();
        tokio::task::spawn_blocking(move || outcomes.load()).await??;
        for (_, body) in self.pending().await? {
            let command = Command::parse(&body).ok();
            if let Some(command) = command.filter(|command| self.targets.of(command.verb()).is_some()) {
                self.outcomes.sending(&command);
            }
        }
        Ok(())
    }

    /// Performs actions until told to stop.
    ///
    /// # Errors
    /// When the outbox cannot be read or written.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        // A second installation is refused, and harmless: the first one stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        let mut receiving = Receiving { client, wait: Duration::ZERO, backoff: BACKOFF.0 };
        self.restore().await?;
        while !stop.is_cancelled() {
            self.perform_some(&mut receiving).await?;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.targets.rest(LOOK_EVERY);
            receiving.wait = receiving.wait.saturating_sub(LOOK_EVERY);
        }
        Ok(())
    }

    /// What the hub itself carries out lives in its memory: a restart does it once more.
    async fn restore(&mut self) -> anyhow::Result<()> {
        if self.targets.is_empty() {
            return Ok(());
        }
        let outcomes = self.outcomes.clone();
        let all = tokio::task::spawn_blocking(move || outcomes.all()).await??;
        for body in all.into_iter().filter_map(|outcome| outcome.body) {
            let Ok(command) = Command::parse(body.as_bytes()) else { continue };
            if let Some(lane) = self.targets.of(command.verb()) {
                // The hub's own memory refuses nothing and is always there.
                let _ = lane.perform(&command).await;
            }
        }
        Ok(())
    }

    /// The outbox, read off the runtime's threads: a server may take its time to answer.
    async fn pending(&self) -> anyhow::Result<Vec<(Bytes, Bytes)>> {
        let store = self.store.clone();
        let read = move || store.pending()?.collect::<Result<Vec<_>, _>>();
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    async fn perform_some(&mut self, receiving: &mut Receiving) -> anyhow::Result<()> {
        let mut performed = 0;
        for (id, body) in self.pending().await? {
            if performed == AT_A_TIME_MAX {
                return Ok(());
            }
            let command = Command::parse(&body).ok().filter(|command| self.targets.of(command.verb()).is_some());
            let is_performed = match command {
                Some(command) => self.carry_out(&id, &body, command).await?,
                None => self.deliver(receiving, &id, &body).await?,
            };
            performed += usize::from(is_performed);
        }
        Ok(())
    }

    /// Carries a command out in its system; whether it was tried.
    async fn carry_out(&mut self, id: &[u8], body: &[u8], command: Command) -> anyhow::Result<bool> {
        let command = self.with_case(command, body);
        let Some(lane) = self.targets.of(command.verb()).filter(|lane| !lane.is_waiting()) else { return Ok(false) };
        self.outcomes.sending(&command);
        crate::crash::point("action.before");
        let (result, system) = (lane.perform(&command).await, lane.system());
        crate::crash::point("action.after");
        let now = self.clock.now();
        let (key, verb) = (&command.key, command.verb().name());
        let ending = match result {
            Ok(_) => (Ending::Done, String::new()),
            Err(Failure::NotYet(_)) if now.since(command.at) <= NOT_YET_MAX_MS => return Ok(false),
            Err(Failure::Later(why)) => {
                tracing::warn!(action = %key, command = verb, ?system, why, "a command was not carried out, will retry");
                metrics::counter!("opshub_commands_total", "command" => verb, "outcome" => "retried").increment(1);
                return Ok(true);
            }
            Err(Failure::NotYet(why) | Failure::Refused(why)) => {
                tracing::error!(action = %key, command = verb, ?system, why, "a command was refused: do it by hand");
                (Ending::Refused, why)
            }
        };
        let (outcomes, id, body) = (self.outcomes.clone(), id.to_vec(), body.to_vec());
        tokio::task::spawn_blocking(move || outcomes.end(&id, (&command, &body), ending, now)).await??;
        Ok(true)
    }

    /// A task is hung on the case of the discrepancy that it settles, as far as that is known.
    fn with_case(&self, mut command: Command, body: &[u8]) -> Command {
        if let CommandKind::CreateTask { case: case @ None, .. } = &mut command.kind {
            *case = subject_case(&self.published, body);
        }
        command
    }

    /// Sends an action to the receiver; whether it was tried.
    async fn deliver(&self, receiving: &mut Receiving, id: &[u8], body: &[u8]) -> anyhow::Result<bool> {
        if !receiving.wait.is_zero() {
            return Ok(false);
        }
        crate::crash::point("action.before");
        if !deliver(&self.receiver, &receiving.client, id, body).await {
            metrics::counter!("opshub_actions_total", "outcome" => "refused").increment(1);
            receiving.wait = receiving.backoff;
            receiving.backoff = (receiving.backoff * 2).min(BACKOFF.1);
            return Ok(true);
        }
        crate::crash::point("action.after");
        receiving.backoff = BACKOFF.0;
        metrics::counter!("opshub_actions_total", "outcome" => "delivered").increment(1);
        let (store, done) = (self.store.clone(), Changes::new().outbox_done(id.to_vec()));
        tokio::task::spawn_blocking(move || store.write(done, Durability::Relaxed)).await??;
        Ok(true)
    }
}

/// The receiver's client, and how long its actions wait yet.
struct Receiving {
    client: reqwest::Client,
    wait: Duration,
    backoff: Duration,
}

/// The record id of the case that a discrepancy is about.
fn subject_case(published: &Published<CustomerView>, body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (customer, subject) = (json["customer"].as_str()?, json["subject"].as_str()?);
    let slot = published.slot(&ontology::CustomerId(customer.into()))?;
    let found = slot.view.derived.discrepancies.iter().find(|one| one.id.0.as_str() == subject)?;
    found.case.as_ref().map(|case| case.id.to_string())
}

async fn deliver(receiver: &Receiver, client: &reqwest::Client, id: &[u8], body: &[u8]) -> bool {
    let id = String::from_utf8_lossy(id).into_owned();
    match receiver {
        Receiver::Journal => {
            tracing::debug!(action = %id, "action decided");
            true
        }
        Receiver::Webhook(url) => {
            let request = client
                .post(url)
                .header("idempotency-key", &id)
                .header("content-type", "application/json")
                .body(body.to_vec());
            match request.send().await {
                Ok(answer) if answer.status().is_success() => true,
                Ok(answer) => {
                    tracing::warn!(action = %id, status = answer.status().as_u16(), "receiver refused an action, will retry");
                    false
                }
                Err(error) => {
                    tracing::warn!(action = %id, error = %error.without_url(), "receiver of actions does not answer, will retry");
                    false
                }
            }
        }
    }
}
