//! The tree against vectors that others made: `rfc6962.jsonl` is the folder `testdata` of github.com/transparency-dev/merkle at
//! 417fb0c314750d94e53942e9f92e79b6d35915db (Apache-2.0), a file a line: proofs that hold, and each of them spoiled in some way.

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

use super::{Hash, Tree, extends, includes, leaf_hash, sha256};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    leaf_idx: Option<u64>,
    tree_size: Option<u64>,
    leaf_hash: Option<String>,
    root: Option<String>,
    size1: Option<u64>,
    size2: Option<u64>,
    root1: Option<String>,
    root2: Option<String>,
    proof: Vec<String>,
    want_err: bool,
}

fn hash(text: &str) -> Option<Hash> {
    Hash::try_from(&BASE64.decode(text.as_bytes()).unwrap()[..]).ok()
}

/// Some roots are words in the place of hashes: each stays equal to itself.
fn root(text: &str) -> Hash {
    hash(text).unwrap_or_else(|| sha256(text.as_bytes()))
}

#[test]
fn proofs_that_hold_are_taken_and_spoiled_ones_are_not() {
    let (mut held, mut refused) = (0, 0);
    for line in include_str!("rfc6962.jsonl").lines() {
        let v: Vector = serde_json::from_str(line).unwrap();
        let path: Vec<Hash> = v.proof.iter().map(|step| root(step)).collect();
        let holds = match (v.leaf_idx, v.size1) {
            (Some(index), _) => {
                // A line whose leaf or root is no hash is not read at all.
                let both = hash(&v.leaf_hash.unwrap()).zip(hash(&v.root.unwrap()));
                both.is_some_and(|(leaf, root)| includes(&leaf, index, v.tree_size.unwrap(), &path, &root))
            }
            (None, size1) => {
                let (first, second) = (root(&v.root1.unwrap()), root(&v.root2.unwrap()));
                extends((size1.unwrap(), &first), (v.size2.unwrap(), &second), &path)
            }
        };
        assert_eq!(holds, !v.want_err, "{}", v.name);
        *(if holds { &mut held } else { &mut refused }) += 1;
    }
    assert_eq!((held, refused), (12, 184));
}

/// The roots that the same project, and Certificate Transparency's own tests, have for eight leaves.
#[test]
fn the_roots_of_eight_leaves_are_known() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::default();
    assert_eq!(HEXLOWER.encode(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in leaves.iter().zip(roots) {
        tree.push(&HEXLOWER.decode(leaf.as_bytes()).unwrap());
        assert_eq!(HEXLOWER.encode(&tree.root()), root);
    }
    assert_eq!(
        HEXLOWER.encode(&leaf_hash(b"L123456")),
        "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    );
}
