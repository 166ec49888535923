//! Questions about customers as they stand, which publish nothing.

use insight::correlate::{self, Candidate};
use insight::derived::Correlation;
use insight::findings;
use ontology::{CustomerId, EntityKey, Finding, Millis};

use crate::customer::{Evaluated, Scene, Subject};
use crate::engine::{Engine, plain};
use crate::identity::went_to;
use crate::transition::context_gap;
use crate::view::{CustomerView, TransferView};

impl Engine {
    /// A customer by its id, or by `member`, the party record that the id was made from: every record's own
    /// id leads to its customer. None if it leads nowhere.
    #[must_use]
    pub fn subject_named(&self, id: &CustomerId, member: Option<&EntityKey>) -> Option<Subject> {
        let members = self.views.get(id).map(|view| &view.composite.members[..]).unwrap_or_default();
        let current = members.iter().filter_map(|member| self.subject(&member.key)).find(|subject| subject.id == *id);
        current.or_else(|| self.subject(member.filter(|member| CustomerId::of_member(member) == *id)?))
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
        all.extend(findings::stale_record(entity, now));
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
        let context = plain(&self.settings, &self.reference, now);
        let handoff_alerts = transfers.iter().filter_map(|transfer| context_gap(transfer, &context)).collect();
        CustomerView { composite, derived, transfers, handoff_alerts, evaluated_at: now }
    }

    /// The service orders that were weighed for a correlation of a view and score too little to be shown.
    #[must_use]
    pub fn rejected(&self, view: &CustomerView, correlation: &Correlation) -> Vec<Candidate> {
        let context = plain(&self.settings, &self.reference, view.evaluated_at);
        correlate::rejected(correlation, &view.derived, &view.composite, &context)
    }
}
