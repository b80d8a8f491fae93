//! Joining, pure (9.5): commit, then reveal; six words; what an invitation allows, and once only.
//!
//! What lives here: the transcript and its words, the states of an invitation at the inviter and whom its door
//! lets in, the next step of an applicant. What does not: tokens and stored bytes (`wire::invitation`), calls and files (`exchange::join`).
//! Invariant: an invitation takes one commitment and one reveal. A reveal that does not fit burns it; the same bytes
//! again get the same answer, so that a lost answer costs nothing.

pub mod applicant;
pub mod entrance;
pub mod invitation;
pub mod words;

use super::authority::PublicKey;
use super::closed::closed_enum;
use super::ids::{Digest, FederationId, Hasher, InvitationId, Pin};

pub use entrance::{Callers, Entrance};
pub use invitation::{Application, HeldInvitation, Invitation, Reveal, Revealed, State};
pub use words::Words;

closed_enum! {
    /// Where an invitation stands at its inviter.
    pub enum InvitationState { Open = 1 => "OPEN", Committed = 2 => "COMMITTED", Used = 3 => "USED", Burnt = 4 => "BURNT", Revoked = 5 => "REVOKED", Expired = 6 => "EXPIRED" }
}

closed_enum! {
    /// Where an application stands.
    pub enum ApplicationState {
        NeedsApproval = 1 => "NEEDS_APPROVAL", Approved = 2 => "APPROVED", Rejected = 3 => "REJECTED", Expired = 4 => "EXPIRED",
        Withdrawn = 5 => "WITHDRAWN",
    }
}

/// 32 random bytes that one side contributes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

impl Nonce {
    /// `None` unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// What the applicant commits to before it sees the inviter's nonce. Node keys stand as their pins (SHA-256 of the SPKI).
pub fn commitment(nonce_a: &Nonce, key: &PublicKey, pin: &Pin) -> Digest {
    let mut hash = Hasher::new();
    hash.update(&nonce_a.0);
    hash.update(&key.0);
    hash.update(pin.as_bytes());
    hash.finish()
}

/// All that both sides must have seen alike. Every part has a fixed length, so no two transcripts share their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub federation: FederationId,
    /// SHA-256 of the invitation's payload.
    pub invitation: InvitationId,
    pub inviter_key: PublicKey,
    pub applicant_key: PublicKey,
    /// SHA-256 over the inviter's pins, in the order of the invitation.
    pub inviter_pins: Digest,
    pub applicant_pin: Pin,
    pub nonce_a: Nonce,
    pub nonce_i: Nonce,
}

impl Transcript {
    /// The digest whose first 66 bits are the six words.
    pub fn digest(&self) -> Digest {
        let mut hash = Hasher::new();
        hash.update(b"havenlink/sas/v1");
        hash.update(self.federation.as_bytes());
        hash.update(self.invitation.as_bytes());
        hash.update(&self.inviter_key.0);
        hash.update(&self.applicant_key.0);
        hash.update(self.inviter_pins.as_bytes());
        hash.update(self.applicant_pin.as_bytes());
        hash.update(&self.nonce_a.0);
        hash.update(&self.nonce_i.0);
        hash.finish()
    }
}

/// One digest for a list of pins.
pub fn pins_digest(pins: &[Pin]) -> Digest {
    let mut hash = Hasher::new();
    for pin in pins {
        hash.update(pin.as_bytes());
    }
    hash.finish()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An Ed25519 SubjectPublicKeyInfo with a filler key.
    pub(crate) fn key(n: u8) -> PublicKey {
        let mut spki = [n; 44];
        spki[..12].copy_from_slice(&PublicKey::PREFIX);
        PublicKey(spki)
    }

    fn transcript() -> Transcript {
        Transcript {
            federation: FederationId([1; 32]),
            invitation: InvitationId([2; 32]),
            inviter_key: key(3),
            applicant_key: key(4),
            inviter_pins: pins_digest(&[Pin([5; 32])]),
            applicant_pin: Pin([6; 32]),
            nonce_a: Nonce([7; 32]),
            nonce_i: Nonce([8; 32]),
        }
    }

    #[test]
    fn every_part_of_the_transcript_changes_the_words() {
        let same = Words::of(&transcript().digest());
        let changes: [fn(&mut Transcript); 8] = [
            |t| t.federation = FederationId([9; 32]),
            |t| t.invitation = InvitationId([9; 32]),
            |t| t.inviter_key = key(9),
            |t| t.applicant_key = key(9),
            |t| t.inviter_pins = pins_digest(&[Pin([9; 32])]),
            |t| t.applicant_pin = Pin([9; 32]),
            |t| t.nonce_a = Nonce([9; 32]),
            |t| t.nonce_i = Nonce([9; 32]),
        ];
        for change in changes {
            let mut other = transcript();
            change(&mut other);
            assert_ne!(Words::of(&other.digest()), same);
        }
    }

    #[test]
    fn exchanged_sides_give_other_words() {
        let t = transcript();
        let swapped = Transcript {
            inviter_key: t.applicant_key,
            applicant_key: t.inviter_key,
            nonce_a: t.nonce_i,
            nonce_i: t.nonce_a,
            ..t.clone()
        };
        assert_ne!(Words::of(&swapped.digest()), Words::of(&t.digest()));
    }

    /// Plays the man in the middle of 9.5: he holds one session with each side, with keys of his own in one of them.
    #[test]
    fn a_man_in_the_middle_who_swaps_either_key_is_heard() {
        let honest = transcript();
        let swaps: [fn(&mut Transcript); 4] = [
            |t| t.inviter_key = key(66),
            |t| t.applicant_key = key(66),
            |t| t.inviter_pins = pins_digest(&[Pin([66; 32])]),
            |t| t.applicant_pin = Pin([66; 32]),
        ];
        for swap in swaps {
            // What one victim computes with his key; the other one sees the honest keys. He is free in his own nonces,
            // but both were fixed before he saw the other side's: no choice of his makes the words meet.
            for n in 0..64 {
                let mut victim = honest.clone();
                swap(&mut victim);
                victim.nonce_i = Nonce([n; 32]);
                assert_ne!(Words::of(&victim.digest()), Words::of(&honest.digest()));
            }
        }
    }
}
