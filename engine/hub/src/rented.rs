//! A store on servers that is there only for a while: its topics and keys go when it is dropped.

use storage::{Distributed, DistributedOptions};

/// A store of a name of its own.
#[derive(Debug)]
pub(crate) struct Rented(DistributedOptions);

impl Rented {
    /// One whose name begins as that of `servers`, which no other has.
    pub(crate) fn on(servers: &DistributedOptions) -> Self {
        let name = format!("{}-{}", servers.name, uuid::Uuid::new_v4().simple());
        Rented(DistributedOptions { name, ..servers.clone() })
    }

    /// Where it is.
    pub(crate) fn options(&self) -> &DistributedOptions {
        &self.0
    }

    /// Opens it. Blocks: not for threads of a runtime.
    ///
    /// # Errors
    /// As [`Distributed::open`].
    pub(crate) fn open(&self) -> storage::Result<Distributed> {
        Distributed::open(self.0.clone())
    }
}

impl Drop for Rented {
    fn drop(&mut self) {
        // Its administration runs on a runtime of its own, which no thread of another may start.
        let options = self.0.clone();
        let removed = std::thread::spawn(move || Distributed::remove(&options)).join();
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!(name = self.0.name, "a store that was there for a while could not be removed");
        }
    }
}
