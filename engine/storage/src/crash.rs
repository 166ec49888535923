//! Named places at which a test can kill the process.
//!
//! `OPSHUB_CRASH_POINT=name` aborts at the first passage of that point, `name:n` at the n-th. The
//! points exist in debug builds and with the feature `crash-points`; elsewhere [`point`] is empty.

/// The points of this crate, in the order in which a life of a store passes them.
pub const POINTS: &[&str] = &[
    "storage.open.locked",
    "storage.open.format_written",
    "storage.open.journal_checked",
    "storage.open.tables_ready",
    "storage.commit.prepared",
    "storage.commit.written",
    "storage.commit.synced",
    "storage.relaxed.prepared",
    "storage.relaxed.written",
    "storage.sync.before",
    "storage.sync.after",
    "storage.expire.before",
    "storage.expire.after",
    "storage.stand.part",
    "storage.stand.kept",
    "storage.forget.moved",
];

/// The points of the distributed form, in the order in which a life of a store passes them.
pub const DISTRIBUTED_POINTS: &[&str] = &[
    "distributed.claim.log",
    "distributed.claim.partitions",
    "distributed.claim.rows",
    "distributed.log.before_commit",
    "distributed.log.after_commit",
    "distributed.rows.before_commit",
    "distributed.rows.before_seal",
    "distributed.rows.after_seal",
    "distributed.rows.folding",
    "distributed.rows.after_commit",
];

/// Dies here if the environment asks for it.
pub fn point(name: &'static str) {
    #[cfg(any(debug_assertions, feature = "crash-points"))]
    armed::point(name);
    #[cfg(not(any(debug_assertions, feature = "crash-points")))]
    let _ = name;
}

#[cfg(any(debug_assertions, feature = "crash-points"))]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Armed {
        name: String,
        passages_left: AtomicU32,
    }

    pub(super) fn point(name: &str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| std::env::var("OPSHUB_CRASH_POINT").ok().map(|wanted| parse(&wanted)));
        let Some(armed) = armed.as_ref().filter(|armed| armed.name == name) else { return };
        if armed.passages_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }

    fn parse(wanted: &str) -> Armed {
        let (name, nth) = wanted.rsplit_once(':').unwrap_or((wanted, "1"));
        Armed { name: name.to_owned(), passages_left: AtomicU32::new(nth.parse().unwrap_or(1)) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_named_with_or_without_a_passage() {
            for (wanted, name, nth) in [("a.b", "a.b", 1), ("a.b:3", "a.b", 3), ("a.b:x", "a.b", 1)] {
                let armed = parse(wanted);
                assert_eq!((armed.name.as_str(), armed.passages_left.into_inner()), (name, nth));
            }
        }
    }
}
