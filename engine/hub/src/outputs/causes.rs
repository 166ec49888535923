//! By which trace a customer changed: what is remembered of facts, brought to the customers that they
//! are of.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use ontology::Trace;
use serve::views::{Published, View};

use crate::traces::{Cause, Traces};

pub(super) struct Causes {
    traces: Traces,
    /// Of facts that are not readable yet.
    early: Vec<Cause>,
    /// Of customers that will be told of: the newest of each.
    of_customers: BTreeMap<CompactString, Trace>,
}

impl Causes {
    /// Those that are remembered.
    pub(super) fn of(traces: Traces) -> Self {
        Causes { traces, early: Vec::new(), of_customers: BTreeMap::new() }
    }

    /// These customers, with what they changed by since they were asked for last.
    pub(super) fn of_customers<V: View>(
        &mut self,
        customers: BTreeSet<CompactString>,
        published: &Published<V>,
    ) -> BTreeMap<CompactString, Option<Trace>> {
        let known = self.early.drain(..).chain(self.traces.take()).collect::<Vec<_>>();
        for cause in known {
            // Read first: what is readable there can be seen below.
            let position = published.position();
            let slot = published.customer_of(&cause.entity).and_then(|id| published.slot(&id));
            match slot {
                Some(slot) if slot.changed_at.position >= cause.position => {
                    self.of_customers.insert(slot.view.id().0.clone(), cause.trace);
                }
                Some(_) | None if position < cause.position => self.early.push(cause),
                // It changed nothing that is told of.
                Some(_) | None => {}
            }
        }
        let with_cause = |id: CompactString| {
            let cause = self.of_customers.remove(&id);
            (id, cause)
        };
        customers.into_iter().map(with_cause).collect()
    }
}
