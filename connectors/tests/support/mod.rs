//! A log in memory, and a hub's edge around it.
#![allow(dead_code, clippy::unwrap_used)]

pub mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connectors::edge::Context;
use connectors::edge::status::StatusHandle;
use connectors::{Accepted, Connectors, Known, KnownGap, KnownRecord, Sink, SinkError, Submission};
use futures::future::BoxFuture;
use ontology::{Fact, Millis, Op, System, Vocabulary as _};
use tokio::sync::watch;

/// A log that keeps everything, and can be full or closed.
#[derive(Clone)]
pub struct MemoryLog {
    pub submissions: Arc<Mutex<Vec<Submission>>>,
    pub is_full: Arc<AtomicBool>,
    /// Submissions that it was too full for.
    pub refused: Arc<AtomicUsize>,
    count: Arc<watch::Sender<usize>>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        let count = Arc::new(watch::Sender::new(0));
        MemoryLog { submissions: Arc::default(), is_full: Arc::default(), refused: Arc::default(), count }
    }
}

impl Sink for MemoryLog {
    async fn submit(&self, submission: Submission) -> Result<Accepted, SinkError> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            self.count.send_modify(|_| ());
            return Err(SinkError::Busy { retry_after_ms: 1 });
        }
        let mut submissions = self.submissions.lock().unwrap();
        submissions.push(submission);
        self.count.send_replace(submissions.len());
        Ok(Accepted { log_pos: submissions.len() as u64 })
    }
}

impl MemoryLog {
    pub fn facts(&self) -> Vec<Fact> {
        self.submissions.lock().unwrap().iter().flat_map(|s| s.facts.clone()).collect()
    }

    /// Quarantined parts by system and code.
    pub fn rejects(&self) -> BTreeMap<(String, String), u64> {
        let mut counts = BTreeMap::new();
        for submission in self.submissions.lock().unwrap().iter() {
            for reject in &submission.rejects {
                let key = (submission.system.name().to_owned(), reject.code.name().to_owned());
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
    }

    /// The position stored last under `name`.
    pub fn position(&self, name: &str) -> Option<Vec<u8>> {
        let submissions = self.submissions.lock().unwrap();
        let positions = submissions.iter().rev().filter_map(|s| s.position.clone());
        positions.into_iter().find(|(n, _)| n == name).map(|(_, position)| position)
    }

    /// Waits until the log holds what `holds` asks for.
    pub async fn until(&self, what: &str, holds: impl Fn(&MemoryLog) -> bool) {
        let mut count = self.count.subscribe();
        let waiting = async {
            while !holds(self) {
                count.changed().await.unwrap();
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "waited in vain for {what}");
    }

    /// Waits for the proof that nothing in `partition` up to `until` is missing.
    pub async fn proven(&self, partition: &str, until: i64) {
        self.until(partition, |log| {
            log.facts().iter().any(|f| f.op == Op::Heartbeat && f.record_id == partition && f.changed_at.0 >= until)
        })
        .await;
    }
}

/// What a hub would know that has nothing but this log.
impl Known for MemoryLog {
    fn records(&self, system: System, object: &str) -> BoxFuture<'_, Vec<KnownRecord>> {
        let mut newest: BTreeMap<_, Fact> = BTreeMap::new();
        let facts = self.facts().into_iter().filter(|f| f.system == system && f.object == object);
        for fact in facts.filter(|f| matches!(f.op, Op::Image | Op::Delete | Op::Undelete)) {
            let is_newer = newest.get(&fact.record_id).is_none_or(|known| known.version <= fact.version);
            if is_newer {
                newest.insert(fact.record_id.clone(), fact);
            }
        }
        let alive = newest.into_iter().filter(|(_, fact)| fact.op != Op::Delete);
        let known = alive.map(|(record_id, f)| KnownRecord { record_id, entity: f.entity, version: f.version });
        Box::pin(std::future::ready(known.collect()))
    }

    fn open_gaps(&self, system: System) -> BoxFuture<'_, Vec<KnownGap>> {
        let facts: Vec<_> = self.facts().into_iter().filter(|f| f.system == system).collect();
        let is_closed = |gap: &Fact| {
            facts.iter().any(|f| {
                matches!(f.op, Op::Image | Op::Delete | Op::Undelete)
                    && (&f.object, &f.record_id) == (&gap.object, &gap.record_id)
                    && f.version >= gap.version
            })
        };
        let open = facts.iter().filter(|f| f.op == Op::Gap && !is_closed(f));
        let gaps = open.map(|f| KnownGap {
            object: f.object.clone(),
            record_id: f.record_id.clone(),
            version: f.version.clone(),
        });
        let mut gaps: Vec<_> = gaps.collect();
        gaps.sort_by(|a, b| (&a.object, &a.record_id).cmp(&(&b.object, &b.record_id)));
        Box::pin(std::future::ready(gaps))
    }

    fn would_change(&self, facts: Vec<Fact>) -> BoxFuture<'_, Vec<bool>> {
        let held = standing::standing(self);
        let differs = |fact: &Fact| {
            fact.fields.iter().any(|(field, value)| {
                let mut bytes = Vec::new();
                value.encode(&mut bytes);
                let held = held.get(&(fact.object.to_string(), fact.record_id.to_string(), field));
                match held {
                    Some((stamp, told)) => {
                        stamp.version < fact.version && standing::shown(told) != standing::shown(&bytes)
                    }
                    None => value != ontology::ValueRef::Null,
                }
            })
        };
        Box::pin(std::future::ready(facts.iter().map(differs).collect()))
    }
}

/// Story time that tests set.
#[derive(Clone, Default)]
pub struct Story(pub Arc<AtomicI64>);

impl Story {
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

pub fn context(system: System, log: &MemoryLog, story: &Story) -> Context<MemoryLog> {
    let story = story.clone();
    Context {
        connectors: Connectors::shipped(),
        sink: log.clone(),
        known: Arc::new(log.clone()),
        clock: Arc::new(move || Millis(story.0.load(Ordering::SeqCst))),
        status: StatusHandle::new(system),
    }
}

/// Serves `router` on a free loopback port; the base address.
pub async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
