//! Oracle receivables: log-captured row changes, pushed over HTTP or read from files.

pub mod decode;
pub mod file;
pub mod transport;

pub use decode::OracleDecoder;
pub use transport::{OracleConfig, OracleListConfig};
