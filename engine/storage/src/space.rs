//! How much disk is free, and who may still write.

use std::path::Path;
use std::sync::Arc;

use crate::{Error, Priority, Result};

/// What is free on the disk that holds the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes free for us.
    pub free_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
}

/// Asks for the free space; replaced in tests.
pub type FreeSpaceProbe = Arc<dyn Fn() -> std::io::Result<FreeSpace> + Send + Sync>;

/// How much disk stays free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceLimits {
    /// Intake stops below this many free bytes, or below `free_percent_min`, whichever is less: a
    /// small disk is not closed from the start, a large one keeps no more than this.
    pub free_bytes_min: u64,
    /// Intake stops below this percentage of the file system.
    pub free_percent_min: u8,
    /// How far below that line decisions and derived rows may still write. At most half of the
    /// line, so that a small disk keeps room for the store's own upkeep.
    pub reserve_bytes: u64,
    /// What a refused caller is told to wait, in milliseconds.
    pub retry_after_ms: u64,
}

impl Default for SpaceLimits {
    fn default() -> Self {
        SpaceLimits { free_bytes_min: 512 << 20, free_percent_min: 5, reserve_bytes: 64 << 20, retry_after_ms: 5_000 }
    }
}

impl SpaceLimits {
    /// Free bytes that a commit of this priority must see.
    #[must_use]
    pub fn needed_bytes(&self, total_bytes: u64, priority: Priority) -> u64 {
        let share = total_bytes / 100 * u64::from(self.free_percent_min);
        let line = self.free_bytes_min.min(share);
        match priority {
            Priority::Source => line,
            Priority::Decision => line - self.reserve_bytes.min(line / 2),
        }
    }

    /// Refuses a commit when there is too little room for its priority.
    pub(crate) fn check(&self, space: FreeSpace, priority: Priority) -> Result<()> {
        let needed_bytes = self.needed_bytes(space.total_bytes, priority);
        if space.free_bytes < needed_bytes {
            return Err(Error::Full {
                free_bytes: space.free_bytes,
                needed_bytes,
                retry_after_ms: self.retry_after_ms,
            });
        }
        Ok(())
    }
}

/// The free space of the file system that holds `dir`.
///
/// # Errors
/// When the system cannot say.
pub fn free_space(dir: &Path) -> std::io::Result<FreeSpace> {
    let stat = rustix::fs::statvfs(dir)?;
    let unit_bytes = if stat.f_frsize == 0 { stat.f_bsize } else { stat.f_frsize };
    Ok(FreeSpace {
        free_bytes: stat.f_bavail.saturating_mul(unit_bytes),
        total_bytes: stat.f_blocks.saturating_mul(unit_bytes),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn check(free_bytes: u64, total_bytes: u64, priority: Priority, taken: bool) {
        let outcome = SpaceLimits::default().check(FreeSpace { free_bytes, total_bytes }, priority);
        assert_eq!(outcome.is_ok(), taken, "{free_bytes} of {total_bytes} for {priority:?}");
    }

    #[test]
    fn a_large_disk_keeps_512_mib_for_intake_and_64_less_for_decisions() {
        check(512 * MIB, 1000 * GIB, Priority::Source, true);
        check(512 * MIB - 1, 1000 * GIB, Priority::Source, false);
        check(448 * MIB, 1000 * GIB, Priority::Decision, true);
        check(448 * MIB - 1, 1000 * GIB, Priority::Decision, false);
    }

    #[test]
    fn a_small_disk_keeps_five_percent_and_half_of_it_for_decisions() {
        check(5 * MIB, 100 * MIB, Priority::Source, true);
        check(5 * MIB - 1, 100 * MIB, Priority::Source, false);
        check(5 * MIB / 2, 100 * MIB, Priority::Decision, true);
        check(5 * MIB / 2 - 1, 100 * MIB, Priority::Decision, false);
    }

    #[test]
    fn the_real_probe_answers_for_an_existing_folder_only() {
        let space = free_space(Path::new("/")).unwrap();
        assert!(space.total_bytes >= space.free_bytes && space.total_bytes > 0);
        assert!(free_space(Path::new("/no/such/folder")).is_err());
    }
}
