//! The workloads that the hub is measured by, and how their figures are told.
//!
//! Every budget is a ratio of two CPU times of one run on one machine, because seconds alone say
//! more about the machine than about the program. This crate makes the input, does the cheap half
//! of each ratio itself, and knows the right answer; `opshub bench` brings the expensive half.

pub mod cpu;
pub mod ingest;
pub mod machine;
pub mod read;
pub mod report;
pub mod stream;
pub mod yardstick;
