//! New clusters of the touched components, and what changed by them.

use hashbrown::{HashMap, HashSet};
use ontology::CustomerId;

use crate::answer::{Cause, Cluster, ClusterChange, Link};
use crate::cluster::{Layer, Partition, component, partition};
use crate::drain::Touched;
use crate::graph::Pair;
use crate::index::Slot;
use crate::resolver::Resolver;

impl Resolver {
    /// Clusters the touched components anew.
    ///
    /// Their records cover every old cluster that they meet: where an accepted edge of an old
    /// cluster is gone, both its ends were touched.
    pub(crate) fn recluster(&mut self, touched: &Touched) -> Vec<ClusterChange> {
        let seeds: Vec<Slot> = touched.keys().copied().collect();
        let members = component(&self.graph, &self.model, Layer::All, &seeds);
        let partition = partition(&self.graph, &self.model, &members);
        let mut touched = touched.clone();
        self.note_refused(&members, &partition.refused, &mut touched);
        let dead = seeds.iter().copied().filter(|slot| self.graph.party(*slot).is_none());
        let covered: Vec<Slot> = members.iter().copied().chain(dead).collect();
        let mut changes = Changes::default();
        for slot in &covered {
            if let Some(id) = self.graph.node(*slot).customer.clone()
                && let Some(cluster) = self.clusters.remove(&id)
            {
                changes.add_before(id, cluster);
            }
        }
        self.add_after(partition, &mut changes);
        for slot in &covered {
            if let Some(cause) = touched.get(slot) {
                changes.touch(self.graph.node(*slot).customer.as_ref(), *slot, cause);
            }
        }
        self.move_members(&covered, &changes);
        changes.into_sorted()
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

    fn add_after(&self, partition: Partition, changes: &mut Changes) {
        for slots in partition.clusters {
            let cluster = self.cluster_of(&slots);
            let at = changes.add_after(cluster, &slots);
            for slot in &slots {
                if let Some(id) = &self.graph.node(*slot).customer {
                    changes.connect(id, at);
                }
            }
        }
    }

    fn cluster_of(&self, slots: &[Slot]) -> Cluster {
        let graph = &self.graph;
        let place =
            |slot: Slot| slots.binary_search_by(|member| graph.node(*member).key.cmp(&graph.node(slot).key)).ok();
        let mut links = Vec::new();
        for (at, a) in slots.iter().enumerate() {
            // Slots are sorted by key, so sorting the larger ends sorts the links by pair.
            let mut larger: Vec<usize> =
                graph.node(*a).neighbours.iter().filter_map(|b| place(*b)).filter(|place| *place > at).collect();
            larger.sort_unstable();
            for b in larger.into_iter().map(|place| slots[place]) {
                let Some(edge) = graph.edge(*a, b).filter(|edge| edge.is_accepted(&self.model)) else { continue };
                links.push(Link {
                    left: graph.node(*a).key.clone(),
                    right: graph.node(b).key.clone(),
                    confidence: edge.link_confidence(),
                    is_human: edge.is_human(),
                });
            }
        }
        Cluster {
            id: self.graph.node(slots[0]).own_customer.clone(),
            members: slots.iter().map(|slot| self.graph.node(*slot).key.clone()).collect(),
            links,
        }
    }

    fn move_members(&mut self, covered: &[Slot], changes: &Changes) {
        for slot in covered {
            self.graph.node_mut(*slot).customer = None;
        }
        for (cluster, slots) in &changes.after {
            for slot in slots {
                self.graph.node_mut(*slot).customer = Some(cluster.id.clone());
            }
            self.clusters.insert(cluster.id.clone(), cluster.clone());
        }
    }
}

/// Old and new clusters, grouped by common members.
#[derive(Debug, Default)]
struct Changes {
    before: Vec<Cluster>,
    after: Vec<(Cluster, Vec<Slot>)>,
    /// Place of an old cluster in `before`.
    places: HashMap<CustomerId, usize>,
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
    fn add_before(&mut self, id: CustomerId, cluster: Cluster) {
        self.places.insert(id, self.before.len());
        self.before.push(cluster);
    }

    fn add_after(&mut self, cluster: Cluster, slots: &[Slot]) -> usize {
        let at = self.after.len();
        self.homes.extend(slots.iter().map(|slot| (*slot, at)));
        self.after.push((cluster, slots.to_vec()));
        at
    }

    fn connect(&mut self, old: &CustomerId, new: usize) {
        if let Some(place) = self.places.get(old) {
            self.connections.push((*place, new));
        }
    }

    /// Notes why a record's old and new cluster are looked at.
    fn touch(&mut self, old: Option<&CustomerId>, slot: Slot, cause: &Cause) {
        if let Some(place) = old.and_then(|id| self.places.get(id)) {
            note(&mut self.before_causes, *place, cause);
        }
        if let Some(home) = self.homes.get(&slot) {
            note(&mut self.after_causes, *home, cause);
        }
    }

    fn into_sorted(self) -> Vec<ClusterChange> {
        let mut changes: Vec<ClusterChange> =
            self.groups().into_iter().filter_map(|group| self.change_of(&group)).collect();
        let first = |change: &ClusterChange| {
            let smallest = |clusters: &[Cluster]| clusters.first().map(|cluster| cluster.members[0].clone());
            smallest(&change.before).into_iter().chain(smallest(&change.after)).min()
        };
        changes.sort_by_cached_key(first);
        changes
    }

    /// A group as a change; none if nobody could see a difference.
    fn change_of(&self, group: &Group) -> Option<ClusterChange> {
        let old = group.before.iter().filter_map(|at| self.before_causes.get(at));
        let new = group.after.iter().filter_map(|at| self.after_causes.get(at));
        let cause = old.chain(new).min()?.clone();
        let mut before: Vec<Cluster> = group.before.iter().map(|at| self.before[*at].clone()).collect();
        let mut after: Vec<Cluster> = group.after.iter().map(|at| self.after[*at].0.clone()).collect();
        before.sort_by(|a, b| a.members[0].cmp(&b.members[0]));
        after.sort_by(|a, b| a.members[0].cmp(&b.members[0]));
        Some(ClusterChange { before, after, cause })
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
