//! Why a table cannot be resolved, and what to do about it.

use std::io;
use std::path::PathBuf;

/// What stopped an offline command. A single bad row never does: it is set aside with its reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{action} {path}")]
    File {
        /// What was attempted, such as `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a table.
    #[error("read table {path}: {why}")]
    Table {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what is expected.
        why: String,
    },
    /// A map file does not say what the columns mean.
    #[error("read map {path}: {why}")]
    Map {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what is expected.
        why: String,
    },
    /// A model file cannot be used.
    #[error("read model {path}: {why}")]
    Model {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The tables hold too little to do what was asked.
    #[error("{attempted}: {why}")]
    TooLittle {
        /// What was attempted.
        attempted: &'static str,
        /// What is missing, and what would help.
        why: String,
    },
    /// A record that was asked for is in none of the tables.
    #[error("find record {0}: no input has it; records are named as in clusters.csv")]
    NoRecord(String),
}

impl Error {
    /// The system refused a file.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::File { action, path: path.into(), source }
    }

    /// A file is not the table that it should be.
    pub(crate) fn table(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Error::Table { path: path.into(), why: why.into() }
    }
}
