//! The topics of a store: created where they are missing, refused where they are set otherwise.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::options::DistributedOptions;
use super::ordered::ASK_PAUSE;
use crate::{Error, Result};

/// How much longer brokers keep what the store forgets by itself: their clock is not the hub's.
const BROKER_MARGIN_MS: i64 = ontology::Millis::DAY_MS;

/// After how long a compacted topic begins a new segment: an hour.
const SEGMENT_MS: i64 = ontology::Millis::HOUR_MS;

/// How long brokers may take to know of a topic that was created, and how often they are asked.
const CREATED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Names of a store's topics.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    /// Blocks of facts, by the position of their first fact.
    pub(super) facts: String,
    /// Native payloads, by the position of the block that they belong to.
    pub(super) payloads: String,
    /// Bytes of quarantined inputs, by id.
    pub(super) inputs: String,
    /// Quarantined records without their bytes, compacted by id.
    pub(super) quarantine: String,
    /// Where the log and the sources stand, compacted by name.
    pub(super) marks: String,
}

impl Topics {
    pub(super) fn of(name: &str) -> Self {
        let topic = |what: &str| format!("{name}.{what}");
        Topics {
            facts: topic("facts"),
            payloads: topic("payloads"),
            inputs: topic("inputs"),
            quarantine: topic("quarantine"),
            marks: topic("marks"),
        }
    }

    /// Each topic with the settings that it must have.
    fn needed(&self, options: &DistributedOptions) -> [(&str, Keeping); 5] {
        [
            (&self.facts, Keeping::For(options.facts_ms)),
            (&self.payloads, Keeping::For(options.retention.raw_ms + BROKER_MARGIN_MS)),
            (&self.inputs, Keeping::For(options.retention.quarantine_ms + BROKER_MARGIN_MS)),
            (&self.quarantine, Keeping::Newest),
            (&self.marks, Keeping::Newest),
        ]
    }

    /// Creates what is missing and checks what is there.
    pub(super) fn ensure(&self, options: &DistributedOptions) -> Result<()> {
        let runtime = runtime()?;
        let admin: AdminClient<DefaultClientContext> = options.client().create().map_err(unreachable)?;
        runtime.block_on(self.create(&admin, options))?;
        runtime.block_on(self.check(&admin, options))
    }

    /// Whether brokers know of all of them. None is made by asking.
    pub(super) fn are_there(&self, options: &DistributedOptions) -> Result<bool> {
        let admin: AdminClient<DefaultClientContext> = options.client().create().map_err(unreachable)?;
        let metadata = admin.inner().fetch_metadata(None, options.patience).map_err(unreachable)?;
        let is_there = |name: &str| metadata.topics().iter().any(|topic| topic.name() == name);
        Ok(self.needed(options).into_iter().all(|(name, _)| is_there(name)))
    }

    /// Deletes all of them; one that is not there is deleted already.
    pub(super) fn remove(&self, options: &DistributedOptions) -> Result<()> {
        let runtime = runtime()?;
        let admin: AdminClient<DefaultClientContext> = options.client().create().map_err(unreachable)?;
        let names = self.needed(options).map(|(name, _)| name);
        runtime.block_on(admin.delete_topics(&names, &ask(options))).map_err(unreachable)?;
        Ok(())
    }

    async fn create(&self, admin: &AdminClient<DefaultClientContext>, options: &DistributedOptions) -> Result<()> {
        let (mut waited, mut said) = (Duration::ZERO, String::new());
        loop {
            let refused = match self.try_create(admin, options).await {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if !refused.may_pass() || waited > CREATED_WITHIN.min(options.patience) {
                return Err(refused.told(options));
            }
            // Told once while it stays the same.
            let why = refused.to_string();
            if said != why {
                tracing::warn!(%refused, "create a topic: tried again");
                said = why;
            }
            tokio::time::sleep(ASK_PAUSE).await;
            waited += ASK_PAUSE;
        }
    }

    async fn try_create(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        options: &DistributedOptions,
    ) -> std::result::Result<(), Refused> {
        let needed = self.needed(options);
        let settings: Vec<_> = needed.iter().map(|(_, keeping)| keeping.settings()).collect();
        let topics = needed.iter().zip(&settings).map(|((name, _), settings)| {
            let topic = NewTopic::new(name, 1, TopicReplication::Fixed(options.replicas));
            settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        });
        let topics: Vec<_> = topics.collect();
        for result in admin.create_topics(&topics, &ask(options)).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(Refused::Topic(name, code)),
            }
        }
        Ok(())
    }

    async fn check(&self, admin: &AdminClient<DefaultClientContext>, options: &DistributedOptions) -> Result<()> {
        let needed = self.needed(options);
        let asked: Vec<_> = needed.iter().map(|(name, _)| ResourceSpecifier::Topic(name)).collect();
        let mut waited = Duration::ZERO;
        loop {
            let told = admin.describe_configs(&asked, &ask(options)).await.map_err(unreachable)?;
            let found = needed.iter().zip(&told).try_for_each(|((name, keeping), told)| {
                let partitions = partitions(admin, name, options.patience)?;
                let told = told.as_ref().map_err(|code| *code);
                if !is_known(told, partitions) {
                    return Err(not_known(name));
                }
                is_fit(*keeping, told, partitions).map_err(|(found, needed)| Error::Unfit {
                    what: format!("topic {name}"),
                    found,
                    needed,
                })
            });
            // A topic that was just created is not known everywhere at once: brokers on a slow disk take long.
            let within = match &found {
                Ok(()) => return found,
                Err(Error::Unreachable { .. }) => options.patience,
                Err(_) => CREATED_WITHIN.min(options.patience),
            };
            if waited > within {
                return found;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
    }
}

/// Why topics were not created.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    All(#[from] KafkaError),
    #[error("topic {0}: {1}")]
    Topic(String, RDKafkaErrorCode),
}

impl Refused {
    /// Whether it may be granted a little later. Brokers that have just started, or stood still, are not
    /// yet counted among those that may hold a replica, and a new controller is agreed upon.
    fn may_pass(&self) -> bool {
        use RDKafkaErrorCode::{InvalidReplicationFactor, NotController, RequestTimedOut};
        match self {
            // The client has asked again for as long as it may.
            Refused::All(_) => false,
            Refused::Topic(_, code) => matches!(code, InvalidReplicationFactor | NotController | RequestTimedOut),
        }
    }

    fn told(self, options: &DistributedOptions) -> Error {
        let (name, code) = match self {
            Refused::All(error) => return unreachable(error),
            Refused::Topic(name, code) => (name, code),
        };
        let needed = match code {
            RDKafkaErrorCode::InvalidReplicationFactor => format!(
                "held by as many brokers as store.distributed.replicas says, which is {}: start more brokers or set it lower",
                options.replicas
            ),
            _ => "one that these credentials may create, or that exists".to_owned(),
        };
        Error::Unfit { what: format!("topic {name}"), found: code.to_string(), needed }
    }
}

fn partitions(admin: &AdminClient<DefaultClientContext>, topic: &str, patience: Duration) -> Result<usize> {
    let metadata = admin.inner().fetch_metadata(Some(topic), patience).map_err(unreachable)?;
    Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
}

/// Whether the broker that was asked has heard of the topic: one that has not tells no settings.
fn is_known(told: std::result::Result<&ConfigResource, RDKafkaErrorCode>, partitions: usize) -> bool {
    match told {
        Ok(told) => partitions > 0 && told.get("cleanup.policy").is_some_and(|policy| policy.value.is_some()),
        Err(code) => code != RDKafkaErrorCode::UnknownTopicOrPartition,
    }
}

fn not_known(topic: &str) -> Error {
    let cause = format!("not all brokers know yet of the topic {topic}, which was created");
    Error::Unreachable { doing: "create the topics", server: "Kafka", cause, retry_after_ms: 1_000 }
}

/// What is found and what is needed, where a topic is not as it must be.
fn is_fit(
    keeping: Keeping,
    told: std::result::Result<&ConfigResource, RDKafkaErrorCode>,
    partitions: usize,
) -> std::result::Result<(), (String, String)> {
    let told = told.map_err(|code| (code.to_string(), "readable".to_owned()))?;
    keeping.check(|key| told.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default())?;
    match partitions {
        1 => Ok(()),
        many => Err((format!("it has {many} partitions"), "one partition".to_owned())),
    }
}

/// Kafka's administration answers by futures.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(Error::io("start a runtime for Kafka's administration"))
}

fn ask(options: &DistributedOptions) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(options.patience)).operation_timeout(Some(options.patience))
}

/// What a topic keeps.
#[derive(Debug, Clone, Copy)]
enum Keeping {
    /// Everything for so many milliseconds.
    For(i64),
    /// The newest value of each key.
    Newest,
}

impl Keeping {
    fn settings(self) -> Vec<(&'static str, String)> {
        match self {
            Keeping::For(ms) => vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", ms.to_string()),
                ("retention.bytes", "-1".to_owned()),
            ],
            // What is older than a segment is compacted: marks are read whole at every start.
            Keeping::Newest => {
                vec![("cleanup.policy", "compact".to_owned()), ("segment.ms", SEGMENT_MS.to_string())]
            }
        }
    }

    /// What is found and what is needed, where a topic would lose what it must keep.
    fn check(self, value: impl Fn(&str) -> String) -> std::result::Result<(), (String, String)> {
        let policy = value("cleanup.policy");
        let (needed_policy, kept_ms) = match self {
            Keeping::For(ms) => ("delete", Some(ms)),
            Keeping::Newest => ("compact", None),
        };
        if policy != needed_policy {
            return Err((format!("its cleanup.policy is {policy}"), needed_policy.to_owned()));
        }
        let Some(kept_ms) = kept_ms else { return Ok(()) };
        let retention_ms = value("retention.ms").parse::<i64>().unwrap_or(0);
        if retention_ms != -1 && retention_ms < kept_ms {
            return Err((format!("its retention.ms is {retention_ms}"), format!("at least {kept_ms}")));
        }
        match value("retention.bytes").as_str() {
            "-1" => Ok(()),
            bytes => Err((format!("its retention.bytes is {bytes}"), "-1: kept by time alone".to_owned())),
        }
    }
}

pub(super) fn unreachable(error: KafkaError) -> Error {
    Error::Unreachable {
        doing: "talk to the log",
        server: "Kafka (store.distributed.brokers)",
        cause: error.to_string(),
        retry_after_ms: 1_000,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    fn check(keeping: Keeping, settings: &[(&str, &str)]) -> std::result::Result<(), (String, String)> {
        let value = |key: &str| settings.iter().find(|(of, _)| *of == key).map_or("", |(_, value)| *value).to_owned();
        keeping.check(value)
    }

    #[test]
    fn a_topic_of_more_partitions_than_one_is_refused() {
        let entry = |(name, value): (&str, &str)| ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source: ConfigSource::Unknown,
            is_read_only: false,
            is_default: false,
            is_sensitive: false,
        };
        let told = ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("hub.marks".to_owned()),
            entries: [("cleanup.policy", "compact")].map(entry).into(),
        };
        assert_eq!(is_fit(Keeping::Newest, Ok(&told), 1), Ok(()));
        let silent =
            ConfigResource { specifier: OwnedResourceSpecifier::Topic("hub.marks".to_owned()), entries: Vec::new() };
        assert!(is_known(Ok(&told), 1) && !is_known(Ok(&told), 0) && !is_known(Ok(&silent), 1));
        assert!(!is_known(Err(RDKafkaErrorCode::UnknownTopicOrPartition), 0), "it is created by now");
        assert!(is_known(Err(RDKafkaErrorCode::TopicAuthorizationFailed), 0), "waiting would not help");
        for (partitions, found) in [(2, "it has 2 partitions"), (0, "it has 0 partitions")] {
            let refused = is_fit(Keeping::Newest, Ok(&told), partitions).unwrap_err();
            assert_eq!(refused, (found.to_owned(), "one partition".to_owned()));
        }
        assert!(is_fit(Keeping::Newest, Err(RDKafkaErrorCode::TopicAuthorizationFailed), 1).is_err());
    }

    #[test]
    fn what_brokers_refuse_while_they_start_is_asked_for_again() {
        use RDKafkaErrorCode::{
            InvalidReplicationFactor, NotController, OperationTimedOut, PolicyViolation, RequestTimedOut,
            TopicAuthorizationFailed,
        };
        let options = DistributedOptions::new("", Vec::new(), "hub");
        let of_one = |code| Refused::Topic("hub.facts".to_owned(), code);
        for code in [InvalidReplicationFactor, NotController, RequestTimedOut] {
            assert!(of_one(code).may_pass(), "{code}");
        }
        for code in [TopicAuthorizationFailed, PolicyViolation] {
            assert!(!of_one(code).may_pass(), "{code}");
            assert_eq!(of_one(code).told(&options).class(), crate::Class::Stop, "{code}");
        }
        let of_all = Refused::from(KafkaError::AdminOp(OperationTimedOut));
        assert!(!of_all.may_pass());
        assert_eq!(of_all.told(&options).class(), crate::Class::Retry);
    }

    #[test]
    fn a_topic_that_would_lose_what_it_must_keep_is_refused() {
        let kept = |ms| [("cleanup.policy", "delete"), ("retention.ms", ms), ("retention.bytes", "-1")];
        for (ms, is_fit) in [("1000", true), ("999", false), ("-1", true), ("", false)] {
            assert_eq!(check(Keeping::For(1_000), &kept(ms)).is_ok(), is_fit, "{ms}");
        }
        let by_size = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "1")];
        assert!(check(Keeping::For(1_000), &by_size).is_err());
        assert!(check(Keeping::Newest, &kept("-1")).is_err());
        assert!(check(Keeping::Newest, &[("cleanup.policy", "compact")]).is_ok());
        assert!(check(Keeping::For(1), &[("cleanup.policy", "compact")]).is_err());
    }
}
