//! The checks, each on a source of its own.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connectors::edge::status::ConnectorState;
use fixtures::faults::{Faults, Rate};
use ontology::{Millis, Op};

use crate::rig::{Rig, Source, a_while, expect_equal, holds_at_last, settled, state, undisturbed};

/// How often a full log is tried before it has room again.
const REFUSED_MIN: usize = 5;
/// Questions to the switch of faults, a few for each call, in which calls go wrong.
const CALLS_MORE: u64 = 100;

pub async fn arrives_whole<S: Source>() {
    let (first, second) = (undisturbed::<S>().await, undisturbed::<S>().await);
    assert!(first.len() > 100, "{} values", first.len());
    expect_equal("the same story twice", &second, &first);
}

pub async fn starts_from_a_stored_position<S: Source>() {
    let rig = Rig::<S>::new().await;
    let half = rig.happenings.len() / 2;
    let running = rig.connect();
    rig.happen(0..half).await;
    settled(&rig).await;
    running.stop().await;
    let (half_ms, taken) = (rig.now_ms(), rig.log.submissions.lock().unwrap().len());
    let said: BTreeSet<_> = rig.log.facts().into_iter().map(|f| (f.record_id, f.event_id)).collect();

    let running = rig.connect();
    rig.happen(half..rig.happenings.len()).await;
    settled(&rig).await;
    running.stop().await;
    let later = rig.log.submissions.lock().unwrap()[taken..].to_vec();
    let again = later.iter().flat_map(|submission| &submission.facts).filter(|f| {
        let is_old = f.changed_at.0 < half_ms - 3 * 3_600_000;
        let is_listed = S::READS_WHOLE && f.read_at.is_some();
        f.op != Op::Heartbeat && is_old && !is_listed && said.contains(&(f.record_id.clone(), f.event_id.clone()))
    });
    let again: Vec<_> = again.map(|f| format!("{}/{}", f.object, f.record_id)).collect();
    // A push that comes later than it happened is told again by the story, not by the connector.
    assert!(again.len() < 5, "{} facts are read again: {:?}", again.len(), &again[..again.len().min(8)]);
    expect_equal("after a restart", &state(&rig.log), &undisturbed::<S>().await);
}

pub async fn loses_nothing_when_killed<S: Source>() {
    let rig = Rig::<S>::new().await;
    let steps = 8;
    for step in 0..steps {
        let running = rig.connect();
        let (from, to) = (rig.happenings.len() * step / steps, rig.happenings.len() * (step + 1) / steps);
        let quarter = (to - from) / 4;
        rig.happen(from..to - quarter).await;
        // Killed while the rest is on its way: pushes are tried again, what is read is read again.
        let kill = async {
            a_while(3 * step as u64).await;
            running.kill();
            rig.connect()
        };
        let (running, ()) = tokio::join!(kill, rig.happen(to - quarter..to));
        running.kill();
    }
    let running = rig.connect();
    settled(&rig).await;
    running.stop().await;
    expect_equal("killed again and again", &state(&rig.log), &undisturbed::<S>().await);
}

pub async fn waits_for_a_full_log<S: Source>() {
    let rig = Rig::<S>::new().await;
    let running = rig.connect();
    rig.log.is_full.store(true, Ordering::SeqCst);
    let free = async {
        rig.log.until("a full log to be tried again", |log| log.refused.load(Ordering::SeqCst) >= REFUSED_MIN).await;
        assert_eq!(rig.log.submissions.lock().unwrap().len(), 0, "taken by a log that takes nothing");
        rig.log.is_full.store(false, Ordering::SeqCst);
    };
    // A source that pushes is told to wait and tries again, one that is read waits unread.
    tokio::join!(free, rig.happen(0..rig.happenings.len()));
    settled(&rig).await;
    running.stop().await;
    expect_equal("after a full log", &state(&rig.log), &undisturbed::<S>().await);
}

pub async fn outlasts_failing_calls<S: Source>() {
    let rig = Rig::<S>::new().await;
    let few = Rate::percent(3);
    rig.switch.set(Faults {
        throttle: few,
        fail: few,
        token_expired: few,
        slow: Rate::percent(10),
        slow_by: Duration::from_millis(10),
        ..Faults::default()
    });
    let running = rig.connect();
    rig.happen(0..rig.happenings.len()).await;
    // What reads and lists goes on trying, some of it in vain.
    let enough = rig.switch.calls() + CALLS_MORE;
    holds_at_last("calls to be tried", || rig.switch.calls() >= enough).await;
    rig.switch.clear();
    settled(&rig).await;
    running.stop().await;
    expect_equal("after failing calls", &state(&rig.log), &undisturbed::<S>().await);
}

pub async fn makes_good_for_a_lossy_line<S: Source>() {
    let expected = undisturbed::<S>().await;
    for percent in [1, 20] {
        let rig = Rig::<S>::new().await;
        let rate = Rate::percent(percent);
        rig.switch.set(Faults {
            seed: u64::from(percent),
            drop: rate,
            repeat: rate,
            reorder: rate,
            ..Faults::default()
        });
        let running = rig.connect();
        rig.happen(0..rig.happenings.len()).await;
        rig.switch.clear();
        settled(&rig).await;
        running.stop().await;
        expect_equal(&format!("{percent} % lost, repeated, overtaken"), &state(&rig.log), &expected);
    }
}

pub async fn proves_a_quiet_source_and_not_a_dead_one<S: Source>() {
    let rig = Rig::<S>::new().await;
    let running = rig.connect();
    rig.happen(0..60).await;
    rig.proven().await;
    // Quiet: nothing happens, and that is proven by the probe alone.
    rig.pass(60_000);
    rig.proven().await;
    let status = running.status();
    assert_eq!(status.state, ConnectorState::Running, "{status:?}");
    assert!(status.watermark.is_some() && status.facts > 0, "{status:?}");

    // Dead: whatever time passes, nothing is proven any more, and operators see why.
    let Rig { source, story, log, .. } = rig;
    let died_ms = story.0.load(Ordering::SeqCst);
    let source = std::sync::Arc::into_inner(source).unwrap();
    source.stop().await;
    // It is asked more than once, each time in vain.
    for later_ms in [600_000, 660_000, 720_000] {
        story.set(died_ms + later_ms);
        let has_failed = || running.status().last_error_at >= Some(Millis(died_ms + later_ms));
        holds_at_last("a dead source to be noticed", has_failed).await;
    }
    assert!(!running.status().last_error.is_empty());
    let newest = log.facts().into_iter().filter(|f| f.op == Op::Heartbeat).map(|f| f.changed_at.0).max();
    assert!(newest <= Some(died_ms), "proven {newest:?} of a source that is dead since {died_ms}");
    let status = running.status();
    assert!(matches!(status.state, ConnectorState::Retrying | ConnectorState::Resyncing), "{status:?}");
    assert!(status.last_error_at.is_some());
    running.stop().await;
}
