//! What can be seen on this machine: secrets, store, clock, disk, ports.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connectors::Clock as _;
use ontology::Millis;
use storage::{
    Distributed, DistributedOptions, Embedded, Error, FORMAT, FreeSpace, Log as _, Look, Options, Priority, Rows as _,
    SpaceLimits, free_space,
};

use super::Finding;
use crate::clock::WallClock;

/// Permissions that let everybody on the machine read a file.
const OTHERS_READ: u32 = 0o004;
/// A clock that is further behind the newest fact than this was set back.
const CLOCK_BEHIND_MAX_MS: i64 = 5_000;
/// A disk with less than so many times the line is told of before intake stops.
const SPACE_LOW_FACTOR: u64 = 4;

/// The files with secrets, each with its key.
pub(super) fn secrets(files: &[(String, PathBuf)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, path) in files {
        let part = format!("secret {key}");
        let shown = path.display();
        match path.metadata() {
            Err(error) => {
                let next = format!("put the secret there, or change {key}");
                findings.push(Finding::wrong(part, format!("{shown} cannot be read: {error}"), next));
            }
            Ok(file) if file.permissions().mode() & OTHERS_READ != 0 => {
                let found = format!("everybody on this machine can read {shown}");
                findings.push(Finding::doubtful(part, found, format!("chmod o-rwx {shown}")));
            }
            Ok(_) => {}
        }
    }
    if findings.is_empty() && !files.is_empty() {
        findings.push(Finding::good("secrets", format!("{} files, none for everybody", files.len())));
    }
    findings
}

/// The store and the clock beside it, and whether a hub has the store open.
pub(super) fn store(dir: &Path) -> (Vec<Finding>, bool) {
    let shown = dir.display();
    if !Embedded::is_in(dir) {
        return (vec![place(dir)], false);
    }
    let looked = Embedded::open(dir, Options::default()).and_then(|store| {
        let newest = match store.last() {
            last if last < store.start()? => None,
            last => store.read(last)?.next().transpose()?.map(|block| block.ingested_at()),
        };
        Ok((store.last(), store.applied()?, newest))
    });
    match looked {
        Ok((last, applied, newest)) => {
            let found = format!("{shown} has format {FORMAT}, position {last}, applied {applied}");
            let clock = clock(newest, WallClock::default().now());
            (vec![Finding::good("store", found), clock], false)
        }
        Err(Error::InUse { .. }) => {
            (vec![Finding::good("store", format!("a running hub has {shown} open; `opshub health` asks it"))], true)
        }
        Err(error @ (Error::Damaged { .. } | Error::Newer { .. })) => {
            let next = format!("`opshub restore FILE --store NEW` from a backup; `opshub verify --store {shown}`");
            (vec![Finding::wrong("store", error.to_string(), next)], false)
        }
        Err(error) => {
            // The cause tells a folder of another user from a disk that is read-only.
            (vec![Finding::wrong("store", format!("{:#}", anyhow::Error::from(error)), own(dir))], false)
        }
    }
}

/// Where the first start would make a store: a folder that this user may write, or a place for one.
fn place(dir: &Path) -> Finding {
    // A slash at its end would hide a file of that name.
    let dir: &Path = &dir.components().collect::<PathBuf>();
    let shown = dir.display();
    let existing = dir.ancestors().find(|folder| folder.exists() && !folder.as_os_str().is_empty());
    let existing = existing.unwrap_or(Path::new("."));
    if !existing.is_dir() {
        let next = "name a folder: store.dir in the configuration, or --store";
        return Finding::wrong("store", format!("{} is no folder", existing.display()), next);
    }
    // A file without a name is gone with its handle, whatever ends this process.
    let tried = existing.read_dir().and_then(|_| tempfile::tempfile_in(existing));
    match tried {
        Ok(_) => Finding::good("store", format!("none in {shown} yet: the first start makes it")),
        Err(error) if existing == dir => {
            Finding::wrong("store", format!("{shown} cannot be read and written: {error}"), own(dir))
        }
        Err(error) => {
            let found = format!("{shown} cannot be made: {} cannot be written: {error}", existing.display());
            Finding::wrong("store", found, format!("sudo install -d -o \"$(id -u)\" {shown}, or name another folder"))
        }
    }
}

/// What makes a folder this user's.
fn own(dir: &Path) -> String {
    format!("sudo chown -R \"$(id -u)\" {}, or see that its disk is mounted for writing", dir.display())
}

/// Whether the clock fits the newest block of the log.
fn clock(newest: Option<Millis>, now: Millis) -> Finding {
    let behind_ms = newest.map_or(0, |newest| newest.since(now));
    if behind_ms > CLOCK_BEHIND_MAX_MS {
        let found = format!("this machine's clock is {} s behind the newest fact of the log", behind_ms / 1_000);
        return Finding::wrong("clock", found, "set it by a time server: until then timers stand still");
    }
    Finding::good("clock", "not behind the log")
}

/// The disk that holds the store, against the line at which intake stops.
pub(super) fn space(dir: &Path) -> Finding {
    let existing = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    match free_space(existing) {
        Ok(space) => judge_space(space),
        Err(error) => Finding::wrong(
            "disk",
            format!("{} does not tell its free space: {error}", existing.display()),
            "see that it is mounted",
        ),
    }
}

fn judge_space(space: FreeSpace) -> Finding {
    let line = SpaceLimits::default().needed_bytes(space.total_bytes, Priority::Source);
    let mib = |bytes: u64| bytes >> 20;
    let found = format!(
        "{} MiB free of {} MiB; intake stops below {} MiB",
        mib(space.free_bytes),
        mib(space.total_bytes),
        mib(line)
    );
    let next = "free some, or make the volume larger";
    if space.free_bytes < line {
        Finding::wrong("disk", found, next)
    } else if space.free_bytes / SPACE_LOW_FACTOR < line {
        Finding::doubtful("disk", found, next)
    } else {
        Finding::good("disk", found)
    }
}

/// The servers of a store, asked without owning it.
pub(super) fn servers(options: &DistributedOptions, wait: Duration) -> Finding {
    let options = DistributedOptions { patience: wait, ..options.clone() };
    match Distributed::look(&options) {
        Ok(look) if look.epoch == 0 && !look.has_topics => {
            Finding::good("store", "Kafka and Redis answer; none of this name yet: the first start makes it")
        }
        Ok(Look { epoch, applied, partitions, .. }) => {
            let wanted = options.partitions.unwrap_or(partitions);
            let found =
                format!("Kafka and Redis answer; epoch {epoch}, applied {applied}, rows in {partitions} partitions");
            if wanted == partitions || partitions == 0 {
                return Finding::good("store", found);
            }
            let next = format!(
                "write store.distributed.partitions = {partitions}, or move the rows with `opshub repartition`"
            );
            Finding::wrong("store", found, next)
        }
        Err(error) => Finding::wrong("store", error.to_string(), "docs/distributed.md says what the store needs"),
    }
}

/// Whether a listener's address can be had; beside a running hub it is taken as it should be.
pub(super) fn port(name: &str, address: SocketAddr, is_hub_running: bool) -> Finding {
    let part = format!("port of {name}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(part, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_hub_running => {
            Finding::good(part, format!("{address} is taken, and a hub is running"))
        }
        Err(error) => {
            let next = format!("stop what listens there, or change {name}.listen");
            Finding::wrong(part, format!("{address}: {error}"), next)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Grade;
    use super::*;

    #[test]
    fn a_clock_may_be_behind_the_log_for_so_long_and_no_longer() {
        let grade = |newest: Option<i64>| clock(newest.map(Millis), Millis(100_000)).grade;
        assert_eq!(grade(None), Grade::Good);
        assert_eq!(grade(Some(105_000)), Grade::Good);
        assert_eq!(grade(Some(105_001)), Grade::Wrong);
    }

    #[test]
    fn a_disk_is_low_before_it_is_full() {
        let total_bytes = 1 << 40;
        let grade = |mib: u64| judge_space(FreeSpace { free_bytes: mib << 20, total_bytes }).grade;
        assert_eq!(
            [grade(511), grade(512), grade(2_047), grade(2_048)],
            [Grade::Wrong, Grade::Doubtful, Grade::Doubtful, Grade::Good]
        );
    }

    #[test]
    fn secrets_that_everybody_reads_are_told_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2").unwrap();
        let files = [("api.key".to_owned(), path.clone())];
        let look = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            secrets(&files).remove(0)
        };
        assert_eq!(look(0o640).grade, Grade::Good);
        let told = look(0o644);
        assert_eq!((told.grade, told.next), (Grade::Doubtful, format!("chmod o-rwx {}", path.display())));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secrets(&files)[0].grade, Grade::Wrong);
        assert!(secrets(&[]).is_empty());
    }

    #[test]
    fn a_store_is_absent_open_elsewhere_sound_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        assert!(store(&dir).0[0].found.contains("the first start makes it"));
        let open = Embedded::open(&dir, Options::default()).unwrap();
        let (findings, is_in_use) = store(&dir);
        assert!(is_in_use && findings[0].found.contains("running hub"), "{findings:?}");
        drop(open);
        std::fs::write(dir.join("FORMAT"), "nonsense").unwrap();
        // A child of another test may hold the lock of its parent for a moment.
        let (findings, _) = std::iter::repeat_with(|| store(&dir)).find(|(_, is_in_use)| !is_in_use).unwrap();
        assert_eq!(findings[0].grade, Grade::Wrong);
        assert!(findings[0].next.contains("opshub restore"), "{findings:?}");
    }

    #[test]
    fn a_place_where_no_store_can_be_is_told_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for below in ["", "store"] {
            let (findings, _) = store(&file.join(below));
            assert_eq!(findings[0].grade, Grade::Wrong, "{findings:?}");
            assert!(findings[0].found.ends_with("file is no folder"), "{findings:?}");
        }
        // Nobody makes files there, root neither.
        let (findings, _) = store(Path::new("/proc/opshub/store"));
        assert_eq!(findings[0].grade, Grade::Wrong, "{findings:?}");
        assert!(findings[0].found.contains("cannot be made: /proc cannot be written: "), "{findings:?}");
        assert!(findings[0].next.contains("sudo install -d"), "{findings:?}");
        let (findings, _) = store(Path::new("/proc"));
        assert!(findings[0].found.starts_with("/proc cannot be read and written"), "{findings:?}");
        assert!(findings[0].next.contains("sudo chown -R"), "{findings:?}");
        let (findings, _) = store(folder.path());
        assert_eq!(findings[0].grade, Grade::Good, "{findings:?}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing was kept");
    }

    #[test]
    fn a_taken_port_is_wrong_unless_a_hub_runs() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        assert_eq!(port("api", address, true).grade, Grade::Good);
        let found = port("api", address, false);
        assert!(found.grade == Grade::Wrong && found.next.contains("api.listen"), "{found:?}");
        assert_eq!(port("api", SocketAddr::from(([127, 0, 0, 1], 0)), false).grade, Grade::Good);
    }
}
