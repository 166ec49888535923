//! Places in the log.

use std::fmt;

/// The place of one fact in the log. The first fact is at 1; 0 means *before the first fact*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before the first fact: the position of an empty log, and of rows to which nothing was applied.
    pub const ZERO: Position = Position(0);
    /// The first fact's position.
    pub const FIRST: Position = Position(1);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Position {
        self.plus(1)
    }

    /// The position `count` facts further.
    #[must_use]
    pub fn plus(self, count: u64) -> Position {
        Position(self.0.checked_add(count).expect("a log never holds 2^64 facts"))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
