//! What is looked for in the files of a node: words of a referral, blocks of its ciphertext, and its sealed key.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use havenlink::storage::sqlite::STORE_FILE;
use havenlink_proto::record::v1::RecordKind;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

/// Beginning of each number that is called back: it stands in what is said, and in nothing else.
pub const CALLBACK: &str = "+3319900";
const KEYS_FILE: &str = "keys.db";
const BLOCK: usize = 16;

/// Of all copies that were looked at.
#[derive(Default)]
pub struct Marks {
    blocks: HashSet<[u8; BLOCK]>,
    values: usize,
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks of {} sealed values", self.blocks.len(), self.values)
    }
}

impl Marks {
    /// Takes in whatever is sealed about a person in a copy of a data directory.
    pub async fn take(&mut self, copy: &Path) -> anyhow::Result<()> {
        let kind = RecordKind::Referral as i32;
        let sealed = format!(
            "SELECT envelope FROM inbox WHERE kind = {kind} UNION ALL SELECT body FROM publication WHERE kind = {kind} UNION ALL \
             SELECT o.envelope FROM outbox o JOIN delivery d ON d.sequence = o.sequence WHERE d.kind = {kind}"
        );
        for (file, query) in [(STORE_FILE, sealed.as_str()), (KEYS_FILE, "SELECT sealed FROM record_key")] {
            let options = SqliteConnectOptions::new().filename(copy.join(file)).read_only(true);
            let mut conn = options.connect().await?;
            let query = sqlx::AssertSqlSafe(query.to_owned());
            for value in sqlx::query_scalar::<_, Vec<u8>>(query).fetch_all(&mut conn).await? {
                self.values += 1;
                self.blocks.extend(value.as_chunks::<BLOCK>().0);
            }
        }
        Ok(())
    }

    /// The files under these folders that hold any of it.
    pub fn found_in(&self, folders: &[PathBuf]) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in folders {
            self.look(folder, &mut found)?;
        }
        Ok(found)
    }

    fn look(&self, folder: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.look(&path, found)?;
            } else if kind.is_file() {
                // Gone between two looks is gone.
                let Ok(content) = std::fs::read(&path) else { continue };
                if let Some(what) = self.in_bytes(&content) {
                    found.push(format!("{} ({what})", path.display()));
                }
            }
        }
        Ok(())
    }

    fn in_bytes(&self, content: &[u8]) -> Option<&'static str> {
        if content.windows(CALLBACK.len()).any(|window| window == CALLBACK.as_bytes()) {
            return Some("in clear");
        }
        let sealed = content.windows(BLOCK).any(|window| {
            let block: [u8; BLOCK] = window.try_into().expect("as wide as a block");
            self.blocks.contains(&block)
        });
        sealed.then_some("sealed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_wherever_it_stands_and_a_word_as_well() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        let block: [u8; BLOCK] = std::array::from_fn(|n| n as u8 + 1);
        let marks = Marks { blocks: [block].into(), values: 1 };
        let looked = || marks.found_in(&[dir.path().to_owned()]).unwrap();
        let file = |name: &str, content: &[u8]| std::fs::write(dir.path().join(name), content).unwrap();
        file("other", &[7; 64]);
        file("deep/near", &block[..BLOCK - 1]);
        assert_eq!(looked(), Vec::<String>::new());
        file("deep/sealed", &[&[0; 5], &block[..], &[0; 3]].concat());
        file("clear", b"call +33199001234 back");
        assert_eq!(looked().len(), 2, "{:?}", looked());
    }
}
