//! Clusters of one component (spec 4.4): accepted pairs in a fixed order, each union made unless it
//! would bring a vetoed pair together.

use std::cmp::Reverse;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::compare::compare;
use crate::feature::{Feature, Level, Levels};
use crate::graph::{Graph, Pair, pair};
use crate::index::Slot;
use crate::model::Model;
use crate::score::{Circumstances, Standing, score};

/// Evidence below this says by more than 250 to one that two rows are two parties.
const CONTRADICTION_MILLIBITS: i32 = -8_000;

/// Of two parties that a row may be one of at most, the better is certain enough for a link if it leads
/// the other by this much: 19 to 1.
const RIVAL_LEAD_MILLIBITS: i32 = 4_250;

/// Rows that a group has at least before it is asked how well it holds together.
const COHESIVE_ROWS_MIN: usize = 4;

/// How much less alike than within themselves two groups may be, on average over their pairs.
const COHESION_MILLIBITS: i64 = 12_000;

/// Which records take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Records of Salesforce, Oracle and SAP: what a caller's number is judged by.
    WithoutCallers,
    /// All records.
    All,
}

/// Clusters of a component.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// Members of each cluster, sorted by key; clusters by their smallest member.
    pub(crate) clusters: Vec<Vec<Slot>>,
    /// Accepted pairs whose union would have held a vetoed pair.
    pub(crate) refused: HashSet<Pair>,
}

/// Every living record that accepted edges connect with `seeds`.
pub(crate) fn component(graph: &Graph, model: &Model, layer: Layer, seeds: &[Slot]) -> Vec<Slot> {
    let takes_part = |slot: Slot| graph.party(slot).is_some() && (layer == Layer::All || !graph.node(slot).is_caller());
    let mut seen: HashSet<Slot> = HashSet::new();
    let mut found: Vec<Slot> = seeds.iter().copied().filter(|slot| takes_part(*slot) && seen.insert(*slot)).collect();
    let mut at = 0;
    while let Some(slot) = found.get(at).copied() {
        at += 1;
        for other in &graph.node(slot).neighbours {
            let accepted = graph.edge(slot, *other).is_some_and(|edge| edge.is_accepted(model));
            if accepted && takes_part(*other) && seen.insert(*other) {
                found.push(*other);
            }
        }
    }
    found
}

/// Clusters the records of `component`, which must be closed under accepted edges of `layer`.
pub(crate) fn partition(graph: &Graph, model: &Model, component: &[Slot]) -> Partition {
    let places: HashMap<Slot, usize> = component.iter().enumerate().map(|(at, slot)| (*slot, at)).collect();
    let mut unions = Unions::new(component);
    let accepted = accepted_in_order(graph, model, component, &places);
    let mut refused = rivals(graph, model, &accepted);
    for (a, b) in accepted {
        if refused.contains(&(a, b)) {
            continue;
        }
        let (x, y) = (unions.root(places[&a]), unions.root(places[&b]));
        if x == y {
            continue;
        }
        if unions.may_join(graph, model, x, y) {
            unions.join(x, y);
        } else {
            refused.insert((a, b));
        }
    }
    Partition { clusters: unions.clusters(graph), refused }
}

/// Accepted pairs: a person's first, then by confidence, then by pair.
fn accepted_in_order(graph: &Graph, model: &Model, component: &[Slot], places: &HashMap<Slot, usize>) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    for slot in component {
        for other in graph.node(*slot).neighbours.iter().filter(|other| slot < *other && places.contains_key(*other)) {
            if graph.edge(*slot, *other).is_some_and(|edge| edge.is_accepted(model)) {
                found.push((*slot, *other));
            }
        }
    }
    let rank = |pair: &Pair| {
        let edge = &graph.edges[pair];
        let (left, right) = graph.by_key(*pair);
        (Reverse(edge.is_human()), Reverse(edge.link_confidence()), &graph.node(left).key, &graph.node(right).key)
    };
    found.sort_unstable_by(|x, y| rank(x).cmp(&rank(y)));
    found
}

/// Accepted pairs of rows that rest on what two rows have in common which are not one: `John Smith`
/// without a date of birth at the address of a father and a son of that name. A row is one of the two
/// at most, so that the weaker pair is refused, and with it the stronger unless it is much stronger.
fn rivals(graph: &Graph, model: &Model, accepted: &[Pair]) -> HashSet<Pair> {
    let mut refused = HashSet::new();
    if accepted.len() < 2 {
        return refused;
    }
    let mut partners: HashMap<Slot, SmallVec<[Slot; 4]>> = HashMap::new();
    for (a, b) in accepted {
        partners.entry(*a).or_default().push(*b);
        partners.entry(*b).or_default().push(*a);
    }
    for (slot, others) in &partners {
        for (at, one) in others.iter().enumerate() {
            for other in &others[at + 1..] {
                if are_told_apart(graph, model, *slot, *one, *other) {
                    refuse_rivals(graph, *slot, [*one, *other], &mut refused);
                }
            }
        }
    }
    refused
}

/// Features of which one party has one value, as two rows that differ there are two parties or hold an
/// error.
const SINGULAR: [Feature; 9] = [
    Feature::BirthDate,
    Feature::TaxId,
    Feature::Duns,
    Feature::Id1,
    Feature::Id2,
    Feature::Id3,
    Feature::Id4,
    Feature::Id5,
    Feature::Id6,
];

/// Whether two partners of a row that are not linked themselves differ where the row says nothing.
fn are_told_apart(graph: &Graph, model: &Model, slot: Slot, one: Slot, other: Slot) -> bool {
    if graph.edge(one, other).is_some_and(|edge| edge.is_accepted(model)) {
        return false;
    }
    let (Some(a), Some(b)) = (graph.edge(slot, one), graph.edge(slot, other)) else { return false };
    let is_silent =
        |feature: &Feature| a.levels.of(*feature) == Level::Silent && b.levels.of(*feature) == Level::Silent;
    if !SINGULAR.iter().any(is_silent) {
        return false;
    }
    let Some(levels) = levels_of_rows(graph, one, other) else { return false };
    SINGULAR.iter().filter(|feature| is_silent(feature)).any(|feature| levels.of(*feature) == Level::Different)
}

fn refuse_rivals(graph: &Graph, slot: Slot, rivals: [Slot; 2], refused: &mut HashSet<Pair>) {
    let pairs = rivals.map(|rival| pair(slot, rival));
    let [one, other] = pairs.map(|pair| &graph.edges[&pair]);
    if one.is_human() || other.is_human() {
        return;
    }
    let lead = one.total_millibits - other.total_millibits;
    if lead < RIVAL_LEAD_MILLIBITS {
        refused.insert(pairs[0]);
    }
    if lead > -RIVAL_LEAD_MILLIBITS {
        refused.insert(pairs[1]);
    }
}

/// Whether two rows of a table speak against each other so clearly that no chain of alike rows between
/// them makes them one. The hub's records have keys and tax ids for that, and people.
fn contradict(graph: &Graph, model: &Model, a: Slot, b: Slot) -> bool {
    evidence(graph, model, a, b).is_some_and(|(total, prior)| total - prior < CONTRADICTION_MILLIBITS)
}

/// Total and prior of two rows of a table that no person judged; none for the hub's records.
fn evidence(graph: &Graph, model: &Model, a: Slot, b: Slot) -> Option<(i32, i32)> {
    let levels = levels_of_rows(graph, a, b)?;
    let (left, right) = (&graph.party(a)?.subject, &graph.party(b)?.subject);
    let scored = score(model, levels, Circumstances::of(left, right), Standing::default());
    Some((scored.total_millibits, scored.prior_millibits))
}

/// How well two rows of a table agree that no person judged; none for the hub's records.
fn levels_of_rows(graph: &Graph, a: Slot, b: Slot) -> Option<Levels> {
    let (left, right) = (&graph.party(a)?.subject, &graph.party(b)?.subject);
    if left.standard.vetoes || right.standard.vetoes || graph.verdict(a, b).is_some() {
        return None;
    }
    Some(graph.edge(a, b).map_or_else(|| compare(left, right), |edge| edge.levels))
}

/// Whether two groups of rows are as much like each other as either is within itself, or nearly. Where
/// many rows describe each of two parties of one name, those of one agree among themselves on what
/// parts the two, and no single pair does: so one pair that looks alike does not join them.
fn is_cohesive(graph: &Graph, model: &Model, one: &[Slot], other: &[Slot]) -> bool {
    if one.len().min(other.len()) < COHESIVE_ROWS_MIN {
        return true;
    }
    let mean = |pairs: &mut dyn Iterator<Item = (Slot, Slot)>| {
        let totals = pairs.filter_map(|(a, b)| evidence(graph, model, a, b)).map(|(total, _)| i64::from(total));
        let (sum, count) = totals.fold((0, 0), |(sum, count), total| (sum + total, count + 1));
        if count == 0 { None } else { Some(sum / count) }
    };
    let within = |rows: &[Slot]| {
        mean(&mut rows.iter().enumerate().flat_map(|(at, a)| rows[at + 1..].iter().map(move |b| (*a, *b))))
    };
    let (Some(left), Some(right)) = (within(one), within(other)) else { return true };
    let across = mean(&mut one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))));
    across.is_none_or(|across| across >= left.min(right) - COHESION_MILLIBITS)
}

/// Disjoint sets of the places of a component, with their members.
struct Unions {
    parents: Vec<usize>,
    members: Vec<SmallVec<[Slot; 4]>>,
}

impl Unions {
    fn new(component: &[Slot]) -> Self {
        Unions {
            parents: (0..component.len()).collect(),
            members: component.iter().map(|slot| SmallVec::from_slice(&[*slot])).collect(),
        }
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    fn may_join(&self, graph: &Graph, model: &Model, x: usize, y: usize) -> bool {
        let forbids = |a: Slot, b: Slot| graph.is_vetoed(a, b) || contradict(graph, model, a, b);
        let vetoed = |a: &Slot| self.members[y].iter().any(|b| forbids(*a, *b));
        if self.members[x].iter().any(vetoed) {
            return false;
        }
        is_cohesive(graph, model, &self.members[x], &self.members[y])
    }

    fn join(&mut self, x: usize, y: usize) {
        let (from, into) = if self.members[x].len() < self.members[y].len() { (x, y) } else { (y, x) };
        let moved = std::mem::take(&mut self.members[from]);
        self.members[into].extend(moved);
        self.parents[from] = into;
    }

    fn clusters(self, graph: &Graph) -> Vec<Vec<Slot>> {
        let by_key = |slot: &Slot| &graph.node(*slot).key;
        let filled = self.members.into_iter().filter(|members| !members.is_empty());
        let mut clusters: Vec<Vec<Slot>> = filled
            .map(|members| {
                let mut sorted = members.into_vec();
                sorted.sort_unstable_by(|a, b| by_key(a).cmp(by_key(b)));
                sorted
            })
            .collect();
        clusters.sort_unstable_by(|a, b| by_key(&a[0]).cmp(by_key(&b[0])));
        clusters
    }
}
