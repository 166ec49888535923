//! Backups of a running hub: the store is read on a thread of its own, as fast as the caller takes the
//! parts, while the log goes on.

use std::io::Write;
use std::sync::Arc;

use futures::StreamExt as _;
use serve::backend::Parts;
use serve::reason::{Reason, Refusal};
use storage::Store;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Backups at a time: each reads the whole store.
const AT_A_TIME_MAX: usize = 1;
/// Bytes of one part.
const PART_BYTES: usize = 256 << 10;
/// Parts that may wait for the caller.
const PARTS_WAITING_MAX: usize = 4;

/// Lets one backup be taken at a time.
pub(crate) struct Backups(Arc<Semaphore>);

impl Default for Backups {
    fn default() -> Self {
        Backups(Arc::new(Semaphore::new(AT_A_TIME_MAX)))
    }
}

impl Backups {
    /// Begins a backup; it ends early when nobody takes its parts any more.
    pub(crate) fn take(&self, store: Arc<dyn Store>) -> Result<Parts, Refusal> {
        let Ok(turn) = self.0.clone().try_acquire_owned() else {
            return Err(Refusal::new(Reason::Overloaded).with("queue", "backup").with("limit", AT_A_TIME_MAX));
        };
        let (sender, parts) = mpsc::channel(PARTS_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let mut out = Sending { sender, part: Vec::with_capacity(PART_BYTES) };
            match store.backup(&mut out) {
                Ok(backup) => tracing::info!(position = backup.position.0, bytes = backup.bytes, "a backup was taken"),
                Err(error) => {
                    tracing::warn!(%error, "a backup was not finished");
                    let failed = Refusal::new(Reason::Internal).with("attempt", "reading the store for a backup");
                    // Nobody listens any more where that was why it was not finished.
                    let _ = out.sender.blocking_send(Err(failed));
                }
            }
            drop(turn);
        });
        Ok(ReceiverStream::new(parts).boxed())
    }
}

/// Passes what is written on in parts.
struct Sending {
    sender: mpsc::Sender<Result<Vec<u8>, Refusal>>,
    part: Vec<u8>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        if self.part.len() == PART_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        let gone = |_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "nobody takes the backup any more");
        self.sender.blocking_send(Ok(part)).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::{Embedded, Intake, Log as _, NewBlock};

    use super::*;

    #[tokio::test]
    async fn one_backup_is_taken_at_a_time_and_one_that_nobody_takes_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path(), storage::Options::default()).unwrap();
        for _ in 0..3 {
            let mut block = NewBlock::new(ontology::Millis(1));
            block.push(&vec![7; 2 * PART_BYTES]);
            store.append(Intake::new().block(block)).unwrap();
        }
        let store: Arc<dyn Store> = Arc::new(store);
        let backups = Backups::default();
        let mut parts = backups.take(store.clone()).unwrap();
        assert_eq!(parts.next().await.unwrap().unwrap().len(), PART_BYTES);
        let refused = backups.take(store.clone()).err().unwrap();
        assert_eq!(refused.reason(), Reason::Overloaded);
        drop(parts);
        let turn = backups.0.acquire().await.unwrap();
        drop(turn);
        let parts: Vec<_> = backups.take(store).unwrap().map(Result::unwrap).collect().await;
        let backup = storage::read_backup(parts.concat().as_slice()).unwrap();
        assert_eq!(backup.position, storage::Position(3));
    }
}
