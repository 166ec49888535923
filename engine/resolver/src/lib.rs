//! Which party records are one customer (spec 4), kept current record by record.
//!
//! Three layers, each a function of the one below, so that nothing depends on the order in which
//! records arrive: *edges* (a pair of current records, the model, human judgements), *clusters* (the
//! edges of one component), *customer ids* (the smallest member). An update marks what it touches;
//! [`Resolver::drain`] redoes exactly that and says which customers changed.
//!
//! ```
//! use ontology::{EntityKey, EntityKind, Fields, PartyRecord};
//! use resolver::{Model, Resolver};
//!
//! let mut resolver = Resolver::new(Model::shipped());
//! let keys = [EntityKey::new(EntityKind::Account, "A-1"), EntityKey::new(EntityKind::ArCustomer, "AR-1")];
//! for (key, name) in keys.iter().zip(["Acme GmbH", "ACME"]) {
//!     let mut record = PartyRecord::read(key, &Fields::default());
//!     record.name = name.into();
//!     record.tax_id = "DE123456789".into();
//!     resolver.upsert(record);
//! }
//! let changes = resolver.drain();
//! assert_eq!(changes[0].after[0].members, keys);
//! assert_eq!(resolver.customer_of(&keys[1]), resolver.customer_of(&keys[0]));
//! ```

mod answer;
mod blocking;
mod callers;
mod cluster;
mod compare;
mod confidence;
mod drain;
mod feature;
mod fingerprint;
mod graph;
mod index;
mod judgement;
mod kernel;
mod kind;
pub mod learn;
mod model;
mod parameters;
mod postings;
mod read;
mod recluster;
mod resolver;
mod row;
mod rules;
mod score;
mod sketch;
mod standard;
mod survey;

pub use answer::{
    Candidate, Cause, Cluster, ClusterChange, Counters, Explanation, FeatureExplanation, Link, LinkState, Member,
    PairDecision, ReviewItem, WhyNotAutomatic,
};
pub use blocking::{BlockKind, BlockKinds};
pub use confidence::Confidence;
pub use feature::{Feature, Group, Level, Levels};
pub use index::Slot;
pub use judgement::Judgement;
pub use kind::{Column, Kind, Layout, LayoutError};
pub use model::{Error, Model};
pub use parameters::{Callers, Decision, Limits, Parameters, Prior, Probabilities, Terms};
pub use resolver::{Resolver, Scope};
pub use row::{Row, kind_of_source};
