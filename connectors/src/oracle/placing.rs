//! Which entity a row is of, where its change does not say.
//!
//! A row of something else (a payment schedule of its invoice) names that in a column of its own. Trails
//! write of an update the key and what changed, and of a deletion the key alone, unless they are told
//! otherwise: then what is known of the row says where the change belongs. The rows of such a table are
//! asked of the hub once, when the first change comes that needs them, and kept from then on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use ontology::{Fact, Millis, Op, System, Version};

use crate::contract::{Sink, Submission, Unplaced};
use crate::edge::Context;

/// How long the hub is not asked again for the rows of a table because of one that it does not hold.
const ASKED_AGAIN_MS: i64 = Millis::MINUTE_MS;

/// What is known of rows. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Placing(Arc<Mutex<BTreeMap<CompactString, Table>>>);

/// The rows of one table.
#[derive(Debug)]
struct Table {
    asked_at: Millis,
    rows: HashMap<CompactString, Known>,
}

/// The entity that a row was of at a version.
#[derive(Debug, Clone)]
struct Known {
    version: Version,
    entity: CompactString,
}

impl Table {
    fn learn(&mut self, row: &CompactString, version: &Version, entity: &CompactString, op: Op) {
        let known = self.rows.get(row);
        // Of a row that moves its former entity hears at the same version that it is gone.
        let is_news =
            known.is_none_or(|known| known.version < *version || (known.version == *version && op != Op::Delete));
        if is_news {
            self.rows.insert(row.clone(), Known { version: version.clone(), entity: entity.clone() });
        }
    }
}

impl Placing {
    /// Notes where the rows of `facts` belong, of tables that were asked for.
    pub(super) fn learn(&self, facts: &[Fact]) {
        let mut tables = self.lock();
        if tables.is_empty() {
            return;
        }
        for fact in facts {
            if let Some(table) = tables.get_mut(&fact.object) {
                table.learn(&fact.record_id, &fact.version, &fact.entity.id, fact.op);
            }
        }
    }

    /// Gives changes that do not say where they belong to the entities that their rows are known to be of.
    /// What nobody knows stays rejected; of deletions among that, the tables.
    pub(super) async fn place<S: Sink>(
        &self,
        context: &Context<S>,
        submission: &mut Submission,
        unplaced: Vec<Unplaced>,
    ) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        if unplaced.is_empty() {
            self.learn(&submission.facts);
            return left;
        }
        let now = context.clock.now();
        for object in self.to_ask(&unplaced, now) {
            let rows = context.known.rows(System::Oracle, &object).await;
            let mut tables = self.lock();
            let table = tables.entry(object).or_insert_with(|| Table { asked_at: now, rows: HashMap::new() });
            table.asked_at = now;
            rows.iter().for_each(|row| table.learn(&row.record_id, &row.version, &row.entity.id, Op::Image));
        }
        let mut placed = HashSet::new();
        for Unplaced { mut fact, reject, trace } in unplaced {
            match self.entity_of(&fact, &submission.facts) {
                Some(entity) => {
                    fact.entity.id = entity;
                    let at = submission.facts.len();
                    submission.traces.extend(trace.map(|trace| (at..at + 1, trace)));
                    submission.facts.push(fact);
                    placed.insert(reject);
                }
                None => {
                    let code = submission.rejects.get(reject).map_or("no_identity", |reject| reject.code.name());
                    metrics::counter!("opshub_connector_rejects_total", "system" => "oracle", "code" => code)
                        .increment(1);
                    left.extend((fact.op == Op::Delete).then(|| fact.object.to_string()));
                }
            }
        }
        let mut at = 0;
        submission.rejects.retain(|_| {
            at += 1;
            !placed.contains(&(at - 1))
        });
        metrics::counter!("opshub_connector_facts_total", "system" => "oracle").increment(placed.len() as u64);
        self.learn(&submission.facts);
        left
    }

    /// The tables whose rows are to be asked for: those that were not, and those of which a row is not
    /// known and that were asked for a while ago.
    fn to_ask(&self, unplaced: &[Unplaced], now: Millis) -> BTreeSet<CompactString> {
        let tables = self.lock();
        let is_lacking = |fact: &Fact| match tables.get(&fact.object) {
            None => true,
            Some(table) => !table.rows.contains_key(&fact.record_id) && now.since(table.asked_at) >= ASKED_AGAIN_MS,
        };
        let lacking = unplaced.iter().map(|unplaced| &unplaced.fact).filter(|fact| is_lacking(fact));
        lacking.map(|fact| fact.object.clone()).collect()
    }

    /// The entity that the row of `fact` was of: by what came with it, else by what was known before.
    fn entity_of(&self, fact: &Fact, beside: &[Fact]) -> Option<CompactString> {
        let of_row = beside.iter().filter(|one| {
            one.op != Op::Delete
                && (&one.object, &one.record_id) == (&fact.object, &fact.record_id)
                && one.version <= fact.version
        });
        let known = || {
            let tables = self.lock();
            tables.get(&fact.object)?.rows.get(&fact.record_id).map(|known| known.entity.clone())
        };
        of_row.max_by(|a, b| a.version.cmp(&b.version)).map(|one| one.entity.id.clone()).or_else(known)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CompactString, Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
