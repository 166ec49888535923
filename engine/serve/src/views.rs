//! Published views: what reads see. Writers replace whole views; readers hold on to what they got.
//!
//! There is one publisher. It makes everything of a position readable before it says so, so a read
//! that waited for a position never sees less.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use compact_str::CompactString;
use dashmap::DashMap as ConcurrentMap;
use dashmap::Entry;
use foldhash::fast::RandomState;
use insight::alerts::Alert;
use ontology::{CustomerId, EntityKey, LogPos, Millis, System, Vocabulary as _};
use pipeline::identity::went_to;
use pipeline::sources::LastEvents;
use state::Freshness;
use tokio::sync::watch as position_channel;
use tokio::time::Instant;

use crate::convert::kept::Kept;
use crate::metrics;
use crate::watch::{Change, Feed, Stamp};

/// A picture of one customer that can be published.
pub trait View: Send + Sync + 'static {
    /// The customer.
    fn id(&self) -> &CustomerId;
    /// What differs from the objects of the picture before, if there was one: all of them can be found by
    /// their own id.
    fn objects_since(&self, before: Option<&Self>) -> ObjectChanges;
    /// Which top-level fields of the customer's state differ, one bit each; 0 if not known.
    fn changed_paths(&self, before: &Self) -> u32;
}

/// A derived object within a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Its collection.
    pub collection: Collection,
    /// Its id, without the collection.
    pub id: CompactString,
}

/// How the objects of a view differ from those of the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectChanges {
    /// Those that the view before did not have.
    pub came: Vec<Object>,
    /// Those that somebody may watch and that look otherwise than before, or are gone.
    pub changed: Vec<Object>,
}

/// Collections of derived objects, as they stand in resource names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// `handoffs/`
    Handoffs,
    /// `discrepancies/`
    Discrepancies,
    /// `alerts/`
    Alerts,
    /// `correlations/`
    Correlations,
}

/// Everything that becomes readable at one position.
#[derive(Debug)]
pub struct Publication<V> {
    /// The position.
    pub position: LogPos,
    /// Engine time.
    pub now: Millis,
    /// Customers that look different now.
    pub views: Vec<Arc<V>>,
    /// Customers that are no more.
    pub retired: Vec<CustomerId>,
    /// Party records that are new or belong to another customer than before.
    pub memberships: Vec<(EntityKey, CustomerId)>,
    /// Records whose party record is new or another; none if it is not known any more.
    pub roots: Vec<(EntityKey, Option<EntityKey>)>,
    /// Customers that became several, with all records that belonged to them then.
    pub splits: Vec<(CustomerId, Vec<EntityKey>)>,
    /// Records that events changed, each with the event.
    pub causes: Vec<(EntityKey, CompactString)>,
    /// Alerts on sources as they stand now; none if nothing about them changed.
    pub source_alerts: Option<Vec<Alert>>,
    /// What is known about the sources.
    pub freshness: Freshness,
    /// When the newest event of each source happened.
    pub last_events: LastEvents,
}

/// A view as it can be read.
#[derive(Debug)]
pub struct Slot<V> {
    /// The view.
    pub view: Arc<V>,
    /// Rises with every change of the customer, also from one process to another.
    pub version: u64,
    /// When it changed last.
    pub changed_at: Stamp,
    /// What earlier reads made of the view.
    pub(crate) kept: Kept,
}

impl<V> Slot<V> {
    /// A view that has not been read yet.
    #[must_use]
    pub fn new(view: Arc<V>, version: u64, changed_at: Stamp) -> Self {
        Slot { view, version, changed_at, kept: Kept::default() }
    }
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Slot { view: self.view.clone(), version: self.version, changed_at: self.changed_at, kept: self.kept.clone() }
    }
}

/// A customer that was found by a name.
#[derive(Debug)]
pub struct Found<V> {
    /// The customer as it can be read.
    pub slot: Slot<V>,
    /// Whether the name is a former one.
    pub is_redirected: bool,
    /// Where members went that once belonged to the name.
    pub split_into: Vec<CustomerId>,
}

/// The version of a view that is published at `position`: processes that publish the same log agree on
/// it but for changes by time alone, which they may fold differently.
fn next_version(before: Option<u64>, position: LogPos) -> u64 {
    before.map_or(1, |before| before + 1).max(position.0)
}

/// Keys are names that sources chose, so the hash is seeded anew in every process.
type DashMap<K, V> = ConcurrentMap<K, V, RandomState>;

/// All published views.
#[derive(Debug)]
pub struct Published<V: View> {
    views: DashMap<CustomerId, Slot<V>>,
    /// The customer of each party record.
    members: DashMap<EntityKey, CustomerId>,
    /// The party record of each record.
    roots: DashMap<EntityKey, EntityKey>,
    /// The record that an id was made from: every member's own id leads to its customer.
    aliases: DashMap<CustomerId, EntityKey>,
    splits: DashMap<CustomerId, Vec<EntityKey>>,
    objects: DashMap<(Collection, CompactString), CustomerId>,
    freshness: ArcSwap<Freshness>,
    last_events: ArcSwap<LastEvents>,
    source_alerts: ArcSwap<Vec<Alert>>,
    position: position_channel::Sender<LogPos>,
    now: ArcSwap<Millis>,
    customers_feed: Arc<Feed>,
    discrepancies_feed: Arc<Feed>,
}

impl<V: View> Published<V> {
    /// Nothing yet; everything up to `position` is applied.
    #[must_use]
    pub fn new(position: LogPos) -> Self {
        let begin = Stamp { position, now: Millis::MIN, nth: 0 };
        let feed = || Arc::new(Feed::new(begin, Feed::RING_MAX, Feed::PENDING_MAX));
        Published {
            views: DashMap::default(),
            members: DashMap::default(),
            roots: DashMap::default(),
            aliases: DashMap::default(),
            splits: DashMap::default(),
            objects: DashMap::default(),
            freshness: ArcSwap::from_pointee(Freshness::default()),
            last_events: ArcSwap::default(),
            source_alerts: ArcSwap::default(),
            position: position_channel::Sender::new(position),
            now: ArcSwap::from_pointee(Millis::MIN),
            customers_feed: feed(),
            discrepancies_feed: feed(),
        }
    }

    /// Makes a position readable. Called by one publisher, with positions that never fall.
    ///
    /// The first publication is what a start found. It tells of no change, so nobody resumes from before it.
    pub fn publish(&self, publication: Publication<V>) {
        let Publication {
            position,
            now,
            views,
            retired,
            memberships,
            roots,
            splits,
            causes,
            source_alerts,
            freshness,
            last_events,
        } = publication;
        let before = self.customers_feed.published();
        let is_first = self.now() == Millis::MIN;
        let stamp = if is_first {
            Stamp::found(position, now)
        } else {
            before.next(position, now, !views.is_empty() || !retired.is_empty())
        };
        self.freshness.store(Arc::new(freshness));
        self.last_events.store(Arc::new(last_events));
        self.now.store(Arc::new(now));
        if let Some(alerts) = source_alerts {
            self.source_alerts.store(Arc::new(alerts));
        }
        for (party, customer) in memberships {
            self.aliases.insert(CustomerId::of_member(&party), party.clone());
            self.members.insert(party, customer);
        }
        for (record, root) in roots {
            match root {
                Some(root) => drop(self.roots.insert(record, root)),
                None => drop(self.roots.remove(&record)),
            }
        }
        for (before, members) in splits {
            self.splits.insert(before, members);
        }
        let mut causes = self.causes_of(&causes);
        let mut customers = Vec::with_capacity(views.len() + retired.len());
        let mut objects = Vec::new();
        for customer in retired {
            if let Some((_, slot)) = self.views.remove(&customer) {
                objects.extend(slot.view.objects_since(None).came);
                customers.push(Change::of(customer.0));
            }
        }
        for view in views {
            let causes = causes.remove(view.id()).unwrap_or_default();
            customers.push(Change { causes, ..self.replace(view, stamp, &mut objects) });
        }
        self.customers_feed.publish(stamp, customers);
        self.discrepancies_feed.publish(stamp, changes_of(Collection::Discrepancies, objects));
        if is_first {
            self.customers_feed.begin(stamp);
            self.discrepancies_feed.begin(stamp);
        }
        self.position.send_replace(position);
        metrics::CUSTOMERS.set(&[], self.views.len() as f64);
        metrics::APPLIED_POSITION.set(&[], position.0 as f64);
        for system in System::SOURCES {
            if let Some(watermark) = freshness.source(system).watermark {
                metrics::WATERMARK.set(&[system.name()], watermark.0 as f64 / 1_000.0);
            }
        }
    }

    /// By which events customers changed: the first few of each.
    fn causes_of(&self, causes: &[(EntityKey, CompactString)]) -> HashMap<CustomerId, Vec<CompactString>> {
        let mut of_customers: HashMap<CustomerId, Vec<CompactString>> = HashMap::new();
        for (record, event) in causes {
            let Some(customer) = self.customer_of(record) else { continue };
            let known = of_customers.entry(customer).or_default();
            if known.len() < Change::CAUSES_MAX && !known.contains(event) {
                known.push(event.clone());
            }
        }
        of_customers
    }

    /// Puts a view in the place of the one before, and collects the objects that differ.
    fn replace(&self, view: Arc<V>, stamp: Stamp, changed: &mut Vec<Object>) -> Change {
        let id = view.id().clone();
        let mut paths = 0;
        match self.views.entry(id.clone()) {
            Entry::Occupied(mut entry) => {
                let before = entry.get();
                self.tell_objects(&view, Some(&*before.view), changed);
                paths = view.changed_paths(&before.view);
                let version = next_version(Some(before.version), stamp.position);
                entry.insert(Slot::new(view, version, stamp));
            }
            Entry::Vacant(entry) => {
                self.tell_objects(&view, None, changed);
                entry.insert(Slot::new(view, next_version(None, stamp.position), stamp));
            }
        }
        Change { key: id.0, paths, causes: Vec::new() }
    }

    /// Makes the objects of a view findable, and collects those that look otherwise than `before`, or are
    /// not there any more.
    fn tell_objects(&self, view: &V, before: Option<&V>, told: &mut Vec<Object>) {
        let ObjectChanges { came, changed } = view.objects_since(before);
        for object in &came {
            self.objects.insert((object.collection, object.id.clone()), view.id().clone());
        }
        told.extend(came.into_iter().chain(changed));
    }

    /// The position up to which reads reflect the facts.
    #[must_use]
    pub fn position(&self) -> LogPos {
        *self.position.borrow()
    }

    /// Engine time of the last publication.
    #[must_use]
    pub fn now(&self) -> Millis {
        **self.now.load()
    }

    /// What is known about the sources.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        **self.freshness.load()
    }

    /// When the newest event of each source happened.
    #[must_use]
    pub fn last_events(&self) -> LastEvents {
        **self.last_events.load()
    }

    /// Alerts on sources: they belong to no customer.
    #[must_use]
    pub fn source_alerts(&self) -> Arc<Vec<Alert>> {
        self.source_alerts.load_full()
    }

    /// Waits until a position is readable; false if it is not by `until`.
    pub async fn reaches(&self, position: LogPos, until: Instant) -> bool {
        let mut positions = self.position.subscribe();
        let reached = positions.wait_for(|reached| *reached >= position);
        tokio::time::timeout_at(until, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// The customer that an id leads to: its own, or that of the record the id was made from.
    #[must_use]
    pub fn find(&self, id: &CustomerId) -> Option<Found<V>> {
        let split_into = self.split_into(id);
        if let Some(slot) = self.slot(id) {
            return Some(Found { slot, is_redirected: false, split_into });
        }
        let party = self.member_named(id)?;
        let slot = self.slot(&self.customer_of(&party)?)?;
        Some(Found { slot, is_redirected: true, split_into })
    }

    /// The party record that an id was made from, whatever customer it belongs to.
    #[must_use]
    pub fn member_named(&self, id: &CustomerId) -> Option<EntityKey> {
        self.aliases.get(id).map(|party| party.clone())
    }

    /// The other customers that records went to which once belonged to `id`.
    #[must_use]
    pub fn split_into(&self, id: &CustomerId) -> Vec<CustomerId> {
        let Some(members) = self.splits.get(id).map(|members| members.clone()) else { return Vec::new() };
        went_to(id, members.iter().filter_map(|member| self.customer_of(member)))
    }

    /// The customer with exactly this id.
    #[must_use]
    pub fn slot(&self, id: &CustomerId) -> Option<Slot<V>> {
        self.views.get(id).map(|slot| slot.clone())
    }

    /// The customer that a record belongs to, whether it is a party or hangs below one.
    #[must_use]
    pub fn customer_of(&self, record: &EntityKey) -> Option<CustomerId> {
        if let Some(customer) = self.members.get(record) {
            return Some(customer.clone());
        }
        let root = self.roots.get(record).map(|root| root.clone())?;
        self.members.get(&root).map(|customer| customer.clone())
    }

    /// The customer that a derived object belongs to.
    #[must_use]
    pub fn customer_of_object(&self, collection: Collection, id: &str) -> Option<Slot<V>> {
        let customer = self.objects.get(&(collection, CompactString::new(id))).map(|customer| customer.clone())?;
        self.slot(&customer)
    }

    /// All views, in order of id. Each is at least as new as the position read before.
    #[must_use]
    pub fn all(&self) -> Vec<Slot<V>> {
        let mut all: Vec<Slot<V>> = self.views.iter().map(|entry| entry.value().clone()).collect();
        all.sort_unstable_by(|a, b| a.view.id().cmp(b.view.id()));
        all
    }

    /// Ids of all customers, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<CompactString> {
        let mut ids: Vec<CompactString> = self.views.iter().map(|entry| entry.key().0.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Customers that have or had objects of a collection; some more than once.
    #[must_use]
    pub fn customers_with(&self, collection: Collection) -> Vec<CustomerId> {
        let of_collection = self.objects.iter().filter(|entry| entry.key().0 == collection);
        of_collection.map(|entry| entry.value().clone()).collect()
    }

    /// Ids of all objects of a collection, in order.
    #[must_use]
    pub fn object_ids(&self, collection: Collection) -> Vec<CompactString> {
        let of_collection = self.objects.iter().filter(|entry| entry.key().0 == collection);
        let mut ids: Vec<CompactString> = of_collection.map(|entry| entry.key().1.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Changes of customers.
    #[must_use]
    pub fn customers_feed(&self) -> &Arc<Feed> {
        &self.customers_feed
    }

    /// Changes of discrepancies.
    #[must_use]
    pub fn discrepancies_feed(&self) -> &Arc<Feed> {
        &self.discrepancies_feed
    }
}

/// The changes of one collection, one per id.
fn changes_of(collection: Collection, objects: Vec<Object>) -> Vec<Change> {
    let of_collection = objects.into_iter().filter(|object| object.collection == collection);
    let mut ids: Vec<CompactString> = of_collection.map(|object| object.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(Change::of).collect()
}
