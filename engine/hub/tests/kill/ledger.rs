//! What the hub has acknowledged, as its clients remember it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use ontology::LogPos;
use proto::v1::{self, EventOutcome};
use serve::token::read_position;

/// Shared by all clients.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Acknowledged>>);

/// Everything that must never be missing.
#[derive(Default)]
pub struct Acknowledged {
    /// Event ids by the position that was acknowledged for them.
    pub facts: BTreeMap<u64, String>,
    /// Bytes of what was set aside.
    pub quarantined: BTreeSet<Vec<u8>>,
}

impl Ledger {
    /// Writes down what an answer says about a request. The facts of one request lie side by side,
    /// the last of them at the answer's position.
    pub fn note(&self, request: &v1::PublishEventsRequest, response: &v1::PublishEventsResponse) {
        use prost::Message as _;
        let mut acknowledged = self.read();
        let mut ids = Vec::new();
        for (event, result) in request.events.iter().zip(&response.results) {
            assert_eq!(event.event_id, result.event_id);
            match result.outcome() {
                EventOutcome::Accepted => ids.push(event.event_id.clone()),
                EventOutcome::Quarantined => drop(acknowledged.quarantined.insert(event.encode_to_vec())),
                EventOutcome::Unspecified => panic!("the hub did not say what became of {}", event.event_id),
            }
        }
        let Some(last) = read_position("position", &response.position).unwrap() else {
            assert!(ids.is_empty(), "facts were accepted without a position");
            return;
        };
        let first = last.0 + 1 - ids.len() as u64;
        for (position, id) in (first..).zip(ids) {
            let before = acknowledged.facts.insert(position, id.clone());
            assert_eq!(before, None, "position {position} was acknowledged for {id} and for another fact");
        }
    }

    /// The highest acknowledged position.
    pub fn last(&self) -> LogPos {
        LogPos(self.read().facts.keys().next_back().copied().unwrap_or_default())
    }

    pub fn read(&self) -> MutexGuard<'_, Acknowledged> {
        self.0.lock().unwrap()
    }
}
