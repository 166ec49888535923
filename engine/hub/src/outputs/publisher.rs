//! The publisher: follows what changed, sends what differs from what was marked as sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use connectors::edge::retry::Backoff;
use futures::{FutureExt as _, Stream, StreamExt as _};
use insight::alerts::Alert;
use ontology::{CustomerId, Trace};
use pipeline::CustomerView;
use rdkafka::error::KafkaError;
use serve::convert::derived;
use serve::drain::Drain;
use serve::views::{Collection, Published, View as _};
use serve::watch::{Event as Watched, Selection, Stamp, Watch, WatchRequest};
use storage::Store;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::causes::Causes;
use super::client::{Client, Delivery, KafkaOutput};
use super::events::{Resource, Topic, object_of, of_alert, of_customer, retired};
use super::figures::{count, failing};
use super::listings::{Differing, Listing, SOURCES, differing};
use super::marks::Marks;
use crate::traces::Traces;

/// Customers whose events are sent at a time.
const CUSTOMERS_MAX: usize = 64;
/// How often alerts on sources are compared while no customer changes.
const QUIET_MAX: Duration = Duration::from_millis(500);

/// Why sending ended for now.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// Said by the client, without any content of an event.
    #[error("writing to the topics failed: {0}")]
    Client(#[from] KafkaError),
    #[error(transparent)]
    Store(#[from] storage::Error),
    #[error("work on another thread panicked")]
    Panicked,
}

/// Sends what changes until `stop`, with the traces that caused it. Brokers that are away are tried again
/// for as long as it takes.
pub async fn run(
    output: KafkaOutput,
    (published, traces): (Arc<Published<CustomerView>>, Traces),
    store: Arc<dyn Store>,
    stop: CancellationToken,
) {
    let (switch, drain) = Drain::new();
    let (causes, backoff) = (Causes::of(traces), Backoff::default());
    let publisher = Publisher { output, published, store, writing: None, alerts: Arc::default(), causes, backoff };
    tokio::select! {
        () = stop.cancelled() => {}
        () = publisher.follow(drain) => {}
    }
    drop(switch);
}

struct Publisher {
    output: KafkaOutput,
    published: Arc<Published<CustomerView>>,
    store: Arc<dyn Store>,
    /// The brokers and what was sent there, while they can be written to.
    writing: Option<(Client, Marks)>,
    /// Alerts on sources as they were sent last.
    alerts: Arc<Vec<Alert>>,
    causes: Causes,
    backoff: Backoff,
}

impl Publisher {
    /// Follows the customers: all of them first, then those that change. Changes that wait while
    /// brokers are away are folded; too many of them, and it begins with all customers again.
    async fn follow(mut self, drain: Drain) {
        loop {
            let request = WatchRequest { bookmark_interval: Some(QUIET_MAX), ..WatchRequest::default() };
            let feed = self.published.customers_feed().clone();
            let watch = Watch::begin(feed, drain.clone(), Customers(self.published.clone()), request)
                .expect("a watch without a token begins");
            let mut told = std::pin::pin!(watch.into_stream());
            while let Some(round) = gather(&mut told).await {
                let customers = self.causes.of_customers(round.customers, &self.published);
                self.tell(Work::Customers(customers)).await;
                if round.is_complete {
                    self.tell(Work::Absent).await;
                }
                let alerts = self.published.source_alerts();
                if !Arc::ptr_eq(&alerts, &self.alerts) {
                    self.tell(Work::Alerts(alerts.clone())).await;
                    self.alerts = alerts;
                }
            }
        }
    }

    /// Sends what there is to tell of, however long brokers are away.
    async fn tell(&mut self, work: Work) {
        let work = Arc::new(work);
        while let Err(error) = self.try_tell(&work).await {
            tracing::warn!(%error, "events wait, will retry");
            failing(true);
            self.writing = None;
            tokio::time::sleep(self.backoff.next_delay()).await;
        }
        failing(false);
        self.backoff.reset();
    }

    async fn try_tell(&mut self, work: &Arc<Work>) -> Result<(), Broken> {
        if self.writing.is_none() {
            failing(true);
            let (client, place) = Client::open(&self.output).await?;
            let marks = self.apart(move |store, _| Marks::open(store, place)).await?;
            self.writing = Some((client, marks));
        }
        let (client, marks) = self.writing.as_ref().expect("it was just opened");
        let (marks, work) = (marks.clone(), work.clone());
        let told = self.apart({
            let marks = marks.clone();
            move |store, published| {
                let listings = work.listings(store, &marks, published)?;
                let told = differing(store, &marks, listings, |name| is_listed(published, name))?;
                marks.begin(store, &told.events, &told.listed)?;
                Ok(told)
            }
        });
        let Differing { events, listed } = told.await?;
        if events.is_empty() && listed.is_empty() {
            return Ok(());
        }
        let delivered = client.send(&events).await.inspect_err(|_| count(events.iter(), "refused"))?;
        crate::crash::point("output.sent");
        let (oversized, whole): (Vec<_>, Vec<_>) =
            events.iter().zip(&delivered).partition(|(_, delivery)| **delivery == Delivery::Oversized);
        for (event, _) in &oversized {
            tracing::error!(
                topic = event.topic.name(),
                key = event.key,
                "the brokers take no event of this size: left out"
            );
        }
        count(oversized.iter().map(|(event, _)| *event), "oversized");
        count(whole.iter().map(|(event, _)| *event), "delivered");
        self.apart(move |store, _| marks.write(store, &events, &listed)).await?;
        crate::crash::point("output.marked");
        Ok(())
    }

    /// Work on store and views, off the runtime's threads.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store, &Published<CustomerView>) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, Broken> {
        let (store, published) = (self.store.clone(), self.published.clone());
        let done = tokio::task::spawn_blocking(move || work(&*store, &published)).await;
        Ok(done.map_err(|_| Broken::Panicked)??)
    }
}

/// What there is to tell of.
enum Work {
    /// Customers that may have changed, and by what.
    Customers(BTreeMap<CompactString, Option<Trace>>),
    /// Customers that were sent once and are no more.
    Absent,
    /// Alerts on sources.
    Alerts(Arc<Vec<Alert>>),
}

impl Work {
    /// The resources as they stand now.
    fn listings(
        &self,
        store: &dyn Store,
        marks: &Marks,
        published: &Published<CustomerView>,
    ) -> storage::Result<Vec<Listing>> {
        Ok(match self {
            Work::Customers(causes) => causes.iter().map(|(id, cause)| customer(published, id, cause)).collect(),
            Work::Absent => {
                let sent = marks.customers(store)?;
                let gone = sent.iter().filter(|id| published.slot(&CustomerId(id.as_str().into())).is_none());
                gone.map(|id| listing(id, vec![retired(Topic::Customers, id)])).collect()
            }
            Work::Alerts(alerts) => {
                let resources = alerts.iter().map(|alert| of_alert(derived::alert_of(alert))).collect();
                vec![Listing { owner: SOURCES.to_owned(), resources }]
            }
        })
    }
}

fn customer(published: &Published<CustomerView>, id: &CompactString, cause: &Option<Trace>) -> Listing {
    let resources = match published.slot(&CustomerId(id.clone())) {
        Some(slot) => of_customer(&slot, published.now()),
        None => vec![retired(Topic::Customers, id)],
    };
    listing(id, resources.into_iter().map(|resource| Resource { cause: cause.clone(), ..resource }).collect())
}

fn listing(id: &str, resources: Vec<Resource>) -> Listing {
    Listing { owner: format!("{}/{id}", Topic::Customers.name()), resources }
}

/// Whether a customer has an object of this name.
fn is_listed(published: &Published<CustomerView>, name: &str) -> bool {
    let Some((topic, id)) = object_of(name) else { return false };
    let collection = match topic {
        Topic::Alerts => Collection::Alerts,
        Topic::Discrepancies => Collection::Discrepancies,
        Topic::Handoffs => Collection::Handoffs,
        Topic::Customers => return false,
    };
    let slot = published.customer_of_object(collection, id);
    let objects = slot.map(|slot| slot.view.objects_since(None).came).unwrap_or_default();
    objects.iter().any(|object| object.collection == collection && object.id == id)
}

/// What a watch told in a row.
#[derive(Default)]
struct Round {
    customers: BTreeSet<CompactString>,
    /// Every customer has been told of once.
    is_complete: bool,
}

/// Takes what is told, up to a bound; none once the watch has ended.
async fn gather(told: &mut (impl Stream<Item = Result<Told, Status>> + Unpin)) -> Option<Round> {
    let mut round = Round::default();
    let mut next = told.next().await;
    loop {
        match next?.ok()? {
            Told::Customer(id) => drop(round.customers.insert(id)),
            Told::All => round.is_complete = true,
            Told::Nothing => return Some(round),
        }
        if round.is_complete || round.customers.len() == CUSTOMERS_MAX {
            return Some(round);
        }
        match told.next().now_or_never() {
            Some(more) => next = more,
            None => return Some(round),
        }
    }
}

/// What a watch tells.
enum Told {
    /// A customer changed, or is no more.
    Customer(CompactString),
    /// Every customer has been told of.
    All,
    /// Nothing for a while, or everything will be told anew.
    Nothing,
}

/// All customers; their states are read when they are sent.
struct Customers(Arc<Published<CustomerView>>);

impl Selection for Customers {
    type State = ();
    type Message = Told;
    const RESOURCE: &'static str = "outputs";

    fn keys(&self) -> Vec<CompactString> {
        self.0.ids()
    }

    fn load(&self, key: &str) -> Option<(Stamp, ())> {
        self.0.slot(&CustomerId(key.into())).map(|slot| (slot.changed_at, ()))
    }

    fn is_filtered(&self) -> bool {
        false
    }

    fn message(&self, _resume_token: String, event: Watched<()>) -> Told {
        match event {
            Watched::Upsert(upsert) => Told::Customer(upsert.change.key),
            Watched::Removed(id) => Told::Customer(id),
            Watched::Bookmark(true) => Told::All,
            Watched::Bookmark(false) | Watched::Reset(_) => Told::Nothing,
        }
    }
}
