//! How far a line is proved: by what its stewards have signed, and never by its length.

use bytes::Bytes;

use crate::domain::ids::{AuthorityId, Digest};
use crate::state::RegisterState;
use crate::wire::beat::Beat;

/// A steward's beat, with its encoded `Signed`.
pub type Said = (Beat, Bytes);

/// Where the order may begin anew.
#[derive(Clone)]
pub struct Base {
    pub there: RegisterState,
    /// Beats that prove it, in the order of the stewards' ids; none where a founding or the genesis statement stands.
    pub proof: Vec<Bytes>,
}

/// What is done where nothing above the beginning of a line is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutProof {
    /// Somebody who is not reached may have the proof.
    Refuse,
    /// A person has decided that nobody has it any more: the order begins where it began last, and all above it is proposed again.
    FromBeginning,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({:?}, {} beats)", self.there, self.proof.len())
    }
}

/// The highest number of the line of `newest` that a majority of the stewards in force there has signed. A beat at a later number
/// counts where it is a founder's. `head_at`: the line's heads. `state_at`: the register at a number, where it can still be made.
pub fn proved(
    newest: &RegisterState,
    beats: &[Said],
    founders: &[AuthorityId],
    head_at: impl Fn(u64) -> Option<Digest>,
    state_at: impl Fn(u64) -> Option<RegisterState>,
) -> Option<Base> {
    let founding = newest.founding();
    let on_it = |beat: &Beat| beat.founding == founding.founding && head_at(beat.number) == Some(beat.head);
    let mut said: Vec<&Said> = beats.iter().filter(|(beat, _)| on_it(beat)).collect();
    said.sort_by(|(a, _), (b, _)| (&a.steward, b.number).cmp(&(&b.steward, a.number)));
    let mut numbers: Vec<u64> = said.iter().map(|(beat, _)| beat.number).filter(|n| *n >= founding.at).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.dedup();
    for number in numbers {
        let counts = |beat: &Beat| beat.number == number || (beat.number > number && founders.contains(&beat.steward));
        let mut proof: Vec<&Said> = said.iter().filter(|(beat, _)| counts(beat)).copied().collect();
        proof.dedup_by(|(a, _), (b, _)| a.steward == b.steward);
        let Some(there) = state_at(number) else { continue };
        proof.retain(|(beat, _)| there.is_steward(&beat.steward));
        if proof.len() >= there.majority() {
            return Some(Base { there, proof: proof.into_iter().map(|(_, bytes)| bytes.clone()).collect() });
        }
    }
    // What stands above the beginning and is not proved is not given up for want of somebody's beats.
    let nothing_above = newest.number() == founding.at;
    nothing_above.then(|| Base { there: newest.clone(), proof: Vec::new() })
}
