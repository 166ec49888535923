//! What an expectation may look at.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use insight::handoff::TransferMemory;
use insight::reconcile::RuleCode;
use ontology::{CustomerId, EntityKey, Millis, ObjectId};
use pipeline::Engine;
use pipeline::customer::{Evaluated, Subject};

use crate::scenario::fact::{entity, word};
use crate::scenario::stage::Stage;
use crate::scenario::time::Times;

/// The hub at one position and instant.
pub struct Scene<'a> {
    /// The stage, for what was decided and measured.
    pub stage: &'a Stage,
    /// The engine at the position.
    pub engine: &'a Engine,
    /// The instant that answers are for.
    pub now: Millis,
    /// How instants are read and told.
    pub times: &'a Times,
    evaluated: RefCell<BTreeMap<CustomerId, Rc<Evaluated>>>,
}

impl<'a> Scene<'a> {
    /// Looks at `engine`, which is the stage's own or an earlier one.
    #[must_use]
    pub fn new(stage: &'a Stage, engine: &'a Engine, now: Millis, times: &'a Times) -> Self {
        Scene { stage, engine, now, times, evaluated: RefCell::default() }
    }

    /// The customer that an entity belongs to, if one does.
    #[must_use]
    pub fn customer(&self, key: &EntityKey) -> Option<Rc<Evaluated>> {
        let party = if key.kind.is_party() { Some(key.clone()) } else { self.engine.root(key) }?;
        let id = self.engine.identity().known_customer_of(&party)?.clone();
        Some(self.evaluate(Subject { id, party }))
    }

    /// All customers.
    #[must_use]
    pub fn customers(&self) -> Vec<Rc<Evaluated>> {
        self.engine.subjects().into_iter().map(|subject| self.evaluate(subject)).collect()
    }

    /// The latest transfer of a case, by its initiation.
    #[must_use]
    pub fn transfer_of(&self, case: &str) -> Option<(&EntityKey, &TransferMemory)> {
        let of_case = |memory: &TransferMemory| memory.case.as_ref().is_some_and(|key| key.id == case);
        let transfers = self.engine.memory().transfers().filter(|(_, memory)| of_case(memory));
        transfers.max_by_key(|(key, memory)| (memory.initiated_at, *key)).map(|(key, memory)| (key, &**memory))
    }

    fn evaluate(&self, subject: Subject) -> Rc<Evaluated> {
        if let Some(known) = self.evaluated.borrow().get(&subject.id) {
            return known.clone();
        }
        let evaluated = Rc::new(self.engine.evaluate(&subject, self.now));
        self.evaluated.borrow_mut().insert(subject.id, evaluated.clone());
        evaluated
    }
}

/// The id of a discrepancy by its rule and records. A rule that there is not is no rule that found nothing.
pub fn discrepancy_id(rule: &str, of: &[String]) -> Result<(ObjectId, Vec<EntityKey>), String> {
    word::<RuleCode>("a rule", &rule.to_ascii_uppercase())?;
    let keys: Vec<EntityKey> = of.iter().map(|text| entity(text)).collect::<Result<_, _>>()?;
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Ok((ObjectId::new(&rule.to_ascii_lowercase(), &names), keys))
}
