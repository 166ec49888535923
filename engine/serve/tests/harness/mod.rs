//! A real server on a free port in front of a small hub in memory.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use insight::correlate::Candidate;
use insight::derived::Correlation;
use insight::kpis::KpiValue;
use ontology::entity::Judgement;
use ontology::status::{CaseStatus, InvoiceStatus, ServiceOrderStatus, ServiceOrderType};
use ontology::{
    CustomerId, EntityKey, EntityKind, Fact, Field, FieldReader as _, FieldsBuilder, LogPos, Millis, Op, PartyRecord,
    System, ValueRef, Version, Vocabulary,
};
use pipeline::InReview;
use pipeline::sources::LastEvents;
use resolver::{Explanation, Model, Resolver};
use serve::auth::Authentication;
use serve::backend::{About, AsOf, Backend, Lookup, Parts, Process, Replayed, Reply, SourceReport, Submission, Then};
use serve::reason::{Reason, Refusal};
use serve::server::{Options, Server};
use serve::view::CustomerView;
use serve::views::{Publication, Published};
use state::{Composite, Entity, Freshness, Member, PartyTree};
use storage::{QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState, Quarantined, Store};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic_types::StatusExt as _;

/// T of the specification: 2026-03-10T15:00:00Z.
pub const T: Millis = Millis(1_773_154_800_000);

/// A hub that remembers what it was given.
pub struct SmallHub {
    pub published: Arc<Published<CustomerView>>,
    pub submitted: Mutex<Vec<Submission>>,
    pub review: Mutex<Vec<InReview>>,
    pub quarantine: Mutex<Vec<Quarantined>>,
    store: Arc<dyn Store>,
    resolver: Mutex<Resolver>,
    position: AtomicU64,
}

impl SmallHub {
    pub fn new() -> Arc<Self> {
        Arc::new(SmallHub {
            published: Arc::new(Published::new(LogPos(0))),
            submitted: Mutex::default(),
            review: Mutex::default(),
            quarantine: Mutex::default(),
            store: Arc::new(storage::Memory::default()),
            resolver: Mutex::new(Resolver::new(Model::shipped())),
            position: AtomicU64::new(0),
        })
    }

    /// Publishes these customers at the next position.
    pub fn publish(&self, accounts: &[(&str, u32)]) -> LogPos {
        let position = LogPos(self.position.fetch_add(1, Ordering::Relaxed) + 1);
        self.publish_at(position, T, accounts);
        position
    }

    /// Publishes what a hub finds that starts behind `position`.
    pub fn found(&self, position: LogPos, accounts: &[(&str, u32)]) {
        self.position.store(position.0, Ordering::Relaxed);
        self.publish_at(position, T, accounts);
    }

    /// Publishes customers as they are, with their records.
    pub fn publish_views(&self, views: Vec<Arc<CustomerView>>) {
        let position = LogPos(self.position.fetch_add(1, Ordering::Relaxed) + 1);
        let member = |view: &Arc<CustomerView>| (view.composite.members[0].key.clone(), view.id().clone());
        let memberships = views.iter().map(member).collect();
        let roots = views.iter().flat_map(|view| {
            let (root, _) = member(view);
            view.composite.entities().map(|entity| (entity.key.clone(), root.clone())).collect::<Vec<_>>()
        });
        let roots = roots.filter(|(key, root)| key != root).map(|(key, root)| (key, Some(root))).collect();
        self.published.publish(Publication { views, memberships, roots, ..publication(position, T, &[]) });
    }

    /// Publishes what time alone made of these customers.
    pub fn tick(&self, now: Millis, accounts: &[(&str, u32)]) {
        self.publish_at(LogPos(self.position.load(Ordering::Relaxed)), now, accounts);
    }

    /// Publishes at the next position that the customer of one account is that of another.
    pub fn merge(&self, into: &str, gone: &str) {
        let position = LogPos(self.position.fetch_add(1, Ordering::Relaxed) + 1);
        let key = |id| EntityKey::new(EntityKind::Account, id);
        let member = |id| CustomerId::of_member(&key(id));
        let publication = publication(position, T, &[(into, 1)]);
        let memberships = vec![(key(gone), member(into))];
        self.published.publish(Publication { retired: vec![member(gone)], memberships, ..publication });
    }

    fn publish_at(&self, position: LogPos, now: Millis, accounts: &[(&str, u32)]) {
        self.published.publish(publication(position, now, accounts));
    }

    pub fn facts(&self) -> Vec<Fact> {
        self.submitted.lock().unwrap().iter().flat_map(|submission| submission.facts.clone()).collect()
    }
}

fn publication(position: LogPos, now: Millis, accounts: &[(&str, u32)]) -> Publication<CustomerView> {
    let views: Vec<Arc<CustomerView>> = accounts.iter().map(|(id, cases)| customer(id, *cases, position)).collect();
    let memberships = accounts.iter().map(|(id, _)| {
        let key = EntityKey::new(EntityKind::Account, id);
        (key.clone(), CustomerId::of_member(&key))
    });
    let causes =
        accounts.iter().map(|(id, cases)| (EntityKey::new(EntityKind::Account, id), format!("e-{cases}").into()));
    let mut freshness = Freshness::default();
    freshness.source_mut(System::Salesforce).watermark = Some(T - 10_000);
    Publication {
        position,
        now,
        memberships: memberships.collect(),
        views,
        retired: Vec::new(),
        roots: Vec::new(),
        splits: Vec::new(),
        causes: causes.collect(),
        last_events: LastEvents::default(),
        source_alerts: None,
        freshness,
    }
}

pub fn name_of(account: &str) -> String {
    format!("customers/{}", CustomerId::of_member(&EntityKey::new(EntityKind::Account, account)))
}

/// A customer of one account with some open cases.
pub fn customer(account: &str, cases: u32, position: LogPos) -> Arc<CustomerView> {
    let key = EntityKey::new(EntityKind::Account, account);
    let mut tree = PartyTree::default();
    let mut fields = FieldsBuilder::default();
    fields.set(Field::Name, ValueRef::Text("Acme GmbH")).set(Field::Tier, ValueRef::Text("Gold"));
    tree.put(Arc::new(entity(&key, "Account", fields)));
    for n in 0..cases {
        let mut fields = FieldsBuilder::default();
        fields.word(Field::Status, CaseStatus::InProgress).set(Field::AccountRef, ValueRef::Text(account));
        tree.put(Arc::new(entity(&EntityKey::new(EntityKind::Case, format!("{account}-{n}")), "Case", fields)));
    }
    let composite = Composite {
        id: CustomerId::of_member(&key),
        members: vec![Member { key, confidence: 1_000_000, joined: None, tree: Arc::new(tree) }],
        possible: Vec::new(),
        elsewhere: Vec::new(),
        freshness: Freshness::default(),
        log_pos: position,
    };
    view_of(composite)
}

fn view_of(composite: Composite) -> Arc<CustomerView> {
    Arc::new(CustomerView {
        composite,
        derived: Arc::default(),
        transfers: Vec::new(),
        handoff_alerts: Vec::new(),
        evaluated_at: T,
    })
}

/// A billed customer: its invoices by id, amount in cents and time, its service orders by id and time of
/// completion, and what is concluded from them.
pub fn billed(id: &str, invoices: &[(&str, i64, Millis)], orders: &[(&str, Millis)]) -> Arc<CustomerView> {
    let key = EntityKey::new(EntityKind::ArCustomer, id);
    let mut tree = PartyTree::default();
    tree.put(Arc::new(entity(&key, "AR_CUSTOMER", FieldsBuilder::default())));
    for (invoice, cents, at) in invoices {
        let mut fields = FieldsBuilder::default();
        fields.set(Field::ArCustomerRef, ValueRef::Text(id)).set(Field::Currency, ValueRef::Text("USD"));
        fields.set(Field::Amount, ValueRef::Decimal { mantissa: *cents, scale: 2 });
        fields.set(Field::IssuedAt, ValueRef::Time(*at)).word(Field::Status, InvoiceStatus::Open);
        tree.put(Arc::new(entity(&EntityKey::new(EntityKind::Invoice, invoice), "INVOICE", fields)));
    }
    for (order, at) in orders {
        let mut fields = FieldsBuilder::default();
        fields.word(Field::Type, ServiceOrderType::Maintenance).word(Field::Status, ServiceOrderStatus::Completed);
        fields.set(Field::CompletedAt, ValueRef::Time(*at));
        tree.put(Arc::new(entity(&EntityKey::new(EntityKind::ServiceOrder, order), "ORDER", fields)));
    }
    let composite = Composite {
        id: CustomerId::of_member(&key),
        members: vec![Member { key, confidence: 1_000_000, joined: None, tree: Arc::new(tree) }],
        possible: Vec::new(),
        elsewhere: Vec::new(),
        freshness: Freshness::default(),
        log_pos: LogPos(1),
    };
    let (settings, reference) = (insight::Settings::default(), insight::Reference::default());
    let context = insight::Context::without_memory(&settings, &reference, T);
    let derived = Arc::new(insight::evaluate(&composite, &context));
    Arc::new(CustomerView { derived, ..(*view_of(composite)).clone() })
}

fn entity(key: &EntityKey, object: &str, mut fields: FieldsBuilder) -> Entity {
    let fact = Fact {
        event_id: format!("e-{key}").into(),
        system: System::Salesforce,
        object: object.into(),
        record_id: key.id.clone(),
        entity: key.clone(),
        op: Op::Image,
        version: Version::new(1, 0, 0),
        changed_at: T,
        observed_at: T,
        ingested_at: T,
        log_pos: LogPos(1),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    };
    Entity::named(key.clone()).apply(&fact).unwrap()
}

fn ready<'a, T: Send + 'a>(answer: Result<T, Refusal>) -> Reply<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Backend for SmallHub {
    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn published(&self) -> &Arc<Published<CustomerView>> {
        &self.published
    }

    fn now(&self) -> Millis {
        T
    }

    fn customers_as_of(&self, customers: Vec<Lookup>, at: AsOf) -> Reply<'_, Vec<Option<Then>>> {
        let AsOf::Position(position) = at else {
            return ready(Err(Refusal::new(Reason::PositionTooOld).with("oldest_position", "x")));
        };
        if position > self.published.position() {
            return ready(Err(Refusal::new(Reason::PositionInFuture).with("field", at.field())));
        }
        let find = |customer: &Lookup| match customer {
            Lookup::Customer(id) => self.published.find(id).map(|found| Then {
                view: found.slot.view,
                split_into: found.split_into,
                last_events: self.published.last_events(),
            }),
            Lookup::Record(_) => None,
        };
        ready(Ok(customers.iter().map(find).collect()))
    }

    fn submit(&self, submission: Submission) -> Reply<'_, LogPos> {
        self.submitted.lock().unwrap().push(submission);
        ready(Ok(LogPos(self.position.load(Ordering::Relaxed) + 1)))
    }

    fn explain(&self, left: EntityKey, right: EntityKey) -> Reply<'_, Explanation> {
        let explained = self.resolver.lock().unwrap().explain(&left, &right);
        ready(explained.ok_or_else(|| Refusal::new(Reason::SourceRecordUnknown).with("record", &left)))
    }

    fn rejected(&self, view: Arc<CustomerView>, correlation: Arc<Correlation>) -> Reply<'_, Vec<Candidate>> {
        let (settings, reference) = (insight::Settings::default(), insight::Reference::default());
        let context = insight::Context::without_memory(&settings, &reference, T);
        ready(Ok(insight::correlate::rejected(&correlation, &view.derived, &view.composite, &context)))
    }

    fn resolve(&self, party: PartyRecord, _limit: usize) -> Reply<'_, Vec<Explanation>> {
        let _ = party;
        ready(Ok(Vec::new()))
    }

    fn review_items(&self) -> Reply<'_, Vec<InReview>> {
        ready(Ok(self.review.lock().unwrap().clone()))
    }

    fn last_decided(&self, about: Vec<About>) -> Reply<'_, Option<Millis>> {
        let is_about = |fact: &&Fact| {
            let judged = Judgement::read(&fact.fields);
            let pair = (judged.left_ref.and_then(EntityKey::parse), judged.right_ref.and_then(EntityKey::parse));
            about.iter().any(|one| match one {
                About::Object(id) => fact.fields.text(Field::SubjectRef) == Some(&*id.0),
                About::Pair(left, right) => pair == (Some(left.min(right).clone()), Some(left.max(right).clone())),
            })
        };
        ready(Ok(self.facts().iter().filter(is_about).map(|fact| fact.changed_at).max()))
    }

    fn process(&self) -> Process {
        Process { is_owner: false, owner: Some("http://hub-0:7400/".to_owned()), lag_positions: 3, lag_ms: Some(1_500) }
    }

    fn sources(&self) -> Vec<SourceReport> {
        [(System::Salesforce, Some(T - 10_000)), (System::Zendesk, Some(T - 400_000)), (System::Oracle, None)]
            .into_iter()
            .map(|(system, watermark)| SourceReport {
                system,
                partition: system.name().to_owned(),
                source_position: "7".to_owned(),
                watermark,
                last_event_at: None,
                received_count: 1,
                quarantined_count: 0,
                last_error: String::new(),
            })
            .collect()
    }

    fn list_quarantine(
        &self,
        filter: QuarantineFilter,
        after: Option<QuarantineId>,
        limit: usize,
    ) -> Reply<'_, QuarantinePage> {
        let records = self.quarantine.lock().unwrap();
        let behind =
            records.iter().filter(|record| after.is_none_or(|after| record.id > after) && filter.takes(record));
        let found: Vec<Quarantined> = behind.take(limit).cloned().collect();
        let after = (found.len() == limit).then(|| found.last().map(|record| record.id)).flatten();
        ready(Ok(QuarantinePage { records: found, after }))
    }

    fn quarantined(&self, id: QuarantineId) -> Reply<'_, Option<(Quarantined, Vec<u8>)>> {
        let records = self.quarantine.lock().unwrap();
        ready(Ok(records.iter().find(|record| record.id == id).map(|record| (record.clone(), b"raw".to_vec()))))
    }

    fn replay(&self, ids: Vec<QuarantineId>, _is_trial: bool) -> Reply<'_, Replayed> {
        ready(Ok(Replayed { replayed: ids, refused: Vec::new(), position: Some(LogPos(9)) }))
    }

    fn discard(&self, ids: Vec<QuarantineId>, _is_trial: bool) -> Reply<'_, Vec<QuarantineId>> {
        ready(Ok(ids))
    }

    fn digest(&self, _at: Option<ontology::Millis>) -> Reply<'_, (String, LogPos)> {
        ready(Ok(("ab".repeat(32), self.published.position())))
    }

    fn backup(&self) -> Result<Parts, Refusal> {
        Ok(Box::pin(futures::stream::iter([Ok(b"a ".to_vec()), Ok(b"backup".to_vec())])))
    }

    fn kpis(&self) -> Reply<'_, Vec<KpiValue>> {
        ready(Ok(Vec::new()))
    }
}

pub fn held(id: u64, reason: &str) -> Quarantined {
    Quarantined {
        id: QuarantineId(id),
        detail: String::new(),
        reason: reason.to_owned(),
        source: "oracle/ar_invoice".to_owned(),
        source_position: b"7".to_vec(),
        received_at: T,
        contract_version: "1".to_owned(),
        attempts: 1,
        beside: Vec::new(),
        raw_bytes: 3,
        state: QuarantineState::Held,
    }
}

/// The reason in the details of an error.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

/// A running server.
pub struct Running {
    pub hub: Arc<SmallHub>,
    pub addr: std::net::SocketAddr,
    pub channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    pub task: tokio::task::JoinHandle<Result<(), serve::Error>>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(Authentication::default()).await
    }

    pub async fn start_with(authentication: Authentication) -> Self {
        Self::start_as(Options { authentication, ..Options::local() }).await
    }

    /// Its `channel` is for a server without TLS.
    pub async fn start_as(options: Options) -> Self {
        let hub = SmallHub::new();
        let server = Server::bind(options, hub.clone()).await.unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async move { drop(stopped.await) }));
        let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
        Running { hub, addr, channel, stop: Some(stop), task }
    }

    /// A connection of its own to a server with TLS.
    pub fn connect(&self, tls: ClientTlsConfig) -> Channel {
        let endpoint = Channel::from_shared(format!("https://{}", self.addr)).unwrap();
        endpoint.tls_config(tls).unwrap().connect_lazy()
    }

    /// Begins to go away.
    pub fn drain(&mut self) {
        drop(self.stop.take());
    }
}
