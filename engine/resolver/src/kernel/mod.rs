//! How alike two folded values are, on bytes and on the stack: nothing is allocated for a pair.

mod edits;
mod jaro_winkler;

pub(crate) use edits::{edits_up_to_two, within_one_edit};
pub(crate) use jaro_winkler::jaro_winkler_from;
