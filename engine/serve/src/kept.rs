//! Answers to decisions that outlive the process, for as long as a repeat gets the first one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ontology::Millis;
use storage::{Changes, Durability, Store, Table};

use crate::reason::{Reason, Refusal};

/// Rows that answers are kept in begin so; day, caller and request id follow.
const PREFIX: &str = "answer/";
/// Bytes before the answer in a row: when the write began, and the digest of its request.
const HEAD_BYTES: usize = 8 + 32;

/// A write by its caller and the caller's id of it.
pub(crate) type Key = (String, String);

/// Answers in a store.
pub(crate) struct KeptAnswers {
    store: Arc<dyn Store>,
    /// The day that began when old rows were last looked for.
    swept: AtomicI64,
}

/// A write and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    /// When the write began.
    pub begun: Millis,
    /// Digest of the request.
    pub request: [u8; 32],
    /// The answer as it was sent.
    pub answer: Vec<u8>,
}

impl KeptAnswers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        KeptAnswers { store, swept: AtomicI64::new(i64::MIN) }
    }

    /// The answer to a write that began at `since` or later.
    ///
    /// # Errors
    /// When the store cannot be read: then nobody knows whether the write was done.
    pub(crate) async fn find(&self, key: &Key, since: Millis, now: Millis) -> Result<Option<KeptAnswer>, Refusal> {
        let days = (day_of(since)..=day_of(now)).rev();
        let rows: Vec<Vec<u8>> = days.map(|day| row_of(day, key)).collect();
        let found = self.with_store(move |store| {
            let names: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            store.load(Table::Meta, &names)
        });
        let kept = found.await?.into_iter().flatten().filter_map(|row| KeptAnswer::decode(&row));
        Ok(kept.filter(|kept| kept.begun >= since).max_by_key(|kept| kept.begun))
    }

    /// Keeps an answer; once a day, those of days before `since` go.
    pub(crate) async fn keep(&self, key: &Key, kept: KeptAnswer, since: Millis) {
        let (row, today) = (row_of(day_of(kept.begun), key), day_of(kept.begun));
        let oldest = (self.swept.swap(today, Ordering::Relaxed) != today).then(|| day_of(since));
        let written = self.with_store(move |store| {
            let mut changes = Changes::new().put(Table::Meta, row, kept.encode());
            if let Some(oldest) = oldest {
                let first_kept = day_row(oldest);
                for pair in store.scan(Table::Meta, PREFIX.as_bytes())? {
                    let (old, _) = pair?;
                    if *old >= *first_kept {
                        break;
                    }
                    changes = changes.delete(Table::Meta, old.to_vec());
                }
            }
            store.write(changes, Durability::Synced)
        });
        // Told where it failed; the write that is answered is done all the same.
        let _ = written.await;
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = Arc::clone(&self.store);
        let failed = Refusal::new(Reason::Internal).with("attempt", "looking for the answer to an earlier call");
        match tokio::task::spawn_blocking(move || work(&*store)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "answers to decisions cannot be kept or read: a repeat after a restart may decide again");
                Err(failed)
            }
            Err(_) => Err(failed),
        }
    }
}

impl std::fmt::Debug for KeptAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptAnswers { .. }")
    }
}

impl KeptAnswer {
    fn encode(&self) -> Vec<u8> {
        [&self.begun.0.to_be_bytes()[..], &self.request, &self.answer].concat()
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let (head, answer) = row.split_at_checked(HEAD_BYTES)?;
        let (begun, request) = head.split_first_chunk()?;
        let request = request.try_into().ok()?;
        Some(KeptAnswer { begun: Millis(i64::from_be_bytes(*begun)), request, answer: answer.to_vec() })
    }
}

fn day_of(at: Millis) -> i64 {
    at.0.max(0) / (24 * Millis::HOUR_MS)
}

/// What the rows of a day begin with, in order of days.
fn day_row(day: i64) -> Vec<u8> {
    format!("{PREFIX}{day:010}/").into_bytes()
}

fn row_of(day: i64, (caller, request_id): &Key) -> Vec<u8> {
    [&day_row(day)[..], caller.as_bytes(), b"/", request_id.as_bytes()].concat()
}
