//! Questions about customers as they stand, which publish nothing.

use std::collections::{BTreeMap, BTreeSet};

use insight::{Context, findings};
use ontology::{CustomerId, EntityKey, Finding, Millis};

use crate::customer::{Evaluated, Scene, Subject};
use crate::engine::Engine;
use crate::identity::went_to;
use crate::record::RecordShard;
use crate::transition::context_gap;
use crate::view::{CustomerView, TransferView};

impl Engine {
    /// Customers by their ids or those that their members would have, each with one of its party records.
    /// Ids that lead nowhere are left out.
    #[must_use]
    pub fn subjects_named<'a>(&self, ids: impl IntoIterator<Item = &'a CustomerId>) -> BTreeMap<CustomerId, Subject> {
        let mut found = BTreeMap::new();
        let mut former = BTreeSet::new();
        for id in ids {
            match self.subject_named(id) {
                Some(subject) => drop(found.insert(id.clone(), subject)),
                None => drop(former.insert(id)),
            }
        }
        // Nothing leads from an id to the member that it was made from, so all are looked at, once.
        if !former.is_empty() {
            for party in self.records.iter().flat_map(RecordShard::parties) {
                let id = CustomerId::of_member(party);
                if former.contains(&&id)
                    && let Some(subject) = self.subject(party)
                {
                    found.insert(id, subject);
                }
            }
        }
        found
    }

    fn subject_named(&self, id: &CustomerId) -> Option<Subject> {
        let members = &self.views.get(id)?.composite.members;
        members.iter().filter_map(|member| self.subject(&member.key)).find(|subject| subject.id == *id)
    }

    /// The other customers that records went to which once belonged to `id`.
    #[must_use]
    pub fn split_into(&self, id: &CustomerId) -> Vec<CustomerId> {
        let members = self.memory.split(id).iter();
        went_to(id, members.filter_map(|member| self.identity.known_customer_of(member).cloned()))
    }

    /// What is wrong with a record at `now`, in order: by itself, beside the others of its customer, in what
    /// it refers to, and for identity.
    #[must_use]
    pub fn findings(&self, key: &EntityKey, now: Millis) -> Vec<Finding> {
        let Some(entity) = self.entity(key) else { return Vec::new() };
        let has_come = |other: &EntityKey| self.entity(other).is_some_and(|known| !known.rows().is_empty());
        let mut all = findings::of(entity);
        all.extend(findings::orphan_refs(entity, now, has_come));
        all.extend(self.identity.resolver().findings(key));
        let subject = self.root(key).and_then(|root| self.subject(&root));
        let evaluated = subject.map(|subject| self.evaluate(&subject, now));
        let beside = evaluated.iter().flat_map(|customer| &customer.derived.findings);
        all.extend(beside.filter(|finding| finding.entity == *key).cloned());
        all.sort();
        all.dedup();
        all
    }

    /// Puts a customer together as it stands and evaluates it at `now`, publishing nothing.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject, now: Millis) -> Evaluated {
        Scene { views: None, ..self.scene(now, self.sources.freshness()) }.evaluate(subject)
    }

    /// A customer as it stands, in the form in which views are published, publishing nothing.
    #[must_use]
    pub fn view(&self, subject: &Subject, now: Millis) -> CustomerView {
        let Evaluated { composite, derived, transfers, is_settled: _ } = self.evaluate(subject, now);
        let transfers: Vec<TransferView> = transfers
            .into_iter()
            .filter_map(|(transfer, assessment)| {
                let memory = self.memory.transfer(&transfer.key)?.clone();
                Some(TransferView { key: transfer.key.clone(), memory, assessment })
            })
            .collect();
        let context = Context { settings: &self.settings.insight, reference: &self.reference, now };
        let handoff_alerts = transfers.iter().filter_map(|transfer| context_gap(transfer, &context)).collect();
        CustomerView { composite, derived, transfers, handoff_alerts, evaluated_at: now }
    }
}
