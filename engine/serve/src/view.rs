//! The view of a customer as it is published: the pipeline's, made findable.

use ontology::CustomerId;
pub use pipeline::CustomerView;
use sha2::{Digest as _, Sha256};

use crate::convert::customer;
use crate::views::{Collection, Object, Publication, View};

impl View for CustomerView {
    fn id(&self) -> &CustomerId {
        CustomerView::id(self)
    }

    fn objects(&self) -> Vec<Object> {
        let object = |collection, id: &str| Object { collection, id: id.into() };
        let derived = &self.derived;
        let discrepancies = derived.discrepancies.iter();
        let alerts = derived.alerts.iter().chain(&self.handoff_alerts);
        let correlations = derived.correlations.iter();
        let mut objects: Vec<Object> = discrepancies.map(|it| object(Collection::Discrepancies, &it.id.0)).collect();
        objects.extend(alerts.map(|it| object(Collection::Alerts, &it.id.0)));
        objects.extend(correlations.map(|it| object(Collection::Correlations, &it.id.0)));
        objects.extend(self.transfers.iter().map(|it| object(Collection::Handoffs, &it.key.id)));
        objects
    }

    fn has_same(&self, before: &Self, object: &Object) -> bool {
        match object.collection {
            Collection::Discrepancies => {
                let [now, then] =
                    [self, before].map(|view| view.derived.discrepancies.iter().find(|it| *it.id.0 == *object.id));
                now == then
            }
            // Nobody watches these by themselves.
            Collection::Handoffs | Collection::Alerts | Collection::Correlations => true,
        }
    }

    fn has_same_objects(&self, before: &Self) -> bool {
        let has_none = |view: &Self| view.transfers.is_empty() && view.handoff_alerts.is_empty();
        has_none(self) && has_none(before) && std::sync::Arc::ptr_eq(&self.derived, &before.derived)
    }

    fn changed_paths(&self, before: &Self) -> u32 {
        customer::changed_paths(before, self)
    }
}

/// What a client hands back to say which state of an object it has seen; differs whenever the object does.
pub(crate) fn etag_of(object: &impl std::fmt::Debug) -> String {
    let digest = Sha256::digest(format!("{object:?}").as_bytes());
    let mark = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    format!("\"{mark:016x}\"")
}

impl From<pipeline::Effects> for Publication<CustomerView> {
    /// What a step of the engine makes readable.
    fn from(effects: pipeline::Effects) -> Self {
        let split = |event| match event {
            pipeline::effects::MembershipEvent::Split { before, after } => Some((before, after)),
            pipeline::effects::MembershipEvent::Merged { .. } => None,
        };
        Publication {
            position: effects.position,
            now: effects.now,
            views: effects.views,
            retired: effects.retired,
            memberships: effects.memberships,
            roots: effects.roots,
            splits: effects.membership_events.into_iter().filter_map(split).collect(),
            source_alerts: effects.source_alerts,
            freshness: effects.freshness,
        }
    }
}
