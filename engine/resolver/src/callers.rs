//! Callers: what their number, address and keys are worth depends on the customers that there are
//! without them.

use smallvec::SmallVec;

use crate::cluster::{Layer, component, partition};
use crate::drain::{Work, judged};
use crate::feature::{Feature, Level, Levels};
use crate::graph::pair;
use crate::index::Slot;
use crate::resolver::Resolver;
use crate::score::Standing;

/// What is known of a caller.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The number belongs to members of exactly one customer.
    is_sole_phone: bool,
    /// So does the mail address.
    is_sole_email: bool,
    /// The keys belong to members of several customers.
    names_several: bool,
}

impl Resolver {
    /// Decides where callers stand. It depends on clusters of the other records, so it comes after
    /// their edges and before the clusters of all.
    pub(crate) fn judge_callers(&mut self, work: &mut Work<'_>) {
        if !self.graph.has_callers {
            return;
        }
        let mut callers = std::mem::take(&mut work.callers);
        let seeds: Vec<Slot> = work.touched.keys().copied().collect();
        for slot in component(&self.graph, &self.model, Layer::WithoutCallers, &seeds) {
            let neighbours = self.graph.node(slot).neighbours.iter().copied();
            callers.extend(neighbours.filter(|other| self.graph.node(*other).is_caller()));
        }
        let mut sorted: Vec<Slot> = callers.into_iter().collect();
        sorted.sort_unstable();
        for caller in sorted {
            let known = self.known_of(caller);
            for other in self.graph.node(caller).neighbours.clone() {
                let pair = pair(caller, other);
                let Some(edge) = self.graph.edges.get(&pair) else { continue };
                let standing = self.standing(known, other, edge.levels);
                if let Some(edge) = judged(&self.graph, &self.model, pair, standing) {
                    self.apply(pair, edge, work);
                }
            }
        }
    }

    /// Where the pair of a caller with another record stands.
    fn standing(&self, known: Known, other: Slot, levels: Levels) -> Standing {
        let is_caller = self.graph.node(other).is_caller();
        let agrees = |feature: Feature| levels.of(feature) == Level::Exact;
        let is_sole =
            (known.is_sole_phone && agrees(Feature::Phone)) || (known.is_sole_email && agrees(Feature::Email));
        let names_several = known.names_several || (is_caller && self.names_several(other));
        Standing { is_sole_customer: is_sole && !is_caller, names_several: agrees(Feature::Key) && names_several }
    }

    fn known_of(&self, caller: Slot) -> Known {
        if self.graph.party(caller).is_none() {
            return Known::default();
        }
        let is_sole = |feature: Feature| {
            self.model.sole_customer.is_some() && self.are_one_customer(&self.agreeing(caller, feature))
        };
        Known {
            is_sole_phone: is_sole(Feature::Phone),
            is_sole_email: is_sole(Feature::Email),
            names_several: self.names_several(caller),
        }
    }

    /// Records other than callers that agree with a caller on a feature.
    fn agreeing(&self, caller: Slot, feature: Feature) -> SmallVec<[Slot; 8]> {
        let agrees = |other: &Slot| {
            let edge = self.graph.edge(caller, *other);
            !self.graph.node(*other).is_caller() && edge.is_some_and(|edge| edge.levels.of(feature) == Level::Exact)
        };
        self.graph.node(caller).neighbours.iter().copied().filter(agrees).collect()
    }

    /// Whether the keys of a caller belong to members of several customers. Where one key is shown by
    /// all of them, it is the customers that are in doubt and not the caller.
    fn names_several(&self, caller: Slot) -> bool {
        let Some(party) = self.graph.party(caller) else { return false };
        let named = self.agreeing(caller, Feature::Key);
        let shows = |slot: &Slot, key: (&str, &str)| {
            self.graph.party(*slot).is_some_and(|other| other.subject.telling_keys().any(|one| one == key))
        };
        let is_one_key = |key: (&str, &str)| named.iter().all(|slot| shows(slot, key));
        named.len() > 1 && !party.subject.telling_keys().any(is_one_key) && !self.are_one_customer(&named)
    }

    /// Whether records other than callers form one customer without the help of callers; none do not.
    fn are_one_customer(&self, slots: &[Slot]) -> bool {
        if slots.len() < 2 {
            return slots.len() == 1;
        }
        let members = component(&self.graph, &self.model, Layer::WithoutCallers, slots);
        let clusters = partition(&self.graph, &self.model, &members).clusters;
        clusters.iter().any(|cluster| slots.iter().all(|slot| cluster.contains(slot)))
    }
}
