//! What the checks need of a source: that things happen in it, and that a connector runs on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::status::{ConnectorStatus, StatusHandle};
use fixtures::faults::FaultSwitch;
use fixtures::story::Happening;
use fixtures::world::{Size, World};
use ontology::{Field, Op, Stamp, System, ValueRef};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::{MemoryLog, Story, context};

/// How often list jobs and audits run in these tests.
pub const EVERY: Duration = Duration::from_millis(40);

/// A simulator with what a connector needs to read it.
pub trait Source: Sized + Send + Sync + 'static {
    /// The system.
    const SYSTEM: System;
    /// The partition whose watermark its probe moves.
    const PARTITION: &'static str;
    /// How far its proof stays behind now, in milliseconds.
    const PROOF_LAG_MS: i64 = 0;
    /// Whether its list reads everything again and again, to find what was deleted unheard.
    const READS_WHOLE: bool = false;

    /// Starts the simulator.
    fn start(switch: FaultSwitch) -> impl Future<Output = Self> + Send;

    /// Happenings of the world that are its own, in order.
    fn is_own(happening: &Happening) -> bool;

    /// Lets these happen: pushed to the hub's `doors` where the source pushes, through a line that
    /// loses what `switch` says.
    fn happen(
        &self,
        doors: SocketAddr,
        happenings: &[Happening],
        switch: &FaultSwitch,
    ) -> impl Future<Output = ()> + Send;

    /// Says that nothing newer exists up to `now_ms`.
    fn quiet_until(&self, now_ms: i64);

    /// The doors of the connector; none where the source is read.
    fn doors(&self, context: Context<MemoryLog>) -> Router;

    /// The loops of the connector, from what the log holds of its positions.
    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Ends the simulator.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// A source, a log, and the time of the story.
pub struct Rig<S> {
    pub source: Arc<S>,
    pub switch: FaultSwitch,
    pub story: Story,
    pub log: MemoryLog,
    pub happenings: Vec<Happening>,
    doors: SocketAddr,
    status: std::sync::Mutex<Option<StatusHandle>>,
}

/// A running connector on a runtime of its own, so that killing it takes everything with it.
pub struct Running {
    runtime: Option<Runtime>,
    stop: CancellationToken,
    loops: tokio::task::JoinHandle<()>,
    status: StatusHandle,
}

impl Running {
    /// As `kill -9` ends it: between any two instructions, nothing is told.
    pub fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// As an operator ends it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(300), &mut self.loops).await;
        assert!(ended.is_ok(), "it does not end when it is told to");
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub fn status(&self) -> ConnectorStatus {
        self.status.get()
    }
}

impl<S: Source> Rig<S> {
    pub async fn new() -> Self {
        let switch = FaultSwitch::default();
        let source = Arc::new(S::start(switch.clone()).await);
        let world = World::generate(7, Size::customers(12));
        let happenings: Vec<_> = world.history().iter().filter(|h| S::is_own(h)).cloned().collect();
        assert!(happenings.len() > 60, "{} happenings", happenings.len());
        // The address is free at this moment, and stays the doors' own for every connector.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let doors = listener.local_addr().unwrap();
        let story = Story::default();
        story.set(happenings[0].deliver_ms - 1);
        source.quiet_until(happenings[0].deliver_ms - 1);
        Rig { source, switch, story, log: MemoryLog::default(), happenings, doors, status: std::sync::Mutex::default() }
    }

    /// Starts a connector that knows what the log knows.
    pub fn connect(&self) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let context = context(S::SYSTEM, &self.log, &self.story);
        let (status, stop) = (context.status.clone(), CancellationToken::new());
        *self.status.lock().unwrap() = Some(status.clone());
        let (router, address) = (self.source.doors(context.clone()), self.doors);
        runtime.spawn(async move {
            // The last connector's sockets may take a moment to go.
            let listener = loop {
                match tokio::net::TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => a_while(5).await,
                }
            };
            axum::serve(listener, router).await
        });
        let loops = runtime.spawn(self.source.loops(context, &self.log, stop.clone()));
        Running { runtime: Some(runtime), stop, loops, status }
    }

    /// Lets some of the story happen, in batches as a busy source sends them.
    pub async fn happen(&self, range: std::ops::Range<usize>) {
        for batch in self.happenings[range].chunks(20) {
            let now_ms = batch.iter().map(|happening| happening.deliver_ms).max().unwrap();
            self.story.set(now_ms.max(self.now_ms()));
            self.source.happen(self.doors, batch, &self.switch).await;
            self.source.quiet_until(self.now_ms());
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.story.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Nothing happens for `ms` of the story.
    pub fn pass(&self, ms: i64) {
        self.story.set(self.now_ms() + ms);
        self.source.quiet_until(self.now_ms());
    }

    /// Waits until everything up to now is proven to be in the log.
    pub async fn proven(&self) {
        let proven = self.log.proven(S::PARTITION, self.now_ms() - S::PROOF_LAG_MS);
        if tokio::time::timeout(Duration::from_secs(300), proven).await.is_err() {
            let status = self.status.lock().unwrap().as_ref().map(StatusHandle::get);
            panic!("not proven up to {}: {status:?}", self.now_ms());
        }
    }
}

/// Some milliseconds of real time: how far the other side has come by then is left to chance, and
/// what is checked afterwards holds wherever it is.
pub async fn a_while(ms: u64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(ms.max(1)));
    ticks.tick().await;
    ticks.tick().await;
}

/// Looks again and again until `holds`.
pub async fn holds_at_last(what: &str, holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            a_while(5).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(300), looking).await.is_ok(), "waited in vain for {what}");
}

/// The same story told over a sound line to a connector that is never disturbed.
pub async fn undisturbed<S: Source>() -> BTreeMap<String, String> {
    let rig = Rig::<S>::new().await;
    let running = rig.connect();
    rig.happen(0..rig.happenings.len()).await;
    settled(&rig).await;
    running.stop().await;
    state(&rig.log)
}

/// Lets lists and audits look once more at a source that stands still.
pub async fn settled<S: Source>(rig: &Rig<S>) {
    for _ in 0..2 {
        rig.pass(3_600_000);
        rig.proven().await;
    }
    rig.log.until("every gap to be read", |log| open_gaps(log) == 0).await;
}

fn open_gaps(log: &MemoryLog) -> usize {
    use connectors::Known as _;
    connectors::Connectors::SYSTEMS
        .into_iter()
        .map(|system| futures::FutureExt::now_or_never(log.open_gaps(system)).unwrap().len())
        .sum()
}

const ALIVE: &str = "yes";

/// What every record comes to: per row and field the value at the highest stamp, and whether the
/// row is alive. Which of several events said it is not part of it: a list says it again.
pub fn state(log: &MemoryLog) -> BTreeMap<String, String> {
    let mut rows: BTreeMap<String, (Stamp, String)> = BTreeMap::new();
    let mut say = |place: String, stamp: Stamp, value: String| {
        let said = rows.entry(place).or_insert_with(|| (stamp.clone(), value.clone()));
        if (&stamp, &value) > (&said.0, &said.1) {
            *said = (stamp, value);
        }
    };
    for fact in log.facts() {
        let row = format!("{}/{}", fact.object, fact.record_id);
        match fact.op {
            Op::Heartbeat | Op::Gap => continue,
            Op::Delete => say(format!("{row} alive"), fact.stamp(), "no".to_owned()),
            Op::Undelete | Op::Image => say(format!("{row} alive"), fact.stamp(), ALIVE.to_owned()),
            Op::Patch => {}
        }
        // How long a contact lasted is told by Search alone, whenever it happens to ask while it lasts.
        let is_told = |field: Field, value: ValueRef<'_>| value != ValueRef::Null && field != Field::DurationS;
        for (field, value) in fact.fields.iter().filter(|(field, value)| is_told(*field, *value)) {
            say(format!("{row} {field:?}"), fact.stamp(), told(value));
        }
    }
    // A row that nobody ever deleted is alive whatever told of it first; one that is gone is as good
    // as one that nobody ever heard of.
    let gone = |place: &str| place.split(' ').next().map(str::to_owned).unwrap_or_default();
    let is_gone = |(place, (_, value)): (&String, &(Stamp, String))| {
        (place.ends_with(" alive") && value == "no").then(|| gone(place))
    };
    let dead: std::collections::BTreeSet<String> = rows.iter().filter_map(is_gone).collect();
    let alive = rows.into_iter().filter(|(place, _)| !dead.contains(&gone(place)));
    alive.map(|(place, (_, value))| (place, value)).filter(|(_, value)| value != ALIVE).collect()
}

/// A value as it is compared: 751.9 of a view is the 751.90 of a capture.
fn told(value: ValueRef<'_>) -> String {
    let ValueRef::Decimal { mut mantissa, mut scale } = value else { return format!("{value:?}") };
    while scale > 0 && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    format!("{mantissa}e-{scale}")
}

/// Both came to the same; otherwise the first places where they differ.
pub fn expect_equal(what: &str, found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    let missing = expected.iter().filter(|(place, value)| found.get(*place) != Some(value));
    let differences: Vec<_> =
        missing.map(|(place, value)| format!("{place}: {:?} and not {value}", found.get(place))).collect();
    let more: Vec<_> = found.keys().filter(|place| !expected.contains_key(*place)).collect();
    let shown = differences.iter().take(8).collect::<Vec<_>>();
    assert!(
        differences.is_empty() && more.is_empty(),
        "{what}: {} of {} differ, {} more: {shown:#?} {:?}",
        differences.len(),
        expected.len(),
        more.len(),
        more.iter().take(8).collect::<Vec<_>>()
    );
}
