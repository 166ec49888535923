//! Rows, outbox and applied position in Redis, in partitions, each below a hash tag of its own.
//!
//! | key | what |
//! |---|---|
//! | `{NAME:0}:head` | epoch of the owner, id of the last commit, applied position, parts not yet folded, number of partitions |
//! | `{NAME:0}:stands`, `{NAME:0}:stood` | the commit that each partition stands at, and stood at before the last one |
//! | `{NAME:0}:starts` | how often each process has begun to start and not come through |
//! | `{NAME:P}:head` | epoch of the owner, the commit that the rows here are of and the one before it |
//! | `{NAME:P}:rows:TABLE`, `{NAME:P}:keys:TABLE` | a hash of values and the order of their keys; the outbox is a table |
//! | `{NAME:P}:part:N`, `{NAME:P}:parts` | parts of a commit, and which there are |
//! | `{NAME:P}:past` | what the last commit over several partitions has overwritten |
//!
//! A commit of what lies in partition 0 is one script. Any other is laid aside in parts below the tags
//! of its partitions, and sealed in partition 0 by one short script, which is the instant at which it
//! holds. Folding the parts into the rows can be done again after any failure, by anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use redis::{Cmd, cmd};

use super::agreement::{self, Place, Plan, Staged, Truth};
use super::keys::{self, Keys, OUTBOX, Partition, number, script, split, step};
use super::options::DistributedOptions;
use super::redis::Line;
use crate::{Changes, Error, Position, Result};

/// Most commands that are sent before an answer is waited for: each is a script of a megabyte at the most.
const SENT_MAX: usize = 16;
/// Rows that a script takes back.
const UNDO_ROWS: usize = 2_000;
/// How often partitions are looked at before it is given up that they agree: each time somebody has
/// changed them meanwhile, or they have come nearer to it.
const LOOKS_MAX: usize = 1_000;
/// Scripts that share functions begin with them.
const COMMIT: &str = concat!(include_str!("apply.lua"), include_str!("commit.lua"));
const STAGE: &str = concat!(include_str!("forget.lua"), include_str!("stage.lua"));
const FOLD: &str = concat!(include_str!("apply.lua"), include_str!("fold.lua"));
const UNDO: &str = concat!(include_str!("forget.lua"), include_str!("undo.lua"));
const WIPE: &str = concat!(include_str!("forget.lua"), include_str!("wipe.lua"));
const DROP: &str = concat!(include_str!("forget.lua"), include_str!("drop.lua"));
const ENTER: &str = concat!(include_str!("forget.lua"), include_str!("enter.lua"));

/// The rows of a store.
pub(super) struct RedisRows {
    pub(super) line: Line,
    pub(super) keys: Keys,
    name: String,
    /// Where the owner's commits stand; none of a process that owns nothing. Whoever holds it writes.
    stand: Mutex<Option<Stand>>,
}

/// Where an owner's commits stand.
pub(super) struct Stand {
    epoch: u64,
    /// Position and id of the last commit.
    pub(super) applied: Position,
    commit: String,
    /// Commits that were begun: no id is used twice.
    begun: u64,
    /// The commit that each partition stands at.
    stands: BTreeMap<usize, String>,
}

/// A commit under way: its parts by partition, and how the heads name it.
struct Begun {
    id: String,
    before: String,
    places: [String; 2],
    parts: BTreeMap<usize, Vec<Vec<keys::Step>>>,
}

impl Stand {
    /// The commit that a partition stands at.
    fn at(&self, partition: usize) -> &str {
        self.stands.get(&partition).map_or("", String::as_str)
    }
}

impl Begun {
    /// Whether all of it lies in partition 0, and is not too much for one script.
    fn is_one_script(&self) -> bool {
        self.parts.iter().all(|(partition, parts)| *partition == 0 && parts.len() <= 1)
    }
}

/// Whether the log still holds every fact, so that rows may be built again from it.
pub(super) type KeepsAll<'a> = &'a dyn Fn() -> Result<bool>;

impl RedisRows {
    /// Rows in so many partitions, to be read; they can be claimed later.
    pub(super) fn open(options: &DistributedOptions, partitions: u32) -> Result<Self> {
        let (line, keys) = (Line::open(options)?, Keys::of(&options.name, partitions));
        check_memory(&line, &keys)?;
        Ok(RedisRows { line, keys, name: options.name.clone(), stand: Mutex::new(None) })
    }

    /// Claims the rows with an epoch above every one known, and brings partitions to agree. Gives the
    /// epoch and the position that the rows stand at.
    pub(super) fn claim(&self, known_epoch: u64, keeps_all: KeepsAll<'_>) -> Result<(u64, Position)> {
        let epochs = self.places()?.into_iter().map(|place| place.epoch);
        let known = epochs.fold(known_epoch, u64::max);
        let mut claim = script(include_str!("claim.lua"), [&self.keys.first().head]);
        let answer: Vec<String> = self.line.ask("claim the rows", claim.arg(known).arg(self.keys.count()))?;
        let epoch = match answer.as_slice() {
            [done, epoch] if done == "done" => epoch.parse().ok(),
            [_, partitions] => return Err(other_number(&self.name, partitions, self.keys.count())),
            _ => None,
        };
        let epoch = epoch.ok_or_else(|| Error::Stop { cause: format!("Redis answers {answer:?} to a claim") })?;
        crate::crash::point("distributed.claim.partitions");
        let truth = self.agree(keeps_all)?;
        let enter = |partition: &Partition| script(ENTER, [&partition.head, &partition.parts]).arg(epoch).to_owned();
        self.all_done(epoch, &self.keys.partitions.iter().map(enter).collect::<Vec<_>>())?;
        let Truth { applied, commit, stands, .. } = truth;
        *self.stand() = Some(Stand { epoch, applied, commit, begun: 0, stands });
        Ok((epoch, applied))
    }

    pub(super) fn stand(&self) -> MutexGuard<'_, Option<Stand>> {
        self.stand.lock().expect("no call panics while it writes")
    }

    /// Whether this process has not claimed the rows. An owner at work holds the lock.
    pub(super) fn is_anothers(&self) -> bool {
        self.stand.try_lock().is_ok_and(|stand| stand.is_none())
    }

    /// What Redis says of a store of this name, claiming nothing.
    pub(super) fn look(options: &DistributedOptions) -> Result<Truth> {
        truth_of(&Line::open(options)?, &Keys::of(&options.name, 1))
    }

    pub(super) fn truth(&self) -> Result<Truth> {
        let truth = truth_of(&self.line, &self.keys)?;
        match truth.partitions {
            Some(found) if found as usize != self.keys.count() => {
                Err(other_number(&self.name, &found.to_string(), self.keys.count()))
            }
            Some(_) | None => Ok(truth),
        }
    }

    /// Where every partition stands.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        let ask = |partition: &Partition| script(include_str!("place.lua"), [&partition.head, &partition.parts]);
        let asks: Vec<Cmd> = self.keys.partitions.iter().map(ask).collect();
        let answers: Vec<Vec<String>> = self.line.ask_all("look at the rows", &asks)?;
        answers.into_iter().map(Place::of).collect()
    }

    /// Removes every key of a store in so many partitions.
    pub(super) fn remove(options: &DistributedOptions, partitions: u32) -> Result<()> {
        let (line, keys) = (Line::open(options)?, Keys::of(&options.name, partitions));
        let text = "for _, part in ipairs(redis.call('SMEMBERS', KEYS[1])) do redis.call('UNLINK', part) end \
                    for _, key in ipairs(KEYS) do redis.call('UNLINK', key) end return 1";
        let ask = |(index, partition): (usize, &Partition)| {
            let of_all = [&keys.stands, &keys.stood, &keys.starts].into_iter().filter(|_| index == 0);
            let own = [&partition.parts, &partition.head, &partition.past].into_iter();
            script(text, own.chain(of_all).chain(partition.tables()))
        };
        let asks: Vec<Cmd> = keys.partitions.iter().enumerate().map(ask).collect();
        line.ask_all::<u64>("remove the rows", &asks).map(drop)
    }

    /// Counts that a member begins to start, and gives how often it did since it last came through.
    pub(super) fn begin_start(&self, member: &str) -> Result<u64> {
        self.line.ask("count a start", cmd("HINCRBY").arg(&self.keys.starts).arg(member).arg(1))
    }

    /// A member has come through.
    pub(super) fn end_start(&self, member: &str) -> Result<()> {
        self.line.ask::<u64>("count a start", cmd("HDEL").arg(&self.keys.starts).arg(member)).map(drop)
    }

    /// Commits changes of a log that ends at `last`.
    pub(super) fn commit(&self, changes: Changes, last: Position) -> Result<()> {
        let mut held = self.stand();
        let stand = held.as_mut().ok_or(Error::NotOwner)?;
        changes.check(stand.applied, last)?;
        let applied = changes.applied.unwrap_or(stand.applied);
        let begun = self.begin(stand, changes, applied);
        crate::crash::point("distributed.rows.before_commit");
        if begun.is_one_script() {
            self.commit_at_once(stand, &begun)?;
        } else {
            self.commit_parts(stand, &begun)?;
            stand.stands.extend(begun.parts.keys().map(|partition| (*partition, begun.id.clone())));
        }
        crate::crash::point("distributed.rows.after_commit");
        (stand.applied, stand.commit) = (applied, begun.id);
        Ok(())
    }

    /// The next commit.
    fn begin(&self, stand: &mut Stand, changes: Changes, applied: Position) -> Begun {
        stand.begun += 1;
        let mut begun = Begun {
            id: format!("{}/{}", stand.epoch, stand.begun),
            before: stand.commit.clone(),
            places: [stand.applied.0.to_string(), applied.0.to_string()],
            parts: self.parts_of(changes),
        };
        if !begun.is_one_script() {
            // Partition 0 takes part in each over several, so that it can go back with the others.
            begun.parts.entry(0).or_insert_with(|| vec![Vec::new()]);
        }
        begun
    }

    /// Changes by partition, in parts that one script may take.
    fn parts_of(&self, changes: Changes) -> BTreeMap<usize, Vec<Vec<keys::Step>>> {
        let rows = changes.rows.into_iter().map(|(table, write)| (number(table), write));
        let mut steps: BTreeMap<usize, Vec<keys::Step>> = BTreeMap::new();
        for (table, write) in rows.chain(changes.outbox.into_iter().map(|write| (OUTBOX, write))) {
            steps.entry(self.keys.place_of(table, &write.0)).or_default().push(step(table, write));
        }
        steps.into_iter().map(|(partition, steps)| (partition, split(steps))).collect()
    }

    /// Whether partitions keep what a commit overwrites: one alone never has to agree with another.
    fn keeps_past(&self) -> &'static str {
        if self.keys.count() > 1 { "1" } else { "0" }
    }

    fn commit_at_once(&self, stand: &Stand, begun: &Begun) -> Result<()> {
        let first = self.keys.first();
        let mut commit = script(COMMIT, [&first.head, &first.past].into_iter().chain(first.tables()));
        commit.arg(stand.epoch).arg(&begun.before).arg(&begun.id).arg(&begun.places).arg(self.keeps_past());
        for step in begun.parts.values().flatten().flatten() {
            commit.arg(step);
        }
        self.all_done(stand.epoch, &[commit])
    }

    fn commit_parts(&self, stand: &Stand, begun: &Begun) -> Result<()> {
        self.stage(stand, begun)?;
        crate::crash::point("distributed.rows.before_seal");
        self.seal(stand, begun)?;
        crate::crash::point("distributed.rows.after_seal");
        let (first, others): (Vec<usize>, _) = begun.parts.keys().partition(|partition| **partition == 0);
        for some in [others, first] {
            self.fold(stand, begun, &some)?;
            crate::crash::point("distributed.rows.folding");
        }
        self.all_done(stand.epoch, &[self.folded(&begun.id)])
    }

    /// Lays all parts aside.
    fn stage(&self, stand: &Stand, begun: &Begun) -> Result<()> {
        let mut stages = Vec::new();
        for (partition, parts) in &begun.parts {
            let keys = &self.keys.partitions[*partition];
            for (index, part) in parts.iter().enumerate() {
                let mut stage = script(STAGE, [&keys.head, &keys.parts, &keys.part(index)]);
                stage.arg(stand.epoch).arg(&begun.id).arg(stand.at(*partition));
                for step in part {
                    stage.arg(step);
                }
                stages.push(stage);
            }
        }
        self.all_done(stand.epoch, &stages)
    }

    /// Makes what lies aside hold.
    fn seal(&self, stand: &Stand, begun: &Begun) -> Result<()> {
        let counts: BTreeMap<usize, usize> = begun.parts.iter().map(|(place, parts)| (*place, parts.len())).collect();
        let first = self.keys.first();
        let mut seal =
            script(include_str!("seal.lua"), [&first.head, &self.keys.stands, &self.keys.stood, &first.parts]);
        seal.arg(stand.epoch).arg(&begun.before).arg(&begun.id).arg(&begun.places).arg(self.keeps_past());
        seal.arg(Staged::text(&counts)).arg(counts[&0]);
        for partition in counts.keys() {
            seal.arg(*partition);
        }
        self.all_done(stand.epoch, &[seal])
    }

    /// Puts what lies aside in these partitions into their rows.
    fn fold(&self, stand: &Stand, begun: &Begun, partitions: &[usize]) -> Result<()> {
        let rounds = partitions.iter().map(|partition| begun.parts[partition].len()).max().unwrap_or(0);
        // Part by part: a later one may change the same rows, and nodes may take them in another order.
        for round in 0..rounds {
            let with_it = partitions.iter().filter(|partition| begun.parts[partition].len() > round);
            let folds = with_it.map(|partition| {
                let name = self.keys.partitions[*partition].part(round);
                self.fold_of(*partition, &name, &begun.id, stand.at(*partition), begun.parts[partition].len())
            });
            self.all_done(stand.epoch, &folds.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The script that puts one of `count` parts into the rows of a partition, which stood at `before`.
    fn fold_of(&self, partition: usize, part: &String, id: &str, before: &str, count: usize) -> Cmd {
        let keys = &self.keys.partitions[partition];
        let own = [&keys.head, &keys.parts, part, &keys.past].into_iter();
        let mut fold = script(FOLD, own.chain(keys.tables()));
        fold.arg(id).arg(before).arg(count).arg(self.keeps_past()).to_owned()
    }

    fn folded(&self, commit: &str) -> Cmd {
        script(include_str!("folded.lua"), [&self.keys.first().head]).arg(commit).to_owned()
    }

    /// Runs scripts, some at a time, each of which says `done`, or why not.
    fn all_done(&self, own_epoch: u64, scripts: &[Cmd]) -> Result<()> {
        for some in scripts.chunks(SENT_MAX) {
            let answers: Vec<Vec<String>> = self.line.ask_all("commit rows", some)?;
            answers.iter().try_for_each(|answer| judge(own_epoch, answer))?;
        }
        Ok(())
    }

    /// Brings the partitions to stand at one commit, and gives what partition 0 then says.
    pub(super) fn agree(&self, keeps_all: KeepsAll<'_>) -> Result<Truth> {
        for _ in 0..LOOKS_MAX {
            let truth = self.truth()?;
            let places = self.places()?;
            // What was seen in between is of one commit only if none was sealed meanwhile.
            if self.truth()? != truth {
                continue;
            }
            let asks = match agreement::plan(&truth, &places) {
                Plan::Agreed => return Ok(truth),
                Plan::Steps(steps) => self.asks_of(&truth, &places, &steps),
                Plan::Note => vec![self.folded(&truth.commit)],
                plan @ (Plan::Adopt | Plan::Back | Plan::Drop) => {
                    vec![self.change_of(&plan, &truth.commit, keeps_all)?]
                }
            };
            for some in asks.chunks(SENT_MAX) {
                // Whatever one of them refuses is seen by the next look.
                self.line.ask_all::<Vec<String>>("make the rows agree", some)?;
            }
        }
        let cause = "its partitions were changed again and again while they were looked at".to_owned();
        Err(Error::Unreachable { doing: "make the rows agree", server: "Redis", cause, retry_after_ms: 1_000 })
    }

    /// Scripts by which partitions take their steps.
    fn asks_of(&self, truth: &Truth, places: &[Place], steps: &[(usize, agreement::Step)]) -> Vec<Cmd> {
        let mut asks = Vec::new();
        for (index, step) in steps {
            let (keys, place) = (&self.keys.partitions[*index], &places[*index]);
            let own = [&keys.head, &keys.parts, &keys.past].into_iter().chain(keys.tables());
            match step {
                agreement::Step::Fold { before, count } => {
                    let part = place.parts.first();
                    asks.extend(part.map(|part| self.fold_of(*index, part, truth.stand_of(*index), before, *count)));
                }
                agreement::Step::Undo { from, to } => {
                    tracing::warn!(partition = index, from, to, "a partition of the rows goes back by a commit");
                    asks.push(script(UNDO, own).arg(from).arg(to).arg(UNDO_ROWS).to_owned());
                }
                agreement::Step::Wipe => asks.push(script(WIPE, own).arg(&place.at).to_owned()),
            }
        }
        asks
    }

    /// The script that changes what partition 0 says.
    fn change_of(&self, plan: &Plan, commit: &str, keeps_all: KeepsAll<'_>) -> Result<Cmd> {
        let (first, Keys { stands, stood, .. }) = (self.keys.first(), &self.keys);
        let mut change = match plan {
            Plan::Adopt => script(include_str!("adopt.lua"), [&first.head, stands, &first.parts]),
            Plan::Back => {
                tracing::warn!("partitions of the rows stand apart: the last commit is taken back");
                script(include_str!("unseal.lua"), [&first.head, stands, stood])
            }
            Plan::Agreed | Plan::Steps(_) | Plan::Note | Plan::Drop => {
                if !keeps_all()? {
                    let why = "their partitions stand at different commits and the log no longer holds all facts";
                    return Err(Error::damaged(format!("the rows of {} in Redis", self.name), why));
                }
                tracing::warn!("partitions of the rows stand apart: the rows are built again from the log");
                let own = [&first.head, &first.parts, stands, stood, &first.past].into_iter();
                script(DROP, own.chain(first.tables()))
            }
        };
        Ok(change.arg(commit).to_owned())
    }
}

fn truth_of(line: &Line, keys: &Keys) -> Result<Truth> {
    let ask = script(include_str!("truth.lua"), [&keys.first().head, &keys.stands, &keys.stood]);
    Truth::of(line.ask("look at the rows", &ask)?)
}

/// What it means that a script did not do its work.
fn judge(own_epoch: u64, answer: &[String]) -> Result<()> {
    let stopped = |cause: String| Err(Error::Stop { cause });
    match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // Folded by a reader, or by the owner before.
        ["done" | "folded"] => Ok(()),
        ["fenced", ""] => stopped("Redis has lost the rows: they are built again from the log".to_owned()),
        ["fenced", epoch] if epoch.parse().is_ok_and(|epoch: u64| epoch < own_epoch) => {
            stopped(format!("Redis has gone back to rows of epoch {epoch}, and this owner's is {own_epoch}"))
        }
        ["fenced", epoch] => {
            stopped(format!("the owner of epoch {epoch} has taken the rows over from epoch {own_epoch}"))
        }
        other => stopped(format!("Redis holds other rows than this owner wrote ({other:?})")),
    }
}

/// The refusal of a store whose rows lie in another number of partitions.
pub(super) fn other_number(name: &str, found: &str, wanted: usize) -> Error {
    Error::Unfit {
        what: format!("the store {name} with store.distributed.partitions = {wanted}"),
        found: format!("its rows lie in {found}"),
        needed: format!("{found}: write that, or stop every hub and move the rows with `opshub repartition`"),
    }
}

/// Redis must refuse writes when its memory is full, not forget rows.
fn check_memory(line: &Line, keys: &Keys) -> Result<()> {
    // Asked by scripts, so that the nodes answer that hold the rows.
    let ask = |partition: &Partition| script("return redis.call('INFO', 'memory')", [&partition.head]);
    let asks: Vec<Cmd> = keys.partitions.iter().map(ask).collect();
    for info in line.ask_all::<String>("look at Redis's memory", &asks)? {
        let policy = info.lines().find_map(|text| text.strip_prefix("maxmemory_policy:")).map_or("unknown", str::trim);
        if policy != "noeviction" {
            let what = "maxmemory-policy of Redis".to_owned();
            return Err(Error::Unfit { what, found: policy.to_owned(), needed: "noeviction".to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "histories.rs"]
mod histories;
