//! The line to Redis: one server or a cluster, connected again after every failure.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Client, Cmd, Connection, ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult};

use super::options::DistributedOptions;
use crate::{Error, Result};

/// First and longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What configuration calls the addresses, in errors.
const ADDRESSES: &str = "Redis (store.distributed.redis)";

enum Servers {
    One(Box<One>),
    Cluster(Box<ClusterClient>),
}

/// One address: a server, or a node of a cluster, which services that are rented often give one address.
struct One {
    client: Client,
    address: String,
    /// The cluster, once the server said that it is a node of one.
    cluster: OnceLock<ClusterClient>,
}

enum Connected {
    One(Connection),
    Cluster(Box<ClusterConnection>),
}

impl Connected {
    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Connected::One(connection) => command.query(connection),
            Connected::Cluster(connection) => command.query(&mut **connection),
        }
    }

    /// Sends all commands before it waits for an answer; nodes work at them side by side.
    fn ask_all<T: FromRedisValue>(&mut self, commands: &[Cmd]) -> RedisResult<Vec<T>> {
        match self {
            Connected::One(connection) => {
                let mut all = redis::pipe();
                for command in commands {
                    all.add_command(command.clone());
                }
                all.query(connection)
            }
            Connected::Cluster(connection) => {
                let mut all = redis::cluster::cluster_pipe();
                for command in commands {
                    all.add_command(command.clone());
                }
                all.query(connection)
            }
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Connected::One(connection) => connection.is_open(),
            Connected::Cluster(connection) => connection.is_open(),
        }
    }
}

/// A line to Redis.
pub(super) struct Line {
    servers: Servers,
    connected: Mutex<Option<Connected>>,
    patience: Duration,
}

impl Line {
    pub(super) fn open(options: &DistributedOptions) -> Result<Self> {
        let servers = match options.redis.as_slice() {
            [] => return Err(Error::Invalid { what: "the address of Redis", why: "there is none" }),
            [one] => Client::open(one.as_str())
                .map(|client| Servers::One(Box::new(One { client, address: one.clone(), cluster: OnceLock::new() }))),
            nodes => ClusterClient::new(nodes.to_vec()).map(|client| Servers::Cluster(Box::new(client))),
        };
        let servers = servers.map_err(|error| Error::Unfit {
            what: "the address of Redis".to_owned(),
            found: error.to_string(),
            needed: "redis://HOST:PORT or rediss://HOST:PORT".to_owned(),
        })?;
        Ok(Line { servers, connected: Mutex::new(None), patience: options.patience })
    }

    /// Sends a command that may be sent twice, until it is answered or patience ends.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it was not answered; [`Error::Stop`] when it was refused.
    pub(super) fn ask<T: FromRedisValue>(&self, doing: &'static str, command: &Cmd) -> Result<T> {
        self.ask_by(doing, |line| line.ask(command))
    }

    /// The same for several commands, each of which may be sent twice; the answers in their order.
    ///
    /// # Errors
    /// As [`Line::ask`]: some of them may have been answered.
    pub(super) fn ask_all<T: FromRedisValue>(&self, doing: &'static str, commands: &[Cmd]) -> Result<Vec<T>> {
        match commands {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![self.ask(doing, one)?]),
            all => self.ask_by(doing, |line| line.ask_all(all)),
        }
    }

    fn ask_by<T>(&self, doing: &'static str, ask: impl Fn(&mut Connected) -> RedisResult<T>) -> Result<T> {
        let (mut waited, mut pause, mut said) = (Duration::ZERO, PAUSE.0, None);
        let mut connected = self.connected.lock().expect("no call panics while it holds the line");
        loop {
            match self.ask_once(&mut connected, &ask) {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_passing(&error) => return Err(refused(&error)),
                Err(error) => {
                    waited += pause + if error.is_timeout() { ANSWER_MAX } else { Duration::ZERO };
                    if waited > self.patience {
                        let cause = one_line(&error);
                        return Err(Error::Unreachable { doing, server: ADDRESSES, cause, retry_after_ms: 1_000 });
                    }
                    // Told once while it stays the same.
                    let cause = Some(one_line(&error));
                    if said != cause {
                        tracing::warn!(%error, doing, "Redis did not answer: tried again");
                        said = cause;
                    }
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn ask_once<T>(
        &self,
        connected: &mut Option<Connected>,
        ask: &impl Fn(&mut Connected) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let line = match connected.take().filter(Connected::is_open) {
            Some(line) => connected.insert(line),
            None => connected.insert(self.connect()?),
        };
        let answer = ask(line);
        if answer.as_ref().is_err_and(is_passing) {
            *connected = None;
        }
        answer
    }

    fn connect(&self) -> RedisResult<Connected> {
        match &self.servers {
            Servers::One(one) => {
                if let Some(cluster) = one.cluster.get() {
                    return connect_cluster(cluster);
                }
                let mut connection = one.client.get_connection_with_timeout(ANSWER_MAX)?;
                connection.set_read_timeout(Some(ANSWER_MAX))?;
                connection.set_write_timeout(Some(ANSWER_MAX))?;
                if !is_node(&mut connection)? {
                    return Ok(Connected::One(connection));
                }
                let nodes = ClusterClient::new(vec![one.address.as_str()])?;
                connect_cluster(one.cluster.get_or_init(|| nodes))
            }
            Servers::Cluster(client) => connect_cluster(client),
        }
    }
}

fn connect_cluster(client: &ClusterClient) -> RedisResult<Connected> {
    let connection = client.get_connection()?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    connection.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(Connected::Cluster(Box::new(connection)))
}

/// Whether a server is a node of a cluster, which answers only for its own part of the keys.
fn is_node(connection: &mut Connection) -> RedisResult<bool> {
    match redis::cmd("INFO").arg("cluster").query::<String>(connection) {
        Ok(told) => Ok(told.lines().any(|line| line.trim() == "cluster_enabled:1")),
        // Not everybody may ask; what else is asked then shows it.
        Err(error) if error.code() == Some("NOPERM") => Ok(false),
        Err(error) => Err(error),
    }
}

/// The error of a server that answers, and will not do what is asked.
fn refused(error: &RedisError) -> Error {
    let needed = match error.kind() {
        ErrorKind::Parse => "addresses of Redis: what answers there is something else",
        ErrorKind::AuthenticationFailed => {
            "reached with the password that it takes: see store.distributed.redis_password"
        }
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
            "reached with the password that it takes: see store.distributed.redis_password"
        }
        _ if error.code() == Some("NOPERM") => "reached as a user who may read and write the keys of the store",
        _ => return Error::Stop { cause: format!("Redis: {}", one_line(error)) },
    };
    Error::Unfit { what: ADDRESSES.to_owned(), found: one_line(error), needed: needed.to_owned() }
}

/// What the client says, which puts some errors into several lines.
fn one_line(error: &RedisError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the same command may be answered later.
fn is_passing(error: &RedisError) -> bool {
    use redis::ServerErrorKind;
    error.is_io_error()
        || error.is_cluster_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::ReadOnly
            ) | ErrorKind::ClusterConnectionNotFound
        )
}
