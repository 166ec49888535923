//! Random histories of commits, deaths in the middle of them and nodes that lose what they acknowledged,
//! on a real Redis: whoever claims the rows finds those of one commit, whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::Table;

const PARTITIONS: u32 = 3;
const HISTORIES: u32 = 40;
/// Keys that rows are drawn from.
const KEYS: u8 = 12;
/// Row that names the commit, and so what all others have to be.
const MARK: &str = "mark";

/// How far a commit gets before its process dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    Staged,
    Sealed,
    Folded(usize),
}

#[derive(Debug, Clone)]
enum Event {
    /// Rows of these keys are put, or removed if their number is odd; a death in the middle, if any.
    Commit(Vec<u8>, Option<Death>),
    /// One that changes partition 0 alone.
    Alone,
    /// Keeps what a partition holds.
    Save(usize),
    /// Puts back what was kept of it, or nothing.
    Rewind(usize),
    Empty(usize),
    /// Another process reads, or claims.
    Read,
    Claim,
}

fn event() -> impl Strategy<Value = Event> {
    let partition = || 0..PARTITIONS as usize;
    let death = prop_oneof![Just(Death::Staged), Just(Death::Sealed), partition().prop_map(Death::Folded),];
    let rows = || prop::collection::vec(0..2 * KEYS, 0..6);
    prop_oneof![
        8 => rows().prop_map(|rows| Event::Commit(rows, None)),
        2 => (rows(), death).prop_map(|(rows, death)| Event::Commit(rows, Some(death))),
        2 => Just(Event::Alone),
        3 => partition().prop_map(Event::Save),
        2 => partition().prop_map(Event::Rewind),
        1 => partition().prop_map(Event::Empty),
        2 => Just(Event::Read),
        1 => Just(Event::Claim),
    ]
}

type State = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

struct World {
    options: DistributedOptions,
    redis: redis::Connection,
    owner: RedisRows,
    /// Highest epoch drawn, which the log would keep.
    epoch: u64,
    /// Every state that was committed, with its position; the first is the empty one.
    states: Vec<(State, Position)>,
    /// Index of the state that the owner stands at; one that was sealed by a death may be the next.
    now: usize,
    saved: BTreeMap<usize, Vec<(String, Vec<u8>)>>,
    /// Whether Redis lost something since the last claim.
    has_lost: bool,
}

impl World {
    fn new() -> World {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        let name = format!("histories-{:x}", RandomState::new().build_hasher().finish());
        let urls = fixtures::services::redis_urls("OPSHUB_REDIS");
        let redis = redis::Client::open(urls[0].as_str()).unwrap().get_connection().unwrap();
        let options = DistributedOptions::new("", urls, name);
        let owner = RedisRows::open(&options, PARTITIONS).unwrap();
        let (epoch, _) = owner.claim(0, &|| Ok(true)).unwrap();
        let states = vec![(State::new(), Position::ZERO)];
        World { options, redis, owner, epoch, states, now: 0, saved: BTreeMap::new(), has_lost: false }
    }

    fn keys(&mut self, partition: usize) -> Vec<String> {
        let pattern = format!("{{{}:{partition}}}:*", self.options.name);
        redis::cmd("KEYS").arg(pattern).query(&mut self.redis).unwrap()
    }

    fn save(&mut self, partition: usize) {
        let mut dumps = Vec::new();
        for key in self.keys(partition) {
            let dump = redis::cmd("DUMP").arg(&key).query(&mut self.redis).unwrap();
            dumps.push((key, dump));
        }
        self.saved.insert(partition, dumps);
    }

    fn empty(&mut self, partition: usize) {
        for key in self.keys(partition) {
            redis::cmd("DEL").arg(key).exec(&mut self.redis).unwrap();
        }
        self.has_lost = true;
    }

    fn rewind(&mut self, partition: usize) {
        self.empty(partition);
        for (key, dump) in self.saved.get(&partition).cloned().unwrap_or_default() {
            redis::cmd("RESTORE").arg(key).arg(0).arg(dump).exec(&mut self.redis).unwrap();
        }
    }

    /// Changes of a new state after the one that the owner stands at.
    fn changes(&mut self, rows: &[u8], table: Table) -> Changes {
        let next = self.states.len();
        let (mut state, position) = self.states[self.now].clone();
        let mut changes = Changes::new().put(Table::Meta, MARK, next.to_string()).applied(position.plus(1));
        state.insert((number(Table::Meta), MARK.into()), next.to_string().into());
        for row in rows {
            let key = vec![b'k', row / 2];
            if row % 2 == 0 {
                changes.push_put(table, key.clone(), next.to_string().into_bytes());
                state.insert((number(table), key), next.to_string().into_bytes());
            } else {
                changes.push_delete(table, key.clone());
                state.remove(&(number(table), key));
            }
        }
        self.states.push((state, position.plus(1)));
        changes
    }

    /// Commits; a commit that is refused ends the owner, and the next one claims.
    fn commit(&mut self, rows: &[u8], table: Table) {
        let changes = self.changes(rows, table);
        match self.owner.commit(changes, Position(u64::MAX)) {
            Ok(()) => self.now = self.states.len() - 1,
            Err(Error::Stop { .. }) if self.has_lost => self.claim(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Begins a commit and dies.
    fn die(&mut self, rows: &[u8], death: Death) {
        let changes = self.changes(rows, Table::Entity);
        let applied = changes.applied.unwrap();
        let mut held = self.owner.stand();
        let stand = held.as_mut().unwrap();
        let begun = self.owner.begin(stand, changes, applied);
        let died = if begun.is_one_script() { Ok(false) } else { self.owner.stage(stand, &begun).map(|()| false) };
        let died = died.and_then(|sealed| match death {
            Death::Staged => Ok(sealed),
            Death::Sealed | Death::Folded(_) if begun.is_one_script() => Ok(sealed),
            Death::Sealed => self.owner.seal(stand, &begun).map(|()| true),
            Death::Folded(last) => {
                self.owner.seal(stand, &begun)?;
                let some: Vec<usize> = begun.parts.keys().copied().filter(|partition| *partition >= last).collect();
                self.owner.fold(stand, &begun, &some)?;
                Ok(true)
            }
        });
        drop(held);
        match died {
            Ok(true) => self.now = self.states.len() - 1,
            Ok(false) => {}
            Err(error) => assert!(self.has_lost, "{error}"),
        }
        self.claim();
    }

    /// The index of the state that rows tell of, all of which have to be of it.
    fn state_of(&self, rows: &RedisRows, position: Position) -> usize {
        let mut found = State::new();
        for table in 1..=OUTBOX {
            let rows = rows.scan_once(table, b"").unwrap().expect("nobody writes meanwhile");
            found.extend(rows.into_iter().map(|(key, value): (Bytes, Bytes)| ((table, key.to_vec()), value.to_vec())));
        }
        let mark = found.get(&(number(Table::Meta), MARK.into()));
        let index = mark.map_or(0, |mark| String::from_utf8(mark.clone()).unwrap().parse().unwrap());
        let expected: &(State, Position) = &self.states[index];
        assert_eq!((&found, position), (&expected.0, expected.1), "state {index}");
        index
    }

    fn read(&mut self) {
        let reader = RedisRows::open(&self.options, PARTITIONS).unwrap();
        let truth = reader.agree(&|| Ok(true)).unwrap();
        self.state_of(&reader, truth.applied);
    }

    fn claim(&mut self) {
        self.owner = RedisRows::open(&self.options, PARTITIONS).unwrap();
        let (epoch, position) = self.owner.claim(self.epoch, &|| Ok(true)).unwrap();
        self.epoch = epoch;
        let found = self.state_of(&self.owner, position);
        assert!(self.has_lost || found == self.now, "state {} became {found} and nothing was lost", self.now);
        (self.now, self.has_lost) = (found, false);
    }

    fn pass(&mut self, event: &Event) {
        match event {
            Event::Commit(rows, None) => self.commit(rows, Table::Entity),
            Event::Commit(rows, Some(death)) => self.die(rows, *death),
            Event::Alone => self.commit(&[1, 2], Table::Meta),
            Event::Save(partition) => self.save(*partition),
            Event::Rewind(partition) => self.rewind(*partition),
            Event::Empty(partition) => self.empty(*partition),
            Event::Read => self.read(),
            Event::Claim => self.claim(),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        RedisRows::remove(&self.options, PARTITIONS).unwrap();
    }
}

#[test]
fn whoever_claims_finds_the_rows_of_one_commit() {
    let mut runner = TestRunner::new(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&prop::collection::vec(event(), 1..30), |events| {
        let mut world = World::new();
        events.iter().for_each(|event| world.pass(event));
        world.claim();
        Ok(())
    });
    checked.unwrap();
}
