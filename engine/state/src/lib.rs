//! State of records and customers: what the facts add up to.
//!
//! A [`SourceRow`] keeps, per field, the value with the highest version. An [`Entity`] is the join
//! of its rows. A [`PartyTree`] is everything that hangs below one party record, and a
//! [`Composite`] is the trees of one customer's members, joined when it is looked at and never
//! copied: a merge or a split moves membership only.

pub mod composite;
pub mod entity;
pub mod freshness;
pub mod history;
pub mod parents;
pub mod row;
pub mod tree;

pub use composite::{Composite, Elsewhere, Member, Possible};
pub use entity::Entity;
pub use freshness::{Freshness, SystemFreshness};
pub use history::{Change, History};
pub use row::{Applied, Provenance, SourceRow};
pub use tree::PartyTree;
