//! Oracle receivables: row changes captured from the redo log, and what capture missed.
//!
//! Changes come by HTTP push ([`transport`]), from Kafka topics ([`kafka`]), from a queue over REST
//! ([`queue`]) or from a file ([`mod@file`]); the list job ([`list`]) reads over REST what none of them
//! brought. [`decode`] reads them all.

mod change;
pub mod check;
pub mod decode;
#[cfg(test)]
mod decode_tests;
mod envelope;
pub mod file;
mod goldengate;
pub mod kafka;
pub mod list;
mod ords;
mod placing;
pub mod queue;
pub mod relist;
mod row;
mod transactions;
pub mod transport;

pub use decode::OracleDecoder;
pub use list::OracleListConfig;
pub use ords::OrdsConfig;
pub use relist::Relist;
pub use transport::OracleConfig;
