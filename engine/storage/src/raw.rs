//! Native payloads beside the log: kept for a while, so that history can be read again under a
//! better mapping. All payloads of a block are one compressed value, which packs far better than
//! one value per payload.

use ontology::Millis;
use sha2::{Digest as _, Sha256};

use crate::codec::{Decoder, Encoder};
use crate::{BLOCK_BYTES_MAX, NewBlock, Position};

const MAGIC: [u8; 4] = *b"OHR1";
const DIGEST_BYTES: usize = 16;

/// One native payload and the facts that came from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Position of the first fact that came from it.
    pub first: Position,
    /// Number of facts that came from it.
    pub count: u32,
    /// The payload as it came in.
    pub payload: Vec<u8>,
}

/// The stored form of a block's payloads; `None` when it has none.
pub(crate) fn pack(block: &NewBlock, first: Position) -> Option<Vec<u8>> {
    let body = block.raws();
    if body.is_empty() {
        return None;
    }
    let packed = lz4_flex::compress(body);
    let mut out = Encoder::with_capacity(packed.len() + 32);
    let len = u32::try_from(body.len()).expect("checked against BLOCK_BYTES_MAX");
    out.raw(&MAGIC).u64(first.0).u32(len).raw(&digest_of(first, len, &packed)).raw(&packed);
    Some(out.0)
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack(stored: &[u8]) -> Result<Vec<Raw>, &'static str> {
    let mut head = Decoder(stored);
    let (magic, first, len, digest) = unpack_head(&mut head).ok_or("its head is incomplete")?;
    if magic != MAGIC {
        return Err("it does not start as payloads do");
    }
    if digest_of(first, len, head.0) != digest {
        return Err("its digest does not fit its bytes");
    }
    let len =
        usize::try_from(len).ok().filter(|len| *len <= BLOCK_BYTES_MAX).ok_or("its stated length is too large")?;
    let body = lz4_flex::decompress(head.0, len).map_err(|_| "it does not decompress")?;
    let mut rest = Decoder(&body);
    let mut raws = Vec::new();
    while !rest.is_empty() {
        raws.push(unpack_one(&mut rest, first).ok_or("a payload is cut short")?);
    }
    Ok(raws)
}

/// The key of a block's payloads: by position, with the ingest time, so that expiry reads keys only.
pub(crate) fn key(first: Position, ingested_at: Millis) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&first.0.to_be_bytes());
    key[8..].copy_from_slice(&ingested_at.0.to_be_bytes());
    key
}

/// The ingest time in a [`key`].
pub(crate) fn ingested_at(key: &[u8]) -> Option<Millis> {
    key.get(8..16)?.try_into().ok().map(|bytes| Millis(i64::from_be_bytes(bytes)))
}

fn unpack_head(head: &mut Decoder<'_>) -> Option<([u8; 4], Position, u32, [u8; DIGEST_BYTES])> {
    Some((head.array()?, Position(head.u64()?), head.u32()?, head.array()?))
}

fn unpack_one(rest: &mut Decoder<'_>, first: Position) -> Option<Raw> {
    let index = rest.u32()?;
    let count = rest.u32()?;
    let payload = rest.bytes()?.to_vec();
    Some(Raw { first: first.plus(u64::from(index)), count, payload })
}

fn digest_of(first: Position, len: u32, packed: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hasher = Sha256::new();
    hasher.update(first.0.to_le_bytes());
    hasher.update(len.to_le_bytes());
    hasher.update(packed);
    let full: [u8; 32] = hasher.finalize().into();
    std::array::from_fn(|at| full[at])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn packed() -> Vec<u8> {
        let mut block = NewBlock::new(Millis(0));
        block.push_raw(0, 2, b"first payload, first payload, first payload");
        block.push_raw(2, 0, b"");
        pack(&block, Position(10)).unwrap()
    }

    #[test]
    fn payloads_read_back_with_the_positions_of_their_facts() {
        let raws = unpack(&packed()).unwrap();
        assert_eq!(raws[0].first, Position(10));
        assert_eq!((raws[1].first, raws[1].count, raws[1].payload.len()), (Position(12), 0, 0));
    }

    #[test]
    fn damage_gives_a_reason() {
        let good = packed();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(unpack(&bad).is_err(), "flip at {at}");
        }
        assert!(unpack(&good[..3]).is_err());
    }

    #[test]
    fn no_payloads_take_no_space() {
        assert_eq!(pack(&NewBlock::new(Millis(0)), Position(1)), None);
    }

    #[test]
    fn a_key_carries_its_ingest_time() {
        assert_eq!(ingested_at(&key(Position(3), Millis(-9))), Some(Millis(-9)));
        assert_eq!(ingested_at(b"short"), None);
    }
}
