//! How the partitions of the rows come to stand at one commit again, whatever some of them lost.
//!
//! Partition 0 says at which commit each partition stands. What a partition holds is a function of the
//! commit that it stands at, so rows agree where every partition stands as it is said to. Nodes of a
//! cluster lose what they acknowledged each by itself; then one of three things makes them agree:
//!
//! 1. partitions go on to where they are said to stand, by parts that still lie there, or go back to it
//!    by what they kept of the commit before;
//! 2. the last commit over several partitions is taken back, and with it the position;
//! 3. the rows are dropped, to be built again from the log.
//!
//! Every step is a script that first compares what was seen, so any process may take it, at any time and
//! again: who comes late changes nothing.

use std::collections::BTreeMap;

use crate::{Error, Position, Result};

/// What partition 0 says of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Truth {
    /// Epoch of the newest owner; none if there was none.
    pub(super) epoch: Option<u64>,
    /// Id of the last commit.
    pub(super) commit: String,
    pub(super) applied: Position,
    pub(super) staged: Staged,
    /// Number of partitions, if one is recorded.
    pub(super) partitions: Option<u32>,
    /// Commit that each partition stands at; none stands where nothing was committed yet.
    pub(super) stands: BTreeMap<usize, String>,
    /// Where the partitions of the last commit over several of them stood before it; none if it was taken
    /// back already.
    pub(super) stood: Option<BTreeMap<usize, String>>,
}

/// What is not in the rows yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Staged {
    /// Everything is.
    #[default]
    Nothing,
    /// Partitions and how many parts of the last commit were laid aside there.
    Parts(BTreeMap<usize, usize>),
    /// Partitions may have to go back.
    Back,
    /// Parts of a version that knew no partitions.
    Unnamed,
}

/// Where a partition stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u64,
    /// Commit that its rows are of.
    pub(super) at: String,
    /// The one that it can go back to.
    pub(super) before: Option<String>,
    /// Whether it is on its way to `at`, or back from there.
    pub(super) is_folding: bool,
    pub(super) is_undoing: bool,
    /// Commit that its parts belong to, and their names in order.
    pub(super) staging: String,
    pub(super) parts: Vec<String>,
}

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: the rows are of one commit.
    Agreed,
    /// Parts are named as this version names them.
    Adopt,
    /// Each of these partitions takes its step.
    Steps(Vec<(usize, Step)>),
    /// All partitions stand as they are said to: that is noted.
    Note,
    /// The last commit over several partitions is taken back.
    Back,
    /// The rows are dropped.
    Drop,
}

/// What a partition does to stand where it is said to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Puts its parts into the rows; it stood at `before`.
    Fold { before: String, count: usize },
    /// Goes back by one commit, or drops parts of `from`.
    Undo { from: String, to: String },
    /// Drops its rows.
    Wipe,
}

impl Truth {
    /// Reads what a script answers: fields of the head, then where partitions stand and stood.
    pub(super) fn of((head, stands, stood): (Vec<String>, Vec<String>, Vec<String>)) -> Result<Truth> {
        let [epoch, commit, applied, staged, partitions, was] = head.as_slice() else {
            return Err(unread(&head.join(" ")));
        };
        let number = |text: &String| if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
        let number = |text| number(text).map_err(|_: std::num::ParseIntError| unread(text));
        Ok(Truth {
            epoch: number(epoch)?,
            commit: commit.clone(),
            applied: Position(number(applied)?.unwrap_or(0)),
            staged: Staged::of(staged).ok_or_else(|| unread(staged))?,
            partitions: number(partitions)?.and_then(|count: u64| u32::try_from(count).ok()),
            stands: by_partition(&stands)?,
            stood: if was.is_empty() { None } else { Some(by_partition(&stood)?) },
        })
    }

    /// Commit that a partition is said to stand at.
    pub(super) fn stand_of(&self, partition: usize) -> &str {
        self.stands.get(&partition).map_or("", String::as_str)
    }
}

fn by_partition(pairs: &[String]) -> Result<BTreeMap<usize, String>> {
    let (pairs, _) = pairs.as_chunks::<2>();
    pairs.iter().map(|[key, id]| Ok((key.parse().map_err(|_| unread(key))?, id.clone()))).collect()
}

fn unread(found: &str) -> Error {
    Error::damaged("the head of the rows in Redis", format!("it says {found:?}, which no version has written"))
}

impl Staged {
    fn of(text: &str) -> Option<Staged> {
        match text {
            "" => return Some(Staged::Nothing),
            "back" => return Some(Staged::Back),
            count if count.parse::<usize>().is_ok() => return Some(Staged::Unnamed),
            _ => {}
        }
        let parts = text.split(' ').map(|part| {
            let (partition, count) = part.split_once(':')?;
            Some((partition.parse().ok()?, count.parse().ok()?))
        });
        parts.collect::<Option<_>>().map(Staged::Parts)
    }

    /// As heads hold parts.
    pub(super) fn text(parts: &BTreeMap<usize, usize>) -> String {
        let parts: Vec<_> = parts.iter().map(|(partition, count)| format!("{partition}:{count}")).collect();
        parts.join(" ")
    }
}

impl Place {
    /// Reads what a script answers: fields of the head, then the names of parts.
    pub(super) fn of(answer: Vec<String>) -> Result<Place> {
        let mut fields = answer.into_iter();
        let mut field = || fields.next().unwrap_or_default();
        let (epoch, at, before) = (field(), field(), field());
        let (is_folding, is_undoing) = (!field().is_empty(), !field().is_empty());
        let (staging, has_before) = (field(), !field().is_empty());
        let epoch = if epoch.is_empty() { 0 } else { epoch.parse().map_err(|_| unread(&epoch))? };
        let mut parts: Vec<String> = fields.collect();
        // Later parts may change the same rows as earlier ones.
        parts.sort_by_key(|name| (name.len(), name.clone()));
        Ok(Place { epoch, at, before: has_before.then_some(before), is_folding, is_undoing, staging, parts })
    }

    /// What leads to `target`: none if nothing does, and no step if it stands there. `sealed` is how many
    /// parts of the commit `target` were laid aside here, and where the partition stood before it.
    fn step_to(&self, target: &str, sealed: Option<(usize, &str)>) -> Option<Option<Step>> {
        let (from, to) = (self.at.clone(), target.to_owned());
        let can_go_back = self.before.as_deref() == Some(target);
        if !self.is_undoing && self.at == target {
            let fold = Step::Fold { before: String::new(), count: self.parts.len() };
            return Some(self.is_folding.then_some(fold));
        }
        if let Some((count, before)) = sealed.filter(|(_, before)| !self.is_undoing && self.at == *before)
            && (self.staging == target && self.parts.len() == count)
        {
            return Some(Some(Step::Fold { before: before.to_owned(), count }));
        }
        match (can_go_back, target) {
            (true, _) => Some(Some(Step::Undo { from, to })),
            (false, "") => Some(Some(Step::Wipe)),
            (false, _) => None,
        }
    }
}

/// What makes the partitions agree, or leads there.
pub(super) fn plan(truth: &Truth, places: &[Place]) -> Plan {
    if truth.staged == Staged::Unnamed {
        return Plan::Adopt;
    }
    let steps = places.iter().enumerate().map(|(index, place)| {
        let target = truth.stand_of(index);
        let sealed = match &truth.staged {
            Staged::Parts(parts) => parts.get(&index).filter(|_| target == truth.commit).map(|count| {
                let before = truth.stood.as_ref().and_then(|stood| stood.get(&index)).map_or("", String::as_str);
                (*count, before)
            }),
            Staged::Nothing | Staged::Back | Staged::Unnamed => None,
        };
        let step = place.step_to(target, sealed)?;
        // Nobody can seal what lies aside while the rows go back; left there, it might be folded late.
        let is_left = truth.staged == Staged::Back && !place.staging.is_empty();
        Some(step.or_else(|| is_left.then(|| Step::Undo { from: place.staging.clone(), to: target.to_owned() })))
    });
    if let Some(steps) = steps.collect::<Option<Vec<_>>>() {
        let steps: Vec<_> = steps.into_iter().enumerate().filter_map(|(index, step)| Some((index, step?))).collect();
        return match (steps.is_empty(), &truth.staged) {
            (false, _) => Plan::Steps(steps),
            (true, Staged::Nothing) => Plan::Agreed,
            (true, Staged::Parts(_) | Staged::Back | Staged::Unnamed) => Plan::Note,
        };
    }
    let may_go_back = truth.stood.as_ref().is_some_and(|stood| {
        let target = |index| stood.get(&index).map_or_else(|| truth.stand_of(index), String::as_str);
        places.iter().enumerate().all(|(index, place)| place.step_to(target(index), None).is_some())
    });
    if may_go_back { Plan::Back } else { Plan::Drop }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stands(ids: &[&str]) -> BTreeMap<usize, String> {
        ids.iter().map(|id| (*id).to_owned()).enumerate().collect()
    }

    /// A store of three partitions, of which 0 and 1 are in its last commit, `k`.
    fn truth(staged: Staged) -> Truth {
        let (commit, stood) = ("k".to_owned(), Some(stands(&["j", "i"])));
        Truth { commit, staged, stands: stands(&["k", "k", "j"]), stood, ..Truth::default() }
    }

    fn at(id: &str, before: Option<&str>) -> Place {
        Place { at: id.to_owned(), before: before.map(str::to_owned), ..Place::default() }
    }

    fn agreed() -> [Place; 3] {
        [at("k", Some("j")), at("k", Some("i")), at("j", Some("h"))]
    }

    fn check(staged: Staged, places: [Place; 3], expected: &Plan) {
        assert_eq!(plan(&truth(staged), &places), *expected, "{places:?}");
    }

    fn undo(index: usize, from: &str, to: &str) -> Plan {
        Plan::Steps(vec![(index, Step::Undo { from: from.to_owned(), to: to.to_owned() })])
    }

    #[test]
    fn partitions_that_stand_where_they_are_said_to_agree() {
        check(Staged::Nothing, agreed(), &Plan::Agreed);
        let parts = Staged::Parts([(0, 1), (1, 2)].into());
        check(parts, agreed(), &Plan::Note);
        check(Staged::Back, agreed(), &Plan::Note);
        check(Staged::Unnamed, agreed(), &Plan::Adopt);
    }

    #[test]
    fn parts_that_lie_there_whole_are_folded_and_others_take_the_commit_back() {
        let parts = || Staged::Parts([(0, 1), (1, 2)].into());
        let with_parts = |count| {
            let parts = (0..count).map(|part| format!("part:{part}")).collect();
            let waiting = Place { staging: "k".to_owned(), parts, ..at("i", Some("h")) };
            let [zero, _, two] = agreed();
            [zero, waiting, two]
        };
        let fold = Step::Fold { before: "i".to_owned(), count: 2 };
        check(parts(), with_parts(2), &Plan::Steps(vec![(1, fold)]));
        check(parts(), with_parts(1), &Plan::Back);
        check(parts(), with_parts(0), &Plan::Back);
        check(Staged::Back, with_parts(1), &Plan::Back);
        let [zero, one, two] = agreed();
        let half = Place { is_folding: true, parts: vec!["part:1".to_owned()], ..one };
        let fold = Step::Fold { before: String::new(), count: 1 };
        check(parts(), [zero, half, two], &Plan::Steps(vec![(1, fold)]));
    }

    #[test]
    fn one_that_went_back_by_a_commit_takes_all_back_and_one_that_is_ahead_goes_back() {
        let [zero, one, two] = agreed();
        check(Staged::Nothing, [zero.clone(), at("i", Some("h")), two.clone()], &Plan::Back);
        check(Staged::Nothing, [zero.clone(), one.clone(), at("l", Some("j"))], &undo(2, "l", "j"));
        let half = Place { is_undoing: true, ..at("l", Some("j")) };
        check(Staged::Nothing, [zero.clone(), one.clone(), half], &undo(2, "l", "j"));
        for lost in [at("h", Some("g")), at("", None), at("m", Some("l"))] {
            check(Staged::Nothing, [zero.clone(), lost.clone(), two.clone()], &Plan::Drop);
            check(Staged::Nothing, [zero.clone(), one.clone(), lost], &Plan::Drop);
        }
    }

    #[test]
    fn what_was_dropped_or_never_there_is_wiped_everywhere() {
        let truth = Truth { staged: Staged::Back, ..Truth::default() };
        let left = Place { staging: "k".to_owned(), ..at("", None) };
        let steps = vec![
            (0, Step::Wipe),
            (1, Step::Undo { from: "a".to_owned(), to: String::new() }),
            (2, Step::Undo { from: "k".to_owned(), to: String::new() }),
        ];
        assert_eq!(plan(&truth, &[at("k", Some("j")), at("a", Some("")), left]), Plan::Steps(steps));
    }

    #[test]
    fn heads_are_read_as_they_are_written() {
        let parts = BTreeMap::from([(0, 1), (12, 3)]);
        assert_eq!(Staged::of(&Staged::text(&parts)), Some(Staged::Parts(parts)));
        assert_eq!((Staged::of("3"), Staged::of("back")), (Some(Staged::Unnamed), Some(Staged::Back)));
        for wrong in ["0:", "x:1", "0:1,2", "0:1 "] {
            assert_eq!(Staged::of(wrong), None, "{wrong}");
        }
        let head = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
        let read = |fields: &[&str]| Truth::of((head(fields), head(&["0", "2/1"]), Vec::new()));
        let truth = read(&["2", "2/1", "7", "", "4", ""]).unwrap();
        assert_eq!((truth.epoch, truth.applied, truth.partitions), (Some(2), Position(7), Some(4)));
        assert_eq!((truth.stand_of(0), truth.stand_of(1), truth.stood.is_none()), ("2/1", "", true));
        assert!(read(&["x", "", "", "", "", ""]).is_err());
        assert!(read(&["2"]).is_err());
        let place = Place::of(head(&["2", "2/1", "", "1", "", "2/1", "1", "part:10", "part:9"])).unwrap();
        assert_eq!(
            (place.before.as_deref(), place.is_folding, place.parts),
            (Some(""), true, head(&["part:9", "part:10"]))
        );
    }
}
