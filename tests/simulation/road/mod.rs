//! Three nodes, the network between them, their disks and their clocks.
//!
//! What lives here: the order of events, calls that are late, lost or given twice, and the clocks. What does not: what a
//! node does when it sends (`sender`), when it is sent something (`receiver`), when it greets (`greeting`), what befalls it
//! (`mishaps`), and what must hold (`judge`). Invariant: an event is one step of one node; what it commits is on its disk when the
//! step ends, and a crash comes between two steps or at the places inside one that are named.

mod disk;
mod greeting;
mod judge;
mod mishaps;
mod receiver;
mod sender;

use std::collections::{BTreeMap, BTreeSet};

use havenlink_domain::ids::Incarnation;
use havenlink_domain::numbering::Under;
use havenlink_domain::reason::Reason;
use havenlink_domain::record::StreamClass;
use havenlink_domain::time::{Millis, UnixMs};

use crate::Broken;
use crate::chance::Chance;
use crate::trace::{Ran, Trace};
use disk::{Disk, Id, Line, Word};
use receiver::{Batch, BatchAnswer};
use sender::Sender;

const NODES: usize = 3;
/// When the world begins, and how long things go wrong in it.
const BEGIN: UnixMs = UnixMs(1_800_000_000_000);
const BAD: Millis = Millis::minutes(90);
/// How long everything has time to settle afterwards: more than the hour that a row may wait which a clock ahead has postponed.
const CALM: Millis = Millis::minutes(100);
/// A call that is not answered by then has failed.
const PATIENCE: Millis = Millis::seconds(10);

/// What a call asks.
#[derive(Clone, Debug)]
enum Ask {
    Deliver(Batch),
    /// The caller's word, and the called one's own as the caller holds it. `once`: no stream waits for it.
    Greet {
        word: Word,
        held: Option<Word>,
        once: bool,
    },
}

/// What a call was answered with.
#[derive(Clone, Debug)]
enum Answer {
    Delivered(Box<BatchAnswer>),
    Greeted(greeting::Greeted),
    Failed(Reason),
}

#[derive(Clone, Debug)]
struct Call {
    from: usize,
    to: usize,
    class: StreamClass,
    /// The start of the caller that made it.
    start: u64,
    ask: Ask,
}

#[derive(Clone, Debug)]
enum Event {
    Publish(usize),
    /// A stream of a node is looked at.
    Pass(usize, u64, Line),
    /// A node looks at what it owes.
    Upkeep(usize, u64),
    Arrives(u64),
    Answered(u64, Answer),
    GivenUp(u64),
    Start(usize),
    Heals(usize, usize),
    Mishap,
    Calm,
}

/// A node: what it has in memory, and its disk.
struct Node {
    disk: Disk,
    backup: Option<Disk>,
    up: bool,
    /// Rises with every start: what an earlier one waits for comes to nobody.
    start: u64,
    senders: BTreeMap<Line, Sender>,
    /// How far its clock is off.
    off: i64,
    /// The highest that its clock ever showed, and the highest incarnation that its key ever signed.
    clock_high: u64,
    signed_high: Incarnation,
    /// Its key: the first, the second … Earlier ones were withdrawn.
    key: u32,
    stolen: bool,
}

/// A record that was acknowledged to whoever published it.
struct Published {
    id: Id,
    from: usize,
    to: usize,
    expires: UnixMs,
}

struct World {
    chance: Chance,
    trace: Trace,
    broken: Option<Broken>,
    now: UnixMs,
    queue: BTreeMap<(UnixMs, u64), Event>,
    sequence: u64,
    nodes: Vec<Node>,
    calls: BTreeMap<u64, Call>,
    heard: BTreeSet<u64>,
    /// Pairs between which nothing passes.
    cut: BTreeSet<(usize, usize)>,
    suspended: BTreeSet<usize>,
    /// Pairs whose agreement ended, and pairs of which the recipient does not have the agreement yet.
    ended: BTreeSet<(usize, usize)>,
    lacking: BTreeSet<(usize, usize)>,
    /// Pairs of which the recipient's register is behind.
    behind: BTreeSet<(usize, usize)>,
    published: Vec<Published>,
    ids: Id,
    /// Stream, incarnations and number, and the item that was sent under them.
    numbered: BTreeMap<(usize, Line, Under, u64), Id>,
    calm: bool,
    lies: u32,
}

/// Runs one world.
pub fn run(seed: u64, broken: Option<Broken>) -> Ran {
    let mut world = World::new(seed, broken);
    world.live();
    world.judge_end();
    world.trace.into_ran(seed)
}

impl World {
    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let node = |n: usize| Node {
            disk: Disk {
                incarnation: Incarnation(u64::try_from(BEGIN.0).unwrap_or(0) - 1_000 + n as u64),
                ..Disk::default()
            },
            backup: None,
            up: true,
            start: 0,
            senders: BTreeMap::new(),
            off: 0,
            clock_high: 0,
            signed_high: Incarnation(0),
            key: 1,
            stolen: false,
        };
        let mut world = Self {
            chance: Chance::new(seed),
            trace: Trace::default(),
            broken,
            now: BEGIN,
            queue: BTreeMap::new(),
            sequence: 0,
            nodes: (0..NODES).map(node).collect(),
            calls: BTreeMap::new(),
            heard: BTreeSet::new(),
            cut: BTreeSet::new(),
            suspended: BTreeSet::new(),
            ended: BTreeSet::new(),
            lacking: BTreeSet::new(),
            behind: BTreeSet::new(),
            published: Vec::new(),
            ids: 0,
            numbered: BTreeMap::new(),
            calm: false,
            lies: 0,
        };
        for _ in 0..8 + world.chance.below(16) {
            let (at, from) = (world.chance.span(BAD.0), world.chance.place(NODES));
            world.after(Millis(at), Event::Publish(from));
        }
        for _ in 0..4 + world.chance.below(10) {
            let at = world.chance.span(BAD.0);
            world.after(Millis(at), Event::Mishap);
        }
        world.after(BAD, Event::Calm);
        for node in 0..NODES {
            world.after(Millis::minutes(1), Event::Upkeep(node, 0));
        }
        world
    }

    fn is(&self, bug: Broken) -> bool {
        self.broken == Some(bug)
    }

    fn after(&mut self, span: Millis, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + span, self.sequence), event);
    }

    /// What the node's clock shows.
    fn clock(&mut self, node: usize) -> UnixMs {
        let shown = self.now + Millis(self.nodes[node].off);
        let high = &mut self.nodes[node].clock_high;
        *high = (*high).max(u64::try_from(shown.0).unwrap_or(0));
        shown
    }

    fn live(&mut self) {
        let end = BEGIN + BAD + CALM;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > end || self.trace.is_faulty() {
                break;
            }
            self.now = at;
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Publish(from) => self.publish(from),
            Event::Pass(node, start, line) if self.runs(node, start) => self.pass(node, line),
            Event::Upkeep(node, start) if self.runs(node, start) => self.upkeep(node),
            Event::Arrives(call) => self.arrives(call),
            Event::Answered(id, answer) => self.hears(id, answer),
            Event::GivenUp(id) => self.hears(id, Answer::Failed(Reason::PeerUnreachable)),
            Event::Start(node) => self.starts(node),
            Event::Heals(a, b) => drop(self.cut.remove(&(a, b))),
            Event::Mishap => self.mishap(),
            Event::Calm => self.calm_down(),
            Event::Pass(..) | Event::Upkeep(..) => {}
        }
    }

    fn runs(&self, node: usize, start: u64) -> bool {
        self.nodes[node].up && self.nodes[node].start == start
    }

    /// A call: late, perhaps lost, perhaps given twice. The caller gives it up in time, and may hear of it once.
    fn call(&mut self, from: usize, to: usize, class: StreamClass, ask: Ask) {
        self.sequence += 1;
        let id = self.sequence;
        let start = self.nodes[from].start;
        self.calls.insert(id, Call { from, to, class, start, ask });
        self.after(PATIENCE, Event::GivenUp(id));
        let lost = !self.calm && self.chance.one_in(12);
        if !lost {
            let late = self.lateness();
            self.after(late, Event::Arrives(id));
        }
        if !self.calm && self.chance.one_in(15) {
            let late = self.lateness();
            self.after(late, Event::Arrives(id));
        }
    }

    fn lateness(&mut self) -> Millis {
        let most = if self.chance.one_in(10) { 12_000 } else { 300 };
        Millis(5 + self.chance.span(most))
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    fn arrives(&mut self, id: u64) {
        let Some(call) = self.calls.get(&id).cloned() else { return };
        if self.is_cut(call.from, call.to) || !self.nodes[call.to].up {
            return;
        }
        let answer = match call.ask {
            Ask::Deliver(batch) => self.receive(call.from, call.to, batch),
            Ask::Greet { word, held, .. } => self.greet(call.from, call.to, word, held),
        };
        let Some(answer) = answer else { return };
        let lost = !self.calm && self.chance.one_in(12);
        if !lost {
            let late = self.lateness();
            self.after(late, Event::Answered(id, answer));
        }
    }

    /// The caller hears of its call once, whatever comes first.
    fn hears(&mut self, id: u64, answer: Answer) {
        let Some(call) = self.calls.get(&id).cloned() else { return };
        if self.heard.insert(id) && self.runs(call.from, call.start) {
            self.answered(&call, answer);
        }
    }

    fn answered(&mut self, call: &Call, answer: Answer) {
        match (&call.ask, answer) {
            (Ask::Deliver(batch), answer) => self.settle(call.from, (call.to, call.class), batch, answer),
            (Ask::Greet { once: true, .. }, Answer::Greeted(greeted)) => drop(self.met(call, &greeted)),
            (Ask::Greet { once: true, .. }, _) => {}
            (Ask::Greet { .. }, Answer::Greeted(greeted)) => self.greeted(call, greeted),
            (Ask::Greet { .. }, Answer::Failed(reason)) => self.failed(call.from, (call.to, call.class), reason),
            (Ask::Greet { .. }, Answer::Delivered(_)) => {}
        }
    }
}
