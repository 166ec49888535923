//! The stream workload: canonical change events of four systems, skewed, repeated and late.
//!
//! `benches/README.md` describes the events, how they become facts, and the job whose answer is
//! one MD5 over one line per customer.

mod content;
pub mod event;
pub mod facts;
pub mod generate;
pub mod reference;
pub mod rows;
pub mod summary;
pub mod twister;

pub use event::{Event, OwnedEvent};
pub use facts::FactMaker;
pub use generate::Workload;
pub use rows::Collector;
pub use summary::{BenchCustomer, RecordRow, checksum};
