//! The second port: metrics for Prometheus and a plain health answer.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::drain::Drain;
use crate::standing::Standing;

#[derive(Clone)]
struct Pages {
    metrics: PrometheusHandle,
    drain: Drain,
    standing: Standing,
}

/// `/metrics` and `/healthz`, for the hub to serve beside its webhooks or alone.
pub fn router(metrics: PrometheusHandle, drain: Drain, standing: Standing) -> Router {
    Router::new().route("/metrics", get(metrics_page)).route("/healthz", get(health_page)).with_state(Pages {
        metrics,
        drain,
        standing,
    })
}

async fn metrics_page(State(pages): State<Pages>) -> impl IntoResponse {
    pages.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pages.metrics.render())
}

async fn health_page(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.drain.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    // Whoever is cut off has reads to answer and waits: to be ended or left out would help nobody.
    let lacks = pages.standing.lacks();
    let told =
        if lacks.is_empty() { "serving\n".to_owned() } else { format!("serving reads only: cut off from {lacks}\n") };
    (StatusCode::OK, told)
}
