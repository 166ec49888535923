//! Publishing: what the engine says becomes readable, counted and told to watchers.

use std::sync::Arc;

use connectors::SharedClock;
use ontology::Millis;
use pipeline::effects::MembershipEvent;
use pipeline::{CustomerView, Effects};
use serve::views::{Publication, Published};

use crate::figures::Figures;
use crate::runner::Publish;

/// Makes effects readable through `published` and counts them in `figures`.
#[must_use]
pub fn publisher(published: Arc<Published<CustomerView>>, figures: Arc<Figures>, clock: SharedClock) -> Publish {
    Box::new(move |effects: Effects| {
        let Effects { position, now, views, retired, memberships, membership_events, roots, .. } = effects;
        let is_engine_time_known = now > Millis::MIN;
        published.publish(Publication {
            position,
            now: if is_engine_time_known { now } else { clock.now() },
            views,
            retired,
            memberships,
            roots,
            splits: splits(membership_events),
            source_alerts: effects.source_alerts,
            freshness: effects.freshness,
        });
        if !effects.applied.is_empty() {
            figures.visible(&effects.applied, clock.now());
        }
    })
}

fn splits(events: Vec<MembershipEvent>) -> Vec<(ontology::CustomerId, Vec<ontology::CustomerId>)> {
    events
        .into_iter()
        .filter_map(|event| match event {
            MembershipEvent::Split { before, after } => Some((before, after)),
            MembershipEvent::Merged { .. } => None,
        })
        .collect()
}
