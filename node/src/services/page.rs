//! Pages of a list: a size, and a token that only the call that gave it takes back.

use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use tonic::Status;

use super::errors;
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::wire;

const DEFAULT: usize = 50;
const CHECK: usize = 8;

/// Rows of a page: 50 unless asked for otherwise, 200 at most.
///
/// # Errors
/// `FIELD_INVALID` for a negative size.
pub fn size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT),
        Ok(n) => Ok(n.min(limits::PAGE_SIZE)),
        Err(_) => Err(errors::field(&wire::Error::invalid("page_size", "0 to 200"))),
    }
}

/// Bytes of one page: well below the 4 MiB that a stock gRPC client takes in one message. A row that is larger alone is
/// a page of its own.
const BYTES: usize = 1 << 20;

/// Encodes rows until the page is full, by their number or by their bytes. `true`: rows are left for the next one.
pub fn fill<T, M: Message>(rows: &[T], size: usize, encode: impl Fn(&T) -> M) -> (Vec<M>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let message = encode(row);
        bytes += message.encoded_len();
        if page.len() == size || !page.is_empty() && bytes > BYTES {
            return (page, true);
        }
        page.push(message);
    }
    (page, false)
}

/// A token for the cursor after which the next page starts. `list` names the call.
pub fn token(list: &str, cursor: &[u8]) -> String {
    let mut bytes = cursor.to_vec();
    bytes.extend_from_slice(&check(list, cursor));
    BASE64URL_NOPAD.encode(&bytes)
}

/// The cursor of a token; `None` for the first page.
///
/// # Errors
/// `PAGE_TOKEN_INVALID` for a token that this call did not give.
pub fn cursor(list: &str, token: &str) -> Result<Option<Vec<u8>>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let mut bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let given = bytes.split_off(bytes.len().checked_sub(CHECK)?);
        (check(list, &bytes) == given[..]).then_some(bytes)
    };
    read().map(Some).ok_or_else(|| errors::refuse(Reason::PageTokenInvalid))
}

/// The place of a token whose cursor is a number.
///
/// # Errors
/// As `cursor`.
pub fn number(list: &str, token: &str) -> Result<Option<u64>, Status> {
    let invalid = || errors::refuse(Reason::PageTokenInvalid);
    cursor(list, token)?.map(|bytes| bytes.try_into().map(u64::from_be_bytes).map_err(|_| invalid())).transpose()
}

fn check(list: &str, cursor: &[u8]) -> [u8; CHECK] {
    let digest = Digest::of(&[list.as_bytes(), &[0], cursor].concat());
    let mut out = [0; CHECK];
    out.copy_from_slice(&digest.0[..CHECK]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_full_by_number_or_by_bytes_and_never_empty() {
        let encode = |bytes: &usize| havenlink_proto::record::v1::Signature {
            sig: vec![0; *bytes].into(),
            ..Default::default()
        };
        let filled = |rows: &[usize], size| {
            let (page, more) = fill(rows, size, encode);
            (page.len(), more)
        };
        assert_eq!(filled(&[], 5), (0, false));
        assert_eq!(filled(&[1, 1, 1], 3), (3, false));
        assert_eq!(filled(&[1, 1, 1], 2), (2, true));
        assert_eq!(filled(&[BYTES / 2, BYTES / 3, BYTES / 2], 9), (2, true));
        assert_eq!(filled(&[2 * BYTES, 1], 9), (1, true), "one row alone goes");
    }

    #[test]
    fn a_token_belongs_to_its_list() {
        let token = token("alerts/received", &7_u64.to_be_bytes());
        assert_eq!(number("alerts/received", &token).unwrap(), Some(7));
        assert_eq!(number("alerts/received", "").unwrap(), None);
        for (list, token) in
            [("alerts/published", token.as_str()), ("alerts/received", "AAAA"), ("alerts/received", "ü")]
        {
            assert_eq!(number(list, token).unwrap_err().code(), tonic::Code::InvalidArgument);
        }
        assert_eq!((size(0).unwrap(), size(10_000).unwrap()), (DEFAULT, limits::PAGE_SIZE));
        assert!(size(-1).is_err());
    }
}
