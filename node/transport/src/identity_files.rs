//! The pair on disk: `tls.key` (0600) and `tls.crt` in use, `tls.next.key` and `tls.next.crt` of a renewal under way.
//!
//! Two files cannot be renamed in one step. A renewal renames the key first, then the certificate; if the process dies
//! between the two, the key in use fits the certificate that is still called next, and the next start finishes it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::certificate::Generated;
use super::error::{CertificateFault, Error};
use super::identity::NodeIdentity;

const KEY: &str = "tls.key";
const CERTIFICATE: &str = "tls.crt";
const NEXT_KEY: &str = "tls.next.key";
const NEXT_CERTIFICATE: &str = "tls.next.crt";

/// Key and certificate, PEM or DER.
pub type Pair = (Zeroizing<Vec<u8>>, Vec<u8>);

pub(super) fn read_current(dir: &Path) -> Result<Pair, Error> {
    let key = read_key(&dir.join(KEY))?;
    let certificate = read_certificate(&dir.join(CERTIFICATE))?;
    if NodeIdentity::from_der(&key, &certificate).is_ok() {
        return Ok((key, certificate));
    }
    let next = dir.join(NEXT_CERTIFICATE);
    if next.exists() {
        let unfinished = read_certificate(&next)?;
        if NodeIdentity::from_der(&key, &unfinished).is_ok() {
            rename(&next, &dir.join(CERTIFICATE))?;
            sync_dir(dir)?;
            return Ok((key, unfinished));
        }
    }
    Err(CertificateFault::KeyDoesNotFit.into())
}

/// `None` while no renewal is under way.
pub(super) fn read_next(dir: &Path) -> Result<Option<Pair>, Error> {
    read_pair(dir, NEXT_KEY, NEXT_CERTIFICATE)
}

/// `None` while one of the two is not there.
pub(super) fn read_pair(dir: &Path, key: &str, certificate: &str) -> Result<Option<Pair>, Error> {
    let (key, certificate) = (dir.join(key), dir.join(certificate));
    if !key.exists() || !certificate.exists() {
        return Ok(None);
    }
    Ok(Some((read_key(&key)?, read_certificate(&certificate)?)))
}

pub(super) fn write_current(dir: &Path, generated: &Generated) -> Result<(), Error> {
    write_pair(dir, generated, KEY, CERTIFICATE)
}

pub(super) fn write_next(dir: &Path, generated: &Generated) -> Result<(), Error> {
    write_pair(dir, generated, NEXT_KEY, NEXT_CERTIFICATE)
}

pub(super) fn write_certificate(dir: &Path, der: &[u8]) -> Result<(), Error> {
    write(&dir.join(CERTIFICATE), &pem("CERTIFICATE", der), 0o644)?;
    sync_dir(dir)
}

pub(super) fn promote(dir: &Path) -> Result<(), Error> {
    rename(&dir.join(NEXT_KEY), &dir.join(KEY))?;
    sync_dir(dir)?;
    rename(&dir.join(NEXT_CERTIFICATE), &dir.join(CERTIFICATE))?;
    sync_dir(dir)
}

pub(super) fn write_pair(dir: &Path, generated: &Generated, key: &str, certificate: &str) -> Result<(), Error> {
    write(&dir.join(key), &pem("PRIVATE KEY", &generated.key), 0o600)?;
    write(&dir.join(certificate), &pem("CERTIFICATE", &generated.certificate.der), 0o644)?;
    sync_dir(dir)
}

pub(super) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 80));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    key_of(&read(path)?)
}

/// A PKCS#8 key, PEM or DER.
pub(super) fn key_of(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if bytes.first() == Some(&0x30) {
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    let key = PrivatePkcs8KeyDer::from_pem_slice(bytes).map_err(|_| CertificateFault::Key)?;
    Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
}

/// The first certificate of the file: the chain behind it plays no part.
fn read_certificate(path: &Path) -> Result<Vec<u8>, Error> {
    certificate_of(&read(path)?)
}

/// The first certificate, PEM or DER.
pub(super) fn certificate_of(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.first() == Some(&0x30) {
        return Ok(bytes.to_vec());
    }
    let certificate = CertificateDer::from_pem_slice(bytes)
        .map_err(|_| CertificateFault::Certificate(super::certificate::Malformed::Encoding))?;
    Ok(certificate.to_vec())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    std::fs::read(path).map(Zeroizing::new).map_err(|source| file(path, source))
}

/// Beside the target first, synced, then renamed over it: a reader sees the old file or the new one.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let beside = beside(path);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(file(&beside, e)),
        _ => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(|source| file(&beside, source))?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(|source| file(&beside, source))?;
    rename(&beside, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| file(to, source))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|source| file(dir, source))
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
