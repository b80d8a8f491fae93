//! A world in which somebody agreed to be referred, and all is right; then some of it is spoilt.

use havenlink_model::persons::*;

use super::spoils;
use crate::chance::Chance;

/// When the first attempt is made, where no clock is wrong: half a minute after ten minutes have begun, by which records are dated.
pub const NOW: At = 1_900_000_230_000;

pub const ORIGIN: Who = 0;
pub const RECIPIENT: Who = 1;
pub const THIRD: Who = 2;
pub const HOST: Who = 3;
/// Who hosts the recipient from some time on.
pub const OTHER_HOST: Who = 4;

/// A word about an agreement to share, after it was given.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    Confirmed(Decider, Circumstances, At),
    /// By whom; whether by the data-protection officer.
    Approved(u8, bool),
    Withdrawn,
}

#[derive(Clone, Debug)]
pub struct World {
    /// The origin at the first attempt.
    pub origin: Node,
    /// The origin at a later one: time has passed, and what was known may be another by then.
    pub later: Node,
    /// The recipient, when it arrives.
    pub recipient: Node,
    /// What she was asked; nothing has happened to it yet.
    pub share: Share,
    /// What was said about her before.
    pub case: Vec<Share>,
    pub given: (At, Decider, Circumstances),
    /// What was said since, by the time at which it was; what is later than an attempt is not known to it.
    pub words: Vec<(At, Word)>,
    /// How often it was used before.
    pub used: u32,
    pub record: Record,
    /// What travels, where the origin does not send what it should.
    pub forged: Option<Forged>,
    /// When somebody reads, and what is read.
    pub kept: Kept,
    pub read_at: At,
}

/// What an origin may get wrong in an envelope.
#[derive(Clone, Copy, Debug)]
pub enum Forged {
    NothingTravels,
    AnotherScope(Scope),
    ErasedEarly,
    ForAnother,
    MarkedAs(Tlp),
    Created(At),
    Expires(At),
    AnotherGrant(usize),
}

impl World {
    pub fn of(chance: &mut Chance) -> Self {
        let mut world = Self::right(chance);
        // Between refusals alone no rule shows: most worlds have one or two things wrong with them, many none.
        for _ in 0..chance.below(4) {
            spoils::spoil(&mut world, chance);
        }
        world
    }

    fn right(chance: &mut Chance) -> Self {
        let abroad = pick(chance, &[Country::Germany, Country::Switzerland, Country::Britain]);
        let hosted = chance.one_in(3).then(|| pick(chance, &[Country::Germany, Country::Switzerland]));
        let kind = Kind::of(chance);
        let services: &[Service] = match kind {
            Kind::Vital => &[Service::Refuge, Service::Medical],
            _ => &[Service::Refuge, Service::Medical, Service::Psychological, Service::LegalAid, Service::Casework],
        };
        let service = pick(chance, services);
        let given = kind.given(chance);
        let share = share_of(kind, service, (abroad, hosted), given.0);
        let origin = node(ORIGIN, NOW, (abroad, hosted), service, chance);
        let passed = pick(chance, &[MINUTE, 30 * MINUTE, 5 * HOUR, 3 * DAY]);
        let later = moved(&origin, passed);
        let recipient = Node { own: RECIPIENT, silent: vec![], ..moved(&later, pick(chance, &[0, 500, MINUTE])) };
        let created = NOW - NOW.rem_euclid(10 * MINUTE);
        let record = Record {
            origin: ORIGIN,
            recipient: RECIPIENT,
            form: pick(chance, &[Form::Asked, Form::Asked, Form::Query]),
            service,
            purpose: Purpose::Assistance,
            tlp: pick(chance, &[Tlp::AmberStrict, Tlp::Red]),
            special: true,
            created,
            expires: created + 20 * DAY,
        };
        let own = chance.one_in(3);
        let kept = Kept { own, created, expires: created + 20 * DAY, since: NOW, retention: 10 * DAY };
        let words = kind.words(chance, given.0);
        let used = 0;
        let read_at = NOW + HOUR;
        Self { origin, later, recipient, share, case: vec![], given, words, used, record, forged: None, kept, read_at }
    }
}

/// Who decided, how freely.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Adult,
    Provisional,
    Child,
    Vital,
}

impl Kind {
    fn of(chance: &mut Chance) -> Self {
        pick(chance, &[Self::Adult, Self::Adult, Self::Provisional, Self::Child, Self::Vital])
    }

    fn given(self, chance: &mut Chance) -> (At, Decider, Circumstances) {
        let edge = pick(chance, &[-1, 0, 1, HOUR, -HOUR]);
        match self {
            Self::Adult => (NOW - pick(chance, &[HOUR, DAY, 40 * DAY]), Decider::Person, FREELY),
            Self::Provisional => {
                let at = NOW - pick(chance, &[HOUR, 48 * HOUR]) + edge;
                let place =
                    pick(chance, &[AskedAt::PolicePremises, AskedAt::Detention, AskedAt::Remote, AskedAt::Shelter]);
                let interpreter = match place {
                    AskedAt::Shelter => Interpreter::Unknown,
                    _ => Interpreter::Independent,
                };
                (at, Decider::Person, Circumstances { place, interpreter, called_back_alone: true, ..FREELY })
            }
            Self::Child => {
                let decider = pick(
                    chance,
                    &[Decider::Guardian { independent: true, in_conflict: false }, Decider::ChildProtection],
                );
                (NOW - DAY, decider, FREELY)
            }
            Self::Vital => {
                let at = NOW - pick(chance, &[HOUR, 24 * HOUR, 72 * HOUR]) + edge;
                (at, Decider::Vital { by: 1 }, FREELY)
            }
        }
    }

    fn words(self, chance: &mut Chance, given: At) -> Vec<(At, Word)> {
        match self {
            Self::Provisional if chance.one_in(2) => {
                let at = given + pick(chance, &[HOUR, 47 * HOUR, 50 * HOUR]);
                vec![(at, Word::Confirmed(Decider::Person, FREELY, at + 200 * DAY))]
            }
            Self::Vital if !chance.one_in(3) => {
                let officer = chance.one_in(2);
                let after = pick(chance, &[HOUR, 24 * HOUR - 1, 24 * HOUR, 30 * HOUR]);
                vec![(given + after, Word::Approved(2, officer))]
            }
            _ => vec![],
        }
    }
}

pub const FREELY: Circumstances = Circumstances {
    interpreter: Interpreter::Independent,
    interpreted: true,
    place: AskedAt::Shelter,
    exploiter_excluded: true,
    called_back_alone: false,
    duress: false,
};

fn share_of(kind: Kind, service: Service, (abroad, hosted): (Country, Option<Country>), given: At) -> Share {
    let life = if kind == Kind::Vital { 72 * HOUR } else { 300 * DAY };
    let mut countries: Vec<Country> = vec![];
    for country in [Country::France, abroad].into_iter().chain(hosted) {
        if !countries.contains(&country) {
            countries.push(country);
        }
    }
    let scope = ScopeTerms {
        scope: scope_of(service),
        purposes: vec![Purpose::Assistance],
        recipients: vec![RECIPIENT, THIRD],
        countries,
        expires: given + life,
        erase_by: given + life + 20 * DAY,
        uses: 2,
    };
    let child = kind == Kind::Child;
    Share {
        scopes: vec![scope],
        excluded: vec![],
        excluded_countries: vec![],
        consent: false,
        special: true,
        reconfirm_by: given + 300 * DAY,
        age: if child { Age::Child } else { Age::Adult },
        minor: child.then_some(Minor { best_interests: true, unaccompanied: true, both_officers: true }),
        events: vec![],
        shared: vec![],
    }
}

fn node(
    own: Who,
    wall: At,
    (abroad, hosted): (Country, Option<Country>),
    service: Service,
    chance: &mut Chance,
) -> Node {
    let member = |country, host| Authority { country, host, standing: Membership::Active, emergency: None };
    let register = vec![
        member(Country::France, None),
        member(abroad, hosted.map(|_| HOST)),
        member(Country::France, None),
        member(hosted.unwrap_or(Country::Germany), None),
        member(pick(chance, &[Country::Germany, Country::Switzerland, Country::Britain]), None),
    ];
    let transfers = [Some(abroad), hosted].into_iter().flatten().filter(|country| !country.inside());
    let mut outside: Vec<Transfer> = vec![];
    for country in transfers {
        if outside.iter().all(|transfer| transfer.country != country) {
            outside.push(Transfer { country, until: NOW + 200 * DAY });
        }
    }
    let party = |who, transfers| Party { who, transfers };
    let grant = Grant {
        from: ORIGIN,
        to: RECIPIENT,
        referrals: true,
        services: vec![service, Service::Casework],
        purposes: vec![Purpose::Assistance, Purpose::Protection],
        usage: pick(chance, &[Usage::View, Usage::Store]),
        highest: Tlp::Red,
        retention: 30 * DAY,
        valid_from: NOW - 50 * DAY,
        until: NOW + 200 * DAY,
    };
    let back = Grant { from: RECIPIENT, to: ORIGIN, ..grant.clone() };
    let agreement = Agreement {
        parties: vec![party(ORIGIN, vec![]), party(RECIPIENT, outside), party(THIRD, vec![])],
        grants: vec![grant, back],
        signed: vec![ORIGIN, RECIPIENT, THIRD],
        ends: vec![],
        unconfirmed: false,
    };
    Node {
        own,
        wall,
        stored: wall - 100,
        beat: Some(wall - 10_000),
        heard_ago: 9_000,
        register,
        agreements: vec![agreement],
        silent: vec![],
    }
}

/// The same knowledge, so much later.
fn moved(node: &Node, passed: At) -> Node {
    let mut node = node.clone();
    node.wall += passed;
    node.stored += passed;
    node.beat = node.beat.map(|beat| beat + passed);
    node
}

pub fn pick<T: Copy>(chance: &mut Chance, among: &[T]) -> T {
    among[chance.place(among.len())]
}
