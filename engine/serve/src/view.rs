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
        let object = |collection, id: &str, mark| Object { collection, id: id.into(), mark };
        let derived = &self.derived;
        let discrepancies = derived.discrepancies.iter();
        let alerts = derived.alerts.iter().chain(&self.handoff_alerts);
        let correlations = derived.correlations.iter();
        let mut objects: Vec<Object> =
            discrepancies.map(|it| object(Collection::Discrepancies, &it.id.0, mark_of(it))).collect();
        objects.extend(alerts.map(|it| object(Collection::Alerts, &it.id.0, 0)));
        objects.extend(correlations.map(|it| object(Collection::Correlations, &it.id.0, 0)));
        objects.extend(self.transfers.iter().map(|it| object(Collection::Handoffs, &it.key.id, 0)));
        objects
    }

    fn has_same_objects(&self, before: &Self) -> bool {
        let has_none = |view: &Self| view.transfers.is_empty() && view.handoff_alerts.is_empty();
        has_none(self) && has_none(before) && std::sync::Arc::ptr_eq(&self.derived, &before.derived)
    }

    fn changed_paths(&self, before: &Self) -> u32 {
        customer::changed_paths(before, self)
    }
}

/// A number that differs whenever an object does.
pub(crate) fn mark_of(object: &impl std::fmt::Debug) -> u64 {
    let digest = Sha256::digest(format!("{object:?}").as_bytes());
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

/// What a client hands back to say which state of an object it has seen.
pub(crate) fn etag_of(object: &impl std::fmt::Debug) -> String {
    format!("\"{:016x}\"", mark_of(object))
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
