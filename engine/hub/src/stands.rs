//! Stands are kept as the hub runs, one a day, and the log is forgotten before the newest of them that is
//! as old as reads of the past reach back.
//!
//! Nothing is evaluated for it: the stored rows are what the hub knew, so a stand is a copy of those that
//! changed since the stand before. It is written in small parts on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use connectors::SharedClock;
use metrics::{Unit, describe_gauge, gauge};
use ontology::Millis;
use storage::{Class, Position, Store};
use tokio_util::sync::CancellationToken;

use crate::as_of::{self, Forgotten, Moment};
use crate::runner::HEAD;

/// Days that reads of the past reach back, unless configured.
pub const AS_OF_DAYS: u32 = 90;
/// Most days that can be configured: ten years.
pub const AS_OF_DAYS_MAX: u32 = 3_660;

/// Engine time from one stand to the next.
const EVERY_MS: i64 = Millis::DAY_MS;
/// How often it is asked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// After each part, which takes a few milliseconds.
const PAUSE: Duration = Duration::from_millis(20);

const START: &str = "opshub_log_start_position";
const REACH: &str = "opshub_as_of_reach_seconds";

/// Describes the figures of the past to the installed recorder.
pub fn describe() {
    describe_gauge!(START, Unit::Count, "Oldest position that is kept in the log");
    describe_gauge!(REACH, Unit::Seconds, "How far back reads of the past reach");
}

/// Keeps stands and forgets what is out of reach, now and then.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    clock: SharedClock,
    as_of_days: u32,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let reach_ms = i64::from(as_of_days) * Millis::DAY_MS;
    while !stop.is_cancelled() {
        let (store, now, is_over) = (store.clone(), clock.now(), stop.clone());
        let done = tokio::task::spawn_blocking(move || {
            let is_wanted = low_share(move || !is_over.is_cancelled());
            keep(&*store, now, reach_ms, &is_wanted)?;
            tell(&*store, now)
        });
        match done.await? {
            Err(error) if error.downcast_ref().is_some_and(|error: &storage::Error| error.class() == Class::Retry) => {
                tracing::warn!(%error, "no stand was kept, will retry");
            }
            done => done?,
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    Ok(())
}

/// Keeps a stand if one is due at `now`, and makes the newest one that is at least `reach_ms` old the base.
///
/// # Errors
/// When the store cannot be read or written.
pub fn keep(store: &dyn Store, now: Millis, reach_ms: i64, is_wanted: &dyn Fn() -> bool) -> anyhow::Result<()> {
    let mut stands = store.stands()?;
    let newest = stands.last().map(Moment::of).transpose()?;
    if newest.is_none_or(|newest| now.since(newest.now) >= EVERY_MS) {
        stands.extend(store.keep_stand(HEAD, is_wanted)?);
    }
    let mut base = None;
    for stand in &stands {
        if now.since(Moment::of(stand)?.now) >= reach_ms {
            base = Some(stand.position);
        }
    }
    let oldest = stands.first().map(|stand| stand.position);
    match base {
        // Blocks are dropped last: their being there tells that a forgetting was broken off.
        Some(base) if oldest < Some(base) || store.start()? < first_of_block(store, base)? => {
            let blocks = store.forget_before(base, is_wanted)?;
            tracing::info!(base = base.0, blocks, "forgot what reads of the past do not reach any more");
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn first_of_block(store: &dyn Store, position: Position) -> anyhow::Result<Position> {
    Ok(store.read(position)?.next().transpose()?.map_or(position, |block| block.first()))
}

#[allow(clippy::cast_precision_loss, reason = "figures")]
fn tell(store: &dyn Store, now: Millis) -> anyhow::Result<()> {
    gauge!(START).set(store.start()?.0 as f64);
    let oldest = match Moment::oldest(store) {
        Ok(Moment { position: Position::ZERO, .. }) => as_of::oldest(store)?,
        Ok(Moment { now, .. }) => Some(now),
        Err(error) if error.is::<Forgotten>() => None,
        Err(error) => return Err(error),
    };
    gauge!(REACH).set(oldest.map_or(0, |oldest| now.since(oldest)).max(0) as f64 / 1_000.0);
    Ok(())
}

/// Asks `is_wanted` after a pause that leaves most of a core to others.
fn low_share(is_wanted: impl Fn() -> bool) -> impl Fn() -> bool {
    move || {
        std::thread::sleep(PAUSE);
        is_wanted()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use ontology::LogPos;
    use ontology::codec::{put_i64, put_u64};
    use pipeline::memory::Opened;
    use pipeline::{Engine, EngineSettings, Input};
    use resolver::Model;
    use sim::delivery::{BatchSize, Delivery};
    use sim::difference::{equal, texts};
    use sim::{Chance, History};
    use storage::{Changes, Durability, Intake, Log as _, Memory, NewBlock, Rows as _, Stands as _, Table};

    use super::*;
    use crate::as_of::{advance, engine_at, replay_in_batches};
    use crate::runner::{recover, write_snapshot};

    const SEEDS: std::ops::Range<u64> = 0..8;
    const MOMENTS: usize = 8;

    /// Everything that an engine tells, and what it remembers; the text of what is open is that of the last
    /// look at it, and a restart looks once more.
    fn told(engine: &Engine) -> Vec<String> {
        let mut told = texts(engine.canonical(engine.now()));
        let memory = engine.memory();
        let without_text = |opened: &Opened| Opened { text: String::new(), ..opened.clone() };
        told.extend(memory.opened().map(|(id, opened)| format!("{id:?} {:?}", without_text(opened))));
        told.extend(memory.all_tasks().map(|tasks| format!("{tasks:?}")));
        told.extend(memory.transfers().map(|transfer| format!("{transfer:?}")));
        told
    }

    fn new_engine() -> Engine {
        Engine::new(EngineSettings::default(), Model::shipped())
    }

    fn read(store: &dyn Store, moment: Moment) -> Vec<String> {
        told(&engine_at(store, moment, EngineSettings::default(), Model::shipped()).unwrap())
    }

    fn restarted(store: &dyn Store) -> Engine {
        let mut engine = new_engine();
        recover(store, &mut engine, &mut |_, _| ()).unwrap();
        engine
    }

    /// A hub that stores rows, keeps stands, forgets and starts again at random, beside the whole log.
    struct Course {
        chance: Chance,
        whole: Memory,
        store: Memory,
        engine: Engine,
    }

    impl Course {
        fn of(seed: u64) -> Self {
            let mut chance = Chance::of(seed);
            let delivery = Delivery::of(&History::of(seed), &mut chance, BatchSize::Of(16));
            let (whole, store) = (Memory::default(), Memory::default());
            let mut course = Course { chance, whole, store, engine: new_engine() };
            let instants: Vec<_> = delivery.0.iter().map(|batch| batch.ingested_at).collect();
            for (place, batch) in delivery.0.iter().enumerate() {
                for store in [&course.whole, &course.store] {
                    let mut block = NewBlock::new(batch.ingested_at);
                    for fact in &batch.facts {
                        block.push_with(|out| fact.encode(out));
                    }
                    store.append(Intake::new().block(block)).unwrap();
                }
                course.engine.step(Input::Facts { facts: batch.facts.clone(), ingested_at: batch.ingested_at });
                let next = instants.get(place + 1).map_or(batch.ingested_at + Millis::DAY_MS, |next| *next);
                let now = course.chance.between(batch.ingested_at.0, next.0.max(batch.ingested_at.0 + 1));
                course.engine.step(Input::Tick { now: Millis(now.min(next.0)) });
                course.go_on();
            }
            course
        }

        fn go_on(&mut self) {
            if self.chance.below(2) == 0 {
                write_snapshot(&self.store, &self.engine.take_snapshot(), &BTreeMap::new()).unwrap();
            }
            if self.chance.below(3) == 0 {
                self.store.keep_stand(HEAD, &|| true).unwrap();
            }
            if self.chance.below(6) == 0 {
                let stands = self.store.stands().unwrap();
                if let Some(base) = stands.get(self.chance.below(stands.len().max(1))) {
                    self.store.forget_before(base.position, &|| true).unwrap();
                }
            }
            if self.chance.below(6) == 0 {
                let now = self.engine.now();
                self.engine = restarted(&self.store);
                self.engine.step(Input::Tick { now });
            }
        }
    }

    #[test]
    fn every_moment_that_is_not_forgotten_is_as_the_whole_log_tells_it() {
        let (mut forgotten, mut later) = (0, 0);
        for seed in SEEDS {
            let mut course = Course::of(seed);
            let (store, whole): (&dyn Store, &dyn Store) = (&course.store, &course.whole);
            let oldest = Moment::oldest(store).unwrap();
            for _ in 0..MOMENTS {
                let position = Position(course.chance.below(usize::try_from(whole.last().0).unwrap()) as u64 + 1);
                let mut moment = Moment::at(whole, position).unwrap();
                if position < oldest.position {
                    forgotten += 1;
                    let error = Moment::at(store, position).unwrap_err();
                    assert_eq!(error.downcast_ref::<Forgotten>().unwrap().oldest, oldest.position);
                    assert!(Moment::at_time(store, oldest.now + (-1)).is_err());
                    continue;
                }
                if course.chance.below(2) == 0 {
                    let time = oldest.now.max(moment.now) + course.chance.between(0, Millis::DAY_MS);
                    moment = Moment::at_time(whole, time).unwrap();
                    assert_eq!(Moment::at_time(store, time).unwrap(), moment);
                } else if position > oldest.position {
                    assert_eq!(Moment::at(store, position).unwrap(), moment);
                }
                later += 1;
                let moment = Moment { now: moment.now.max(oldest.now), ..moment };
                equal(&format!("seed {seed} at {moment:?}"), &read(store, moment), &read(whole, moment)).unwrap();
            }
        }
        assert!(forgotten > 0 && later > 0, "{forgotten} moments before a base, {later} after one");
    }

    #[test]
    fn digest_and_restart_of_a_log_without_its_beginning_are_those_of_the_whole() {
        let mut without = 0;
        for seed in SEEDS {
            let course = Course::of(seed);
            without += usize::from(course.store.start().unwrap() > Position::FIRST);
            let now = course.engine.now();
            let of_log = |store: &dyn Store| {
                let mut engine = new_engine();
                replay_in_batches(store, None, usize::MAX, &mut engine).unwrap();
                engine
            };
            let mut engines = [course.engine, of_log(&course.whole), of_log(&course.store), restarted(&course.store)];
            let [expected, rest @ ..] = engines.each_mut().map(|engine| {
                engine.step(Input::Tick { now });
                (engine.digest(now), told(engine))
            });
            rest.iter().for_each(|found| assert_eq!(*found, expected, "seed {seed}"));
            if let Ok(Moment { position: Position(oldest @ 2..), .. }) = Moment::oldest(&course.store) {
                let before = replay_in_batches(&course.store, Some(Position(oldest - 1)), 7, &mut new_engine());
                assert!(before.unwrap_err().is::<Forgotten>());
            }
        }
        assert!(without > 0, "no log has lost its beginning");
    }

    #[test]
    fn an_engine_begins_at_the_newest_stand_before_a_moment_and_goes_on_from_where_it_is() {
        let course = Course::of(1);
        let newest = Moment::at(&course.whole, course.whole.last()).unwrap();
        let stand = course.store.stands().unwrap().pop().unwrap();
        let mut engine = new_engine();
        let is_there = advance(&mut engine, &course.store, newest, || false).unwrap();
        assert_eq!((is_there, engine.position()), (stand.position == newest.position, LogPos(stand.position.0)));
        assert!(advance(&mut engine, &course.store, newest, || true).unwrap());
        assert_eq!(told(&engine), read(&course.whole, newest));
    }

    /// Rows that stand at a new fact, which came in on a day.
    fn step(store: &Memory, day: i64) {
        let at = Millis(day * Millis::DAY_MS);
        let mut block = NewBlock::new(at);
        block.push(b"a fact");
        let position = store.append(Intake::new().block(block)).unwrap().start;
        let mut head = Vec::new();
        put_i64(&mut head, at.0);
        put_u64(&mut head, position.0);
        store.write(Changes::new().put(Table::Meta, HEAD, head).applied(position), Durability::Relaxed).unwrap();
    }

    #[test]
    fn a_stand_is_kept_each_day_and_the_log_reaches_back_as_far_as_configured() {
        const REACH_DAYS: i64 = 5;
        let store = Memory::default();
        let look = |at: Millis| keep(&store, at, REACH_DAYS * Millis::DAY_MS, &|| true).unwrap();
        look(Millis(0));
        assert_eq!(store.stands().unwrap(), [], "nothing is there");
        for day in 0..=9 {
            step(&store, day);
            let at = Millis(day * Millis::DAY_MS);
            for at in [at, at + 1, at + (Millis::DAY_MS - 1)] {
                look(at);
                let oldest = (day - REACH_DAYS).max(0);
                let positions: Vec<u64> = store.stands().unwrap().iter().map(|stand| stand.position.0).collect();
                // The fact of day n is at position n + 1.
                let expected: Vec<u64> = (oldest..=day).map(|day| day.unsigned_abs() + 1).collect();
                assert_eq!(positions, expected, "on day {day}");
                assert_eq!(store.start().unwrap(), Position(expected[0]), "on day {day}");
            }
        }
    }

    #[test]
    fn a_forgetting_that_was_broken_off_is_taken_up() {
        let store = Memory::default();
        (0..4).for_each(|day| {
            step(&store, day);
            store.keep_stand(HEAD, &|| true).unwrap();
        });
        let before = store.start().unwrap();
        keep(&store, Millis(3 * Millis::DAY_MS), 100 * Millis::DAY_MS, &|| true).unwrap();
        assert_eq!(store.start().unwrap(), before, "all of it is in reach");
        keep(&store, Millis(4 * Millis::DAY_MS), 2 * Millis::DAY_MS, &|| true).unwrap();
        assert_eq!((store.start().unwrap(), store.stands().unwrap().len()), (Position(3), 2));
    }
}
