//! The brokers: how they are reached, which topics are there, and events on their way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use connectors::edge::credentials::Secret;
use futures::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use sha2::{Digest as _, Sha256};

use super::events::{Event, Topic};

/// Longest wait for an answer about topics.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long an event may be on its way before it counts as refused.
const DELIVERY_MAX_MS: &str = "30000";
/// Largest event, in bytes; topics that the hub makes take it.
const EVENT_BYTES_MAX: &str = "8388608";

/// Where events go.
#[derive(Debug, Clone)]
pub struct KafkaOutput {
    /// Addresses of brokers, `host:port` with commas between them.
    pub brokers: String,
    /// What the names of the topics begin with.
    pub topic_prefix: String,
    /// What events say they come from: the attribute `source`.
    pub source: String,
    /// Partitions of topics that the hub makes.
    pub partitions: i32,
    /// Further properties of the client, such as `security.protocol`; a value may be a secret.
    pub properties: BTreeMap<String, Secret>,
}

impl KafkaOutput {
    /// What is wrong with the settings, and the next step.
    ///
    /// # Errors
    /// Brokers on other machines without TLS and credentials, or a property that the client refuses.
    pub fn check(&self) -> Result<(), String> {
        check_brokers(&self.brokers, &self.properties)?;
        self.client().create_native_config().map(|_| ()).map_err(|error| {
            let protocol = self.properties.get("security.protocol").map_or("", Secret::expose);
            let is_plain = protocol.is_empty() || protocol.eq_ignore_ascii_case("plaintext");
            let hint = if is_plain { "" } else { "; TLS needs a hub built with the feature kafka-tls" };
            format!("is not accepted by the Kafka client: {error}{hint}")
        })
    }

    /// The name of a topic.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}.{}", self.topic_prefix, topic.name())
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("linger.ms", "5");
        for (name, value) in &self.properties {
            client.set(name, value.expose());
        }
        client
            .set("bootstrap.servers", &self.brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", DELIVERY_MAX_MS)
            .set("message.max.bytes", EVENT_BYTES_MAX)
            .set("reconnect.backoff.max.ms", "5000");
        client
    }
}

/// Brokers on other machines must be reached by TLS and with credentials: callers and brokers prove to
/// each other who they are, and nobody listens in.
pub(crate) fn check_brokers(brokers: &str, properties: &BTreeMap<String, Secret>) -> Result<(), String> {
    for broker in brokers.split(',').map(str::trim) {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, ""));
        if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("names the broker `{broker}`, which is no host:port"));
        }
    }
    let protocol = properties.get("security.protocol").map_or("", Secret::expose);
    let certificates = ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"];
    let is_protected = match protocol.to_ascii_lowercase().as_str() {
        "sasl_ssl" => true,
        "ssl" => certificates.into_iter().any(|name| properties.contains_key(name)),
        _ => false,
    };
    match brokers.split(',').map(str::trim).find(|broker| !is_loopback(broker)) {
        Some(broker) if !is_protected => Err(format!(
            "names the broker {broker} on another machine, which needs TLS and credentials: set \
             security.protocol to SASL_SSL with a user, or to SSL with a certificate of this client"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether an address, `host:port`, is on this machine.
pub(crate) fn is_loopback(broker: &str) -> bool {
    is_loopback_host(broker.rsplit_once(':').map_or(broker, |(host, _)| host))
}

/// Whether a host, a name or an address without a port, is this machine. Addresses of IPv6 may stand in
/// brackets, as in URLs.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Looks at the brokers and the topics without changing anything: what is there, or what is wrong.
///
/// # Errors
/// Brokers that do not answer, or a topic of customers that is not compacted.
pub async fn examine(output: &KafkaOutput) -> Result<String, String> {
    let admin: AdminClient<DefaultClientContext> = output.client().create().map_err(|error| error.to_string())?;
    let looked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(None, CALL_MAX)?;
        let there: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
        Ok::<_, KafkaError>((admin, there))
    });
    let looked = looked.await.map_err(|_| "the look was broken off".to_owned())?;
    let (admin, there) = looked.map_err(|error| error.to_string())?;
    let customers = output.topic(Topic::Customers);
    if !there.contains(&customers) {
        return Ok("the brokers answer; topics are made at the start of the hub".to_owned());
    }
    if !is_compacted(&admin, &customers).await.map_err(|error| error.to_string())? {
        return Err(format!("the topic {customers} is not compacted: set cleanup.policy=compact"));
    }
    Ok("the brokers answer, and the topic of customers is compacted".to_owned())
}

async fn is_compacted(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<bool, KafkaError> {
    let options = AdminOptions::new().request_timeout(Some(CALL_MAX));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await?;
    let policy = described.into_iter().flatten().find_map(|config| config.get("cleanup.policy")?.value.clone());
    Ok(policy.is_some_and(|policy| policy.contains("compact")))
}

/// A connection to the brokers.
pub(super) struct Client {
    producer: FutureProducer,
    output: KafkaOutput,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Delivered,
    /// The brokers take none of its size.
    Oversized,
}

impl Client {
    /// Connects, makes the topics that are missing, and gives the name of what is written to: other
    /// brokers, or topics of other names, are another place, to which nothing was sent yet.
    pub(super) async fn open(output: &KafkaOutput) -> Result<(Self, String), KafkaError> {
        let (producer, cluster): (FutureProducer, _) = {
            let producer: FutureProducer = output.client().create()?;
            let asked = tokio::task::spawn_blocking(move || {
                producer.client().fetch_metadata(None, CALL_MAX)?;
                let cluster = producer.client().fetch_cluster_id(CALL_MAX);
                let cluster = cluster.ok_or(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut))?;
                Ok::<_, KafkaError>((producer, cluster))
            });
            asked.await.map_err(|_| KafkaError::Canceled)??
        };
        let client = Client { producer, output: output.clone() };
        client.make_topics().await?;
        let place = Sha256::digest(format!("{cluster}\n{}", output.topic_prefix));
        Ok((client, hex::encode(&place[..6])))
    }

    async fn make_topics(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.output.client().create()?;
        let names = Topic::ALL.map(|topic| (topic, self.output.topic(topic)));
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|(topic, name)| {
                // As many replicas as the brokers give a topic by default.
                let new = NewTopic::new(name, self.output.partitions, TopicReplication::Fixed(-1));
                let policy = if topic.is_compacted() { "compact" } else { "delete" };
                new.set("cleanup.policy", policy).set("max.message.bytes", EVENT_BYTES_MAX)
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(CALL_MAX)).request_timeout(Some(CALL_MAX));
        for made in admin.create_topics(&topics, &options).await? {
            match made {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    tracing::warn!(topic, %code, "a topic was not made: make it by hand");
                    return Err(KafkaError::AdminOp(code));
                }
            }
        }
        let customers = self.output.topic(Topic::Customers);
        if !is_compacted(&admin, &customers).await? {
            tracing::warn!(topic = customers, "the topic is not compacted: it will forget customers");
        }
        Ok(())
    }

    /// Sends events, in order within a key, and waits until all replicas have them. After an error none
    /// of them is on its way any more.
    pub(super) async fn send(&self, events: &[Event]) -> Result<Vec<Delivery>, KafkaError> {
        let sent = events.iter().map(|event| async move {
            let topic = self.output.topic(event.topic);
            let headers = event
                .headers(&self.output.source)
                .into_iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }));
            let record = FutureRecord::<str, str>::to(&topic).key(&event.key).headers(headers);
            let record = FutureRecord { payload: event.body.as_deref(), ..record };
            match self.producer.send(record, CALL_MAX).await {
                Ok(_) => Ok(Delivery::Delivered),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    Ok(Delivery::Oversized)
                }
                Err((error, _)) => Err(error),
            }
        });
        join_all(sent).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(brokers: &str, properties: &[(&str, &str)]) -> KafkaOutput {
        KafkaOutput {
            brokers: brokers.to_owned(),
            topic_prefix: "opshub".to_owned(),
            source: "/opshub".to_owned(),
            partitions: 1,
            properties: properties.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
        }
    }

    #[test]
    fn other_machines_are_reached_with_tls_and_credentials_only() {
        for near in ["localhost:1", "127.0.0.1:1,[::1]:2"] {
            assert_eq!(output(near, &[]).check(), Ok(()));
        }
        let far = |properties: &[(&str, &str)]| output("127.0.0.1:1, far:2", properties).check().unwrap_err();
        for properties in [&[][..], &[("security.protocol", "SASL_PLAINTEXT")], &[("security.protocol", "SSL")]] {
            let told = far(properties);
            assert!(told.contains("far:2") && told.contains("TLS and credentials"), "{told}");
        }
        let certificate = [("security.protocol", "ssl"), ("ssl.certificate.location", "/c.pem")];
        for properties in [&certificate[..], &[("security.protocol", "SASL_SSL")]] {
            let KafkaOutput { brokers, properties, .. } = output("far:2", properties);
            assert_eq!(check_brokers(&brokers, &properties), Ok(()));
        }
        let unknown = output("localhost:1", &[("no.such.property", "1")]).check().unwrap_err();
        assert!(unknown.contains("not accepted"), "{unknown}");
    }
}
