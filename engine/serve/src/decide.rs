//! What people decide through the API becomes facts like any other.
//!
//! Where the caller names the request, the event's id follows from that name. A repeat gets the first
//! answer and makes no second fact: see [`crate::request_id`].

use compact_str::CompactString;
use insight::handoff::TransferMemory;
use ontology::status::{Decision, Verdict};
use ontology::{
    EntityKey, EntityKind, Fact, Field, FieldsBuilder, LogPos, Millis, ObjectId, Op, System, ValueRef, Version,
};

/// Requests for one case and team closer together than this are one transfer (spec 6.1).
const CHAIN_MAX_MS: i64 = 120_000;

/// Who decides, when and why.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// The principal.
    pub actor: &'a str,
    /// What they say about it.
    pub reason: &'a str,
    /// When.
    pub at: Millis,
    /// Their id of the request; empty if they gave none.
    pub request_id: &'a str,
}

/// Two party records are one customer, or are not. Every decision stays on record, so each has an
/// entity of its own.
#[must_use]
pub fn judgement(decider: Decider<'_>, left: &EntityKey, right: &EntityKey, verdict: Verdict) -> Fact {
    let (left, right) = if left <= right { (left, right) } else { (right, left) };
    let (left, right) = (left.to_string(), right.to_string());
    let moment = decider.at.0.to_string();
    let id = ObjectId::new(
        "judgement",
        &[&format!("0{left}"), &format!("1{right}"), &format!("2{}", decider.actor), &format!("3{moment}")],
    );
    let mut fields = decided(decider);
    fields.set(Field::LeftRef, ValueRef::Text(&left)).set(Field::RightRef, ValueRef::Text(&right));
    fields.word(Field::Verdict, verdict);
    fact(decider, EntityKey::new(EntityKind::Judgement, &id.0), Op::Image, fields)
}

/// A person's word on a discrepancy or an alert; `kind` says on which.
#[must_use]
pub fn decision(decider: Decider<'_>, kind: EntityKind, subject: &str, verdict: Decision) -> Fact {
    let mut fields = decided(decider);
    fields.set(Field::SubjectRef, ValueRef::Text(subject)).word(Field::Verdict, verdict);
    fact(decider, EntityKey::new(kind, subject), Op::Image, fields)
}

/// A request to move a case to another team.
#[derive(Debug, Clone, Copy)]
pub struct TransferRequest<'a> {
    /// The case.
    pub case_id: &'a str,
    /// The team it comes from.
    pub from_team: &'a str,
    /// The team it goes to.
    pub to_team: &'a str,
    /// The interaction that is live.
    pub interaction_id: &'a str,
}

/// The transfer that a request repeats: same case and team, asked for a moment ago, still under way. Such a
/// request gets that transfer as its answer and makes no fact.
pub fn repeated<'a>(
    transfers: impl IntoIterator<Item = &'a TransferMemory>,
    request: TransferRequest<'_>,
    now: Millis,
) -> Option<&'a EntityKey> {
    let is_it = |known: &&TransferMemory| {
        known.case.as_ref().is_some_and(|case| case.id == request.case_id)
            && known.to_team == request.to_team
            && known.state.may_be_accepted()
            && now.since(known.initiated_at) <= CHAIN_MAX_MS
    };
    transfers.into_iter().find(is_it).map(|known| &known.transfer)
}

/// Requests a transfer; the fact's entity names it.
#[must_use]
pub fn transfer(decider: Decider<'_>, request: TransferRequest<'_>) -> Fact {
    let moment = decider.at.0.to_string();
    let parts = [format!("0{}", request.case_id), format!("1{}", request.to_team), format!("2{moment}")];
    let id = ObjectId::new("transfer", &parts);
    let mut fields = FieldsBuilder::default();
    fields
        .set(Field::CaseRef, ValueRef::Text(request.case_id))
        .text(Field::FromTeam, Some(request.from_team))
        .set(Field::ToTeam, ValueRef::Text(request.to_team))
        .text(Field::InteractionRef, Some(request.interaction_id))
        .text(Field::Reason, Some(decider.reason))
        .set(Field::InitiatedAt, ValueRef::Time(decider.at))
        .set(Field::Controlled, ValueRef::Bool(true));
    fact(decider, EntityKey::new(EntityKind::Transfer, &id.0), Op::Patch, fields)
}

/// Takes a transfer over.
#[must_use]
pub fn acceptance(decider: Decider<'_>, transfer: &EntityKey, agent_id: &str) -> Fact {
    let mut fields = FieldsBuilder::default();
    fields.set(Field::AcceptedAt, ValueRef::Time(decider.at)).set(Field::AcceptedBy, ValueRef::Text(agent_id));
    fact(decider, transfer.clone(), Op::Patch, fields)
}

fn decided(decider: Decider<'_>) -> FieldsBuilder {
    let mut fields = FieldsBuilder::default();
    fields
        .set(Field::Actor, ValueRef::Text(decider.actor))
        .text(Field::Reason, Some(decider.reason))
        .set(Field::DecidedAt, ValueRef::Time(decider.at));
    fields
}

fn fact(decider: Decider<'_>, entity: EntityKey, op: Op, mut fields: FieldsBuilder) -> Fact {
    let event = if decider.request_id.is_empty() {
        format!("{entity}@{}", decider.at.0)
    } else {
        format!("{entity}@{}", decider.request_id)
    };
    let tail = format!("{}/{event}", decider.actor);
    Fact {
        event_id: event.into(),
        system: System::Human,
        object: CompactString::from(ontology::Vocabulary::name(entity.kind)),
        record_id: entity.id.clone(),
        entity,
        op,
        version: Version::with_tail(u64::try_from(decider.at.0).unwrap_or_default(), 0, 0, tail),
        changed_at: decider.at,
        observed_at: decider.at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use insight::handoff::HandoffState;
    use ontology::entity;

    fn decider(request_id: &str) -> Decider<'_> {
        Decider { actor: "ann", reason: "same tax office", at: Millis(1_000), request_id }
    }

    #[test]
    fn a_judgement_reads_back_and_does_not_depend_on_the_order_of_the_pair() {
        let (a, b) = (EntityKey::new(EntityKind::Account, "1"), EntityKey::new(EntityKind::ArCustomer, "2"));
        let fact = judgement(decider(""), &b, &a, Verdict::Unlink);
        assert_eq!(fact, judgement(decider(""), &a, &b, Verdict::Unlink));
        let read = entity::Judgement::read(&fact.fields);
        assert_eq!((read.left_ref, read.right_ref), (Some("account/1"), Some("ar_customer/2")));
        assert_eq!((read.verdict.known(), read.actor), (Some(Verdict::Unlink), Some("ann")));
        assert_eq!((fact.system, fact.version.major), (System::Human, 1_000));
    }

    #[test]
    fn a_repeated_request_is_the_same_event() {
        let subject = "rc1-1";
        let kind = EntityKind::DiscrepancyDecision;
        let first = decision(decider("r"), kind, subject, Decision::Acknowledged);
        let later = Decider { at: Millis(2_000), ..decider("r") };
        assert_eq!(first.event_id, decision(later, kind, subject, Decision::Acknowledged).event_id);
        let without = Decider { request_id: "", ..later };
        assert_ne!(first.event_id, decision(without, kind, subject, Decision::Acknowledged).event_id);
    }

    #[test]
    fn a_request_repeats_what_was_asked_for_two_minutes_ago_and_is_under_way() {
        let known = |state: HandoffState| {
            let case = Some(EntityKey::new(EntityKind::Case, "C"));
            let transfer = EntityKey::new(EntityKind::Transfer, "t");
            let asked = TransferMemory::requested(transfer, case, ("care", "billing"), Millis(1_000));
            TransferMemory { state, ..asked }
        };
        let asked = TransferRequest { case_id: "C", from_team: "care", to_team: "billing", interaction_id: "" };
        let check = |state, request, at: i64| repeated([&known(state)], request, Millis(at)).is_some();
        assert!(check(HandoffState::Held, asked, 121_000) && !check(HandoffState::Held, asked, 121_001));
        assert!(!check(HandoffState::Held, TransferRequest { to_team: "field", ..asked }, 1_000));
        assert!(!check(HandoffState::Held, TransferRequest { case_id: "D", ..asked }, 1_000));
        assert!(!check(HandoffState::Accepted, asked, 1_000) && !check(HandoffState::Superseded, asked, 1_000));
    }

    #[test]
    fn an_acceptance_patches_the_transfer() {
        let request = TransferRequest { case_id: "C", from_team: "care", to_team: "billing", interaction_id: "" };
        let asked = transfer(decider(""), request);
        let read = entity::Transfer::read(&asked.fields);
        assert_eq!((read.case_ref, read.initiated_at, read.interaction_ref), (Some("C"), Some(Millis(1_000)), None));
        let accepted = acceptance(decider(""), &asked.entity, "bob");
        assert_eq!((accepted.entity, accepted.op), (asked.entity, Op::Patch));
    }
}
