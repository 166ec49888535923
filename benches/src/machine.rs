//! What the figures were taken on.

use std::fs;

use serde::Serialize;

/// The machine and how busy it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Processor model as the kernel names it; empty if it does not.
    pub model: String,
    /// Memory in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// Load average over 1, 5 and 15 minutes at the time of the report.
    pub load_average: [f64; 3],
    /// Whether the program was built with optimisation: figures of a debug build mean nothing.
    pub is_release: bool,
}

impl Machine {
    /// Looks at the machine.
    #[must_use]
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: model_of(&read("/proc/cpuinfo")),
            memory_bytes: kib_of(&read("/proc/meminfo"), "MemTotal:"),
            load_average: load_of(&read("/proc/loadavg")),
            is_release: !cfg!(debug_assertions),
        }
    }
}

/// Memory of this process that is in RAM, in bytes; 0 if the kernel does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    kib_of(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

/// Memory of the machine that programs may still take, in bytes; none if the kernel does not say.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    Some(kib_of(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:")).filter(|bytes| *bytes > 0)
}

fn model_of(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim().to_owned()).unwrap_or_default()
}

fn kib_of(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1_024
}

fn load_of(text: &str) -> [f64; 3] {
    let mut values = text.split_whitespace().map_while(|word| word.parse().ok());
    std::array::from_fn(|_| values.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_and_what_it_does_not_say_is_zero() {
        assert_eq!(model_of("processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n"), "Some CPU @ 2GHz");
        assert_eq!(model_of(""), "");
        assert_eq!(kib_of("VmPeak:\t 9 kB\nVmRSS:\t 12 kB\n", "VmRSS:"), 12 * 1_024);
        assert_eq!(kib_of("VmRSS: many", "VmRSS:"), 0);
        assert_eq!(load_of("0.17 0.82 0.50 1/200 42"), [0.17, 0.82, 0.50]);
        assert_eq!(load_of(""), [0.0; 3]);
        assert!(Machine::here().cores >= 1 && resident_bytes() > 0 && available_bytes().is_some());
    }
}
