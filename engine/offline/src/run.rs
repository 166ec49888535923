//! Resolving tables, and explaining two of their records.

use hashbrown::{HashMap, HashSet};
use ontology::{EntityKey, Vocabulary};
use resolver::{LinkState, Model, Resolver};

use crate::decisions::Decisions;
use crate::difference::Difference;
use crate::error::Error;
use crate::load::{Deciding, Loaded, load};
use crate::outcome::{Decision, Outcome, Pair};
use crate::progress::Progress;
use crate::records::{Inputs, Records, Tables};
use crate::told::Told;

/// Resolved tables.
#[derive(Debug)]
pub struct Run {
    /// The resolver with all records in it.
    pub loaded: Loaded,
    /// Pairs and customers.
    pub outcome: Outcome,
}

/// Resolves tables with `model`.
///
/// # Errors
/// A file cannot be read on, the columns do not fit the resolver, or there are too few records.
pub fn run(tables: Tables, model: Model, on_progress: &mut dyn FnMut(Progress)) -> Result<Run, Error> {
    run_with(tables, model, |_| Ok(Decisions::new()), on_progress)
}

/// Resolves tables with `model` and what people decided: `decisions` is asked once the records are
/// known by name.
///
/// # Errors
/// As [`run`], and those of `decisions`.
pub fn run_with(
    tables: Tables,
    model: Model,
    decisions: impl FnOnce(&Records) -> Result<Decisions, Error>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Run, Error> {
    let mut loaded = load(tables, model, Deciding::Now, on_progress)?;
    loaded.judge(&decisions(&loaded.records)?);
    let outcome = outcome(&loaded.resolver, &loaded.records);
    Ok(Run { loaded, outcome })
}

/// What a drained resolver has decided on the records of tables. A record's place is its slot.
#[must_use]
pub fn outcome(resolver: &Resolver, records: &Records) -> Outcome {
    let mut why: HashMap<(EntityKey, EntityKey), &'static str> = HashMap::new();
    for item in resolver.review_items() {
        why.insert((item.left, item.right), item.why_not_automatic.name());
    }
    let mut pairs = Vec::new();
    let mut kept: HashSet<(u32, u32)> = HashSet::new();
    resolver.for_each_edge(|edge| {
        let (Some(left), Some(right)) = (resolver.slot_of(edge.left), resolver.slot_of(edge.right)) else { return };
        let (decision, why) = match edge.state {
            LinkState::Linked => (Decision::Linked, ""),
            LinkState::Review => {
                (Decision::Review, why.get(&(edge.left.clone(), edge.right.clone())).copied().unwrap_or(""))
            }
            LinkState::Below | LinkState::Unlinked => (Decision::None, ""),
        };
        let (left, right) = (left.min(right), left.max(right));
        kept.insert((left, right));
        pairs.push(Pair { left, right, millionths: edge.confidence.0, millibits: edge.total_millibits, decision, why });
    });
    resolver.for_each_candidate(|left, right, levels, _| {
        if kept.contains(&(left, right)) {
            return;
        }
        let scored = resolver.score_by(resolver.model(), left, right, levels);
        let (millibits, confidence) = scored.expect("a candidate pair is of living records");
        pairs.push(Pair { left, right, millionths: confidence.0, millibits, decision: Decision::None, why: "" });
    });
    pairs.sort_unstable_by_key(|pair| (pair.left, pair.right));
    Outcome { pairs, customers: customers(resolver, records), has_candidates: true }
}

impl Run {
    /// Why two records, named as in outputs, are or are not one customer.
    ///
    /// # Errors
    /// No input has one of the records.
    pub fn explain(&self, left: &str, right: &str) -> Result<Told, Error> {
        let names = self.loaded.records.by_name();
        let key = |name: &str| {
            let at = *names.get(name).ok_or_else(|| Error::NoRecord(name.to_owned()))?;
            Ok::<_, Error>(self.loaded.records.key(at))
        };
        let (one, other) = (key(left)?, key(right)?);
        let found = self.loaded.resolver.explain(&one, &other).expect("both records are in the resolver");
        Ok(Told::of(self, left, right, &found))
    }

    /// How outputs name the record of a key.
    pub(crate) fn name_of(&self, key: &EntityKey) -> Option<String> {
        self.loaded.resolver.slot_of(key).map(|slot| self.loaded.records.name(slot as usize))
    }
}

/// What adopting the model `after` in place of `before` would do to the customers of tables.
///
/// # Errors
/// As [`run`].
pub fn difference(
    inputs: &Inputs,
    before: Model,
    after: Model,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Difference, Error> {
    let loaded = load(inputs.open(None)?, before, Deciding::Now, on_progress)?;
    let old = customers(&loaded.resolver, &loaded.records);
    // One resolver at a time: a table that fits once may not fit twice.
    drop(loaded);
    let Loaded { resolver, records, .. } = load(inputs.open(None)?, after, Deciding::Now, on_progress)?;
    Ok(Difference::between(&records, &old, &customers(&resolver, &records)))
}

fn customers(resolver: &Resolver, records: &Records) -> Vec<String> {
    let places = 0..u32::try_from(records.len()).expect("fewer than 2^32 records");
    places.map(|at| resolver.customer_of(&records.key(at)).to_string()).collect()
}
