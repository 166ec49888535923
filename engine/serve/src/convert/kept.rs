//! States that are converted once per version of a customer and answered many times.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ontology::Millis;
use proto::v1;

/// The part of a state that is the same in all answers of some time.
#[derive(Debug)]
pub struct Lasting {
    /// The state without freshness.
    pub state: v1::CustomerState,
    /// The first instant at which it is known to hold.
    pub from: Millis,
    /// The last one.
    pub until: Millis,
}

/// Keeps what lasts of a state beside its view, from the first read until the view is replaced.
/// Clones keep in the same place.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<ArcSwapOption<Lasting>>);

impl Kept {
    /// What is kept if it holds at `now`, else what `make` gives, which is then kept. Two readers
    /// may both make it; none waits for the other.
    pub fn at(&self, now: Millis, make: impl FnOnce() -> Lasting) -> Arc<Lasting> {
        if let Some(kept) = self.0.load().as_ref()
            && (kept.from..=kept.until).contains(&now)
        {
            return kept.clone();
        }
        let made = Arc::new(make());
        self.0.store(Some(made.clone()));
        made
    }
}
