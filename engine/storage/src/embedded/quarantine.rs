//! Quarantine in the embedded store: what is known about a record in one key space, its bytes in
//! another, so that a listing does not read the bytes.

use std::ops::Bound;

use ontology::Millis;

use super::Embedded;
use super::read::{get, pair};
use crate::{
    Durability, Error, Priority, Quarantine, QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState,
    Quarantined, Result, figures,
};

const WHAT: &str = "the quarantine";

/// Records dropped in one commit.
const EXPIRE_RECORDS_MAX: usize = 1024;

impl Quarantine for Embedded {
    fn list(&self, filter: &QuarantineFilter, after: Option<QuarantineId>, limit: usize) -> Result<QuarantinePage> {
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0.to_be_bytes()));
        let mut page = QuarantinePage::default();
        for guard in self.0.tables.quarantine.range((start, Bound::Unbounded)) {
            if page.records.len() == limit {
                page.after = page.records.last().map(|record| record.id).or(after);
                return Ok(page);
            }
            let record = decode(&pair(WHAT, guard)?.1)?;
            if filter.takes(&record) {
                page.records.push(record);
            }
        }
        Ok(page)
    }

    fn quarantined(&self, id: QuarantineId) -> Result<Quarantined> {
        match get(&self.0.tables.quarantine, WHAT, &id.0.to_be_bytes())? {
            Some(stored) => decode(&stored),
            None => Err(Error::UnknownQuarantined { id }),
        }
    }

    fn raw(&self, id: QuarantineId) -> Result<Vec<u8>> {
        let stored = get(&self.0.tables.quarantine_raw, WHAT, &id.0.to_be_bytes())?;
        stored.map(|bytes| bytes.to_vec()).ok_or(Error::UnknownQuarantined { id })
    }

    fn attempt(&self, id: QuarantineId) -> Result<u32> {
        self.change(id, |record| record.attempts += 1).map(|record| record.attempts)
    }

    fn decide(&self, id: QuarantineId, state: QuarantineState) -> Result<()> {
        self.change(id, |record| record.state = state).map(drop)
    }

    fn expire_quarantined(&self, now: Millis) -> Result<u64> {
        let inner = &*self.0;
        let mut dropped = 0;
        loop {
            let mut keys = Vec::new();
            for guard in inner.tables.quarantine.iter().take(EXPIRE_RECORDS_MAX) {
                let (key, stored) = pair(WHAT, guard)?;
                if now.since(decode(&stored)?.received_at) <= inner.options.retention.quarantine_ms {
                    break;
                }
                keys.push(key);
            }
            if keys.is_empty() {
                figures::expired("quarantine", dropped);
                return Ok(dropped);
            }
            dropped += keys.len() as u64;
            let mut write = inner.tables.db.batch();
            for key in keys {
                write.remove(&inner.tables.quarantine, &key[..]);
                write.remove(&inner.tables.quarantine_raw, &key[..]);
            }
            inner.write_expiry(write)?;
        }
    }
}

impl Embedded {
    /// Reads, changes and writes one record under the writer's lock, so that no change is lost.
    fn change(&self, id: QuarantineId, change: impl FnOnce(&mut Quarantined)) -> Result<Quarantined> {
        let inner = &*self.0;
        let mut writer = inner.lock_writer()?;
        inner.check_space(Priority::Decision)?;
        let mut record = self.quarantined(id)?;
        change(&mut record);
        let mut write = inner.tables.db.batch();
        write.insert(&inner.tables.quarantine, id.0.to_be_bytes(), record.encode());
        let next = *writer;
        inner.write(write, &mut writer, next, Durability::Synced)?;
        Ok(record)
    }
}

fn decode(stored: &[u8]) -> Result<Quarantined> {
    Quarantined::decode(stored).ok_or_else(|| Error::damaged(WHAT, "a record does not have its layout"))
}
