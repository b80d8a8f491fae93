//! What must hold: at each batch that is sent, and in the end.

use havenlink_domain::reason::Reason;

use super::World;
use super::disk::{Became, Line};
use super::receiver::Batch;

impl World {
    /// Under one pair of incarnations a number names one item, as long as its node did not lose its disk.
    pub(super) fn check_numbers(&mut self, node: usize, line: Line, batch: &Batch) {
        for (number, item) in (batch.first..).zip(&batch.items) {
            let before = *self.numbered.entry((node, line, batch.under, number)).or_insert(item.id);
            if before != item.id {
                let (to, id) = (line.0, item.id);
                self.trace.fault(
                    "NUMBERED",
                    format_args!("number {number} of {node}->{to} named #{before}, and names #{id}"),
                );
            }
        }
    }

    pub(super) fn judge_end(&mut self) {
        let published = std::mem::take(&mut self.published);
        for record in &published {
            let (id, from, to) = (record.id, record.from, record.to);
            let disk = &self.nodes[from].disk;
            let mut rows = disk.out.iter().filter(|(line, _)| line.0 == to).flat_map(|(_, out)| &out.rows);
            let row = rows.find(|row| row.id == id);
            let is_owed = disk.owed.contains_key(&(to, id));
            let arrived = self.nodes[to].disk.inbox.contains(&(from, id));
            let clocks = self.nodes[from].clock_high;
            let expires = u64::try_from(record.expires.0).unwrap_or(u64::MAX);
            match row.map(|row| row.became) {
                None if is_owed => self.trace.fault("ARRIVES", format_args!("#{id} {from}->{to} is still owed")),
                None => self
                    .trace
                    .fault("NAMED", format_args!("#{id} {from}->{to} was acknowledged, and is gone without a word")),
                Some(Became::Open | Became::Deferred(_)) => {
                    self.trace.fault("ARRIVES", format_args!("#{id} {from}->{to} is not settled"))
                }
                Some(Became::Delivered) if !arrived && clocks < expires => {
                    self.trace.fault("KEPT", format_args!("#{id} is delivered for {from}, and {to} does not have it"));
                }
                Some(Became::Ended(Reason::AgreementEnded)) if arrived => {
                    self.trace.fault("TRUE", format_args!("#{id} is refused for {from}, and {to} has it"));
                }
                Some(Became::Ended(Reason::Internal)) => {
                    self.trace.fault("NAMED", format_args!("#{id} {from}->{to} was skipped for no reason"));
                }
                Some(Became::Delivered | Became::Ended(_)) => {}
            }
        }
    }
}
