//! Whether customers depend on the order in which records come: they must not, ids included.

use benches::cpu::Stopwatch;
use benches::report::Figure;
use fixtures::rng::Rng;
use offline::{Entry, Rows};
use ontology::EntityKey;
use resolver::{Model, Resolver};

use super::{Subject, TRUTH, measure_of};

/// Records taken from the table: orders cost a run each.
const RECORDS: usize = 20_000;
/// Random orders.
const ORDERS: u64 = 20;
/// Of a hundred records, how many are deleted, deleted and brought back, and updated on the way.
const CHANGED_IN_100: u64 = 10;
/// Largest number of records between two drains.
const BATCH_MAX: u64 = 2_000;

/// A record kept, to be handed over again and again.
pub(super) struct Known {
    pub(super) key: EntityKey,
    source: u8,
    id: String,
    values: Vec<(usize, String)>,
    /// The word of its true party.
    party: String,
}

impl Known {
    /// The row of this record, with what `of` says.
    pub(super) fn row(&self, rows: &Rows, of: &Known) -> resolver::Row {
        let values: Vec<(usize, &str)> = of.values.iter().map(|(column, value)| (*column, value.as_str())).collect();
        rows.row(&Entry { place: 0, source: self.source, id: &self.id, values: &values })
    }
}

/// The first records of a table, and how they become rows.
pub(super) fn known(subject: &Subject) -> anyhow::Result<(Rows, Vec<Known>)> {
    let tables = subject.open(Some(TRUTH))?;
    let rows = Rows::of(&tables)?;
    let mut known = Vec::new();
    let records = tables.read(|entry| {
        if known.len() < RECORDS {
            let values = entry.values.iter().map(|(column, value)| (*column, (*value).to_owned())).collect();
            let (key, id) = (entry.key(), entry.id.to_owned());
            known.push(Known { key, source: entry.source, id, values, party: String::new() });
        }
    })?;
    for (one, party) in known.iter_mut().zip(&records.asked) {
        one.party = party.to_string();
    }
    Ok((rows, known))
}

pub(super) fn measure(subject: &Subject) -> anyhow::Result<Vec<Figure>> {
    let (rows, known) = known(subject)?;
    let watch = Stopwatch::start();
    let expected = at_once(&rows, &known);
    let batch_cpu_s = watch.spent().cpu_s;
    let mut same = 0;
    let orders = orders(&known);
    for order in &orders {
        same += u64::from(in_order(&rows, &known, order) == expected);
    }
    let mut churned_same = 0;
    for seed in 0..ORDERS {
        churned_same += u64::from(churned(&rows, &known, seed) == expected);
    }
    let share = |part: u64, all: usize| part as f64 / all as f64;
    Ok(vec![
        Figure::at_least(measure_of(subject, "R7", "order_same"), share(same, orders.len()), "ratio", 1.0)
            .with("orders", orders.len() as u64)
            .with("records", known.len() as u64)
            .with("batch_cpu_s", batch_cpu_s),
        Figure::at_least(measure_of(subject, "R7", "churn_same"), share(churned_same, ORDERS as usize), "ratio", 1.0)
            .with("orders", ORDERS),
    ])
}

/// Customer of each record.
pub(super) type Partition = Vec<String>;

pub(super) fn partition(resolver: &Resolver, known: &[Known]) -> Partition {
    known.iter().map(|one| resolver.customer_of(&one.key).to_string()).collect()
}

fn at_once(rows: &Rows, known: &[Known]) -> Partition {
    partition(&all(rows, known), known)
}

/// A resolver that holds all records.
pub(super) fn all(rows: &Rows, known: &[Known]) -> Resolver {
    let mut resolver = rows.resolver(Model::shipped());
    for one in known {
        resolver.upsert_row(&one.row(rows, one));
    }
    resolver.drain();
    resolver
}

/// Sorted by party, reversed, every other record first, and random ones.
fn orders(known: &[Known]) -> Vec<Vec<usize>> {
    let plain: Vec<usize> = (0..known.len()).collect();
    let mut by_party = plain.clone();
    by_party.sort_by_key(|at| &known[*at].party);
    let reversed = plain.iter().rev().copied().collect();
    let mut halves = plain.clone();
    halves.sort_by_key(|at| at % 2);
    let mut orders = vec![by_party, reversed, halves];
    for seed in 0..ORDERS {
        orders.push(shuffled(&plain, seed));
    }
    orders
}

fn shuffled(places: &[usize], seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed);
    let mut order = places.to_vec();
    for at in (1..order.len()).rev() {
        order.swap(at, rng.below(at as u64 + 1) as usize);
    }
    order
}

/// Records in an order, drained after batches of changing size.
fn in_order(rows: &Rows, known: &[Known], order: &[usize]) -> Partition {
    let mut resolver = rows.resolver(Model::shipped());
    let mut rng = Rng::new(order.len() as u64);
    let mut until_drain = 1;
    for at in order {
        resolver.upsert_row(&known[*at].row(rows, &known[*at]));
        until_drain -= 1;
        if until_drain == 0 {
            resolver.drain();
            until_drain = 1 + rng.below(BATCH_MAX);
        }
    }
    resolver.drain();
    partition(&resolver, known)
}

/// Records in a random order of which some come first with another's content, some are deleted and
/// come again; in the end all are there as they are.
fn churned(rows: &Rows, known: &[Known], seed: u64) -> Partition {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let mut resolver = rows.resolver(Model::shipped());
    let plain: Vec<usize> = (0..known.len()).collect();
    let mut again = Vec::new();
    for at in shuffled(&plain, seed) {
        let one = &known[at];
        match rng.below(100) / CHANGED_IN_100 {
            0 => {
                let other = &known[rng.below(known.len() as u64) as usize];
                resolver.upsert_row(&one.row(rows, other));
                again.push(at);
            }
            1 => {
                resolver.upsert_row(&one.row(rows, one));
                resolver.drain();
                resolver.remove(&one.key);
                again.push(at);
            }
            _ => resolver.upsert_row(&one.row(rows, one)),
        }
        if rng.below(BATCH_MAX) == 0 {
            resolver.drain();
        }
    }
    for at in again {
        resolver.upsert_row(&known[at].row(rows, &known[at]));
    }
    resolver.drain();
    partition(&resolver, known)
}
