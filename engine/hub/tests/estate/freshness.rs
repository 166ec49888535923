//! A quiet source stays fresh by its probe, one that fails is told of until it is well again, a dead
//! one just after its bound, and one that nothing probes is shown as such: for each system alone.

use std::sync::Arc;

use connectors::Clock as _;
use fixtures::faults::{Faults, Rate};
use fixtures::story::System as Vendor;
use insight::alerts::AlertRule;
use ontology::{Millis, System, Vocabulary as _};
use state::SystemFreshness;

use crate::SYSTEMS;
use crate::estate::Estate;
use crate::inside::Inside;

/// The system as facts name it.
fn named(vendor: Vendor) -> System {
    System::parse(vendor.name()).unwrap()
}

/// Ends every simulator.
async fn die(estate: Estate) {
    let Estate { vendors, desk, .. } = estate;
    Arc::into_inner(vendors).unwrap().stop().await;
    Arc::into_inner(desk).unwrap().stop().await;
}

fn told(inside: &Inside) -> usize {
    inside.app.published.source_alerts().len()
}

/// Every call fails until the source is told of, and none afterwards: then it is told of no more.
async fn check_recovery(estate: &Estate, inside: &Inside, system: System) {
    estate.switch.set(Faults { fail: Rate::ALWAYS, ..Faults::default() });
    inside
        .until("a failing source to be told of", |inside| {
            // A call that was under way may still prove something: then time passes once more.
            let source = *inside.app.published.freshness().source(system);
            inside.clock.advance_to(source.watermark.unwrap() + (source.lag_max_ms + 1));
            told(inside) > 0
        })
        .await;
    estate.switch.clear();
    estate.quiet_until(inside.clock.now().0);
    inside.until("a source that is well again to have no alert", |inside| told(inside) == 0).await;
}

async fn check_monitored(vendor: Vendor) {
    let (system, estate) = (named(vendor), Estate::start(3, Faults::default()).await);
    let begin = Millis(estate.world.story()[0].deliver_ms - 1);
    let inside = Inside::start(&estate.configuration(&[vendor], true, "40ms"), begin, Vec::new()).await;
    // Nothing happens for longer than the bound allows: the probe alone proves that.
    let mut now = Millis(fixtures::time::T_MS);
    for _ in 0..3 {
        inside.pass(&estate, now, &[system]).await;
        assert!(inside.app.published.freshness().at(system, now).is_fresh(), "{}", vendor.name());
        now = now + 250_000;
    }
    // What was raised while the clock jumped is over.
    inside.until("a fresh source to have no alert", |inside| told(inside) == 0).await;

    check_recovery(&estate, &inside, system).await;
    die(estate).await;
    let source = *inside.app.published.freshness().source(system);
    let fresh_until = source.watermark.unwrap() + source.lag_max_ms;
    assert_eq!(source.at(fresh_until), SystemFreshness::Fresh, "{}", vendor.name());
    inside.clock.advance_to(fresh_until + 1);
    inside.until("a dead source to be told of", |inside| told(inside) > 0).await;
    let alerts = inside.app.published.source_alerts();
    let [alert] = alerts.as_slice() else { panic!("{}: {alerts:?}", vendor.name()) };
    assert_eq!((alert.rule, alert.fired_at), (AlertRule::SyncFailure, fresh_until + 1), "{}", vendor.name());
    let counted_with = if system == System::Zendesk { System::Salesforce } else { system };
    assert!(alert.subject.contains(counted_with.name()), "{}", alert.subject);
    inside.app.stop().await.unwrap();
}

async fn check_unmonitored(vendor: Vendor) {
    let (system, estate) = (named(vendor), Estate::start(3, Faults::default()).await);
    let begin = Millis(fixtures::time::T_MS);
    // Salesforce's bus and Oracle's capture tell that they are alive by themselves, so that only the
    // operator can say that nothing does.
    let by_operator = matches!(vendor, Vendor::Salesforce | Vendor::Oracle);
    let said = if by_operator { vec![system] } else { Vec::new() };
    let inside = Inside::start(&estate.configuration(&[vendor], false, "40ms"), begin, said).await;
    die(estate).await;
    let later = begin + Millis::DAY_MS;
    inside.clock.advance_to(later);
    let handle = inside.app.handle();
    let found = handle.ask(move |engine| {
        engine.step(pipeline::Input::Tick { now: later });
        engine.sources().freshness().at(system, later)
    });
    assert_eq!(found.await.unwrap(), SystemFreshness::Unmonitored, "{}", vendor.name());
    drop(handle);
    assert!(inside.app.published.source_alerts().is_empty(), "{}", vendor.name());
    inside.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_source_stays_fresh_and_a_dead_one_is_told_of_just_after_its_bound() {
    for vendor in SYSTEMS {
        check_monitored(vendor).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_nothing_probes_is_shown_as_unmonitored_and_never_told_of() {
    for vendor in SYSTEMS {
        check_unmonitored(vendor).await;
    }
}
