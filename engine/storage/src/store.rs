//! One store that is log, rows and quarantine at once, and so can commit across them.

use std::io::Write;
use std::ops::Range;

use crate::{
    Backup, Changes, Durability, Error, Intake, KEY_BYTES_MAX, Log, Position, Quarantine, Result, Rows, VALUE_BYTES_MAX,
};

/// An intake and changes that become durable together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What comes in.
    pub intake: Intake,
    /// What was derived.
    pub changes: Changes,
}

/// A store whose log, rows and quarantine share one atom: the embedded form and its in-memory twin.
/// Where the log and the rows are separate servers, each half commits by itself.
pub trait Store: Log + Rows + Quarantine {
    /// Commits the whole batch as one atom and gives the positions of its facts.
    ///
    /// # Errors
    /// As [`Log::append`] and [`Rows::write`]. After an error nothing of the batch is kept, except
    /// after [`Error::Stop`]: then only a restart shows whether the batch reached the disk, whole.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Range<Position>>;

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
}

impl Batch {
    /// Checks sizes and that the applied position moves forward within the log.
    pub(crate) fn check(&self, applied: Position, last: Position) -> Result<()> {
        if let Some(block) = &self.intake.block {
            block.check()?;
        }
        for (partition, position) in &self.intake.sources {
            check_pair("a source position", partition.as_bytes(), position)?;
        }
        for record in &self.intake.quarantined {
            record.check()?;
        }
        let rows = self.changes.rows.iter().map(|(_, write)| ("a row", write));
        for (what, (key, value)) in rows.chain(self.changes.outbox.iter().map(|write| ("an action", write))) {
            check_pair(what, key, value.as_deref().unwrap_or_default())?;
        }
        let facts = self.intake.block.as_ref().map_or(0, |block| u64::from(block.count()));
        match self.changes.applied {
            Some(position) if position < applied => {
                Err(Error::Invalid { what: "the applied position", why: "it would move backwards" })
            }
            Some(position) if position > last.plus(facts) => {
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
