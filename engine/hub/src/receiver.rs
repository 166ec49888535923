//! The receiver of actions that no system carries out. An action that it refuses waits by itself; a
//! receiver that is away or broke makes all of them wait.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use connectors::edge::credentials::{Secret, webhook_signature};
use connectors::edge::retry::Backoff;
use ontology::Millis;
use reqwest::StatusCode;
use reqwest::redirect::Policy;

/// Actions that wait because they were refused. A receiver that refuses more is taken to be away.
const REFUSED_MAX: usize = 1_024;
/// How long the receiver may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where actions go that no system carries out.
#[derive(Debug, Clone)]
pub enum Receiver {
    /// To the log of the hub only: teams look at the dashboard.
    Journal,
    /// By POST to a web address, until it answers 2xx.
    Webhook(Webhook),
}

/// A web address that takes actions, each with its id as `Idempotency-Key` and signed as Standard Webhooks
/// says.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// What actions are signed with; two while one is being replaced, none on this machine if it likes.
    pub secrets: Vec<Secret>,
}

/// What the receiver made of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// It has it.
    Taken,
    /// It will not take this one, whatever it does with others.
    Refused,
    /// It was reached and went wrong, perhaps over this one.
    Broke,
    /// It is not reached, or takes none for now.
    Away,
}

/// A pause that grows each time, and what is left of it.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    left: Duration,
    backoff: Backoff,
}

impl Pause {
    pub(crate) fn begin(&mut self) {
        self.left = self.backoff.next_delay();
    }

    /// It went well: nothing waits, and the next pause is a short one.
    pub(crate) fn end(&mut self) {
        *self = Pause::default();
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.left.is_zero()
    }

    pub(crate) fn rest(&mut self, pause: Duration) {
        self.left = self.left.saturating_sub(pause);
    }
}

/// The receiver, and what waits for it.
pub(crate) struct Receiving {
    receiver: Receiver,
    client: reqwest::Client,
    away: Pause,
    refused: BTreeMap<Bytes, Pause>,
}

impl Receiving {
    /// # Errors
    /// When there can be no client of the web.
    pub(crate) fn new(receiver: Receiver) -> anyhow::Result<Self> {
        // An action goes where the configuration says and nowhere else.
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).redirect(Policy::none()).build()?;
        Ok(Receiving { receiver, client, away: Pause::default(), refused: BTreeMap::new() })
    }

    /// Whether no action is to be sent yet.
    pub(crate) fn is_away(&self) -> bool {
        self.away.is_on()
    }

    /// Whether an action is not to be sent yet.
    pub(crate) fn is_waiting(&self, id: &Bytes) -> bool {
        self.is_away() || self.refused.get(id).is_some_and(Pause::is_on)
    }

    /// Lets `pause` go by for everything that waits.
    pub(crate) fn rest(&mut self, pause: Duration) {
        self.away.rest(pause);
        for one in self.refused.values_mut() {
            one.rest(pause);
        }
    }

    /// Sends an action, and notes who has to wait if it is not taken.
    pub(crate) async fn send(&mut self, id: &Bytes, body: &Bytes, now: Millis) -> Received {
        let received = match &self.receiver {
            Receiver::Journal => {
                tracing::debug!(action = %String::from_utf8_lossy(id), "action decided");
                Received::Taken
            }
            Receiver::Webhook(webhook) => post(&self.client, webhook, (id, body), now).await,
        };
        self.note(id, received);
        received
    }

    fn note(&mut self, id: &Bytes, received: Received) {
        match received {
            Received::Taken => {
                self.away.end();
                self.refused.remove(id);
            }
            Received::Refused if self.refused.len() < REFUSED_MAX || self.refused.contains_key(id) => {
                self.away.end();
                self.refused.entry(id.clone()).or_default().begin();
            }
            Received::Refused | Received::Broke | Received::Away => self.away.begin(),
        }
    }
}

async fn post(client: &reqwest::Client, webhook: &Webhook, (id, body): (&Bytes, &Bytes), now: Millis) -> Received {
    let (id, at_s) = (String::from_utf8_lossy(id), now.0.div_euclid(1_000));
    let mut request = client.post(&webhook.url).header("idempotency-key", &*id);
    request = request.header("content-type", "application/json");
    if !webhook.secrets.is_empty() {
        let signatures = webhook.secrets.iter().map(|secret| webhook_signature(secret, &id, at_s, body));
        let signatures = signatures.collect::<Vec<_>>().join(" ");
        request = request.header("webhook-id", &*id).header("webhook-timestamp", at_s);
        request = request.header("webhook-signature", signatures);
    }
    match request.body(body.clone()).send().await {
        Ok(answer) if answer.status().is_success() => Received::Taken,
        Ok(answer) => {
            let status = answer.status();
            tracing::warn!(action = %id, status = status.as_u16(), "receiver refused an action, will retry");
            of_status(status)
        }
        Err(error) => {
            let is_reached = error.is_timeout() && !error.is_connect();
            let error = error.without_url();
            tracing::warn!(action = %id, %error, "receiver of actions does not answer, will retry");
            if is_reached { Received::Broke } else { Received::Away }
        }
    }
}

/// What a status other than 2xx is about: a fault of the caller is about what was sent, and some say
/// to come again.
fn of_status(status: StatusCode) -> Received {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Received::Away,
        status if status.is_client_error() => Received::Refused,
        _ => Received::Broke,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn receiving() -> Receiving {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Receiving::new(Receiver::Journal).unwrap()
    }

    fn id(number: usize) -> Bytes {
        format!("action-{number}").into()
    }

    #[test]
    fn faults_of_the_caller_are_about_one_action_and_all_else_may_be_about_the_receiver() {
        let check = |status: u16, expected| {
            assert_eq!(of_status(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        };
        for status in [400, 403, 404, 409, 410, 413, 422, 499] {
            check(status, Received::Refused);
        }
        for status in [408, 429, 503] {
            check(status, Received::Away);
        }
        for status in [301, 399, 500, 502, 599] {
            check(status, Received::Broke);
        }
    }

    #[test]
    fn a_refused_action_waits_alone_and_longer_each_time() {
        let mut receiving = receiving();
        receiving.note(&id(1), Received::Refused);
        assert_eq!((receiving.is_waiting(&id(1)), receiving.is_waiting(&id(2))), (true, false));
        receiving.rest(Duration::from_secs(1));
        assert!(!receiving.is_waiting(&id(1)));
        receiving.note(&id(1), Received::Refused);
        receiving.rest(Duration::from_secs(1));
        assert!(receiving.is_waiting(&id(1)), "the second pause is longer");
        receiving.note(&id(1), Received::Taken);
        assert!(!receiving.is_waiting(&id(1)) && receiving.refused.is_empty());
    }

    #[test]
    fn a_receiver_that_is_away_or_refuses_too_many_makes_all_wait() {
        let mut receiving = receiving();
        receiving.note(&id(1), Received::Away);
        assert!(receiving.is_waiting(&id(2)));
        receiving.note(&id(1), Received::Taken);
        for number in 0..REFUSED_MAX {
            receiving.note(&id(number), Received::Refused);
        }
        receiving.note(&id(0), Received::Refused);
        assert!(!receiving.is_waiting(&id(REFUSED_MAX)));
        receiving.note(&id(REFUSED_MAX), Received::Refused);
        assert!(receiving.is_waiting(&id(REFUSED_MAX + 1)));
        assert_eq!(receiving.refused.len(), REFUSED_MAX);
    }
}
