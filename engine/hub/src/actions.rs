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
pub use crate::receiver::Receiver;
use crate::receiver::{Received, Receiving};
use crate::targets::Targets;

/// How often the outbox is looked at. Actions get there with the next snapshot, within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Actions performed at a time.
const AT_A_TIME_MAX: usize = 256;
/// How long a command may wait for what it builds on.
const NOT_YET_MAX_MS: i64 = Millis::HOUR_MS;

/// What came of an action's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It waits.
    PassedOver,
    /// It has left the outbox.
    Ended,
    /// It was tried and stays.
    Failed,
    /// It was tried and stays, and others are to be tried before it is again.
    Broke,
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
        let mut receiving = Receiving::new(self.receiver.clone())?;
        let mut behind = Place::default();
        self.restore().await?;
        while !stop.is_cancelled() {
            behind = self.perform_some(&mut receiving, behind).await?;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.targets.rest(LOOK_EVERY);
            receiving.rest(LOOK_EVERY);
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

    /// Performs actions in the order in which they were decided, first those behind the one that
    /// something broke on last, so that none keeps others from their turn; the place of that one.
    async fn perform_some(&mut self, receiving: &mut Receiving, mut behind: Place) -> anyhow::Result<Place> {
        if receiving.is_away() && self.targets.is_empty() {
            return Ok(behind);
        }
        let mut pending = self.pending().await?;
        pending.sort_by_cached_key(place);
        let first = pending.partition_point(|action| place(action) <= behind);
        pending.rotate_left(first);
        let mut performed = 0;
        for action in pending {
            if performed == AT_A_TIME_MAX {
                break;
            }
            let (id, body) = &action;
            let command = Command::parse(body).ok().filter(|command| self.targets.of(command.verb()).is_some());
            let turn = match command {
                Some(command) => self.carry_out(id, body, command).await?,
                None => self.deliver(receiving, id, body).await?,
            };
            performed += usize::from(turn != Turn::PassedOver);
            if turn == Turn::Broke {
                behind = place(&action);
            }
        }
        Ok(behind)
    }

    /// Carries a command out in its system.
    async fn carry_out(&mut self, id: &[u8], body: &[u8], command: Command) -> anyhow::Result<Turn> {
        let command = self.with_case(command, body);
        let Some(lane) = self.targets.of(command.verb()).filter(|lane| !lane.is_waiting()) else {
            return Ok(Turn::PassedOver);
        };
        self.outcomes.sending(&command);
        crate::crash::point("action.before");
        let (result, system) = (lane.perform(&command).await, lane.system());
        crate::crash::point("action.after");
        let now = self.clock.now();
        let (key, verb) = (&command.key, command.verb().name());
        let ending = match result {
            Ok(_) => (Ending::Done, String::new()),
            Err(Failure::NotYet(_)) if now.since(command.at) <= NOT_YET_MAX_MS => return Ok(Turn::PassedOver),
            Err(Failure::Later(why)) => {
                tracing::warn!(action = %key, command = verb, ?system, why, "a command was not carried out, will retry");
                metrics::counter!("opshub_commands_total", "command" => verb, "outcome" => "retried").increment(1);
                return Ok(Turn::Broke);
            }
            Err(Failure::NotYet(why) | Failure::Refused(why)) => {
                tracing::error!(action = %key, command = verb, ?system, why, "a command was refused: do it by hand");
                (Ending::Refused, why)
            }
        };
        let (outcomes, id, body) = (self.outcomes.clone(), id.to_vec(), body.to_vec());
        tokio::task::spawn_blocking(move || outcomes.end(&id, (&command, &body), ending, now)).await??;
        Ok(Turn::Ended)
    }

    /// A task is hung on the case of the discrepancy that it settles, as far as that is known.
    fn with_case(&self, mut command: Command, body: &[u8]) -> Command {
        if let CommandKind::CreateTask { case: case @ None, .. } = &mut command.kind {
            *case = subject_case(&self.published, body);
        }
        command
    }

    /// Sends an action to the receiver.
    async fn deliver(&self, receiving: &mut Receiving, id: &Bytes, body: &Bytes) -> anyhow::Result<Turn> {
        if receiving.is_waiting(id) {
            return Ok(Turn::PassedOver);
        }
        crate::crash::point("action.before");
        let failed = match receiving.send(id, body, self.clock.now()).await {
            Received::Taken => None,
            Received::Refused | Received::Away => Some(Turn::Failed),
            Received::Broke => Some(Turn::Broke),
        };
        if let Some(turn) = failed {
            metrics::counter!("opshub_actions_total", "outcome" => "refused").increment(1);
            return Ok(turn);
        }
        crate::crash::point("action.after");
        metrics::counter!("opshub_actions_total", "outcome" => "delivered").increment(1);
        let (store, done) = (self.store.clone(), Changes::new().outbox_done(id.to_vec()));
        tokio::task::spawn_blocking(move || store.write(done, Durability::Relaxed)).await??;
        Ok(Turn::Ended)
    }
}

/// When an action was decided, in ms since the epoch, and its id.
type Place = (i64, Bytes);

/// The place of an action in the order in which they are performed: what clears an alert comes
/// behind what raised it.
fn place((id, body): &(Bytes, Bytes)) -> Place {
    #[derive(serde::Deserialize)]
    struct Decided {
        at_ms: i64,
    }
    let decided = serde_json::from_slice::<Decided>(body);
    (decided.map_or(0, |decided| decided.at_ms), id.clone())
}

/// The record id of the case that a discrepancy is about.
fn subject_case(published: &Published<CustomerView>, body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (customer, subject) = (json["customer"].as_str()?, json["subject"].as_str()?);
    let slot = published.slot(&ontology::CustomerId(customer.into()))?;
    let found = slot.view.derived.discrepancies.iter().find(|one| one.id.0.as_str() == subject)?;
    found.case.as_ref().map(|case| case.id.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Mutex, PoisonError};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use ontology::LogPos;

    use connectors::edge::credentials::{Secret, webhook_signature};

    use super::*;
    use crate::clock::StoryClock;
    use crate::receiver::Webhook;

    /// A receiver that does not take one action, and what it was asked.
    #[derive(Clone)]
    struct Door {
        poison: StatusCode,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Door {
        fn asked(&self) -> Vec<String> {
            std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    async fn receive(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let (id, at_s) = (header("idempotency-key"), header("webhook-timestamp").parse().unwrap());
        let sign = |secret| webhook_signature(&Secret::new(secret), &id, at_s, &body);
        assert_eq!((header("webhook-id"), at_s), (id.clone(), 7));
        assert_eq!(header("webhook-signature"), format!("{} {}", sign("new"), sign("old")));
        let is_poison = id == "first";
        door.asked.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        if is_poison { door.poison } else { StatusCode::OK }
    }

    /// Three actions before a receiver that says `poison` to the first of them. What it is asked in
    /// three rounds: a long time goes by before the third.
    async fn asked_when_the_first_gets(poison: StatusCode) -> [Vec<String>; 3] {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let door = Door { poison, asked: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver::Webhook(Webhook {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            secrets: vec![Secret::new("new"), Secret::new("old")],
        });
        let router = Router::new().route("/", post(receive)).with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let store: Arc<dyn Store> = Arc::new(storage::Memory::default());
        let actions = [("first", 1), ("b", 2), ("a", 3)].into_iter();
        let put = |changes: Changes, (id, at): (&str, i64)| changes.outbox_put(id, format!("{{\"at_ms\": {at}}}"));
        store.write(actions.fold(Changes::new(), put), Durability::Relaxed).unwrap();
        let mut receiving = Receiving::new(receiver.clone()).unwrap();
        let mut performer = Performer {
            outcomes: Outcomes::new(store.clone()),
            store,
            receiver,
            targets: Targets::default(),
            clock: Arc::new(StoryClock::standing(Millis(7_999))),
            published: Arc::new(Published::new(LogPos(0))),
        };
        let behind = performer.perform_some(&mut receiving, Place::default()).await.unwrap();
        let begun = door.asked();
        let behind = performer.perform_some(&mut receiving, behind).await.unwrap();
        let at_once = door.asked();
        receiving.rest(Duration::from_secs(60));
        performer.perform_some(&mut receiving, behind).await.unwrap();
        [begun, at_once, door.asked()]
    }

    #[tokio::test]
    async fn actions_come_in_the_order_in_which_they_were_decided() {
        let [begun, at_once, _] = asked_when_the_first_gets(StatusCode::OK).await;
        assert_eq!((begun, at_once.len()), (["first", "b", "a"].map(str::to_owned).to_vec(), 0));
    }

    #[tokio::test]
    async fn an_action_that_is_refused_holds_up_no_other() {
        let [begun, at_once, later] = asked_when_the_first_gets(StatusCode::BAD_REQUEST).await;
        assert_eq!((begun, at_once.len()), (["first", "b", "a"].map(str::to_owned).to_vec(), 0));
        assert_eq!(later, ["first"]);
    }

    #[tokio::test]
    async fn an_action_that_its_receiver_breaks_on_gets_its_next_turn_after_the_others() {
        let [begun, at_once, later] = asked_when_the_first_gets(StatusCode::INTERNAL_SERVER_ERROR).await;
        assert_eq!((begun, at_once.len()), (vec!["first".to_owned()], 0));
        assert_eq!(later, ["b", "a", "first"]);
    }

    #[tokio::test]
    async fn a_receiver_that_is_away_gets_everything_in_order_when_it_is_back() {
        let [begun, at_once, later] = asked_when_the_first_gets(StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!((begun, at_once.len()), (vec!["first".to_owned()], 0));
        assert_eq!(later, ["first"], "it is still away");
    }
}
