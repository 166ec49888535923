//! Quarantine in Kafka: inputs by id, and what is known about each as the newest mark of its id.

use std::ops::Bound;

use ontology::Millis;

use super::Distributed;
use super::marks::quarantine_record;
use crate::{Error, Quarantine, QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState, Quarantined, Result};

impl Distributed {
    /// Changes one record and keeps it.
    fn change<T>(&self, id: QuarantineId, change: impl FnOnce(&mut Quarantined) -> T) -> Result<T> {
        let log = &self.0.log;
        let mut marks = log.marks();
        let mut record = marks.quarantine.get(&id).cloned().ok_or(Error::UnknownQuarantined { id })?;
        let changed = change(&mut record);
        let (key, value) = quarantine_record(&record);
        let head = marks.head.clone();
        log.advance(&mut marks, head, [(log.topics.quarantine.as_str(), key, value)])?;
        marks.quarantine.insert(id, record);
        Ok(changed)
    }
}

impl Quarantine for Distributed {
    fn list(&self, filter: &QuarantineFilter, after: Option<QuarantineId>, limit: usize) -> Result<QuarantinePage> {
        let marks = self.0.log.marks();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = QuarantinePage::default();
        for record in marks.quarantine.range((start, Bound::Unbounded)).map(|(_, record)| record) {
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
        self.0.log.marks().quarantine.get(&id).cloned().ok_or(Error::UnknownQuarantined { id })
    }

    fn raw(&self, id: QuarantineId) -> Result<Vec<u8>> {
        let record = self.quarantined(id)?;
        if record.raw_bytes == 0 {
            return Ok(Vec::new());
        }
        let inputs = &self.0.log.inputs;
        let found = inputs.find(|| Ok(inputs.values_from(Some(id.0))?.next()?.filter(|whole| whole.key == id.0)))?;
        let missing = || Error::damaged(format!("quarantined record {id}"), "its bytes are not in the log");
        found.map(|whole| whole.value).ok_or_else(missing)
    }

    fn attempt(&self, id: QuarantineId) -> Result<u32> {
        self.change(id, |record| {
            record.attempts += 1;
            record.attempts
        })
    }

    fn decide(&self, id: QuarantineId, state: QuarantineState) -> Result<()> {
        self.change(id, |record| record.state = state)
    }

    fn expire_quarantined(&self, now: Millis) -> Result<u64> {
        let log = &self.0.log;
        let mut marks = log.marks();
        let kept_ms = log.quarantine_ms();
        let is_past = |record: &&Quarantined| now.since(record.received_at) > kept_ms;
        let past: Vec<QuarantineId> = marks.quarantine.values().take_while(is_past).map(|record| record.id).collect();
        if past.is_empty() {
            return Ok(0);
        }
        let (topic, head) = (log.topics.quarantine.as_str(), marks.head.clone());
        log.advance(&mut marks, head, past.iter().map(|id| (topic, id.0.to_be_bytes().to_vec(), None)))?;
        for id in &past {
            marks.quarantine.remove(id);
        }
        Ok(past.len() as u64)
    }
}
