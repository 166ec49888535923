//! Where the log and the rows of a story live while it is played.

use anyhow::Context as _;
use storage::{Distributed, DistributedOptions, Embedded, Options, Store};
use tempfile::TempDir;

/// Where the log and the snapshots of a story are. A store is absent between end and start.
pub(super) enum Home {
    /// In memory: the story never restarts.
    Memory(storage::Memory),
    /// In a folder that lives as long as the story.
    Folder(TempDir, Option<Embedded>),
    /// On servers, until the story is over.
    Servers(Box<DistributedOptions>, Option<Distributed>),
}

impl Home {
    /// One on `servers` has a name of its own there, which begins with the one given, and leaves nothing.
    pub(super) fn new(servers: Option<&DistributedOptions>, restarts: bool) -> anyhow::Result<Self> {
        match servers {
            Some(options) => {
                let options = DistributedOptions { name: name_of_its_own(&options.name), ..options.clone() };
                let store = Distributed::open(options.clone())?;
                Ok(Home::Servers(Box::new(options), Some(store)))
            }
            None if restarts => {
                let folder = tempfile::tempdir().context("make a folder for the store")?;
                let store = Embedded::open(folder.path(), Options::default())?;
                Ok(Home::Folder(folder, Some(store)))
            }
            None => Ok(Home::Memory(storage::Memory::default())),
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        const CLOSED: &str = "a store is closed only while the hub restarts";
        match self {
            Home::Memory(store) => store,
            Home::Folder(_, store) => store.as_ref().expect(CLOSED),
            Home::Servers(_, store) => store.as_ref().expect(CLOSED),
        }
    }

    /// Whether a hub that starts again finds what it wrote.
    pub(super) fn outlives_the_hub(&self) -> bool {
        match self {
            Home::Memory(_) => false,
            Home::Folder(..) | Home::Servers(..) => true,
        }
    }

    /// Closes the store and opens it again, as a hub does that starts anew.
    pub(super) fn reopen(&mut self) -> anyhow::Result<()> {
        match self {
            Home::Memory(_) => {}
            Home::Folder(folder, store) => {
                drop(store.take());
                *store = Some(Embedded::open(folder.path(), Options::default())?);
            }
            Home::Servers(options, store) => {
                drop(store.take());
                *store = Some(Distributed::open(DistributedOptions::clone(options))?);
            }
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Home::Servers(options, store) = self {
            drop(store.take());
            if let Err(error) = Distributed::remove(options) {
                tracing::warn!(%error, name = options.name, "a story could not be removed from the servers");
            }
        }
    }
}

/// No two stories share a name, whoever plays them.
fn name_of_its_own(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}
