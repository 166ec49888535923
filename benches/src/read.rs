//! `opshub bench read`: reading a customer's state over echoing a message of the same size on the
//! same server.

use crate::report::{Figure, Report};

/// Reads per second over echoes per second, at least.
pub const READ_OVER_ECHO_MIN: f64 = 0.75;

/// What a closed loop of equal requests did.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Requests answered.
    pub requests: u64,
    /// Seconds from the first request to the last answer.
    pub wall_s: f64,
    /// CPU seconds of client and server over that time.
    pub cpu_s: f64,
    /// Bytes of all answers.
    pub answer_bytes: u64,
    /// Time from request to answer, one per request, in microseconds, in any order.
    pub latencies_us: Vec<u64>,
}

impl Load {
    fn per_second(&self) -> f64 {
        if self.wall_s > 0.0 { self.requests as f64 / self.wall_s } else { 0.0 }
    }

    fn mean_answer_bytes(&self) -> u64 {
        self.answer_bytes.checked_div(self.requests).unwrap_or(0)
    }
}

/// The value below which `share` (0 to 1) of `values` lie, by nearest rank; 0 for no values.
#[must_use]
pub fn quantile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

/// Compares the two loads. Each is a list of rounds, taken in turns, so that what else the machine
/// does falls on both.
#[must_use]
pub fn report(reads: &[Load], echoes: &[Load]) -> Report {
    let (reads, echoes) = (joined(reads), joined(echoes));
    let rate = echoes.per_second();
    let ratio = if rate > 0.0 { reads.per_second() / rate } else { 0.0 };
    let told = |name: &str, load: &Load| {
        Figure::told(format!("{name}_per_second"), load.per_second(), "1/s")
            .with("requests", load.requests)
            .with("wall_s", load.wall_s)
            .with("cpu_s", load.cpu_s)
            .with("answer_bytes_mean", load.mean_answer_bytes())
            .with("p50_us", quantile(&load.latencies_us, 0.50))
            .with("p99_us", quantile(&load.latencies_us, 0.99))
    };
    let ratio = Figure::at_least("read_over_echo", ratio, "ratio", READ_OVER_ECHO_MIN)
        .with("read_per_s", reads.per_second())
        .with("echo_per_s", rate);
    Report::new("read", vec![ratio, told("read", &reads), told("echo", &echoes)])
}

fn joined(rounds: &[Load]) -> Load {
    let mut all = Load::default();
    for round in rounds {
        all.requests += round.requests;
        all.wall_s += round.wall_s;
        all.cpu_s += round.cpu_s;
        all.answer_bytes += round.answer_bytes;
        all.latencies_us.extend_from_slice(&round.latencies_us);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: u64, wall_s: f64) -> Load {
        Load { requests, wall_s, answer_bytes: requests * 10, latencies_us: vec![1, 2, 3, 100], ..Load::default() }
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let values = [100, 1, 3, 2];
        assert_eq!(quantile(&values, 0.5), 2);
        assert_eq!(quantile(&values, 0.99), 100);
        assert_eq!(quantile(&values, 0.0), 1);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn rounds_are_joined_and_compared() {
        let report = report(&[load(75, 1.0), load(75, 1.0)], &[load(200, 2.0)]);
        assert!((report.results[0].value - 0.75).abs() < 1e-12 && report.results[0].met);
        assert_eq!(report.results[1].raw["answer_bytes_mean"], 10);
        assert!(!super::report(&[load(74, 1.0)], &[load(100, 1.0)]).is_met());
        assert!(!super::report(&[load(74, 1.0)], &[]).is_met());
    }
}
