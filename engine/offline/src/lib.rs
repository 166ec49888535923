//! The engine's own resolver on tables: train, run, explain, evaluate, compare models.
//!
//! A [`Map`] says what the columns hold; nothing else about a table has to be known. [`Inputs`] reads
//! tables as [`Records`], [`Outcome`] is what resolving them gave, [`evaluate()`] holds it against
//! the truth.

mod decisions;
mod difference;
mod encoding;
mod error;
mod evaluate;
mod load;
mod map;
mod outcome;
mod progress;
mod records;
mod run;
mod stream;
mod table;
mod told;
mod train;

pub use decisions::{Decisions, DecisionsReport, Recalibrated, StepReport, read_decisions, recalibrate};
pub use difference::{Change, Difference};
pub use encoding::Encoding;
pub use error::Error;
pub use evaluate::{
    Automatic, Bin, ClusterQuality, Evaluation, Labels, Mistake, Mistaken, Quality, SourcePair, Truth, evaluate,
    mistaken, mistakes, wilson,
};
pub use load::{Deciding, Loaded, Rows, load};
pub use map::{ColumnMeaning, Linking, Map};
pub use outcome::{Decision, Outcome, Pair, Summary};
pub use progress::Progress;
pub use records::{Entry, Inputs, Records, Tables};
pub use run::{Run, difference, outcome, run, run_with};
pub use stream::Stream;
pub use table::{BadRow, Form};
pub use told::{Step, Told, ToldFeature};
pub use train::{CalibrationReport, FeatureReport, LevelReport, RuleReport, TrainReport, Trained, train};
