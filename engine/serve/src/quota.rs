//! What one caller may ask for at a time, so that none takes the hub from the others.
//!
//! Each caller has an account of its own: calls and bytes flow into it at a rate, and a second of the rate
//! may be saved up; streams are counted while they are open. Bytes are known once they have passed, so they
//! are charged afterwards, and who owes some waits. Who is not known by a credential calls from this machine
//! and has no bound.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::metrics;
use crate::reason::{Reason, Refusal};

/// Accounts that are kept; those that are full and unused are dropped when there are more.
const ACCOUNTS_MAX: usize = 4_096;
/// So many seconds of the rate may be owed at the most.
const DEBT_SECONDS_MAX: f64 = 5.0;

/// What one caller may ask for; 0 is without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Calls in a second.
    pub calls_per_second: u32,
    /// Bytes of requests, and of answers that are no streams, in a second.
    pub bytes_per_second: u64,
    /// Streams open at a time; watches count.
    pub streams: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Quota { calls_per_second: 1_000, bytes_per_second: 32 * 1024 * 1024, streams: 2_000 }
    }
}

/// Something that flows in at a rate and is used up.
#[derive(Debug)]
struct Bucket {
    /// What flows in in a second; none if there is no bound.
    rate: Option<f64>,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u64, now: Instant) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let rate = (rate > 0).then_some(rate as f64);
        Bucket { rate, level: rate.unwrap_or_default(), at: now }
    }

    fn refill(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        let flown = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        (self.level, self.at) = ((self.level + flown).min(rate), now);
    }

    fn has(&mut self, count: f64, now: Instant) -> bool {
        self.refill(now);
        self.rate.is_none() || self.level >= count
    }

    fn take(&mut self, count: f64) {
        if let Some(rate) = self.rate {
            self.level = (self.level - count).max(-DEBT_SECONDS_MAX * rate);
        }
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.rate.is_none_or(|rate| self.level >= rate)
    }
}

#[derive(Debug)]
struct Account {
    calls: Bucket,
    bytes: Bucket,
    streams: u32,
}

/// The accounts of all callers.
#[derive(Debug)]
pub struct Quotas {
    quota: Quota,
    accounts: Mutex<HashMap<String, Arc<Mutex<Account>>>>,
}

/// A call that was let in. Dropping it ends a stream.
#[derive(Debug)]
pub struct Admitted {
    account: Arc<Mutex<Account>>,
    is_stream: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Quotas {
    /// Accounts that are full.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Quotas { quota, accounts: Mutex::default() }
    }

    /// Lets a call of `caller` in, or says what it has used up.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub fn admit(&self, caller: &str, is_stream: bool, now: Instant) -> Result<Admitted, Refusal> {
        let account = self.account(caller, now);
        let mut state = locked(&account);
        let Quota { calls_per_second, bytes_per_second, streams } = self.quota;
        if !state.calls.has(1.0, now) {
            return Err(used_up("calls_per_second", u64::from(calls_per_second), "calls a second"));
        }
        if !state.bytes.has(0.0, now) {
            return Err(used_up("bytes_per_second", bytes_per_second, "bytes a second"));
        }
        if is_stream && streams > 0 && state.streams >= streams {
            return Err(used_up("streams", u64::from(streams), "open streams"));
        }
        state.calls.take(1.0);
        state.streams += u32::from(is_stream);
        drop(state);
        Ok(Admitted { account, is_stream })
    }

    fn account(&self, caller: &str, now: Instant) -> Arc<Mutex<Account>> {
        let mut accounts = locked(&self.accounts);
        if let Some(account) = accounts.get(caller) {
            return account.clone();
        }
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.retain(|_, account| Arc::strong_count(account) > 1 || !locked(account).is_as_new(now));
        }
        let Quota { calls_per_second, bytes_per_second, .. } = self.quota;
        let new = Account {
            calls: Bucket::full(u64::from(calls_per_second), now),
            bytes: Bucket::full(bytes_per_second, now),
            streams: 0,
        };
        accounts.entry(caller.to_owned()).or_insert_with(|| Arc::new(Mutex::new(new))).clone()
    }
}

impl Account {
    /// Whether dropping it forgets nothing.
    fn is_as_new(&mut self, now: Instant) -> bool {
        self.streams == 0 && self.calls.is_full(now) && self.bytes.is_full(now)
    }
}

fn used_up(key: &'static str, limit: u64, what: &str) -> Refusal {
    metrics::QUOTA_REFUSED.add(&[key], 1);
    Refusal::new(Reason::QuotaExceeded).with("limit", limit).with("what", what).with("key", format!("api.quota.{key}"))
}

impl Admitted {
    /// The body, with its bytes charged to the caller as they pass.
    #[must_use]
    pub fn charged(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Metered { body, admitted: self.clone(), counts: true })
    }

    /// The body, with the call lasting as long as it does.
    #[must_use]
    pub fn held(self: Arc<Self>, body: Body) -> Body {
        let counts = !self.is_stream;
        Body::new(Metered { body, admitted: self, counts })
    }

    fn charge(&self, bytes: usize) {
        #[allow(clippy::cast_precision_loss, reason = "a number of bytes that is far below 2^52")]
        locked(&self.account).bytes.take(bytes as f64);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.is_stream {
            locked(&self.account).streams -= 1;
        }
    }
}

/// A body whose call lasts as long as it does.
struct Metered {
    body: Body,
    admitted: Arc<Admitted>,
    counts: bool,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref().filter(|_| self.counts)
        {
            self.admitted.charge(bytes.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn quotas() -> (Quotas, Instant) {
        let quota = Quota { calls_per_second: 10, bytes_per_second: 1_000, streams: 2 };
        #[allow(clippy::disallowed_methods, reason = "an instant to count from")]
        let now = Instant::now();
        (Quotas::new(quota), now)
    }

    fn used_up(quotas: &Quotas, caller: &str, is_stream: bool, now: Instant) -> String {
        let refusal = quotas.admit(caller, is_stream, now).unwrap_err();
        assert_eq!(refusal.reason(), Reason::QuotaExceeded);
        refusal.metadata()["key"].clone()
    }

    #[test]
    fn a_caller_has_a_second_of_calls_at_once_and_then_its_rate() {
        let (quotas, now) = quotas();
        for _ in 0..10 {
            quotas.admit("ann", false, now).unwrap();
        }
        assert_eq!(used_up(&quotas, "ann", false, now), "api.quota.calls_per_second");
        quotas.admit("bob", false, now).unwrap();
        assert_eq!(used_up(&quotas, "ann", false, now + Duration::from_millis(99)), "api.quota.calls_per_second");
        quotas.admit("ann", false, now + Duration::from_millis(101)).unwrap();
        // However long it is quiet, no more than a second is saved up.
        let later = now + Duration::from_secs(3_600);
        for _ in 0..10 {
            quotas.admit("ann", false, later).unwrap();
        }
        assert_eq!(used_up(&quotas, "ann", false, later), "api.quota.calls_per_second");
    }

    #[test]
    fn bytes_are_charged_afterwards_and_debts_are_bounded() {
        let (quotas, now) = quotas();
        let admitted = quotas.admit("ann", false, now).unwrap();
        admitted.charge(1_000);
        quotas.admit("ann", false, now).unwrap();
        admitted.charge(1);
        assert_eq!(used_up(&quotas, "ann", false, now), "api.quota.bytes_per_second");
        quotas.admit("ann", false, now + Duration::from_millis(2)).unwrap();
        admitted.charge(1_000_000_000);
        let paid = now + Duration::from_millis(5_010);
        assert_eq!(used_up(&quotas, "ann", false, now + Duration::from_millis(4_990)), "api.quota.bytes_per_second");
        quotas.admit("ann", false, paid).unwrap();
    }

    #[test]
    fn streams_count_while_they_are_open() {
        let (quotas, now) = quotas();
        let first = quotas.admit("ann", true, now).unwrap();
        let _second = quotas.admit("ann", true, now).unwrap();
        assert_eq!(used_up(&quotas, "ann", true, now), "api.quota.streams");
        quotas.admit("ann", false, now).unwrap();
        drop(first);
        quotas.admit("ann", true, now).unwrap();
    }

    #[test]
    fn zero_is_without_bound_and_unused_accounts_are_dropped() {
        let (_, now) = quotas();
        let open = Quotas::new(Quota { calls_per_second: 0, bytes_per_second: 0, streams: 0 });
        let held: Vec<_> = (0..5_000).map(|_| open.admit("ann", true, now).unwrap()).collect();
        held[0].charge(usize::MAX);
        open.admit("ann", false, now).unwrap();
        for caller in 0..2 * ACCOUNTS_MAX {
            open.admit(&caller.to_string(), false, now).unwrap();
        }
        let accounts = locked(&open.accounts);
        assert!(accounts.len() <= ACCOUNTS_MAX && accounts.contains_key("ann"), "{}", accounts.len());
    }
}
