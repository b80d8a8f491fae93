//! A life from the giving of an agreement to share to whoever reads. Each decision is the product's, and compared.

use havenlink_model::persons::*;

use super::Compared;
use super::product::{self, Product};
use super::world::*;

/// Everybody who may ask to read, and for what.
const READERS: [Reader; 8] = [
    Reader::Operator,
    Reader::Coordinator,
    Reader::Publisher,
    Reader::Consumer,
    Reader::DataProtection,
    Reader::Inspection,
    Reader::Liaison,
    Reader::Node,
];
const AIMS: [Aim; 6] = [Aim::Show, Aim::Consume, Aim::Answer, Aim::SayLater, Aim::Prepare, Aim::Order];

pub fn live(world: &World, compared: &mut Compared) {
    let (share, record) = (world.share.clone(), world.record.clone());
    let mut life = Life { world, compared, share, record, words: world.words.iter() };
    let product = life.given();
    life.shared(product);
    life.read();
}

struct Life<'w> {
    world: &'w World,
    compared: &'w mut Compared,
    /// What happened, as the product took it.
    share: Share,
    /// It ends no later than what she agreed to.
    record: Record,
    words: std::slice::Iter<'w, (At, Word)>,
}

impl Life<'_> {
    /// One decision: the whole rule says the same, and each rule without a clause that does not is noticed.
    fn same(&mut self, what: &str, product: bool, model: impl Fn(&Rule) -> bool) {
        self.compared.decisions += 1;
        self.compared.yes += u64::from(product);
        let whole = model(&Rule::default());
        if whole != product && self.compared.fault.is_none() {
            self.compared.fault = Some(format!("SAME: {what}: the product says {product}, the model {whole}"));
        }
        self.compared.unseen.retain(|clause| model(&Rule { without: Some(*clause) }) == product);
    }

    fn given(&mut self) -> Option<Product> {
        let (at, decider, how) = self.world.given;
        let product = Product::given(self.world, &self.share, self.world.given);
        let (share, case, register) = (self.share.clone(), self.world.case.as_slice(), &self.world.origin.register);
        self.same("given", product.is_some(), |rule| rule.is_given(register, &share, decider, how, case, at));
        if product.is_some() {
            self.share.events.push(Event::Given(at, decider, how));
        }
        product
    }

    /// What was said by then.
    fn heard(&mut self, product: &mut Product, until: At) {
        while let Some((at, word)) = self.words.as_slice().first().filter(|(at, _)| *at <= until) {
            self.words.next();
            let (at, share) = (*at, self.share.clone());
            match *word {
                Word::Confirmed(decider, how, by) => {
                    let took = product.confirmed(decider, how, by, at);
                    self.same("confirmed", took, |rule| rule.is_confirmed(&share, decider, how, by, at));
                    self.share.events.extend(took.then_some(Event::Confirmed(at, decider, how, by)));
                }
                Word::Approved(by, officer) => {
                    let took = product.approved(by, officer, at);
                    self.same("approved", took, |rule| rule.is_approved(&share, by, officer, at));
                    self.share.events.extend(took.then_some(Event::Approved(at, by, officer)));
                }
                Word::Withdrawn => {
                    product.withdrawn(at);
                    self.share.events.push(Event::Withdrawn);
                }
            }
        }
    }

    /// Two attempts at the origin, and what arrives.
    fn shared(&mut self, mut product: Option<Product>) {
        let world = self.world;
        let scope = self.share.scopes[0].scope;
        self.share.shared = vec![scope; usize::try_from(world.used).unwrap_or(0)];
        if let Some(product) = &mut product {
            product.used(world.used);
        }
        let first = self.attempt(product.as_mut(), &world.origin, None);
        // What has never left does not leave later by itself.
        let Some(sent) = first else { return };
        self.share.shared.push(scope_of(world.record.service));
        if let Some(product) = &mut product {
            product.spent();
        }
        if let Some(sent) = self.attempt(product.as_mut(), &world.later, Some(sent)) {
            self.arrives(sent);
        }
    }

    /// One attempt: it leaves, under one of the grants that the model allows, or it stays.
    fn attempt(&mut self, mut product: Option<&mut Product>, node: &Node, before: Option<Sent>) -> Option<Sent> {
        if let Some(product) = &mut product {
            self.heard(product, latest(node));
        }
        let (record, share, counted) = (self.record.clone(), self.share.clone(), before.is_some());
        let under = before.as_ref().map(|sent| (sent.agreement, sent.grant));
        let left = product.and_then(|product| product.leaves(node, &record, under));
        // Asked about one grant the model answers about that one; about any, whether there is one.
        let allows = |rule: &Rule| {
            let all = rule.may_leave(node, &record, Some(&share), counted);
            under.map_or(!all.is_empty(), |under| all.contains(&under))
        };
        self.same(if counted { "leaves later" } else { "leaves" }, left.is_some(), allows);
        let left = left?;
        self.compared.left += 1;
        let allowed = Rule::default().may_leave(node, &record, Some(&share), counted);
        let terms = Rule::default().opens(node, &share, product::asked(&record), counted, latest(node));
        let within = terms.is_some_and(|(expires, erase_by)| left.ends <= expires && left.erase_by <= erase_by);
        if !(allowed.contains(&left.under) && within) && self.compared.fault.is_none() {
            self.compared.fault = Some(format!("SUBSET: it left under {left:?}, of {allowed:?} until {terms:?}"));
        }
        self.record.expires = left.ends;
        let (agreement, grant) = left.under;
        let under = Some((scope_of(record.service), left.erase_by));
        Some(Sent { record: self.record.clone(), agreement, grant, under })
    }

    fn arrives(&mut self, sent: Sent) {
        let (sent, node) = (forged(sent, self.world.forged), &self.world.recipient);
        let took = product::enters(node, &sent);
        self.compared.taken += u64::from(took);
        self.same("arrives", took, |rule| rule.may_enter(node, &sent));
    }

    fn read(&mut self) {
        let (kept, at) = (self.world.kept, self.world.read_at);
        for reader in READERS {
            for aim in AIMS {
                let may = product::reads(&kept, reader, aim, at);
                self.same(&format!("{reader:?} reads: {aim:?}"), may, |rule| rule.may_read(&kept, reader, aim, at));
            }
        }
    }
}

/// What an origin sends that does not do as it should.
fn forged(mut sent: Sent, how: Option<Forged>) -> Sent {
    match how {
        None => {}
        Some(Forged::NothingTravels) => sent.under = None,
        Some(Forged::AnotherScope(scope)) => sent.under = sent.under.map(|(_, erase_by)| (scope, erase_by)),
        Some(Forged::ErasedEarly) => sent.under = sent.under.map(|(scope, _)| (scope, sent.record.expires - 1)),
        Some(Forged::ForAnother) => sent.record.recipient = THIRD,
        Some(Forged::MarkedAs(tlp)) => sent.record.tlp = tlp,
        Some(Forged::Created(at)) => sent.record.created = at,
        Some(Forged::Expires(at)) => sent.record.expires = at,
        Some(Forged::AnotherGrant(grant)) => sent.grant = grant,
    }
    sent
}
