//! How much memory this process has, and how much it may still take.

use std::fs;
use std::path::Path;

use benches::machine::{available_bytes, resident_bytes};

/// Memory is short where less than this part of what is used is left: a table that grows takes half as
/// much again at once.
const LEFT_PART_MIN: u64 = 4;
/// Where the kernel keeps limits of groups of processes, and which group this one is in.
const GROUPS: &str = "/sys/fs/cgroup";
const GROUP: &str = "/proc/self/cgroup";

/// Memory of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// What it has in RAM.
    pub used: u64,
    /// What it may take before the kernel ends it; `u64::MAX` if nobody says.
    pub left: u64,
}

impl Room {
    /// Asks the kernel.
    pub(crate) fn here() -> Room {
        let group = fs::read_to_string(GROUP).unwrap_or_default();
        let left = [available_bytes(), left_in_groups(Path::new(GROUPS), &group)];
        Room { used: resident_bytes(), left: left.into_iter().flatten().min().unwrap_or(u64::MAX) }
    }

    /// Whether so little is left that an end of the process may be for want of memory.
    pub(crate) fn is_short(self) -> bool {
        self.left < self.used / LEFT_PART_MIN
    }
}

/// What is left in the narrowest of the groups that `group` is in, each in all above it.
fn left_in_groups(groups: &Path, group: &str) -> Option<u64> {
    let name = group.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    // In a container the own group is shown as the root, whatever its name.
    let own = Some(groups.join(name)).filter(|own| own.is_dir()).unwrap_or_else(|| groups.to_owned());
    own.ancestors().take_while(|above| above.starts_with(groups)).filter_map(left_in).min()
}

fn left_in(group: &Path) -> Option<u64> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    // Pages of files count as used, and are given up before anybody is ended.
    let files = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let files = files.lines().find_map(|line| line.strip_prefix("file ")?.parse::<u64>().ok()).unwrap_or(0);
    Some(number("memory.max")?.saturating_sub(number("memory.current")?.saturating_sub(files)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn memory_is_short_where_less_than_a_quarter_of_what_is_used_is_left() {
        for (left, expected) in [(0, true), (249, true), (250, false), (u64::MAX, false)] {
            assert_eq!(Room { used: 1_000, left }.is_short(), expected, "{left} left");
        }
        assert!(Room::here().used > 0);
        assert!(Room::here().left > 0);
    }

    #[test]
    fn the_narrowest_group_tells_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join("pod");
        fs::create_dir_all(pod.join("hub")).unwrap();
        let say = |group: &Path, max: &str, current: &str, files: &str| {
            fs::write(group.join("memory.max"), max).unwrap();
            fs::write(group.join("memory.current"), current).unwrap();
            fs::write(group.join("memory.stat"), format!("anon 1\nfile {files}\n")).unwrap();
        };
        let left = || left_in_groups(folder.path(), "0::/pod/hub\n");
        assert_eq!(left(), None, "nobody says");
        say(&pod.join("hub"), "max\n", "900\n", "0");
        assert_eq!(left(), None, "no limit");
        say(&pod, "1000\n", "900\n", "300");
        assert_eq!(left(), Some(400), "pages of files are given up");
        say(&pod.join("hub"), "500\n", "450\n", "0");
        assert_eq!(left(), Some(50), "the narrower one");
        say(&pod.join("hub"), "500\n", "510\n", "0");
        assert_eq!(left(), Some(0));
        // A container sees its own group as the root, and an older kernel none at all.
        say(folder.path(), "800\n", "100\n", "0");
        assert_eq!(left_in_groups(folder.path(), "0::/elsewhere\n"), Some(700));
        assert_eq!(left_in_groups(folder.path(), "4:memory:/pod\n"), None);
    }
}
