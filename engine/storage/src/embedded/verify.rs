//! Verification: the end of the chain at every open, everything on request.

use super::read::{pair, position_of};
use super::stands::read_stands;
use super::tables::{Tables, read_error};
use super::{Embedded, Writer};
use crate::{Block, Error, Log as _, Position, Quarantined, Result, Rows as _, Stands as _, Table, Verified, raw};

/// Blocks checked at open. What lies further back is checked when it is read.
const TAIL_BLOCKS: usize = 16;

/// Checks that the newest blocks are whole, follow from each other, and end where the seal says.
pub(super) fn check_tail(tables: &Tables, writer: &Writer) -> Result<()> {
    let mut expected = (writer.last, writer.digest);
    for guard in tables.log.iter().rev().take(TAIL_BLOCKS) {
        let (key, stored) = pair("the end of the log", guard)?;
        let first = position_of(&key)?;
        let what = || format!("the block at position {first}");
        let block = Block::open(stored).map_err(|why| Error::damaged(what(), why))?;
        if first != block.first() || (block.last(), *block.digest()) != expected {
            let why = format!("it is not the one that ends at position {} by the chain", expected.0);
            return Err(Error::damaged(what(), why));
        }
        expected = (Position(block.first().0 - 1), *block.previous());
    }
    check_beginning(tables)?;
    if tables.log.first_key_value().is_none() && writer.last != Position::ZERO {
        return Err(Error::damaged("the log", format!("it is empty and should reach position {}", writer.last)));
    }
    Ok(())
}

/// Checks that a log without its beginning has a stand that tells what was there.
fn check_beginning(tables: &Tables) -> Result<()> {
    let Some(guard) = tables.log.first_key_value() else { return Ok(()) };
    let start = position_of(&guard.key().map_err(|error| read_error("the log", error))?)?;
    let is_known = start == Position::FIRST || read_stands(tables)?.first().is_some_and(|base| base.position >= start);
    if is_known {
        return Ok(());
    }
    let why = format!("it begins at position {start} and no stand tells what was before");
    Err(Error::damaged("the log", why))
}

impl Embedded {
    pub(super) fn verify_all(&self) -> Result<Verified> {
        let mut seen = Verified::default();
        for block in self.read(self.start()?)? {
            let block = block?;
            seen.blocks += 1;
            seen.facts += u64::from(block.count());
        }
        let tables = &self.0.tables;
        for guard in tables.raw.iter() {
            let (_, stored) = pair("the payloads", guard)?;
            raw::unpack(&stored).map_err(|why| Error::damaged("the payloads", why))?;
            seen.raw_blocks += 1;
        }
        for table in Table::ALL {
            for row in self.scan(table, b"")? {
                row?;
                seen.rows += 1;
            }
        }
        for guard in tables.sources.iter().chain(tables.outbox.iter()) {
            pair("the source positions and the outbox", guard)?;
            seen.rows += 1;
        }
        self.verify_quarantine(&mut seen)?;
        self.verify_stands(&mut seen)?;
        Ok(seen)
    }

    /// Checks that each stand has its place in the chain, and reads its rows.
    fn verify_stands(&self, seen: &mut Verified) -> Result<()> {
        for stand in self.stands()? {
            if self.digest_at(stand.position)? != Some(stand.digest) {
                let what = format!("the stand at position {}", stand.position);
                return Err(Error::damaged(what, "no block of the log ends there with its digest"));
            }
            seen.stands += 1;
        }
        match self.stands()?.pop() {
            Some(newest) => self.stand_rows(newest.position)?.try_for_each(|row| row.map(drop)),
            None => Ok(()),
        }
    }

    fn verify_quarantine(&self, seen: &mut Verified) -> Result<()> {
        let tables = &self.0.tables;
        for guard in tables.quarantine.iter() {
            let (key, stored) = pair("the quarantine", guard)?;
            let record = Quarantined::decode(&stored)
                .ok_or_else(|| Error::damaged("the quarantine", "a record does not have its layout"))?;
            let raw = tables.quarantine_raw.get(&key).map_err(|error| read_error("the quarantine", error))?;
            if raw.is_none_or(|raw| raw.len() as u64 != record.raw_bytes) {
                return Err(Error::damaged(format!("quarantined record {}", record.id), "its bytes are not all there"));
            }
            seen.quarantined += 1;
        }
        Ok(())
    }
}
