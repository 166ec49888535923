//! Native payloads beside the log: kept for a while, so that history can be read again under a
//! better mapping, with what stood beside their bytes. All payloads of a block are one value, compressed in chunks: many small payloads
//! share one, which packs far better than each alone, and a large one is packed where it lies.

use ontology::Millis;
use sha2::{Digest as _, Sha256};

use crate::codec::{Decoder, Encoder};
use crate::{BLOCK_BYTES_MAX, Position};

const MAGIC: [u8; 4] = *b"OHR1";
const DIGEST_BYTES: usize = 16;
const HEAD_BYTES: usize = 4 + 8 + 4 + DIGEST_BYTES;

/// One native payload and the facts that came from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Position of the first fact that came from it.
    pub first: Position,
    /// Number of facts that came from it; none where nothing of it is mapped.
    pub count: u32,
    /// What was told beside the payload, such as headers; opaque here.
    pub beside: Vec<u8>,
    /// The payload as it came in.
    pub payload: Vec<u8>,
}

/// Bytes of small payloads that are packed together: little enough to stay in a processor's cache.
const CHUNK_BYTES: usize = 64 << 10;

/// The payloads of a block on their way into the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payloads {
    /// Per payload: index of its first fact, number of facts, length of what was told beside it, its
    /// own length; 32 bits each.
    entries: Vec<u8>,
    /// Bytes of all payloads.
    len: usize,
    /// Small payloads that wait for others.
    waiting: Vec<u8>,
    /// Chunks, each behind its length, itself behind the length of what was packed.
    chunks: Vec<u8>,
}

impl Payloads {
    /// Makes room for payloads of so many bytes; packed they mostly take less.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.chunks.reserve(bytes);
    }

    pub(crate) fn push(&mut self, index: u32, count: u32, beside: &[u8], payload: &[u8]) {
        let length = |len: usize| u32::try_from(len).expect("a payload is far below 4 GiB: connectors bound bodies");
        for part in [index, count, length(beside.len()), length(payload.len())] {
            self.entries.extend_from_slice(&part.to_le_bytes());
        }
        self.len += beside.len() + payload.len();
        self.waiting.extend_from_slice(beside);
        if payload.len() < CHUNK_BYTES {
            self.waiting.extend_from_slice(payload);
        }
        if payload.len() >= CHUNK_BYTES || self.waiting.len() >= CHUNK_BYTES {
            put_chunk(&mut self.chunks, &self.waiting);
            self.waiting.clear();
        }
        if payload.len() >= CHUNK_BYTES {
            put_chunk(&mut self.chunks, payload);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all payloads as they came in, and of what was told beside them.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The stored form; `None` when there are no payloads.
    pub(crate) fn pack(&self, first: Position) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let len = u32::try_from(self.len).expect("checked against BLOCK_BYTES_MAX");
        let mut out = Encoder::with_capacity(HEAD_BYTES + self.entries.len() + self.chunks.len() + 2 * CHUNK_BYTES);
        out.raw(&MAGIC).u64(first.0).u32(len).raw(&[0; DIGEST_BYTES]).bytes(&self.entries).raw(&self.chunks);
        put_chunk(&mut out.0, &self.waiting);
        let digest = digest_of(first, len, &out.0[HEAD_BYTES..]);
        out.0[HEAD_BYTES - DIGEST_BYTES..HEAD_BYTES].copy_from_slice(&digest);
        Some(out.0)
    }
}

fn put_chunk(out: &mut Vec<u8>, plain: &[u8]) {
    if plain.is_empty() {
        return;
    }
    let length = |len: usize| u32::try_from(len).expect("a payload is far below 4 GiB: connectors bound bodies");
    let begin = out.len();
    out.extend_from_slice(&length(plain.len()).to_le_bytes());
    out.resize(begin + 8 + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
    let packed =
        lz4_flex::block::compress_into(plain, &mut out[begin + 8..]).expect("there is room for the worst case");
    out[begin + 4..begin + 8].copy_from_slice(&length(packed).to_le_bytes());
    out.truncate(begin + 8 + packed);
}

/// Reads what [`Payloads::pack`] wrote.
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
    let mut entries = Decoder(head.bytes().ok_or("its list of payloads is cut short")?);
    let body = unpack_chunks(head, len)?;
    let mut rest = body.as_slice();
    let mut raws = Vec::new();
    while !entries.is_empty() {
        raws.push(unpack_one(&mut entries, &mut rest, first).ok_or("a payload is cut short")?);
    }
    Ok(raws)
}

/// All payloads one after another: `len` bytes.
fn unpack_chunks(mut chunks: Decoder<'_>, len: usize) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::with_capacity(len);
    while !chunks.is_empty() {
        let plain = chunks.u32().and_then(|plain| usize::try_from(plain).ok()).ok_or("a chunk is cut short")?;
        let packed = chunks.bytes().ok_or("a chunk is cut short")?;
        if plain > len - body.len() {
            return Err("its chunks are longer than stated");
        }
        body.extend(lz4_flex::decompress(packed, plain).map_err(|_| "it does not decompress")?);
    }
    if body.len() == len { Ok(body) } else { Err("its chunks are shorter than stated") }
}

/// The key of a commit's payloads: by position, with the ingest time, so that expiry reads keys only.
/// Several commits stand at one position where their deliveries made no fact: `commit` tells them apart.
pub(crate) fn key(first: Position, ingested_at: Millis, commit: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&first.0.to_be_bytes());
    key[8..16].copy_from_slice(&ingested_at.0.to_be_bytes());
    key[16..].copy_from_slice(&commit.to_be_bytes());
    key
}

/// The ingest time in a [`key`].
pub(crate) fn ingested_at(key: &[u8]) -> Option<Millis> {
    key.get(8..16)?.try_into().ok().map(|bytes| Millis(i64::from_be_bytes(bytes)))
}

fn unpack_head(head: &mut Decoder<'_>) -> Option<([u8; 4], Position, u32, [u8; DIGEST_BYTES])> {
    Some((head.array()?, Position(head.u64()?), head.u32()?, head.array()?))
}

fn unpack_one(entries: &mut Decoder<'_>, rest: &mut &[u8], first: Position) -> Option<Raw> {
    let index = entries.u32()?;
    let count = entries.u32()?;
    let mut take = || {
        let (taken, after) = rest.split_at_checked(usize::try_from(entries.u32()?).ok()?)?;
        *rest = after;
        Some(taken.to_vec())
    };
    Some(Raw { first: first.plus(u64::from(index)), count, beside: take()?, payload: take()? })
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
        let mut payloads = Payloads::default();
        payloads.push(0, 2, b"told", b"first payload, first payload, first payload");
        payloads.push(2, 0, b"", b"");
        payloads.pack(Position(10)).unwrap()
    }

    #[test]
    fn payloads_read_back_around_the_size_that_is_packed_alone() {
        let payload = |len: usize| (0..len).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
        let sizes = [10, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 0, 3, CHUNK_BYTES / 2, CHUNK_BYTES / 2, 7];
        let mut payloads = Payloads::default();
        for (index, size) in (0..).zip(sizes) {
            payloads.push(index, 1, &payload(index as usize), &payload(size));
        }
        let raws = unpack(&payloads.pack(Position(1)).unwrap()).unwrap();
        assert_eq!(raws.len(), sizes.len());
        for ((raw, size), index) in raws.iter().zip(sizes).zip(0..) {
            assert_eq!((&raw.beside, &raw.payload), (&payload(index), &payload(size)));
        }
    }

    #[test]
    fn payloads_read_back_with_the_positions_of_their_facts() {
        let raws = unpack(&packed()).unwrap();
        assert_eq!((raws[0].first, &raws[0].beside[..]), (Position(10), &b"told"[..]));
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
        assert_eq!(Payloads::default().pack(Position(1)), None);
    }

    #[test]
    fn a_key_carries_its_ingest_time() {
        assert_eq!(ingested_at(&key(Position(3), Millis(-9), 7)), Some(Millis(-9)));
        assert_eq!(ingested_at(b"short"), None);
    }
}
