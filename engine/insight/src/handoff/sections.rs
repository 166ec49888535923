//! Puts the sections of a package together and says of each what became of it (spec 6.3).

use std::sync::Arc;

use ontology::entity::KnowledgeArticle;
use ontology::fields::FieldsRef;
use ontology::{EntityKey, EntityKind, Evidence, Field, FieldReader, Millis, System};
use state::{Composite, Entity, Freshness};

use super::concluded::{Concluded, Conclusion};
use super::relevant::Relevant;
use super::section::{Item, Line, Missing, Section, SectionName, SectionStatus};
use crate::context::Context;
use crate::values::{evidence_of, text_of};

/// How many statements of the customer an interaction carries at most.
const STATEMENTS_MAX: usize = 3;
/// How many articles a package carries at most.
const ARTICLES_MAX: usize = 3;
/// The status that makes an article fit to be shown.
const PUBLISHED: &str = "published";

/// What sections are made of.
pub(super) struct Material<'a> {
    pub composite: &'a Composite,
    pub context: &'a Context<'a>,
    pub relevant: &'a Relevant<'a>,
    pub concluded: &'a Concluded<'a>,
    /// The case that the transfer names, whether it has arrived or not.
    pub case_key: Option<&'a EntityKey>,
}

impl Material<'_> {
    /// All sections, in reading order.
    pub fn sections(&self) -> Vec<Section> {
        vec![
            self.case(),
            self.identity(),
            self.billing(),
            self.interaction(),
            self.service(),
            Section {
                name: SectionName::Sla,
                status: SectionStatus::Unavailable(Missing::NotEvaluated),
                items: Vec::new(),
            },
            self.conclusions(SectionName::Discrepancies, &self.concluded.open_discrepancies),
            self.conclusions(SectionName::Correlations, &self.concluded.accepted_correlations),
            self.knowledge(),
        ]
    }

    fn case(&self) -> Section {
        let name = SectionName::Case;
        let Some(case) = self.relevant.case else {
            let missing = if self.is_fresh(System::Salesforce) { Missing::Timeout } else { Missing::SourceDown };
            return Section { name, status: SectionStatus::Unavailable(missing), items: Vec::new() };
        };
        let is_reliable = self.is_fresh(System::Salesforce) && !self.has_overdue_gap(case);
        let status = if is_reliable { SectionStatus::Present } else { SectionStatus::Stale };
        let fields =
            [Field::Status, Field::Priority, Field::OwnerId, Field::OwnerTeam, Field::Category, Field::Subject];
        Section { name, status, items: vec![Item { lines: history_of(case), ..item(case, &fields) }] }
    }

    /// Who the customer is: there as soon as the account of the case is known.
    fn identity(&self) -> Section {
        let account = self.case_key.and_then(|key| self.composite.member_of(key)).filter(|member| {
            member.key.kind == EntityKind::Account && member.tree.get(&member.key).is_some_and(|e| e.is_alive())
        });
        let status = if account.is_some() {
            SectionStatus::Present
        } else if !self.is_fresh(System::Salesforce) {
            SectionStatus::Unavailable(Missing::SourceDown)
        } else if !self.composite.possible.is_empty() {
            SectionStatus::Unavailable(Missing::IdentityInReview)
        } else {
            SectionStatus::Unavailable(Missing::Timeout)
        };
        let fields = [Field::Name, Field::Tier, Field::Segment];
        let members = self.composite.members.iter().filter_map(|member| member.tree.get(&member.key));
        let items = members.filter(|entity| entity.is_alive()).map(|entity| item(entity, &fields)).collect();
        Section { name: SectionName::Identity, status, items }
    }

    fn billing(&self) -> Section {
        let invoice_fields = [Field::Status, Field::Amount, Field::Outstanding, Field::Currency, Field::DueDate];
        let dispute_fields = [Field::Status, Field::DisputeType, Field::Amount, Field::Currency];
        let note_fields = [Field::Status, Field::Amount, Field::Currency];
        let mut items = Vec::new();
        for invoice in &self.relevant.invoices {
            items.extend(invoice.entity.map(|entity| item(entity, &invoice_fields)));
            items.extend(invoice.disputes.iter().map(|dispute| item(dispute, &dispute_fields)));
        }
        items.extend(self.relevant.pending_credits.iter().map(|note| item(note, &note_fields)));
        self.of_system(SectionName::Billing, System::Oracle, items)
    }

    fn interaction(&self) -> Section {
        let fields = [Field::Channel, Field::EndedAt, Field::Disposition, Field::Sentiment];
        let said = |entity: &&Arc<Entity>| Item { lines: lines_of(entity), ..item(entity, &fields) };
        let items = self.relevant.interactions.iter().map(said).collect();
        self.of_system(SectionName::Interaction, System::Wxcc, items)
    }

    fn service(&self) -> Section {
        let order_fields = [Field::Type, Field::Status, Field::ScheduledAt, Field::CompletedAt];
        let dispatch_fields = [Field::Status, Field::Eta, Field::Outcome];
        let mut items = Vec::new();
        for order in &self.relevant.orders {
            items.push(item(order.entity, &order_fields));
            items.extend(order.dispatches.iter().map(|dispatch| item(dispatch, &dispatch_fields)));
        }
        self.of_system(SectionName::Service, System::Sap, items)
    }

    /// A section that one system fills.
    fn of_system(&self, name: SectionName, system: System, items: Vec<Item>) -> Section {
        let is_fresh = self.is_fresh(system);
        let has_gap = items
            .iter()
            .any(|item| self.composite.get(&item.entity).is_some_and(|entity| self.has_overdue_gap(entity)));
        let status = if !items.is_empty() {
            if is_fresh && !has_gap { SectionStatus::Present } else { SectionStatus::Stale }
        } else if !self.composite.has_member_of(system) && self.composite.has_possible_of(system) {
            SectionStatus::Unavailable(Missing::IdentityInReview)
        } else if is_fresh {
            SectionStatus::ConfirmedEmpty { is_without_counterpart: !self.composite.has_member_of(system) }
        } else {
            SectionStatus::Unavailable(Missing::SourceDown)
        };
        Section { name, status, items }
    }

    /// A section of what the hub concluded. That there is nothing can only be said when every
    /// system that a conclusion rests on is up to date.
    fn conclusions(&self, name: SectionName, conclusions: &[Conclusion<'_>]) -> Section {
        let is_certain = System::SOURCES.iter().all(|system| self.is_fresh(*system));
        let status = match (conclusions.is_empty(), is_certain) {
            (false, true) => SectionStatus::Present,
            (false, false) => SectionStatus::Stale,
            (true, true) => SectionStatus::ConfirmedEmpty { is_without_counterpart: false },
            (true, false) => SectionStatus::Unavailable(Missing::SourceDown),
        };
        let items = conclusions.iter().flat_map(Conclusion::items).collect();
        Section { name, status, items }
    }

    /// Published articles for the case's category or the type of a relevant order; those that fit
    /// both come first.
    fn knowledge(&self) -> Section {
        let category = self.relevant.case.and_then(|case| case.text(Field::Category));
        let types: Vec<_> =
            self.relevant.orders.iter().filter_map(|order| word_of(order.entity, Field::Type)).collect();
        let mut found: Vec<(usize, &Arc<Entity>)> = Vec::new();
        for entity in self.context.reference.articles.values() {
            let article = KnowledgeArticle::read(entity.as_ref());
            let is_published = article.status.is_some_and(|status| status.eq_ignore_ascii_case(PUBLISHED));
            let fits = usize::from(category.is_some_and(|category| has_word(article.categories, category)))
                + usize::from(types.iter().any(|name| has_word(article.order_types, name)));
            if entity.is_alive() && is_published && fits > 0 {
                found.push((fits, entity));
            }
        }
        found.sort_by_key(|(fits, entity)| (std::cmp::Reverse(*fits), entity.key.clone()));
        let items: Vec<Item> =
            found.into_iter().take(ARTICLES_MAX).map(|(_, entity)| item(entity, &[Field::Title])).collect();
        let status = match (items.is_empty(), self.is_fresh(System::Salesforce)) {
            (false, true) => SectionStatus::Present,
            (false, false) => SectionStatus::Stale,
            (true, true) => SectionStatus::ConfirmedEmpty { is_without_counterpart: false },
            (true, false) => SectionStatus::Unavailable(Missing::SourceDown),
        };
        Section { name: SectionName::Knowledge, status, items }
    }

    fn is_fresh(&self, system: System) -> bool {
        self.composite.freshness.at(system, self.context.now).is_fresh()
    }

    /// Whether a change of the record has been known for longer than one may be and is still not applied
    /// (spec 5.3).
    fn has_overdue_gap(&self, entity: &Entity) -> bool {
        entity.open_gap().is_some_and(|gap| self.context.now.since(gap.event_time) > Freshness::GAP_MAX_MS)
    }
}

fn item(entity: &Entity, fields: &[Field]) -> Item {
    Item { entity: entity.key.clone(), lines: Vec::new(), evidence: evidence_of(entity, fields) }
}

/// How the status of a case went.
fn history_of(case: &Entity) -> Vec<Line> {
    let stretches = case.history(Field::Status).0;
    let line = |stretch: &state::history::Stretch| {
        let text = stretch.value().and_then(|value| text_of(case.key.kind, Field::Status, value));
        Line { field: Field::Status, at: Some(stretch.from), text: text.unwrap_or_else(|| "deleted".into()) }
    };
    stretches.iter().map(line).collect()
}

/// What the customer already said: the reason, how it ended, and the last statements, or for a
/// contact without a transcript the wrap-up.
fn lines_of(interaction: &Entity) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |field: Field, at: Option<Millis>, text: &str| {
        lines.push(Line { field, at, text: text.into() });
    };
    let ended_at = interaction.time(Field::EndedAt);
    for (field, at) in [(Field::Reason, interaction.time(Field::StartedAt)), (Field::Disposition, ended_at)] {
        if let Some(text) = interaction.text(field) {
            push(field, at, text);
        }
    }
    let statements = interaction.get(Field::Statements);
    let by_customer = || statements.items().filter(is_of_customer);
    let total = by_customer().count();
    for statement in by_customer().skip(total.saturating_sub(STATEMENTS_MAX)) {
        if let Some(text) = statement.text(Field::Text) {
            push(Field::Statements, statement.time(Field::At).or(ended_at), text);
        }
    }
    if total == 0
        && let Some(text) = interaction.text(Field::WrapUp)
    {
        push(Field::WrapUp, ended_at, text);
    }
    lines
}

/// Whether the customer said it: sources that do not name speakers send nothing else.
fn is_of_customer(statement: &FieldsRef<'_>) -> bool {
    statement.text(Field::Who).is_none_or(|who| who.eq_ignore_ascii_case("customer"))
}

fn word_of(entity: &Entity, field: Field) -> Option<String> {
    text_of(entity.key.kind, field, entity.get(field)).map(|word| word.to_string())
}

/// Whether a list of words has `word`, in whatever case.
fn has_word(list: ontology::ValueRef<'_>, word: &str) -> bool {
    list.items().any(|item| item.text(Field::Text).is_some_and(|text| text.eq_ignore_ascii_case(word)))
}

impl Conclusion<'_> {
    /// One item for each record that the conclusion is about, the first with its sentence.
    fn items(&self) -> Vec<Item> {
        let of = |key: &EntityKey| -> Vec<Evidence> {
            self.evidence.iter().filter(|evidence| evidence.entity == *key).cloned().collect()
        };
        self.subjects
            .iter()
            .enumerate()
            .map(|(place, key)| {
                let sentence = self.sentence.filter(|_| place == 0);
                let line = |text: &str| Line { field: Field::SubjectRef, at: None, text: text.into() };
                Item { entity: key.clone(), lines: sentence.map(line).into_iter().collect(), evidence: of(key) }
            })
            .collect()
    }
}
