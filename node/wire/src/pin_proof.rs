//! Whether the key behind a pin said that it may be published (9.6).
//!
//! The answer enters heads, so it depends on nothing but the bytes: four forms of keys, each with one signature scheme.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use crate::domain::authority::{PinnedKey, PublicKey};
use crate::domain::ids::{AuthorityId, Digest, FederationId};
use crate::domain::pin_proof::signed_bytes;

/// First bytes of a SubjectPublicKeyInfo on P-256 and P-384 (RFC 5480), before the point.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];
const P384: [u8; 23] =
    [0x30, 0x76, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22, 3, 0x62, 0];
/// The algorithm of an RSA key (RFC 3279), behind the four bytes of the outer length.
const RSA: [u8; 15] = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

type Algorithm = &'static dyn VerificationAlgorithm;

/// How this key signs, and its bytes as the check wants them.
fn form(spki: &[u8]) -> Option<(Algorithm, &[u8])> {
    let curves: [(&[u8], Algorithm); 3] =
        [(&PublicKey::PREFIX, &ED25519), (&P256, &ECDSA_P256_SHA256_ASN1), (&P384, &ECDSA_P384_SHA384_ASN1)];
    for (prefix, algorithm) in curves {
        if let Some(point) = spki.strip_prefix(prefix) {
            return (spki.len() == usize::from(prefix[1]) + 2).then_some((algorithm, point));
        }
    }
    (spki.get(4..19) == Some(&RSA[..])).then_some((&RSA_PSS_2048_8192_SHA256, spki))
}

/// Whether the key behind the pin signed that it is this authority's in this federation.
pub fn proves(pinned: &PinnedKey, federation: &FederationId, authority: &AuthorityId) -> bool {
    let proof = &pinned.proof;
    if Digest::of(&proof.spki).0 != pinned.pin.0 {
        return false;
    }
    let Some((algorithm, key)) = form(&proof.spki) else { return false };
    let message = signed_bytes(federation, authority, &pinned.pin);
    UnparsedPublicKey::new(algorithm, key).verify(&message, &proof.signature).is_ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
        RSA_PSS_SHA256,
    };

    use super::*;
    use crate::domain::ids::Pin;
    use crate::domain::pin_proof::PinProof;
    use crate::domain::time::UnixMs;
    use crate::keys::SigningKey;

    type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, prefix: &[u8]) -> (Vec<u8>, Sign) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let spki = [prefix, pair.public_key().as_ref()].concat();
        (spki, Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()))
    }

    fn rsa() -> (Vec<u8>, Sign) {
        use aws_lc_rs::encoding::AsDer;
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        (spki.as_ref().to_vec(), Box::new(sign))
    }

    fn ed25519() -> (Vec<u8>, Sign) {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        (key.public().0.to_vec(), Box::new(move |message| key.sign(message).to_vec()))
    }

    #[test]
    fn each_form_of_key_proves_its_own_pin_for_one_authority_of_one_federation() {
        let (kehl, esch) = (AuthorityId::parse("de-kehl").unwrap(), AuthorityId::parse("lu-esch").unwrap());
        let (here, elsewhere) = (FederationId([1; 32]), FederationId([2; 32]));
        let keys = [
            ("Ed25519", ed25519()),
            ("P-256", ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, &P256)),
            ("P-384", ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, &P384)),
            ("RSA", rsa()),
        ];
        for (what, (spki, sign)) in keys {
            let pin = Pin(Digest::of(&spki).0);
            let signature = sign(&signed_bytes(&here, &kehl, &pin)).into();
            let good =
                PinnedKey { pin, valid_until: UnixMs::NEVER, proof: PinProof { spki: spki.clone().into(), signature } };
            assert!(proves(&good, &here, &kehl), "{what}");
            assert!(!proves(&good, &here, &esch), "{what}: another's");
            assert!(!proves(&good, &elsewhere, &kehl), "{what}: of another federation");
            let other = PinnedKey { pin: Pin([7; 32]), ..good.clone() };
            assert!(!proves(&other, &here, &kehl), "{what}: another pin");
            let mut altered = good.clone();
            altered.proof.signature = sign(b"something else").into();
            assert!(!proves(&altered, &here, &kehl), "{what}: over something else");
            altered.proof = PinProof::default();
            assert!(!proves(&altered, &here, &kehl), "{what}: none");
        }
    }

    #[test]
    fn a_key_of_no_known_form_proves_nothing() {
        for spki in
            [&b""[..], &b"not a key"[..], &[&P256[..], &[4; 20]].concat(), &[&PublicKey::PREFIX[..]; 3].concat()]
        {
            assert!(form(spki).is_none());
        }
    }
}
