//! SAP: IDoc documents posted over HTTP, list queries over OData.

pub mod decode;
pub mod flat;
pub mod path;
pub mod segments;
pub mod transport;

pub use decode::SapDecoder;
pub use transport::{SapConfig, SapListConfig};
