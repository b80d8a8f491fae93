//! How new the register here is: by what a majority of stewards says, and after a long silence by what members have (9.4).

use std::sync::atomic::Ordering;

use super::{Chain, Core};
use crate::disk::{Meta, Write};
use crate::domain::directory::ConfirmedTime;
use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;
use crate::sources::Tip;

impl Chain {
    /// This node is about to sign a beat; `alone`: nobody else does.
    pub fn note_alone(&self, alone: bool) {
        self.only_steward.store(alone, Ordering::Relaxed);
    }

    /// The time that a majority of stewards has confirmed lately: by it things are destroyed (9.3).
    pub fn confirmed_time(&self) -> Option<UnixMs> {
        self.view.load().confirmed_time(self.clock.monotonic())
    }

    /// A new beat of the majority confirms the time. The beat of a steward that is alone is its own clock once more: it counts
    /// where a member's clock shows the same.
    pub(super) fn confirm_time(&self, core: &mut Core, beat: Option<UnixMs>) {
        let Some(beat) = beat.filter(|beat| core.confirmed.is_none_or(|known| known.beat != *beat)) else { return };
        let heard = self.clock.monotonic();
        let own_word = self.only_steward.load(Ordering::Relaxed) && core.best.stewards().len() == 1;
        if !own_word || self.members.vouch(self.clock.now(), heard) {
            core.confirmed = Some(ConfirmedTime { beat, heard });
        }
    }

    /// A member says which change it has as its newest. After a long silence two of them make what the stewards say count.
    pub fn told_tip(&self, member: &AuthorityId, tip: Tip) {
        let mut core = self.lock();
        if core.sources.tell(member, tip) {
            self.publish(&mut core);
        }
    }

    /// Whether members are asked which head they have.
    pub fn asks_sources(&self) -> bool {
        self.lock().sources.are_asked()
    }

    /// How many members have still to have what the majority has confirmed here.
    pub(super) fn sources_missing(&self, core: &mut Core, beat: Option<UnixMs>) -> usize {
        let Some(beat) = beat else { return 0 };
        let mut sources = std::mem::take(&mut core.sources);
        let (asked, said) = (sources.are_asked(), core.beats.majority_number(&core.best));
        // By what it has that this node has as well: all that the majority has confirmed at least.
        let agrees = |(position, head): &Tip| {
            let founding = core.best.position().founding;
            position.founding == founding && position.number >= said && core.own_head(position.number) == Some(*head)
        };
        let others = self.owner.get().map(|own| core.best.others(own)).unwrap_or_default();
        let missing = sources.missing(beat, &others, agrees);
        if sources.are_asked() && !asked {
            self.sources_wanted.notify_one();
        }
        if let Some(heard) = sources.unstored() {
            let row = Write::Set(Meta::Heard, heard.0.to_be_bytes().to_vec());
            if let Err(error) = self.disk.submit(vec![row], false, None) {
                havenlink_runtime::repeated!(warn; %error, "when a majority was heard was not kept");
            }
        }
        core.sources = sources;
        missing
    }
}
