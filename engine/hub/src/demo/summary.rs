//! What a demo came to: the figures and sentences that it prints at its end.

use std::collections::BTreeMap;

use insight::handoff::HandoffState;
use ontology::{EntityKind, Field, FieldReader, Millis, System, Vocabulary};
use pipeline::{CustomerView, Engine};
use serde::Serialize;

use super::Stage;

/// The end of a demo.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Seed of the world.
    pub seed: u64,
    /// Story time of the digest, milliseconds since 1970.
    pub story_time_ms: i64,
    /// How far the hub ran behind the story at the end, milliseconds.
    pub behind_ms: i64,
    /// Facts applied, by system.
    pub facts: BTreeMap<&'static str, u64>,
    /// Parts in quarantine.
    pub quarantined: u64,
    /// Parts that the world planted for quarantine.
    pub planted: u64,
    /// Customers.
    pub customers: usize,
    /// Links.
    pub links: Links,
    /// Time from source to visible, in the live part.
    pub latency_ms: Latency,
    /// Discrepancies that stand open.
    pub discrepancies: Vec<Said>,
    /// Transfers.
    pub handoffs: Vec<HandoffSaid>,
    /// Accepted correlations with a sentence.
    pub correlations: Vec<CorrelationSaid>,
    /// Alerts that stand open.
    pub alerts: Vec<Said>,
    /// Canonical digest of everything derived.
    pub digest: String,
    /// The processes that have the story; on servers several, whose digests are equal.
    pub processes: Vec<Process>,
}

/// A process and where it stands at the end.
#[derive(Debug, Clone, Serialize)]
pub struct Process {
    /// `owner` of the store, or a `replica` that follows it.
    pub role: &'static str,
    /// Position up to which it has applied the log.
    pub position: u64,
    /// Its canonical digest at the story's end.
    pub digest: String,
}

/// Links by decision, and how right they are.
#[derive(Debug, Clone, Serialize)]
pub struct Links {
    /// Records that are one customer with another, each customer's first one aside: what the live line counts.
    pub records: usize,
    /// Pairs linked automatically.
    pub automatic: usize,
    /// Pairs that wait for a person.
    pub review: usize,
    /// Those of them whose records are of two customers: what the live line counts.
    pub between: usize,
    /// Pairs found together that are one customer / pairs found together.
    pub precision: f64,
    /// Linkable pairs found together / linkable pairs.
    pub recall: f64,
}

/// Latency quantiles in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: u64,
    /// 99 of 100 facts were faster.
    pub p99: u64,
}

/// Something that stands open.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// Rule or alert number.
    pub rule: &'static str,
    /// What it is about.
    pub subject: String,
    /// How bad it is.
    pub severity: &'static str,
    /// It in one sentence.
    pub sentence: String,
}

/// A transfer.
#[derive(Debug, Clone, Serialize)]
pub struct HandoffSaid {
    /// The transfer.
    pub transfer: String,
    /// Where it stands.
    pub state: &'static str,
    /// What the receiver reads first.
    pub narrative: String,
}

/// A correlation.
#[derive(Debug, Clone, Serialize)]
pub struct CorrelationSaid {
    /// The billing record.
    pub subject: String,
    /// Score in millionths.
    pub score_micros: u32,
    /// What it says about the charge.
    pub verdict: &'static str,
    /// It in one sentence.
    pub sentence: String,
}

/// Records that are linked to another of their customer, each customer's first one aside.
pub fn linked<'a>(views: impl Iterator<Item = &'a CustomerView>) -> usize {
    views.map(|view| view.composite.members.len().saturating_sub(1)).sum()
}

/// Pairs in review whose records are of two customers. Each stands with both of them.
pub fn in_review<'a>(views: impl Iterator<Item = &'a CustomerView>) -> usize {
    views.map(|view| view.composite.possible.len()).sum::<usize>() / 2
}

/// What only the engine can say.
struct FromEngine {
    links: (usize, usize),
    clusters: Vec<(&'static str, String, String)>,
    now: Millis,
}

impl Summary {
    /// Sums up a stage as it stands at `end`.
    ///
    /// # Errors
    /// When the hub has stopped, or a process that follows it does not answer.
    pub async fn of(stage: &Stage, seed: u64, end: Millis) -> anyhow::Result<Summary> {
        let asked = stage.app.handle().ask(ask).await?;
        let clusters = asked.clusters.iter().map(|(system, id, customer)| (*system, id.as_str(), customer.as_str()));
        let quality = stage.world.truth().score(clusters);
        let (automatic, review) = asked.links;
        let processes = stage.processes(end).await?;
        let own = processes.first().expect("this process is one");
        let figures = &stage.app.figures;
        let views: Vec<_> = stage.app.published.all().into_iter().map(|slot| slot.view).collect();
        let mut summary = Summary {
            seed,
            story_time_ms: end.0,
            behind_ms: end.since(asked.now).max(0),
            facts: System::SOURCES.into_iter().map(|system| (public_name(system), figures.facts(system))).collect(),
            quarantined: quarantined(stage)?,
            planted: stage.world.planted(end.0).values().sum(),
            customers: views.len(),
            links: Links {
                records: linked(views.iter().map(|view| &**view)),
                automatic,
                review,
                between: in_review(views.iter().map(|view| &**view)),
                precision: quality.precision,
                recall: quality.recall,
            },
            latency_ms: Latency {
                p50: figures.latency_ms(500).unwrap_or_default(),
                p99: figures.latency_ms(990).unwrap_or_default(),
            },
            discrepancies: Vec::new(),
            handoffs: Vec::new(),
            correlations: Vec::new(),
            alerts: Vec::new(),
            digest: own.digest.clone(),
            processes,
        };
        for view in &views {
            summary.add(view);
        }
        summary.sort();
        Ok(summary)
    }

    /// Whether every process came to the same.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.processes.iter().all(|process| process.digest == self.digest)
    }

    fn add(&mut self, view: &CustomerView) {
        for discrepancy in view.derived.discrepancies.iter().filter(|d| d.is_open()) {
            self.discrepancies.push(Said {
                rule: discrepancy.rule.name(),
                subject: discrepancy.grounds.subjects.first().map(ToString::to_string).unwrap_or_default(),
                severity: discrepancy.severity.name(),
                sentence: discrepancy.sentence.clone().unwrap_or_default(),
            });
        }
        for alert in view.derived.alerts.iter().chain(&view.handoff_alerts).filter(|alert| alert.is_open()) {
            self.alerts.push(Said {
                rule: alert.rule.name(),
                subject: alert.subject.to_string(),
                severity: alert.severity.name(),
                sentence: alert.sentence.clone().unwrap_or_default(),
            });
        }
        for transfer in &view.transfers {
            let released = transfer.memory.versions.iter().find(|p| p.version == transfer.memory.released_version);
            if let Some(package) = released.or_else(|| transfer.memory.newest()) {
                self.handoffs.push(HandoffSaid {
                    transfer: transfer.key.id.to_string(),
                    state: HandoffState::name(transfer.memory.state),
                    narrative: package.content.narrative.text(),
                });
            }
        }
        for correlation in view.derived.correlations.iter() {
            if let (Some(best), Some(sentence)) = (correlation.accepted(), &correlation.sentence) {
                self.correlations.push(CorrelationSaid {
                    subject: correlation.subject.to_string(),
                    score_micros: best.score,
                    verdict: correlation.verdict.name(),
                    sentence: sentence.clone(),
                });
            }
        }
    }

    fn sort(&mut self) {
        self.discrepancies.sort_by(|a, b| (a.rule, &a.sentence).cmp(&(b.rule, &b.sentence)));
        self.alerts.sort_by(|a, b| (a.rule, &a.subject).cmp(&(b.rule, &b.subject)));
        self.handoffs.sort_by(|a, b| a.transfer.cmp(&b.transfer));
        self.correlations.sort_by(|a, b| (&a.subject, &a.sentence).cmp(&(&b.subject, &b.sentence)));
    }
}

/// Systems as this report names them; the contact centre goes by its product's name.
fn public_name(system: System) -> &'static str {
    if system == System::Wxcc { "webex" } else { system.name() }
}

fn ask(engine: &mut Engine) -> FromEngine {
    let resolver = engine.identity().resolver();
    let mut links = (0, resolver.review_items().count());
    let mut clusters = Vec::new();
    for cluster in resolver.clusters() {
        links.0 += cluster.links.iter().filter(|link| !link.is_human).count();
        for member in &cluster.members {
            let system = member.kind.party_system().map_or("", Vocabulary::name);
            clusters.push((system, truth_id(engine, member), cluster.id.to_string()));
        }
    }
    FromEngine { links, clusters, now: engine.now() }
}

/// The id by which the world's truth knows a party record.
fn truth_id(engine: &Engine, party: &ontology::EntityKey) -> String {
    let entity = engine.entity(party);
    match party.kind {
        EntityKind::CallerProfile => {
            let contact = entity.and_then(|e| e.text(Field::Phone).or_else(|| e.text(Field::Email)));
            contact.unwrap_or(&party.id).to_owned()
        }
        _ => party.id.to_string(),
    }
}

fn quarantined(stage: &Stage) -> anyhow::Result<u64> {
    let handle = stage.app.handle();
    let page = handle.store().list(&storage::QuarantineFilter::default(), None, 10_000)?;
    Ok(page.records.len() as u64)
}
