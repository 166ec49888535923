//! Proof that a webhook comes from Zendesk, and lately.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use ontology::Millis;
use sha2::Sha256;

/// How far the signed time may be from ours, both ways, in milliseconds. The vendor documents no
/// window of its own.
pub const FRESHNESS_MAX_MS: i64 = 5 * Millis::MINUTE_MS;

/// The secret that signs tests of a webhook before it is created. Everybody knows it, so it proves
/// nothing.
pub const TEST_SECRET: &str = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==";

/// Why a request was refused at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature, or no signed time.
    #[error("a webhook without signature")]
    Missing,
    /// No live secret gives this signature.
    #[error("a webhook with a wrong signature")]
    Wrong,
    /// The signed time is too old, too new, or no time.
    #[error("a webhook that is not fresh")]
    NotFresh,
}

impl Refusal {
    /// Name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Missing | Refusal::Wrong => "bad_signature",
            Refusal::NotFresh => "not_fresh",
        }
    }
}

/// Checks `signature`, which is the base64 of an HMAC-SHA256 over the text of `timestamp` and the
/// raw bytes with nothing between them, against every live secret, in constant time.
pub fn verify(
    secrets: &[Vec<u8>],
    timestamp: Option<&str>,
    raw: &[u8],
    signature: Option<&str>,
) -> Result<(), Refusal> {
    let (Some(timestamp), Some(signature)) = (timestamp, signature) else { return Err(Refusal::Missing) };
    let given = STANDARD.decode(signature.trim()).map_err(|_| Refusal::Wrong)?;
    let mut is_proven = false;
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is taken");
        mac.update(timestamp.as_bytes());
        mac.update(raw);
        is_proven |= mac.verify_slice(&given).is_ok();
    }
    if is_proven { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Checks the signed time, an instant in ISO 8601, against `now`.
pub fn is_fresh(timestamp: Option<&str>, now: Millis) -> Result<(), Refusal> {
    let at: jiff::Timestamp = timestamp.ok_or(Refusal::Missing)?.trim().parse().map_err(|_| Refusal::NotFresh)?;
    let age = now.since(Millis(at.as_millisecond()));
    if age.saturating_abs() > FRESHNESS_MAX_MS { Err(Refusal::NotFresh) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const AT: &str = "2021-01-01T00:00:00Z";
    const BODY: &[u8] = br#"{"a":1}"#;
    const VECTOR: &str = "hmnzWqRMbl8gzgLwAkEKP5H9Nxp9aEfPb6+AwyhgKo0=";

    fn check(at: &str, body: &[u8], signature: &str) -> Result<(), Refusal> {
        verify(&[b"old".to_vec(), b"dGVzdA".to_vec()], Some(at), body, Some(signature))
    }

    #[test]
    fn a_signature_holds_for_this_time_these_bytes_and_one_of_the_secrets() {
        assert_eq!(check(AT, BODY, VECTOR), Ok(()));
        assert_eq!(check("2021-01-01T00:00:01Z", BODY, VECTOR), Err(Refusal::Wrong));
        assert_eq!(check(AT, br#"{"a": 1}"#, VECTOR), Err(Refusal::Wrong), "the same, written otherwise");
        assert_eq!(check(AT, BODY, ""), Err(Refusal::Wrong));
        assert_eq!(verify(&[b"old".to_vec()], Some(AT), BODY, Some(VECTOR)), Err(Refusal::Wrong));
        assert_eq!(verify(&[], Some(AT), BODY, Some(VECTOR)), Err(Refusal::Wrong));
        assert_eq!(verify(&[b"dGVzdA".to_vec()], None, BODY, Some(VECTOR)), Err(Refusal::Missing));
        assert_eq!(verify(&[b"dGVzdA".to_vec()], Some(AT), BODY, None), Err(Refusal::Missing));
    }

    #[test]
    fn forms_that_circulate_and_are_wrong_are_refused() {
        let with = |message: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"dGVzdA").unwrap();
            mac.update(message);
            mac.finalize().into_bytes()
        };
        let right = with(&[AT.as_bytes(), BODY].concat());
        assert_eq!(check(AT, BODY, &STANDARD.encode(right)), Ok(()));
        assert_eq!(check(AT, BODY, &hex::encode(right)), Err(Refusal::Wrong), "hexadecimal");
        let dotted = with(&[AT.as_bytes(), b".", BODY].concat());
        assert_eq!(check(AT, BODY, &STANDARD.encode(dotted)), Err(Refusal::Wrong), "with a separator");
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        for place in 0..BODY.len() {
            let mut flipped = BODY.to_vec();
            flipped[place] ^= 1;
            assert_eq!(check(AT, &flipped, VECTOR), Err(Refusal::Wrong));
        }
    }

    #[test]
    fn freshness_is_five_minutes_both_ways() {
        let at = Millis(1_609_459_200_000);
        assert_eq!(is_fresh(Some(AT), at + FRESHNESS_MAX_MS), Ok(()));
        assert_eq!(is_fresh(Some(AT), at - FRESHNESS_MAX_MS), Ok(()));
        assert_eq!(is_fresh(Some(AT), at + (FRESHNESS_MAX_MS + 1)), Err(Refusal::NotFresh));
        assert_eq!(is_fresh(Some(AT), at - (FRESHNESS_MAX_MS + 1)), Err(Refusal::NotFresh));
        assert_eq!(is_fresh(Some("1609459200"), at), Err(Refusal::NotFresh), "an epoch is not the vendor's form");
        assert_eq!(is_fresh(None, at), Err(Refusal::Missing));
    }
}
