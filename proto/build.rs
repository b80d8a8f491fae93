//! Compiles the contract with a pure-Rust protobuf compiler: no protoc on the machine.
use std::path::{Path, PathBuf};

use protox::prost_reflect::prost::Message as _;

fn protos(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            protos(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=havenlink");
    let mut files = Vec::new();
    protos(Path::new("havenlink"), &mut files)?;
    files.sort();
    let set = protox::compile(&files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptor_set.bin"), set.encode_to_vec())?;
    tonic_prost_build::configure().build_client(true).build_server(true).bytes(".").btree_map(".").compile_fds(set)?;
    Ok(())
}
