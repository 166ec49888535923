//! The nouns of the hub: facts, versions, entities, money, evidence.
//!
//! A *fact* says that one source row had some fields at one version. Everything else the hub knows
//! is derived from facts. This crate holds what a fact is made of and nothing that decides: no I/O,
//! no clock, no randomness, no floating point in anything that is stored or compared.

pub mod canonical;
pub mod codec;
pub mod entity;
pub mod evidence;
pub mod fact;
pub mod field;
pub mod fields;
pub mod finding;
pub mod id;
pub mod key;
pub mod money;
pub mod party;
pub mod status;
pub mod system;
pub mod time;
pub mod trace;
pub mod version;
pub mod vocabulary;

pub use evidence::Evidence;
pub use fact::{Fact, Op};
pub use field::{Class, Field};
pub use fields::{FieldReader, Fields, FieldsBuilder, ListBuilder, ValueRef};
pub use finding::{Finding, FindingKind, FindingSeverity};
pub use id::{CustomerId, ObjectId};
pub use key::{EntityKey, EntityKind, SourceKey};
pub use money::{Currency, Money};
pub use party::PartyRecord;
pub use system::System;
pub use time::Millis;
pub use trace::{Trace, Traced};
pub use version::{Stamp, Version};
pub use vocabulary::{Coded, Vocabulary};

/// A place in the log: the first fact is 1, 0 is "before everything".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPos(pub u64);
