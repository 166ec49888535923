//! Metrics: one list of names with unit and description, and the page that shows them.
//!
//! Labels are bounded words, never ids of customers or records.

use metrics::{Label, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

pub use metrics_exporter_prometheus::PrometheusHandle;

use crate::error::Error;

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// A metric: its type is its documentation.
#[derive(Debug)]
pub struct Metric {
    /// Name on the page.
    pub name: &'static str,
    /// What it counts like.
    pub kind: MetricKind,
    /// Unit of its values.
    pub unit: Unit,
    /// What it tells.
    pub description: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
}

/// Bounds of the sync latency; 30 s is the target.
const SYNC_BOUNDS: &[f64] = &[0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0];
/// Bounds of calls and stages.
const CALL_BOUNDS: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Bounds of pieces of work.
const STAGE_BOUNDS: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// From the change at the source to the readable state.
pub const SYNC_LATENCY: Metric = Metric {
    name: "opshub_sync_latency_seconds",
    kind: MetricKind::Histogram(SYNC_BOUNDS),
    unit: Unit::Seconds,
    description: "Time from a change at its source to the state that shows it",
    labels: &["source", "entity"],
};
/// Calls answered.
pub const RPC: Metric = Metric {
    name: "opshub_rpc_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Calls answered, by method and status code; a stream counts when it begins",
    labels: &["method", "code"],
};
/// Time until the answer.
pub const RPC_SECONDS: Metric = Metric {
    name: "opshub_rpc_seconds",
    kind: MetricKind::Histogram(CALL_BOUNDS),
    unit: Unit::Seconds,
    description: "Time until a call was answered or its stream began",
    labels: &["method"],
};
/// Open watches.
pub const WATCHES: Metric = Metric {
    name: "opshub_watch_streams",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Watches that are open",
    labels: &["resource"],
};
/// Folded changes.
pub const FOLDED: Metric = Metric {
    name: "opshub_watch_folded_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Changes that were folded into a newer one because the watcher read slowly",
    labels: &["resource"],
};
/// Resets.
pub const RESETS: Metric = Metric {
    name: "opshub_watch_resets_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Watches that had to begin again",
    labels: &["resource", "reason"],
};
/// Connections that there was no place for.
pub const CONNECTIONS_REFUSED: Metric = Metric {
    name: "opshub_connections_refused_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Connections closed at once, because their peer or all of them held too many",
    labels: &[],
};
/// Published customers.
pub const CUSTOMERS: Metric = Metric {
    name: "opshub_customers",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Customers that can be read",
    labels: &[],
};
/// Whether this process owns the store.
pub const OWNER: Metric = Metric {
    name: "opshub_owner",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "1 where this process takes what is written, 0 where it follows the one that does",
    labels: &[],
};
/// Positions that a process that follows is behind.
pub const REPLICA_LAG_POSITIONS: Metric = Metric {
    name: "opshub_replica_lag_positions",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Facts in the log that a process that follows has not read yet",
    labels: &[],
};
/// How old the newest is that a process that follows was told.
pub const REPLICA_LAG_SECONDS: Metric = Metric {
    name: "opshub_replica_lag_seconds",
    kind: MetricKind::Gauge,
    unit: Unit::Seconds,
    description: "Time since the owner's newest fact or word that a process that follows has read; a living owner speaks each second",
    labels: &[],
};
/// The machine's clock.
pub const CLOCK_APART_SECONDS: Metric = Metric {
    name: "opshub_clock_apart_seconds",
    kind: MetricKind::Gauge,
    unit: Unit::Seconds,
    description: "How far the machine's clock is ahead of the hub's time after it jumped",
    labels: &[],
};
/// Applied position.
pub const APPLIED_POSITION: Metric = Metric {
    name: "opshub_applied_position",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Place in the log up to which reads reflect the facts",
    labels: &[],
};
/// What is open.
pub const OPEN_ITEMS: Metric = Metric {
    name: "opshub_open_items",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Alerts and discrepancies that are open, by the number of the alert or rule",
    labels: &["rule"],
};
/// Pairs in review.
pub const REVIEW_QUEUE: Metric = Metric {
    name: "opshub_review_queue_items",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Pairs of records that wait for a person to say whether they are one customer",
    labels: &[],
};
/// Age of the oldest pair in review.
pub const REVIEW_QUEUE_AGE: Metric = Metric {
    name: "opshub_review_queue_age_seconds",
    kind: MetricKind::Gauge,
    unit: Unit::Seconds,
    description: "How long the pair has waited that has waited longest for a person; 0 if none waits",
    labels: &[],
};
/// Up to when a source is known received.
pub const WATERMARK: Metric = Metric {
    name: "opshub_source_watermark_timestamp_seconds",
    kind: MetricKind::Gauge,
    unit: Unit::Seconds,
    description: "Instant up to which everything of a source is known to be received, whether it sent anything or not",
    labels: &["source"],
};
/// Time of a stage.
pub const STAGE_SECONDS: Metric = Metric {
    name: "opshub_stage_seconds",
    kind: MetricKind::Histogram(STAGE_BOUNDS),
    unit: Unit::Seconds,
    description: "Time of one piece of work by stage: decode a delivery, log a block, step the engine, publish, store rows",
    labels: &["stage"],
};
/// What waits.
pub const QUEUE_WAITING: Metric = Metric {
    name: "opshub_queue_waiting",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "What waits for a part of the hub, by queue; when one is full, callers and sources wait",
    labels: &["queue"],
};
/// Whether servers of the store are reached.
pub const REACHED: Metric = Metric {
    name: "opshub_store_reached",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "1 while the servers that hold the log or the rows answer, 0 while this process is cut off from them",
    labels: &["part"],
};
/// When a source was applied last.
pub const LAST_APPLIED: Metric = Metric {
    name: "opshub_source_last_applied_timestamp_seconds",
    kind: MetricKind::Gauge,
    unit: Unit::Seconds,
    description: "When a change of a source became readable last",
    labels: &["source"],
};
/// What is known and not applied.
pub const PENDING: Metric = Metric {
    name: "opshub_source_pending_changes",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Changes of a source that are known to have happened and are not applied; a quiet source has none",
    labels: &["source"],
};
/// Time until there is a package.
pub const PACKAGE_SECONDS: Metric = Metric {
    name: "opshub_handoff_package_seconds",
    kind: MetricKind::Histogram(SYNC_BOUNDS),
    unit: Unit::Seconds,
    description: "Time from the start of a transfer until its first package can be read",
    labels: &[],
};
/// Transfers by state.
pub const HANDOFFS: Metric = Metric {
    name: "opshub_handoffs",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Transfers by state; held ones wait for missing context",
    labels: &["state"],
};
/// Links by decision.
pub const LINKS: Metric = Metric {
    name: "opshub_links",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Records linked to another record of their customer, and pairs that wait for a review",
    labels: &["decision"],
};
/// Key figures.
pub const KPI: Metric = Metric {
    name: "opshub_kpi",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "A key figure: seconds, a share of one, or a count; NaN while there is nothing to measure",
    labels: &["kpi"],
};
/// Whether a key figure reaches its target.
pub const KPI_MET: Metric = Metric {
    name: "opshub_kpi_met",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "1 where a key figure reaches its target, 0 where not; NaN while there is nothing to measure",
    labels: &["kpi"],
};
/// Readings of the configuration.
pub const CONFIG_RELOADS: Metric = Metric {
    name: "opshub_config_reloads_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Times that the configuration was read again while the hub ran, by outcome: taken or refused",
    labels: &["outcome"],
};
/// The outcome of the last reading.
pub const CONFIG_LAST_RELOAD: Metric = Metric {
    name: "opshub_config_last_reload_successful",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "1 where the configuration that was read last was taken, at the start or later, 0 where it was refused",
    labels: &[],
};
/// Which configuration is in force.
pub const CONFIG_HASH: Metric = Metric {
    name: "opshub_config_hash",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "The first 48 bits of a digest of the configuration in force, without the secrets that it refers to: \
                  equal where equal keys hold",
    labels: &[],
};
/// Calls beyond a quota.
pub const QUOTA_REFUSED: Metric = Metric {
    name: "opshub_quota_refused_total",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    description: "Calls refused because their caller had used up its quota, by quota",
    labels: &["quota"],
};
/// What runs.
pub const BUILD: Metric = Metric {
    name: "opshub_build_info",
    kind: MetricKind::Gauge,
    unit: Unit::Count,
    description: "Always 1; the version stands in the label",
    labels: &["version"],
};

/// Every metric of this crate and those the hub records through it, in reading order.
pub const ALL: &[Metric] = &[
    SYNC_LATENCY,
    RPC,
    RPC_SECONDS,
    WATCHES,
    FOLDED,
    RESETS,
    CONNECTIONS_REFUSED,
    CUSTOMERS,
    APPLIED_POSITION,
    OWNER,
    REPLICA_LAG_POSITIONS,
    REPLICA_LAG_SECONDS,
    CLOCK_APART_SECONDS,
    OPEN_ITEMS,
    REVIEW_QUEUE,
    REVIEW_QUEUE_AGE,
    WATERMARK,
    LAST_APPLIED,
    PENDING,
    STAGE_SECONDS,
    QUEUE_WAITING,
    REACHED,
    PACKAGE_SECONDS,
    HANDOFFS,
    LINKS,
    KPI,
    KPI_MET,
    CONFIG_RELOADS,
    CONFIG_LAST_RELOAD,
    CONFIG_HASH,
    QUOTA_REFUSED,
    BUILD,
];

impl Metric {
    /// Adds to a counter. Values of labels stand in the order of the metric's label names.
    pub fn add(&self, values: &[&str], count: u64) {
        metrics::counter!(self.name, self.labels(values)).increment(count);
    }

    /// Sets a gauge.
    pub fn set(&self, values: &[&str], value: f64) {
        metrics::gauge!(self.name, self.labels(values)).set(value);
    }

    /// Moves a gauge.
    pub fn shift(&self, values: &[&str], by: f64) {
        metrics::gauge!(self.name, self.labels(values)).increment(by);
    }

    /// Records a value of a histogram.
    pub fn record(&self, values: &[&str], value: f64) {
        metrics::histogram!(self.name, self.labels(values)).record(value);
    }

    fn labels(&self, values: &[&str]) -> Vec<Label> {
        self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
    }

    fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.unit, self.description),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.unit, self.description),
            MetricKind::Histogram(_) => metrics::describe_histogram!(self.name, self.unit, self.description),
        }
    }
}

/// The recorder with every histogram's bounds, not yet installed.
///
/// # Errors
/// If the bounds of a histogram are empty.
pub fn recorder() -> Result<metrics_exporter_prometheus::PrometheusRecorder, Error> {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if let MetricKind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Describes every metric to the recorder in force.
pub fn describe() {
    for metric in ALL {
        metric.describe();
    }
    BUILD.set(&[env!("CARGO_PKG_VERSION")], 1.0);
}

/// Installs the recorder for the whole process and gives what renders its page. A recorder that is
/// already in force stays.
///
/// # Errors
/// As [`recorder`].
pub fn install() -> Result<PrometheusHandle, Error> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("a metrics recorder is in force already, so the metrics page of this server stays empty");
    }
    describe();
    Ok(handle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for (i, metric) in ALL.iter().enumerate() {
            assert!(metric.name.starts_with("opshub_"), "{}", metric.name);
            assert!(ALL[..i].iter().all(|other| other.name != metric.name), "{}", metric.name);
            assert_eq!(metric.kind == MetricKind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }

    #[test]
    fn the_page_shows_descriptions_bounds_and_labels() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            SYNC_LATENCY.record(&["oracle", "invoice"], 30.0);
        });
        let page = handle.render();
        assert!(page.contains("# HELP opshub_sync_latency_seconds"), "{page}");
        assert!(
            page.contains(r#"opshub_sync_latency_seconds_bucket{source="oracle",entity="invoice",le="30"} 1"#),
            "{page}"
        );
        assert!(
            page.contains(r#"opshub_sync_latency_seconds_bucket{source="oracle",entity="invoice",le="15"} 0"#),
            "{page}"
        );
    }
}
