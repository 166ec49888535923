//! How far each source may lag behind: as configured, and no less than its list job needs.

use std::time::Duration;

use ontology::{System, Vocabulary as _};
use serde::Deserialize;
use state::Freshness;
use state::freshness::LagBounds;

use super::Error;
use super::connectors::ConnectorsConfig;
use super::file::Span;

/// What is added to what a list job needs, for a run that takes a while or is made again.
const RUN_MS: i64 = 60_000;

/// How far the watermark of each source may lag before it is stale; default `300s`, or what its list job
/// needs where that is more.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LagMaxSection {
    /// Salesforce, and Zendesk with it.
    pub salesforce: Option<Span>,
    /// Oracle receivables.
    pub oracle: Option<Span>,
    /// SAP field service.
    pub sap: Option<Span>,
    /// Webex Contact Center.
    pub wxcc: Option<Span>,
}

/// The bound of every source.
///
/// # Errors
/// The first that is nothing, or less than the list job needs: the source would be stale between two runs.
pub(super) fn bounds(section: LagMaxSection, connectors: &ConnectorsConfig) -> Result<LagBounds, Error> {
    let mut bounds = LagBounds::default();
    let asked = [
        (System::Salesforce, section.salesforce),
        (System::Oracle, section.oracle),
        (System::Sap, section.sap),
        (System::Wxcc, section.wxcc),
    ];
    for (system, asked) in asked {
        let needed_ms = needed_ms(system, connectors);
        let key = || format!("engine.lag_max.{}", system.name());
        match asked.map(Span::ms) {
            None => bounds.set(system, Freshness::LAG_MAX_MS.max(needed_ms + RUN_MS)),
            Some(0) => return Err(Error::key(key(), "is 0s: every source would be stale at once; write at least 1s")),
            Some(asked_ms) if asked_ms < needed_ms => {
                let (asked_s, needed_s) = (asked_ms as f64 / 1e3, needed_ms.div_euclid(1_000));
                let problem = format!(
                    "is {asked_s}s, but the list job of {} proves it known received only every {needed_s}s (interval \
                     and reporting lag): write at least {}s, or leave it out",
                    system.name(),
                    (needed_ms + RUN_MS).div_euclid(1_000)
                );
                return Err(Error::key(key(), problem));
            }
            Some(asked_ms) => bounds.set(system, asked_ms),
        }
    }
    Ok(bounds)
}

/// How old a watermark gets between two runs of the list jobs that move it; 0 without one.
fn needed_ms(system: System, connectors: &ConnectorsConfig) -> i64 {
    let ms = |interval: Duration| i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 2);
    let needed = match system {
        System::Salesforce => {
            let export = connectors.zendesk.as_ref().and_then(|zendesk| zendesk.export.as_ref());
            export.map(|export| ms(export.interval))
        }
        System::Oracle => {
            let list = connectors.oracle.as_ref().and_then(|oracle| oracle.list.as_ref());
            list.map(|list| ms(list.interval))
        }
        System::Sap => {
            let list = connectors.sap.as_ref().and_then(|sap| sap.list.as_ref());
            list.map(|list| ms(list.interval).saturating_add(list.lag_ms))
        }
        System::Wxcc => {
            let search = connectors.wxcc.as_ref().and_then(|wxcc| wxcc.search.as_ref());
            search.map(|search| ms(search.interval).saturating_add(search.lag_ms))
        }
        System::Zendesk | System::Engine | System::Human => None,
    };
    needed.unwrap_or(0).min(i64::MAX / 2)
}
