//! The bugs that `tests/seeded_bugs` puts in still fit the sources; whether they are caught says that part itself.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn each_seeded_bug_fits_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let patches: Vec<_> = std::fs::read_dir(root.join("tests/seeded_bugs"))
        .expect("the folder is there")
        .map(|entry| entry.expect("it reads").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    assert!(patches.len() >= 10, "{} patches", patches.len());
    let unfit = |path: &Path| {
        let file = std::fs::File::open(path).expect("it opens");
        let mut patch = Command::new("patch");
        patch.args(["-p1", "--dry-run", "--silent"]).current_dir(&root).stdin(file).stdout(Stdio::null());
        !patch.status().expect("needs patch").success()
    };
    let unfit: Vec<_> = patches.iter().filter(|path| unfit(path)).collect();
    assert!(unfit.is_empty(), "{unfit:?}");
}
