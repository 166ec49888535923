//! When the clock ticks changes nothing that is derived, and every effect is asked for once.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use insight::Settings;
use ontology::ObjectId;
use pipeline::{Action, ActionKind};
use resolver::Model;
use sim::delivery::{BatchSize, Delivery};
use sim::difference::{equal, texts};
use sim::seeds::check_all;
use sim::{Chance, History, Oracle, play};

/// Tasks by the action that asks for them.
fn tasks(actions: &[Action]) -> Vec<(ObjectId, ObjectId)> {
    let task = |action: &Action| match &action.kind {
        ActionKind::CreateTask { task, .. } => Some((task.clone(), action.id.clone())),
        ActionKind::Notify { .. }
        | ActionKind::CompleteTask { .. }
        | ActionKind::HoldTransfer { .. }
        | ActionKind::ReleaseTransfer { .. }
        | ActionKind::PushPackage { .. }
        | ActionKind::Escalate { .. }
        | ActionKind::FlagInvoice { .. } => None,
    };
    actions.iter().filter_map(task).collect()
}

fn ids(actions: &[Action]) -> BTreeSet<ObjectId> {
    actions.iter().map(|action| action.id.clone()).collect()
}

#[test]
fn ticks_between_facts_change_nothing() {
    check_all(300, |seed| {
        let mut chance = Chance::of(seed);
        let delivery = Delivery::of(&History::of(seed), &mut chance, BatchSize::UpTo(20));
        let now = delivery.settled_at();
        let oracle = Oracle::of(delivery.facts(), Settings::default(), Model::shipped());
        let expected = texts(oracle.canonical(now).into_values());
        let played = play::play_ticking(&delivery, 1, now, &mut chance);
        equal("with ticks", &texts(played.engine.canonical(now)), &expected)?;
        equal("published with ticks", &played.published(), &expected)?;
        let without = play::play(&delivery, 1, now);
        if played.actions != without.actions {
            let first = played.actions.iter().zip(&without.actions).find(|(a, b)| a != b);
            return Err(format!("ticks change what is done, first {first:?}"));
        }
        Ok(())
    });
}

#[test]
fn a_task_is_issued_once() {
    check_all(300, |seed| {
        let delivery = Delivery::of(&History::of(seed), &mut Chance::of(seed), BatchSize::UpTo(5));
        let issued = tasks(&play::play(&delivery, 1, delivery.settled_at()).actions);
        let distinct: BTreeSet<_> = issued.iter().map(|(task, _)| task).collect();
        if distinct.len() == issued.len() { Ok(()) } else { Err(format!("{issued:?}")) }
    });
}

#[test]
fn a_restart_asks_for_the_same_effects_under_the_same_ids() {
    check_all(300, |seed| {
        let mut chance = Chance::of(seed);
        let delivery = Delivery::of(&History::of(seed), &mut chance, BatchSize::UpTo(10));
        let now = delivery.settled_at();
        let kill = chance.below(delivery.0.len() + 1);
        let stops = (chance.below(kill + 1), kill);
        let through = play::play_restarting(&delivery, stops, 1, now).map_err(|error| error.to_string())?;
        let without = play::play(&delivery, 1, now);
        let by_task: BTreeMap<_, _> = tasks(&through.actions).into_iter().collect();
        let by_action: BTreeSet<_> = by_task.values().collect();
        if by_task.len() != by_action.len() {
            return Err(format!("one action for several tasks: {by_task:?}"));
        }
        let (found, expected) = (ids(&through.actions), ids(&without.actions));
        let differing: BTreeSet<_> = found.symmetric_difference(&expected).collect();
        let all = through.actions.iter().chain(&without.actions);
        match all.into_iter().find(|action| differing.contains(&action.id)) {
            None => Ok(()),
            Some(action) => Err(format!("restart {stops:?}: on one side only {action:?}")),
        }
    });
}
