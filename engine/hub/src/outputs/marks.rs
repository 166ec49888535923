//! Marks: what was sent last of each resource, in the store.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use storage::{Changes, Durability, Store, Table};

use super::events::{Event, Topic};
use super::listings::Listed;

const PREFIX: &str = "output/";
/// Longer names, which sources may give, are marked by their digest: keys of rows have a bound.
const NAME_BYTES_MAX: usize = 1_024;
/// Marks removed in one commit.
const AT_A_TIME_MAX: usize = 1_000;

/// What was sent last of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the event.
    pub sequence: u64,
    /// Digest of its content.
    pub content: [u8; 32],
}

impl Mark {
    /// Of a resource whose first event is about to be sent: whether it was is not known.
    const BEGUN: Mark = Mark { sequence: 0, content: [u8::MAX; 32] };

    /// The digest of a content; that of a resource which is no more is unlike all others.
    pub(super) fn content_of(body: Option<&str>) -> [u8; 32] {
        body.map_or([0; 32], |body| Sha256::digest(body.as_bytes()).into())
    }

    fn encode(&self) -> Vec<u8> {
        [&self.sequence.to_be_bytes()[..], &self.content].concat()
    }

    fn decode(stored: &[u8]) -> Option<Mark> {
        let (sequence, content) = stored.split_first_chunk::<8>()?;
        Some(Mark { sequence: u64::from_be_bytes(*sequence), content: content.try_into().ok()? })
    }
}

/// The marks of one place that is written to.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    place: String,
}

impl Marks {
    /// Those of `place`; marks of other places are removed, for nothing is written there any more.
    pub(super) fn open(store: &dyn Store, place: String) -> storage::Result<Self> {
        let ours = format!("{PREFIX}{place}/");
        let mut changes = Changes::new();
        let mut waiting = 0;
        for row in store.scan(Table::Meta, PREFIX.as_bytes())? {
            let (key, _) = row?;
            if key.starts_with(ours.as_bytes()) {
                continue;
            }
            changes.push_delete(Table::Meta, key.to_vec());
            waiting += 1;
            if waiting == AT_A_TIME_MAX {
                store.write(std::mem::take(&mut changes), Durability::Relaxed)?;
                waiting = 0;
            }
        }
        store.write(changes, Durability::Relaxed)?;
        Ok(Marks { place })
    }

    /// The marks of resources, by their names in the API.
    pub(super) fn load(&self, store: &dyn Store, names: &[&str]) -> storage::Result<Vec<Option<Mark>>> {
        let keys: Vec<Vec<u8>> = names.iter().map(|name| self.key(name)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let rows = store.load(Table::Meta, &keys)?;
        // A mark that cannot be read is as good as none: the resource is sent once more.
        Ok(rows.into_iter().map(|row| Mark::decode(&row?)).collect())
    }

    /// Marks events as delivered, and who lists what.
    pub(super) fn write(&self, store: &dyn Store, events: &[Event], listed: &[Listed]) -> storage::Result<()> {
        let newest: BTreeMap<&str, Mark> = events.iter().map(|event| (event.key.as_str(), event.mark)).collect();
        let mut changes = Changes::new();
        for (name, mark) in newest {
            changes.push_put(Table::Meta, self.key(name), mark.encode());
        }
        for of_owner in listed {
            let key = self.key(&names_of(&of_owner.owner));
            match of_owner.now.is_empty() {
                true => changes.push_delete(Table::Meta, key),
                false => changes.push_put(Table::Meta, key, names(&of_owner.now)),
            }
        }
        if changes.is_empty() { Ok(()) } else { store.write(changes, Durability::Relaxed) }
    }

    /// Notes of which resources a first event is about to be sent, and who lists them. One that is gone
    /// before its event is marked, because the hub died between, would be in the topic for ever.
    pub(super) fn begin(&self, store: &dyn Store, events: &[Event], listed: &[Listed]) -> storage::Result<()> {
        let mut changes = Changes::new();
        for event in events.iter().filter(|event| event.sequence == 1) {
            changes.push_put(Table::Meta, self.key(&event.key), Mark::BEGUN.encode());
        }
        for of_owner in listed.iter().filter(|of_owner| !of_owner.now.is_subset(&of_owner.sent)) {
            let both: BTreeSet<String> = of_owner.now.union(&of_owner.sent).cloned().collect();
            changes.push_put(Table::Meta, self.key(&names_of(&of_owner.owner)), names(&both));
        }
        if changes.is_empty() { Ok(()) } else { store.write(changes, Durability::Relaxed) }
    }

    /// Names of the objects that were sent, or may have been, as those of each owner.
    pub(super) fn listed(&self, store: &dyn Store, owners: &[&str]) -> storage::Result<Vec<BTreeSet<String>>> {
        let keys: Vec<Vec<u8>> = owners.iter().map(|owner| self.key(&names_of(owner))).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let rows = store.load(Table::Meta, &keys)?;
        // Names that cannot be read are none: those objects are not ended.
        let read = |row: bytes::Bytes| serde_json::from_slice(&row).unwrap_or_default();
        Ok(rows.into_iter().map(|row| row.map(read).unwrap_or_default()).collect())
    }

    /// Ids of the customers that were sent, or may have been, and not ended.
    pub(super) fn customers(&self, store: &dyn Store) -> storage::Result<Vec<String>> {
        let prefix = self.key(&format!("{}/", Topic::Customers.name()));
        let mut ids = Vec::new();
        for row in store.scan(Table::Meta, &prefix)? {
            let (key, value) = row?;
            let is_there = Mark::decode(&value).is_some_and(|mark| mark.content != Mark::content_of(None));
            if is_there && let Ok(id) = std::str::from_utf8(&key[prefix.len()..]) {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    fn key(&self, name: &str) -> Vec<u8> {
        let place = &self.place;
        if name.len() > NAME_BYTES_MAX {
            return format!("{PREFIX}{place}/#{}", hex::encode(Sha256::digest(name.as_bytes()))).into_bytes();
        }
        format!("{PREFIX}{place}/{name}").into_bytes()
    }
}

/// Under which name it is kept what an owner lists.
fn names_of(owner: &str) -> String {
    format!("listed/{owner}")
}

fn names(of_owner: &BTreeSet<String>) -> Vec<u8> {
    serde_json::to_vec(of_owner).expect("names are JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::{Memory, Rows as _};

    use super::super::events::Resource;
    use super::*;

    fn event(name: &str, body: Option<&str>, sent: Option<Mark>) -> Event {
        let resource =
            Resource { topic: Topic::Customers, name: name.to_owned(), body: body.map(str::to_owned), cause: None };
        resource.event(sent).unwrap()
    }

    #[test]
    fn marks_are_read_back_for_their_place_and_removed_for_another() {
        let store = Memory::default();
        let marks = Marks::open(&store, "here".to_owned()).unwrap();
        let long = format!("customers/{}", "x".repeat(2 * NAME_BYTES_MAX));
        let (one, other) = (event("customers/a", Some("1"), None), event(&long, Some("1"), None));
        marks.write(&store, &[one.clone(), other.clone()], &[]).unwrap();
        let names = ["customers/a", "customers/b", &long];
        assert_eq!(marks.load(&store, &names).unwrap(), [Some(one.mark), None, Some(other.mark)]);
        let again = Marks::open(&store, "here".to_owned()).unwrap();
        assert_eq!(again.load(&store, &names).unwrap()[0], Some(one.mark));
        let elsewhere = Marks::open(&store, "there".to_owned()).unwrap();
        assert_eq!(elsewhere.load(&store, &names).unwrap(), [None; 3]);
        assert_eq!(store.scan(Table::Meta, b"").unwrap().count(), 0, "nothing is written there any more");
    }

    #[test]
    fn a_customer_that_may_have_been_sent_is_sent_again_under_its_id_or_ended() {
        let store = Memory::default();
        let marks = Marks::open(&store, "here".to_owned()).unwrap();
        let first = event("customers/a", Some("1"), None);
        marks.begin(&store, std::slice::from_ref(&first), &[]).unwrap();
        assert_eq!(marks.customers(&store).unwrap(), ["a"]);
        let begun = marks.load(&store, &["customers/a"]).unwrap()[0];
        assert_eq!(event("customers/a", Some("1"), begun).id(), first.id());
        let end = event("customers/a", None, begun);
        marks.begin(&store, std::slice::from_ref(&end), &[]).unwrap();
        marks.write(&store, std::slice::from_ref(&end), &[]).unwrap();
        assert!(marks.customers(&store).unwrap().is_empty());
        let later = event("customers/a", Some("2"), Some(Mark { sequence: 1, content: first.mark.content }));
        marks.begin(&store, &[later], &[]).unwrap();
        assert_eq!(marks.load(&store, &["customers/a"]).unwrap(), [Some(end.mark)], "only the first is begun");
    }

    #[test]
    fn customers_are_known_until_their_end_is_sent() {
        let store = Memory::default();
        let marks = Marks::open(&store, "here".to_owned()).unwrap();
        let (a, b) = (event("customers/a", Some("1"), None), event("customers/b", Some("1"), None));
        marks.write(&store, &[a.clone(), b], &[]).unwrap();
        assert_eq!(marks.customers(&store).unwrap(), ["a", "b"]);
        let ended = event("customers/a", None, Some(a.mark));
        marks.write(&store, &[ended], &[]).unwrap();
        assert_eq!(marks.customers(&store).unwrap(), ["b"]);
        store.write(Changes::new().put(Table::Meta, marks.key("customers/c"), "short"), Durability::Relaxed).unwrap();
        assert_eq!(marks.load(&store, &["customers/c"]).unwrap(), [None], "sent once more");
    }
}
