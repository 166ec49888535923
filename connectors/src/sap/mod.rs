//! SAP: IDocs that are posted or laid into a folder, business events, and what the OData interface
//! lists.

pub mod address;
pub mod check;
pub mod decode;
pub mod event;
pub mod flat;
pub mod folder;
pub mod list;
pub mod path;
pub mod refetch;
pub mod segments;
pub mod status;
pub mod transport;

mod idoc;
mod odata;

pub use address::{Changed, SapAccess, SapSet};
pub use decode::SapDecoder;
pub use folder::SapFolderConfig;
pub use list::SapListConfig;
pub use refetch::RefetchConfig;
pub use transport::SapConfig;
