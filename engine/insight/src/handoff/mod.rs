//! Handing a case to another team with everything that team has to know.
//!
//! [`assess`] says what a transfer's package would hold now; it is a pure function of the customer.
//! [`advance`] turns that into the life of the transfer: holds, releases, versions. That life is a
//! record of what was known when, so it depends on arrival and is kept ([`TransferMemory`]).

mod assessment;
mod codec;
mod concluded;
mod life;
#[cfg(test)]
mod life_tests;
mod memory;
mod narrative;
#[cfg(test)]
mod narrative_tests;
mod package;
mod recommend;
mod relevant;
mod section;
mod sections;
#[cfg(test)]
mod sections_tests;
#[cfg(test)]
pub(crate) mod testkit;

pub use assessment::{Assessment, assess};
pub use life::{HandoffAction, advance};
pub use memory::{GapAlert, HandoffState, TransferMemory};
pub use package::{Advice, IdentityChange, Narrative, Package, PackageContent, Part, Recommendation};
pub use section::{Item, Line, Missing, Section, SectionName, SectionStatus};
