//! From views to wire types, and from requests to what the core understands. Plain functions.

pub mod common;
pub mod customer;
pub mod derived;
pub mod event;
pub mod golden;
pub mod handoff;
pub mod identity;
pub mod kept;
pub mod kpi;
pub mod records;

/// Number on the wire of a word of an ontology vocabulary. Wire enums list the same words in the
/// same order behind `UNSPECIFIED`; a test compares the names.
pub(crate) fn word<V: ontology::Vocabulary>(word: V) -> i32 {
    i32::from(word.code()) + 1
}

/// The vocabulary's word for a number on the wire; none for `UNSPECIFIED` and numbers beyond.
pub(crate) fn vocabulary<V: ontology::Vocabulary>(number: i32) -> Option<V> {
    V::from_code(u8::try_from(number.checked_sub(1)?).ok()?)
}
