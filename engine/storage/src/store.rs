//! What the hub runs on: log, rows and quarantine together, and commits across them where they
//! share one atom.

use std::io::Write;
use std::ops::Range;

use crate::{
    Backup, Changes, Durability, Error, Intake, KEY_BYTES_MAX, Log, Operations, Position, Quarantine, Result, Rows,
    Stands, VALUE_BYTES_MAX,
};

/// An intake and changes that become durable together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What comes in.
    pub intake: Intake,
    /// What was derived.
    pub changes: Changes,
}

/// Everything that a hub keeps. Where the log and the rows are separate servers, each half commits
/// by itself: rows only ever stand at a position that the log holds.
pub trait Store: Log + Rows + Quarantine + Stands {
    /// Puts on disk whatever was committed relaxed.
    ///
    /// # Errors
    /// [`Error::Stop`] at and after the first failed write.
    fn sync(&self) -> Result<()>;

    /// Reads every block, payload, row and record and checks all digests.
    ///
    /// # Errors
    /// [`Error::Damaged`] names the first part found damaged.
    fn verify(&self) -> Result<Verified>;

    /// Writes everything that is there at one instant to `out`, while appends go on; the end of the log
    /// by then is the position of the backup. `Embedded::restore` makes a store of it.
    ///
    /// # Errors
    /// [`Error::Io`] when `out` takes no more, [`Error::Damaged`] when the log does not fit its chain,
    /// [`Error::Stop`] after the first failed write, [`Error::Invalid`] where nothing is on disk. Then
    /// what `out` has got is no backup, and is refused as one.
    fn backup(&self, out: &mut dyn Write) -> Result<Backup>;

    /// How often it was asked since it was opened.
    fn operations(&self) -> Operations;
}

/// A store whose log, rows and quarantine share one atom: the embedded form and its in-memory twin.
pub trait Atomic: Store {
    /// Commits the whole batch as one atom and gives the positions of its facts.
    ///
    /// # Errors
    /// As [`Log::append`] and [`Rows::write`]. After an error nothing of the batch is kept, except
    /// after [`Error::Stop`]: then only a restart shows whether the batch reached the disk, whole.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Range<Position>>;
}

/// What a verification has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Blocks of facts.
    pub blocks: u64,
    /// Facts in them.
    pub facts: u64,
    /// Blocks whose native payloads are still kept.
    pub raw_blocks: u64,
    /// Rows, actions and source positions.
    pub rows: u64,
    /// Quarantined records.
    pub quarantined: u64,
    /// Stands of the rows at earlier positions.
    pub stands: u64,
}

impl Batch {
    /// Checks sizes and that the applied position moves forward within the log.
    pub(crate) fn check(&self, applied: Position, last: Position) -> Result<()> {
        self.intake.check()?;
        let facts = self.intake.block.as_ref().map_or(0, |block| u64::from(block.count()));
        self.changes.check(applied, last.plus(facts))
    }
}

impl Intake {
    /// Checks sizes, and that a block holds something.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(block) = &self.block {
            block.check()?;
        }
        for (partition, position) in &self.sources {
            check_pair("a source position", partition.as_bytes(), position)?;
        }
        self.quarantined.iter().try_for_each(crate::NewQuarantined::check)
    }
}

impl Changes {
    /// Checks sizes, and that the applied position moves forward within a log that ends at `last`.
    pub(crate) fn check(&self, applied: Position, last: Position) -> Result<()> {
        let rows = self.rows.iter().map(|(_, write)| ("a row", write));
        for (what, (key, value)) in rows.chain(self.outbox.iter().map(|write| ("an action", write))) {
            check_pair(what, key, value.as_deref().unwrap_or_default())?;
        }
        match self.applied {
            Some(position) if position < applied => {
                Err(Error::Invalid { what: "the applied position", why: "it would move backwards" })
            }
            Some(position) if position > last => {
                Err(Error::Invalid { what: "the applied position", why: "it is past the last fact" })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn check_pair(what: &'static str, key: &[u8], value: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::Invalid { what, why: "its key is empty" });
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::TooLarge { what, size: key.len(), size_max: KEY_BYTES_MAX });
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::TooLarge { what, size: value.len(), size_max: VALUE_BYTES_MAX });
    }
    Ok(())
}
