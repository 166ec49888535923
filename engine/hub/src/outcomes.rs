//! What became of commands: kept beside the outbox, shown on `/commands`, and confirmed when the
//! source tells of the change that we made. It may tell so before the target has answered us, or
//! before a restart: so keys are waited for from before the command is sent, and what was told is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use connectors::outbound::Command;
use ontology::{Millis, System, Vocabulary as _};
use serde::{Deserialize, Serialize};
use storage::{Changes, Durability, Store, Table};

/// Rows that outcomes are kept in begin so; the key of the command follows.
const PREFIX: &[u8] = b"command/";
/// Rows of keys that a source has told of before their outcome was known begin so.
const TOLD: &[u8] = b"command-told/";
/// Outcomes that are shown.
const SHOWN_MAX: usize = 200;
/// Commands whose change is waited for; the oldest are given up first.
const AWAITED_MAX: usize = 1_000;
/// What keys of commands begin with, and how long they are after it.
const KEY_STARTS: [&[u8]; 2] = [b"action-", b"task-"];
const KEY_DIGITS: usize = 20;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The target did it.
    Done,
    /// The source has told of the change since.
    Confirmed,
    /// The target will not do it.
    Refused,
}

impl Ending {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Confirmed => "confirmed",
            Ending::Refused => "refused",
        }
    }
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Idempotency key of the command.
    pub key: String,
    /// What was to be done.
    pub command: String,
    /// Where.
    pub system: String,
    /// How it ended.
    pub outcome: Ending,
    /// What the target said, if it refused.
    pub detail: String,
    /// When it was decided, ms since the epoch.
    pub decided_at_ms: i64,
    /// When it ended, ms since the epoch.
    pub ended_at_ms: i64,
    /// The key that the target noted.
    pub noted_as: String,
    /// The command as it stood in the outbox, where the hub itself is what carries it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The outcomes of a hub. Clones share what they know.
#[derive(Clone)]
pub struct Outcomes {
    store: Arc<dyn Store>,
    awaited: Arc<Mutex<Awaited>>,
}

/// Commands whose change the source may tell of.
#[derive(Debug, Default)]
struct Awaited {
    /// Outcomes by the key that the target noted, as long as the source has not told of the change.
    done: BTreeMap<String, Outcome>,
    /// Keys of commands that are being sent, and whether the source has told of them already.
    sent: BTreeMap<String, bool>,
}

impl Outcomes {
    /// The outcomes in `store`, without those whose change is waited for: see [`Outcomes::load`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Outcomes { store, awaited: Arc::default() }
    }

    /// Begins to wait for the changes that the store says are awaited.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(&self) -> anyhow::Result<()> {
        for outcome in self.all()?.into_iter().filter(|one| one.outcome == Ending::Done) {
            self.await_change(outcome);
        }
        for row in self.store.scan(Table::Meta, TOLD)? {
            let key = String::from_utf8_lossy(&row?.0[TOLD.len()..]).into_owned();
            self.lock().sent.insert(key, true);
        }
        Ok(())
    }

    /// Every outcome, in order of keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(&self) -> anyhow::Result<Vec<Outcome>> {
        let rows = self.store.scan(Table::Meta, PREFIX)?;
        let read = rows.map(|row| Ok(serde_json::from_slice(&row?.1)?));
        read.collect()
    }

    /// A command is about to be sent: from now on the source may tell of its change.
    pub fn sending(&self, command: &Command) {
        if command.verb().system() != System::Wxcc {
            self.lock().sent.entry(command.noted_as().to_owned()).or_default();
        }
    }

    /// Notes how a command ended and takes it off the outbox, in one atom.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn end(
        &self,
        id: &[u8],
        (command, body): (&Command, &[u8]),
        ending: (Ending, String),
        at: Millis,
    ) -> anyhow::Result<()> {
        let system = command.verb().system();
        let is_told = self.lock().sent.remove(command.noted_as()).unwrap_or_default();
        let ending = match ending {
            (Ending::Done, detail) if is_told => (Ending::Confirmed, detail),
            other => other,
        };
        let outcome = Outcome {
            key: command.key.clone(),
            command: command.verb().name().to_owned(),
            system: system.name().to_owned(),
            outcome: ending.0,
            detail: ending.1,
            decided_at_ms: command.at.0,
            ended_at_ms: at.0,
            noted_as: command.noted_as().to_owned(),
            body: (system == System::Wxcc).then(|| String::from_utf8_lossy(body).into_owned()),
        };
        count(&outcome);
        let changes = Changes::new().put(Table::Meta, row(&outcome.key), serde_json::to_vec(&outcome)?);
        let changes = if is_told { changes.delete(Table::Meta, told_row(&outcome.noted_as)) } else { changes };
        self.store.write(changes.outbox_done(id.to_vec()), Durability::Relaxed)?;
        if outcome.outcome == Ending::Done && system != System::Wxcc {
            self.await_change(outcome);
        }
        Ok(())
    }

    /// Looks in what a source tells for the keys of our own commands.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn recognise(&self, raw: &[u8], at: Millis) -> anyhow::Result<()> {
        let (mut known, mut early) = (Vec::new(), Vec::new());
        {
            let mut awaited = self.lock();
            if awaited.done.is_empty() && awaited.sent.is_empty() {
                return Ok(());
            }
            for key in keys(raw) {
                known.extend(awaited.done.remove(key));
                if let Some(is_told) = awaited.sent.get_mut(key).filter(|is_told| !**is_told) {
                    *is_told = true;
                    early.push(key);
                }
            }
        }
        for key in early {
            self.store.write(Changes::new().put(Table::Meta, told_row(key), Vec::new()), Durability::Relaxed)?;
        }
        for outcome in known {
            let outcome = Outcome { outcome: Ending::Confirmed, ended_at_ms: at.0, ..outcome };
            count(&outcome);
            let changes = Changes::new().put(Table::Meta, row(&outcome.key), serde_json::to_vec(&outcome)?);
            self.store.write(changes, Durability::Relaxed)?;
        }
        Ok(())
    }

    /// The page that shows them: what waits, and what became of the last ones.
    pub fn page(&self) -> Router {
        Router::new().route("/commands", get(shown)).with_state(self.clone())
    }

    fn await_change(&self, outcome: Outcome) {
        let done = &mut self.lock().done;
        done.insert(outcome.noted_as.clone(), outcome);
        if done.len() > AWAITED_MAX
            && let Some(oldest) = done.iter().min_by_key(|(_, one)| one.ended_at_ms).map(|(key, _)| key.clone())
        {
            done.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) -> anyhow::Result<serde_json::Value> {
        let mut all = self.all()?;
        all.sort_by_key(|one| std::cmp::Reverse(one.ended_at_ms));
        let waiting = self.store.pending()?.count();
        all.truncate(SHOWN_MAX);
        let mut shown = serde_json::to_value(all)?;
        for outcome in shown.as_array_mut().into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
            outcome.remove("body");
        }
        Ok(serde_json::json!({ "waiting": waiting, "outcomes": shown }))
    }
}

fn told_row(key: &str) -> Vec<u8> {
    [TOLD, key.as_bytes()].concat()
}

fn row(key: &str) -> Vec<u8> {
    [PREFIX, key.as_bytes()].concat()
}

fn count(outcome: &Outcome) {
    let (command, ending) = (outcome.command.clone(), outcome.outcome.name());
    metrics::counter!("opshub_commands_total", "command" => command, "outcome" => ending).increment(1);
}

async fn shown(State(outcomes): State<Outcomes>) -> Response {
    let shown = tokio::task::spawn_blocking(move || outcomes.show()).await;
    match shown {
        Ok(Ok(shown)) => Json(shown).into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Everything in `raw` that has the form of a command's key.
fn keys(raw: &[u8]) -> impl Iterator<Item = &str> {
    KEY_STARTS.into_iter().flat_map(move |start| {
        raw.windows(start.len() + KEY_DIGITS).filter_map(move |window| {
            let digits = window.strip_prefix(start)?;
            digits.iter().all(u8::is_ascii_hexdigit).then(|| std::str::from_utf8(window).ok())?
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "action-0123456789abcdef0123";

    fn opened(store: &Arc<dyn Store>) -> Outcomes {
        let outcomes = Outcomes::new(store.clone());
        outcomes.load().unwrap();
        outcomes
    }

    fn ended(ending: Ending) -> (Outcomes, Arc<dyn Store>) {
        let store: Arc<dyn Store> = Arc::new(storage::Memory::default());
        let body = format!(
            "{{\"id\": \"{KEY}\", \"action\": \"flag_invoice\", \"at_ms\": 5, \"invoice\": \"I\", \"text\": \"x\"}}"
        );
        store.write(Changes::new().outbox_put(KEY, body.clone()), Durability::Relaxed).unwrap();
        let outcomes = opened(&store);
        let command = Command::parse(body.as_bytes()).unwrap();
        outcomes.end(KEY.as_bytes(), (&command, body.as_bytes()), (ending, String::new()), Millis(7)).unwrap();
        (outcomes, store)
    }

    fn ending(outcomes: &Outcomes) -> Ending {
        outcomes.all().unwrap()[0].outcome
    }

    #[test]
    fn a_command_leaves_the_outbox_with_its_outcome() {
        let (outcomes, store) = ended(Ending::Refused);
        assert_eq!((store.pending().unwrap().count(), ending(&outcomes)), (0, Ending::Refused));
        let shown = outcomes.show().unwrap();
        assert_eq!((&shown["waiting"], &shown["outcomes"][0]["command"]), (&0.into(), &"flag_invoice".into()));
    }

    #[test]
    fn our_own_change_is_known_when_it_comes_back_also_after_a_restart() {
        let (_, store) = ended(Ending::Done);
        let outcomes = opened(&store);
        outcomes.recognise(b"{\"REVIEW_KEY\": \"action-0123456789abcdef0124\"}", Millis(8)).unwrap();
        assert_eq!(ending(&outcomes), Ending::Done, "another's key");
        outcomes.recognise(format!("\u{1}{KEY}\u{2}").as_bytes(), Millis(9)).unwrap();
        assert_eq!(ending(&outcomes), Ending::Confirmed);
        assert_eq!(outcomes.all().unwrap()[0].ended_at_ms, 9);
    }

    #[test]
    fn a_source_may_tell_before_the_target_has_answered_and_before_a_restart() {
        let store: Arc<dyn Store> = Arc::new(storage::Memory::default());
        let body = format!(
            "{{\"id\": \"{KEY}\", \"action\": \"flag_invoice\", \"at_ms\": 5, \"invoice\": \"I\", \"text\": \"x\"}}"
        );
        let command = Command::parse(body.as_bytes()).unwrap();
        let killed = opened(&store);
        killed.sending(&command);
        killed.recognise(KEY.as_bytes(), Millis(6)).unwrap();
        let outcomes = opened(&store);
        outcomes.sending(&command);
        outcomes.end(KEY.as_bytes(), (&command, body.as_bytes()), (Ending::Done, String::new()), Millis(7)).unwrap();
        assert_eq!(ending(&outcomes), Ending::Confirmed);
        assert_eq!(store.scan(Table::Meta, TOLD).unwrap().count(), 0, "not kept any longer");
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        let found: Vec<&str> = keys(b"xaction-0123456789abcdef0123,task-ffffffffffffffffffff;task-short").collect();
        assert_eq!(found, [KEY, "task-ffffffffffffffffffff"]);
        assert_eq!(keys(b"").count(), 0);
    }
}
