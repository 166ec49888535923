//! Resume tokens: where a watch goes on, and which selection it belongs to.

use compact_str::CompactString;
use ontology::{LogPos, Millis};
use prost::Message;

use super::feed::{Place, Stamp};
use crate::page::Arguments;
use crate::reason::{Reason, Refusal};
use crate::token::{TokenKind, open, seal};

#[derive(Clone, PartialEq, Message)]
struct ResumeToken {
    #[prost(bytes = "vec", tag = "1")]
    selection: Vec<u8>,
    #[prost(uint64, tag = "2")]
    log_pos: u64,
    #[prost(string, tag = "3")]
    key: String,
    /// The last key of a snapshot that is still under way.
    #[prost(string, optional, tag = "4")]
    snapshot_after: Option<String>,
    /// Engine time in milliseconds; without it the token does not tell which changes by time came before.
    #[prost(int64, optional, tag = "5")]
    now_ms: Option<i64>,
    #[prost(uint32, tag = "6")]
    nth: u32,
}

/// Where a watch goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResumePoint {
    /// The next change to send.
    pub place: Place,
    /// The last key sent of a snapshot that is still under way; empty before its first.
    pub snapshot_after: Option<CompactString>,
}

impl ResumePoint {
    /// The token that leads here.
    pub fn token(&self, selection: Arguments) -> String {
        let token = ResumeToken {
            selection: selection.as_bytes().to_vec(),
            log_pos: self.place.stamp.position.0,
            key: self.place.key.to_string(),
            snapshot_after: self.snapshot_after.as_ref().map(CompactString::to_string),
            now_ms: Some(self.place.stamp.now.0),
            nth: self.place.stamp.nth,
        };
        seal(TokenKind::Resume, &token)
    }

    /// Reads a token; none if it belongs to another selection, or to a release that told no time.
    pub fn read(text: &str, selection: Arguments) -> Result<Option<Self>, Refusal> {
        let token: ResumeToken =
            open(TokenKind::Resume, text).ok_or_else(|| Refusal::new(Reason::ResumeTokenInvalid))?;
        let Some(now) = token.now_ms.map(Millis).filter(|_| token.selection == selection.as_bytes()) else {
            return Ok(None);
        };
        let stamp = Stamp { position: LogPos(token.log_pos), now, nth: token.nth };
        Ok(Some(ResumePoint {
            place: Place { stamp, key: token.key.into() },
            snapshot_after: token.snapshot_after.map(CompactString::from),
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_reads_back_for_its_own_selection_only() {
        let mine = Arguments::of("Watch", &["a = 1"]);
        let stamp = Stamp { position: LogPos(7), now: Millis(-9), nth: 2 };
        let point = ResumePoint { place: Place { stamp, key: "k".into() }, snapshot_after: Some("c".into()) };
        let token = point.token(mine);
        assert_eq!(ResumePoint::read(&token, mine).unwrap(), Some(point));
        assert_eq!(ResumePoint::read(&token, Arguments::of("Watch", &["a = 2"])).unwrap(), None);
        let selection = mine.as_bytes().to_vec();
        let without_time = ResumeToken { selection, log_pos: 7, ..ResumeToken::default() };
        assert_eq!(ResumePoint::read(&seal(TokenKind::Resume, &without_time), mine).unwrap(), None);
        assert_eq!(ResumePoint::read("x", mine).unwrap_err().reason(), Reason::ResumeTokenInvalid);
        assert_eq!(ResumePoint::read("", mine).unwrap_err().reason(), Reason::ResumeTokenInvalid);
    }
}
