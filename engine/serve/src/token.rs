//! Opaque tokens: positions, pages and resume points.
//!
//! A token is a small message with a kind before it and a checksum behind it, in URL-safe base64.
//! Clients hand it back and never look inside, so its content may change: a token of another
//! version or kind is malformed, not misread. It is no secret and grants nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ontology::LogPos;
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::reason::{Reason, Refusal};

const CHECKSUM_BYTES: usize = 6;
/// No token of ours is longer, so nothing longer is decoded.
const ENCODED_BYTES_MAX: usize = 4_096;

/// What a token is for; the first byte of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TokenKind {
    /// A place in the log.
    Position = 1,
    /// Where the next page of a list starts.
    Page = 2,
    /// Where a watch goes on.
    Resume = 3,
}

/// Writes a token.
pub(crate) fn seal(kind: TokenKind, content: &impl Message) -> String {
    let mut bytes = vec![kind as u8];
    bytes.extend(content.encode_to_vec());
    let checksum = Sha256::digest(&bytes);
    bytes.extend(&checksum[..CHECKSUM_BYTES]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token; none if it is not one of this kind.
pub(crate) fn open<M: Message + Default>(kind: TokenKind, text: &str) -> Option<M> {
    if text.len() > ENCODED_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if Sha256::digest(body)[..CHECKSUM_BYTES] != *checksum || *body.first()? != kind as u8 {
        return None;
    }
    M::decode(&body[1..]).ok()
}

#[derive(Clone, PartialEq, Message)]
struct PositionToken {
    #[prost(uint64, tag = "1")]
    log_pos: u64,
}

/// A place in the log as clients hold it.
#[must_use]
pub fn position_token(position: LogPos) -> String {
    seal(TokenKind::Position, &PositionToken { log_pos: position.0 })
}

/// Reads the position in a request field; none if the field is empty.
pub fn read_position(field: &'static str, text: &str) -> Result<Option<LogPos>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    open::<PositionToken>(TokenKind::Position, text)
        .map(|token| Some(LogPos(token.log_pos)))
        .ok_or_else(|| Refusal::new(Reason::PositionInvalid).with("field", field))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_position_reads_back() {
        for position in [0, 1, u64::MAX] {
            let token = position_token(LogPos(position));
            assert_eq!(read_position("min_position", &token).unwrap(), Some(LogPos(position)));
        }
        assert_eq!(read_position("min_position", "").unwrap(), None);
    }

    #[test]
    fn a_changed_cut_or_foreign_token_is_malformed() {
        let token = position_token(LogPos(77));
        for i in 0..token.len() {
            assert!(
                read_position("p", &token[..i]).is_ok_and(|p| p.is_none()) || read_position("p", &token[..i]).is_err()
            );
            let mut changed = token.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            assert!(read_position("p", std::str::from_utf8(&changed).unwrap()).is_err());
        }
        assert!(open::<PositionToken>(TokenKind::Page, &token).is_none());
        assert!(read_position("p", &"A".repeat(ENCODED_BYTES_MAX + 1)).is_err());
        assert!(read_position("p", "not base64!").is_err());
    }
}
