//! Advice to the receiver (spec 6.7). Each sentence names only what its evidence shows.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use ontology::entity::{Interaction, ServiceOrder};
use ontology::money::div_half_even;
use ontology::{Evidence, Field, FieldReader, Vocabulary};
use state::Entity;

use super::package::{Advice, Recommendation};
use super::sections::Material;
use crate::values::evidence_of;
use crate::words;

/// At or below this mean sentiment, in millionths, the customer counts as unhappy.
const LOW_SENTIMENT_MICROS: i128 = -400_000;
/// Over how many of the last scored contacts the mean is taken.
const SENTIMENT_CONTACTS: usize = 3;

impl Material<'_> {
    /// All advice, in the order of its codes.
    pub fn recommendations(&self) -> Vec<Recommendation> {
        let all = [
            self.verify_before_credit(),
            self.credit_pending(),
            self.service_in_flight(),
            self.low_sentiment(),
            self.identity_in_review(),
            self.open_discrepancy(),
        ];
        all.into_iter().flatten().collect()
    }

    fn verify_before_credit(&self) -> Option<Recommendation> {
        let correlations = self.concluded.accepted_correlations.iter();
        let evidence: Vec<Evidence> = correlations
            .filter(|correlation| correlation.is_likely_correct)
            .flat_map(|correlation| correlation.evidence.iter().cloned())
            .collect();
        let reason = "Verify before promising credit: a service order explains the charge, which is likely correct.";
        (!evidence.is_empty()).then(|| Recommendation {
            code: Advice::VerifyBeforeCredit,
            reason: CompactString::const_new(reason),
            evidence,
        })
    }

    fn credit_pending(&self) -> Option<Recommendation> {
        let notes = &self.relevant.pending_credits;
        let reason = format_compact!("Do not credit again: credit {} pending.", named("note", notes)?);
        let evidence = notes.iter().flat_map(|note| evidence_of(note, &[Field::Status, Field::Amount])).collect();
        Some(Recommendation { code: Advice::CreditPending, reason, evidence })
    }

    fn service_in_flight(&self) -> Option<Recommendation> {
        let is_in_flight = |entity: &&Arc<Entity>| {
            ServiceOrder::read(entity.as_ref()).status.known().is_some_and(|status| status.is_in_flight())
        };
        let orders: Vec<&Arc<Entity>> = self.relevant.orders.iter().map(|o| o.entity).filter(is_in_flight).collect();
        let tz = &self.context.settings.business_tz;
        let told: Vec<String> = orders
            .iter()
            .map(|order| match order.time(Field::ScheduledAt) {
                Some(at) => format!("{} (scheduled for {})", order.key.id, words::date(at, tz)),
                None => format!("{} (no date yet)", order.key.id),
            })
            .collect();
        if told.is_empty() {
            return None;
        }
        let noun = if told.len() == 1 { "service order" } else { "service orders" };
        Some(Recommendation {
            code: Advice::ServiceInFlight,
            reason: format_compact!("Give the customer the date of {noun} {}.", words::join(&told)),
            evidence: orders.iter().flat_map(|o| evidence_of(o, &[Field::Status, Field::ScheduledAt])).collect(),
        })
    }

    fn low_sentiment(&self) -> Option<Recommendation> {
        let scored = self.relevant.interactions.iter().rev().filter_map(|entity| {
            let (mantissa, scale) = Interaction::read(entity.as_ref()).sentiment?;
            Some((*entity, micros(mantissa, scale)?))
        });
        let last: Vec<(&Arc<Entity>, i128)> = scored.take(SENTIMENT_CONTACTS).collect();
        let sum: i128 = last.iter().map(|(_, score)| score).sum();
        let count = last.len() as i128;
        (count > 0 && sum <= LOW_SENTIMENT_MICROS * count).then(|| Recommendation {
            code: Advice::LowSentiment,
            reason: CompactString::const_new("The customer's last contacts went badly: acknowledge it first."),
            evidence: last.iter().flat_map(|(entity, _)| evidence_of(entity, &[Field::Sentiment])).collect(),
        })
    }

    /// Says which systems' records await a decision, not what stands in them.
    fn identity_in_review(&self) -> Option<Recommendation> {
        let possible = &self.composite.possible;
        let mut systems: Vec<&str> =
            possible.iter().filter_map(|p| p.key.kind.party_system()).map(Vocabulary::name).collect();
        systems.sort_unstable();
        systems.dedup();
        let members = possible.iter().filter_map(|p| self.composite.get(&p.member));
        let mut evidence: Vec<Evidence> = members.flat_map(|member| evidence_of(member, &[Field::Name])).collect();
        evidence.dedup();
        (!systems.is_empty()).then(|| Recommendation {
            code: Advice::IdentityInReview,
            reason: format_compact!(
                "Records of {} may belong to this customer and await review.",
                words::join(&systems)
            ),
            evidence,
        })
    }

    fn open_discrepancy(&self) -> Option<Recommendation> {
        let open = &self.concluded.open_discrepancies;
        let sentences: Vec<&str> = open.iter().filter_map(|discrepancy| discrepancy.sentence).collect();
        (!open.is_empty()).then(|| Recommendation {
            code: Advice::OpenDiscrepancy,
            reason: if sentences.is_empty() {
                CompactString::const_new("Systems contradict each other on this customer.")
            } else {
                sentences.join(" ").into()
            },
            evidence: open.iter().flat_map(|discrepancy| discrepancy.evidence.iter().cloned()).collect(),
        })
    }
}

/// `note CN-1 is`, `notes CN-1 and CN-2 are`; none for no records.
fn named(noun: &str, entities: &[&Arc<Entity>]) -> Option<String> {
    let ids: Vec<&str> = entities.iter().map(|entity| entity.key.id.as_str()).collect();
    match ids.as_slice() {
        [] => None,
        [only] => Some(format!("{noun} {only} is")),
        several => Some(format!("{noun}s {} are", words::join(several))),
    }
}

/// A decimal in millionths, half to even.
fn micros(mantissa: i64, scale: u8) -> Option<i128> {
    let scaled = i128::from(mantissa).checked_mul(1_000_000)?;
    Some(div_half_even(scaled, 10_i128.checked_pow(u32::from(scale))?))
}
