//! The store without a disk: the same contract, for tests, simulations and trial replays. It lives
//! as long as one of its handles, so a test of a restart keeps a clone.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use ontology::Millis;

use crate::operations::Counted;
use crate::{
    Atomic, Backup, Batch, Block, Blocks, Changes, DIGEST_START, Digest, Durability, Error, Intake, Log, Operations,
    Pairs, Position, Quarantine, QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState, Quarantined, Raw,
    Result, Retention, Rows, Stand, StandRows, Stands, Store, Table, Verified, raw, stand,
};

/// A store in memory. Clones are handles to the same store.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    retention: Retention,
    counted: Arc<Counted>,
}

/// Rows by table and key.
type RowMap = BTreeMap<(Table, Vec<u8>), Bytes>;

#[derive(Debug)]
struct State {
    blocks: BTreeMap<Position, Bytes>,
    raws: BTreeMap<Position, Vec<(Millis, Vec<u8>)>>,
    sources: BTreeMap<String, Bytes>,
    rows: RowMap,
    outbox: BTreeMap<Vec<u8>, Bytes>,
    stands: BTreeMap<Position, (Stand, RowMap)>,
    quarantine: BTreeMap<QuarantineId, (Quarantined, Vec<u8>)>,
    quarantine_next: u64,
    last: Position,
    digest: Digest,
    applied: Position,
}

impl Default for State {
    fn default() -> Self {
        State {
            blocks: BTreeMap::new(),
            raws: BTreeMap::new(),
            sources: BTreeMap::new(),
            rows: BTreeMap::new(),
            outbox: BTreeMap::new(),
            stands: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            quarantine_next: 1,
            last: Position::ZERO,
            digest: DIGEST_START,
            applied: Position::ZERO,
        }
    }
}

impl Memory {
    /// An empty store with this retention.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Memory { retention, ..Memory::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the state: all checks come first")
    }
}

impl State {
    fn add_intake(&mut self, intake: Intake) {
        if let Some(mut block) = intake.block {
            let first = self.last.next();
            if block.count() > 0 {
                let (stored, digest) = block.seal(first, &self.digest);
                self.blocks.insert(first, Bytes::from(stored));
                self.last = self.last.plus(u64::from(block.count()));
                self.digest = digest;
            }
            if let Some(packed) = block.payloads().pack(first) {
                self.raws.entry(first).or_default().push((block.ingested_at(), packed));
            }
        }
        self.sources.extend(intake.sources.into_iter().map(|(name, position)| (name, Bytes::from(position))));
        for record in intake.quarantined {
            let id = QuarantineId(self.quarantine_next);
            self.quarantine_next += 1;
            self.quarantine.insert(id, (record.held(id), record.raw));
        }
    }

    fn add_changes(&mut self, changes: Changes) {
        for (table, (key, value)) in changes.rows {
            put_or_remove(&mut self.rows, (table, key), value);
        }
        for (id, value) in changes.outbox {
            put_or_remove(&mut self.outbox, id, value);
        }
        self.applied = changes.applied.unwrap_or(self.applied);
    }

    fn start(&self) -> Position {
        self.blocks.first_key_value().map_or(self.last.next(), |(first, _)| *first)
    }

    /// Digest of the block that ends at a position.
    fn digest_at(&self, position: Position) -> Result<Digest> {
        let block = self.blocks.range(..=position).next_back().and_then(|(_, stored)| Block::open(stored.clone()).ok());
        let block = block.filter(|block| block.last() == position);
        let digest = block.map(|block| *block.digest());
        digest.ok_or(Error::Invalid { what: "a stand", why: "its rows stand within a block" })
    }

    fn record(&mut self, id: QuarantineId) -> Result<&mut (Quarantined, Vec<u8>)> {
        self.quarantine.get_mut(&id).ok_or(Error::UnknownQuarantined { id })
    }
}

fn put_or_remove<K: Ord>(map: &mut BTreeMap<K, Bytes>, key: K, value: Option<Vec<u8>>) {
    match value {
        Some(value) => map.insert(key, Bytes::from(value)),
        None => map.remove(&key),
    };
}

impl Log for Memory {
    fn append(&self, intake: Intake) -> Result<Range<Position>> {
        self.commit(Batch { intake, changes: Changes::new() }, Durability::Synced)
    }

    fn read(&self, from: Position) -> Result<Blocks> {
        let state = self.state();
        let (start, last) = (state.start(), state.last);
        if from < start || from > last.next() {
            return Err(Error::OutOfRange { asked: from, start, last });
        }
        let holder = state.blocks.range(..=from).next_back().map_or(from, |(first, _)| *first);
        let from = if from > last { from } else { holder };
        let stored: Vec<_> = state.blocks.range(from..).map(|(first, bytes)| (*first, bytes.clone())).collect();
        let open = |(first, bytes)| {
            Block::open(bytes).map_err(|why| Error::damaged(format!("the block at position {first}"), why))
        };
        Ok(Box::new(stored.into_iter().map(open)))
    }

    fn last(&self) -> Position {
        self.state().last
    }

    fn start(&self) -> Result<Position> {
        Ok(self.state().start())
    }

    fn raws(&self, first: Position) -> Result<Vec<Raw>> {
        let state = self.state();
        let mut raws = Vec::new();
        for (_, packed) in state.raws.get(&first).into_iter().flatten() {
            let unpacked = raw::unpack(packed);
            raws.extend(unpacked.map_err(|why| Error::damaged(format!("the payloads at position {first}"), why))?);
        }
        Ok(raws)
    }

    fn source(&self, partition: &str) -> Result<Option<Bytes>> {
        Ok(self.state().sources.get(partition).cloned())
    }

    fn sources(&self) -> Result<Vec<(String, Bytes)>> {
        Ok(self.state().sources.iter().map(|(name, position)| (name.clone(), position.clone())).collect())
    }

    fn expire_raws(&self, now: Millis) -> Result<u64> {
        let mut state = self.state();
        let mut dropped = 0;
        state.raws.retain(|_, commits| {
            let before = commits.len();
            commits.retain(|(ingested_at, _)| now.since(*ingested_at) <= self.retention.raw_ms);
            dropped += (before - commits.len()) as u64;
            !commits.is_empty()
        });
        Ok(dropped)
    }
}

impl Rows for Memory {
    fn load(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        self.counted.loaded(table);
        let state = self.state();
        Ok(keys.iter().map(|key| state.rows.get(&(table, key.to_vec())).cloned()).collect())
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs> {
        self.counted.loaded(table);
        let state = self.state();
        let from = (table, prefix.to_vec());
        let rows = state.rows.range(from..).take_while(|((of, key), _)| *of == table && key.starts_with(prefix));
        let rows: Vec<_> = rows.map(|((_, key), value)| Ok((Bytes::copy_from_slice(key), value.clone()))).collect();
        Ok(Box::new(rows.into_iter()))
    }

    fn applied(&self) -> Result<Position> {
        Ok(self.state().applied)
    }

    fn pending(&self) -> Result<Pairs> {
        let state = self.state();
        let actions: Vec<_> =
            state.outbox.iter().map(|(id, action)| Ok((Bytes::copy_from_slice(id), action.clone()))).collect();
        Ok(Box::new(actions.into_iter()))
    }

    fn write(&self, changes: Changes, durability: Durability) -> Result<()> {
        self.commit(Batch { intake: Intake::new(), changes }, durability).map(drop)
    }
}

impl Stands for Memory {
    fn stands(&self) -> Result<Vec<Stand>> {
        Ok(self.state().stands.values().map(|(stand, _)| stand.clone()).collect())
    }

    fn stand_rows(&self, position: Position) -> Result<StandRows> {
        let rows = self.state().stands.get(&position).map(|(_, rows)| rows.clone());
        let Some(rows) = rows else { return stand::no_stand(self, position) };
        Ok(Box::new(rows.into_iter().map(|((table, key), value)| Ok((table, Bytes::from(key), value)))))
    }

    fn keep_stand(&self, head: &[u8], is_wanted: &dyn Fn() -> bool) -> Result<Option<Stand>> {
        if !stand::TABLES.iter().all(|_| is_wanted()) {
            return Ok(None);
        }
        let mut state = self.state();
        let newest = state.stands.last_key_value().map_or(Position::ZERO, |(position, _)| *position);
        let position = state.applied;
        if position <= newest {
            return Ok(None);
        }
        let digest = state.digest_at(position)?;
        let head = state.rows.get(&(Table::Meta, head.to_vec())).cloned().unwrap_or_default();
        let stand = Stand { position, digest, head };
        let rows = state.rows.iter().filter(|((table, _), _)| stand::TABLES.contains(table));
        let rows = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
        state.stands.insert(position, (stand.clone(), rows));
        Ok(Some(stand))
    }

    fn forget_before(&self, base: Position, _is_wanted: &dyn Fn() -> bool) -> Result<u64> {
        if !self.state().stands.contains_key(&base) {
            return stand::no_stand(self, base);
        }
        let mut state = self.state();
        state.stands = state.stands.split_off(&base);
        let holder = state.blocks.range(..=base).next_back().map_or(base, |(first, _)| *first);
        let kept = state.blocks.split_off(&holder);
        Ok(std::mem::replace(&mut state.blocks, kept).len() as u64)
    }
}

impl Quarantine for Memory {
    fn list(&self, filter: &QuarantineFilter, after: Option<QuarantineId>, limit: usize) -> Result<QuarantinePage> {
        let state = self.state();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = QuarantinePage::default();
        for (record, _) in state.quarantine.range((start, Bound::Unbounded)).map(|(_, entry)| entry) {
            if page.records.len() == limit {
                page.after = page.records.last().map(|record| record.id).or(after);
                break;
            }
            if filter.takes(record) {
                page.records.push(record.clone());
            }
        }
        Ok(page)
    }

    fn quarantined(&self, id: QuarantineId) -> Result<Quarantined> {
        self.state().record(id).map(|(record, _)| record.clone())
    }

    fn raw(&self, id: QuarantineId) -> Result<Vec<u8>> {
        self.state().record(id).map(|(_, raw)| raw.clone())
    }

    fn attempt(&self, id: QuarantineId) -> Result<u32> {
        let mut state = self.state();
        let (record, _) = state.record(id)?;
        record.attempts += 1;
        Ok(record.attempts)
    }

    fn decide(&self, id: QuarantineId, decided: QuarantineState) -> Result<()> {
        self.state().record(id).map(|(record, _)| record.state = decided)
    }

    fn expire_quarantined(&self, now: Millis) -> Result<u64> {
        let mut state = self.state();
        let before = state.quarantine.len();
        while let Some(oldest) = state.quarantine.first_entry() {
            if now.since(oldest.get().0.received_at) <= self.retention.quarantine_ms {
                break;
            }
            oldest.remove();
        }
        Ok((before - state.quarantine.len()) as u64)
    }
}

impl Store for Memory {
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn verify(&self) -> Result<Verified> {
        let mut seen = Verified::default();
        for block in self.read(self.start()?)? {
            seen.blocks += 1;
            seen.facts += u64::from(block?.count());
        }
        let state = self.state();
        seen.raw_blocks = state.raws.values().map(Vec::len).sum::<usize>() as u64;
        seen.rows = (state.rows.len() + state.sources.len() + state.outbox.len()) as u64;
        seen.quarantined = state.quarantine.len() as u64;
        seen.stands = state.stands.len() as u64;
        Ok(seen)
    }

    fn backup(&self, _out: &mut dyn Write) -> Result<Backup> {
        Err(Error::Invalid { what: "a backup", why: "a store in memory goes with its process" })
    }

    fn operations(&self) -> Operations {
        self.counted.so_far()
    }
}

impl Atomic for Memory {
    fn commit(&self, batch: Batch, _durability: Durability) -> Result<Range<Position>> {
        let mut state = self.state();
        batch.check(state.applied, state.last)?;
        let first = state.last.next();
        if !batch.intake.is_empty() {
            self.counted.log_committed();
        }
        if !batch.changes.is_empty() {
            self.counted.rows_committed();
        }
        state.add_intake(batch.intake);
        state.add_changes(batch.changes);
        Ok(first..state.last.next())
    }
}
