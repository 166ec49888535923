//! Quarantine: inputs that were not understood, kept with their bytes until someone decides.

use std::fmt;

use ontology::Millis;

use crate::codec::{Decoder, Encoder};
use crate::{Error, Result, VALUE_BYTES_MAX};

/// Names one quarantined record; given in rising order and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarantineId(pub u64);

impl fmt::Display for QuarantineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An input on its way into quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewQuarantined {
    /// Stable code of why it was not understood, such as `malformed`.
    pub reason: String,
    /// Which part was not understood, without any value of it.
    pub detail: String,
    /// The source partition it came from.
    pub source: String,
    /// Its place in that source; opaque here.
    pub source_position: Vec<u8>,
    /// When it came in.
    pub received_at: Millis,
    /// Version of the contract it was read against.
    pub contract_version: String,
    /// Readings already begun when it was set aside.
    pub attempts: u32,
    /// What was told beside the input, such as headers; opaque here.
    pub beside: Vec<u8>,
    /// The input itself.
    pub raw: Vec<u8>,
}

impl NewQuarantined {
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            self.reason.len(),
            self.detail.len(),
            self.source.len(),
            self.contract_version.len(),
            self.source_position.len(),
            self.beside.len(),
        ];
        for size in texts.into_iter().chain([self.raw.len()]) {
            if size > VALUE_BYTES_MAX {
                return Err(Error::TooLarge { what: "a quarantined record", size, size_max: VALUE_BYTES_MAX });
            }
        }
        Ok(())
    }

    /// The record under its id, as it is when it comes in.
    pub(crate) fn held(&self, id: QuarantineId) -> Quarantined {
        Quarantined {
            id,
            reason: self.reason.clone(),
            detail: self.detail.clone(),
            source: self.source.clone(),
            source_position: self.source_position.clone(),
            received_at: self.received_at,
            contract_version: self.contract_version.clone(),
            attempts: self.attempts,
            beside: self.beside.clone(),
            raw_bytes: self.raw.len() as u64,
            state: QuarantineState::Held,
        }
    }
}

/// A quarantined record without its bytes, which [`Quarantine::raw`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name.
    pub id: QuarantineId,
    /// Stable code of why it was not understood.
    pub reason: String,
    /// Which part was not understood, without any value of it.
    pub detail: String,
    /// The source partition it came from.
    pub source: String,
    /// Its place in that source; opaque here.
    pub source_position: Vec<u8>,
    /// When it came in.
    pub received_at: Millis,
    /// Version of the contract it was last read against.
    pub contract_version: String,
    /// Readings begun, the first included where it was counted.
    pub attempts: u32,
    /// What was told beside the input, such as headers; opaque here.
    pub beside: Vec<u8>,
    /// Size of the input in bytes.
    pub raw_bytes: u64,
    /// What was decided.
    pub state: QuarantineState,
}

/// What became of a quarantined record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineState {
    /// Waiting for a better mapping or a decision.
    Held,
    /// Understood at this instant; its facts are in the log.
    Replayed(Millis),
    /// Given up at this instant.
    Discarded(Millis),
}

/// Which records to list; empty fields take all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuarantineFilter {
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this source partition.
    pub source: Option<String>,
    /// Only records that are still held.
    pub held_only: bool,
}

impl QuarantineFilter {
    /// Whether the record is asked for.
    #[must_use]
    pub fn takes(&self, record: &Quarantined) -> bool {
        self.reason.as_ref().is_none_or(|reason| *reason == record.reason)
            && self.source.as_ref().is_none_or(|source| *source == record.source)
            && (!self.held_only || record.state == QuarantineState::Held)
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuarantinePage {
    /// The records, in order of id.
    pub records: Vec<Quarantined>,
    /// Where the next page begins: list again `after` this id. `None` at the end.
    pub after: Option<QuarantineId>,
}

/// Reads and decides about quarantined records; they come in with [`crate::Intake::quarantine`].
pub trait Quarantine: Send + Sync {
    /// Up to `limit` records after `after` that the filter takes.
    ///
    /// # Errors
    /// [`Error::Damaged`] or a failed read.
    fn list(&self, filter: &QuarantineFilter, after: Option<QuarantineId>, limit: usize) -> Result<QuarantinePage>;

    /// One record.
    ///
    /// # Errors
    /// [`Error::UnknownQuarantined`], [`Error::Damaged`] or a failed read.
    fn quarantined(&self, id: QuarantineId) -> Result<Quarantined>;

    /// The bytes of one record, as they came in.
    ///
    /// # Errors
    /// As [`Quarantine::quarantined`].
    fn raw(&self, id: QuarantineId) -> Result<Vec<u8>>;

    /// Counts a reading before it begins and gives the new count, so that an input which kills the
    /// process is known by its count.
    ///
    /// # Errors
    /// As [`Quarantine::quarantined`], and as [`crate::Log::append`].
    fn attempt(&self, id: QuarantineId) -> Result<u32>;

    /// Records what was decided.
    ///
    /// # Errors
    /// As [`Quarantine::attempt`].
    fn decide(&self, id: QuarantineId, state: QuarantineState) -> Result<()>;

    /// Drops records past their retention, oldest first, and gives their number.
    ///
    /// # Errors
    /// As [`crate::Log::append`].
    fn expire_quarantined(&self, now: Millis) -> Result<u64>;
}

impl Quarantined {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (state, at) = match self.state {
            QuarantineState::Held => (0, Millis(0)),
            QuarantineState::Replayed(at) => (1, at),
            QuarantineState::Discarded(at) => (2, at),
        };
        let mut out = Encoder::default();
        out.u8(state).i64(at.0).u64(self.id.0).i64(self.received_at.0).u32(self.attempts).u64(self.raw_bytes);
        out.bytes(self.reason.as_bytes()).bytes(self.detail.as_bytes()).bytes(self.source.as_bytes());
        out.bytes(self.contract_version.as_bytes()).bytes(&self.source_position).bytes(&self.beside);
        out.0
    }

    pub(crate) fn decode(stored: &[u8]) -> Option<Quarantined> {
        let mut from = Decoder(stored);
        let (state, at) = (from.u8()?, Millis(from.i64()?));
        let state = match state {
            0 => QuarantineState::Held,
            1 => QuarantineState::Replayed(at),
            2 => QuarantineState::Discarded(at),
            _ => return None,
        };
        let record = Quarantined {
            state,
            id: QuarantineId(from.u64()?),
            received_at: Millis(from.i64()?),
            attempts: from.u32()?,
            raw_bytes: from.u64()?,
            reason: from.text()?.to_owned(),
            detail: from.text()?.to_owned(),
            source: from.text()?.to_owned(),
            contract_version: from.text()?.to_owned(),
            source_position: from.bytes()?.to_vec(),
            beside: from.bytes()?.to_vec(),
        };
        from.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_reads_back_in_every_state_and_no_cut_of_it_does() {
        for state in
            [QuarantineState::Held, QuarantineState::Replayed(Millis(4)), QuarantineState::Discarded(Millis(-4))]
        {
            let new = NewQuarantined {
                reason: "malformed".into(),
                source_position: vec![0, 255],
                beside: b"h".to_vec(),
                ..Default::default()
            };
            let record = Quarantined { state, ..new.held(QuarantineId(9)) };
            let stored = record.encode();
            assert_eq!(Quarantined::decode(&stored), Some(record));
            for len in 0..stored.len() {
                assert_eq!(Quarantined::decode(&stored[..len]), None);
            }
        }
    }
}
