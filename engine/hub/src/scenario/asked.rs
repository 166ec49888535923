//! What people ask of the hub in a story. It comes by the door that calls of the API come by: what the API
//! refuses is an error of the story, and a request that repeats a transfer under way makes no second one.

use std::collections::BTreeMap;

use insight::alerts::AlertRule;
use insight::reconcile::{DiscrepancyState, RuleCode};
use ontology::status::{Decision, Verdict};
use ontology::{EntityKey, EntityKind, Fact, Field, FieldsBuilder, Millis, ObjectId, System, ValueRef, Vocabulary};
use serve::decide::{self, Decider, TransferRequest};

use super::check::Scene;
use super::fact::{entity, system_of, word};
use super::stage::Stage;
use super::step::{DecidePart, JudgementPart, ReceiverPart, TransferPart};
use super::time::Times;
use super::words;

/// What somebody asks.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Two party records are one customer, or are not.
    Judgement {
        /// The records.
        pair: [EntityKey; 2],
        /// Which of both.
        verdict: Verdict,
        /// Who says so.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A case is to move to another team, or has moved.
    Transfer(TransferPart),
    /// The latest transfer of a case ends, or changes hands.
    Receive(ReceiverPart, Receipt),
    /// A word on a discrepancy or an alert.
    Decide(Box<Word>),
}

/// What becomes of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver takes it over.
    Accepted,
    /// The receiver refuses it.
    Returned,
    /// The sender calls it off.
    Cancelled,
}

/// A person's word on a discrepancy or an alert.
#[derive(Debug, Clone)]
pub struct Word {
    /// What it is about, as the story names it.
    told: String,
    about: About,
    verdict: Decision,
    actor: String,
    reason: String,
    until: Option<Millis>,
}

#[derive(Debug, Clone)]
enum About {
    Discrepancy(ObjectId, Vec<EntityKey>),
    /// An alert by what its id is made of; one on a handoff by the case of the transfer.
    Alert(AlertRule, String, Vec<EntityKey>),
}

/// A steward's word on two party records.
pub(super) fn judgement(part: &JudgementPart, verdict: Verdict) -> Result<Asked, String> {
    let [left, right] = &part.pair;
    let pair = [party(left)?, party(right)?];
    Ok(Asked::Judgement { pair, verdict, actor: part.actor.clone(), reason: part.reason.clone() })
}

fn party(text: &str) -> Result<EntityKey, String> {
    let key = entity(text)?;
    if !key.kind.is_party() || system_of(key.kind) == System::Engine {
        return Err(format!("expected a party record such as account/A-1, found `{text}`"));
    }
    Ok(key)
}

/// A person's word on a discrepancy or an alert.
pub(super) fn decision(part: &DecidePart, times: &Times) -> Result<Asked, String> {
    let (name, about) = match (&part.rule, &part.alert) {
        (Some(rule), None) => {
            let code: RuleCode = word("a rule", &rule.to_ascii_uppercase())?;
            let keys = words::of_rule(code, &part.of)?;
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            (rule, About::Discrepancy(ObjectId::new(&rule.to_ascii_lowercase(), &names), keys))
        }
        (None, Some(number)) => {
            let rule: AlertRule = word("an alert", number)?;
            let keys = words::of_alert(rule, &part.of)?;
            let subject = match part.of.as_slice() {
                [one] if keys.is_empty() => format!("{}/all", word::<System>("a system", one)?.name()),
                _ => keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            };
            (number, About::Alert(rule, subject, keys))
        }
        (Some(_), Some(_)) | (None, None) => return Err("decide: expected one of rule and alert".to_owned()),
    };
    Ok(Asked::Decide(Box::new(Word {
        told: format!("{name} on {}", part.of.join(" and ")),
        about,
        verdict: word("a verdict", &part.verdict)?,
        actor: part.actor.clone(),
        reason: part.reason.clone(),
        until: part.until.as_ref().map(|text| times.instant(text)).transpose()?,
    })))
}

/// Who takes what is asked, and remembers the latest transfer of each case.
#[derive(Debug, Default)]
pub(super) struct Desk {
    transfers: BTreeMap<String, EntityKey>,
}

impl Desk {
    /// The facts that a request makes now; none if it repeats a transfer that is under way.
    pub(super) fn facts(&mut self, asked: &Asked, stage: &Stage, times: &Times) -> Result<Vec<Fact>, String> {
        let fact = match asked {
            Asked::Judgement { pair: [left, right], verdict, actor, reason } => {
                known(stage, left, *verdict)?;
                known(stage, right, *verdict)?;
                Some(decide::judgement(decider(stage, actor, reason), left, right, *verdict))
            }
            Asked::Transfer(part) => self.transfer(part, stage)?,
            Asked::Receive(part, receipt) => Some(self.receive(part, *receipt, stage)?),
            Asked::Decide(word) => Some(said(word, stage, times)?),
        };
        Ok(fact.into_iter().collect())
    }

    fn transfer(&mut self, part: &TransferPart, stage: &Stage) -> Result<Option<Fact>, String> {
        let request = TransferRequest {
            case_id: &part.case,
            from_team: &part.from,
            to_team: &part.to,
            interaction_id: part.interaction.as_deref().unwrap_or_default(),
        };
        let fact = decide::transfer(decider(stage, "agent", part.reason.as_deref().unwrap_or_default()), request);
        // One that has happened is told by its system and asks nobody.
        if !part.controlled {
            self.transfers.insert(part.case.clone(), fact.entity.clone());
            return Ok(Some(with(fact, Field::Controlled, ValueRef::Bool(false))));
        }
        let engine = stage.engine();
        let root = engine.root(&EntityKey::new(EntityKind::Case, &part.case));
        if root.is_none_or(|party| engine.identity().known_customer_of(&party).is_none()) {
            let why = "no customer is known to have it: the API refuses this as CASE_UNKNOWN";
            return Err(format!("transfer of case {}: {why}", part.case));
        }
        let transfers = engine.memory().transfers().map(|(_, memory)| &**memory);
        let repeated = decide::repeated(transfers, request, stage.clock()).cloned();
        self.transfers.insert(part.case.clone(), repeated.as_ref().unwrap_or(&fact.entity).clone());
        Ok(repeated.is_none().then_some(fact))
    }

    fn receive(&self, part: &ReceiverPart, receipt: Receipt, stage: &Stage) -> Result<Fact, String> {
        let transfer = self.transfers.get(&part.case).and_then(|key| stage.engine().memory().transfer(key));
        let transfer =
            transfer.ok_or_else(|| format!("no transfer of case {} is known: nothing of it can change", part.case))?;
        let (word, field, is_possible) = match receipt {
            Receipt::Accepted => ("accepted", Field::AcceptedAt, transfer.state.may_be_accepted()),
            Receipt::Returned => ("returned", Field::ReturnedAt, !transfer.state.is_closed()),
            Receipt::Cancelled => ("cancelled", Field::CancelledAt, transfer.state.may_be_accepted()),
        };
        if !is_possible {
            let state = transfer.state.name();
            return Err(format!("the transfer of case {} is {state} and cannot be {word} any more", part.case));
        }
        let accepted = decide::acceptance(decider(stage, &part.by, ""), &transfer.transfer, &part.by);
        if receipt == Receipt::Accepted {
            return Ok(accepted);
        }
        let mut fields = FieldsBuilder::default();
        fields.set(field, ValueRef::Time(stage.clock()));
        Ok(Fact { fields: fields.build(), ..accepted })
    }
}

fn decider<'a>(stage: &Stage, actor: &'a str, reason: &'a str) -> Decider<'a> {
    Decider { actor, reason, at: stage.clock(), request_id: "" }
}

/// Looks whether a record has come, and lives where it is to be linked, as the API does.
fn known(stage: &Stage, key: &EntityKey, verdict: Verdict) -> Result<(), String> {
    let is_known = stage.engine().entity(key).is_some_and(|entity| match verdict {
        Verdict::Link => entity.is_alive(),
        Verdict::Unlink => !entity.rows().is_empty(),
    });
    if is_known { Ok(()) } else { Err(format!("{key} is not known, or is deleted: nothing can be decided about it")) }
}

/// The fact of a word, if what it is about is there and still stands.
fn said(word: &Word, stage: &Stage, times: &Times) -> Result<Fact, String> {
    let scene = Scene::new(stage, stage.engine(), stage.clock(), times);
    let (kind, id, is_over) = match &word.about {
        About::Discrepancy(id, keys) => {
            let customer = keys.iter().find_map(|key| scene.customer(key));
            let known = customer.as_ref().and_then(|c| c.derived.discrepancies.iter().find(|known| known.id == *id));
            let is_over = known.map(|known| match known.state {
                DiscrepancyState::Open | DiscrepancyState::Acknowledged { .. } => false,
                DiscrepancyState::Resolved(_) | DiscrepancyState::Waived { .. } => true,
            });
            (EntityKind::DiscrepancyDecision, id.clone(), is_over)
        }
        About::Alert(rule, subject, keys) => {
            let id = match (rule, keys.as_slice()) {
                (AlertRule::HandoffContextGap, [case]) => {
                    let transfer = scene.transfer_of(&case.id).map(|(transfer, _)| transfer.to_string());
                    rule.id(transfer.as_ref().unwrap_or(subject))
                }
                _ => rule.id(subject),
            };
            let customer = keys.iter().find_map(|key| scene.customer(key));
            let told = customer.as_ref().and_then(|c| c.derived.alerts.iter().find(|alert| alert.id == id));
            let noted = stage.engine().memory().get_opened(&id).map(|known| !known.is_open);
            (EntityKind::AlertDecision, id, told.map(|alert| !alert.is_open()).or(noted))
        }
    };
    match is_over {
        None => {
            let now = times.told(stage.clock());
            return Err(format!("there is no {} at {now}: nothing can be decided about it", word.told));
        }
        Some(true) if word.verdict == Decision::Acknowledged => {
            return Err(format!("{} is over: the API refuses to acknowledge it as ALREADY_RESOLVED", word.told));
        }
        Some(_) => {}
    }
    let fact = decide::decision(decider(stage, &word.actor, &word.reason), kind, &id.0, word.verdict);
    Ok(match word.until {
        Some(until) => with(fact, Field::Until, ValueRef::Time(until)),
        None => fact,
    })
}

/// The fact with one field set besides its own.
fn with(fact: Fact, field: Field, value: ValueRef<'_>) -> Fact {
    let mut fields = FieldsBuilder::default();
    for (known, value) in fact.fields.iter() {
        fields.set(known, value);
    }
    fields.set(field, value);
    Fact { fields: fields.build(), ..fact }
}
