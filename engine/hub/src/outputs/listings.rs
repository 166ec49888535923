//! Who lists what: the objects of a customer, and those of the sources. What was sent and is listed by
//! nobody any more gets a last event.

use std::collections::BTreeSet;

use storage::Store;

use super::events::{Event, Resource, object_of, retired};
use super::marks::Marks;

/// Whose the alerts on sources are.
pub(super) const SOURCES: &str = "sources";

/// The resources of one owner as they stand.
pub(super) struct Listing {
    /// Name of the customer, or [`SOURCES`].
    pub owner: String,
    pub resources: Vec<Resource>,
}

/// Names of the objects of one owner, where they are not those that were sent.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    pub owner: String,
    /// Those that were sent, or may have been.
    pub sent: BTreeSet<String>,
    pub now: BTreeSet<String>,
}

/// What is to be sent and marked.
#[derive(Default)]
pub(super) struct Differing {
    pub events: Vec<Event>,
    pub listed: Vec<Listed>,
}

/// What differs from what was sent. `is_listed` tells of an object whether any owner has it.
pub(super) fn differing(
    store: &dyn Store,
    marks: &Marks,
    listings: Vec<Listing>,
    is_listed: impl Fn(&str) -> bool,
) -> storage::Result<Differing> {
    let owners: Vec<&str> = listings.iter().map(|listing| listing.owner.as_str()).collect();
    let sent = marks.listed(store, &owners)?;
    let (mut resources, mut listed) = (Vec::new(), Vec::new());
    for (listing, sent) in listings.into_iter().zip(sent) {
        let are_objects = listing.resources.iter().filter(|it| it.body.is_some() && object_of(&it.name).is_some());
        let now: BTreeSet<String> = are_objects.map(|it| it.name.clone()).collect();
        let gone = sent.difference(&now).filter(|name| !is_listed(name));
        let ended: Vec<Resource> =
            gone.filter_map(|name| object_of(name)).map(|(topic, id)| retired(topic, id)).collect();
        resources.extend(listing.resources);
        resources.extend(ended);
        if sent != now {
            listed.push(Listed { owner: listing.owner, sent, now });
        }
    }
    let names: Vec<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
    let marked = marks.load(store, &names)?;
    let events = resources.into_iter().zip(marked).filter_map(|(resource, sent)| resource.event(sent)).collect();
    Ok(Differing { events, listed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use storage::Memory;

    use super::super::events::Topic;
    use super::*;

    fn listing(owner: &str, alerts: &[&str]) -> Listing {
        let alert = |id: &&str| Resource { body: Some("1".to_owned()), ..retired(Topic::Alerts, id) };
        Listing { owner: owner.to_owned(), resources: alerts.iter().map(alert).collect() }
    }

    /// Keys of the events that are sent, with whether they tell of an end.
    fn send(store: &Memory, marks: &Marks, listings: Vec<Listing>, elsewhere: &str) -> Vec<(String, bool)> {
        let told = differing(store, marks, listings, |name| name == elsewhere).unwrap();
        marks.begin(store, &told.events, &told.listed).unwrap();
        marks.write(store, &told.events, &told.listed).unwrap();
        told.events.into_iter().map(|event| (event.key, event.body.is_none())).collect()
    }

    #[test]
    fn what_nobody_lists_any_more_is_ended_once() {
        let store = Memory::default();
        let marks = Marks::open(&store, "here".to_owned()).unwrap();
        let (a, b) = (("alerts/a".to_owned(), false), ("alerts/b".to_owned(), false));
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &["a", "b"])], ""), [a, b.clone()]);
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &["a", "b"])], ""), []);
        let ended = |name: &str| (name.to_owned(), true);
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &["b"])], ""), [ended("alerts/a")]);
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &[])], "alerts/b"), [], "another has it");
        assert_eq!(send(&store, &marks, vec![listing("customers/2", &["b"])], ""), [], "it looks the same there");
        assert_eq!(send(&store, &marks, vec![listing("customers/2", &[])], ""), [ended("alerts/b")]);
        assert_eq!(send(&store, &marks, vec![listing("customers/2", &["b"])], ""), [b]);
    }

    #[test]
    fn what_may_have_been_sent_is_ended_too() {
        let store = Memory::default();
        let marks = Marks::open(&store, "here".to_owned()).unwrap();
        let first = differing(&store, &marks, vec![listing("customers/1", &["a"])], |_| false).unwrap();
        // The hub dies before it marks what it sent.
        marks.begin(&store, &first.events, &first.listed).unwrap();
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &[])], ""), [("alerts/a".to_owned(), true)]);
        assert_eq!(send(&store, &marks, vec![listing("customers/1", &[])], ""), []);
    }
}
