//! Servers and owners that fail under load, on real servers: nothing that was acknowledged is lost, the
//! log gives what the oracle makes of it, and the hub is back without a hand. One that ends is started
//! again, as whoever runs it does.
//!
//! The test command runs the quick ones once. `scripts/faults COUNT` runs all of them so often and tells
//! in a table how long each took to be back.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fixtures::services::address;
use ontology::Millis;
use storage::Turn;

use crate::arena::Arena;
use crate::child::{Hub, Ready};
use crate::cut::{Line, Passes};
use crate::load::Load;
use crate::outputs;
use crate::redis::Redis;
use crate::servers::{SILENT, Servers};
use crate::{seed_of, wall};

/// How often every fault happens; unset, the quick ones happen once.
const COUNT: &str = "OPSHUB_FAULTS";
/// Load before a fault, and the length of one that lasts.
const BEFORE: Duration = Duration::from_millis(500);
const LASTS: Duration = Duration::from_millis(2_000);
/// Between two looks whether the hub is back.
const BEAT: Duration = Duration::from_millis(50);
/// How often a line flaps, and how long each state of it lasts.
const FLAPS: usize = 3;
const FLAP: Duration = Duration::from_millis(700);
/// When the test gives up on a hub: far above what is promised, because machines of tests are slow.
const PATIENCE_MS: i64 = 180_000;

/// How long one who would own the store too stays in the queue, and away from it.
const STAY: Duration = Duration::from_secs(2);
/// How often one comes: for two minutes.
const STAYS: usize = 30;
/// What each client waits before a request meanwhile: the oracle, which is slow on purpose, folds the whole
/// log in the end.
const GENTLE: Duration = Duration::from_millis(100);

/// A fault by its name, how often it happens, and what happens.
type Fault = (&'static str, Often, fn(&mut Field));

/// How often a fault happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Often {
    /// As often as is asked for; once in the test command.
    Always,
    /// As often as is asked for.
    Asked,
    /// Five times as often: what happens most.
    Most,
    /// Once if any are asked for: it is many faults in one.
    Once,
}

impl Often {
    /// How often, if so many are asked for.
    fn times(self, count: Option<usize>) -> usize {
        match (self, count) {
            (Often::Always, count) => count.unwrap_or(1),
            (Often::Asked | Often::Most | Often::Once, None) => 0,
            (Often::Asked, Some(count)) => count,
            (Often::Most, Some(count)) => 5 * count,
            (Often::Once, Some(_)) => 1,
        }
    }
}

const OF_REDIS: &[Fault] = &[
    ("Redis starts again", Often::Always, |field| field.restart_redis(|_| {}, Redis::save)),
    ("Redis starts again empty", Often::Always, |field| {
        field.restart_redis(|_| {}, |redis| drop(std::fs::remove_file(redis.dump())))
    }),
    ("Redis goes back to an older state", Often::Always, |field| field.restart_redis(Redis::save, |_| {})),
    ("Redis is cut off", Often::Asked, |field| field.cut_redis(Passes::Nothing)),
    ("Redis does not answer", Often::Asked, |field| field.cut_redis(Passes::NoAnswers)),
    ("the line to Redis flaps", Often::Asked, |field| field.flap(|field| &field.redis_line)),
];

const OF_KAFKA: &[Fault] = &[
    ("Kafka is cut off", Often::Always, |field| field.cut_kafka(Passes::Nothing)),
    ("Kafka does not answer", Often::Asked, |field| field.cut_kafka(Passes::NoAnswers)),
    ("the line to Kafka flaps", Often::Always, |field| field.flap(|field| field.kafka_line.as_ref().unwrap())),
];

const OF_BROKERS: &[Fault] = &[("a broker of three starts again", Often::Always, Field::restart_broker)];

const OF_OWNERS: &[Fault] = &[
    ("the owner is killed while another waits", Often::Most, Field::kill_owner),
    ("the owner stands still and goes on", Often::Asked, Field::stop_owner),
    ("others come and go every two seconds", Often::Once, Field::rebalance),
];

/// A hub under load with servers that can fail.
struct Field {
    arena: Arena,
    redis: Redis,
    redis_line: Line,
    kafka_line: Option<Line>,
    hub: Hub,
    ready: Ready,
    load: Option<Load>,
    /// When an owner failed; other faults are over when they have happened.
    failed_at: Option<Millis>,
    /// Hubs that were replaced, with the load that waits for their answers.
    replaced: Vec<(Hub, Option<Load>)>,
}

impl Field {
    fn new(seed: u64, brokers: &str, replicas: i32, kafka_line: Option<Line>) -> Field {
        let redis = Redis::start();
        let redis_line = Line::open("127.0.0.1:0", &redis.address());
        let mut arena = Arena::on(Servers::at(brokers, &redis_line.address(), replicas), seed);
        let (hub, ready) = arena.start();
        let load = Some(arena.begin_load(&ready));
        Field { arena, redis, redis_line, kafka_line, hub, ready, load, failed_at: None, replaced: Vec::new() }
    }

    /// Lets a fault happen and tells after how many milliseconds facts came in and into the rows again.
    fn suffer(mut self, fault: fn(&mut Field)) -> i64 {
        self.watch(BEFORE);
        fault(&mut self);
        let began = self.failed_at.unwrap_or_else(wall);
        let before = self.arena.acknowledged();
        self.watch_until(began, |field| field.arena.acknowledged() > before);
        let since = self.arena.acknowledged();
        self.watch_until(began, |field| field.arena.servers().applied() >= since);
        let took_ms = wall().since(began);
        let Field { mut arena, hub, load, replaced, .. } = self;
        hub.kill();
        load.into_iter().for_each(|load| arena.end_load(load));
        for (hub, load) in replaced {
            hub.kill();
            load.into_iter().for_each(|load| arena.end_load(load));
        }
        let verdict = arena.judge();
        assert!(verdict.facts > 0, "no fact was acknowledged");
        took_ms
    }

    /// Goes on under load for a while.
    fn watch(&mut self, time: Duration) {
        let until = wall() + i64::try_from(time.as_millis()).unwrap();
        while wall() < until {
            self.keep_going();
        }
    }

    fn watch_until(&mut self, began: Millis, is_so: impl Fn(&Field) -> bool) {
        while !is_so(self) {
            assert!(wall().since(began) < PATIENCE_MS, "the hub is not back: {}", self.arena.told());
            self.keep_going();
        }
    }

    /// Starts a hub that has ended, and clients that gave up. A hub that does not find its servers ends
    /// again and is started again.
    fn keep_going(&mut self) {
        let is_gone = self.hub.ends_within(BEAT);
        if !is_gone && !self.load.as_ref().is_some_and(Load::is_over) {
            return;
        }
        if let Some(load) = self.load.take() {
            self.arena.end_load(load);
        }
        if is_gone {
            self.hub = self.arena.spawn("first", None);
            let Some(ready) = self.hub.ready() else { return };
            self.ready = ready;
        }
        self.load = Some(self.arena.begin_load(&self.ready));
    }

    /// `before` happens at once, `while_up` just before the end, which nobody is told.
    fn restart_redis(&mut self, before: fn(&Redis), while_up: fn(&Redis)) {
        before(&self.redis);
        self.watch(BEFORE);
        while_up(&self.redis);
        self.redis.kill();
        self.redis.come_back();
    }

    fn cut_redis(&mut self, passes: Passes) {
        self.redis_line.set(passes);
        self.watch(LASTS);
        self.redis_line.set(Passes::Everything);
    }

    fn cut_kafka(&mut self, passes: Passes) {
        let line = self.kafka_line.take().unwrap();
        line.set(passes);
        self.watch(LASTS);
        line.set(Passes::Everything);
        self.kafka_line = Some(line);
    }

    fn flap(&mut self, line: fn(&Field) -> &Line) {
        for _ in 0..FLAPS {
            line(self).set(Passes::Nothing);
            line(self).break_all();
            self.watch(FLAP);
            line(self).set(Passes::Everything);
            self.watch(FLAP);
        }
    }

    fn restart_broker(&mut self) {
        restart_broker(|| self.keep_going());
    }

    fn kill_owner(&mut self) {
        let second = self.arena.spawn("second", None);
        self.watch(BEFORE);
        self.hub.signal("KILL");
        self.failed_at = Some(wall());
        self.replace_by(second);
    }

    fn stop_owner(&mut self) {
        let second = self.arena.spawn("second", None);
        self.watch(BEFORE);
        self.hub.signal("STOP");
        self.failed_at = Some(wall());
        assert!(!self.hub.ends_within(SILENT), "one that stands still does not end");
        self.replace_by(second);
        let (first, _) = self.replaced.last().unwrap();
        first.signal("CONT");
    }

    /// Each that comes, and each that goes, makes the group of owners agree anew.
    fn rebalance(&mut self) {
        self.arena.pace.set(GENTLE);
        let options = self.arena.servers().options();
        for _ in 0..STAYS {
            let other = Turn::queue(&options, |_| {}).unwrap();
            self.watch(STAY);
            drop(other);
            self.watch(STAY);
        }
    }

    fn replace_by(&mut self, second: Hub) {
        let ready = self.arena.ready(&second);
        let first = std::mem::replace(&mut self.hub, second);
        self.replaced.push((first, self.load.take()));
        self.ready = ready;
        self.load = Some(self.arena.begin_load(&self.ready));
    }
}

/// Ends one broker of three at once and starts it again; what goes on `meanwhile` is done again and again.
/// One at a time: of three, two have to be there.
pub fn restart_broker(mut meanwhile: impl FnMut()) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("kafka-{}", 1 + wall().0 % 3);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/services");
    let mut restart = Command::new(script).args(["restart", &name]).spawn().unwrap();
    while restart.try_wait().unwrap().is_none() {
        meanwhile();
    }
    assert!(restart.wait().unwrap().success(), "{name} did not start again");
}

/// Lets faults happen, and tells how long each took to be overcome.
fn all(faults: &[Fault], field: impl Fn(u64) -> Field) {
    let seed = seed_of("faults");
    for (name, often, fault) in faults {
        tell(name, *often, || field(seed).suffer(*fault));
    }
}

/// Lets a fault happen as often as it should and prints a row of a table: the fault, how often, the longest
/// and the median time in milliseconds, how many ended in the digest of replay and oracle.
fn tell(name: &str, often: Often, suffer: impl Fn() -> i64) {
    let count = std::env::var(COUNT).ok().map(|count| count.parse::<usize>().expect("the variable holds a number"));
    // One that does not end in that digest ends the test.
    let mut took: Vec<i64> = (0..often.times(count)).map(|_| suffer()).collect();
    took.sort_unstable();
    if let Some(longest) = took.last() {
        let (runs, median) = (took.len(), took[took.len() / 2]);
        println!("\n| {name} | {runs} | {longest} | {median} | {runs} |");
    }
}

#[test]
fn a_redis_that_fails_costs_no_fact() {
    all(OF_REDIS, |seed| Field::new(seed, &address("OPSHUB_KAFKA"), 1, None));
}

#[test]
fn a_kafka_that_fails_costs_no_fact() {
    all(OF_KAFKA, |seed| {
        let line = Line::open(&address("OPSHUB_KAFKA_CUT"), &address("OPSHUB_KAFKA_CUT_TO"));
        let brokers = line.address();
        Field::new(seed, &brokers, 1, Some(line))
    });
}

#[test]
fn a_broker_or_an_owner_that_fails_costs_no_fact() {
    all(OF_BROKERS, |seed| Field::new(seed, &address("OPSHUB_KAFKA_CLUSTER"), 3, None));
    tell("a broker starts again while events are sent", Often::Asked, outputs::suffer_a_broker);
    all(OF_OWNERS, |seed| Field::new(seed, &address("OPSHUB_KAFKA"), 1, None));
}
