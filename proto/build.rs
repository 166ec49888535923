//! Turns `opshub/v1/*.proto` into Rust, without an installed protobuf compiler.

use std::path::{Path, PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=opshub");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(proto_files(Path::new("opshub/v1"))?)?;
    let mut set = compiler.file_descriptor_set();

    // A request that is written twice has to come to the same bytes, by which a repeat is known: maps of
    // what is ingested are in the order of their keys.
    let ordered = [".opshub.v1.Event", ".opshub.v1.FieldItem"];
    ordered
        .into_iter()
        .fold(tonic_prost_build::configure(), |built, path| built.btree_map(path))
        .compile_fds(set.clone())?;

    // Reflection needs the shapes, not the comments, and the set stands in every binary.
    for file in &mut set.file {
        file.source_code_info = None;
    }
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out_dir.join("descriptor_set.bin"), set.encode_to_vec())?;
    Ok(())
}

/// The `.proto` files of a folder, sorted so that a build does not depend on the file system.
fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
