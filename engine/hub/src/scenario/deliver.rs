//! All facts of a story in many orders: with the clock held, every order must come to the same.

use std::collections::BTreeSet;

use ontology::Fact;
use pipeline::{Action, ActionKind};
use storage::DistributedOptions;

use super::plan::{Delivery, Plan};
use super::report::Difference;
use super::stage::Stage;

/// Facts that arrive together at most.
const BATCH_MAX: u64 = 16;
/// Orders, beside the written one, that are delivered on servers where a story is played there; the
/// others are delivered in memory, and have to come to the same.
const ORDERS_ON_SERVERS: u32 = 3;
/// How much of two differing customers is told.
const EXCERPT_CHARS: usize = 160;

/// What one order came to.
struct Came {
    digest: String,
    customers: Vec<String>,
    /// Tasks. With the clock held until everything is there, they may not depend on arrival.
    tasks: BTreeSet<String>,
    /// Tasks and commands that were decided twice for one cause.
    doubled: Vec<String>,
}

/// Delivers the facts of a story, and of those that it names, in the written order and in shuffled ones, and tells
/// every order that came to something else.
///
/// # Errors
/// When the store refuses the facts.
pub fn deliver(
    plan: &Plan,
    facts: &[Fact],
    delivery: Delivery,
    servers: Option<&DistributedOptions>,
) -> anyhow::Result<Vec<Difference>> {
    let mut random = Random(delivery.seed);
    let first = one(plan, delivery, servers, facts.to_vec(), &mut Random(0))?;
    let mut differences = Vec::new();
    for order in 1..=delivery.shuffles {
        let shuffled = shuffle(facts, delivery.repeats, &mut random);
        // Each order needs a log of its own, which servers take a second to make. What comes of an order is
        // the engine's doing in both forms.
        let servers = servers.filter(|_| order <= ORDERS_ON_SERVERS);
        let result = one(plan, delivery, servers, shuffled, &mut random)?;
        let what = format!("order {order} of {} (seed {})", delivery.shuffles, delivery.seed);
        let mut note = |what: String, expected: String, found: String| {
            differences.push(Difference { line: None, what, expected, found });
        };
        if result.digest != first.digest {
            let (expected, found) = first_difference(&first.customers, &result.customers);
            note(format!("{what}: state"), expected, found);
        }
        if result.tasks != first.tasks {
            let told = |a: &BTreeSet<String>| a.iter().cloned().collect::<Vec<_>>().join("; ");
            note(format!("{what}: tasks"), told(&first.tasks), told(&result.tasks));
        }
        if !result.doubled.is_empty() {
            note(format!("{what}: tasks and commands"), "each once".to_owned(), result.doubled.join("; "));
        }
    }
    Ok(differences)
}

fn one(
    plan: &Plan,
    delivery: Delivery,
    servers: Option<&DistributedOptions>,
    facts: Vec<Fact>,
    random: &mut Random,
) -> anyhow::Result<Came> {
    let mut stage = Stage::new(plan, servers)?;
    stage.advance(delivery.hold_at)?;
    let mut rest = facts.into_iter();
    loop {
        let batch: Vec<Fact> = rest.by_ref().take(1 + random.below(BATCH_MAX)).collect();
        if batch.is_empty() {
            break;
        }
        stage.deliver(batch)?;
    }
    stage.advance(delivery.until)?;
    stage.settle();
    let mut seen = BTreeSet::new();
    let mut doubled = Vec::new();
    let mut tasks = BTreeSet::new();
    for action in stage.actions() {
        let Some(cause) = cause(action) else { continue };
        if let ActionKind::CreateTask { .. } = action.kind {
            tasks.insert(cause.clone());
        }
        if !seen.insert(cause.clone()) {
            doubled.push(cause);
        }
    }
    let engine = stage.engine();
    let customers = engine.canonical(delivery.until).map(|customer| customer.to_string()).collect();
    Ok(Came { digest: engine.digest(delivery.until), customers, tasks, doubled })
}

/// What a task or command is for: it may be decided once. None for what may come again.
fn cause(action: &Action) -> Option<String> {
    match &action.kind {
        ActionKind::CreateTask { task, subject, team, .. } => Some(format!("task {task} for {team} on {subject}")),
        ActionKind::FlagInvoice { invoice, .. } => Some(format!("flag {invoice}")),
        ActionKind::Escalate { subject, team, .. } => Some(format!("escalate {subject} to {team}")),
        ActionKind::Notify { .. }
        | ActionKind::CompleteTask { .. }
        | ActionKind::HoldTransfer { .. }
        | ActionKind::ReleaseTransfer { .. }
        | ActionKind::PushPackage { .. } => None,
    }
}

/// The first place at which two lists of customers differ, with what stands around it.
fn first_difference(expected: &[String], found: &[String]) -> (String, String) {
    let pairs = (0..expected.len().max(found.len())).map(|place| {
        let at = |list: &[String]| list.get(place).cloned().unwrap_or_else(|| "no further customer".to_owned());
        (at(expected), at(found))
    });
    for (a, b) in pairs {
        if a != b {
            let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
            let from = same.saturating_sub(EXCERPT_CHARS / 2);
            let excerpt = |text: &str| text.chars().skip(from).take(EXCERPT_CHARS).collect::<String>();
            return (excerpt(&a), excerpt(&b));
        }
    }
    (String::new(), String::new())
}

/// Every fact one to `repeats` times, in a random order.
fn shuffle(facts: &[Fact], repeats: u32, random: &mut Random) -> Vec<Fact> {
    let mut shuffled = Vec::with_capacity(facts.len() * 2);
    for fact in facts {
        let times = 1 + random.below(u64::from(repeats.max(1)));
        shuffled.extend(std::iter::repeat_n(fact.clone(), times));
    }
    for place in (1..shuffled.len()).rev() {
        shuffled.swap(place, random.below(place as u64 + 1));
    }
    shuffled
}

/// SplitMix64: the same seed gives the same orders on every machine.
struct Random(u64);

impl Random {
    /// A number below `bound`, which is small.
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1)).expect("a bound of a story fits")
    }
}
