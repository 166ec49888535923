//! The hub: configuration, clock, listeners, the runner, and the outer layer that performs what
//! the engine decides. The binary `opshub` is a thin shell around this library.

pub mod actions;
pub mod app;
pub mod as_of;
pub mod backend;
mod backup;
pub mod bench;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod crash;
pub mod demo;
pub mod doors;
pub mod figures;
mod gauges;
pub mod known;
pub mod outcomes;
pub mod outputs;
mod past;
pub mod publish;
mod receiver;
pub mod remapping;
mod rented;
mod room;
pub mod runner;
pub mod scenario;
pub mod sink;
pub mod stands;
pub mod targets;
pub mod traces;
