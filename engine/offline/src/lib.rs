//! The engine's own resolver on tables: train, run, explain, evaluate, compare models.
//!
//! A [`Map`] says what the columns hold; nothing else about a table has to be known. [`Inputs`] reads
//! tables as [`Records`], [`Outcome`] is what resolving them gave, [`evaluate()`] holds it against
//! the truth.

mod error;
mod evaluate;
mod kind;
mod map;
mod outcome;
mod records;
mod table;

pub use error::Error;
pub use evaluate::{Automatic, Bin, ClusterQuality, Evaluation, Quality, SourcePair, Truth, evaluate, wilson};
pub use kind::Kind;
pub use map::{ColumnMeaning, Linking, Map};
pub use outcome::{Decision, Outcome, Pair, Summary};
pub use records::{Entry, Inputs, Records, Tables};
pub use table::BadRow;
