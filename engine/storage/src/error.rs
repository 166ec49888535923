//! Why a storage call failed, and what its caller does about it.

use std::path::PathBuf;

use crate::{Position, QuarantineId};

/// What a storage call failed with; [`Error::class`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for positions that are no longer, or not yet, in the log.
    #[error("read the log from position {asked}: it keeps {start} to {last}")]
    OutOfRange {
        /// The position asked for.
        asked: Position,
        /// The oldest position kept.
        start: Position,
        /// The newest position.
        last: Position,
    },
    /// No quarantined record has this id (any more).
    #[error("find quarantined record {id}: there is none with this id")]
    UnknownQuarantined {
        /// The id asked for.
        id: QuarantineId,
    },
    /// A value breaks a limit of the store, such as a key of more than 64 KiB.
    #[error("store {what}: {size} is more than the limit of {size_max}")]
    TooLarge {
        /// Which value.
        what: &'static str,
        /// Its size in bytes or items.
        size: usize,
        /// The largest size taken.
        size_max: usize,
    },
    /// The call breaks the contract of the trait, such as a block without facts.
    #[error("store {what}: {why}")]
    Invalid {
        /// What was to be stored.
        what: &'static str,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Too little free disk. Nothing was written; the same call succeeds once there is room.
    #[error("commit with {free_bytes} bytes free: {needed_bytes} are kept free, free some disk, then it resumes alone")]
    Full {
        /// Free bytes seen.
        free_bytes: u64,
        /// Free bytes this commit needs to see.
        needed_bytes: u64,
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Another process has the store open.
    #[error("open the store in {dir}: another process has it open, stop that one or choose another folder")]
    InUse {
        /// Folder of the store.
        dir: PathBuf,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "open the store in {dir}: it has format {found} and this program reads up to {supported}, \
         start the newer opshub, or restore a backup made by this one"
    )]
    Newer {
        /// Folder of the store.
        dir: PathBuf,
        /// The format found on disk.
        found: u32,
        /// The newest format this program knows.
        supported: u32,
    },
    /// The store holds bytes that it did not write, or lacks bytes that it acknowledged.
    #[error("read {what}: it is damaged, {why}, restore a backup or rebuild from the sources")]
    Damaged {
        /// Which part of the store.
        what: String,
        /// How it is known.
        why: String,
    },
    /// A server did not answer in time. Nothing was changed; the same call succeeds once it is back.
    #[error("{doing}: {server} does not answer ({cause})")]
    Unreachable {
        /// What was attempted.
        doing: &'static str,
        /// Which server.
        server: &'static str,
        /// What its client said.
        cause: String,
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// This process follows the owner of the store and has not claimed it.
    #[error("write to the store: another process owns it, write there, or wait until this one takes over")]
    NotOwner,
    /// A server is not set up as the store needs it.
    #[error("use {what}: {found}, it must be {needed}")]
    Unfit {
        /// Which setting of which server.
        what: String,
        /// What it is.
        found: String,
        /// What it must be.
        needed: String,
    },
    /// A folder that something is to be restored into holds something already.
    #[error("restore into {dir}: it is not empty, name a new folder, or move away what is there")]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// A backup is not as it was written, or was never finished.
    #[error("read the backup: {what} is damaged, {why}, use another backup")]
    BackupDamaged {
        /// Which part of it.
        what: String,
        /// How it is known.
        why: String,
    },
    /// A backup was written by a newer version of this program.
    #[error("read the backup: it has format {found} and this program reads up to {supported}, use the newer opshub")]
    BackupNewer {
        /// The format it states.
        found: u32,
        /// The newest format this program knows.
        supported: u32,
    },
    /// A write or sync failed earlier; since then nothing is written, because after a failed sync
    /// only a restart shows what the disk really holds.
    #[error("write to the store: it stopped writing after a failure ({cause}), restart to continue from the disk")]
    Stop {
        /// The first failure.
        cause: String,
    },
    /// The operating system refused an operation outside a commit.
    #[error("{doing}")]
    Io {
        /// What was attempted.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The library that keeps the store refused an operation outside a commit.
    #[error("{doing}")]
    Backend {
        /// What was attempted.
        doing: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a caller does about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The input is at fault and stays so: refuse it.
    Reject,
    /// The same call may succeed later: back off and try again.
    Retry,
    /// An invariant is broken: stop writing here and keep serving reads.
    Stop,
}

impl Error {
    /// What to do about this error.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Error::OutOfRange { .. }
            | Error::UnknownQuarantined { .. }
            | Error::TooLarge { .. }
            | Error::Invalid { .. }
            | Error::NotEmpty { .. }
            | Error::BackupDamaged { .. }
            | Error::BackupNewer { .. } => Class::Reject,
            Error::Full { .. } | Error::Unreachable { .. } | Error::NotOwner => Class::Retry,
            Error::InUse { .. }
            | Error::Newer { .. }
            | Error::Damaged { .. }
            | Error::Stop { .. }
            | Error::Unfit { .. }
            | Error::Io { .. }
            | Error::Backend { .. } => Class::Stop,
        }
    }

    pub(crate) fn damaged(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Damaged { what: what.into(), why: why.into() }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}

/// Result of a storage call.
pub type Result<T> = std::result::Result<T, Error>;
