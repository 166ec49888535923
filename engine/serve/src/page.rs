//! Pages of lists: sizes, and tokens bound to the call they come from.

use ontology::LogPos;
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::reason::{Reason, Refusal};
use crate::token::{TokenKind, open, seal};

/// Page size when the caller names none.
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// Greater page sizes are cut to this.
pub const PAGE_SIZE_MAX: usize = 1_000;

#[derive(Clone, PartialEq, Message)]
struct PageToken {
    #[prost(bytes = "vec", tag = "1")]
    arguments: Vec<u8>,
    #[prost(uint64, tag = "2")]
    log_pos: u64,
    #[prost(uint64, tag = "3")]
    offset: u64,
    #[prost(string, tag = "4")]
    after: String,
}

/// Digest of the arguments that make two list calls the same walk. Page size is not among them:
/// a caller may change it between pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arguments([u8; 8]);

impl Arguments {
    /// The arguments of a call: its method and whatever decides which items it lists.
    #[must_use]
    pub fn of(method: &str, parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&method).chain(parts) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Arguments(digest[..8].try_into().expect("a digest has 32 bytes"))
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One page of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Which walk.
    pub arguments: Arguments,
    /// The position the walk reads; none on the first page.
    pub position: Option<LogPos>,
    /// How many items of the walk came before this page.
    pub offset: usize,
    /// The key of the last item before this page, for walks in key order; empty on the first page.
    pub after: String,
    /// How many items to return.
    pub size: usize,
}

impl Page {
    /// Reads size and token of a list call.
    ///
    /// # Errors
    /// If the size is negative or the token is malformed or comes from another call.
    pub fn read(arguments: Arguments, size: i32, token: &str) -> Result<Self, Refusal> {
        let size = usize::try_from(size).map_err(|_| Refusal::field("page_size", "is negative"))?;
        let size = if size == 0 { PAGE_SIZE_DEFAULT } else { size.min(PAGE_SIZE_MAX) };
        let first = Page { arguments, position: None, offset: 0, after: String::new(), size };
        if token.is_empty() {
            return Ok(first);
        }
        let token: PageToken = open(TokenKind::Page, token).ok_or_else(|| Refusal::new(Reason::PageTokenInvalid))?;
        if token.arguments != arguments.0 {
            return Err(Refusal::new(Reason::PageTokenMismatch));
        }
        let offset = usize::try_from(token.offset).map_err(|_| Refusal::new(Reason::PageTokenInvalid))?;
        Ok(Page { position: Some(LogPos(token.log_pos)), offset, after: token.after, ..first })
    }

    /// Token of the page that follows `count` items read at `position`, the last having key `last`.
    #[must_use]
    pub fn next(&self, position: LogPos, count: usize, last: &str) -> String {
        seal(
            TokenKind::Page,
            &PageToken {
                arguments: self.arguments.0.to_vec(),
                log_pos: position.0,
                offset: (self.offset + count) as u64,
                after: last.to_owned(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_a_default_a_cap_and_no_negatives() {
        let arguments = Arguments::of("List", &[]);
        let size = |size| Page::read(arguments, size, "").map(|page| page.size);
        assert_eq!(size(0).unwrap(), 50);
        assert_eq!(size(1).unwrap(), 1);
        assert_eq!(size(1_000).unwrap(), 1_000);
        assert_eq!(size(1_001).unwrap(), 1_000);
        assert_eq!(size(-1).unwrap_err().reason(), Reason::InvalidField);
    }

    #[test]
    fn a_token_of_another_call_is_a_mismatch_and_garbage_is_invalid() {
        let mine = Arguments::of("List", &["a = 1", ""]);
        let token = Page::read(mine, 1, "").unwrap().next(LogPos(1), 1, "");
        let other = Arguments::of("List", &["", "a = 1"]);
        assert_eq!(Page::read(other, 1, &token).unwrap_err().reason(), Reason::PageTokenMismatch);
        assert_eq!(Page::read(mine, 1, "nonsense").unwrap_err().reason(), Reason::PageTokenInvalid);
    }
}
