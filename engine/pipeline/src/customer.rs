//! Customer stage, keyed by customer: assemble the members' trees, evaluate once per batch.

use std::sync::Arc;

use hashbrown::HashMap;
use insight::handoff::{Assessment, assess};
use insight::{Before, Context, Derived, evaluate_after};
use ontology::{CustomerId, EntityKey, EntityKind, LogPos};
use state::composite::Micros;
use state::{Composite, Entity, Freshness, Member, PartyTree, Possible};

use crate::identity::Identity;
use crate::record::RecordShard;
use crate::shard::{run, shard_of};
use crate::view::CustomerView;

/// A customer put together for evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The customer.
    pub id: CustomerId,
    /// One of its party records.
    pub party: EntityKey,
}

/// What evaluation gives.
#[derive(Debug)]
pub struct Evaluated {
    /// The customer, put together.
    pub composite: Composite,
    /// What is concluded.
    pub derived: Arc<Derived>,
    /// Its transfers, each with the context that it would be given now.
    pub transfers: Vec<(Arc<Entity>, Arc<Assessment>)>,
    /// Whether nothing is concluded that was not concluded before: then nothing opens or closes.
    pub is_settled: bool,
}

/// What all evaluations of a batch share.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The record stage, at the cut.
    pub records: &'a [RecordShard],
    /// The identity stage, at the cut.
    pub identity: &'a Identity,
    /// What was published last; none to conclude everything anew.
    pub views: Option<&'a HashMap<CustomerId, Arc<CustomerView>>>,
    /// What is known about the sources.
    pub freshness: Freshness,
    /// The cut.
    pub log_pos: LogPos,
    /// Thresholds, side inputs and the instant.
    pub context: Context<'a>,
}

impl Scene<'_> {
    /// Evaluates customers, spread over as many threads as there are shards, in the order given.
    #[must_use]
    pub fn evaluate_all(&self, subjects: Vec<Subject>) -> Vec<Evaluated> {
        let shards = self.records.len();
        if shards == 1 {
            return subjects.iter().map(|subject| self.evaluate(subject)).collect();
        }
        let mut inputs: Vec<Vec<(usize, Subject)>> = (0..shards).map(|_| Vec::new()).collect();
        for (place, subject) in subjects.into_iter().enumerate() {
            inputs[place % shards].push((place, subject));
        }
        let mut workers = vec![(); shards];
        let done = run(&mut workers, inputs, Vec::len, |_, (), input| {
            input.iter().map(|(place, subject)| (*place, self.evaluate(subject))).collect::<Vec<_>>()
        });
        let mut done: Vec<(usize, Evaluated)> = done.into_iter().flatten().collect();
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, evaluated)| evaluated).collect()
    }

    /// Evaluates one customer.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject) -> Evaluated {
        let composite = self.assemble(subject);
        let known = self.views.and_then(|views| views.get(&subject.id));
        let before =
            known.map(|view| Before { composite: &view.composite, derived: &view.derived, now: view.evaluated_at });
        let derived = evaluate_after(before, &composite, &self.context);
        let transfers = self.assess_transfers(&composite, &derived);
        let is_settled = transfers.is_empty()
            && known.is_some_and(|view| view.transfers.is_empty() && Arc::ptr_eq(&view.derived, &derived));
        Evaluated { composite, derived, transfers, is_settled }
    }

    /// Puts a customer together from its members' trees.
    #[must_use]
    pub fn assemble(&self, subject: &Subject) -> Composite {
        let members: Vec<(EntityKey, Micros)> = self.identity.members(&subject.party, &subject.id);
        let possible: Vec<Possible> = self.identity.possible(&members);
        let tree_of = |party: &EntityKey| -> Arc<PartyTree> {
            self.records[shard_of(party, self.records.len())].tree(party).cloned().unwrap_or_default()
        };
        let members = members
            .into_iter()
            .map(|(key, confidence)| {
                let tree = tree_of(&key);
                Member { key, confidence, tree }
            })
            .collect();
        Composite { id: subject.id.clone(), members, possible, freshness: self.freshness, log_pos: self.log_pos }
    }

    fn assess_transfers(&self, composite: &Composite, derived: &Derived) -> Vec<(Arc<Entity>, Arc<Assessment>)> {
        composite
            .of_kind(EntityKind::Transfer)
            .map(|transfer| (transfer.clone(), Arc::new(assess(transfer, composite, derived, &self.context))))
            .collect()
    }
}
