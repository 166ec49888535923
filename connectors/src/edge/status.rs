//! What operators see of a connector.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ontology::{Millis, System};

/// How a connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectorState {
    /// Never connected.
    #[default]
    Idle,
    /// Connected, or serving its endpoint.
    Running,
    /// The last attempt failed; it tries again by itself.
    Retrying,
    /// Reading all records again, after the replay window passed.
    Resyncing,
    /// Ended.
    Stopped,
}

/// State, counts and the last trouble of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// The source.
    pub system: System,
    /// How it is doing.
    pub state: ConnectorState,
    /// What went wrong last; empty if nothing did.
    pub last_error: String,
    /// When it went wrong.
    pub last_error_at: Option<Millis>,
    /// When the log last told that something went wrong.
    pub last_logged_at: Option<Millis>,
    /// When something was last received and stored.
    pub last_delivery_at: Option<Millis>,
    /// Up to when nothing newer is known to be missing.
    pub watermark: Option<Millis>,
    /// Position in the source, in hex.
    pub position: String,
    /// Facts stored since the start.
    pub facts: u64,
    /// Parts put into quarantine since the start.
    pub rejects: u64,
    /// Requests refused at the edge since the start.
    pub refused: u64,
    /// Why the last of them was refused; empty if none was.
    pub last_refusal: &'static str,
    /// When it was refused.
    pub last_refused_at: Option<Millis>,
    /// What somebody should look at as long as it holds, by kind.
    pub findings: BTreeMap<&'static str, Finding>,
}

impl ConnectorStatus {
    /// Whether an error is another than the last one, or that one was last logged long ago.
    fn is_news(&self, error: &str, at: Millis) -> bool {
        self.last_error != error || self.last_logged_at.is_none_or(|logged| at.since(logged) >= LOGGED_AGAIN_MS)
    }

    /// How many deliveries were refused and why the last one was; none if all were taken for a while before
    /// `now`: a secret that was mended, or one knock of a stranger, is no trouble any more.
    #[must_use]
    pub fn refusals(&self, now: Millis) -> Option<String> {
        let (count, code) = (self.refused, self.last_refusal);
        let is_told = self.last_refused_at.is_some_and(|at| now.since(at) <= REFUSAL_TOLD_MS);
        is_told.then(|| format!("{count} deliveries refused since the start, the last for {code}"))
    }
}

/// How long the log is silent about an error that goes on.
const LOGGED_AGAIN_MS: i64 = 600_000;

/// How long after the last refusal refusals are told of.
const REFUSAL_TOLD_MS: i64 = Millis::HOUR_MS;

/// Something about the source that is not an error yet. It closes by itself when its cause is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found, and the next step.
    pub text: String,
    /// When it was first seen.
    pub since: Millis,
}

/// A connector's status, shared between its transport and the hub.
#[derive(Debug, Clone)]
pub struct StatusHandle(Arc<Mutex<ConnectorStatus>>);

impl StatusHandle {
    /// The status of a connector that has not run yet.
    #[must_use]
    pub fn new(system: System) -> Self {
        StatusHandle(Arc::new(Mutex::new(ConnectorStatus {
            system,
            state: ConnectorState::Idle,
            last_error: String::new(),
            last_error_at: None,
            last_logged_at: None,
            last_delivery_at: None,
            watermark: None,
            position: String::new(),
            facts: 0,
            rejects: 0,
            refused: 0,
            last_refusal: "",
            last_refused_at: None,
            findings: BTreeMap::new(),
        })))
    }

    /// The status now.
    #[must_use]
    pub fn get(&self) -> ConnectorStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connector went into `state`.
    pub fn enter(&self, state: ConnectorState) {
        self.change(|status| status.state = state);
    }

    /// Something was stored.
    pub fn delivered(&self, facts: usize, rejects: usize, at: Millis) {
        self.change(|status| {
            status.facts += facts as u64;
            status.rejects += rejects as u64;
            status.last_delivery_at = Some(at);
            if matches!(status.state, ConnectorState::Idle | ConnectorState::Retrying) {
                status.state = ConnectorState::Running;
            }
        });
    }

    /// Something went wrong. It is logged when it is another error than before, and every ten minutes.
    pub fn failed(&self, error: &str, at: Millis) {
        let label = ontology::Vocabulary::name(self.get().system);
        metrics::counter!("opshub_connector_errors_total", "system" => label).increment(1);
        self.change(|status| {
            if status.is_news(error, at) {
                tracing::warn!(system = label, error, "a source fails");
                status.last_logged_at = Some(at);
            }
            error.clone_into(&mut status.last_error);
            status.last_error_at = Some(at);
        });
    }

    /// A request was refused at the edge.
    pub fn refused(&self, code: &'static str, at: Millis) {
        let label = ontology::Vocabulary::name(self.get().system);
        metrics::counter!("opshub_connector_refused_total", "system" => label, "code" => code).increment(1);
        self.change(|status| {
            status.refused += 1;
            status.last_refusal = code;
            status.last_refused_at = Some(at);
            // The first, and then ever more of them at a time: whoever knocks writes no log.
            if status.refused.is_power_of_two() {
                let count = status.refused;
                tracing::warn!(system = label, code, count, "deliveries of a source are refused");
            }
        });
    }

    /// Opens a finding of this kind, renews its text, or closes it.
    pub fn find(&self, kind: &'static str, text: Option<String>, at: Millis) {
        let label = ontology::Vocabulary::name(self.get().system);
        let is_open = f64::from(u8::from(text.is_some()));
        metrics::gauge!("opshub_connector_findings", "system" => label, "kind" => kind).set(is_open);
        self.change(|status| match text {
            None => drop(status.findings.remove(kind)),
            Some(text) => match status.findings.get_mut(kind) {
                Some(open) => open.text = text,
                None => drop(status.findings.insert(kind, Finding { text, since: at })),
            },
        });
    }

    /// Nothing newer than `until` is missing.
    pub fn watermark(&self, until: Millis) {
        self.change(|status| status.watermark = status.watermark.max(Some(until)));
    }

    /// The source's position is now `position`.
    pub fn position(&self, position: &[u8]) {
        self.change(|status| status.position = hex::encode(position));
    }

    fn change(&self, change: impl FnOnce(&mut ConnectorStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_that_are_refused_are_told_for_an_hour() {
        let status = StatusHandle::new(System::Oracle);
        let told = |at: i64| status.get().refusals(Millis(at));
        assert_eq!(told(0), None);
        status.refused("bad_origin", Millis(0));
        status.refused("bad_token", Millis(5));
        let expected = "2 deliveries refused since the start, the last for bad_token";
        assert_eq!(told(5 + REFUSAL_TOLD_MS).as_deref(), Some(expected));
        assert_eq!(told(6 + REFUSAL_TOLD_MS), None);
        status.refused("bad_token", Millis(6 + REFUSAL_TOLD_MS));
        assert!(told(6 + REFUSAL_TOLD_MS).is_some_and(|text| text.starts_with("3 ")));
    }

    #[test]
    fn an_error_that_goes_on_is_logged_again_after_ten_minutes_and_another_at_once() {
        let status = StatusHandle::new(System::Oracle);
        let is_news = |error: &str, at: i64| {
            let is_news = status.get().is_news(error, Millis(at));
            status.failed(error, Millis(at));
            is_news
        };
        assert!(is_news("403", 0) && !is_news("403", 599_999));
        assert!(is_news("403", 600_000) && is_news("404", 600_001) && !is_news("404", 600_002));
    }

    #[test]
    fn a_finding_stays_from_its_first_sight_until_its_cause_is_gone() {
        let status = StatusHandle::new(System::Salesforce);
        let found = || status.get().findings.get("few").map(|found| (found.text.clone(), found.since));
        status.find("few", None, Millis(1));
        assert_eq!(found(), None);
        status.find("few", Some("9 left".to_owned()), Millis(2));
        status.find("few", Some("8 left".to_owned()), Millis(3));
        assert_eq!(found(), Some(("8 left".to_owned(), Millis(2))));
        status.find("few", None, Millis(4));
        assert_eq!(found(), None);
    }
}
