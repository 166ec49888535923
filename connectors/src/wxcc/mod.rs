//! Webex Contact Center: signed webhooks, and the Search API for what they lost.

pub mod caller;
pub mod decode;
pub mod signature;
pub mod transport;

pub use decode::WxccDecoder;
pub use transport::{WxccConfig, WxccSearchConfig};
