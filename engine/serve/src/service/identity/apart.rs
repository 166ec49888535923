//! What stands against a merge: records that must not be in one customer, and would be.

use ontology::status::Verdict;
use ontology::{CustomerId, EntityKey};
use proto::v1;

use crate::convert::identity;
use crate::reason::Refusal;
use crate::service::Api;

/// Pairs that an answer names, at most.
const NAMED_MAX: usize = 50;
/// Pairs that are looked at, at most: a customer of very many records is not whole anyway.
const PAIRS_MAX: usize = 2_000;

impl Api {
    /// Pairs across the customers of `target` and `sources` that a person or a veto holds apart. The pairs that
    /// are to be judged are none of them: the judgement settles those.
    pub(super) async fn held_apart(
        &self,
        target: &EntityKey,
        sources: &[EntityKey],
    ) -> Result<Vec<v1::HeldApart>, Refusal> {
        let mut apart = Vec::new();
        for (left, right) in self.across(target, sources) {
            let explained = self.backend.explain(left.clone(), right).await?.seen_from(&left);
            let is_apart = match explained.judgements.last().map(|judgement| judgement.verdict) {
                Some(verdict) => verdict == Verdict::Unlink,
                None => !explained.vetoes.is_empty(),
            };
            if is_apart {
                apart.push(identity::held_apart(&explained));
            }
            if apart.len() == NAMED_MAX {
                break;
            }
        }
        Ok(apart)
    }

    /// Pairs of members of two customers that the merge brings together.
    fn across(&self, target: &EntityKey, sources: &[EntityKey]) -> Vec<(EntityKey, EntityKey)> {
        let mut customers: Vec<(CustomerId, Vec<EntityKey>)> = Vec::new();
        for record in std::iter::once(target).chain(sources) {
            let found = self.backend.published().customer_of(record);
            let Some(found) = found.and_then(|id| self.backend.published().find(&id)) else { continue };
            let composite = &found.slot.view.composite;
            if !customers.iter().any(|(id, _)| *id == composite.id) {
                let members = composite.members.iter().map(|member| member.key.clone());
                customers.push((composite.id.clone(), members.collect()));
            }
        }
        let is_judged =
            |a: &EntityKey, b: &EntityKey| (a == target && sources.contains(b)) || (b == target && sources.contains(a));
        let mut pairs = Vec::new();
        for (at, (_, members)) in customers.iter().enumerate() {
            for other in customers[at + 1..].iter().flat_map(|(_, others)| others) {
                let of_other = members.iter().filter(|member| !is_judged(member, other));
                pairs.extend(of_other.map(|member| (member.clone(), other.clone())).take(PAIRS_MAX - pairs.len()));
            }
        }
        pairs
    }
}
