//! New clusters of the touched components, and what changed by them.

use hashbrown::{HashMap, HashSet};
use ontology::CustomerId;

use crate::answer::{Cause, Cluster, ClusterChange, Link};
use crate::cluster::{Layer, component, partition};
use crate::drain::Touched;
use crate::graph::Pair;
use crate::index::Slot;
use crate::resolver::Resolver;

impl Resolver {
    /// Clusters the touched components anew.
    ///
    /// Their records cover every old cluster that they meet: where an accepted edge of an old
    /// cluster is gone, both its ends were touched.
    pub(crate) fn recluster(&mut self, mut touched: Touched) -> Vec<ClusterChange> {
        if let Some(change) = self.stay_alone(&touched) {
            return vec![change];
        }
        let seeds: Vec<Slot> = touched.keys().copied().collect();
        let members = component(&self.graph, &self.model, Layer::All, &seeds);
        self.graph.visited +=
            members.iter().map(|slot| 1 + self.graph.node(*slot).neighbours.len() as u64).sum::<u64>();
        let partition = partition(&self.graph, &self.model, &members);
        self.note_refused(&members, &partition.refused, &mut touched);
        let dead = seeds.iter().copied().filter(|slot| self.graph.party(*slot).is_none());
        let covered: Vec<Slot> = members.iter().copied().chain(dead).collect();
        let mut changes = Changes::default();
        for slot in &covered {
            if let Some(home) = self.graph.node(*slot).home {
                changes.add_before(home, &self.groups);
            }
        }
        for slots in partition.clusters {
            changes.add_after(slots, |slot| self.graph.node(slot).home);
        }
        for slot in &covered {
            if let Some(cause) = touched.get(slot) {
                changes.touch(self.graph.node(*slot).home, *slot, cause);
            }
        }
        self.move_members(&covered, &changes);
        let found = changes.groups().into_iter().filter_map(|group| self.change_of(&changes, &group));
        let mut found: Vec<ClusterChange> = found.collect();
        let first = |change: &ClusterChange| {
            let smallest = |clusters: &[Cluster]| clusters.first().map(|cluster| cluster.members[0].clone());
            smallest(&change.before).into_iter().chain(smallest(&change.after)).min()
        };
        if found.len() > 1 {
            found.sort_by_cached_key(first);
        }
        found
    }

    /// The change where one record alone was touched that links to nobody and never did: most records
    /// that come are such. The same as the whole way finds, without its tables.
    fn stay_alone(&mut self, touched: &Touched) -> Option<ClusterChange> {
        let mut all = touched.iter();
        let ((slot, cause), None) = (all.next()?, all.next()) else { return None };
        let node = self.graph.node(*slot);
        let was_alone = node.home.is_none_or(|home| home == *slot) && !self.groups.contains_key(slot);
        let is_accepted =
            |other: &Slot| self.graph.edge(*slot, *other).is_some_and(|edge| edge.is_accepted(&self.model));
        if node.party.is_none() || !was_alone || node.neighbours.iter().any(is_accepted) {
            return None;
        }
        let visited = 1 + node.neighbours.len() as u64;
        let before = node.home.map(|home| self.without_links(&[home]));
        let after = self.without_links(&[*slot]);
        self.graph.visited += visited;
        self.graph.node_mut(*slot).home = Some(*slot);
        Some(ClusterChange { before: before.into_iter().collect(), after: vec![after], cause: cause.clone() })
    }

    /// Marks accepted pairs that clustering refused, and touches pairs where that is news.
    fn note_refused(&mut self, members: &[Slot], refused: &HashSet<Pair>, touched: &mut Touched) {
        let Some(cause) = touched.values().min().cloned() else { return };
        let mut pairs: Vec<Pair> = Vec::new();
        for slot in members {
            let larger = self.graph.node(*slot).neighbours.iter().filter(|other| slot < *other);
            pairs.extend(larger.map(|other| (*slot, *other)));
        }
        for pair in pairs {
            let is_refused = refused.contains(&pair);
            let Some(edge) = self.graph.edges.get_mut(&pair).filter(|edge| edge.is_refused != is_refused) else {
                continue;
            };
            edge.is_refused = is_refused;
            let state = edge.state(&self.model);
            self.note_review(pair, state);
            for slot in [pair.0, pair.1] {
                touched.entry(slot).or_insert_with(|| cause.clone());
            }
        }
    }

    /// A group of old and new clusters as a change; none if nobody could see a difference.
    fn change_of(&self, changes: &Changes, group: &Group) -> Option<ClusterChange> {
        let old = group.before.iter().filter_map(|at| changes.before_causes.get(at));
        let new = group.after.iter().filter_map(|at| changes.after_causes.get(at));
        let cause = old.chain(new).min()?.clone();
        let mut before: Vec<Cluster> =
            group.before.iter().map(|at| self.without_links(&changes.before[*at].1)).collect();
        let mut after: Vec<Cluster> = group.after.iter().map(|at| self.cluster_of(&changes.after[*at])).collect();
        before.sort_by(|a, b| a.members[0].cmp(&b.members[0]));
        after.sort_by(|a, b| a.members[0].cmp(&b.members[0]));
        Some(ClusterChange { before, after, cause })
    }

    fn without_links(&self, slots: &[Slot]) -> Cluster {
        Cluster {
            id: CustomerId::of_member(&self.graph.node(slots[0]).key),
            members: slots.iter().map(|slot| self.graph.node(*slot).key.clone()).collect(),
            links: Vec::new(),
        }
    }

    /// A customer with the accepted pairs within it; its members are sorted by key.
    pub(crate) fn cluster_of(&self, slots: &[Slot]) -> Cluster {
        let graph = &self.graph;
        let mut cluster = self.without_links(slots);
        if slots.len() == 1 {
            return cluster;
        }
        let place =
            |slot: Slot| slots.binary_search_by(|member| graph.node(*member).key.cmp(&graph.node(slot).key)).ok();
        for (at, a) in slots.iter().enumerate() {
            // Slots are sorted by key, so sorting the larger ends sorts the links by pair.
            let mut larger: Vec<usize> =
                graph.node(*a).neighbours.iter().filter_map(|b| place(*b)).filter(|place| *place > at).collect();
            larger.sort_unstable();
            for b in larger.into_iter().map(|place| slots[place]) {
                let Some(edge) = graph.edge(*a, b).filter(|edge| edge.is_accepted(&self.model)) else { continue };
                cluster.links.push(Link {
                    left: graph.node(*a).key.clone(),
                    right: graph.node(b).key.clone(),
                    confidence: edge.link_confidence(),
                    is_human: edge.is_human(),
                });
            }
        }
        cluster
    }

    fn move_members(&mut self, covered: &[Slot], changes: &Changes) {
        for (home, _) in &changes.before {
            self.groups.remove(home);
        }
        for slot in covered {
            self.graph.node_mut(*slot).home = None;
        }
        for slots in &changes.after {
            for slot in slots {
                self.graph.node_mut(*slot).home = Some(slots[0]);
            }
            if slots.len() > 1 {
                self.groups.insert(slots[0], slots.clone().into_boxed_slice());
            }
        }
    }
}

/// Old and new clusters, grouped by common members.
#[derive(Debug, Default)]
struct Changes {
    /// Old clusters by their smallest member.
    before: Vec<(Slot, Box<[Slot]>)>,
    after: Vec<Vec<Slot>>,
    /// Place of an old cluster in `before`.
    places: HashMap<Slot, usize>,
    /// Place of a record's new cluster in `after`.
    homes: HashMap<Slot, usize>,
    /// Old and new clusters with a member in common.
    connections: Vec<(usize, usize)>,
    before_causes: HashMap<usize, Cause>,
    after_causes: HashMap<usize, Cause>,
}

/// Clusters that have members in common.
#[derive(Debug, Default)]
struct Group {
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Changes {
    fn add_before(&mut self, home: Slot, groups: &HashMap<Slot, Box<[Slot]>>) {
        if self.places.contains_key(&home) {
            return;
        }
        self.places.insert(home, self.before.len());
        let members = groups.get(&home).cloned().unwrap_or_else(|| Box::from([home]));
        self.before.push((home, members));
    }

    fn add_after(&mut self, slots: Vec<Slot>, home_of: impl Fn(Slot) -> Option<Slot>) {
        let at = self.after.len();
        for slot in &slots {
            self.homes.insert(*slot, at);
            if let Some(place) = home_of(*slot).and_then(|home| self.places.get(&home)) {
                self.connections.push((*place, at));
            }
        }
        self.after.push(slots);
    }

    /// Notes why a record's old and new cluster are looked at.
    fn touch(&mut self, old: Option<Slot>, slot: Slot, cause: &Cause) {
        if let Some(place) = old.and_then(|home| self.places.get(&home)) {
            note(&mut self.before_causes, *place, cause);
        }
        if let Some(home) = self.homes.get(&slot) {
            note(&mut self.after_causes, *home, cause);
        }
    }

    fn groups(&self) -> Vec<Group> {
        let olds = self.before.len();
        let mut parents: Vec<usize> = (0..olds + self.after.len()).collect();
        for (old, new) in &self.connections {
            let (x, y) = (root(&parents, *old), root(&parents, olds + new));
            parents[x.max(y)] = x.min(y);
        }
        let mut groups: HashMap<usize, Group> = HashMap::new();
        for at in 0..parents.len() {
            let group = groups.entry(root(&parents, at)).or_default();
            if at < olds {
                group.before.push(at);
            } else {
                group.after.push(at - olds);
            }
        }
        groups.into_values().collect()
    }
}

fn note(causes: &mut HashMap<usize, Cause>, at: usize, cause: &Cause) {
    let kept = causes.entry(at).or_insert_with(|| cause.clone());
    if cause < kept {
        *kept = cause.clone();
    }
}

fn root(parents: &[usize], mut at: usize) -> usize {
    while parents[at] != at {
        at = parents[at];
    }
    at
}
