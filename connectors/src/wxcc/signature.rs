//! Proof that a webhook comes from where it says.

use hmac::{Hmac, Mac};
use ontology::Millis;
use sha2::Sha256;

/// How far the signed time may be from ours, both ways, in milliseconds.
pub const FRESHNESS_MAX_MS: i64 = 5 * Millis::MINUTE_MS;

/// Why a request was refused at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature header.
    #[error("a webhook without signature")]
    Missing,
    /// No live secret gives this signature.
    #[error("a webhook with a wrong signature")]
    Wrong,
    /// The signed time is too old, too new, or not the one of the body.
    #[error("a webhook that is not fresh")]
    NotFresh,
}

/// Checks the hexadecimal `signature` of the raw bytes against every live secret, in constant time.
pub fn verify(secrets: &[Vec<u8>], raw: &[u8], signature: Option<&str>) -> Result<(), Refusal> {
    let signature = signature.ok_or(Refusal::Missing)?;
    let given = hex::decode(signature.trim()).map_err(|_| Refusal::Wrong)?;
    let mut is_proven = false;
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is taken");
        mac.update(raw);
        is_proven |= mac.verify_slice(&given).is_ok();
    }
    if is_proven { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Checks the signed time of the header, if there is one, against the body's and against `now`.
pub fn is_fresh(header: Option<&str>, body: Option<i64>, now: Millis) -> Result<(), Refusal> {
    let header = match header {
        None => None,
        Some(text) => Some(text.trim().parse::<i64>().map_err(|_| Refusal::NotFresh)?),
    };
    if let (Some(header), Some(body)) = (header, body)
        && header != body
    {
        return Err(Refusal::NotFresh);
    }
    match header.or(body) {
        Some(at) if now.since(Millis(at)).saturating_abs() > FRESHNESS_MAX_MS => Err(Refusal::NotFresh),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VECTOR: &str = "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494";

    #[test]
    fn a_signature_holds_for_these_bytes_and_one_of_the_secrets() {
        let secrets = vec![b"old".to_vec(), b"secret".to_vec()];
        assert_eq!(verify(&secrets, br#"{"a":1}"#, Some(VECTOR)), Ok(()));
        assert_eq!(verify(&secrets, br#"{"a":1}"#, Some(&VECTOR.to_uppercase())), Ok(()));
        assert_eq!(verify(&secrets, br#"{"a": 1}"#, Some(VECTOR)), Err(Refusal::Wrong));
        assert_eq!(verify(&secrets[..1], br#"{"a":1}"#, Some(VECTOR)), Err(Refusal::Wrong));
        assert_eq!(verify(&secrets, br#"{"a":1}"#, Some("xyz")), Err(Refusal::Wrong));
        assert_eq!(verify(&secrets, br#"{"a":1}"#, Some("")), Err(Refusal::Wrong));
        assert_eq!(verify(&secrets, br#"{"a":1}"#, None), Err(Refusal::Missing));
        assert_eq!(verify(&[], br#"{"a":1}"#, Some(VECTOR)), Err(Refusal::Wrong));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let body = br#"{"a":1}"#;
        for place in 0..body.len() {
            let mut flipped = body.to_vec();
            flipped[place] ^= 1;
            assert_eq!(verify(&[b"secret".to_vec()], &flipped, Some(VECTOR)), Err(Refusal::Wrong));
        }
    }

    #[test]
    fn freshness_is_five_minutes_both_ways() {
        let now = Millis(10_000_000);
        let at = |offset: i64| (now + offset).0.to_string();
        for offset in [-FRESHNESS_MAX_MS, 0, FRESHNESS_MAX_MS] {
            assert_eq!(is_fresh(Some(&at(offset)), None, now), Ok(()));
        }
        for offset in [-FRESHNESS_MAX_MS - 1, FRESHNESS_MAX_MS + 1] {
            assert_eq!(is_fresh(Some(&at(offset)), None, now), Err(Refusal::NotFresh));
            assert_eq!(is_fresh(None, Some(now.0 + offset), now), Err(Refusal::NotFresh));
        }
        assert_eq!(is_fresh(Some(&at(0)), Some(now.0 + 1), now), Err(Refusal::NotFresh));
        assert_eq!(is_fresh(Some("soon"), None, now), Err(Refusal::NotFresh));
        assert_eq!(is_fresh(None, None, now), Ok(()));
    }
}
