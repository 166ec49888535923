//! Watches: current state first, then every change, in commit order per key, with a bounded memory
//! per watcher.
//!
//! ```text
//! publisher --publish(stamp, changes)-----> Feed --+--> ring of recent changes (resumes)
//!                                                  +--> Pending of each watcher (folded by key)
//! watcher   <--newest published state of a key-- Watch (a stream, pulled by the client)
//! ```
//!
//! Only names of what changed are queued, never states: a slow reader costs a bounded set of keys,
//! and always gets the newest state when it reads on.

mod feed;
mod pending;
mod resume;
mod stream;

pub use feed::{Change, Feed, Stamp};
pub use stream::{Event, Selection, Upsert, Watch, WatchRequest};
