//! How far a long command is.

/// What has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Number of records read.
    Read(usize),
    /// All records are read; what is left to be decided is being decided.
    Resolving,
    /// Pairs are being counted for training.
    Counting,
    /// Estimates are being fitted.
    Fitting,
}
