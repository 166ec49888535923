//! 11-1: a change is known to have happened and is not applied, or a source lags. Raised where
//! sources are watched.

use compact_str::CompactString;
use ontology::{EntityKey, Evidence, Millis, System, Vocabulary};

use super::{Alert, AlertRule, AlertState};
use crate::context::Context;
use crate::derived::Grounds;
use crate::words;

const RULE: AlertRule = AlertRule::SyncFailure;

/// What is not in step with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncFailure {
    /// A record is known to have changed, and its content has not been read.
    Unapplied {
        /// The record.
        entity: EntityKey,
        /// The delivery that said so.
        evidence: Vec<Evidence>,
    },
    /// Nothing is known for certain about a part of a source any more.
    Lagging {
        /// The connector's partition, or `all` for the source as a whole.
        partition: CompactString,
        /// The partition that is furthest behind, where it is not the one named.
        slowest: Option<CompactString>,
    },
}

/// The alert about `failure` of a source, before people decided on it. `since` is when the change happened,
/// or how far the source is known received.
#[must_use]
pub fn sync_failure(
    system: System,
    failure: SyncFailure,
    since: Millis,
    bound_ms: i64,
    context: &Context<'_>,
) -> Alert {
    let (subject, what) = match &failure {
        SyncFailure::Unapplied { entity, .. } => (entity.to_string(), format!("change of {entity} is not applied")),
        SyncFailure::Lagging { partition, slowest } => {
            let behind = slowest.as_ref().map(|slowest| format!(" ({slowest} is furthest behind)")).unwrap_or_default();
            (format!("{}/{partition}", system.name()), format!("{} {partition} lags{behind}", system.name()))
        }
    };
    let (subjects, evidence) = match failure {
        SyncFailure::Unapplied { entity, evidence } => (vec![entity], evidence),
        SyncFailure::Lagging { .. } => (Vec::new(), Vec::new()),
    };
    let age = words::duration(context.now.since(since) / Millis::SECOND_MS);
    Alert {
        id: RULE.id(&subject),
        rule: RULE,
        severity: RULE.severity(),
        subject: subject.into(),
        state: AlertState::Firing,
        since,
        fired_at: since + (bound_ms + 1),
        owner_team: CompactString::const_new("integration-ops"),
        action: "the change is fetched again until it succeeds; what depends on it is marked stale",
        undo: "none needed: nothing is changed at the source",
        manual_route: "read the source's own screen, and call its on-call",
        grounds: Grounds {
            subjects,
            cited: Vec::new(),
            told: evidence,
            config_version: context.settings.config_version,
            link_confidence: 1_000_000,
        },
        sentence: Some(format!("Sync failure: {what} for {age}.")),
    }
}
