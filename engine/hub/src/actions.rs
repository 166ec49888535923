//! The outer layer: empties the outbox. An action is sent at least once, with its id as
//! idempotency key, and leaves the outbox when its receiver has it.

use std::sync::Arc;
use std::time::Duration;

use storage::{Changes, Durability, Store};
use tokio_util::sync::CancellationToken;

/// How often the outbox is looked at. Actions get there with the next snapshot, within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Actions taken from the outbox at a time.
const AT_A_TIME_MAX: usize = 256;
/// First and longest pause after a failed delivery.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where actions go.
#[derive(Debug, Clone)]
pub enum Receiver {
    /// To the log of the hub only: teams look at the dashboard.
    Journal,
    /// By POST to a web address, `Idempotency-Key` in the head, until it answers 2xx.
    Webhook(String),
}

/// Performs actions until told to stop.
///
/// # Errors
/// When the outbox cannot be read or written.
pub async fn perform(store: Arc<dyn Store>, receiver: Receiver, stop: CancellationToken) -> anyhow::Result<()> {
    // A second installation is refused, and harmless: the first one stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let mut backoff = BACKOFF.0;
    while !stop.is_cancelled() {
        let pause = match perform_some(&store, &receiver, &client).await? {
            Outcome::Delivered => {
                backoff = BACKOFF.0;
                LOOK_EVERY
            }
            Outcome::Refused => {
                let pause = backoff;
                backoff = (backoff * 2).min(BACKOFF.1);
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

enum Outcome {
    Delivered,
    Refused,
}

async fn perform_some(
    store: &Arc<dyn Store>,
    receiver: &Receiver,
    client: &reqwest::Client,
) -> anyhow::Result<Outcome> {
    let pending = store.pending()?.take(AT_A_TIME_MAX).collect::<Result<Vec<_>, _>>()?;
    for (id, body) in pending {
        crate::crash::point("action.before");
        if !deliver(receiver, client, &id, &body).await {
            metrics::counter!("opshub_actions_total", "outcome" => "refused").increment(1);
            return Ok(Outcome::Refused);
        }
        crate::crash::point("action.after");
        metrics::counter!("opshub_actions_total", "outcome" => "delivered").increment(1);
        store.write(Changes::new().outbox_done(id.to_vec()), Durability::Relaxed)?;
    }
    Ok(Outcome::Delivered)
}

async fn deliver(receiver: &Receiver, client: &reqwest::Client, id: &[u8], body: &[u8]) -> bool {
    let id = String::from_utf8_lossy(id).into_owned();
    match receiver {
        Receiver::Journal => {
            tracing::debug!(action = %id, "action decided");
            true
        }
        Receiver::Webhook(url) => {
            let request = client
                .post(url)
                .header("idempotency-key", &id)
                .header("content-type", "application/json")
                .body(body.to_vec());
            match request.send().await {
                Ok(answer) if answer.status().is_success() => true,
                Ok(answer) => {
                    tracing::warn!(action = %id, status = answer.status().as_u16(), "receiver refused an action, will retry");
                    false
                }
                Err(error) => {
                    tracing::warn!(action = %id, error = %error.without_url(), "receiver of actions does not answer, will retry");
                    false
                }
            }
        }
    }
}
