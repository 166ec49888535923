//! How often a store was asked for rows and told of commits: what a batch costs in calls.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Table, figures};

/// Calls of a store since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Commits of facts, quarantined inputs and source positions; on Kafka each is a transaction.
    pub log_commits: u64,
    /// Commits of rows and outbox; on Redis each is one script that compares epoch and position first.
    pub row_commits: u64,
    /// Reads of rows, by their keys or a whole table; on Redis the first is one round trip.
    pub row_loads: u64,
}

/// What a store counts of itself.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    log_commits: AtomicU64,
    row_commits: AtomicU64,
    row_loads: AtomicU64,
}

impl Counted {
    pub(crate) fn log_committed(&self) {
        self.log_commits.fetch_add(1, Ordering::Relaxed);
        figures::committed("log");
    }

    pub(crate) fn rows_committed(&self) {
        self.row_commits.fetch_add(1, Ordering::Relaxed);
        figures::committed("rows");
    }

    pub(crate) fn loaded(&self, table: Table) {
        self.row_loads.fetch_add(1, Ordering::Relaxed);
        figures::loaded(table.name());
    }

    pub(crate) fn so_far(&self) -> Operations {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Operations {
            log_commits: read(&self.log_commits),
            row_commits: read(&self.row_commits),
            row_loads: read(&self.row_loads),
        }
    }
}
