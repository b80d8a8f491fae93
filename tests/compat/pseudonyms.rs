//! Pairwise pseudonyms (9.16): a partner joins what it holds by them, so their derivation never changes.
//!
//! Lines of `key partner epoch subject`, in hexadecimal and ASCII: a client of another language reads the same file.

use havenlink::domain::ids::AuthorityId;
use havenlink::domain::person::{CaseKey, CaseReference, Epoch, IndexKey};
use havenlink::domain::time::UnixMs;

use crate::golden;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn pseudonyms_are_derived_as_they_were() {
    let lines = || {
        let mut lines = String::new();
        let index = IndexKey::new([7; 32]);
        for reference in ["SB-2026/0417", "CASE-7"] {
            let found = index.index(&CaseReference::parse("case", reference).unwrap());
            lines.push_str(&format!("index {} {reference} {}\n", hex(index.expose()), hex(found.as_bytes())));
        }
        for key in [CaseKey::new(std::array::from_fn(|i| i as u8)), CaseKey::new([0xa5; 32])] {
            for partner in ["de-kehl", "fr-strasbourg", "lu-esch-sur-alzette"] {
                for number in [1, 2] {
                    let epoch = Epoch { number, began: UnixMs(0) };
                    let subject = key.subject(&AuthorityId::parse(partner).unwrap(), epoch);
                    let line =
                        format!("subject {} {partner} {number} {}\n", hex(key.expose()), hex(subject.as_bytes()));
                    lines.push_str(&line);
                }
            }
        }
        lines
    };
    assert_eq!(golden::text("pseudonyms.txt", lines), lines());
}
