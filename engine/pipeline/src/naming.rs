//! Which customers name orders that are not their own: when such an order comes, moves or changes, they are
//! looked at too.

use std::collections::{BTreeMap, BTreeSet};

use ontology::EntityKey;

/// Orders that invoices name and that are not among their customer's.
#[derive(Debug, Default)]
pub struct Naming {
    /// Party records of the customers, by order.
    named_by: BTreeMap<EntityKey, BTreeSet<EntityKey>>,
    /// Orders, by party record.
    names: BTreeMap<EntityKey, Vec<EntityKey>>,
}

impl Naming {
    /// Party records of the customers that name an order and do not have it.
    pub fn of(&self, order: &EntityKey) -> impl Iterator<Item = &EntityKey> {
        self.named_by.get(order).into_iter().flatten()
    }

    /// Says which orders the customer of a party record names and does not have.
    pub fn set(&mut self, party: &EntityKey, orders: &[EntityKey]) {
        if self.names.get(party).map_or(&[][..], Vec::as_slice) == orders {
            return;
        }
        for order in self.names.remove(party).unwrap_or_default() {
            if let Some(parties) = self.named_by.get_mut(&order) {
                parties.remove(party);
                if parties.is_empty() {
                    self.named_by.remove(&order);
                }
            }
        }
        for order in orders {
            self.named_by.entry(order.clone()).or_default().insert(party.clone());
        }
        if !orders.is_empty() {
            self.names.insert(party.clone(), orders.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use ontology::EntityKind;

    use super::*;

    #[test]
    fn an_order_leads_to_all_that_name_it_and_to_none_that_did() {
        let party = |id| EntityKey::new(EntityKind::ArCustomer, id);
        let order = |id| EntityKey::new(EntityKind::ServiceOrder, id);
        let mut naming = Naming::default();
        naming.set(&party("A"), &[order("1"), order("2")]);
        naming.set(&party("B"), &[order("1")]);
        let named = |naming: &Naming, id| naming.of(&order(id)).map(|party| party.id.to_string()).collect::<Vec<_>>();
        assert_eq!((named(&naming, "1"), named(&naming, "2")), (vec!["A".into(), "B".into()], vec!["A".into()]));
        naming.set(&party("A"), &[order("2")]);
        assert_eq!((named(&naming, "1"), named(&naming, "2")), (vec!["B".into()], vec!["A".into()]));
        naming.set(&party("A"), &[]);
        naming.set(&party("B"), &[]);
        assert_eq!((naming.named_by.len(), naming.names.len()), (0, 0));
    }
}
