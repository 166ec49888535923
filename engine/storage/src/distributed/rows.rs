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

use std::sync::Mutex;

use bytes::Bytes;
use redis::{Cmd, cmd};

use super::Distributed;
use super::options::DistributedOptions;
use super::redis::Line;
use crate::rows::Write;
use crate::{Changes, Durability, Error, Log as _, Pairs, Position, Result, Rows, Table};

/// Most changes, and most of their bytes, that one script takes: Redis does nothing else meanwhile.
const SCRIPT_CHANGES_MAX: usize = 2_000;
const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// Rows read at a time.
const PAGE_ROWS: usize = 1_000;
/// Number of the outbox among the tables.
const OUTBOX: usize = Table::ALL.len() + 1;

/// The rows of a store.
pub(super) struct RedisRows {
    line: Line,
    keys: Keys,
    epoch: u64,
    /// Position and number of the last commit; whoever holds it writes.
    stand: Mutex<Stand>,
}

struct Stand {
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
    /// Claims the rows with an epoch above every one known, and puts away what the owner before left.
    pub(super) fn claim(options: &DistributedOptions, known_epoch: u64) -> Result<Self> {
        let line = Line::open(options)?;
        let keys = Keys::of(&options.name);
        check_memory(&line, &keys)?;
        let mut claim = script(include_str!("claim.lua"), [&keys.head, &keys.parts]);
        let (epoch, applied, staged): (u64, u64, usize) = line.ask("claim the rows", claim.arg(known_epoch))?;
        let stand = Mutex::new(Stand { applied: Position(applied), commits: 0 });
        let rows = RedisRows { line, keys, epoch, stand };
        rows.fold(staged)?;
        Ok(rows)
    }

    /// Epoch of the newest owner and applied position, claiming nothing.
    pub(super) fn look(options: &DistributedOptions) -> Result<(u64, Position)> {
        let (line, keys) = (Line::open(options)?, Keys::of(&options.name));
        check_memory(&line, &keys)?;
        let (epoch, applied): (Option<u64>, Option<u64>) =
            line.ask("look at the rows", cmd("HMGET").arg(&keys.head).arg("epoch").arg("applied"))?;
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

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn applied(&self) -> Position {
        self.stand.lock().expect("no call panics while it writes").applied
    }

    /// Commits changes of a log that ends at `last`.
    pub(super) fn commit(&self, changes: Changes, last: Position) -> Result<()> {
        let mut stand = self.stand.lock().expect("no call panics while it writes");
        changes.check(stand.applied, last)?;
        let applied = changes.applied.unwrap_or(stand.applied);
        let rows = changes.rows.into_iter().map(|(table, write)| step(number(table), write));
        let parts = split(rows.chain(changes.outbox.into_iter().map(|write| step(OUTBOX, write))));
        let id = format!("{}/{}", self.epoch, stand.commits + 1);
        let places = [stand.applied.0.to_string(), applied.0.to_string()];
        crate::crash::point("distributed.rows.before_commit");
        match parts.as_slice() {
            [] | [_] => {
                let tables = self.keys.tables.iter().flatten();
                let mut commit = script(include_str!("commit.lua"), [&self.keys.head].into_iter().chain(tables));
                commit.arg(self.epoch).arg(&id).arg(&places);
                for step in parts.iter().flatten() {
                    commit.arg(step);
                }
                self.ask(&commit)?;
            }
            parts => self.commit_parts(&id, &places, parts)?,
        }
        crate::crash::point("distributed.rows.after_commit");
        *stand = Stand { applied, commits: stand.commits + 1 };
        Ok(())
    }

    fn commit_parts(&self, id: &str, places: &[String; 2], parts: &[Vec<Step>]) -> Result<()> {
        let names: Vec<String> = (0..parts.len()).map(|index| self.keys.part(index)).collect();
        for (name, part) in names.iter().zip(parts) {
            let mut stage = script(include_str!("stage.lua"), [&self.keys.head, name, &self.keys.parts]);
            stage.arg(self.epoch);
            for step in part {
                stage.arg(step);
            }
            self.ask(&stage)?;
        }
        crate::crash::point("distributed.rows.before_seal");
        let mut seal = script(include_str!("seal.lua"), [&self.keys.head].into_iter().chain(&names));
        seal.arg(self.epoch).arg(id).arg(places);
        for part in parts {
            seal.arg(part.len() * 4);
        }
        self.ask(&seal)?;
        crate::crash::point("distributed.rows.after_seal");
        self.fold(parts.len())
    }

    /// Puts so many sealed parts into the rows.
    fn fold(&self, parts: usize) -> Result<()> {
        if parts == 0 {
            return Ok(());
        }
        for index in 0..parts {
            let part = self.keys.part(index);
            let keys = [&self.keys.head, &part, &self.keys.parts].into_iter().chain(self.keys.tables.iter().flatten());
            self.ask(script(include_str!("fold.lua"), keys).arg(self.epoch))?;
            crate::crash::point("distributed.rows.folding");
        }
        let text = "if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'fenced', ''} end \
                    redis.call('HDEL', KEYS[1], 'staged') return {'done'}";
        self.ask(script(text, [&self.keys.head]).arg(self.epoch))
    }

    /// Runs a script that says `done`, or why not.
    fn ask(&self, script: &Cmd) -> Result<()> {
        let answer: Vec<String> = self.line.ask("commit rows", script)?;
        let stopped = |cause: String| Err(Error::Stop { cause });
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["done"] => Ok(()),
            ["fenced", ""] => stopped("Redis has lost the rows: they are built again from the log".to_owned()),
            ["fenced", epoch] => {
                stopped(format!("the owner of epoch {epoch} has taken the rows over from epoch {}", self.epoch))
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
        let rows = &self.0.rows;
        let found: Vec<Option<Vec<u8>>> =
            rows.line.ask("load rows", cmd("HMGET").arg(&rows.keys.table(number(table))[0]).arg(keys))?;
        Ok(found.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs> {
        self.0.rows.pages(number(table), prefix)
    }

    fn applied(&self) -> Result<Position> {
        Ok(self.0.rows.applied())
    }

    fn pending(&self) -> Result<Pairs> {
        self.0.rows.pages(OUTBOX, b"")
    }

    fn write(&self, changes: Changes, _durability: Durability) -> Result<()> {
        self.0.rows.commit(changes, self.last())
    }
}

/// Commits that a scan begins again for, before it gives up: each takes far longer than a page.
const SCANS_MAX: usize = 100;

impl RedisRows {
    /// The rows of a table as of one instant: begun again when a commit came between two pages.
    fn pages(&self, table: usize, prefix: &[u8]) -> Result<Pairs> {
        for _ in 0..SCANS_MAX {
            if let Some(rows) = self.scan_once(table, prefix)? {
                return Ok(Box::new(rows.into_iter().map(Ok)));
            }
        }
        let why = "they were changed again and again while they were read";
        Err(Error::Unreachable { doing: "read rows", server: "Redis", cause: why.to_owned(), retry_after_ms: 1_000 })
    }

    /// All pages, if they are of one commit.
    fn scan_once(&self, table: usize, prefix: &[u8]) -> Result<Option<Vec<(Bytes, Bytes)>>> {
        let until = after(prefix).map_or_else(|| b"+".to_vec(), |next| [b"(", &next[..]].concat());
        let mut from = [b"[", prefix].concat();
        let mut begun: Option<Vec<u8>> = None;
        let mut rows: Vec<(Bytes, Bytes)> = Vec::new();
        loop {
            let keys = [&self.keys.head].into_iter().chain(self.keys.table(table));
            let mut ask = script(include_str!("page.lua"), keys);
            ask.arg(&from).arg(&until).arg(PAGE_ROWS);
            let mut page = self.line.ask::<Vec<Vec<u8>>>("read rows", &ask)?.into_iter();
            let commit = page.next().unwrap_or_default();
            if *begun.get_or_insert_with(|| commit.clone()) != commit {
                return Ok(None);
            }
            let before = rows.len();
            while let (Some(key), Some(value)) = (page.next(), page.next()) {
                rows.push((Bytes::from(key), Bytes::from(value)));
            }
            match rows.last() {
                Some((key, _)) if rows.len() - before == PAGE_ROWS => from = [b"(", &key[..]].concat(),
                Some(_) | None => return Ok(Some(rows)),
            }
        }
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
