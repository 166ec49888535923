//! A hub on story time in the process of the test, connected as its configuration says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connectors::Clock as _;
use connectors::salesforce::audit;
use connectors::salesforce::transport::TOPIC;
use hub::app::{App, AppOptions};
use hub::clock::StoryClock;
use hub::commands::connect_sources;
use ontology::{LogPos, Millis, System};
use storage::Embedded;
use tempfile::TempDir;

use crate::estate::{ANY, Estate};

/// How long a step may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How far the export of tickets stays behind: it holds the last minute back.
const HELD_BACK_MS: i64 = Millis::MINUTE_MS + 1;

pub struct Inside {
    pub app: App,
    pub clock: Arc<StoryClock>,
    _store: TempDir,
}

impl Inside {
    /// A hub that begins at `begin` and reads what `configuration` names.
    pub async fn start(configuration: &Path, begin: Millis, unmonitored: Vec<System>) -> Inside {
        let file = hub::config::read(Some(configuration), std::iter::empty()).unwrap();
        let config = file.resolve().unwrap();
        let clock = Arc::new(StoryClock::standing(begin));
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(folder.path(), storage::Options::default()).unwrap());
        let mut named = config.connectors.unmonitored();
        named.extend(unmonitored);
        let options = AppOptions {
            engine: config.engine,
            batch_max: config.batch_max,
            unmonitored: named,
            connectors: config.connectors.connectors.clone(),
            ..AppOptions::local(clock.clone())
        };
        let mut app = App::start(store, options).await.unwrap();
        if let Err(failure) = connect_sources(&mut app, config.connectors, ANY).await {
            panic!("{:?}", failure.error);
        }
        Inside { app, clock, _store: folder }
    }

    /// Plays the whole story of `estate`, and lets every list job look at a world that stands still
    /// until nothing is missing; the instant at which it stands.
    pub async fn play(&self, estate: &Estate) -> Millis {
        // Before that nothing is promised about what the bus forgets.
        self.until("the bus to be read", |inside| inside.position(TOPIC).is_some()).await;
        let mut player = estate.player(self.app.doors().unwrap());
        let end_ms = estate.world.story().last().unwrap().deliver_ms;
        while let Some(slice) = player.next_slice(end_ms, None) {
            self.clock.advance_to(Millis(slice.to_ms));
            player.play(&slice).await.unwrap();
        }
        player.arrive().await.unwrap();
        estate.switch.clear();
        let mut now = self.clock.now();
        for _ in 0..2 {
            now = now + Millis::HOUR_MS;
            self.pass(estate, now, &System::SOURCES).await;
        }
        now
    }

    /// Nothing happens until `now`, which every one of `systems` proves. Salesforce's bus proves it by
    /// itself; what it lost is known only once its list was compared with what came.
    pub async fn pass(&self, estate: &Estate, now: Millis, systems: &[System]) {
        self.clock.advance_to(now);
        estate.quiet_until(now.0);
        self.until("the sources to be proven", |inside| {
            let freshness = inside.app.published.freshness();
            systems.iter().all(|system| {
                let source = freshness.source(*system);
                let is_checked = *system != System::Salesforce || inside.is_audited(now + -HELD_BACK_MS);
                is_checked && source.watermark >= Some(now + -HELD_BACK_MS) && source.oldest_gap.is_none()
            })
        })
        .await;
        let last = LogPos(self.app.handle().store().last().0);
        self.until("the log to be applied", |inside| inside.app.published.position() >= last).await;
    }

    /// Whether Salesforce's list was compared with what came up to `at`.
    fn is_audited(&self, at: Millis) -> bool {
        self.position(&audit::position_name(TOPIC)).and_then(|place| audit::compared_until(&place)) >= Some(at)
    }

    /// What is stored of the place in a source that has this name.
    fn position(&self, name: &str) -> Option<Vec<u8>> {
        self.app.handle().store().source(name).unwrap().map(|place| place.to_vec())
    }

    /// Looks again and again until `holds`.
    pub async fn until(&self, what: &str, holds: impl Fn(&Inside) -> bool) {
        let looking = async {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            while !holds(self) {
                looks.tick().await;
            }
        };
        let freshness = || System::SOURCES.map(|system| (system, *self.app.published.freshness().source(system)));
        assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "waiting for {what}: {:?}", freshness());
    }
}
