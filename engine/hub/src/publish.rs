//! Publishing: what the engine says becomes readable, counted and told to watchers.

use std::sync::Arc;

use connectors::SharedClock;
use ontology::Millis;
use pipeline::{CustomerView, Effects};
use serve::views::{Publication, Published};

use crate::figures::Figures;
use crate::runner::Publish;

/// Makes effects readable through `published` and counts them in `figures`.
#[must_use]
pub fn publisher(published: Arc<Published<CustomerView>>, figures: Arc<Figures>, clock: SharedClock) -> Publish {
    Box::new(move |mut effects: Effects| {
        let applied = std::mem::take(&mut effects.applied);
        let mut publication = Publication::from(effects);
        // An engine that has seen nothing has no time of its own yet.
        if publication.now == Millis::MIN {
            publication.now = clock.now();
        }
        published.publish(publication);
        if !applied.is_empty() {
            figures.visible(&applied, clock.now());
        }
    })
}
