//! Records one at a time, each decided on before the next comes: how the hub lives.

use resolver::{Model, Resolver};

use crate::error::Error;
use crate::load::Rows;
use crate::records::{Entry, Tables};

/// A resolver that takes the rows of some tables one by one.
#[derive(Debug)]
pub struct Stream {
    rows: Rows,
    resolver: Resolver,
}

impl Stream {
    /// An empty resolver for the rows of `tables`.
    ///
    /// # Errors
    /// The columns do not fit the resolver.
    pub fn new(tables: &Tables, model: Model) -> Result<Self, Error> {
        let rows = Rows::of(tables)?;
        let resolver = rows.resolver(model);
        Ok(Stream { rows, resolver })
    }

    /// Takes one record and decides all that follows from it.
    pub fn take(&mut self, entry: &Entry<'_>) {
        self.resolver.upsert_row(&self.rows.row(entry));
        self.resolver.drain();
    }

    /// The resolver, drained.
    #[must_use]
    pub fn into_resolver(self) -> Resolver {
        self.resolver
    }
}
