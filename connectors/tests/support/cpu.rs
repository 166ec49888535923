//! CPU time of the thread of a test: what a busy machine leaves nearly alone.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

fn of_thread() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.try_into().unwrap(), tv_nsec.try_into().unwrap())
}

/// What `work` gives, and the CPU time that it took on this thread.
pub fn spent<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = of_thread();
    let done = work();
    (done, of_thread().saturating_sub(begun))
}
