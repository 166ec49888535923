//! The store that is damaged: small, with tables and journal both in use, and everything that it
//! answered after each of its commits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ontology::Millis;
use storage::{
    Atomic as _, Batch, Changes, Durability, Embedded, Intake, Log as _, NewBlock, NewQuarantined, Options, Position,
    Quarantine as _, QuarantineFilter, Result, Rows as _, Store as _, Table,
};

const COMMITS: usize = 12;
const SETTLED_AFTER: usize = 5;

/// Everything a store can be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers(Vec<String>);

pub struct Victim {
    /// Contents up to the last byte that is not zero, and full length.
    files: BTreeMap<PathBuf, (Vec<u8>, u64)>,
    /// Answers after 0, 1, 2 ... commits.
    pub history: Vec<Answers>,
    /// Commits that are in the tables; the later ones are in the journal only.
    pub settled: usize,
}

impl Victim {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path(), Options::default()).unwrap();
        let mut history = vec![answers(&store).unwrap()];
        for commit in 1..=COMMITS {
            store
                .commit(batch(commit), if commit % 3 == 0 { Durability::Relaxed } else { Durability::Synced })
                .unwrap();
            history.push(answers(&store).unwrap());
            if commit == SETTLED_AFTER {
                store.settle().unwrap();
            }
        }
        store.sync().unwrap();
        drop(store);
        let mut files = BTreeMap::new();
        walk(dir.path(), &mut |path| {
            let name = path.strip_prefix(dir.path()).unwrap().to_owned();
            files.insert(name, (read_written(path), path.metadata().unwrap().len()));
        });
        Victim { files, history, settled: SETTLED_AFTER }
    }

    /// Files that hold anything, relative to the folder, in a fixed order.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.keys().filter(|file| self.len(file) > 0).cloned().collect()
    }

    /// Bytes of a file up to the last that is not zero: journals are allocated ahead.
    pub fn len(&self, file: &Path) -> usize {
        self.files[file].0.len()
    }

    /// The journal that holds the commits since the tables were written.
    pub fn journal(&self) -> PathBuf {
        let journals = self.files().into_iter().filter(|file| file.extension().is_some_and(|ext| ext == "jnl"));
        journals.max_by_key(|file| self.len(file)).unwrap()
    }

    pub fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for (path, (written, len)) in &self.files {
            let to = copy.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(&to, written).unwrap();
            File::options().write(true).open(&to).unwrap().set_len(*len).unwrap();
        }
        copy
    }
}

fn read_written(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path).unwrap().take(1 << 20).read_to_end(&mut bytes).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
    bytes
}

fn batch(commit: usize) -> Batch {
    let mut block = NewBlock::new(Millis(commit as i64));
    for fact in 0..3 {
        let text = format!("fact {fact} of commit {commit}, with some more text to give it a body");
        let index = block.push(text.as_bytes());
        block.push_raw(index, 1, b"", format!("<payload>{text}</payload>").as_bytes());
    }
    let mut intake = Intake::new().source("sap/idoc", commit.to_string());
    if !commit.is_multiple_of(4) {
        intake = intake.block(block);
    }
    if commit.is_multiple_of(5) {
        intake =
            intake.quarantine(NewQuarantined { reason: "malformed".into(), raw: b"??".to_vec(), ..Default::default() });
    }
    let mut changes =
        Changes::new().outbox_put(format!("action-{commit}"), "raise").put(Table::Meta, "count", commit.to_string());
    changes = changes.outbox_done(format!("action-{}", commit.saturating_sub(2)));
    changes = changes.put(Table::Entity, format!("case/{}", commit % 4), format!("as of commit {commit}"));
    if commit.is_multiple_of(6) {
        changes = changes.delete(Table::Entity, "case/1");
    }
    Batch { intake, changes }
}

pub fn answers(store: &Embedded) -> Result<Answers> {
    let mut lines = vec![format!("last {} applied {}", store.last(), store.applied()?)];
    for block in store.read(store.start()?)? {
        let block = block?;
        for (at, fact) in block.facts() {
            lines.push(format!("{at} {}", String::from_utf8_lossy(fact)));
        }
        lines.extend(store.raws(block.first())?.iter().map(|raw| format!("{raw:?}")));
    }
    for table in Table::ALL {
        for row in store.scan(table, b"")? {
            let (key, value) = row?;
            let loaded = store.load(table, &[&key])?;
            lines.push(format!("{table:?} {key:?} {value:?} {loaded:?}"));
        }
    }
    for action in store.pending()? {
        lines.push(format!("{:?}", action?));
    }
    lines.push(format!("{:?}", store.sources()?));
    for record in store.list(&QuarantineFilter::default(), None, 100)?.records {
        lines.push(format!("{record:?} {:?}", store.raw(record.id)?));
    }
    lines.push(format!("{:?}", store.raws(Position::FIRST)?));
    Ok(Answers(lines))
}

pub fn flip(path: &Path, at: usize, mask: u8) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte[0] ^ mask]).unwrap();
}

/// The file and the place in it of the n-th written byte of all.
pub fn pick(victim: &Victim, files: &[PathBuf], mut nth: usize) -> (PathBuf, usize) {
    for file in files {
        let len = victim.len(file);
        if nth < len {
            return (file.clone(), nth);
        }
        nth -= len;
    }
    panic!("there are not that many bytes");
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

/// A small seeded sequence (splitmix64): the same places every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
