//! Reading all records of an object, when events alone no longer tell how they stand.
//!
//! The reader works beside the stream. As long as an object waits to be read, the stream's position is
//! not moved and nothing is claimed to be complete: after a crash the same events come again, ask
//! for the same reading again, and versions make the overlap harmless.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ontology::{Millis, System};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::answer::RestError;
use super::fetched::Fetched;
use super::long_id;
use super::rest::Page;
use super::select::{Records, Shown, quoted};
use super::whole;
use crate::contract::{Sink, SinkError};
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;

/// Records of one submission.
const RECORDS_PER_SUBMISSION: usize = 200;

/// Version of an event after which every record of an object may have changed.
type Since = Option<(u64, u64, u64)>;

/// Objects that are to be read whole. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Resyncs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<BTreeMap<String, Wanted>>,
    asked: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    since: Since,
    /// Counts how often the object was asked for, so that a reading that began before the last time
    /// does not count as its answer.
    times: u64,
}

impl Resyncs {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Wanted>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for all records of `object`.
    pub fn ask(&self, object: &str, since: Since) {
        let mut waiting = self.waiting();
        let wanted = waiting.entry(object.to_owned()).or_insert(Wanted { since, times: 0 });
        wanted.since = wanted.since.max(since);
        wanted.times += 1;
        self.0.asked.notify_one();
    }

    /// Whether everything that was asked for has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Whether `object` waits to be read, or is being read.
    pub(super) fn is_waiting(&self, object: &str) -> bool {
        self.waiting().contains_key(object)
    }

    async fn next(&self) -> (String, Wanted) {
        loop {
            if let Some((object, wanted)) = self.waiting().first_key_value() {
                return (object.clone(), *wanted);
            }
            self.0.asked.notified().await;
        }
    }

    fn finished(&self, object: &str, read: Wanted) {
        let mut waiting = self.waiting();
        if waiting.get(object) == Some(&read) {
            waiting.remove(object);
        }
    }
}

/// Reads what is asked for until `stop` or until the log is closed. A reading that fails goes on where
/// it was, for ever, with longer and longer waits.
pub async fn run<S: Sink>(records: Records<S>, resyncs: Resyncs, stop: CancellationToken) {
    loop {
        let (object, wanted) = tokio::select! {
            () = stop.cancelled() => return,
            next = resyncs.next() => next,
        };
        records.context.status.enter(ConnectorState::Resyncing);
        tokio::select! {
            () = stop.cancelled() => return,
            read = Reading::new(&records, &object, wanted.since).run() => {
                if read.is_err() {
                    return;
                }
            }
        }
        metrics::counter!("opshub_connector_resyncs_total", "system" => "salesforce").increment(1);
        resyncs.finished(&object, wanted);
        if resyncs.is_done() {
            records.context.status.enter(ConnectorState::Running);
        }
    }
}

/// One object being read.
struct Reading<'a, S> {
    records: &'a Records<S>,
    object: &'a str,
    since: Since,
    /// When the reading began, by the source's clock.
    began_at: Option<Millis>,
    /// What the hub holds and has not been found yet.
    absent: BTreeSet<String>,
    /// Id of the last record that is stored: where a reading that failed goes on.
    last_id: Option<String>,
    /// Columns that every page was asked for with.
    columns: Option<BTreeSet<String>>,
}

impl<'a, S: Sink> Reading<'a, S> {
    fn new(records: &'a Records<S>, object: &'a str, since: Since) -> Self {
        Reading { records, object, since, began_at: None, absent: BTreeSet::new(), last_id: None, columns: None }
    }

    async fn run(mut self) -> Result<(), SinkError> {
        // Asked for before the source is: what comes later is not absent, only new.
        let known = self.records.context.known.records(System::Salesforce, self.object).await;
        self.absent = known.into_iter().map(|record| record.record_id.into()).collect();
        self.records.forget(self.object);
        let mut backoff = Backoff::default();
        loop {
            match self.read_on(&mut backoff).await {
                Ok(Ok(())) => {
                    self.bury_absent().await?;
                    return whole::keep(self.records, self.object, self.columns.unwrap_or_default()).await;
                }
                Ok(Err(closed)) => return Err(closed),
                // An organisation need not have every object that the mapping knows. That it shows
                // none proves nothing about the records that the hub holds.
                Err(error) if error.is_no_object() => {
                    tracing::warn!(object = self.object, %error, "an object of the mapping is not there");
                    return Ok(());
                }
                Err(error) => {
                    self.records.context.status.failed(&error.to_string(), self.records.now());
                    tokio::time::sleep(backoff.next_delay().max(error.wait())).await;
                }
            }
        }
    }

    /// Reads page after page from behind the last record that is stored.
    async fn read_on(&mut self, backoff: &mut Backoff) -> Result<Result<(), SinkError>, RestError> {
        let Shown { query, columns, .. } = self.records.shown(self.object).await?;
        let asked: BTreeSet<String> = columns.into_iter().collect();
        self.columns = Some(match self.columns.take() {
            Some(before) => before.intersection(&asked).cloned().collect(),
            None => asked,
        });
        let behind = self.last_id.as_deref().map(|id| format!(" WHERE Id > {}", quoted(id))).unwrap_or_default();
        let mut page = self.records.rest.query(&format!("{query}{behind} ORDER BY Id")).await?;
        loop {
            self.began_at.get_or_insert(page.at);
            backoff.reset();
            let next = page.next.take();
            if let Err(closed) = self.store(page).await {
                return Ok(Err(closed));
            }
            match next {
                Some(next) => page = self.records.rest.more(&next).await?,
                None => return Ok(Ok(())),
            }
        }
    }

    async fn store(&mut self, page: Page) -> Result<(), SinkError> {
        let read_at = self.records.now();
        for chunk in page.records.chunks(RECORDS_PER_SUBMISSION) {
            let fetched =
                Fetched { object: self.object, read_at, since: self.since, records: chunk, ..Fetched::default() };
            self.records.submit(&fetched).await?;
            // A record without id is in quarantine.
            for id in chunk.iter().filter_map(|record| id_of(record.get())) {
                self.absent.remove(&long_id(&id));
                self.last_id = Some(id);
            }
        }
        Ok(())
    }

    /// What the source no longer has was deleted at the latest when the reading began.
    async fn bury_absent(&mut self) -> Result<(), SinkError> {
        let (Some(began_at), read_at) = (self.began_at, self.records.now()) else { return Ok(()) };
        let absent: Vec<String> = std::mem::take(&mut self.absent).into_iter().collect();
        for ids in absent.chunks(RECORDS_PER_SUBMISSION) {
            let fetched = Fetched { object: self.object, read_at, absent: Some((began_at, ids)), ..Fetched::default() };
            self.records.submit(&fetched).await?;
        }
        Ok(())
    }
}

fn id_of(record: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Identified {
        #[serde(rename = "Id")]
        id: String,
    }
    serde_json::from_str::<Identified>(record).ok().map(|record| record.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_asked_for_while_it_is_read_is_read_again() {
        let resyncs = Resyncs::default();
        resyncs.ask("Case", None);
        let (object, first) = resyncs.next().await;
        resyncs.ask("Case", Some((2, 1, 1)));
        resyncs.finished(&object, first);
        assert!(!resyncs.is_done());
        let (object, second) = resyncs.next().await;
        assert_eq!((object.as_str(), second.since), ("Case", Some((2, 1, 1))));
        resyncs.finished(&object, second);
        assert!(resyncs.is_done());
    }

    #[test]
    fn the_newest_of_two_overflows_counts() {
        let resyncs = Resyncs::default();
        for since in [Some((2, 1, 1)), None, Some((1, 9, 9))] {
            resyncs.ask("Case", since);
        }
        assert_eq!(resyncs.waiting()["Case"].since, Some((2, 1, 1)));
    }
}
