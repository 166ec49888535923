//! A small store with a cut or a changed byte: it recovers to a state it had, says that it is
//! damaged, or answers as before. It never answers differently without a word.
#![allow(clippy::unwrap_used)]

#[path = "damage/victim.rs"]
mod victim;

#[path = "damage/backup.rs"]
mod backup;

use std::collections::BTreeMap;

use storage::{Class, Embedded, Options};
use victim::{Answers, Victim, answers};

/// How many times more places to try than in an ordinary run; a long run tries every byte.
fn effort() -> usize {
    std::env::var("OPSHUB_DAMAGE_EFFORT").ok().and_then(|effort| effort.parse().ok()).unwrap_or(1)
}

/// What became of a store after its files were changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Outcome {
    Refused,
    RefusedLater,
    AsBefore,
    /// The state after this many commits.
    Earlier(usize),
}

/// Opens the copy and reads everything; panics if the answers are none that the store ever gave.
fn outcome(victim: &Victim, copy: &tempfile::TempDir, what: &str) -> Outcome {
    let store = match Embedded::open(copy.path(), Options::default()) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.class(), Class::Stop, "{what}: {error}");
            return Outcome::Refused;
        }
    };
    match answers(&store) {
        Err(error) => {
            assert_eq!(error.class(), Class::Stop, "{what}: {error}");
            Outcome::RefusedLater
        }
        Ok(found) => classify(&victim.history, &found)
            .unwrap_or_else(|| panic!("{what}: a silently different answer\n{found:#?}")),
    }
}

fn classify(history: &[Answers], found: &Answers) -> Option<Outcome> {
    let commits = history.iter().rposition(|known| known == found)?;
    Some(if commits + 1 == history.len() { Outcome::AsBefore } else { Outcome::Earlier(commits) })
}

#[test]
fn a_journal_cut_at_any_length_recovers_to_the_commits_before_the_cut() {
    let victim = Victim::new();
    let journal = victim.journal();
    let len = victim.len(&journal);
    let mut reached = 0;
    for cut in (0..=len).step_by((len / 100 / effort()).max(1)) {
        let copy = victim.copy();
        let file = std::fs::File::options().write(true).open(copy.path().join(&journal)).unwrap();
        file.set_len(cut as u64).unwrap();
        let commits = match outcome(&victim, &copy, &format!("journal cut to {cut} of {len}")) {
            Outcome::Earlier(commits) => commits,
            Outcome::AsBefore => victim.history.len() - 1,
            refused @ (Outcome::Refused | Outcome::RefusedLater) => panic!("cut to {cut} of {len}: {refused:?}"),
        };
        assert!(
            commits >= victim.settled && commits >= reached,
            "cut to {cut} of {len} recovered only {commits} commits"
        );
        reached = commits;
    }
    assert!(reached + 2 >= victim.history.len(), "a cut near the end keeps all but the last commit");
}

#[test]
fn a_table_file_cut_at_any_length_is_noticed_or_harmless() {
    let victim = Victim::new();
    let journal = victim.journal();
    let mut seen = BTreeMap::new();
    let files = victim.files().into_iter().filter(|file| *file != journal).collect::<Vec<_>>();
    let sizes: usize = files.iter().map(|file| victim.len(file)).sum();
    let mut random = victim::Random::new(7);
    for _ in 0..80 * effort() {
        let (file, at) = victim::pick(&victim, &files, random.below(sizes));
        let copy = victim.copy();
        std::fs::File::options().write(true).open(copy.path().join(&file)).unwrap().set_len(at as u64).unwrap();
        let outcome = outcome(&victim, &copy, &format!("{} cut to {at}", file.display()));
        assert!(!matches!(outcome, Outcome::Earlier(_)), "{} cut to {at} lost commits silently", file.display());
        *seen.entry(outcome).or_insert(0) += 1;
    }
    assert!(seen.contains_key(&Outcome::Refused), "{seen:?}");
}

#[test]
fn a_changed_byte_anywhere_is_noticed_or_harmless() {
    let victim = Victim::new();
    let files = victim.files();
    let sizes: usize = files.iter().map(|file| victim.len(file)).sum();
    let mut random = victim::Random::new(11);
    let mut seen = BTreeMap::new();
    for _ in 0..160 * effort() {
        let (file, at) = victim::pick(&victim, &files, random.below(sizes));
        flip_and_check(&victim, &file, at, 1 << random.below(8), &mut seen);
    }
    assert!(seen.contains_key(&Outcome::Refused), "{seen:?}");
}

/// The journal is where a library's own recovery is most ready to drop what it cannot read.
#[test]
fn a_changed_byte_in_the_journal_loses_at_most_the_end_of_the_last_commit() {
    let victim = Victim::new();
    let journal = victim.journal();
    let len = victim.len(&journal);
    let mut random = victim::Random::new(13);
    let mut seen = BTreeMap::new();
    for at in (0..len).step_by((len / 160 / effort()).max(1)) {
        flip_and_check(&victim, &journal, at, 1 << random.below(8), &mut seen);
    }
    for at in len - 16..len {
        flip_and_check(&victim, &journal, at, 1 << random.below(8), &mut seen);
    }
    assert!(seen[&Outcome::Refused] > 120, "{seen:?}");
}

fn flip_and_check(victim: &Victim, file: &std::path::Path, at: usize, mask: u8, seen: &mut BTreeMap<Outcome, u32>) {
    let copy = victim.copy();
    let path = copy.path().join(file);
    victim::flip(&path, at, mask);
    let what = format!("{} byte {at} flipped by {mask:#x}", file.display());
    let outcome = outcome(victim, &copy, &what);
    if let Outcome::Earlier(commits) = outcome {
        let only_the_trailer = *file == victim.journal() && at + 4 >= victim.len(file);
        assert!(only_the_trailer && commits + 2 == victim.history.len(), "{what} lost commits silently: {commits}");
    }
    *seen.entry(outcome).or_insert(0) += 1;
}
