//! Since when contradictions hold as the hub saw it. Grace runs from there: what brought two records
//! together, a link or a case that lists one of them, need not stand in either of them.

use std::collections::{BTreeMap, BTreeSet};

use ontology::id::ObjectId;
use ontology::{EntityKey, Millis};

/// Contradictions that hold, opened or not.
#[derive(Debug, Default)]
pub struct NoticedBook {
    at: BTreeMap<ObjectId, Millis>,
    /// The party record of the customer that each is of.
    party: BTreeMap<ObjectId, EntityKey>,
    below: BTreeMap<EntityKey, BTreeSet<ObjectId>>,
}

impl NoticedBook {
    /// When each was noticed.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<ObjectId, Millis> {
        &self.at
    }

    /// One of them: the party record and when it was noticed.
    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<(&EntityKey, Millis)> {
        self.party.get(id).zip(self.at.get(id).copied())
    }

    /// Adds the ids of those below a party record.
    pub fn add_below(&self, party: &EntityKey, ids: &mut BTreeSet<ObjectId>) {
        ids.extend(self.below.get(party).into_iter().flatten().cloned());
    }

    /// Notes that one holds since `at`, or that it holds no longer. Returns whether that is news.
    pub fn set(&mut self, id: &ObjectId, held: Option<(&EntityKey, Millis)>) -> bool {
        if self.get(id) == held {
            return false;
        }
        self.at.remove(id);
        if let Some(party) = self.party.remove(id)
            && let Some(ids) = self.below.get_mut(&party)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.below.remove(&party);
            }
        }
        if let Some((party, at)) = held {
            self.at.insert(id.clone(), at);
            self.party.insert(id.clone(), party.clone());
            self.below.entry(party.clone()).or_default().insert(id.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ontology::EntityKind;

    use super::*;

    #[test]
    fn what_holds_is_found_below_the_record_that_it_was_noted_under_last() {
        let [one, other] = ["A", "B"].map(|id| EntityKey::new(EntityKind::Account, id));
        let id = ObjectId("rc1-1".into());
        let mut book = NoticedBook::default();
        let below = |book: &NoticedBook, party: &EntityKey| {
            let mut ids = BTreeSet::new();
            book.add_below(party, &mut ids);
            ids.len()
        };
        assert!(book.set(&id, Some((&one, Millis(5)))) && !book.set(&id, Some((&one, Millis(5)))));
        assert!(book.set(&id, Some((&other, Millis(5)))), "the customer is another's");
        assert_eq!((below(&book, &one), below(&book, &other), book.get(&id)), (0, 1, Some((&other, Millis(5)))));
        assert!(book.set(&id, None) && !book.set(&id, None));
        assert_eq!((below(&book, &other), book.all().len()), (0, 0));
    }
}
