//! Compiles the contract with a pure-Rust protobuf compiler: no protoc on the machine.
//!
//! Beside prost's and tonic's code it writes what the options and the descriptors say: the access table, one row per RPC
//! (`build/access.rs`), the full names of the enums (`build/enums.rs`), how many elements each message may have
//! (`build/elements.rs`), and how a record becomes the content of a local call (`build/content.rs`). prost forgets options that it does not know,
//! so both are read from the compiler's own descriptors.

#[path = "build/access.rs"]
mod access;
#[path = "build/content.rs"]
mod content;
#[path = "build/elements.rs"]
mod elements;
#[path = "build/enums.rs"]
mod enums;

use std::path::{Path, PathBuf};

use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

/// Options are read here, at build time; no program of ours needs their messages.
const OPTIONS: &str = "havenlink.options.v1";

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
    println!("cargo:rerun-if-changed=build");
    let mut files = Vec::new();
    protos(Path::new("havenlink"), &mut files)?;
    files.sort();
    // proto/google is for strangers' compilers, which want it beside the contract; this one brings its own.
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(PathBuf::from(".")));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let pool = compiler.descriptor_pool();
    std::fs::write(out.join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("access.rs"), access::table(&pool)?)?;
    std::fs::write(out.join("content.rs"), content::conversions(&pool)?)?;
    std::fs::write(out.join("elements.rs"), elements::shapes(&pool)?)?;
    std::fs::write(out.join("enums.rs"), enums::names(&pool))?;
    let mut set = compiler.file_descriptor_set();
    set.file.retain(|file| file.package().starts_with("havenlink.") && file.package() != OPTIONS);
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    let code = tonic_prost_build::configure().build_client(true).build_server(true).bytes(".").btree_map(".");
    let code = code.codec_path("crate::codec::Bounded");
    code.compile_fds_with_config(set, config)?;
    Ok(())
}

/// `havenlink.local.v1.ListAlertsRequest` as a path below the crate's root.
fn rust_path(full_name: &str) -> String {
    format!("crate::{}", full_name.trim_start_matches("havenlink.").replace('.', "::"))
}

/// `DATA_PROTECTION` → `DataProtection`, as prost names the variants of an enum.
fn camel_case(name: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_ascii_lowercase();
    name.split('_').map(word).collect()
}
