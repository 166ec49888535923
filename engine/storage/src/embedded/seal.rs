//! The seal: the last entry of every commit, overwritten by the next. It says where the store
//! stands, and because its bytes can be found in the journal without any structure around them, it
//! is also the witness of commits that a damaged journal no longer shows.

use sha2::{Digest as _, Sha256};

use super::Writer;
use crate::Position;
use crate::codec::{Decoder, Encoder};

/// Key of the seal in the system table.
pub(super) const KEY: &[u8] = b"seal";

const MAGIC: [u8; 8] = *b"OHSEAL\xF1\x0A";
const CHECK_BYTES: usize = 8;
const BYTES: usize = 8 + 8 + 1 + 8 + 32 + 8 + 8 + CHECK_BYTES;

/// Where the store stands after a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal {
    /// Whether the commit was to be on disk before it was acknowledged.
    pub(super) synced: bool,
    /// The state that the next commit builds on.
    pub(super) state: Writer,
}

impl Seal {
    pub(super) fn encode(&self) -> Vec<u8> {
        let state = &self.state;
        let mut out = Encoder::with_capacity(BYTES);
        out.raw(&MAGIC).u64(state.commit).u8(u8::from(self.synced)).u64(state.last.0).raw(&state.digest);
        out.u64(state.applied.0).u64(state.quarantine_next);
        let check = check_of(&out.0);
        out.raw(&check);
        out.0
    }

    pub(super) fn decode(stored: &[u8]) -> Option<Seal> {
        let stored = stored.get(..BYTES)?;
        let (body, check) = stored.split_at(BYTES - CHECK_BYTES);
        if check_of(body) != check {
            return None;
        }
        let mut from = Decoder(body);
        if from.array::<8>()? != MAGIC {
            return None;
        }
        let commit = from.u64()?;
        let synced = from.u8()? == 1;
        let (last, digest) = (Position(from.u64()?), from.array()?);
        let (applied, quarantine_next) = (Position(from.u64()?), from.u64()?);
        Some(Seal { synced, state: Writer { commit, last, digest, applied, quarantine_next } })
    }

    /// All whole seals in these bytes, in order.
    pub(super) fn find_all(bytes: &[u8]) -> Vec<Seal> {
        let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
        starts.filter_map(|(at, _)| Seal::decode(&bytes[at..])).collect()
    }
}

fn check_of(body: &[u8]) -> [u8; CHECK_BYTES] {
    let full: [u8; 32] = Sha256::digest(body).into();
    std::array::from_fn(|at| full[at])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seal(commit: u64) -> Vec<u8> {
        let state = Writer { commit, last: Position(3), digest: [7; 32], applied: Position(2), quarantine_next: 4 };
        Seal { synced: true, state }.encode()
    }

    #[test]
    fn seals_are_found_among_other_bytes_and_damaged_ones_are_not() {
        let mut bytes = [b"junk", &seal(1)[..], b"OHSEAL", &seal(2)[..]].concat();
        let found = |bytes: &[u8]| Seal::find_all(bytes).iter().map(|seal| seal.state.commit).collect::<Vec<_>>();
        assert_eq!(found(&bytes), [1, 2]);
        bytes[20] ^= 1;
        assert_eq!(found(&bytes), [2]);
        bytes.pop();
        assert!(found(&bytes).is_empty());
    }
}
