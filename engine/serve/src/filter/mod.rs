//! The filter and order grammar of every list and watch.
//!
//! ```text
//! filter     = and { "OR" and }
//! and        = term { "AND" term }
//! term       = "NOT" term | "(" filter ")" | field op value
//! op         = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! value      = "quoted text" | 'quoted text' | word
//! order_by   = field [ "asc" | "desc" ] { "," ... }
//! ```
//!
//! `AND` binds closer than `OR`. `field:value` asks whether a list holds the value or a text
//! contains it, `field:*` whether the field is there. Words of an enumeration compare by their
//! place in it. What can be filtered is a visible slice of [`Column`]s per resource.

mod column;
mod order;
mod parse;

pub use column::{Column, Kind, Operand};
pub use order::Order;
pub use parse::Filter;
