//! The other processes of a demo on servers: hubs of the same binary that follow the demo's own, as
//! `opshub serve` starts them by a configuration.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use ontology::{LogPos, Millis};
use proto::v1::GetDigestRequest;
use proto::v1::admin_service_client::AdminServiceClient;
use serde::Deserialize;
use serve::token::{position_token, read_position};
use storage::DistributedOptions;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::summary::Process;

/// How long a replica may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Bytes of its log that are told when it failed.
const TOLD_BYTES: usize = 2_000;

/// Processes that follow the demo's own. They end with it, however it ends.
pub(super) struct Replicas {
    running: Vec<Replica>,
    /// Their configuration and what they log.
    _folder: TempDir,
}

struct Replica {
    child: Child,
    /// The replica ends when this does.
    input: Option<ChildStdin>,
    /// Where its API listens.
    api: String,
}

/// What a replica says when it can be read.
#[derive(Deserialize)]
struct Ready {
    api: String,
    role: String,
}

impl Replicas {
    /// Starts so many processes on the store that this one owns, with as many shards.
    pub(super) async fn start(count: usize, servers: &DistributedOptions, shards: usize) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("opshub-demo-").tempdir()?;
        let config = folder.path().join("replica.toml");
        std::fs::write(&config, configuration(servers, shards)?)?;
        let started = (1..=count).map(|number| Replica::start(&config, folder.path().join(format!("{number}.log"))));
        let running = futures::future::try_join_all(started).await?;
        Ok(Replicas { running, _folder: folder })
    }

    /// Asks each for its digest at an instant, once it has applied everything up to `position`.
    pub(super) async fn digests(&self, at: Millis, position: LogPos) -> anyhow::Result<Vec<Process>> {
        let asked = self.running.iter().map(|replica| replica.digest(at, position));
        futures::future::try_join_all(asked).await
    }

    /// Ends them and waits until they are gone.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        futures::future::try_join_all(self.running.into_iter().map(Replica::stop)).await.map(drop)
    }
}

impl Replica {
    async fn start(config: &Path, log: PathBuf) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find the program to start further processes of")?;
        let mut command = Command::new(program);
        command.args(["serve", "--json", "--until-input-ends", "--config"]).arg(config);
        // Settings of a hub that somebody runs here are none of the demo's.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OPSHUB_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        // An interrupt from the terminal is for the demo, which ends its replicas in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("start a further process of the demo")?;
        let (tell, told) = oneshot::channel();
        let output = child.stdout.take().expect("its output is a pipe");
        let input = child.stdin.take();
        let mut replica = Replica { child, input, api: String::new() };
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            if let Some(Ok(ready)) = lines.next().map(|line| serde_json::from_str::<Ready>(&line)) {
                // Nobody listens any more when the demo has given up on it.
                let _ = tell.send(ready);
            }
            // What else it says is of no interest; a replica that nobody reads could say nothing more.
            lines.for_each(drop);
        });
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(ready)) if ready.role == "replica" => {
                replica.api = ready.api;
                Ok(replica)
            }
            Ok(Ok(ready)) => {
                anyhow::bail!("start a further process of the demo: it is the {} of the store", ready.role)
            }
            Ok(Err(_)) => anyhow::bail!("start a further process of the demo: it ended, saying: {}", end_of(&log)),
            Err(_) => {
                anyhow::bail!(
                    "start a further process of the demo: not ready in {PATIENCE:?}, saying: {}",
                    end_of(&log)
                )
            }
        }
    }

    async fn digest(&self, at: Millis, position: LogPos) -> anyhow::Result<Process> {
        let mut client = AdminServiceClient::connect(format!("http://{}", self.api)).await?;
        let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).expect("less than a second");
        let at = prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos };
        let request = GetDigestRequest { min_position: position_token(position), at: Some(at) };
        let told = client.get_digest(request).await.context("ask a replica for its digest")?.into_inner();
        let position = read_position("position", &told.position).ok().flatten().context("read a replica's position")?;
        Ok(Process { role: "replica", position: position.0, digest: told.digest })
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        let ending = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, ending).await.context("end a replica of the demo")??;
        anyhow::ensure!(status.success(), "a replica of the demo ended with {status}");
        Ok(())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // One that has ended already cannot be ended again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of a replica: the demo's own settings, listening where there is room.
fn configuration(servers: &DistributedOptions, shards: usize) -> anyhow::Result<String> {
    let anywhere = || toml::toml! { listen = "127.0.0.1:0" };
    let distributed = toml::Table::from_iter([
        ("brokers".to_owned(), servers.brokers.clone().into()),
        ("redis".to_owned(), servers.redis.clone().into()),
        ("name".to_owned(), servers.name.clone().into()),
        ("replicas".to_owned(), i64::from(servers.replicas).into()),
        ("silence_max".to_owned(), format!("{}s", servers.silence_max.as_secs()).into()),
    ]);
    let config = toml::Table::from_iter([
        ("store".to_owned(), toml::Table::from_iter([("distributed".to_owned(), distributed.into())]).into()),
        ("engine".to_owned(), toml::Table::from_iter([("shards".to_owned(), i64::try_from(shards)?.into())]).into()),
        ("api".to_owned(), anywhere().into()),
        ("doors".to_owned(), anywhere().into()),
        ("metrics".to_owned(), anywhere().into()),
    ]);
    Ok(toml::to_string(&config)?)
}

/// The end of what a process logged.
fn end_of(log: &Path) -> String {
    let told = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&told[told.len().saturating_sub(TOLD_BYTES)..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{ConfigFile, StoreConfig, store_of};

    #[test]
    fn a_replica_is_configured_as_the_demo_is() {
        let mut servers = DistributedOptions::new("127.0.0.1:9", vec!["redis://127.0.0.1:8".to_owned()], "demo-1");
        servers.silence_max = Duration::from_secs(30);
        let file: ConfigFile = toml::from_str(&configuration(&servers, 4).unwrap()).unwrap();
        assert_eq!((file.engine.shards, file.api.listen.port()), (4, 0));
        let StoreConfig::Distributed(read) = store_of(file).unwrap() else { panic!("a store on servers") };
        assert_eq!((&read.brokers, &read.redis, &read.name), (&servers.brokers, &servers.redis, &servers.name));
        assert_eq!((read.replicas, read.silence_max), (servers.replicas, servers.silence_max));
    }
}
