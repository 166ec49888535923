//! Blocks: the facts of one group commit, as one value of the store.
//!
//! One key per fact would cost more than parsing it, so the log holds blocks. Each carries the
//! digest of its own bytes chained to the digest of the block before: a missing, altered or
//! exchanged block shows at the next one.

use bytes::Bytes;
use ontology::Millis;
use sha2::{Digest as _, Sha256};

use crate::codec::{Decoder, Encoder};
use crate::raw::Payloads;
use crate::{Error, Position, Result};

/// SHA-256 over a block's contents and the digest of the block before it.
pub type Digest = [u8; 32];

/// The digest before the first block.
pub const DIGEST_START: Digest = [0; 32];

/// Most bytes of facts in one block: a group commit is far smaller, and lengths stay within 32 bits.
pub const BLOCK_BYTES_MAX: usize = 256 << 20;

const MAGIC: [u8; 4] = *b"OHB1";
/// Bytes that most facts fit into.
const FACT_BYTES_USUAL: usize = 512;

const HEAD_BYTES: usize = 4 + 8 + 4 + 8 + 4 + 32 + 32;

/// The facts of one group commit on their way into the log, with the payloads they came from.
///
/// ```
/// let mut block = storage::NewBlock::new(ontology::Millis(1_700_000_000_000));
/// let first = block.push(b"a fact");
/// block.push(b"another of the same payload");
/// block.push_raw(first, 2, b"a header", b"<the payload>");
/// assert_eq!(block.count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct NewBlock {
    ingested_at: Millis,
    count: u32,
    /// The stored form so far: room for the head, then the facts. Empty without facts.
    facts: Vec<u8>,
    payloads: Payloads,
}

impl NewBlock {
    /// An empty block ingested at this instant.
    #[must_use]
    pub fn new(ingested_at: Millis) -> Self {
        NewBlock { ingested_at, count: 0, facts: Vec::new(), payloads: Payloads::default() }
    }

    /// Makes room at once for so many facts, and for payloads of so many bytes, so that none of them is
    /// moved while others are added.
    pub fn reserve(&mut self, facts: usize, payload_bytes: usize) {
        self.facts.reserve(HEAD_BYTES + facts * FACT_BYTES_USUAL);
        self.payloads.reserve(payload_bytes);
    }

    /// Adds one encoded fact and gives its index within the block.
    pub fn push(&mut self, fact: &[u8]) -> u32 {
        self.push_with(|out| out.extend_from_slice(fact))
    }

    /// Adds a fact that `encode` appends, and gives its index within the block.
    pub fn push_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> u32 {
        if self.facts.is_empty() {
            self.facts.resize(HEAD_BYTES, 0);
        }
        let begin = self.facts.len();
        self.facts.extend_from_slice(&[0; 4]);
        encode(&mut self.facts);
        let len =
            u32::try_from(self.facts.len() - begin - 4).expect("a fact is far below 4 GiB: connectors bound bodies");
        self.facts[begin..begin + 4].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        self.count - 1
    }

    /// Adds the native payload from which `count` facts came, the first of them at `index`, and what
    /// was told beside it. A payload without facts is kept for those that a later mapping reads in it.
    pub fn push_raw(&mut self, index: u32, count: u32, beside: &[u8], payload: &[u8]) {
        self.payloads.push(index, count, beside, payload);
    }

    /// Number of facts.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it holds neither fact nor payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.payloads.is_empty()
    }

    /// Bytes of facts and payloads, for bounding a group commit.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.facts_len() + self.payloads.len()
    }

    fn facts_len(&self) -> usize {
        self.facts.len().saturating_sub(HEAD_BYTES)
    }

    /// When the facts came in.
    #[must_use]
    pub fn ingested_at(&self) -> Millis {
        self.ingested_at
    }

    /// The payloads.
    pub(crate) fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::Invalid { what: "a block", why: "it holds neither fact nor payload" });
        }
        for size in [self.facts_len(), self.payloads.len()] {
            if size > BLOCK_BYTES_MAX {
                return Err(Error::TooLarge { what: "a block", size, size_max: BLOCK_BYTES_MAX });
            }
        }
        Ok(())
    }

    /// The stored form of this block, which has facts, at its place in the chain, and its digest. The
    /// facts are moved into it; the payloads stay.
    pub(crate) fn seal(&mut self, first: Position, previous: &Digest) -> (Vec<u8>, Digest) {
        let mut out = std::mem::take(&mut self.facts);
        let facts = &out[HEAD_BYTES..];
        let digest = digest_of(first, self.count, self.ingested_at, previous, facts);
        let mut head = Encoder::with_capacity(HEAD_BYTES);
        head.raw(&MAGIC).u64(first.0).u32(self.count).i64(self.ingested_at.0);
        head.u32(u32::try_from(facts.len()).expect("checked against BLOCK_BYTES_MAX"));
        head.raw(previous).raw(&digest);
        out[..HEAD_BYTES].copy_from_slice(&head.0);
        (out, digest)
    }
}

fn digest_of(first: Position, count: u32, ingested_at: Millis, previous: &Digest, facts: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(first.0.to_le_bytes());
    hasher.update(count.to_le_bytes());
    hasher.update(ingested_at.0.to_le_bytes());
    hasher.update(facts);
    hasher.finalize().into()
}

/// The facts of one group commit as read back, its digest checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    first: Position,
    count: u32,
    ingested_at: Millis,
    previous: Digest,
    digest: Digest,
    facts: Bytes,
}

impl Block {
    /// Position of the first fact.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// Position of the last fact.
    #[must_use]
    pub fn last(&self) -> Position {
        Position(self.first.0 + u64::from(self.count) - 1)
    }

    /// Number of facts.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the facts came in; a replay takes its time from here.
    #[must_use]
    pub fn ingested_at(&self) -> Millis {
        self.ingested_at
    }

    /// Digest of this block, chained to all before it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Digest of the block before.
    #[must_use]
    pub fn previous(&self) -> &Digest {
        &self.previous
    }

    /// The encoded facts with their positions, in order.
    pub fn facts(&self) -> impl Iterator<Item = (Position, &[u8])> {
        let mut rest = Decoder(&self.facts);
        (self.first.0..=self.last().0).map(move |position| {
            (Position(position), rest.bytes().expect("the layout was checked when the block was read"))
        })
    }

    /// Reads a stored block, checking its layout and digest.
    pub(crate) fn open(stored: Bytes) -> std::result::Result<Block, &'static str> {
        let mut head = Decoder(&stored);
        let block = Self::open_head(&mut head).ok_or("its head is incomplete")?;
        let (magic, mut block, facts_len) = block;
        if magic != MAGIC {
            return Err("it does not start as a block does");
        }
        if head.0.len() != facts_len || block.count == 0 {
            return Err("its length is not the stated one");
        }
        block.facts = stored.slice(HEAD_BYTES..);
        if digest_of(block.first, block.count, block.ingested_at, &block.previous, &block.facts) != block.digest {
            return Err("its digest does not fit its bytes");
        }
        let mut rest = Decoder(&block.facts);
        let complete = (0..block.count).all(|_| rest.bytes().is_some()) && rest.is_empty();
        if complete { Ok(block) } else { Err("its facts do not fill it") }
    }

    fn open_head(head: &mut Decoder<'_>) -> Option<([u8; 4], Block, usize)> {
        let magic = head.array()?;
        let first = Position(head.u64()?);
        let count = head.u32()?;
        let ingested_at = Millis(head.i64()?);
        let facts_len = usize::try_from(head.u32()?).ok()?;
        let previous = head.array()?;
        let digest = head.array()?;
        Some((magic, Block { first, count, ingested_at, previous, digest, facts: Bytes::new() }, facts_len))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut block = NewBlock::new(Millis(7));
        block.push(b"one");
        block.push(b"");
        block.seal(Position(5), &DIGEST_START).0
    }

    #[test]
    fn a_block_reads_back_as_it_was_written() {
        let block = Block::open(Bytes::from(sealed())).unwrap();
        assert_eq!((block.first(), block.last(), block.ingested_at()), (Position(5), Position(6), Millis(7)));
        let facts: Vec<_> = block.facts().collect();
        assert_eq!(facts, [(Position(5), &b"one"[..]), (Position(6), &b""[..])]);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let good = sealed();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(Block::open(Bytes::from(bad)).is_err(), "flip at {at}");
            assert!(Block::open(Bytes::copy_from_slice(&good[..at])).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn an_empty_block_is_refused() {
        assert!(NewBlock::new(Millis(0)).check().is_err());
        let mut unread = NewBlock::new(Millis(0));
        unread.push_raw(0, 0, b"", b"<nothing of it is mapped>");
        assert!(unread.check().is_ok());
    }
}
