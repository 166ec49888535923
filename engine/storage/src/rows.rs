//! Rows: what was derived from the log, by table and key, with the position up to which it was
//! derived. Rows can always be rebuilt from the log; they exist so that a start need not.

use bytes::Bytes;

use crate::{Position, Result};

/// A room for rows. Each has its own key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Source records with the versions of their fields.
    Entity,
    /// Standardised parties, blocking index, edges, clusters.
    Resolver,
    /// What a customer's evaluation remembers from one time to the next.
    Customer,
    /// Wake-up times of rules.
    Timer,
    /// Former customer ids and where they lead.
    Redirect,
    /// Facts about the rows themselves: versions, digests, counters.
    Meta,
}

impl Table {
    /// All tables, in the order in which they are printed.
    pub const ALL: [Table; 6] =
        [Table::Entity, Table::Resolver, Table::Customer, Table::Timer, Table::Redirect, Table::Meta];

    /// The table's name on disk and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Table::Entity => "entity",
            Table::Resolver => "resolver",
            Table::Customer => "customer",
            Table::Timer => "timer",
            Table::Redirect => "redirect",
            Table::Meta => "meta",
        }
    }
}

/// Longest key of a row, an action or a source partition, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;

/// Largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// A change of one row or action: the new value, or `None` to remove it.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

/// Mutations of rows and outbox with the position they carry the rows to: one atom.
///
/// ```
/// use storage::{Changes, Position, Table};
/// let changes = Changes::new()
///     .put(Table::Entity, b"case/500A", b"...")
///     .delete(Table::Timer, b"due/7")
///     .outbox_put(b"action-1", b"raise the alert")
///     .applied(Position(120));
/// assert!(!changes.is_empty());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub(crate) rows: Vec<(Table, Write)>,
    pub(crate) outbox: Vec<Write>,
    pub(crate) applied: Option<Position>,
}

impl Changes {
    /// No change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    #[must_use]
    pub fn put(mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.push_put(table, key.into(), value.into());
        self
    }

    /// Removes a row, if it is there.
    #[must_use]
    pub fn delete(mut self, table: Table, key: impl Into<Vec<u8>>) -> Self {
        self.push_delete(table, key.into());
        self
    }

    /// Adds an action, or replaces it when the id is there already.
    #[must_use]
    pub fn outbox_put(mut self, id: impl Into<Vec<u8>>, action: impl Into<Vec<u8>>) -> Self {
        self.outbox.push((id.into(), Some(action.into())));
        self
    }

    /// Removes an action that has been performed.
    #[must_use]
    pub fn outbox_done(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.outbox.push((id.into(), None));
        self
    }

    /// The position up to which all facts are in the rows once this is committed.
    #[must_use]
    pub fn applied(mut self, position: Position) -> Self {
        self.applied = Some(position);
        self
    }

    /// Sets a row, for callers that fill changes in a loop.
    pub fn push_put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.rows.push((table, (key, Some(value))));
    }

    /// Removes a row, for callers that fill changes in a loop.
    pub fn push_delete(&mut self, table: Table, key: Vec<u8>) {
        self.rows.push((table, (key, None)));
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.outbox.is_empty() && self.applied.is_none()
    }
}

/// When a commit must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Synced,
    /// With the next synced commit at the latest. It survives the death of the process; after a
    /// power loss it is there whole or not at all, and never without what was committed before.
    Relaxed,
}

/// Pairs of key and value in key order; an error ends the reading.
pub type Pairs = Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + Send>;

/// Rows by table and key, the outbox, and the position they stand at.
pub trait Rows: Send + Sync {
    /// The rows of these keys, in the order of the keys; `None` where there is none.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] or a failed read.
    fn load(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>>;

    /// The rows whose key begins with `prefix`, in key order, as of one instant.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] or a failed read, also in the items.
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs>;

    /// All rows of a table in key order, while others may commit: each row is of one commit, but a later
    /// one may be of a later commit, and a row that such a commit added may be missing. It ends however
    /// often others commit, which [`Rows::scan`] of a store that another process owns may not.
    ///
    /// # Errors
    /// As [`Rows::scan`].
    fn sweep(&self, table: Table) -> Result<Pairs> {
        self.scan(table, b"")
    }

    /// The position up to which facts are in the rows; [`Position::ZERO`] when none are.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] or a failed read.
    fn applied(&self) -> Result<Position>;

    /// Actions not yet performed, in order of id.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] or a failed read, also in the items.
    fn pending(&self) -> Result<Pairs>;

    /// Makes the changes visible as one atom. Later changes of the same key within them win.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when `applied` would move backwards or past the log,
    /// [`crate::Error::Full`], [`crate::Error::Stop`].
    fn write(&self, changes: Changes, durability: Durability) -> Result<()>;
}
