//! The life of a discrepancy (spec 8.1): when it opened, how often, where it stands.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use ontology::entity::{Decided, word_name};
use ontology::status::{CaseStatus, Decision};
use ontology::{EntityKind, Field, Millis, ObjectId, ValueRef, Vocabulary};
use smallvec::SmallVec;
use state::history::Stretch;
use state::{Composite, Entity};

use super::related::{Related, amount_of, compared_fields, is_tied_by_reference};
use super::spans::{Runs, Span, changed_at, noticed_at};
use super::{DiscrepancyState, Resolution, Rule};
use crate::context::Context;
use crate::derived::{Basis, Cited, Derived, Discrepancy, Grounds};
use crate::words;

/// Applies a rule to one counterpart and every case that it belongs to.
pub(super) fn judge(
    rule: &Rule,
    counterpart: &Arc<Entity>,
    related: &Related<'_>,
    context: &Context<'_>,
    derived: &mut Derived,
) {
    let Some((basis, cases)) = related.cases_of(counterpart) else { return };
    let contradicts = |status: ValueRef<'_>| (rule.contradicts)(counterpart.key.kind, status);
    let theirs = Runs::of(counterpart, Field::Status, contradicts);
    if theirs.spans.is_empty() {
        return;
    }
    for case in cases {
        let ours = Runs::of(case, Field::Status, is_resolved);
        let id = ObjectId::new(rule.id_kind, &[case.key.to_string(), counterpart.key.to_string()]);
        let mut pair = Pair { id, rule, case, counterpart, basis, ours, theirs: &theirs, naming: None };
        let mut stretches = pair.stretches();
        if !stretches.is_empty() && is_tied_by_reference(case, counterpart) {
            pair.naming = Some(Runs::of(counterpart, Field::CaseRef, |named| pair.is_case(named)));
            stretches = pair.stretches();
        }
        let history = Course::of(&stretches, &pair, context);
        if let Some(at) = history.wake_at {
            derived.wake(at);
        }
        if stretches.last().is_some_and(|last| last.until.is_none()) {
            derived.noticed.extend(context.noticed.at(&pair.id).map(|at| (pair.id.clone(), at)));
        }
        if let Some(discrepancy) = pair.discrepancy(&history, related.composite, context) {
            if let DiscrepancyState::Waived { until: Some(until), .. } = &discrepancy.state {
                derived.wake(*until);
            }
            derived.discrepancies.push(discrepancy);
        }
    }
}

fn is_resolved(status: ValueRef<'_>) -> bool {
    status.coded::<CaseStatus>().known().is_some_and(CaseStatus::is_resolved)
}

/// A case and a record that may contradict it.
struct Pair<'a> {
    id: ObjectId,
    rule: &'a Rule,
    case: &'a Arc<Entity>,
    counterpart: &'a Arc<Entity>,
    basis: Basis,
    ours: Runs,
    theirs: &'a Runs,
    /// When the counterpart named the case, if nothing else ties them.
    naming: Option<Runs>,
}

/// How a contradiction went over time.
struct Course {
    /// Stretches of at least the grace time, oldest first, the one that is open among them.
    stretches: Vec<Span>,
    /// Whether the last of them is open, and since when it is.
    opened_at: Option<Millis>,
    noticed_at: Millis,
    wake_at: Option<Millis>,
}

impl Course {
    /// A stretch opens once it has held for the grace time after it could be known, at exactly that
    /// instant; one that is over counts by its length alone.
    fn of(stretches: &[Span], pair: &Pair<'_>, context: &Context<'_>) -> Self {
        let grace_ms = context.settings.grace_ms;
        let long_enough = |span: &&Span| span.until.is_some_and(|until| until.since(span.from) >= grace_ms);
        let mut kept: Vec<Span> = stretches.iter().filter(long_enough).copied().collect();
        let (mut opened_at, mut wake_at) = (None, None);
        if let Some(current) = stretches.last().filter(|span| span.until.is_none()) {
            let opens_at = current.from.max(pair.known_at(*current, context)) + grace_ms;
            if context.now >= opens_at {
                kept.push(*current);
                opened_at = Some(opens_at);
            } else {
                wake_at = Some(opens_at);
            }
        }
        let noticed_at = kept.last().map_or(Millis::MIN, |last| pair.known_at(*last, context));
        Course { stretches: kept, opened_at, noticed_at, wake_at }
    }
}

impl Pair<'_> {
    fn is_case(&self, named: ValueRef<'_>) -> bool {
        named.text() == Some(self.case.key.id.as_str())
    }

    /// The stretches of event time over which both sides held and belonged together. Rows that were stored
    /// before references had a history say nothing of when.
    fn stretches(&self) -> SmallVec<[Span; 2]> {
        let overlaps = |all: &[Span], with: &[Span]| -> SmallVec<[Span; 2]> {
            all.iter().flat_map(|one| with.iter().filter_map(move |other| one.overlap(*other))).collect()
        };
        let mut spans = overlaps(&self.ours.spans, &self.theirs.spans);
        if let Some(naming) = self.naming.as_ref().filter(|naming| !naming.spans.is_empty()) {
            spans = overlaps(&spans, &naming.spans);
        }
        spans.sort_by_key(|span| span.from);
        spans
    }

    /// When the hub could know of a stretch. Of one that holds it is not before the records were seen
    /// together: what links them, or ties them by way of others, may have come later than all that they say.
    fn known_at(&self, stretch: Span, context: &Context<'_>) -> Millis {
        let seen = context.noticed.at(&self.id).filter(|_| stretch.until.is_none());
        self.noticed_at(stretch).max(seen.unwrap_or(Millis::MIN))
    }

    /// When the hub was told what the records say in a stretch.
    fn noticed_at(&self, stretch: Span) -> Millis {
        let around = |runs: &Runs| runs.spans.iter().copied().find(|span| span.overlap(stretch).is_some());
        let contradicts = |status: ValueRef<'_>| (self.rule.contradicts)(self.counterpart.key.kind, status);
        let ours = around(&self.ours).map(|span| noticed_at(self.case, Field::Status, span, is_resolved));
        let theirs = around(self.theirs).map(|span| noticed_at(self.counterpart, Field::Status, span, contradicts));
        let is_case = |named: ValueRef<'_>| self.is_case(named);
        let naming = self.naming.as_ref().and_then(around);
        let naming = naming.map(|span| noticed_at(self.counterpart, Field::CaseRef, span, is_case));
        ours.max(theirs).max(naming).unwrap_or(stretch.from)
    }

    fn discrepancy(&self, course: &Course, composite: &Composite, context: &Context<'_>) -> Option<Discrepancy> {
        let last = *course.stretches.last()?;
        let grace_ms = context.settings.grace_ms;
        let state = self.state(last, context);
        let severity = match self.basis {
            Basis::Explicit | Basis::Bridged => self.rule.severity,
            Basis::Inferred => self.rule.severity.lowered(),
        };
        Some(Discrepancy {
            id: self.id.clone(),
            rule: self.rule.code,
            severity,
            owner_team: self.rule.owner_team,
            basis: self.basis,
            state,
            case: Some(self.case.key.clone()),
            amount: amount_of(self.counterpart, composite),
            since: last.from,
            noticed_at: course.noticed_at,
            opened_at: course.opened_at.unwrap_or(last.from.max(course.noticed_at) + grace_ms),
            occurrence: u32::try_from(course.stretches.len()).unwrap_or(u32::MAX),
            stretches: course.stretches.clone(),
            grounds: self.grounds(composite, context),
            sentence: Some((self.rule.sentence)(&self.case.key.id, self.counterpart)),
        })
    }

    fn grounds(&self, composite: &Composite, context: &Context<'_>) -> Grounds {
        let cited = vec![
            Cited::new(self.case, &[Field::Status]),
            Cited::new(self.counterpart, compared_fields(self.counterpart)),
        ];
        Grounds {
            subjects: vec![self.case.key.clone(), self.counterpart.key.clone()],
            cited,
            told: Vec::new(),
            config_version: context.settings.config_version,
            link_confidence: composite.link_confidence(&self.case.key, &self.counterpart.key),
        }
    }

    /// Where it stands: what the records say, and what people decided since the stretch began.
    fn state(&self, last: Span, context: &Context<'_>) -> DiscrepancyState {
        let decision = context.reference.decisions.get(&self.id).map(|entity| Decided::read(entity.as_ref()));
        let decision = decision.filter(|d| d.decided_at.is_some_and(|at| at >= last.from));
        let by = || CompactString::new(decision.and_then(|d| d.actor).unwrap_or_default());
        let verdict = decision.and_then(|d| d.verdict.known());
        let decided_at = decision.and_then(|d| d.decided_at).unwrap_or(last.from);
        if let Some(until) = last.until {
            return match verdict {
                Some(Decision::Resolved) if decided_at <= until => {
                    DiscrepancyState::Resolved(Resolution::Manual { by: by(), at: decided_at })
                }
                Some(Decision::Resolved | Decision::Acknowledged | Decision::Waived) | None => {
                    DiscrepancyState::Resolved(Resolution::Auto { cause: self.cause(until), at: until })
                }
            };
        }
        match verdict {
            None => DiscrepancyState::Open,
            Some(Decision::Acknowledged) => DiscrepancyState::Acknowledged { by: by() },
            Some(Decision::Resolved) => DiscrepancyState::Resolved(Resolution::Manual { by: by(), at: decided_at }),
            Some(Decision::Waived) => {
                let until = decision.and_then(|d| d.until);
                if self.compared_since() > decided_at || until.is_some_and(|until| context.now >= until) {
                    DiscrepancyState::Open
                } else {
                    let reason = CompactString::new(decision.and_then(|d| d.reason).unwrap_or_default());
                    DiscrepancyState::Waived { by: by(), reason, until }
                }
            }
        }
    }

    /// When the newest of the values that are compared took its place.
    fn compared_since(&self) -> Millis {
        let told = [Field::Amount, Field::CaseRef].into_iter().filter_map(|field| changed_at(self.counterpart, field));
        told.fold(self.ours.value_since().max(self.theirs.value_since()), Millis::max)
    }

    /// What ended a stretch, in one word: `case_reopened`, `credit_note_approved`.
    fn cause(&self, until: Millis) -> CompactString {
        if self.ours.spans.iter().any(|span| span.until == Some(until)) {
            return match self.ours.starting_at(until).and_then(Stretch::value) {
                Some(_) => CompactString::const_new("case_reopened"),
                None => CompactString::const_new("case_deleted"),
            };
        }
        let kind = self.counterpart.key.kind;
        if self.naming.as_ref().is_some_and(|naming| naming.spans.iter().any(|span| span.until == Some(until))) {
            return format_compact!("{}_moved", kind.name());
        }
        let status = match self.theirs.starting_at(until).and_then(Stretch::value) {
            Some(ValueRef::Code(code)) => word_of(kind, code),
            Some(_) => CompactString::const_new("changed"),
            None => CompactString::const_new("deleted"),
        };
        format_compact!("{}_{status}", kind.name())
    }
}

fn word_of(kind: EntityKind, code: u8) -> CompactString {
    let name = word_name(kind, Field::Status, code).unwrap_or("changed");
    CompactString::from(words::plain(name).replace(' ', "_"))
}
