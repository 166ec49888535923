//! Turns the event bus contract into Rust, without an installed protobuf compiler.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let set = protox::compile(["eventbus/v1/pubsub.proto"], ["proto"])?;
    // The tests serve the contract to the client.
    tonic_prost_build::configure().compile_fds(set)?;
    Ok(())
}
