//! Publishing: what the engine says becomes readable, counted and told to watchers.

use std::sync::Arc;

use connectors::SharedClock;
use insight::handoff::TransferMemory;
use ontology::Millis;
use pipeline::{CustomerView, Effects};
use serve::metrics;
use serve::views::{Publication, Published};

use crate::figures::Figures;
use crate::runner::Publish;

/// Makes effects readable through `published` and counts them in `figures`.
#[must_use]
pub fn publisher(published: Arc<Published<CustomerView>>, figures: Arc<Figures>, clock: SharedClock) -> Publish {
    Box::new(move |effects: Effects| {
        let applied = effects.applied.clone();
        let began = first_packaged(&effects, &published);
        for (rule, open) in &effects.open_by_rule {
            metrics::OPEN_ITEMS.set(&[rule], *open as f64);
        }
        figures.set_review(effects.review);
        figures.tell_review(effects.now);
        let mut publication = Publication::from(effects);
        // An engine that has seen nothing has no time of its own yet.
        if publication.now == Millis::MIN {
            publication.now = clock.now();
        }
        published.publish(publication);
        if !applied.is_empty() {
            figures.visible(&applied, clock.now());
        }
        figures.packaged(&began, clock.now());
    })
}

/// When the transfers began that have a package since this step and had none before.
fn first_packaged(effects: &Effects, published: &Published<CustomerView>) -> Vec<Millis> {
    let mut began = Vec::new();
    for view in &effects.views {
        let made = |memory: &TransferMemory| matches!(&memory.versions[..], [first] if first.as_of == effects.now);
        let mut new = view.transfers.iter().filter(|transfer| made(&transfer.memory)).peekable();
        if new.peek().is_none() {
            continue;
        }
        let before = published.slot(view.id());
        let before = before.iter().flat_map(|slot| &slot.view.transfers);
        let known: Vec<_> = before.filter(|one| !one.memory.versions.is_empty()).map(|one| &one.key).collect();
        began.extend(new.filter(|one| !known.contains(&&one.key)).map(|one| one.memory.initiated_at));
    }
    began
}
