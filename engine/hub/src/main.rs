//! The `opshub` binary.
fn main() {}
