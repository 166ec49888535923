//! Playing many seeds at once, and saying which one failed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names a single seed that is to be played again.
pub const SEED: &str = "OPSHUB_SIM_SEED";

/// Sets how many seeds are played.
pub const COUNT: &str = "OPSHUB_SIM_HISTORIES";

/// Checks `count` seeds, or as many as [`COUNT`] says, on two threads; only the one in [`SEED`] if
/// that is set.
///
/// # Panics
/// When a check fails: the message begins with what to set to play the seed again.
pub fn check_all(count: u64, check: impl Fn(u64) -> Result<(), String> + Sync) {
    if let Some(seed) = from_environment(SEED) {
        return fail_of(seed, check(seed));
    }
    let count = from_environment(COUNT).unwrap_or(count);
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let found = check(seed);
            if found.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            fail_of(seed, found);
        }
    };
    std::thread::scope(|scope| {
        for worker in [scope.spawn(work), scope.spawn(work)] {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn fail_of(seed: u64, found: Result<(), String>) {
    if let Err(difference) = found {
        panic!("{SEED}={seed}: {difference}");
    }
}

fn from_environment(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("the variable holds a number"))
}
