//! The secret that signs webhook, as Standard Webhooks writes it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::hmac;
use data_encoding::BASE64;

/// Bytes of a secret.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// `whsec_` and base64 of 24 to 64 random bytes.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads it from a file that nobody but its owner may read.
    ///
    /// # Errors
    /// In words what is wrong with the file; never its content.
    pub fn read(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let file = File::open(path).map_err(|error| format!("{place}: {error}"))?;
        let mode = file.metadata().map_err(|error| format!("{place}: {error}"))?.mode();
        if mode & 0o077 != 0 {
            return Err(format!("{place} can be read by others: its mode is {:03o}, and has to be 600", mode & 0o777));
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        file.take(1_024).read_to_string(&mut text).map_err(|error| format!("{place}: {error}"))?;
        Self::parse(text.trim()).ok_or_else(|| format!("{place} is not whsec_ and the base64 of 24 to 64 bytes"))
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(BASE64.decode(text.strip_prefix("whsec_")?.as_bytes()).ok()?);
        LENGTH.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The header `webhook-signature`: HMAC-SHA-256 over id, time and body.
    pub fn signature(&self, id: &str, seconds: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn it_signs_as_standard_webhooks_says() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_others_can_read_or_is_too_short_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let whole = format!("whsec_{}\n", BASE64.encode(&[7; 24]));
        let tried = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&path).map(drop)
        };
        assert_eq!(tried(&whole, 0o600), Ok(()));
        assert_eq!(tried(&whole, 0o400), Ok(()));
        assert!(tried(&whole, 0o640).unwrap_err().contains("has to be 600"));
        for wrong in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            let told = tried(wrong, 0o600).unwrap_err();
            assert!(told.contains("24 to 64 bytes") && (wrong.len() < 8 || !told.contains(wrong)), "{told}");
        }
        assert!(Secret::read(&dir.path().join("none")).map(drop).is_err());
    }
}
