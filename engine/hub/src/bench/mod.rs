//! The expensive half of every bench: the hub itself, as it runs in production, under the
//! workloads of the `benches` crate.

mod decode;
mod echo;
mod enterprise;
mod ingest;
mod read;
mod resolve;
mod scale;
mod take_over;

pub use decode::{DecodeOptions, decode};
pub use enterprise::{EnterpriseOptions, enterprise};
pub use ingest::{IngestOptions, ingest};
pub use read::{ReadOptions, read};
pub use resolve::{Peer, ResolveOptions, resolve};
pub use scale::{ScaleOptions, scale};
pub use take_over::{TakeOverOptions, take_over};

use std::sync::Arc;
use std::time::Duration;

use benches::stream::Workload;
use bytes::Bytes;
use connectors::SharedClock;
use ontology::{LogPos, Millis};
use pipeline::{CustomerView, EngineSettings};
use resolver::Model;
use serve::standing::Standing;
use serve::views::Published;

use crate::app::BATCH_MAX;
use crate::figures::Figures;
use crate::publish::publisher;
use crate::runner::{Handle, Payload, Publish, RunnerOptions};

/// Lines of one delivery: what a poll of a busy source brings.
const DELIVERY_LINES: usize = 1_000;
/// Deliveries on their way to the log at once.
const DELIVERIES_WAITING_MAX: usize = 64;

/// How long the engine may take to come up with the log.
const PATIENCE: Duration = Duration::from_secs(600);

/// When the hub begins with a workload: all of it has happened, none of it has been seen.
fn begin_of(workload: &Workload) -> Millis {
    Millis(i64::try_from(workload.end_ms()).unwrap_or(i64::MAX))
}

/// A hub as it is shipped by this clock, and where what it says is read.
fn by_clock(clock: SharedClock) -> (RunnerOptions, Publish, Arc<Published<CustomerView>>) {
    let published = Arc::new(Published::new(LogPos(0)));
    let publish = publisher(published.clone(), Arc::new(Figures::default()), clock.clone());
    let options = RunnerOptions {
        engine: EngineSettings::default(),
        model: Model::shipped(),
        clock,
        batch_max: BATCH_MAX,
        unmonitored: Vec::new(),
        standing: Standing::default(),
    };
    (options, publish, published)
}

/// Puts a workload through the hub's door: lines are read, become facts and go to the log in
/// deliveries, each with its lines as payload. Returns how many facts there are once all of them
/// are readable: an acknowledged fact is durable, and published a little later.
async fn deliver(handle: &Handle, published: &Published<CustomerView>, bytes: Bytes) -> anyhow::Result<u64> {
    let mut maker = benches::stream::FactMaker::default();
    let mut waiting = tokio::task::JoinSet::new();
    let mut delivered = 0;
    let mut newest = LogPos(0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut facts = Vec::with_capacity(DELIVERY_LINES);
        let mut taken = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n').take(DELIVERY_LINES) {
            taken += line.len();
            facts.push(maker.fact(&benches::stream::Event::parse(line.trim_ascii_end())?));
        }
        let lines = rest.split_to(taken);
        delivered += facts.len() as u64;
        while waiting.len() >= DELIVERIES_WAITING_MAX
            && let Some(done) = waiting.join_next().await
        {
            newest = newest.max(done??);
        }
        let payload = Payload { beside: Vec::new(), raw: lines };
        let handle = handle.clone();
        waiting.spawn(async move { handle.append(facts, Vec::new(), payload, None, storage::Priority::Source).await });
        tokio::task::yield_now().await;
    }
    while let Some(done) = waiting.join_next().await {
        newest = newest.max(done??);
    }
    applied(published, newest).await?;
    Ok(delivered)
}

/// Waits until the engine has come to `position`.
async fn applied(published: &Published<CustomerView>, position: LogPos) -> anyhow::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "a deadline of the outermost layer")]
    let until = tokio::time::Instant::now() + PATIENCE;
    anyhow::ensure!(
        published.reaches(position, until).await,
        "apply the workload: the engine does not come up with the log"
    );
    Ok(())
}

/// Hands one fact over by itself, as a source that tells of changes one by one.
async fn append(handle: &Handle, fact: ontology::Fact) -> anyhow::Result<LogPos> {
    Ok(handle.append(vec![fact], Vec::new(), Payload::default(), None, storage::Priority::Source).await?)
}
