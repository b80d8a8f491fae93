//! What befalls nodes and the network: crashes, restores, wrong clocks, partitions, suspensions, ended agreements, and a thief.

use havenlink_domain::ids::Incarnation;
use havenlink_domain::incarnation::{self, END, STEP};
use havenlink_domain::record::StreamClass;
use havenlink_domain::time::Millis;

use super::disk::{Line, Word};
use super::greeting::wall;
use super::{Ask, BEGIN, Event, NODES, World};
use crate::Broken;

/// How far a clock is off, once it is.
const OFF: [i64; 8] = [0, 30_000, -30_000, 3_600_000, -3_600_000, 259_200_000, -259_200_000, 315_532_800_000];
/// So often a thief of a key speaks for its owner before the owner knows.
const LIES: u32 = 3;

impl World {
    pub(super) fn mishap(&mut self) {
        if self.calm {
            return;
        }
        let (node, other) = (self.chance.place(NODES), self.chance.place(NODES - 1));
        let other = (node + 1 + other) % NODES;
        let what = self.chance.below(16);
        self.trace.note(format_args!("{} mishap {what} {node} {other}", self.now.since(BEGIN).0));
        match what {
            0..=2 => self.crash(node),
            3 | 4 => {
                let disk = self.nodes[node].disk.clone();
                self.nodes[node].backup = Some(disk);
                // It is needed when something came after it.
                let later = Millis::minutes(1 + self.chance.span(20));
                self.after(later, Event::Mishap);
            }
            5..=7 => self.restore(node),
            8 | 9 => {
                let pair = (node.min(other), node.max(other));
                self.cut.insert(pair);
                let heals = Millis(self.chance.span(Millis::minutes(25).0));
                self.after(heals, Event::Heals(pair.0, pair.1));
            }
            10 | 11 => {
                let off = OFF[self.chance.place(OFF.len())];
                self.nodes[node].off = off;
            }
            12 => {
                if !self.suspended.remove(&node) {
                    self.suspended.insert(node);
                }
            }
            13 => {
                self.ended.insert((node, other));
            }
            14 => {
                let behind = self.chance.one_in(2);
                let pairs = if behind { &mut self.behind } else { &mut self.lacking };
                pairs.insert((node, other));
            }
            _ => self.lie(node, other),
        }
    }

    /// What was in memory is gone; it starts again after a while.
    pub(super) fn crash(&mut self, node: usize) {
        if !self.nodes[node].up {
            return;
        }
        self.trace.note(format_args!("{} crash {node}", self.now.since(BEGIN).0));
        let (reused, forgotten) = (self.is(Broken::NumberReusedAfterCrash), self.is(Broken::DedupForgottenByCrash));
        let down = &mut self.nodes[node];
        down.up = false;
        down.start += 1;
        down.senders.clear();
        if forgotten {
            down.disk.taken.clear();
        }
        for out in down.disk.out.values_mut().filter(|_| reused) {
            out.numbers.next = out.numbers.first_unsettled.max(out.numbers.next - 1);
        }
        let most = if self.calm { Millis::seconds(20) } else { Millis::minutes(6) };
        let later = Millis(1 + self.chance.span(most.0));
        self.after(later, Event::Start(node));
    }

    pub(super) fn starts(&mut self, node: usize) {
        self.nodes[node].up = true;
        self.wake(node);
        let start = self.nodes[node].start;
        self.after(Millis::seconds(1), Event::Upkeep(node, start));
    }

    fn wake(&mut self, node: usize) {
        let lines: Vec<Line> = self.nodes[node].disk.out.keys().copied().collect();
        for line in lines {
            self.pass_after(Millis(1), node, line);
        }
    }

    /// The streams to a partner are looked at.
    pub(super) fn wake_lines(&mut self, node: usize, to: usize) {
        for class in [StreamClass::Control, StreamClass::Content] {
            self.pass_after(Millis(1), node, (to, class));
        }
    }

    /// Its disk is lost, or was broken, and it comes back from its backup.
    fn restore(&mut self, node: usize) {
        let Some(backup) = self.nodes[node].backup.clone() else { return };
        self.crash(node);
        let now = self.clock(node);
        let readable = self.chance.one_in(2);
        let lost = std::mem::replace(&mut self.nodes[node].disk, backup);
        let of_backup = self.nodes[node].disk.incarnation;
        let newest = if readable { lost.incarnation.max(of_backup) } else { of_backup };
        let drawn = self.drawn();
        let begun = incarnation::begun(now, newest, drawn);
        let begun = if self.is(Broken::BeginsAtTheClock) { Incarnation(wall(now)) } else { begun };
        self.rises(node, newest, begun);
        self.nodes[node].disk.incarnation = begun;
        // What was acknowledged here after the backup is gone with the disk, as everybody is told.
        let disk = &self.nodes[node].disk;
        let is_there = |to: usize, id: u64| {
            disk.owed.contains_key(&(to, id))
                || disk.out.iter().any(|(line, out)| line.0 == to && out.rows.iter().any(|row| row.id == id))
        };
        self.published.retain(|published| published.from != node || is_there(published.to, published.id));
    }

    /// A partner shows a node a word about itself that it never signed; or a thief of its key speaks for it, which it did.
    fn lie(&mut self, node: usize, partner: usize) {
        let known = self.nodes[node].disk.incarnation;
        if self.chance.one_in(2) {
            let forged =
                Word { author: node, recipient: partner, incarnation: Incarnation(known.0 + STEP / 2), key: None };
            let word = self.word(partner, node);
            self.call(partner, node, StreamClass::Control, Ask::Greet { word, held: Some(forged), once: true });
        } else if self.lies < LIES
            && let Some(told) = self.nodes[partner].disk.told.get(&node).copied()
        {
            self.lies += 1;
            self.nodes[node].stolen = true;
            // As far as a step goes; without a bound to the end of the numbers.
            let step = 1 + self.chance.below(STEP);
            let far = if self.is(Broken::StepsUnbounded) { END - 1 } else { told.incarnation.0 + step };
            let incarnation = Incarnation(far);
            self.nodes[node].signed_high = self.nodes[node].signed_high.max(incarnation);
            let stolen = Word { incarnation, ..told };
            let _ = self.greet(node, partner, stolen, None);
        }
    }

    /// The network heals, whoever was suspended is restored, stolen keys are withdrawn, and everybody runs.
    /// Some clocks stay wrong.
    pub(super) fn calm_down(&mut self) {
        self.trace.note(format_args!("{} calm", self.now.since(BEGIN).0));
        self.calm = true;
        self.cut.clear();
        self.suspended.clear();
        self.behind.clear();
        for node in 0..NODES {
            // Whoever learned of the theft withdrew the key.
            let stolen = std::mem::take(&mut self.nodes[node].stolen);
            self.nodes[node].key += u32::from(stolen);
            if stolen {
                // What the thief told is forgotten, and an incarnation of before may come again: with other numbers.
                self.numbered.retain(|(from, line, ..), _| *from != node && line.0 != node);
            }
            if self.chance.one_in(2) {
                self.nodes[node].off = 0;
            }
            if self.nodes[node].up {
                self.wake(node);
            }
        }
    }
}
