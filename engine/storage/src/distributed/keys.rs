//! What a store is called in Redis, and in which partition a row lies.
//!
//! All keys of a partition begin with its hash tag, so they share a slot and a script may touch them
//! together. Meta rows and the outbox lie in partition 0, beside what is said of the store as a whole.

use redis::{Cmd, cmd};
use xxhash_rust::xxh3::xxh3_64;

use crate::Table;
use crate::rows::Write;

/// Most changes, and most of their bytes, that one script takes: Redis does nothing else meanwhile.
const SCRIPT_CHANGES_MAX: usize = 2_000;
const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// Number of the outbox among the tables, which begin at 1.
pub(super) const OUTBOX: usize = Table::ALL.len() + 1;

/// Names of all keys of a store.
pub(super) struct Keys {
    pub(super) partitions: Vec<Partition>,
    /// Which commit each partition stands at, and which it stood at before the last one over several.
    pub(super) stands: String,
    pub(super) stood: String,
    /// How often each process has begun to start and not come through.
    pub(super) starts: String,
}

/// Names of the keys of a partition.
pub(super) struct Partition {
    tag: String,
    pub(super) head: String,
    pub(super) parts: String,
    /// What the last commit over several partitions has overwritten here.
    pub(super) past: String,
    /// Rows and order of each table, the outbox last.
    tables: Vec<[String; 2]>,
}

impl Keys {
    pub(super) fn of(name: &str, partitions: u32) -> Self {
        let tag = format!("{{{name}:0}}");
        let partitions = (0..partitions).map(|index| Partition::of(name, index)).collect();
        let [stands, stood, starts] = ["stands", "stood", "starts"].map(|what| format!("{tag}:{what}"));
        Keys { partitions, stands, stood, starts }
    }

    /// The partition that holds what is said of all of them.
    pub(super) fn first(&self) -> &Partition {
        &self.partitions[0]
    }

    pub(super) fn count(&self) -> usize {
        self.partitions.len()
    }

    /// Whether all rows of a table lie in partition 0.
    pub(super) fn is_alone(&self, table: usize) -> bool {
        self.count() == 1 || table == OUTBOX || table == number(Table::Meta)
    }

    /// Index of the partition in which a row lies: the same on every machine and for ever.
    pub(super) fn place_of(&self, table: usize, key: &[u8]) -> usize {
        if self.is_alone(table) {
            return 0;
        }
        let count = u64::try_from(self.count()).expect("partitions are few");
        usize::try_from(xxh3_64(key) % count).expect("it is below their number")
    }
}

impl Partition {
    fn of(name: &str, index: u32) -> Self {
        let tag = format!("{{{name}:{index}}}");
        let names = Table::ALL.iter().map(|table| table.name()).chain(["outbox"]);
        let tables = names.map(|table| [format!("{tag}:rows:{table}"), format!("{tag}:keys:{table}")]).collect();
        let key = |what: &str| format!("{tag}:{what}");
        Partition { head: key("head"), parts: key("parts"), past: key("past"), tables, tag }
    }

    /// Rows and order of a table by its number.
    pub(super) fn table(&self, number: usize) -> &[String; 2] {
        &self.tables[number - 1]
    }

    /// Rows and order of all tables, one after the other.
    pub(super) fn tables(&self) -> impl Iterator<Item = &String> {
        self.tables.iter().flatten()
    }

    pub(super) fn part(&self, index: usize) -> String {
        format!("{}:part:{index}", self.tag)
    }
}

/// Number of a table in keys and scripts.
pub(super) fn number(table: Table) -> usize {
    Table::ALL.iter().position(|of| *of == table).expect("every table is listed") + 1
}

/// One change as scripts take it: table, what, key, value.
pub(super) type Step = [Vec<u8>; 4];

pub(super) fn step(table: usize, (key, value): Write) -> Step {
    let what = if value.is_some() { b"p" } else { b"d" };
    [table.to_string().into_bytes(), what.to_vec(), key, value.unwrap_or_default()]
}

pub(super) fn script<'a>(text: &str, keys: impl IntoIterator<Item = &'a String>) -> Cmd {
    let keys: Vec<_> = keys.into_iter().collect();
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    command
}

/// Cuts changes into parts that one script may take.
pub(super) fn split(steps: impl IntoIterator<Item = Step>) -> Vec<Vec<Step>> {
    let mut parts: Vec<Vec<Step>> = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let size: usize = step.iter().map(Vec::len).sum();
        match parts.last_mut() {
            Some(part) if part.len() < SCRIPT_CHANGES_MAX && bytes + size <= SCRIPT_BYTES_MAX => part.push(step),
            Some(_) | None => {
                parts.push(vec![step]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: usize) -> Step {
        step(1, (vec![b'k'], Some(vec![0; bytes])))
    }

    #[test]
    fn a_commit_is_cut_where_a_script_is_full() {
        assert!(split(std::iter::empty()).is_empty());
        let lengths = |steps: Vec<Step>| split(steps).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![put(1); SCRIPT_CHANGES_MAX]), [SCRIPT_CHANGES_MAX]);
        assert_eq!(lengths(vec![put(1); SCRIPT_CHANGES_MAX + 1]), [SCRIPT_CHANGES_MAX, 1]);
        assert_eq!(lengths(vec![put(SCRIPT_BYTES_MAX); 2]), [1, 1]);
        assert_eq!(lengths(vec![put(SCRIPT_BYTES_MAX / 2); 3]), [1, 1, 1]);
    }

    #[test]
    fn a_row_lies_where_it_lay_when_it_was_written() {
        let places = |count| {
            let keys = Keys::of("hub", count);
            ["case/500A", "account/001", "b", ""].map(|key| keys.place_of(number(Table::Entity), key.as_bytes()))
        };
        assert_eq!(
            (places(1), places(4), places(64)),
            ([0; 4], [2, 3, 3, 2], [46, 51, 63, 2]),
            "rows are looked up by it"
        );
        let keys = Keys::of("hub", 64);
        assert_eq!([number(Table::Meta), OUTBOX].map(|table| keys.place_of(table, b"account/001")), [0, 0]);
    }
}
