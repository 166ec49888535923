//! 11-3: a transfer was initiated and billing or interaction context is missing. Raised with the
//! transfer's life, which knows what was there when.

use compact_str::CompactString;
use ontology::{EntityKey, Evidence, Millis};
use state::composite::Micros;

use super::{Alert, AlertRule, AlertState};
use crate::context::Context;
use crate::derived::Grounds;
use crate::words;

const RULE: AlertRule = AlertRule::HandoffContextGap;

/// The alert about a transfer to `team`, initiated at `since`, that lacks the `gaps`, each in words
/// such as `billing (source_down)`.
#[must_use]
pub fn handoff_context_gap<S: AsRef<str>>(
    transfer: &EntityKey,
    team: &str,
    since: Millis,
    gaps: &[S],
    ground: (Vec<Evidence>, Micros),
    context: &Context<'_>,
) -> Alert {
    let subject = CompactString::from(transfer.to_string());
    let (evidence, link_confidence) = ground;
    Alert {
        id: RULE.id(&subject),
        rule: RULE,
        severity: RULE.severity(),
        subject,
        state: AlertState::Firing,
        since,
        fired_at: since,
        owner_team: team.into(),
        action: "the transfer is held for up to a minute, then released with its gaps named, and the supervisor told",
        undo: "release the transfer by hand",
        manual_route: "take the call, and read the missing system's own screen",
        grounds: Grounds {
            subjects: vec![transfer.clone()],
            cited: Vec::new(),
            told: evidence,
            config_version: context.settings.config_version,
            link_confidence,
        },
        sentence: Some(format!("Transfer {} to {team} team lacks context: {}.", transfer.id, words::join(gaps))),
    }
    .decided(context)
}
