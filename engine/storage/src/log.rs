//! The log: facts in the order in which they came in, durable before their source is acknowledged.

use std::ops::Range;

use bytes::Bytes;
use ontology::Millis;

use crate::{Block, NewBlock, NewQuarantined, Position, Raw, Result};

/// What one group commit brings in: facts, where their sources stand after them, and what could not
/// be understood. All of it becomes durable at once, so a source position never passes a fact that
/// was neither kept nor quarantined.
#[derive(Debug, Clone, Default)]
pub struct Intake {
    pub(crate) block: Option<NewBlock>,
    pub(crate) sources: Vec<(String, Vec<u8>)>,
    pub(crate) quarantined: Vec<NewQuarantined>,
    pub(crate) priority: Priority,
}

/// Who may still write when the disk is nearly full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Facts of the sources: refused first, they wait at their source.
    #[default]
    Source,
    /// Decisions of people and outcomes of commands: they may use the reserve.
    Decision,
}

impl Intake {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The facts of this group commit and their payloads. An empty block is refused by the append; one
    /// of payloads alone moves no position.
    #[must_use]
    pub fn block(mut self, block: NewBlock) -> Self {
        self.block = Some(block);
        self
    }

    /// Where a source partition stands after these facts; the bytes are opaque here.
    #[must_use]
    pub fn source(mut self, partition: impl Into<String>, position: impl Into<Vec<u8>>) -> Self {
        self.sources.push((partition.into(), position.into()));
        self
    }

    /// An input that was not understood, with its bytes.
    #[must_use]
    pub fn quarantine(mut self, record: NewQuarantined) -> Self {
        self.quarantined.push(record);
        self
    }

    /// Who asks; decisions may use the reserve of a nearly full disk.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.block.is_none() && self.sources.is_empty() && self.quarantined.is_empty()
    }
}

/// Blocks in order of position; an error ends the reading.
pub type Blocks = Box<dyn Iterator<Item = Result<Block>> + Send>;

/// Facts in order, durable when `append` returns.
///
/// Appends from several threads are put into one order; readers never wait for them.
pub trait Log: Send + Sync {
    /// Makes the intake durable as one atom and gives the positions of its facts: empty, at the next
    /// position, when it carried none.
    ///
    /// # Errors
    /// [`crate::Error::Full`] when the disk is nearly full, [`crate::Error::Stop`] at and after the
    /// first failed write; see [`crate::Error`].
    fn append(&self, intake: Intake) -> Result<Range<Position>>;

    /// Blocks from the one that holds `from` on, up to what is in the log now. `from` may be the
    /// position after the last: then there are none.
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`]; the items fail with [`crate::Error::Damaged`].
    fn read(&self, from: Position) -> Result<Blocks>;

    /// Position of the newest fact; [`Position::ZERO`] in an empty log.
    fn last(&self) -> Position;

    /// Oldest position kept; the next one in an empty log.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn start(&self) -> Result<Position>;

    /// The native payloads of the block that begins at `first`, and of what came in without a fact
    /// since the block before; empty once they have expired. What came in without a fact since the last
    /// block is at the position after it.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] or a failed read.
    fn raws(&self, first: Position) -> Result<Vec<Raw>>;

    /// Where a source partition stands.
    ///
    /// # Errors
    /// When it cannot be read.
    fn source(&self, partition: &str) -> Result<Option<Bytes>>;

    /// All source partitions and where they stand, by name.
    ///
    /// # Errors
    /// When they cannot be read.
    fn sources(&self) -> Result<Vec<(String, Bytes)>>;

    /// Drops native payloads past their retention and gives the number of blocks that lost theirs.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn expire_raws(&self, now: Millis) -> Result<u64>;
}
