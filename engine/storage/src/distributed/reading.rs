//! Rows as they are read: what one call gives is of one commit, whatever partitions it lies in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use bytes::Bytes;
use redis::Cmd;

use super::Distributed;
use super::agreement::{Staged, Truth};
use super::keys::{OUTBOX, number, script};
use super::rows::{KeepsAll, RedisRows};
use crate::{Changes, Durability, Error, Log as _, Pairs, Position, Result, Rows, Table, figures};

/// Rows read at a time, and at least that many of a partition.
const PAGE_ROWS: usize = 1_000;
const PARTITION_ROWS_MIN: usize = 100;
/// Commits that a read begins again for, before it gives up: each takes far longer than a page.
const READS_MAX: usize = 100;

impl Rows for Distributed {
    fn load(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.0.counted.loaded(table);
        self.whole(|rows| rows.load_once(number(table), keys))
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs> {
        self.0.counted.loaded(table);
        let rows = self.whole(|rows| rows.scan_once(number(table), prefix))?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }

    fn sweep(&self, table: Table) -> Result<Pairs> {
        self.0.counted.loaded(table);
        let begun = self.agreed()?;
        let mut pages = Pages::of(&self.0.rows, number(table), b"");
        let store = self.clone();
        Ok(Box::new(std::iter::from_fn(move || {
            pages.next(&store.0.rows, &|partition, page| is_no_older(&page.at, begun.stand_of(partition))).transpose()
        })))
    }

    fn applied(&self) -> Result<Position> {
        if let Some(stand) = self.0.rows.stand().as_ref() {
            return Ok(stand.applied);
        }
        Ok(self.0.rows.truth()?.applied)
    }

    fn pending(&self) -> Result<Pairs> {
        let rows = self.whole(|rows| rows.scan_once(OUTBOX, b""))?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }

    fn write(&self, changes: Changes, _durability: Durability) -> Result<()> {
        let (applied, is_empty) = (changes.applied, changes.is_empty());
        self.0.rows.commit(changes, self.last())?;
        if let Some(position) = applied {
            figures::applied(position.0);
        }
        if !is_empty {
            self.0.counted.rows_committed();
        }
        Ok(())
    }
}

impl Distributed {
    /// What partition 0 says once all stand as it says.
    pub(super) fn agreed(&self) -> Result<Truth> {
        if self.0.rows.is_anothers() {
            return self.0.rows.agree(&|| self.0.log.keeps_all());
        }
        self.whole(|rows| Ok(Some(rows.truth()?).filter(|truth| truth.staged == Staged::Nothing)))
    }

    /// Reads until all that was read is of one commit, which is in the rows whole.
    fn whole<T>(&self, read: impl Fn(&RedisRows) -> Result<Option<T>>) -> Result<T> {
        let (rows, log) = (&self.0.rows, &self.0.log);
        let keeps_all: KeepsAll<'_> = &|| log.keeps_all();
        for _ in 0..READS_MAX {
            if let Some(found) = read(rows)? {
                return Ok(found);
            }
            if rows.is_anothers() {
                // Its owner may be gone, or do the same at the same time: then one of both has nothing to do.
                rows.agree(keeps_all)?;
            } else {
                // The owner's commit ends before its partitions agree.
                drop(rows.stand());
            }
        }
        let why = "they were changed again and again while they were read";
        Err(Error::Unreachable { doing: "read rows", server: "Redis", cause: why.to_owned(), retry_after_ms: 1_000 })
    }
}

/// Whether a commit is `other` or a later one. Ids are epoch and number; what is none is before all.
fn is_no_older(id: &str, other: &str) -> bool {
    let order = |id: &str| {
        let parts = id.split_once('/');
        parts.and_then(|(epoch, number)| Some((epoch.parse::<u64>().ok()?, number.parse::<u64>().ok()?)))
    };
    order(id) >= order(other)
}

impl RedisRows {
    /// What partition 0 says, if all partitions stand as it says and the table lies in several.
    fn beginning(&self, table: usize) -> Result<Option<Option<Truth>>> {
        if self.keys.is_alone(table) {
            return Ok(Some(None));
        }
        let truth = self.truth()?;
        Ok((truth.staged == Staged::Nothing).then_some(Some(truth)))
    }

    /// Whether every partition stands where it stood when `begun` was read.
    fn is_as(&self, begun: Option<&Truth>) -> Result<bool> {
        begun.map_or(Ok(true), |begun| Ok(self.truth()?.stands == begun.stands))
    }

    /// The rows of these keys; none while they are being changed.
    fn load_once(&self, table: usize, keys: &[&[u8]]) -> Result<Option<Vec<Option<Bytes>>>> {
        let Some(begun) = self.beginning(table)? else { return Ok(None) };
        let mut by_partition: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            by_partition.entry(self.keys.place_of(table, key)).or_default().push(index);
        }
        let asks = by_partition.iter().map(|(partition, indexes)| {
            let place = &self.keys.partitions[*partition];
            let mut ask = script(include_str!("load.lua"), [&place.head, &place.table(table)[0]]);
            for index in indexes {
                ask.arg(keys[*index]);
            }
            ask
        });
        let asks: Vec<Cmd> = asks.collect();
        let answers: Vec<Vec<Option<Vec<u8>>>> = self.line.ask_all("load rows", &asks)?;
        let mut found = vec![None; keys.len()];
        for ((partition, indexes), answer) in by_partition.iter().zip(answers) {
            let mut answer = answer.into_iter();
            let stands = Stands::of(|| answer.next().flatten().unwrap_or_default());
            if !self.is_whole(begun.as_ref(), *partition, &stands) {
                return Ok(None);
            }
            for (index, value) in indexes.iter().zip(answer) {
                found[*index] = value.map(Bytes::from);
            }
        }
        Ok(self.is_as(begun.as_ref())?.then_some(found))
    }

    /// Whether rows that stand there are those of the commit that a read began with.
    fn is_whole(&self, begun: Option<&Truth>, partition: usize, stands: &Stands) -> bool {
        match begun {
            Some(truth) => !stands.is_between && stands.at == truth.stand_of(partition),
            None => !(stands.is_staged && self.is_anothers()),
        }
    }

    /// All rows in key order, if they are of one commit.
    pub(super) fn scan_once(&self, table: usize, prefix: &[u8]) -> Result<Option<Vec<(Bytes, Bytes)>>> {
        let Some(begun) = self.beginning(table)? else { return Ok(None) };
        let mut pages = Pages::of(self, table, prefix);
        let mut rows: Vec<(Bytes, Bytes)> = Vec::new();
        let first = std::cell::RefCell::new(None::<String>);
        let is_of_one = |partition: usize, stands: &Stands| {
            // Partition 0 may change by itself; the others stand still until a commit over several.
            let is_same =
                partition > 0 || *first.borrow_mut().get_or_insert_with(|| stands.commit.clone()) == stands.commit;
            is_same && self.is_whole(begun.as_ref(), partition, stands)
        };
        loop {
            match pages.next(self, &is_of_one) {
                Ok(Some(row)) => rows.push(row),
                Ok(None) => return Ok(self.is_as(begun.as_ref())?.then_some(rows)),
                Err(_) if pages.is_changed => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What an answer says of the partition that gave it.
struct Stands {
    /// Commit that its rows are of, and the last one of partition 0 if it is that.
    at: String,
    commit: String,
    /// Whether its rows are on their way from one commit to another.
    is_between: bool,
    /// Whether partition 0 says that some may be.
    is_staged: bool,
}

impl Stands {
    fn of(mut next: impl FnMut() -> Vec<u8>) -> Stands {
        let mut text = || String::from_utf8_lossy(&next()).into_owned();
        let (at, commit) = (text(), text());
        Stands { at, commit, is_between: !text().is_empty(), is_staged: !text().is_empty() }
    }
}

/// A reading of a table in key order, page by page from each partition.
struct Pages {
    table: usize,
    until: Vec<u8>,
    page_rows: usize,
    partitions: Vec<Reading>,
    /// The lowest key read of each partition that has one.
    lowest: BinaryHeap<Reverse<(Bytes, usize)>>,
    /// Partitions of which a page is needed before the lowest key is known.
    wanted: Vec<usize>,
    /// Whether it ended because a page was of another commit.
    is_changed: bool,
}

/// Where the reading of a partition stands.
struct Reading {
    /// The beginning of the range of keys that is still to be read; none once all is.
    from: Option<Vec<u8>>,
    rows: VecDeque<(Bytes, Bytes)>,
}

impl Pages {
    fn of(rows: &RedisRows, table: usize, prefix: &[u8]) -> Self {
        let count = if rows.keys.is_alone(table) { 1 } else { rows.keys.count() };
        let reading = || Reading { from: Some([b"[", prefix].concat()), rows: VecDeque::new() };
        Pages {
            table,
            until: after(prefix).map_or_else(|| b"+".to_vec(), |next| [b"(", &next[..]].concat()),
            page_rows: (PAGE_ROWS / count).max(PARTITION_ROWS_MIN),
            partitions: (0..count).map(|_| reading()).collect(),
            lowest: BinaryHeap::new(),
            wanted: (0..count).collect(),
            is_changed: false,
        }
    }

    /// The next row; none behind the last. Ends with an error when `is_fit` refuses a page, or none comes.
    fn next(&mut self, rows: &RedisRows, is_fit: &dyn Fn(usize, &Stands) -> bool) -> Result<Option<(Bytes, Bytes)>> {
        let wanted = std::mem::take(&mut self.wanted);
        if !wanted.is_empty() {
            self.read(rows, wanted, is_fit).inspect_err(|_| self.end())?;
        }
        let Some(Reverse((_, partition))) = self.lowest.pop() else { return Ok(None) };
        let reading = &mut self.partitions[partition];
        let row = reading.rows.pop_front();
        match reading.rows.front() {
            Some((key, _)) => self.lowest.push(Reverse((key.clone(), partition))),
            None if reading.from.is_some() => self.wanted.push(partition),
            None => {}
        }
        Ok(row)
    }

    fn end(&mut self) {
        self.lowest.clear();
    }

    /// Reads a page of each of these partitions.
    fn read(&mut self, rows: &RedisRows, wanted: Vec<usize>, is_fit: &dyn Fn(usize, &Stands) -> bool) -> Result<()> {
        let asks = wanted.iter().map(|partition| {
            let place = &rows.keys.partitions[*partition];
            let keys = [&place.head].into_iter().chain(place.table(self.table));
            let mut ask = script(include_str!("page.lua"), keys);
            ask.arg(&self.partitions[*partition].from).arg(&self.until).arg(self.page_rows).to_owned()
        });
        let asks: Vec<Cmd> = asks.collect();
        let answers: Vec<Vec<Vec<u8>>> = rows.line.ask_all("read rows", &asks)?;
        for (partition, answer) in wanted.into_iter().zip(answers) {
            let mut answer = answer.into_iter();
            if !is_fit(partition, &Stands::of(|| answer.next().unwrap_or_default())) {
                self.is_changed = true;
                let cause = "they went back to an older commit while they were read".to_owned();
                return Err(Error::Unreachable { doing: "read rows", server: "Redis", cause, retry_after_ms: 1_000 });
            }
            let reading = &mut self.partitions[partition];
            while let (Some(key), Some(value)) = (answer.next(), answer.next()) {
                reading.rows.push_back((Bytes::from(key), Bytes::from(value)));
            }
            reading.from = match (reading.rows.len() == self.page_rows, reading.rows.back()) {
                (true, Some((key, _))) => Some([b"(", &key[..]].concat()),
                (true | false, _) => None,
            };
            if let Some((key, _)) = reading.rows.front() {
                self.lowest.push(Reverse((key.clone(), partition)));
            }
        }
        Ok(())
    }
}

/// The lowest key that is above all keys with this prefix; none if there is no such key.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_after_a_prefix_is_above_all_that_begin_with_it() {
        assert_eq!(after(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(after(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!((after(b""), after(b"\xff\xff")), (None, None));
    }

    #[test]
    fn commits_are_in_the_order_of_epoch_and_number() {
        for (id, other, expected) in [
            ("2/1", "1/9", true),
            ("1/10", "1/9", true),
            ("1/9", "1/9", true),
            ("1/9", "1/10", false),
            ("", "1/1", false),
        ] {
            assert_eq!(is_no_older(id, other), expected, "{id} {other}");
        }
        assert!(is_no_older("", ""));
    }
}
