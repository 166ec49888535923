//! Events in the topics of a real broker, which `fixtures/services up` starts: a hub that dies between
//! sending and marking repeats the same events, and in the end the topics hold what the API answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use fixtures::services::address;
use hub::outputs::Topic;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::identity_service_client::IdentityServiceClient;
use proto::v1::{self, admin_service_client::AdminServiceClient};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::arena::Arena;
use crate::child::Hub;
use crate::faults::restart_broker;
use crate::schema::check;
use crate::{seed_of, wall};

/// Facts that are in the log before anything is sent.
const FACTS_MIN: u64 = 200;
/// How long topics and API may differ before the test gives up: far above what slow machines need.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where the hub dies, one life after another.
const DEATHS: [&str; 3] = ["output.sent", "output.sent", "output.marked"];

/// A record of a topic.
pub struct Record {
    topic: Topic,
    pub key: String,
    pub value: Option<Value>,
    id: String,
    sequence: u64,
    pub headers: BTreeMap<String, String>,
}

/// Everything that stands in the topics.
pub struct Topics {
    consumer: BaseConsumer,
    prefix: String,
    contract: Value,
    assigned: BTreeSet<(String, i32)>,
    pub records: Vec<Record>,
}

impl Topics {
    pub fn new(brokers: &str, prefix: &str) -> Self {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", brokers).set("group.id", "unused").set("enable.auto.commit", "false");
        let consumer = client.create().unwrap();
        Topics {
            consumer,
            prefix: prefix.to_owned(),
            contract: hub::outputs::contract(),
            assigned: BTreeSet::new(),
            records: Vec::new(),
        }
    }

    /// Reads what came since.
    pub fn read(&mut self) {
        // A broker that stands still is asked again.
        let Ok(metadata) = self.consumer.fetch_metadata(None, PATIENCE) else { return };
        let topics = metadata.topics().iter().filter(|topic| topic.name().starts_with(&self.prefix));
        let partitions = topics.flat_map(|topic| topic.partitions().iter().map(|p| (topic.name().to_owned(), p.id())));
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            if self.assigned.insert((topic.clone(), partition)) {
                list.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
            }
        }
        if list.count() > 0 {
            self.consumer.incremental_assign(&list).unwrap();
        }
        while let Some(message) = self.consumer.poll(Duration::from_millis(200)) {
            // What the client says of its connections passes: it connects again by itself.
            let Ok(message) = message else { continue };
            let topic = Topic::ALL.into_iter().find(|topic| message.topic().ends_with(topic.name())).unwrap();
            let headers = message.headers().unwrap();
            let headers: BTreeMap<&str, &str> = headers
                .iter()
                .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
                .collect();
            let key = std::str::from_utf8(message.key().unwrap()).unwrap().to_owned();
            let value = message.payload().map(|payload| serde_json::from_slice::<Value>(payload).unwrap());
            let record = json!({ "topic": topic.name(), "key": key, "headers": headers, "value": value });
            check(&self.contract, &self.contract, &record, "record").unwrap();
            assert_eq!((headers["ce_subject"], headers["ce_source"]), (key.as_str(), "/opshub"));
            assert_eq!(headers["ce_type"], topic.event_type(value.is_none()));
            self.records.push(Record {
                topic,
                key,
                value,
                id: headers["ce_id"].to_owned(),
                sequence: headers["ce_sequence"].parse().unwrap(),
                headers: headers.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
            });
        }
    }

    /// Reads what came since; what is not there as the API answers it.
    fn lack(&mut self, expected: &BTreeMap<String, Value>) -> Result<(), String> {
        self.read();
        let sent = self.newest();
        if sent == *expected {
            return Ok(());
        }
        let more: Vec<&String> = sent.keys().filter(|name| !expected.contains_key(*name)).take(5).collect();
        let differing = expected.iter().find(|(name, value)| sent.get(*name) != Some(value));
        let instead = differing.map(|(name, _)| sent.get(name));
        let (is, should) = (sent.len(), expected.len());
        Err(format!("{is} of {should} are sent: {differing:#?}\nwas sent as {instead:#?}\nbesides {more:?}"))
    }

    /// The newest value of each key.
    fn newest(&self) -> BTreeMap<String, Value> {
        let all: BTreeMap<&str, Option<&Value>> =
            self.records.iter().map(|record| (record.key.as_str(), record.value.as_ref())).collect();
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))).collect()
    }

    /// Names of the customers whose newest record says that they are no more.
    fn ended(&self) -> BTreeSet<String> {
        let newest = self.newest();
        let of_customers = self.records.iter().filter(|record| record.topic == Topic::Customers);
        of_customers.map(|record| record.key.clone()).filter(|key| !newest.contains_key(key)).collect()
    }

    /// What the broker does with old records of a topic.
    fn cleanup(&self, runtime: &Runtime, topic: Topic) -> String {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", address("OPSHUB_KAFKA"));
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        let name = format!("{}.{}", self.prefix, topic.name());
        let asked = [ResourceSpecifier::Topic(&name)];
        let told = runtime.block_on(admin.describe_configs(&asked, &AdminOptions::new())).unwrap().remove(0).unwrap();
        told.get("cleanup.policy").unwrap().value.clone().unwrap()
    }

    /// One id, one event; numbers never fall within a key.
    fn check_ids(&self) {
        let mut by_id: BTreeMap<&str, &Record> = BTreeMap::new();
        let mut numbers: BTreeMap<(Topic, &str), u64> = BTreeMap::new();
        for record in &self.records {
            let first = by_id.entry(&record.id).or_insert(record);
            assert_eq!((&first.key, &first.value, first.sequence), (&record.key, &record.value, record.sequence));
            let before = numbers.insert((record.topic, &record.key), record.sequence).unwrap_or_default();
            assert!(record.sequence == before || record.sequence == before + 1, "{}", record.key);
        }
    }

    /// How often the event stands there that was sent most often.
    fn repeats(&self) -> usize {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.records.iter().for_each(|record| *counts.entry(&record.id).or_default() += 1);
        counts.into_values().max().unwrap_or_default()
    }
}

/// Everything that the API answers, by name, without what differs from answer to answer; or why it does not.
fn answers(runtime: &Runtime, api: &str) -> Result<BTreeMap<String, Value>, String> {
    use v1::alert_service_client::AlertServiceClient;
    use v1::discrepancy_service_client::DiscrepancyServiceClient;
    use v1::handoff_service_client::HandoffServiceClient;
    let api = format!("http://{api}");
    let mut all = Vec::new();
    macro_rules! pages {
        ($client:ident, $call:ident, $request:ident, $items:ident, $message:literal) => {{
            let mut client = $client::connect(api.clone()).await.map_err(|error| error.to_string())?;
            let mut page_token = String::new();
            loop {
                let request = v1::$request { page_size: 1_000, page_token, ..v1::$request::default() };
                let page = client.$call(request).await.map_err(|status| status.to_string())?.into_inner();
                all.extend(page.$items.iter().map(|item| hub::client::json($message, item).unwrap()));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
        }};
    }
    runtime.block_on(async {
        pages!(
            CustomerStateServiceClient,
            query_customer_states,
            QueryCustomerStatesRequest,
            customer_states,
            "CustomerState"
        );
        pages!(AlertServiceClient, list_alerts, ListAlertsRequest, alerts, "Alert");
        pages!(DiscrepancyServiceClient, list_discrepancies, ListDiscrepanciesRequest, discrepancies, "Discrepancy");
        pages!(HandoffServiceClient, list_handoffs, ListHandoffsRequest, handoffs, "Handoff");
        Ok::<_, String>(())
    })?;
    let named = all.into_iter().map(|mut item| {
        without_position(&mut item);
        let state = item.as_object_mut().unwrap();
        let name = state["name"].as_str().unwrap().to_owned();
        if name.starts_with("customers/") {
            let of_the_answer = ["version", "publishTime", "freshness", "splitInto"];
            state.retain(|field, _| !of_the_answer.contains(&field.as_str()));
        }
        (name, item)
    });
    Ok(named.collect())
}

fn without_position(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("position");
            fields.values_mut().for_each(without_position);
        }
        Value::Array(items) => items.iter_mut().for_each(without_position),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Looks again and again until it is so; what was wrong last is told when it takes too long.
pub fn patiently(mut look: impl FnMut() -> Result<(), String>) {
    let begun = wall();
    while let Err(wrong) = look() {
        assert!(u128::from(wall().since(begun).unsigned_abs()) < PATIENCE.as_millis(), "{wrong}");
    }
}

/// Waits until so many facts are applied.
fn filled(runtime: &Runtime, api: &str) {
    patiently(|| {
        runtime.block_on(async {
            let mut admin = AdminServiceClient::connect(format!("http://{api}")).await.unwrap();
            let min_position = serve::token::position_token(ontology::LogPos(FACTS_MIN));
            let asked = admin.get_digest(v1::GetDigestRequest { min_position, at: None }).await;
            asked.map(drop).map_err(|status| format!("{FACTS_MIN} facts are not there: {status}"))
        })
    });
}

/// A store with facts that nothing was sent of.
fn filled_arena(test: &str) -> (Arena, Runtime) {
    let mut arena = Arena::new(seed_of(test));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (hub, ready) = arena.start();
    arena.load(hub, &ready, Duration::ZERO, |hub| {
        filled(&runtime, &ready.api);
        hub.kill();
    });
    (arena, runtime)
}

/// Writes the configuration of a hub that sends there.
fn configured(folder: &Path, brokers: &str, prefix: &str) -> String {
    let file = folder.join("opshub.toml");
    let text = format!("[outputs.kafka]\nbrokers = \"{brokers}\"\ntopic_prefix = \"{prefix}\"\npartitions = 2\n");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn topics_hold_what_the_api_answers_however_often_the_hub_dies_after_sending() {
    let (arena, runtime) = filled_arena("outputs");
    let prefix = format!("t{}", uuid::Uuid::new_v4().simple());
    let config = configured(arena.folder(), &address("OPSHUB_KAFKA"), &prefix);
    assert!(DEATHS.iter().all(|point| hub::crash::OUTPUT_POINTS.contains(point)));
    let arguments = ["--config", &config, "--doors", "127.0.0.1:0"];
    for point in DEATHS {
        let hub = Hub::spawn_with(arena.folder(), Some(point), &arguments);
        assert!(hub.ends_within(PATIENCE), "the hub did not die at {point}: {}", arena.told());
        let status = hub.end();
        assert!(!status.success(), "the hub was to die at {point} and ended with {status}: {}", arena.told());
    }
    let hub = Hub::spawn_with(arena.folder(), None, &arguments);
    let ready = hub.ready().unwrap();
    let mut topics = Topics::new(&address("OPSHUB_KAFKA"), &prefix);
    patiently(|| topics.lack(&answers(&runtime, &ready.api)?));
    topics.check_ids();
    assert!(topics.repeats() >= 2, "an event that was sent and not marked is sent again under its id");
    let merged = runtime.block_on(merge_two(&ready.api));
    patiently(|| {
        topics.lack(&answers(&runtime, &ready.api)?)?;
        match topics.ended().intersection(&merged).count() {
            1 => Ok(()),
            ended => Err(format!("{ended} of {merged:?} are ended in the topic")),
        }
    });
    topics.check_ids();
    assert_eq!(topics.cleanup(&runtime, Topic::Customers), "compact");
    hub.kill();
}

/// A request whose answer may take as long as the test waits: what is given up half-way may be done.
fn patient<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// Makes one customer of two that may be one; their names.
async fn merge_two(api: &str) -> BTreeSet<String> {
    let api = format!("http://{api}");
    let mut customers = CustomerStateServiceClient::connect(api.clone()).await.unwrap();
    let mut identities = IdentityServiceClient::connect(api).await.unwrap();
    let request = v1::QueryCustomerStatesRequest { page_size: 1_000, ..v1::QueryCustomerStatesRequest::default() };
    let page = customers.query_customer_states(patient(request)).await.unwrap().into_inner();
    let first = |state: &v1::CustomerState| state.members[0].r#ref.clone();
    let pairs = page.customer_states.windows(2);
    for (target, source) in pairs.map(|two| (&two[0], &two[1])) {
        let request = v1::MergeIdentitiesRequest {
            target: first(target),
            sources: vec![first(source).unwrap()],
            reason: "one person, says the contract".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..v1::MergeIdentitiesRequest::default()
        };
        // Refused of a record that is deleted.
        let Ok(merged) = identities.merge_identities(patient(request)).await else { continue };
        let min_position = merged.into_inner().position;
        let mut now = BTreeSet::new();
        for state in [target, source] {
            let subject = first(state).map(v1::resolve_identity_request::Subject::SourceRef);
            let min_position = min_position.clone();
            let request = v1::ResolveIdentityRequest { subject, min_position, ..v1::ResolveIdentityRequest::default() };
            now.insert(identities.resolve_identity(patient(request)).await.unwrap().into_inner().customer);
        }
        // People said before that they are two, or linked one of them to what the other cannot be.
        if now.len() == 1 {
            return [target, source].map(|state| state.name.clone()).into();
        }
    }
    panic!("no two customers are one");
}

/// Ends a broker and starts it again while a hub under load sends events, then ends the hub: in the end
/// nothing is lost. Tells after how many milliseconds the topics held everything.
pub fn suffer_a_broker() -> i64 {
    let (mut arena, runtime) = filled_arena("outputs and a broker");
    let prefix = format!("r{}", uuid::Uuid::new_v4().simple());
    let brokers = address("OPSHUB_KAFKA_CLUSTER");
    let config = configured(arena.folder(), &brokers, &prefix);
    let arguments = ["--config", &config, "--doors", "127.0.0.1:0"];
    let hub = Hub::spawn_with(arena.folder(), None, &arguments);
    let ready = hub.ready().unwrap();
    let mut topics = Topics::new(&brokers, &prefix);
    let load = arena.begin_load(&ready);
    restart_broker(|| topics.read());
    let began = wall();
    // One that is killed then has sent what it has not marked.
    hub.kill();
    arena.end_load(load);
    let hub = Hub::spawn_with(arena.folder(), None, &arguments);
    let ready = hub.ready().unwrap();
    patiently(|| topics.lack(&answers(&runtime, &ready.api)?));
    topics.check_ids();
    hub.kill();
    wall().since(began)
}

#[test]
fn brokers_that_are_silent_hold_up_nobody_and_get_everything_when_they_speak() {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (arena, runtime) = filled_arena("silent brokers");
    // Connections are taken by the system and answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let prefix = format!("s{}", uuid::Uuid::new_v4().simple());
    let config = configured(arena.folder(), &silent.local_addr().unwrap().to_string(), &prefix);
    let hub = Hub::spawn_with(arena.folder(), None, &["--config", &config, "--doors", "127.0.0.1:0"]);
    let ready = hub.ready().unwrap();
    filled(&runtime, &ready.api);
    patiently(|| {
        let page = runtime.block_on(async {
            let answer = reqwest::get(format!("http://{}/metrics", ready.metrics)).await.unwrap();
            answer.text().await.unwrap()
        });
        let is_told = page.lines().any(|line| line == "opshub_output_failing 1");
        if is_told { Ok(()) } else { Err("nothing tells that the brokers are silent".to_owned()) }
    });
    std::thread::spawn(move || silent.incoming().for_each(|taken| pass_on(taken.unwrap())));
    let mut topics = Topics::new(&address("OPSHUB_KAFKA"), &prefix);
    patiently(|| topics.lack(&answers(&runtime, &ready.api)?));
    topics.check_ids();
    hub.kill();
}

/// Passes a connection on to the broker, both ways, until one end closes it.
fn pass_on(taken: TcpStream) {
    let Ok(broker) = TcpStream::connect(address("OPSHUB_KAFKA")) else { return };
    for (mut from, mut to) in [(taken.try_clone().unwrap(), broker.try_clone().unwrap()), (broker, taken)] {
        std::thread::spawn(move || {
            // Ends when either side goes, which is what it is for.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
