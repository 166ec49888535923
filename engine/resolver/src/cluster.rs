//! Clusters of one component (spec 4.4): accepted pairs in a fixed order, each union made unless it
//! would bring a vetoed pair together.

use std::cmp::Reverse;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::compare::compare;
use crate::graph::{Graph, Pair};
use crate::index::Slot;
use crate::model::Model;
use crate::score::{Circumstances, score};

/// Evidence below this says by more than 250 to one that two rows are two parties.
const CONTRADICTION_MILLIBITS: i32 = -8_000;

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
    let mut refused = HashSet::new();
    for (a, b) in accepted_in_order(graph, model, component, &places) {
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

/// Whether two rows of a table speak against each other so clearly that no chain of alike rows between
/// them makes them one. The hub's records have keys and tax ids for that, and people.
fn contradict(graph: &Graph, model: &Model, a: Slot, b: Slot) -> bool {
    let (Some(left), Some(right)) = (graph.party(a), graph.party(b)) else { return false };
    if left.subject.standard.vetoes || right.subject.standard.vetoes || graph.verdict(a, b).is_some() {
        return false;
    }
    let levels = match graph.edge(a, b) {
        Some(edge) => edge.levels,
        None => compare(&left.subject, &right.subject),
    };
    let scored = score(model, levels, Circumstances::of(&left.subject, &right.subject), false);
    scored.total_millibits - scored.prior_millibits < CONTRADICTION_MILLIBITS
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
        !self.members[x].iter().any(vetoed)
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
