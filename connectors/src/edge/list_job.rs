//! Jobs that ask a source again and again for what did not come by itself.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::http::CallError;
use super::retry::Backoff;
use super::status::{ConnectorState, StatusHandle};
use crate::contract::SharedClock;

/// One way of asking a source what changed. A run ends with the proof that nothing up to some
/// instant is missing, or changes nothing.
pub trait ListJob: Send {
    /// Asks once.
    fn run(&mut self) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Runs `job` every `interval` until `stop`, sooner and then less and less often after a failure.
pub async fn every(
    mut job: impl ListJob,
    interval: Duration,
    status: StatusHandle,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    loop {
        let delay = match job.run().await {
            Ok(()) => {
                backoff.reset();
                interval
            }
            Err(error) => {
                status.failed(&error.to_string(), clock.now());
                status.enter(ConnectorState::Retrying);
                backoff.next_delay().min(interval)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}
