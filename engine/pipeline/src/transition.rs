//! Transition: what opened, what closed, and what is to be done about it. Runs after the parallel
//! evaluation, customer by customer in order, because it is the only stage that remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;
use insight::Context;
use insight::alerts::{Alert, SyncFailure, handoff_context_gap, sync_failure};
use insight::handoff::{Assessment, HandoffAction, TransferMemory, advance};
use ontology::id::ObjectId;
use ontology::{CustomerId, EntityKey, Millis, System, Vocabulary};
use state::{Entity, Freshness, SystemFreshness};

use crate::action::{Action, ActionKind};
use crate::customer::Evaluated;
use crate::memory::{Issued, Memory, Opened};
use crate::opening::{Opening, openings};
use crate::sources::Sources;
use crate::timers::{Due, Timers};
use crate::view::{CustomerView, TransferView};

/// Collects the actions of one instant.
pub struct Transition {
    now: Millis,
    actions: Vec<Action>,
}

impl Transition {
    /// Begins an instant.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Transition { now, actions: Vec::new() }
    }

    /// The instant.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The actions, in the order in which they were decided.
    #[must_use]
    pub fn finish(self) -> Vec<Action> {
        self.actions
    }

    /// Compares evaluated customers with what is remembered and gives their new views.
    pub fn customers(
        &mut self,
        memory: &mut Memory,
        timers: &mut Timers,
        evaluated: Vec<Evaluated>,
        context: &Context<'_>,
    ) -> Vec<Arc<CustomerView>> {
        let mut before: BTreeSet<ObjectId> = BTreeSet::new();
        let mut after: BTreeMap<ObjectId, (CustomerId, EntityKey, Opening)> = BTreeMap::new();
        let mut held: BTreeSet<ObjectId> = BTreeSet::new();
        let mut holding: BTreeMap<ObjectId, (EntityKey, Millis)> = BTreeMap::new();
        let mut views = Vec::with_capacity(evaluated.len());
        for customer in evaluated {
            if customer.is_settled {
                views.push(Arc::new(CustomerView::settled(customer.composite, customer.derived, self.now)));
                continue;
            }
            for member in &customer.composite.members {
                memory.open_of(&member.key, &mut before);
                memory.noticed().add_below(&member.key, &mut held);
            }
            let Some(party) = customer.composite.members.first().map(|member| member.key.clone()) else { continue };
            let view = self.customer(memory, timers, customer, &party, context);
            let gaps = view.handoff_alerts.iter().filter(|alert| alert.is_open()).map(Opening::of_alert);
            for opening in openings(&view.derived).chain(gaps) {
                after.insert(opening.id.clone(), (view.id().clone(), party.clone(), opening));
            }
            holding.extend(view.derived.noticed.iter().map(|(id, at)| (id.clone(), (party.clone(), *at))));
            views.push(Arc::new(view));
        }
        held.iter().filter(|id| !holding.contains_key(*id)).for_each(|id| memory.set_noticed(id, None));
        holding.iter().for_each(|(id, (party, at))| memory.set_noticed(id, Some((party, *at))));
        for id in before.iter().filter(|id| !after.contains_key(*id)) {
            self.close(memory, id);
        }
        for (customer, party, opening) in after.into_values() {
            self.open(memory, Some(customer), Some(party), opening);
        }
        views
    }

    /// Moves a customer's transfers on, sets its wake-up, and makes its view. Of the customer's
    /// records the first stands for it.
    fn customer(
        &mut self,
        memory: &mut Memory,
        timers: &mut Timers,
        evaluated: Evaluated,
        party: &EntityKey,
        context: &Context<'_>,
    ) -> CustomerView {
        let Evaluated { composite, derived, transfers, is_settled: _ } = evaluated;
        let mut wake_at = derived.wake_at;
        let mut views = Vec::with_capacity(transfers.len());
        for transfer in transfers {
            let (view, wake) = self.transfer(memory, &composite.id, transfer, context);
            wake_at = [wake_at, wake].into_iter().flatten().min();
            views.push(view);
        }
        let is_waiting = views.iter().any(|view| view.memory.is_unreleased());
        let is_lacking = views.iter().any(|view| view.memory.lacks_context(self.now));
        for member in &composite.members {
            let is_first = member.key == *party;
            memory.set_waiting(&member.key, is_first && is_waiting);
            memory.set_lacking(&member.key, is_first && is_lacking);
            memory.set_converted(&member.key, is_first && derived.depends_on_rates());
            memory.naming_mut().set(&member.key, if is_first { derived.unmet_orders() } else { &[] });
            timers.set(Due::Customer(member.key.clone()), wake_at.filter(|at| is_first && *at > self.now));
        }
        let handoff_alerts = views.iter().filter_map(|view| context_gap(view, context)).collect();
        CustomerView { composite, derived, transfers: views, handoff_alerts, evaluated_at: self.now }
    }

    /// Looks at all sources: raises and resolves 11-1. Returns what stands open.
    pub fn sources(&mut self, memory: &mut Memory, sources: &Sources, context: &Context<'_>) -> Vec<Alert> {
        let alerts: Vec<Alert> =
            sync_failures(sources, context).into_iter().map(|alert| with_decision(alert, memory, context)).collect();
        let open: BTreeSet<&ObjectId> = alerts.iter().filter(|alert| alert.is_open()).map(|alert| &alert.id).collect();
        let over: Vec<ObjectId> = memory.open_of_sources().filter(|id| !open.contains(*id)).cloned().collect();
        for id in over {
            self.close(memory, &id);
        }
        for alert in alerts.iter().filter(|alert| alert.is_open()) {
            self.open(memory, None, None, Opening::of_alert(alert));
        }
        alerts
    }

    fn open(&mut self, memory: &mut Memory, customer: Option<CustomerId>, party: Option<EntityKey>, opening: Opening) {
        let known = memory.get_opened(&opening.id);
        let is_open = known.is_some_and(|known| known.is_open);
        let is_same = known.is_some_and(|known| known.text == opening.text && known.party == party);
        if is_open && is_same {
            return;
        }
        let openings = known.map_or(0, |known| known.openings) + u64::from(!is_open);
        let since = known.filter(|known| known.is_open).map_or(self.now, |known| known.since);
        if !is_open {
            self.notify(customer.clone(), &opening.id, &opening, openings, false);
            if let Some(invoice) = &opening.flags {
                let kind = ActionKind::FlagInvoice { invoice: invoice.clone(), text: opening.text.clone() };
                self.push("flag_invoice", &invoice.to_string(), openings, customer.clone(), kind);
            }
        }
        if let Some(task) = &opening.task {
            self.issue(memory, customer, &opening, task.occurrence, task.since);
        }
        memory.set_opened(
            &opening.id.clone(),
            Opened {
                party,
                subject: opening.subject.to_string(),
                rule: opening.rule.to_owned(),
                severity: opening.severity.to_owned(),
                team: opening.team,
                text: opening.text,
                openings,
                is_open: true,
                since,
            },
        );
    }

    fn close(&mut self, memory: &mut Memory, id: &ObjectId) {
        let Some(known) = memory.get_opened(id).filter(|known| known.is_open).cloned() else { return };
        let kind = ActionKind::Notify {
            subject: id.clone(),
            rule: known.rule.clone(),
            severity: known.severity.clone(),
            team: known.team.clone(),
            text: known.text.clone(),
            is_cleared: true,
        };
        self.push("clear", &id.to_string(), known.openings, None, kind);
        for place in 0..memory.tasks(id).len() {
            let issued = &mut memory.tasks_mut(id)[place];
            if !issued.is_done {
                issued.is_done = true;
                let task = issued.task.clone();
                let kind = ActionKind::CompleteTask { task: task.clone(), note: format!("{} is resolved", known.rule) };
                self.push("complete_task", &task.to_string(), known.openings, None, kind);
            }
        }
        memory.set_opened(id, Opened { is_open: false, ..known });
    }

    /// Issues the task of a stretch once: a stretch that an issued task overlaps keeps that task, done or
    /// not, whatever a late fact makes of the numbering. Where the task of an earlier stretch already has
    /// the number, because one between them was withdrawn, the next that is free is taken.
    fn issue(
        &mut self,
        memory: &mut Memory,
        customer: Option<CustomerId>,
        opening: &Opening,
        occurrence: u32,
        since: Millis,
    ) {
        let task_of = |number: u32| ObjectId::new("task", &[opening.id.to_string(), number.to_string()]);
        let issued = memory.tasks(&opening.id);
        let first = task_of(occurrence);
        // One that is not done is about what stands open, though a late fact may have moved its begin.
        if issued.iter().any(|known| known.since >= since || (known.task == first && !known.is_done)) {
            return;
        }
        let is_free = |task: &ObjectId| issued.iter().all(|known| known.task != *task);
        let Some(task) = (occurrence..=u32::MAX).map(task_of).find(is_free) else { return };
        memory.tasks_mut(&opening.id).push(Issued { task: task.clone(), since, is_done: false });
        let kind = ActionKind::CreateTask {
            task: task.clone(),
            subject: opening.id.clone(),
            team: opening.team.clone(),
            due_at: self.now + Millis::DAY_MS,
            text: opening.text.clone(),
        };
        self.push("create_task", &task.to_string(), 1, customer, kind);
    }

    fn notify(
        &mut self,
        customer: Option<CustomerId>,
        id: &ObjectId,
        opening: &Opening,
        openings: u64,
        is_cleared: bool,
    ) {
        let kind = ActionKind::Notify {
            subject: id.clone(),
            rule: opening.rule.to_owned(),
            severity: opening.severity.to_owned(),
            team: opening.team.clone(),
            text: opening.text.clone(),
            is_cleared,
        };
        self.push("notify", &id.to_string(), openings, customer, kind);
    }

    fn push(&mut self, verb: &str, subject: &str, opening: u64, customer: Option<CustomerId>, kind: ActionKind) {
        self.actions.push(Action::new(verb, subject, &opening.to_string(), self.now, customer, kind));
    }

    fn transfer(
        &mut self,
        memory: &mut Memory,
        customer: &CustomerId,
        (transfer, assessment): (Arc<Entity>, Arc<Assessment>),
        context: &Context<'_>,
    ) -> (TransferView, Option<Millis>) {
        let known = memory.transfer(&transfer.key);
        let (next, actions, wake_at) = advance(known.map(|known| (**known).clone()), &transfer, &assessment, context);
        let is_changed = known.is_none_or(|known| **known != next);
        let next = Arc::new(next);
        if is_changed {
            memory.set_transfer(&transfer.key, next.clone());
        }
        for action in actions {
            self.handoff(customer, &transfer.key, &next, action);
        }
        (TransferView { key: transfer.key.clone(), memory: next, assessment }, wake_at)
    }

    fn handoff(&mut self, customer: &CustomerId, transfer: &EntityKey, memory: &TransferMemory, action: HandoffAction) {
        let (verb, kind) = match action {
            HandoffAction::Hold { until } => {
                ("hold_transfer", ActionKind::HoldTransfer { transfer: transfer.clone(), until })
            }
            HandoffAction::Release { version, is_complete } => {
                ("release_transfer", ActionKind::ReleaseTransfer { transfer: transfer.clone(), version, is_complete })
            }
            HandoffAction::Push { version, identity_changed: _ } => {
                ("push_package", ActionKind::PushPackage { transfer: transfer.clone(), version })
            }
            HandoffAction::Escalate { team, reason } => {
                let team = format!("{team} supervisor");
                ("escalate", ActionKind::Escalate { subject: transfer.clone(), team, reason })
            }
            // The alert itself is compared with what stands open, like every other.
            HandoffAction::RaiseContextGap { .. } | HandoffAction::ResolveContextGap { .. } => return,
        };
        let version = memory.versions.len() as u64;
        self.push(verb, &transfer.to_string(), version, Some(customer.clone()), kind);
    }
}

/// 11-3 of a transfer, while it fires.
pub(crate) fn context_gap(view: &TransferView, context: &Context<'_>) -> Option<Alert> {
    let raised = view.memory.gap_alert.filter(|alert| alert.resolved_at.is_none())?;
    let package = view.memory.newest()?;
    let gaps: Vec<String> = package
        .content
        .gaps()
        .map(|section| format!("{} ({})", section.name.name(), section.status.reason()))
        .collect();
    let evidence = package.content.evidence().cloned().collect();
    let ground = (evidence, 1_000_000);
    Some(handoff_context_gap(&view.key, &view.memory.to_team, raised.raised_at, &gaps, ground, context))
}

/// An alert on a source with what people decided on it: since it opened if it stands open, else since what
/// it is about began. One that is to open now opens now.
fn with_decision(alert: Alert, memory: &Memory, context: &Context<'_>) -> Alert {
    if let Some(known) = memory.get_opened(&alert.id).filter(|known| known.is_open) {
        return alert.opened(known.since, context);
    }
    let decided = alert.clone().decided(context);
    if decided.is_open() { alert.opened(context.now, context) } else { decided }
}

/// 11-1 of every source that lags and every change that has stayed unapplied for too long.
fn sync_failures(sources: &Sources, context: &Context<'_>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let freshness = sources.freshness();
    for system in System::SOURCES {
        let bound_ms = freshness.source(system).lag_max_ms;
        match sources.watermark_freshness(system, context.now) {
            SystemFreshness::Stale { since } => {
                let slowest = sources.slowest_partition(system).cloned();
                let failure = SyncFailure::Lagging { partition: CompactString::const_new("all"), slowest };
                alerts.push(sync_failure(system, failure, since - bound_ms, bound_ms, context));
            }
            SystemFreshness::Fresh | SystemFreshness::Unknown | SystemFreshness::Unmonitored => {}
        }
    }
    for (entity, gap) in sources.gaps() {
        if context.now.since(gap.since) > Freshness::GAP_MAX_MS {
            let failure = SyncFailure::Unapplied { entity: entity.clone(), evidence: vec![gap.evidence.clone()] };
            alerts.push(sync_failure(gap.system, failure, gap.since, Freshness::GAP_MAX_MS, context));
        }
    }
    alerts
}
