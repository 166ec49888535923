//! Reads of the past: one engine of its own begins at the newest stand before the moment that is asked
//! for, reads the log up to it, and goes on from there when a later one is asked for.
//!
//! The first read of a moment costs as much as a start of the hub with the facts since the stand behind
//! its rows, the next one of the same or a later moment only what lies between. So there is one such
//! engine, readers take turns, and it goes when nobody has asked for a while: it holds every customer, as
//! the hub's own does.

use std::sync::Arc;
use std::time::Duration;

use ontology::{LogPos, System};
use pipeline::{Engine, EngineSettings};
use resolver::Model;
use serve::reason::{Reason, Refusal};
use serve::token::position_token;
use storage::{Position, Store};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::as_of::{Forgotten, Moment, advance, stand_before};

/// Readers of the past who may wait for their turn.
const READERS_MAX: usize = 16;
/// How long the engine is kept after the last read.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// What the hub knew.
pub struct Past {
    beginning: Arc<dyn Fn() -> Engine + Send + Sync>,
    readers: Semaphore,
    kept: Arc<Mutex<Kept>>,
    kept_for: Duration,
}

/// The engine between two reads.
#[derive(Default)]
struct Kept {
    engine: Option<Engine>,
    /// Whether it was used since somebody last looked whether it may go, and whether somebody does.
    is_used: bool,
    is_watched: bool,
}

impl Past {
    /// The past of a hub with these settings.
    #[must_use]
    pub fn new(settings: EngineSettings, model: Model, unmonitored: Vec<System>) -> Self {
        let beginning = move || {
            let mut engine = Engine::new(settings.clone(), model.clone());
            engine.set_unmonitored(&unmonitored);
            engine
        };
        let readers = Semaphore::new(READERS_MAX);
        Past { beginning: Arc::new(beginning), readers, kept: Arc::default(), kept_for: KEPT_FOR }
    }

    /// Asks the engine as it was at the moment that `at` finds in the store. A caller that goes away
    /// leaves behind how far the engine came, so asking again gets further.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        store: Arc<dyn Store>,
        at: impl FnOnce(&dyn Store) -> anyhow::Result<Moment> + Send + 'static,
        question: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(_place) = self.readers.try_acquire() else {
            return Err(Refusal::new(Reason::Overloaded).with("queue", "reads of the past").with("limit", READERS_MAX));
        };
        let mut kept = self.kept.clone().lock_owned().await;
        self.watch(&mut kept);
        let is_over = CancellationToken::new();
        let _over_when_dropped = is_over.clone().drop_guard();
        let beginning = self.beginning.clone();
        let answered = tokio::task::spawn_blocking(move || -> anyhow::Result<Option<T>> {
            let moment = at(&*store)?;
            let stand = stand_before(&*store, moment)?.map_or(Position::ZERO, |stand| stand.position);
            let mut engine = match kept.engine.take() {
                Some(engine) if is_before(&engine, moment) && !is_farther(&engine, stand) => engine,
                Some(_) | None => beginning(),
            };
            let is_there = advance(&mut engine, &*store, moment, || !is_over.is_cancelled())?;
            let answer = is_there.then(|| question(&engine));
            kept.engine = Some(engine);
            Ok(answer)
        });
        match answered.await {
            Ok(Ok(Some(answer))) => Ok(answer),
            // Only one who went away is told this.
            Ok(Ok(None)) => Err(Refusal::new(Reason::Draining)),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(error) => Err(refusal(&error.into())),
        }
    }

    /// Lets the engine go once it was not used for a while.
    fn watch(&self, kept: &mut Kept) {
        kept.is_used = true;
        if std::mem::replace(&mut kept.is_watched, true) {
            return;
        }
        let (kept, kept_for) = (self.kept.clone(), self.kept_for);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(kept_for).await;
                let mut kept = kept.lock().await;
                if !std::mem::take(&mut kept.is_used) {
                    *kept = Kept::default();
                    return;
                }
            }
        });
    }
}

/// Whether an engine can go on to a moment: it forgets nothing that it has taken.
fn is_before(engine: &Engine, moment: Moment) -> bool {
    engine.position().0 <= moment.position.0 && engine.now() <= moment.now
}

/// Whether a new engine that begins at a stand gets farther with less: a record of the stand costs about
/// as much to put in place as a fact to apply.
fn is_farther(engine: &Engine, stand: Position) -> bool {
    stand.0.saturating_sub(engine.position().0) > engine.entities().count() as u64
}

fn refusal(error: &anyhow::Error) -> Refusal {
    let oldest = match (error.downcast_ref::<Forgotten>(), error.downcast_ref::<storage::Error>()) {
        (Some(Forgotten { oldest, .. }), _) => Some(*oldest),
        // The base was moved while somebody asked.
        (None, Some(storage::Error::OutOfRange { start, .. })) => Some(*start),
        (None, Some(_) | None) => None,
    };
    match oldest {
        Some(oldest) => Refusal::new(Reason::PositionTooOld).with("oldest_position", position_token(LogPos(oldest.0))),
        None => {
            tracing::error!(error = format!("{error:#}"), "a read of the past failed inside");
            Refusal::new(Reason::Internal)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use insight::Settings;
    use ontology::Millis;
    use sim::delivery::{BatchSize, Delivery};
    use sim::difference::{equal, texts};
    use sim::{Chance, History, Oracle};
    use storage::{Intake, Log as _, Memory, NewBlock, Stands as _};

    use super::*;
    use crate::runner::{HEAD, write_snapshot};

    const SEEDS: std::ops::Range<u64> = 0..6;
    const MOMENTS: usize = 8;

    fn past() -> Past {
        Past::new(EngineSettings::default(), Model::shipped(), Vec::new())
    }

    fn store(delivery: &Delivery) -> Arc<dyn Store> {
        store_with_stands(delivery, usize::MAX)
    }

    /// A stand is kept after so many batches each.
    fn store_with_stands(delivery: &Delivery, every: usize) -> Arc<dyn Store> {
        let store = Memory::default();
        let mut engine = (past().beginning)();
        for (place, batch) in delivery.0.iter().enumerate() {
            let mut block = NewBlock::new(batch.ingested_at);
            for fact in &batch.facts {
                block.push_with(|out| fact.encode(out));
            }
            store.append(Intake::new().block(block)).unwrap();
            engine.step(pipeline::Input::Facts { facts: batch.facts.clone(), ingested_at: batch.ingested_at });
            if (place + 1).is_multiple_of(every) {
                write_snapshot(&store, &engine.take_snapshot(), &BTreeMap::new()).unwrap();
                store.keep_stand(HEAD, &|| true).unwrap().unwrap();
            }
        }
        Arc::new(store)
    }

    /// What one moment of a history looks like, by its customers.
    async fn read(past: &Past, store: &Arc<dyn Store>, moment: Moment) -> Vec<String> {
        past.ask(store.clone(), move |_| Ok(moment), |engine| texts(engine.canonical(engine.now()))).await.unwrap()
    }

    #[tokio::test]
    async fn moments_in_any_order_are_what_the_oracle_makes_of_the_log_up_to_them() {
        for seed in SEEDS {
            let mut chance = Chance::of(seed);
            let delivery = Delivery::of(&History::of(seed), &mut chance, BatchSize::Of(16));
            let (store, past) = (store_with_stands(&delivery, 1 + chance.below(9)), past());
            for _ in 0..MOMENTS {
                let facts = delivery.facts();
                let position = Position(chance.below(facts.len()) as u64 + 1);
                let mut moment = Moment::at(&*store, position).unwrap();
                if chance.below(2) == 0 {
                    moment = Moment::at_time(&*store, moment.now + chance.between(0, Millis::DAY_MS)).unwrap();
                }
                let known = facts.into_iter().filter(|fact| fact.log_pos.0 <= moment.position.0);
                let oracle = Oracle::of(known.collect(), Settings::default(), Model::shipped());
                let expected = texts(oracle.canonical(moment.now).into_values());
                equal(&format!("seed {seed} at {moment:?}"), &read(&past, &store, moment).await, &expected).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn an_instant_is_found_between_the_blocks_around_it_and_time_alone_passes() {
        let mut chance = Chance::of(1);
        let delivery = Delivery::of(&History::of(1), &mut chance, BatchSize::Of(16));
        let store = store(&delivery);
        let mut position = 0;
        for batch in &delivery.0 {
            let before = Moment::at_time(&*store, batch.ingested_at + (-1)).unwrap();
            assert!(before.position.0 <= position, "{before:?}");
            position += batch.facts.len() as u64;
            let at = Moment::at_time(&*store, batch.ingested_at).unwrap();
            assert!(at.position.0 >= position, "{at:?}");
            assert_eq!(Moment::at(&*store, Position(position)).unwrap().now, batch.ingested_at);
        }
        let late = delivery.settled_at() + Millis::DAY_MS;
        let moment = Moment::at_time(&*store, late).unwrap();
        let stands = past().ask(store, move |_| Ok(moment), |engine| (engine.position(), engine.now())).await.unwrap();
        assert_eq!(stands, (LogPos(position), late));
    }

    #[tokio::test]
    async fn before_everything_nothing_is_known() {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let moments = [Moment::at(&*store, Position::ZERO).unwrap(), Moment::at_time(&*store, Millis(5)).unwrap()];
        for moment in moments {
            assert!(read(&past(), &store, moment).await.is_empty());
        }
    }

    #[test]
    fn a_reader_who_goes_away_leaves_how_far_the_engine_came() {
        let mut chance = Chance::of(2);
        let delivery = Delivery::of(&History::of(2), &mut chance, BatchSize::Of(8));
        let store = store(&delivery);
        let newest = Moment::at(&*store, store.last()).unwrap();
        let mut engine = (past().beginning)();
        let looks = std::cell::Cell::new(0);
        let is_wanted = || looks.replace(looks.get() + 1) < 2;
        assert!(!advance(&mut engine, &*store, newest, is_wanted).unwrap());
        assert_eq!(engine.position().0, delivery.0[..2].iter().map(|batch| batch.facts.len() as u64).sum::<u64>());
        assert!(advance(&mut engine, &*store, newest, || true).unwrap());
        assert_eq!(engine.position().0, newest.position.0);
    }

    #[tokio::test]
    async fn the_engine_goes_when_nobody_asks_and_another_comes() {
        let past = Past { kept_for: Duration::from_millis(20), ..past() };
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        for _ in 0..2 {
            past.ask(store.clone(), |store| Moment::at(store, Position::ZERO), |_| ()).await.unwrap();
            let gone = async {
                while past.kept.lock().await.engine.is_some() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        }
    }

    #[tokio::test]
    async fn more_readers_than_can_wait_are_sent_away() {
        let past = past();
        let places = past.readers.acquire_many(u32::try_from(READERS_MAX).unwrap()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let ask = || past.ask(store.clone(), |store| Moment::at(store, Position::ZERO), |_| ());
        assert_eq!(ask().await.unwrap_err().reason(), Reason::Overloaded);
        drop(places);
        ask().await.unwrap();
    }

    #[test]
    fn a_log_without_its_beginning_is_told() {
        let error = anyhow::Error::from(Forgotten { start: Position(7), oldest: Position(9) });
        assert!(error.to_string().contains("begins at position 7"), "{error}");
        assert_eq!(refusal(&error).reason(), Reason::PositionTooOld);
    }
}
