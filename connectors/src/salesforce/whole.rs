//! Which objects were read whole, and with which columns.
//!
//! The stream tells of changes only. So an object that was not there when all was read, one that
//! joins the mapping later, and a column that is granted later, would stay unknown for every record
//! that does not change. What was read is kept per object under a position of its own; whatever the
//! organisation shows beyond it is read, the whole object at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::answer::RestError;
use super::resync::Resyncs;
use super::select::{Records, Shown};
use crate::contract::{Decoded, Sink, SinkError, Submission};
use crate::edge::retry::Backoff;

/// Name under which it is kept with which columns `object` was read whole.
#[must_use]
pub fn position_name(topic: &str, object: &str) -> String {
    format!("{topic}#whole/{object}")
}

/// The columns that each object was read whole with. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Whole(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Whole {
    /// What was stored under [`position_name`], by object.
    #[must_use]
    pub fn of(stored: BTreeMap<String, Vec<u8>>) -> Self {
        let read = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap_or_default();
            text.split(',').filter(|column| !column.is_empty()).map(str::to_owned).collect()
        };
        Whole(Arc::new(Mutex::new(stored.into_iter().map(|(object, bytes)| (object, read(bytes))).collect())))
    }

    fn marks(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `object` was read whole at all.
    #[must_use]
    pub fn has(&self, object: &str) -> bool {
        self.marks().contains_key(object)
    }

    /// Whether `object` was read whole with all of `columns`.
    #[must_use]
    pub fn covers(&self, object: &str, columns: &[String]) -> bool {
        self.marks().get(object).is_some_and(|read| columns.iter().all(|column| read.contains(column)))
    }
}

/// Keeps that `object` was read whole with `columns`.
pub(super) async fn keep<S: Sink>(
    records: &Records<S>,
    object: &str,
    columns: BTreeSet<String>,
) -> Result<(), SinkError> {
    let (name, text) = (position_name(&records.partition, object), Vec::from_iter(columns.iter().cloned()).join(","));
    let nothing =
        Submission::new(System::Salesforce, &records.partition, Decoded::default(), Bytes::new(), records.now());
    records.context.submit_until_taken(nothing.at(&name, text.as_bytes())).await?;
    records.whole.marks().insert(object.to_owned(), columns);
    Ok(())
}

/// How the watch goes about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watching {
    /// Time between two looks at what is not shown yet.
    pub every: Duration,
    /// Whether an object is read whole that never was; else what it shows at first counts as read.
    pub is_full_read_first: bool,
}

/// Asks for every object that shows more than was read of it, until `stop`. An object of which every
/// column is shown and read costs no call.
pub(super) async fn watch<S: Sink>(records: Records<S>, resyncs: Resyncs, watching: Watching, stop: CancellationToken) {
    let objects: Vec<String> =
        records.context.connectors.salesforce().mapping().objects.iter().map(|o| o.name.clone()).collect();
    let mut backoff = Backoff::default();
    loop {
        let delay = match look(&records, &resyncs, &objects, watching).await {
            Ok(Ok(())) => {
                backoff.reset();
                watching.every
            }
            Ok(Err(_)) => return,
            Err(error) => {
                records.context.status.failed(&error.to_string(), records.now());
                backoff.next_delay().max(error.wait())
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

async fn look<S: Sink>(
    records: &Records<S>,
    resyncs: &Resyncs,
    objects: &[String],
    watching: Watching,
) -> Result<Result<(), SinkError>, RestError> {
    let (mut absent, mut hidden) = (Vec::new(), Vec::new());
    for object in objects {
        let Shown { columns, missing, .. } = match shown(records, object).await {
            Err(error) if error.is_no_object() => {
                absent.push(object.as_str());
                continue;
            }
            shown => shown?,
        };
        hidden.extend(missing.into_iter().map(|column| format!("{object}.{column}")));
        // What is being read will be kept when it is; what is kept is kept before it stops to wait.
        if resyncs.is_waiting(object) || records.whole.covers(object, &columns) {
            continue;
        }
        if watching.is_full_read_first || records.whole.has(object) {
            tracing::info!(object, "an object shows more than was read of it: it is read whole");
            resyncs.ask(object, None);
        } else if let Err(closed) = keep(records, object, columns.into_iter().collect()).await {
            return Ok(Err(closed));
        }
    }
    let found = |names: Vec<String>, what: &str| {
        let names = names.join(", ");
        (!names.is_empty()).then(|| format!("{names}: {what}; grant access, or take them out of the mapping"))
    };
    let absent: Vec<String> = absent.into_iter().map(str::to_owned).collect();
    let (status, now) = (&records.context.status, records.now());
    status.find("objects_not_there", found(absent, "not there, or not shown to this user, so not read"), now);
    status.find("columns_not_shown", found(hidden, "not there, or not shown to this user, so left out"), now);
    Ok(Ok(()))
}

/// What an object shows: asked for again unless all of it is shown and read.
async fn shown<S: Sink>(records: &Records<S>, object: &str) -> Result<Shown, RestError> {
    let known = records.known(object);
    let is_settled = |known: &Shown| known.missing.is_empty() && records.whole.covers(object, &known.columns);
    if let Some(known) = known.filter(is_settled) {
        return Ok(known);
    }
    records.forget(object);
    records.shown(object).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_covers_no_column_beyond_it() {
        let stored = BTreeMap::from([("Case".to_owned(), b"Id,Status".to_vec()), ("Account".to_owned(), Vec::new())]);
        let whole = Whole::of(stored);
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(whole.covers("Case", &columns(&["Status", "Id"])));
        assert!(!whole.covers("Case", &columns(&["Status", "Subject"])));
        assert!(whole.has("Account") && !whole.covers("Account", &columns(&["Id"])));
        assert!(!whole.has("Lead") && !whole.covers("Lead", &[]));
    }
}
