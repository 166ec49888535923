//! Webex Contact Center: signed webhooks, and the Search API for what they lost.

pub mod api;
pub mod caller;
pub mod check;
pub mod decode;
pub mod search;
pub mod signature;
pub mod subscriptions;
pub mod transport;

mod event;
mod message;
mod task;
mod transcripts;

pub use api::WxccAuth;
pub use decode::WxccDecoder;
pub use search::WxccSearchConfig;
pub use subscriptions::WxccSubscriptionsConfig;
pub use transport::WxccConfig;
