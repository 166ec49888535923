//! A trace that a delivery came with stands in the headers of the events that it causes: from real sockets
//! and a real topic to the topics of a real broker.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use fixtures::services::address;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::{self, field_value::Kind};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::child::{Hub, Ready};
use crate::outputs::{Topics, patiently};
use crate::wall;

const TOKEN: &str = "door-token";

/// A parent whose ids are made of one digit.
fn parent(digit: char) -> String {
    format!("00-{}-{}-01", digit.to_string().repeat(32), digit.to_string().repeat(16))
}

/// A hub with a door, a topic that it reads and topics that it writes.
struct Stage {
    folder: TempDir,
    runtime: Runtime,
    source: String,
    prefix: String,
}

impl Stage {
    fn new() -> Self {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, id) = (tempfile::tempdir().unwrap(), uuid::Uuid::new_v4().simple());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stage = Stage { folder, runtime, source: format!("changes{id}"), prefix: format!("traces{id}") };
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let topic = NewTopic::new(&stage.source, 1, TopicReplication::Fixed(1));
        let made = stage.runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()));
        made.unwrap().remove(0).unwrap();
        stage
    }

    fn start(&self) -> (Hub, Ready) {
        let (at, brokers) = (self.folder.path(), address("OPSHUB_KAFKA"));
        let token = at.join("token");
        std::fs::write(&token, TOKEN).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (token, source, prefix) = (token.display(), &self.source, &self.prefix);
        let file = at.join("opshub.toml");
        let text = format!(
            "[connectors.oracle]\ntoken = \"file:{token}\"\n[connectors.oracle.kafka]\nbrokers = \"{brokers}\"\n\
             topics = [\"{source}\"]\n[outputs.kafka]\nbrokers = \"{brokers}\"\ntopic_prefix = \"{prefix}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let hub = Hub::spawn_with(at, None, &["--config", file.to_str().unwrap(), "--doors", "127.0.0.1:0"]);
        let told = || std::fs::read_to_string(at.join("stderr.txt")).unwrap_or_default();
        let ready = hub.ready().unwrap_or_else(|| panic!("the hub did not start: {}", told()));
        (hub, ready)
    }

    /// Delivers a change at the door, with these headers.
    fn deliver(&self, ready: &Ready, change: String, headers: &[(&str, &str)]) {
        let url = format!("http://{}/oracle/changes", ready.doors.as_ref().unwrap());
        let request = reqwest::Client::new().post(url).bearer_auth(TOKEN).body(change);
        let request = headers.iter().fold(request, |request, (name, text)| request.header(*name, *text));
        let answer = self.runtime.block_on(async { request.send().await.unwrap().status().as_u16() });
        assert_eq!(answer, 202);
    }

    /// Writes a change into the topic that the hub reads.
    fn produce(&self, change: &str, name: &str, text: &str) {
        let producer: FutureProducer = client().create().unwrap();
        let headers = OwnedHeaders::new().insert(Header { key: name, value: Some(text) });
        let record = FutureRecord::<str, str>::to(&self.source).payload(change).headers(headers);
        self.runtime.block_on(async { producer.send(record, std::time::Duration::from_secs(300)).await }).unwrap();
    }

    /// Publishes events by the API, which the call says came with a trace.
    fn publish(&self, ready: &Ready, events: Vec<v1::Event>, of_call: &str) {
        let mut request = tonic::Request::new(v1::PublishEventsRequest { events, ..Default::default() });
        request.metadata_mut().insert("traceparent", of_call.parse().unwrap());
        self.runtime.block_on(async {
            let mut client = IngestServiceClient::connect(format!("http://{}", ready.api)).await.unwrap();
            client.publish_events(request).await.unwrap();
        });
    }
}

fn client() -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", address("OPSHUB_KAFKA"));
    client
}

/// A change of a customer, as Oracle's capture tells it.
fn change(id: &str, name: &str, scn: u32) -> String {
    let at = wall().0;
    format!(
        "{{\"op\":\"u\",\"source\":{{\"ts_ms\":{at},\"table\":\"AR_CUSTOMER\",\"scn\":\"{scn}\"}},\"after\":\
         {{\"AR_CUSTOMER_ID\":\"{id}\",\"NAME\":\"{name}\",\"AR_BALANCE\":\"0.00\"}}}}"
    )
}

/// An account as the API takes it, with the trace of the event.
fn account(id: &str, version: u64, parent: &str) -> v1::Event {
    let name = v1::FieldValue { kind: Some(Kind::Text(format!("{id} & Sons, {version} times"))) };
    let seconds = wall().0 / 1_000 - 100 + i64::try_from(version).unwrap();
    v1::Event {
        event_id: format!("{id}-{version}"),
        system: v1::System::Salesforce.into(),
        object: "account".to_owned(),
        record_id: id.to_owned(),
        operation: v1::Operation::Image.into(),
        version: Some(v1::Version { major: version, ..v1::Version::default() }),
        change_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        fields: BTreeMap::from([("name".to_owned(), name)]),
        contract_version: 1,
        mapping_version: 1,
        traceparent: parent.to_owned(),
        ..v1::Event::default()
    }
}

/// What the first event of a customer that tells of `name` tells of a trace; none if there is no event.
fn told(topics: &mut Topics, name: &str) -> Option<BTreeMap<String, String>> {
    topics.read();
    let mut of_customers = topics.records.iter().filter(|one| one.key.starts_with("customers/"));
    let event = of_customers.find(|one| one.value.as_ref().is_some_and(|it| it.to_string().contains(name)))?;
    let of_trace = event.headers.iter().filter(|(header, _)| header.contains("trace"));
    Some(of_trace.map(|(header, text)| (header.clone(), text.clone())).collect())
}

/// Waits until an event tells of `name`, which has to have this trace and no other.
fn expect(topics: &mut Topics, name: &str, parent: Option<String>, state: Option<&str>) {
    let both =
        |header: &str, text: &str| [(header.to_owned(), text.to_owned()), (format!("ce_{header}"), text.to_owned())];
    let parents = parent.iter().flat_map(|text| both("traceparent", text));
    let expected: BTreeMap<_, _> = parents.chain(state.iter().flat_map(|text| both("tracestate", text))).collect();
    let mut found = None;
    patiently(|| {
        found = told(topics, name);
        if found.is_some() { Ok(()) } else { Err(format!("no event tells of {name}")) }
    });
    assert_eq!(found, Some(expected), "{name}");
}

#[test]
fn a_trace_goes_from_a_delivery_to_the_events_that_it_causes() {
    let stage = Stage::new();
    stage.produce(&change("CU-TOPIC", "Topic & Daughters", 5), "traceparent", &parent('1'));
    let (hub, ready) = stage.start();
    let mut topics = Topics::new(&address("OPSHUB_KAFKA"), &stage.prefix);
    expect(&mut topics, "Topic & Daughters", Some(parent('1')), None);

    let of_door = parent('2');
    let headers = [("traceparent", of_door.as_str()), ("tracestate", "a=1"), ("tracestate", "b=2")];
    stage.deliver(&ready, change("CU-DOOR", "Door Makers", 6), &headers);
    expect(&mut topics, "Door Makers", Some(parent('2')), Some("a=1,b=2"));

    // Another cause, told as an attribute of the event; then one that is none.
    stage.deliver(&ready, change("CU-DOOR", "Door and Window Makers", 7), &[("ce-traceparent", &parent('3'))]);
    expect(&mut topics, "Door and Window Makers", Some(parent('3')), None);
    stage.deliver(
        &ready,
        change("CU-DOOR", "Gate Makers", 8),
        &[("traceparent", "00-xyz-1-01"), ("tracestate", "a=1")],
    );
    expect(&mut topics, "Gate Makers", None, None);

    // Of several in one call each event's own counts, and the newest of one customer's.
    let events = vec![
        account("CU-OLD", 1, &parent('4')),
        account("CU-OLD", 2, &parent('5')),
        account("CU-CALL", 1, ""),
        account("CU-BAD", 1, "no parent"),
    ];
    stage.publish(&ready, events, &parent('6'));
    expect(&mut topics, "CU-OLD & Sons, 2 times", Some(parent('5')), None);
    expect(&mut topics, "CU-CALL & Sons, 1 times", Some(parent('6')), None);
    expect(&mut topics, "CU-BAD & Sons, 1 times", Some(parent('6')), None);
    hub.kill();
}
