//! Rows, outbox and applied position in Redis, below one hash tag: one script per commit.
//!
//! | key | what |
//! |---|---|
//! | `{NAME:0}:head` | epoch of the owner, id of the last commit, applied position, parts not yet folded |
//! | `{NAME:0}:rows:TABLE`, `{NAME:0}:keys:TABLE` | a hash of values and the order of their keys; the outbox is a table |
//! | `{NAME:0}:part:N`, `{NAME:0}:parts` | parts of a commit that is too large for one script, and which there are |
//!
//! A large commit is laid aside in parts and sealed by one short script, which is the instant at
//! which it holds. Folding the parts into the rows can be done again after any failure; whoever
//! claims the rows folds what the owner before left.

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use redis::{Cmd, cmd};

use super::Distributed;
use super::options::DistributedOptions;
use super::redis::Line;
use crate::rows::Write;
use crate::{Changes, Durability, Error, Log as _, Pairs, Position, Result, Rows, Table, figures};

/// Most changes, and most of their bytes, that one script takes: Redis does nothing else meanwhile.
const SCRIPT_CHANGES_MAX: usize = 2_000;
const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// Rows read at a time.
const PAGE_ROWS: usize = 1_000;
/// Scripts that apply changes begin with the function that does it.
const COMMIT: &str = concat!(include_str!("apply.lua"), include_str!("commit.lua"));
const FOLD: &str = concat!(include_str!("apply.lua"), include_str!("fold.lua"));
/// Ends the name of a commit whose parts are not all in the rows.
const FOLDING: &[u8] = b" folding";
/// Number of the outbox among the tables.
const OUTBOX: usize = Table::ALL.len() + 1;

/// The rows of a store.
pub(super) struct RedisRows {
    line: Line,
    keys: Keys,
    /// Where the owner's commits stand; none of a process that owns nothing. Whoever holds it writes.
    stand: Mutex<Option<Stand>>,
}

#[derive(Clone, Copy)]
struct Stand {
    epoch: u64,
    /// Position of the last commit, and its number.
    applied: Position,
    commits: u64,
}

/// Names of keys in Redis.
struct Keys {
    tag: String,
    head: String,
    parts: String,
    /// Rows and order of each table, the outbox last.
    tables: Vec<[String; 2]>,
}

impl Keys {
    fn of(name: &str) -> Self {
        let tag = format!("{{{name}:0}}");
        let names = Table::ALL.iter().map(|table| table.name()).chain(["outbox"]);
        let tables = names.map(|table| [format!("{tag}:rows:{table}"), format!("{tag}:keys:{table}")]).collect();
        Keys { head: format!("{tag}:head"), parts: format!("{tag}:parts"), tables, tag }
    }

    /// Rows and order of a table by its number, which begins at 1.
    fn table(&self, number: usize) -> &[String; 2] {
        &self.tables[number - 1]
    }

    fn part(&self, index: usize) -> String {
        format!("{}:part:{index}", self.tag)
    }
}

/// One change as scripts take it: table, what, key, value.
type Step = [Vec<u8>; 4];

fn step(table: usize, (key, value): Write) -> Step {
    let what = if value.is_some() { b"p" } else { b"d" };
    [table.to_string().into_bytes(), what.to_vec(), key, value.unwrap_or_default()]
}

/// Number of a table in keys and scripts.
fn number(table: Table) -> usize {
    Table::ALL.iter().position(|of| *of == table).expect("every table is listed") + 1
}

fn script<'a>(text: &str, keys: impl IntoIterator<Item = &'a String>) -> Cmd {
    let keys: Vec<_> = keys.into_iter().collect();
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    command
}

impl RedisRows {
    /// Rows to read; they can be claimed later.
    pub(super) fn open(options: &DistributedOptions) -> Result<Self> {
        let (line, keys) = (Line::open(options)?, Keys::of(&options.name));
        check_memory(&line, &keys)?;
        Ok(RedisRows { line, keys, stand: Mutex::new(None) })
    }

    /// Claims the rows with an epoch above every one known, and puts away what the owner before left.
    /// Gives the epoch and the position that the rows stand at.
    pub(super) fn claim(&self, known_epoch: u64) -> Result<(u64, Position)> {
        let mut claim = script(include_str!("claim.lua"), [&self.keys.head, &self.keys.parts]);
        let (epoch, applied, staged, commit): (u64, u64, usize, String) =
            self.line.ask("claim the rows", claim.arg(known_epoch))?;
        self.fold(epoch, &commit, staged)?;
        let applied = Position(applied);
        *self.stand() = Some(Stand { epoch, applied, commits: 0 });
        Ok((epoch, applied))
    }

    fn stand(&self) -> MutexGuard<'_, Option<Stand>> {
        self.stand.lock().expect("no call panics while it writes")
    }

    /// Epoch of the newest owner and applied position, claiming nothing.
    pub(super) fn look(options: &DistributedOptions) -> Result<(u64, Position)> {
        Self::open(options)?.head()
    }

    /// Epoch and applied position as Redis tells them.
    fn head(&self) -> Result<(u64, Position)> {
        let ask = cmd("HMGET").arg(&self.keys.head).arg("epoch").arg("applied").to_owned();
        let (epoch, applied): (Option<u64>, Option<u64>) = self.line.ask("look at the rows", &ask)?;
        Ok((epoch.unwrap_or(0), Position(applied.unwrap_or(0))))
    }

    /// Removes every key of a store.
    pub(super) fn remove(options: &DistributedOptions) -> Result<()> {
        let (line, keys) = (Line::open(options)?, Keys::of(&options.name));
        let text = "for _, part in ipairs(redis.call('SMEMBERS', KEYS[1])) do redis.call('UNLINK', part) end \
                    for _, key in ipairs(KEYS) do redis.call('UNLINK', key) end return 1";
        let all = [&keys.parts, &keys.head].into_iter().chain(keys.tables.iter().flatten());
        line.ask::<u64>("remove the rows", &script(text, all)).map(drop)
    }

    /// Commits changes of a log that ends at `last`.
    pub(super) fn commit(&self, changes: Changes, last: Position) -> Result<()> {
        let mut held = self.stand();
        let stand = held.ok_or(Error::NotOwner)?;
        changes.check(stand.applied, last)?;
        let applied = changes.applied.unwrap_or(stand.applied);
        let rows = changes.rows.into_iter().map(|(table, write)| step(number(table), write));
        let parts = split(rows.chain(changes.outbox.into_iter().map(|write| step(OUTBOX, write))));
        let id = format!("{}/{}", stand.epoch, stand.commits + 1);
        let places = [stand.applied.0.to_string(), applied.0.to_string()];
        crate::crash::point("distributed.rows.before_commit");
        match parts.as_slice() {
            [] | [_] => {
                let tables = self.keys.tables.iter().flatten();
                let mut commit = script(COMMIT, [&self.keys.head].into_iter().chain(tables));
                commit.arg(stand.epoch).arg(&id).arg(&places);
                for step in parts.iter().flatten() {
                    commit.arg(step);
                }
                self.ask(stand.epoch, &commit)?;
            }
            parts => self.commit_parts(stand.epoch, &id, &places, parts)?,
        }
        crate::crash::point("distributed.rows.after_commit");
        *held = Some(Stand { applied, commits: stand.commits + 1, ..stand });
        Ok(())
    }

    fn commit_parts(&self, epoch: u64, id: &str, places: &[String; 2], parts: &[Vec<Step>]) -> Result<()> {
        let names: Vec<String> = (0..parts.len()).map(|index| self.keys.part(index)).collect();
        for (name, part) in names.iter().zip(parts) {
            let mut stage = script(include_str!("stage.lua"), [&self.keys.head, name, &self.keys.parts]);
            stage.arg(epoch);
            for step in part {
                stage.arg(step);
            }
            self.ask(epoch, &stage)?;
        }
        crate::crash::point("distributed.rows.before_seal");
        let mut seal = script(include_str!("seal.lua"), [&self.keys.head].into_iter().chain(&names));
        seal.arg(epoch).arg(id).arg(places);
        for part in parts {
            seal.arg(part.len() * 4);
        }
        self.ask(epoch, &seal)?;
        crate::crash::point("distributed.rows.after_seal");
        self.fold(epoch, id, parts.len())
    }

    /// Puts so many sealed parts of a commit into the rows.
    fn fold(&self, epoch: u64, commit: &str, parts: usize) -> Result<()> {
        if parts == 0 {
            return Ok(());
        }
        for index in 0..parts {
            let part = self.keys.part(index);
            let keys = [&self.keys.head, &part, &self.keys.parts].into_iter().chain(self.keys.tables.iter().flatten());
            self.ask(epoch, script(FOLD, keys).arg(epoch).arg(commit))?;
            crate::crash::point("distributed.rows.folding");
        }
        let mut folded = script(include_str!("folded.lua"), [&self.keys.head]);
        self.ask(epoch, folded.arg(epoch).arg(commit))
    }

    /// Runs a script that says `done`, or why not.
    fn ask(&self, own_epoch: u64, script: &Cmd) -> Result<()> {
        let answer: Vec<String> = self.line.ask("commit rows", script)?;
        let stopped = |cause: String| Err(Error::Stop { cause });
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            // Folded by a reader, or by the owner before.
            ["done" | "folded"] => Ok(()),
            ["fenced", ""] => stopped("Redis has lost the rows: they are built again from the log".to_owned()),
            ["fenced", epoch] => {
                stopped(format!("the owner of epoch {epoch} has taken the rows over from epoch {own_epoch}"))
            }
            other => stopped(format!("Redis holds other rows than this owner wrote ({other:?})")),
        }
    }
}

/// Cuts changes into parts that one script may take.
fn split(steps: impl Iterator<Item = Step>) -> Vec<Vec<Step>> {
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

/// Redis must refuse writes when its memory is full, not forget rows.
fn check_memory(line: &Line, keys: &Keys) -> Result<()> {
    // Asked by a script, so that the node answers that holds the rows.
    let ask = script("return redis.call('INFO', 'memory')", [&keys.head]);
    let info: String = line.ask("look at Redis's memory", &ask)?;
    let policy = info.lines().find_map(|text| text.strip_prefix("maxmemory_policy:")).map_or("unknown", str::trim);
    if policy == "noeviction" {
        return Ok(());
    }
    let what = "maxmemory-policy of Redis".to_owned();
    Err(Error::Unfit { what, found: policy.to_owned(), needed: "noeviction".to_owned() })
}

impl Rows for Distributed {
    fn load(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.0.counted.loaded(table);
        self.0.rows.whole(|rows| rows.load_once(number(table), keys))
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs> {
        self.0.counted.loaded(table);
        self.0.rows.pages(number(table), prefix)
    }

    fn sweep(&self, table: Table) -> Result<Pairs> {
        self.0.counted.loaded(table);
        let store = self.clone();
        let mut pages = Pages::of(number(table), b"");
        let next = move || Some(pages.next(&store.0.rows)?.map(|page| page.rows));
        let rows = std::iter::from_fn(next).flat_map(|page| match page {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        Ok(Box::new(rows))
    }

    fn applied(&self) -> Result<Position> {
        match *self.0.rows.stand() {
            Some(stand) => Ok(stand.applied),
            None => Ok(self.0.rows.head()?.1),
        }
    }

    fn pending(&self) -> Result<Pairs> {
        self.0.rows.pages(OUTBOX, b"")
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

/// Commits that a read begins again for, before it gives up: each takes far longer than a page.
const READS_MAX: usize = 100;

impl RedisRows {
    /// The rows of a table as of one instant.
    fn pages(&self, table: usize, prefix: &[u8]) -> Result<Pairs> {
        let rows = self.whole(|rows| rows.scan_once(table, prefix))?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }

    /// Reads until all that was read is of one commit, which is in the rows whole.
    fn whole<T>(&self, read: impl Fn(&Self) -> Result<Option<T>>) -> Result<T> {
        for _ in 0..READS_MAX {
            if let Some(found) = read(self)? {
                return Ok(found);
            }
            self.finish_folding()?;
        }
        let why = "they were changed again and again while they were read";
        Err(Error::Unreachable { doing: "read rows", server: "Redis", cause: why.to_owned(), retry_after_ms: 1_000 })
    }

    /// Folds, where another process owns the rows, what it sealed and has not folded, so that no commit
    /// is read in part. It may be gone, or fold the same at the same time: then one of both has nothing
    /// left to do. An owner folds before its commit returns.
    fn finish_folding(&self) -> Result<()> {
        let ask = cmd("HMGET").arg(&self.keys.head).arg(&["epoch", "commit", "staged"]).to_owned();
        for _ in 0..READS_MAX {
            if !self.is_anothers() {
                return Ok(());
            }
            let head: (Option<u64>, Option<String>, Option<usize>) = self.line.ask("look at the rows", &ask)?;
            let (Some(epoch), Some(commit), Some(parts)) = head else { return Ok(()) };
            match self.fold(epoch, &commit, parts) {
                Ok(()) => {}
                // There is another owner.
                Err(Error::Stop { cause }) => tracing::debug!(cause, "fold what another process sealed"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this process has not claimed the rows. An owner at work holds the lock.
    fn is_anothers(&self) -> bool {
        self.stand.try_lock().is_ok_and(|stand| stand.is_none())
    }

    /// The rows of these keys; none while they are being folded.
    fn load_once(&self, table: usize, keys: &[&[u8]]) -> Result<Option<Vec<Option<Bytes>>>> {
        let mut ask = script(include_str!("load.lua"), [&self.keys.head, &self.keys.table(table)[0]]);
        let mut found = self.line.ask::<Vec<Option<Vec<u8>>>>("load rows", ask.arg(keys))?.into_iter();
        let commit = found.next().flatten().unwrap_or_default();
        if commit.ends_with(FOLDING) && self.is_anothers() {
            return Ok(None);
        }
        Ok(Some(found.map(|value| value.map(Bytes::from)).collect()))
    }

    /// All pages, if they are of one commit.
    fn scan_once(&self, table: usize, prefix: &[u8]) -> Result<Option<Vec<(Bytes, Bytes)>>> {
        let mut pages = Pages::of(table, prefix);
        let mut begun: Option<Vec<u8>> = None;
        let mut rows: Vec<(Bytes, Bytes)> = Vec::new();
        while let Some(page) = pages.next(self) {
            let Page { commit, rows: more } = page?;
            let is_part = commit.ends_with(FOLDING) && self.is_anothers();
            if is_part || *begun.get_or_insert_with(|| commit.clone()) != commit {
                return Ok(None);
            }
            rows.extend(more);
        }
        Ok(Some(rows))
    }
}

/// Rows that were read by one call, and the commit that they are of.
struct Page {
    commit: Vec<u8>,
    rows: Vec<(Bytes, Bytes)>,
}

/// Where a reading of a table stands.
struct Pages {
    table: usize,
    /// The ends of the range of keys that is still to be read; no beginning once all is.
    from: Option<Vec<u8>>,
    until: Vec<u8>,
}

impl Pages {
    fn of(table: usize, prefix: &[u8]) -> Self {
        let until = after(prefix).map_or_else(|| b"+".to_vec(), |next| [b"(", &next[..]].concat());
        Pages { table, from: Some([b"[", prefix].concat()), until }
    }

    /// The next page; none behind the last. An error is the last.
    fn next(&mut self, rows: &RedisRows) -> Option<Result<Page>> {
        let from = self.from.take()?;
        let keys = [&rows.keys.head].into_iter().chain(rows.keys.table(self.table));
        let mut ask = script(include_str!("page.lua"), keys);
        ask.arg(&from).arg(&self.until).arg(PAGE_ROWS);
        let mut answer = match rows.line.ask::<Vec<Vec<u8>>>("read rows", &ask) {
            Ok(answer) => answer.into_iter(),
            Err(error) => return Some(Err(error)),
        };
        let commit = answer.next().unwrap_or_default();
        let mut found = Vec::with_capacity(answer.len() / 2);
        while let (Some(key), Some(value)) = (answer.next(), answer.next()) {
            found.push((Bytes::from(key), Bytes::from(value)));
        }
        if let (PAGE_ROWS, Some((key, _))) = (found.len(), found.last()) {
            self.from = Some([b"(", &key[..]].concat());
        }
        Some(Ok(Page { commit, rows: found }))
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

    fn put(bytes: usize) -> Step {
        step(1, (vec![b'k'], Some(vec![0; bytes])))
    }

    #[test]
    fn a_commit_is_cut_where_a_script_is_full() {
        assert!(split(std::iter::empty()).is_empty());
        let lengths = |steps: Vec<Step>| split(steps.into_iter()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![put(1); SCRIPT_CHANGES_MAX]), [SCRIPT_CHANGES_MAX]);
        assert_eq!(lengths(vec![put(1); SCRIPT_CHANGES_MAX + 1]), [SCRIPT_CHANGES_MAX, 1]);
        assert_eq!(lengths(vec![put(SCRIPT_BYTES_MAX); 2]), [1, 1]);
        assert_eq!(lengths(vec![put(SCRIPT_BYTES_MAX / 2); 3]), [1, 1, 1]);
    }

    #[test]
    fn the_key_after_a_prefix_is_above_all_that_begin_with_it() {
        assert_eq!(after(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(after(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!((after(b""), after(b"\xff\xff")), (None, None));
    }
}
