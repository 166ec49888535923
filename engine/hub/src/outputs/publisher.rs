//! The publisher: follows what changed, sends what differs from what was marked as sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use connectors::edge::retry::Backoff;
use futures::{FutureExt as _, Stream, StreamExt as _};
use insight::alerts::Alert;
use ontology::{CustomerId, LogPos};
use pipeline::CustomerView;
use rdkafka::error::KafkaError;
use serve::convert::derived;
use serve::drain::Drain;
use serve::views::Published;
use serve::watch::{Event as Watched, Selection, Watch, WatchRequest};
use storage::Store;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::client::{Client, Delivery, KafkaOutput};
use super::events::{Event, Resource, of_alert, of_customer, retired};
use super::figures::{count, failing};
use super::marks::Marks;

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

/// Sends what changes until `stop`. Brokers that are away are tried again for as long as it takes.
pub async fn run(
    output: KafkaOutput,
    published: Arc<Published<CustomerView>>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) {
    let (switch, drain) = Drain::new();
    let publisher =
        Publisher { output, published, store, writing: None, alerts: Arc::default(), backoff: Backoff::default() };
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
                self.tell(Work::Customers(round.customers)).await;
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
        let events = self.apart({
            let marks = marks.clone();
            move |store, published| {
                let events = differing(store, &marks, work.resources(store, &marks, published)?)?;
                marks.begin(store, &events)?;
                Ok(events)
            }
        });
        let events = events.await?;
        if events.is_empty() {
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
        self.apart(move |store, _| marks.write(store, &events)).await?;
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
    /// Customers that may have changed.
    Customers(BTreeSet<CompactString>),
    /// Customers that were sent once and are no more.
    Absent,
    /// Alerts on sources.
    Alerts(Arc<Vec<Alert>>),
}

impl Work {
    /// The resources as they stand now.
    fn resources(
        &self,
        store: &dyn Store,
        marks: &Marks,
        published: &Published<CustomerView>,
    ) -> storage::Result<Vec<Resource>> {
        Ok(match self {
            Work::Customers(ids) => ids.iter().flat_map(|id| customer(published, id)).collect(),
            Work::Absent => {
                let sent = marks.customers(store)?;
                let gone = sent.iter().filter(|id| published.slot(&CustomerId(id.as_str().into())).is_none());
                gone.map(|id| retired(id)).collect()
            }
            Work::Alerts(alerts) => alerts.iter().map(|alert| of_alert(derived::alert_of(alert))).collect(),
        })
    }
}

fn customer(published: &Published<CustomerView>, id: &CompactString) -> Vec<Resource> {
    match published.slot(&CustomerId(id.clone())) {
        Some(slot) => of_customer(&slot, published.now()),
        None => vec![retired(id)],
    }
}

/// The events of the resources that differ from what was sent.
fn differing(store: &dyn Store, marks: &Marks, resources: Vec<Resource>) -> storage::Result<Vec<Event>> {
    let names: Vec<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
    let sent = marks.load(store, &names)?;
    Ok(resources.into_iter().zip(sent).filter_map(|(resource, sent)| resource.event(sent)).collect())
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

    fn keys(&self) -> Vec<CompactString> {
        self.0.ids()
    }

    fn load(&self, key: &str) -> Option<(LogPos, ())> {
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
