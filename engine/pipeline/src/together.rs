//! Fetching together: what lies anywhere in memory is read for several things before the first of them
//! is worked on.
//!
//! Records of a large hub are not in the caches, and each pointer that is followed waits for memory. Of
//! several that do not depend on each other the machine fetches a number at once, but it cannot look
//! ahead over the work between them.

/// How many things are fetched together: enough to hide the waiting, few enough that what was fetched
/// first is still there when its turn comes.
pub(crate) const FETCHED_MAX: usize = 16;

/// Reads all of `parts`, for nothing but to have them near.
pub(crate) fn together(parts: impl Iterator<Item = usize>) {
    std::hint::black_box(parts.fold(0, |all, part| all ^ part));
}
