//! CPU time of this process, all threads together: the one measure that a busy machine leaves
//! nearly alone.

#![allow(clippy::disallowed_methods, reason = "how long things take is the subject of a bench")]

use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Runs from its making; gives CPU and wall time since then.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    cpu: Duration,
    wall: Instant,
}

/// What something took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spent {
    /// CPU seconds of all threads, user and system.
    pub cpu_s: f64,
    /// Seconds on the clock.
    pub wall_s: f64,
}

impl Stopwatch {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        Stopwatch { cpu: process_cpu(), wall: Instant::now() }
    }

    /// Time since the start.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent { cpu_s: process_cpu().saturating_sub(self.cpu).as_secs_f64(), wall_s: self.wall.elapsed().as_secs_f64() }
    }
}

/// CPU time that this process has used since it began.
#[must_use]
pub fn process_cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(tv_sec).unwrap_or_default(), u32::try_from(tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_time_and_no_more_than_the_cores_have() {
        let watch = Stopwatch::start();
        let mut sum = 0_u64;
        while watch.spent().cpu_s < 0.01 {
            sum = std::hint::black_box(sum + 1);
        }
        let spent = watch.spent();
        assert!(spent.cpu_s >= 0.01 && spent.wall_s > 0.0, "{spent:?} after {sum} rounds");
    }
}
