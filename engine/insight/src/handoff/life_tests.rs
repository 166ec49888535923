//! The life of a transfer: worked examples A01, A08, A09, A12, A18, and what ends it early.

#![allow(clippy::unwrap_used)]

use ontology::codec::Cursor;
use ontology::{EntityKind, Field, FieldsBuilder, Millis, Op, System, ValueRef};

use super::testkit::{T, World, at, text};
use super::{GapAlert, HandoffAction, HandoffState, IdentityChange, SectionName, SectionStatus, TransferMemory};

fn verbs(actions: &[HandoffAction]) -> Vec<&'static str> {
    let verb = |action: &HandoffAction| match action {
        HandoffAction::RaiseContextGap { .. } => "raise",
        HandoffAction::ResolveContextGap { .. } => "resolve",
        HandoffAction::Hold { .. } => "hold",
        HandoffAction::Release { is_complete: true, .. } => "release complete",
        HandoffAction::Release { is_complete: false, .. } => "release incomplete",
        HandoffAction::Push { .. } => "push",
        HandoffAction::Escalate { .. } => "escalate",
    };
    actions.iter().map(verb).collect()
}

/// Moves TR-1 on and checks what had to be done and where it stands then.
#[track_caller]
fn step(world: &World, memory: Option<TransferMemory>, done: &[&str], state: HandoffState) -> TransferMemory {
    let (memory, actions, _) = world.advance(memory);
    assert_eq!((verbs(&actions).as_slice(), memory.state), (done, state));
    let mut stored = Vec::new();
    memory.encode(&mut stored);
    assert_eq!(TransferMemory::decode(&mut Cursor(&stored)).unwrap(), memory, "what is stored reads back");
    memory
}

/// A01 with the AR customer in review instead of linked (A09).
fn in_review() -> World {
    let mut world = World::a01();
    world.leave(EntityKind::ArCustomer, Some(830_000));
    world
}

#[test]
fn a_complete_package_goes_out_at_once() {
    let world = World::a01();
    let (memory, actions, wake_at) = world.advance(None);
    assert_eq!(actions, [HandoffAction::Release { version: 1, is_complete: true }]);
    assert_eq!((memory.state, memory.was_complete, wake_at), (HandoffState::ReleasedComplete, Some(true), None));
    assert_eq!((memory.released_at, memory.gap_alert), (Some(at(T)), None));
    step(&world, Some(memory), &[], HandoffState::ReleasedComplete);
}

#[test]
fn a_hold_ends_the_moment_its_context_is_there() {
    let mut world = World::a01();
    world.lag(System::Oracle, 400_000);
    let (memory, actions, wake_at) = world.advance(None);
    assert_eq!(verbs(&actions), ["raise", "hold"]);
    assert_eq!(actions[0], HandoffAction::RaiseContextGap { sections: vec![SectionName::Billing] });
    assert_eq!((wake_at, memory.hold_until), (Some(at(T) + 60_000), Some(at(T) + 60_000)));
    world.pass(41_000);
    let memory = step(&world, Some(memory), &[], HandoffState::Held);
    world.pass(1_000);
    world.lag(System::Oracle, 0);
    let memory = step(&world, Some(memory), &["release complete", "resolve"], HandoffState::ReleasedComplete);
    let alert = GapAlert { raised_at: at(T), resolved_at: Some(at(T) + 42_000) };
    assert_eq!((memory.gap_alert, memory.was_complete, memory.hold_until), (Some(alert), Some(true), None));
}

#[test]
fn a_hold_that_times_out_escalates_and_releases_with_named_gaps() {
    let mut world = in_review();
    let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
    world.pass(59_999);
    let memory = step(&world, Some(memory), &[], HandoffState::Held);
    world.pass(1);
    let done = ["escalate", "release incomplete", "resolve"];
    let memory = step(&world, Some(memory), &done, HandoffState::ReleasedIncomplete);
    let released = memory.version(memory.released_version).unwrap();
    let told = released.content.narrative.text();
    assert!(told.ends_with("and billing context unavailable (identity_in_review)."), "{told}");
    assert_eq!((memory.versions.len(), memory.escalated_at), (1, Some(at(T) + 60_000)));

    world.pass(35_000);
    world.join(EntityKind::ArCustomer, "AR-1");
    let memory = step(&world, Some(memory), &["push"], HandoffState::ReleasedIncomplete);
    assert_eq!((memory.newest().unwrap().version, memory.was_complete), (2, Some(false)), "judged at release");
}

#[test]
fn context_that_is_missing_after_the_release_is_looked_for_until_it_is_there_or_no_longer_asked_for() {
    let mut world = in_review();
    let held = step(&world, None, &["raise", "hold"], HandoffState::Held);
    assert!(held.is_unreleased() && !held.lacks_context(world.now));
    world.pass(60_000);
    let released = world.advance(Some(held)).0;
    assert!(!released.is_unreleased() && released.lacks_context(world.now));
    let accepted_at = world.now;
    let accepted = TransferMemory { accepted_at: Some(accepted_at), ..released.clone() };
    let until = accepted_at + 15 * Millis::MINUTE_MS;
    assert!(accepted.lacks_context(until) && !accepted.lacks_context(until + 1));
    let closed = TransferMemory { state: HandoffState::Abandoned, ..released.clone() };
    assert!(!closed.lacks_context(world.now) && !closed.is_unreleased());
    world.join(EntityKind::ArCustomer, "AR-1");
    assert!(!world.advance(Some(released)).0.lacks_context(world.now), "all is there");
}

#[test]
fn context_that_arrives_at_exactly_sixty_seconds_is_in_time() {
    for (late_ms, state) in [(0, HandoffState::ReleasedComplete), (1, HandoffState::ReleasedIncomplete)] {
        let mut world = in_review();
        let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
        world.pass(60_000);
        let memory = if late_ms > 0 { world.advance(Some(memory)).0 } else { memory };
        world.pass(late_ms);
        world.join(EntityKind::ArCustomer, "AR-1");
        let (memory, _, _) = world.advance(Some(memory));
        assert_eq!((memory.state, memory.newest().unwrap().version), (state, 2));
    }
}

#[test]
fn a_customer_unknown_to_a_system_is_none_only_while_its_source_is_fresh() {
    let mut world = World::a01();
    world.leave(EntityKind::ArCustomer, None);
    for (lag_ms, done, state) in [
        (300_000, &["release complete"][..], HandoffState::ReleasedComplete),
        (300_001, &["raise", "hold"], HandoffState::Held),
    ] {
        world.lag(System::Oracle, lag_ms);
        step(&world, None, done, state);
    }
}

#[test]
fn parts_that_do_not_hold_are_named_and_counted() {
    let mut world = World::a01();
    world.lag(System::Sap, 300_001);
    let memory = step(&world, None, &["release incomplete"], HandoffState::ReleasedIncomplete);
    assert_eq!((memory.was_complete, memory.gap_alert, memory.escalated_at), (Some(false), None, None));
    assert_eq!(memory.newest().unwrap().content.completeness(), (4, 5));
    // A hold ends too as soon as only such a part is missing.
    world.lag(System::Oracle, 300_001);
    let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
    world.pass(1_000);
    world.lag(System::Oracle, 0);
    step(&world, Some(memory), &["release incomplete", "resolve"], HandoffState::ReleasedIncomplete);
}

#[test]
fn identity_that_moves_is_followed_and_a_split_takes_back_what_was_shown() {
    let mut world = in_review();
    let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
    world.pass(20_000);
    world.join(EntityKind::ArCustomer, "AR-1");
    let memory = step(&world, Some(memory), &["release complete", "resolve"], HandoffState::ReleasedComplete);
    let second = memory.newest().unwrap();
    assert_eq!((second.version, second.identity_changed), (2, Some(IdentityChange::Merged)));
    assert!(second.content.narrative.text().contains("#INV-4521"));

    world.transfer("TR-1", &[(Field::AcceptedAt, ValueRef::Time(world.now)), (Field::AcceptedBy, text("kim"))]);
    let memory = step(&world, Some(memory), &[], HandoffState::Accepted);
    world.pass(5 * 60_000);
    world.leave(EntityKind::ArCustomer, None);
    let (memory, actions, _) = world.advance(Some(memory));
    assert_eq!(actions, [HandoffAction::Push { version: 3, identity_changed: Some(IdentityChange::Split) }]);
    assert!(!memory.newest().unwrap().content.narrative.text().contains("#INV-4521"));
    assert_eq!([1, 2, 3].map(|version| memory.is_readable(version)), [false, false, true]);
    assert!(memory.version(2).unwrap().content.narrative.text().contains("#INV-4521"), "versions are immutable");
}

#[test]
fn identity_is_followed_for_exactly_a_quarter_of_an_hour_after_acceptance() {
    for (after_ms, versions) in [(15 * 60_000, 2), (15 * 60_000 + 1, 1)] {
        let mut world = World::a01();
        world.transfer("TR-1", &[(Field::AcceptedAt, ValueRef::Time(world.now))]);
        let memory = step(&world, None, &["release complete"], HandoffState::Accepted);
        world.pass(after_ms);
        world.leave(EntityKind::ArCustomer, None);
        assert_eq!(world.advance(Some(memory)).0.versions.len(), versions, "{after_ms} ms");
    }
}

#[test]
fn what_the_receiver_does_to_the_case_makes_no_version_but_late_context_does() {
    let mut world = World::a01();
    let memory = step(&world, None, &["release complete"], HandoffState::ReleasedComplete);
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::Category, text("billing"))]);
    let memory = step(&world, Some(memory), &["push"], HandoffState::ReleasedComplete);
    world.transfer("TR-1", &[(Field::AcceptedAt, ValueRef::Time(world.now))]);
    let memory = step(&world, Some(memory), &[], HandoffState::Accepted);
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::Category, text("other"))]);
    let memory = step(&world, Some(memory), &[], HandoffState::Accepted);
    world.pass(86_400_000);
    step(&world, Some(memory), &[], HandoffState::Accepted);
}

#[test]
fn an_accepted_hold_is_served_with_what_there_is() {
    let mut world = in_review();
    let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
    world.pass(1_000);
    world.transfer("TR-1", &[(Field::AcceptedAt, ValueRef::Time(world.now))]);
    let memory = step(&world, Some(memory), &["release incomplete", "resolve"], HandoffState::Accepted);
    assert_eq!((memory.handoff_ms(), memory.was_complete), (Some(1_000), Some(false)));
}

#[test]
fn a_transfer_that_has_happened_is_pushed_at_once_and_judged_after_a_minute() {
    let mut world = in_review();
    world.transfer("TR-1", &[(Field::Controlled, ValueRef::Bool(false))]);
    let memory = step(&world, None, &["push", "raise"], HandoffState::Assembling);
    world.pass(30_000);
    world.join(EntityKind::ArCustomer, "AR-1");
    let memory = step(&world, Some(memory), &["push", "resolve"], HandoffState::Assembling);
    assert_eq!(memory.was_complete, None);
    world.pass(30_000);
    let memory = step(&world, Some(memory), &[], HandoffState::ReleasedComplete);
    assert_eq!(memory.released_at, Some(at(T) + 60_000));
}

#[test]
fn what_ends_a_transfer_resolves_its_alert_and_keeps_it_out_of_the_figure() {
    let end = |change: &dyn Fn(&mut World), state: HandoffState| {
        let mut world = in_review();
        let memory = step(&world, None, &["raise", "hold"], HandoffState::Held);
        world.pass(10_000);
        change(&mut world);
        let memory = step(&world, Some(memory), &["resolve"], state);
        assert_eq!((memory.was_complete, memory.closed_at), (None, Some(world.now)));
        world.pass(60_000);
        step(&world, Some(memory), &[], state);
    };
    end(&|world| world.transfer("TR-1", &[(Field::CancelledAt, ValueRef::Time(world.now))]), HandoffState::Cancelled);
    end(
        &|world| world.apply(EntityKind::Case, "SF-2026-8831", Op::Delete, FieldsBuilder::default()),
        HandoffState::Cancelled,
    );
    end(
        &|world| {
            world.transfer("TR-1", &[(Field::InteractionRef, text("LIVE"))]);
            world.contact(
                "LIVE",
                ontology::status::Channel::Call,
                "2026-03-10T15:00:09Z",
                &[(Field::Disposition, text("Abandoned"))],
            );
        },
        HandoffState::Abandoned,
    );
    end(
        &|world| {
            let again = [(Field::ToTeam, text("retention")), (Field::InitiatedAt, ValueRef::Time(world.now))];
            world.transfer("TR-2", &again);
        },
        HandoffState::Superseded,
    );
}

#[test]
fn a_contact_that_ends_otherwise_or_earlier_abandons_nothing() {
    for (ended_at, disposition) in [("2026-03-10T15:00:00Z", "resolved"), ("2026-03-10T14:59:59Z", "abandoned")] {
        let mut world = in_review();
        world.transfer("TR-1", &[(Field::InteractionRef, text("LIVE"))]);
        world.contact("LIVE", ontology::status::Channel::Call, ended_at, &[(Field::Disposition, text(disposition))]);
        step(&world, None, &["raise", "hold"], HandoffState::Held);
    }
}

#[test]
fn a_transfer_within_a_team_needs_no_package() {
    let mut world = World::a01();
    world.transfer("TR-1", &[(Field::FromTeam, text("billing"))]);
    let memory = step(&world, None, &[], HandoffState::Cancelled);
    assert!(memory.versions.is_empty());
}

#[test]
fn a_refused_transfer_goes_back() {
    let mut world = World::a01();
    let memory = step(&world, None, &["release complete"], HandoffState::ReleasedComplete);
    world.pass(1_000);
    world.transfer("TR-1", &[(Field::ReturnedAt, ValueRef::Time(world.now))]);
    let memory = step(&world, Some(memory), &[], HandoffState::Returned);
    assert_eq!((memory.was_complete, memory.closed_at), (Some(true), Some(world.now)));
}

#[test]
fn a_transfer_first_heard_of_after_its_hold_is_not_held() {
    let mut world = in_review();
    world.pass(60_000);
    let done = ["raise", "escalate", "release incomplete", "resolve"];
    step(&world, None, &done, HandoffState::ReleasedIncomplete);
}

#[test]
fn midnight_makes_no_version() {
    let mut world = World::a01();
    let memory = step(&world, None, &["release complete"], HandoffState::ReleasedComplete);
    world.pass(12 * 3_600_000);
    let memory = step(&world, Some(memory), &[], HandoffState::ReleasedComplete);
    assert!(world.narrative().contains("completed 2 days ago"));
    assert!(memory.newest().unwrap().content.narrative.text().contains("completed yesterday"));
}

#[test]
fn damaged_bytes_are_refused_without_a_panic() {
    let memory = World::a01().advance(None).0;
    assert_eq!(memory.newest().unwrap().content.section(SectionName::Billing).unwrap().status, SectionStatus::Present);
    let mut stored = Vec::new();
    memory.encode(&mut stored);
    for cut in 0..stored.len() {
        assert!(TransferMemory::decode(&mut Cursor(&stored[..cut])).is_err(), "cut at {cut}");
    }
    for place in 0..stored.len() {
        let mut damaged = stored.clone();
        damaged[place] ^= 0xff;
        let _ = TransferMemory::decode(&mut Cursor(&damaged));
    }
}
