//! Facts that end the process, found and set aside when a start applies the end of the log.
//!
//! A start that finds facts behind the newest snapshot follows a process that did not end cleanly. It notes
//! in the store which stretch it is about to apply, and takes the note away once it has. A note that stands
//! is a death within its stretch: that stretch is then applied in parts, each noted before it begins, until
//! it is one fact. A fact that was part of every one of [`DEATHS_MAX`] deaths is set aside in quarantine,
//! and its position joins the list of those that nobody applies. Note and list are kept as the positions of
//! sources are, so they go with the log: to those who follow, into backups, to other servers. An end that
//! was no fault of the facts leads nowhere: the stretch is passed at the next start, and forgotten. Where
//! memory was short at the last death no fact is accused: the start ends with an error that says so, until
//! there is more.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use compact_str::CompactString;
use ontology::codec::{Cursor, put_u64};
use ontology::{Fact, Fields, LogPos, Millis, Op, System, Version, Vocabulary as _};
use pipeline::Input;
use storage::{Block, Class, Intake, NewQuarantined, Position, Priority, Store};

use super::recovery::inputs;
use crate::room::Room;
use crate::sink::CONTRACT_VERSION;

/// Code in quarantine of a fact that ended the process.
pub(crate) const POISON: &str = "poison";
/// Deaths at one fact after which it is set aside.
const DEATHS_MAX: u64 = 3;
/// Parts of a stretch in which a process died: few notes, and of 4,096 facts the third death tells one.
const PARTS: u64 = 64;
/// Where the store keeps the note, and the positions that nobody applies.
const NOTE: &str = "engine/applying";
const PASSED_OVER: &str = "engine/passed-over";

/// Facts that are being applied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    facts: RangeInclusive<u64>,
    /// Deaths of which all of them were part.
    deaths: u64,
    /// Whether memory was short when applying them began.
    is_short: bool,
}

impl Stretch {
    fn new(facts: RangeInclusive<u64>, deaths: u64) -> Stretch {
        Stretch { facts, deaths, is_short: false }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [*self.facts.start(), *self.facts.end(), self.deaths, u64::from(self.is_short)] {
            put_u64(&mut out, number);
        }
        out
    }

    fn decode(noted: &[u8]) -> Option<Stretch> {
        let mut from = Cursor(noted);
        let stretch = Stretch::new(from.u64().ok()?..=from.u64().ok()?, from.u64().ok()?);
        // Earlier versions did not note it.
        Some(Stretch { is_short: from.u64().is_ok_and(|is_short| is_short != 0), ..stretch })
    }

    /// What to apply of a log that ends with `left`, in order, after a death in this stretch.
    fn split(self, left: &RangeInclusive<u64>) -> Vec<Stretch> {
        let (first, last) = (*self.facts.start(), *self.facts.end());
        // The last death counts only for a fact that was alone.
        let counted_max = if first == last { DEATHS_MAX } else { DEATHS_MAX - 1 };
        let deaths = (self.deaths + 1).min(counted_max);
        let part = (last - first + 1).div_ceil(PARTS);
        let parts = (first..=last).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        let parts = parts.map(|from| (from..=last.min(from + part - 1), deaths));
        let all = [(*left.start()..=first - 1, 0)].into_iter().chain(parts).chain([(last + 1..=*left.end(), 0)]);
        all.filter(|(facts, _)| !facts.is_empty()).map(|(facts, deaths)| Stretch::new(facts, deaths)).collect()
    }

    fn is_poison(&self) -> bool {
        self.deaths >= DEATHS_MAX && self.facts.start() == self.facts.end()
    }
}

/// Applies the log from `from` on by `take`, which returns once its input is applied. Where facts end
/// the process again and again, those are set aside. `is_suspect` says that applying them ended one before
/// although no note tells of it.
///
/// # Errors
/// When the log cannot be read, or `take` fails.
pub(super) fn replay(
    store: &dyn Store,
    from: Position,
    is_suspect: bool,
    take: impl FnMut(Input) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    replay_within(store, from, is_suspect, Room::here, take)
}

fn replay_within(
    store: &dyn Store,
    from: Position,
    is_suspect: bool,
    room: impl Fn() -> Room,
    mut take: impl FnMut(Input) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let left = from.0..=store.last().0;
    if left.is_empty() {
        return Ok(());
    }
    let whole = Stretch::new(left.clone(), 0);
    let stands = noted(store)?.filter(|noted| left.contains(noted.facts.start()) && left.contains(noted.facts.end()));
    let mut was_short = false;
    let stretches = match stands.or_else(|| is_suspect.then(|| whole.clone())) {
        Some(died) => {
            was_short = died.is_short;
            let (facts, deaths) = (&died.facts, died.deaths + 1);
            tracing::warn!(?facts, deaths, was_short, "a process died while it applied these facts");
            died.split(&left)
        }
        None => vec![whole],
    };
    let passed_over = passed_over(store)?;
    let is_accused = |of: &Stretch| of.is_poison() && !passed_over.contains(&Position(*of.facts.start()));
    if let Some(accused) = stretches.iter().find(|stretch| was_short && is_accused(stretch)) {
        let room = room();
        anyhow::ensure!(!room.is_short(), short(accused, room));
    }
    for mut stretch in stretches {
        let (first, last) = (Position(*stretch.facts.start()), Position(*stretch.facts.end()));
        stretch.is_short = room().is_short();
        if is_accused(&stretch) && was_short {
            // There is more memory than when it died: what it does now is what counts.
            stretch.deaths -= 1;
        } else if is_accused(&stretch) {
            set_aside(store, first, stretch.deaths)?;
        }
        note(store, stretch.encode())?;
        for input in inputs(store, first, Some(last))? {
            take(input?)?;
        }
    }
    note(store, Vec::new())
}

fn short(accused: &Stretch, room: Room) -> String {
    format!(
        "apply the log: the process ended {} times at position {}, the last time with little memory left, \
         and there is little now: {} MiB are used, {} MiB are left; give it more memory and start it again, \
         no fact is set aside before that",
        accused.deaths,
        accused.facts.start(),
        room.used >> 20,
        room.left >> 20,
    )
}

/// Whether a process has begun to apply the end of the log, and has not come through yet.
pub(super) fn is_noted(store: &dyn Store) -> anyhow::Result<bool> {
    Ok(noted(store)?.is_some())
}

fn noted(store: &dyn Store) -> anyhow::Result<Option<Stretch>> {
    Ok(store.source(NOTE)?.and_then(|noted| Stretch::decode(&noted)))
}

/// Notes what is applied next. A disk that is full keeps nobody from starting: then nothing is counted.
fn note(store: &dyn Store, note: Vec<u8>) -> anyhow::Result<()> {
    match store.append(Intake::new().source(NOTE, note).priority(Priority::Decision)) {
        Err(error) if matches!(error.class(), Class::Retry) => {
            tracing::warn!(%error, "note which facts are applied next, a death among them is not counted");
            Ok(())
        }
        noted => Ok(noted.map(drop)?),
    }
}

/// Sets a fact aside: in quarantine with its bytes, and among those that nobody applies, as one atom.
fn set_aside(store: &dyn Store, position: Position, deaths: u64) -> anyhow::Result<()> {
    let block = store.read(position)?.next().transpose()?;
    let block = block.ok_or_else(|| anyhow::anyhow!("set a fact aside: none is at position {position}"))?;
    let mut all = passed_over(store)?;
    all.insert(position);
    let mut list = Vec::new();
    all.iter().for_each(|position| put_u64(&mut list, position.0));
    let record = record_of(&block, position, deaths);
    tracing::error!(position = position.0, deaths, "a fact ended the process each time, it is quarantined");
    let intake = Intake::new().quarantine(record).source(PASSED_OVER, list).source(NOTE, Vec::new());
    Ok(store.append(intake.priority(Priority::Decision)).map(drop)?)
}

fn record_of(block: &Block, position: Position, deaths: u64) -> NewQuarantined {
    let raw = block.facts().find(|(at, _)| *at == position).map(|(_, bytes)| bytes.to_vec()).unwrap_or_default();
    let fact = read(&raw);
    NewQuarantined {
        reason: POISON.to_owned(),
        detail: format!("the process ended {deaths} times while it applied this fact"),
        source: format!("{}/log", fact.as_ref().map_or(System::Engine, |fact| fact.system).name()),
        source_position: position.0.to_string().into_bytes(),
        received_at: block.ingested_at(),
        contract_version: fact.map_or_else(|| CONTRACT_VERSION.to_owned(), |fact| fact.contract_version.to_string()),
        attempts: u32::try_from(deaths).unwrap_or(u32::MAX),
        beside: Vec::new(),
        raw,
    }
}

/// The fact in the bytes of one that was set aside; none if they cannot be read.
pub(crate) fn read(raw: &[u8]) -> Option<Fact> {
    Fact::decode(&mut Cursor(raw), LogPos(0), Millis::MIN).ok()
}

/// Positions of facts that nobody applies.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn passed_over(store: &dyn Store) -> storage::Result<BTreeSet<Position>> {
    let list = store.source(PASSED_OVER)?.unwrap_or_default();
    let mut from = Cursor(&list);
    Ok(std::iter::from_fn(|| from.u64().ok().map(Position)).collect())
}

/// What is applied in the place of such a fact, so that the position passes it: it says nothing of any
/// source or record.
pub(super) fn nothing(position: Position, ingested_at: Millis) -> Fact {
    Fact {
        event_id: CompactString::default(),
        system: System::Engine,
        object: CompactString::default(),
        record_id: CompactString::default(),
        entity: pipeline::sources::watermark_key(System::Engine, ""),
        op: Op::Heartbeat,
        version: Version::default(),
        changed_at: ingested_at,
        observed_at: ingested_at,
        ingested_at,
        log_pos: LogPos(position.0),
        contract_version: 1,
        mapping_version: 0,
        read_at: None,
        key_slot: 0,
        fields: Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::SourceKey;
    use storage::{Log as _, Memory, NewBlock, Quarantine as _, QuarantineFilter};

    use super::*;

    /// A log of so many facts, in blocks of seven.
    fn log_of(count: u64) -> Memory {
        let store = Memory::default();
        let numbers: Vec<u64> = (1..=count).collect();
        for numbers in numbers.chunks(7) {
            let mut block = NewBlock::new(Millis(5));
            for number in numbers {
                let fact = Fact { record_id: number.to_string().into(), ..nothing(Position(*number), Millis(5)) };
                block.push_with(|out| fact.encode(out));
            }
            store.append(Intake::new().block(block)).unwrap();
        }
        store
    }

    const ENOUGH: Room = Room { used: 1_000, left: 1_000 };
    const SHORT: Room = Room { used: 1_000, left: 10 };

    /// Applies the log from `from` on in a process that dies of what `kills` says; what was applied, and
    /// whether it lived.
    fn start(store: &Memory, from: u64, kills: impl Fn(&SourceKey) -> bool) -> (Vec<u64>, bool) {
        let (applied, lived) = start_within(store, from, ENOUGH, kills);
        (applied, lived.is_ok())
    }

    fn start_within(
        store: &Memory,
        from: u64,
        room: Room,
        kills: impl Fn(&SourceKey) -> bool,
    ) -> (Vec<u64>, anyhow::Result<()>) {
        let mut applied = Vec::new();
        let lived = replay_within(
            store,
            Position(from),
            false,
            || room,
            |input| {
                let Input::Facts { facts, .. } = input else { return Ok(()) };
                for fact in facts {
                    anyhow::ensure!(!kills(&fact.source_key()), "dead");
                    applied.push(fact.log_pos.0);
                }
                Ok(())
            },
        );
        (applied, lived)
    }

    fn is(record: u64) -> impl Fn(&SourceKey) -> bool {
        move |key| key.record_id == record.to_string()
    }

    /// Starts until one lives; how many died before.
    fn deaths(store: &Memory, from: u64, kills: impl Fn(&SourceKey) -> bool) -> u64 {
        let mut deaths = 0;
        loop {
            let (applied, lived) = start(store, from, &kills);
            if lived {
                assert_eq!(applied, (from..=store.last().0).collect::<Vec<_>>(), "each once and in order");
                return deaths;
            }
            deaths += 1;
            assert!(deaths < 20, "it does not end");
        }
    }

    fn set_aside(store: &Memory) -> Vec<u64> {
        passed_over(store).unwrap().into_iter().map(|position| position.0).collect()
    }

    #[test]
    fn the_third_death_of_a_fact_sets_it_aside_with_its_bytes_and_no_other() {
        // One fact; few; as many as three levels tell apart; one more.
        for (count, poison, expected) in [(1, 1, 3), (40, 40, 3), (4_096, 1, 3), (4_097, 2_000, 4)] {
            let store = log_of(count);
            assert_eq!(deaths(&store, 1, is(poison)), expected, "of {count}");
            assert_eq!(set_aside(&store), [poison]);
            let records = store.list(&QuarantineFilter::default(), None, 10).unwrap().records;
            let record = records.first().unwrap();
            assert_eq!((records.len(), record.reason.as_str(), u64::from(record.attempts)), (1, POISON, DEATHS_MAX));
            assert_eq!(record.source_position, poison.to_string().as_bytes());
            assert!(is(poison)(&read(&store.raw(record.id).unwrap()).unwrap().source_key()));
            assert_eq!(deaths(&store, 1, is(poison)), 0, "the next start is as any other");
        }
    }

    #[test]
    fn several_are_set_aside_one_after_the_other() {
        let store = log_of(100);
        let kills = |key: &SourceKey| [20, 21, 90].iter().any(|record| is(*record)(key));
        assert_eq!(deaths(&store, 10, kills), 9);
        assert_eq!(set_aside(&store), [20, 21, 90]);
    }

    #[test]
    fn deaths_that_no_fact_is_the_cause_of_set_none_aside() {
        let store = log_of(500);
        for _ in 0..5 {
            // The first two starts end at different facts, the third comes through.
            for (record, lives) in [(400, false), (7, false), (0, true)] {
                assert_eq!(start(&store, 1, is(record)).1, lives);
            }
        }
        assert!(set_aside(&store).is_empty() && !is_noted(&store).unwrap());
    }

    #[test]
    fn no_fact_is_accused_where_memory_was_short_until_there_is_more() {
        let store = log_of(40);
        let end = |room| start_within(&store, 1, room, is(30)).1.unwrap_err().to_string();
        for _ in 0..DEATHS_MAX {
            assert_eq!(end(SHORT), "dead");
        }
        for _ in 0..2 {
            let error = end(SHORT);
            assert!(error.contains("ended 3 times at position 30") && error.contains("give it more memory"), "{error}");
        }
        assert!(set_aside(&store).is_empty());
        // With more memory it is applied once more. It comes through, or it is the fact after all.
        let (applied, lived) = start_within(&store, 1, ENOUGH, is(0));
        assert!(lived.is_ok() && applied.len() == 40 && !is_noted(&store).unwrap());
        for _ in 0..DEATHS_MAX {
            assert_eq!(end(SHORT), "dead");
        }
        assert_eq!(end(ENOUGH), "dead");
        assert!(set_aside(&store).is_empty());
        assert!(start(&store, 1, is(30)).1);
        assert_eq!(set_aside(&store), [30]);
    }

    #[test]
    fn a_note_of_an_earlier_version_says_nothing_of_memory() {
        let store = log_of(3);
        let mut noted = Vec::new();
        [2, 2, DEATHS_MAX - 1].into_iter().for_each(|number| put_u64(&mut noted, number));
        note(&store, noted).unwrap();
        assert!(start_within(&store, 1, SHORT, is(2)).1.is_ok());
        assert_eq!(set_aside(&store), [2]);
    }

    #[test]
    fn a_note_of_facts_that_are_in_the_rows_counts_for_nothing() {
        let store = log_of(10);
        for _ in 0..2 {
            assert!(!start(&store, 3, is(3)).1);
        }
        assert!(is_noted(&store).unwrap());
        assert_eq!(deaths(&store, 4, is(4)), 3, "what was noted of the fact before does not count");
        assert_eq!(set_aside(&store), [4]);
    }

    #[test]
    fn a_log_that_is_applied_already_is_not_noted() {
        let store = log_of(2);
        assert_eq!(start(&store, 3, is(0)), (Vec::new(), true));
        assert_eq!(store.source(NOTE).unwrap(), None);
    }
}
