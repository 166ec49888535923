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
    /// The number or address leads to another customer than the keys do, or than each other.
    contacts_lead_apart: bool,
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
        let is_sole_customer = is_sole && !is_caller;
        let names_several = known.names_several || (is_caller && self.known_of(other).names_several);
        Standing {
            is_sole_customer,
            names_several: agrees(Feature::Key) && names_several,
            leads_elsewhere: is_sole_customer && !agrees(Feature::Key) && known.contacts_lead_apart,
        }
    }

    fn known_of(&self, caller: Slot) -> Known {
        if self.graph.party(caller).is_none() {
            return Known::default();
        }
        let sole = |feature: Feature| {
            let agreeing = self.agreeing(caller, feature);
            if self.model.sole_customer.is_some() && self.are_one_customer(&agreeing) {
                agreeing
            } else {
                SmallVec::new()
            }
        };
        let named = self.agreeing(caller, Feature::Key);
        let (phone, email) = (sole(Feature::Phone), sole(Feature::Email));
        Known {
            is_sole_phone: !phone.is_empty(),
            is_sole_email: !email.is_empty(),
            names_several: self.names_several(caller, &named),
            contacts_lead_apart: self.leads_apart(&named, [&phone, &email]),
        }
    }

    /// Whether a number or address that one customer alone shows leads to another customer than the keys,
    /// or two such lead to two: a caller joins no customers, and a number that was entered outranks the
    /// telephone that was at hand.
    fn leads_apart(&self, named: &[Slot], contacts: [&[Slot]; 2]) -> bool {
        let ways = [named, contacts[0], contacts[1]];
        let is_one_way = ways.iter().filter(|way| !way.is_empty()).count() < 2;
        if is_one_way || (!named.is_empty() && !self.are_one_customer(named)) {
            return false;
        }
        let mut all: SmallVec<[Slot; 16]> = ways.into_iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        !self.are_one_customer(&all)
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
    fn names_several(&self, caller: Slot, named: &[Slot]) -> bool {
        let Some(party) = self.graph.party(caller) else { return false };
        let shows = |slot: &Slot, key: (&str, &str)| {
            self.graph.party(*slot).is_some_and(|other| other.subject.telling_keys().any(|one| one == key))
        };
        let is_one_key = |key: (&str, &str)| named.iter().all(|slot| shows(slot, key));
        named.len() > 1 && !party.subject.telling_keys().any(is_one_key) && !self.are_one_customer(named)
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
