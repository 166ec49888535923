//! `opshub bench read`: customer states over gRPC from a hub that holds a workload, in turns with
//! echoes of the same size on the same server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use benches::cpu::Stopwatch;
use benches::read::Load;
use benches::report::Report;
use benches::stream::Workload;
use bytes::{BufMut as _, Bytes, BytesMut};
use storage::Embedded;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use super::echo::{self, ECHO, EchoMessage};
use super::{begin_of, deliver};
use crate::app::{App, AppOptions};
use crate::clock::StoryClock;

/// The method that is measured.
const READ: &str = "/opshub.v1.CustomerStateService/GetCustomerState";
/// Calls that wait for their answers at any moment.
const CALLS_WAITING: usize = 32;
/// Connections that they share.
const CONNECTIONS: usize = 2;

/// How the bench runs.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// What the hub holds.
    pub workload: Workload,
    /// Rounds of each kind.
    pub rounds: usize,
    /// Length of a round.
    pub round: Duration,
}

/// Fills a hub with the workload, then reads and echoes in turns.
///
/// # Errors
/// When the hub cannot be filled or a call fails.
pub async fn read(options: &ReadOptions) -> anyhow::Result<Report> {
    let dir = tempfile::Builder::new().prefix("opshub-bench-").tempdir()?;
    let app = filled(&options.workload, dir.path()).await?;
    let requests: Arc<[Bytes]> = app.published.ids().iter().map(|id| request(&format!("customers/{id}"))).collect();
    anyhow::ensure!(!requests.is_empty(), "the workload has no customers");
    let channels = connect(app.api()).await?;

    let warm = rounds_of(&channels, READ, &requests, options.round).await?;
    let size = usize::try_from(warm.answer_bytes.checked_div(warm.requests).unwrap_or_default())?;
    let message: Arc<[Bytes]> = Arc::new([EchoMessage::of_size(size)]);
    rounds_of(&channels, ECHO, &message, options.round).await?;
    let (mut reads, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        reads.push(rounds_of(&channels, READ, &requests, options.round).await?);
        echoes.push(rounds_of(&channels, ECHO, &message, options.round).await?);
    }
    drop(channels);
    app.stop().await?;
    Ok(benches::read::report(&reads, &echoes))
}

/// A hub that has applied all of the workload.
async fn filled(workload: &Workload, dir: &std::path::Path) -> anyhow::Result<App> {
    let clock = Arc::new(StoryClock::standing(begin_of(workload)));
    clock.run(1.0);
    let options = AppOptions {
        api: serve::server::Options { beside: echo::beside(), ..serve::server::Options::local() },
        ..AppOptions::local(clock)
    };
    let app = App::start(Arc::new(Embedded::open(dir, storage::Options::default())?), options).await?;
    deliver(&app.handle(), &app.published, workload.to_bytes().into()).await?;
    Ok(app)
}

async fn connect(address: SocketAddr) -> anyhow::Result<Vec<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await.with_context(|| format!("connect to {address}"))?);
    }
    Ok(channels)
}

/// A request for a customer by name: field 1, of type string.
fn request(name: &str) -> Bytes {
    const NAME_TAG: u8 = 1 << 3 | 2;
    let mut out = BytesMut::with_capacity(name.len() + 2);
    out.put_u8(NAME_TAG);
    out.put_u8(u8::try_from(name.len()).expect("a customer's name is shorter than 128 bytes"));
    out.put_slice(name.as_bytes());
    out.freeze()
}

/// One round: every caller asks for the next as soon as it has its answer.
async fn rounds_of(
    channels: &[Channel],
    method: &'static str,
    messages: &Arc<[Bytes]>,
    length: Duration,
) -> anyhow::Result<Load> {
    let watch = Stopwatch::start();
    let mut callers = JoinSet::new();
    for caller in 0..CALLS_WAITING {
        let (channel, messages) = (channels[caller % channels.len()].clone(), messages.clone());
        callers.spawn(async move {
            let mut load = Load::default();
            let mut next = caller;
            while watch.spent().wall_s < length.as_secs_f64() {
                let call_watch = Stopwatch::start();
                let answer = echo::call(channel.clone(), method, messages[next % messages.len()].clone()).await?;
                // A step that visits all messages: both numbers have no common factor.
                next += CALLS_WAITING + 1;
                load.requests += 1;
                load.answer_bytes += answer.len() as u64;
                load.latencies_us.push((call_watch.spent().wall_s * 1e6) as u64);
            }
            Ok::<_, tonic::Status>(load)
        });
    }
    let mut all = Load::default();
    while let Some(load) = callers.join_next().await {
        let load = load??;
        all.requests += load.requests;
        all.answer_bytes += load.answer_bytes;
        all.latencies_us.extend(load.latencies_us);
    }
    let spent = watch.spent();
    (all.wall_s, all.cpu_s) = (spent.wall_s, spent.cpu_s);
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn states_are_read_and_echoes_have_their_size() {
        let options =
            ReadOptions { workload: Workload::new(50, 2_000, 3), rounds: 2, round: Duration::from_millis(20) };
        let report = read(&options).await.unwrap();
        let [ratio, reads, echoes] = &report.results[..] else { panic!("{report}") };
        assert!(ratio.value > 0.0);
        let size = |figure: &benches::report::Figure| figure.raw["answer_bytes_mean"].as_u64().unwrap();
        assert!(size(reads) > 100 && size(reads).abs_diff(size(echoes)) < size(reads) / 2, "{report}");
    }
}
