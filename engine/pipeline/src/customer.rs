//! Customer stage, keyed by customer: assemble the members' trees, evaluate once per batch.

use std::sync::Arc;

use hashbrown::HashMap;
use insight::correlate::{KINDS, has_same_kinds};
use insight::handoff::{Assessment, assess};
use insight::{Before, Context, Derived, evaluate_after};
use ontology::{CustomerId, EntityKey, EntityKind, LogPos};
use smallvec::SmallVec;
use state::composite::Micros;
use state::{Composite, Elsewhere, Entity, Freshness, Member, PartyTree, Possible};

use crate::identity::Identity;
use crate::record::RecordShard;
use crate::shard::{run, shard_of};
use crate::together::{FETCHED_MAX, together};
use crate::view::CustomerView;

/// Confidence in a member that no link holds: it is the customer.
const CERTAIN: Micros = 1_000_000;

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
            return self.evaluate_each(&subjects);
        }
        let mut inputs: Vec<Vec<(usize, Subject)>> = (0..shards).map(|_| Vec::new()).collect();
        for (place, subject) in subjects.into_iter().enumerate() {
            inputs[place % shards].push((place, subject));
        }
        let mut workers = vec![(); shards];
        let done = run(&mut workers, inputs, Vec::len, |_, (), input| {
            let (places, subjects): (Vec<usize>, Vec<Subject>) = input.into_iter().unzip();
            places.into_iter().zip(self.evaluate_each(&subjects)).collect::<Vec<_>>()
        });
        let mut done: Vec<(usize, Evaluated)> = done.into_iter().flatten().collect();
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, evaluated)| evaluated).collect()
    }

    fn evaluate_each(&self, subjects: &[Subject]) -> Vec<Evaluated> {
        let mut evaluated = Vec::with_capacity(subjects.len());
        for subjects in subjects.chunks(FETCHED_MAX) {
            self.fetch(subjects);
            evaluated.extend(subjects.iter().map(|subject| self.evaluate(subject)));
        }
        evaluated
    }

    /// Reads what evaluations will read, each step for all of them.
    fn fetch(&self, subjects: &[Subject]) {
        let Some(views) = self.views else { return };
        let mut known: SmallVec<[&CustomerView; FETCHED_MAX]> = SmallVec::new();
        known.extend(subjects.iter().filter_map(|subject| views.get(&subject.id)).map(|view| &**view));
        together(known.iter().map(|view| view.composite.members.len()));
        let members = || known.iter().flat_map(|view| &view.composite.members);
        together(members().map(|member| Arc::strong_count(&member.tree)));
        let mut trees: SmallVec<[(&PartyTree, &PartyTree); 2 * FETCHED_MAX]> = SmallVec::new();
        trees.extend(members().filter_map(|member| Some((&*member.tree, &**self.tree(&member.key)?))));
        together(trees.iter().map(|(was, is)| usize::from(was.is_empty()) ^ usize::from(is.is_empty())));
        together(trees.iter().flat_map(|(_, is)| is.runs()).map(|run| run.entities().len()));
        trees.retain(|(was, is)| !has_same_kinds(was, is));
        let billing = || trees.iter().flat_map(|(_, is)| KINDS.iter().map(|kind| (*is, *kind)));
        together(billing().map(|(tree, kind)| tree.touch_list(kind)));
        let records = || billing().flat_map(|(tree, kind)| tree.of_kind(kind));
        together(records().map(|record| record.rows().len()));
        together(records().map(|record| record.touch()));
    }

    fn tree(&self, party: &EntityKey) -> Option<&Arc<PartyTree>> {
        self.records[shard_of(party, self.records.len())].tree(party)
    }

    /// Evaluates one customer.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject) -> Evaluated {
        let mut composite = self.assemble(subject);
        let known = self.views.and_then(|views| views.get(&subject.id));
        let before =
            known.map(|view| Before { composite: &view.composite, derived: &view.derived, now: view.evaluated_at });
        // Which orders of others it names is found on the way; mostly it is what it was, which is nothing.
        let named = known.map_or(&[][..], |view| view.derived.unmet_orders());
        composite.elsewhere = self.elsewhere(named, &composite);
        let mut derived = evaluate_after(before, &composite, &self.context);
        if derived.unmet_orders() != named {
            composite.elsewhere = self.elsewhere(derived.unmet_orders(), &composite);
            derived = evaluate_after(before, &composite, &self.context);
        }
        let transfers = self.assess_transfers(&composite, &derived);
        let is_settled = transfers.is_empty()
            && known.is_some_and(|view| view.transfers.is_empty() && Arc::ptr_eq(&view.derived, &derived));
        Evaluated { composite, derived, transfers, is_settled }
    }

    /// Puts a customer together from its members' trees.
    #[must_use]
    pub fn assemble(&self, subject: &Subject) -> Composite {
        let members = self.identity.members(&subject.party);
        let possible: Vec<Possible> = self.identity.possible(&members);
        let members = members
            .into_iter()
            .map(|resolver::Member { key, strongest, joined }| {
                let tree = self.tree(&key).cloned().unwrap_or_default();
                let joined = joined.map(|(to, link)| (to, link.0));
                Member { key, confidence: strongest.map_or(CERTAIN, |link| link.0), joined, tree }
            })
            .collect();
        let (id, elsewhere) = (subject.id.clone(), Vec::new());
        Composite { id, members, possible, elsewhere, freshness: self.freshness, log_pos: self.log_pos }
    }

    /// Those of the `orders` that another customer has.
    fn elsewhere(&self, orders: &[EntityKey], composite: &Composite) -> Vec<Elsewhere> {
        let others = orders.iter().filter_map(|order| {
            let shard = &self.records[shard_of(order, self.records.len())];
            let record = shard.entity(order).filter(|record| record.is_alive())?.clone();
            let party = shard.root(order)?;
            let is_own = composite.members.iter().any(|member| member.key == party);
            (!is_own).then_some(Elsewhere { record, party })
        });
        others.collect()
    }

    fn assess_transfers(&self, composite: &Composite, derived: &Derived) -> Vec<(Arc<Entity>, Arc<Assessment>)> {
        composite
            .of_kind(EntityKind::Transfer)
            .map(|transfer| (transfer.clone(), Arc::new(assess(transfer, composite, derived, &self.context))))
            .collect()
    }
}
