//! Every statement of the register (9.4), the heads that they lead to, and a snapshot of what they give.

use std::collections::BTreeSet;

use bytes::Bytes;
use havenlink::directory::refounding::{Known, SetInForce, Withdrawals};
use havenlink::directory::snapshot;
use havenlink::directory::state::RegisterState;
use havenlink::domain::ids::{AuthorityId, Digest, StatementId};
use havenlink::domain::statement::Subject;
use havenlink::domain::time::UnixMs;
use havenlink::wire::keys::Plain;
use havenlink::wire::statement;
use havenlink::wire::{beat, signed};
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::{Place, PlaceScheme, Signed};
use prost::Message;
use proto::proposal::Act;
use proto::statement::Body;

use crate::golden;
use crate::samples::*;

/// Who signs what about whom. Votes are about the proposal that was made last.
struct Step {
    name: &'static str,
    by: &'static str,
    about: &'static str,
    /// Numbers of keys that sign beside the author's own.
    more: &'static [u8],
    body: fn(&RegisterState, &Bytes) -> Body,
    outcome: proto::Outcome,
}

const fn step(
    name: &'static str,
    by: &'static str,
    about: &'static str,
    body: fn(&RegisterState, &Bytes) -> Body,
) -> Step {
    Step { name, by, about, more: &[], body, outcome: proto::Outcome::Accepted }
}

const fn pending(step: Step) -> Step {
    Step { outcome: proto::Outcome::Pending, ..step }
}

fn act(act: Act) -> Body {
    Body::Proposal(proto::Proposal { act: Some(act) })
}

fn approval(_: &RegisterState, last: &Bytes) -> Body {
    Body::Approval(proto::Approval { proposal_id: last.clone() })
}

fn stewards(cities: &[&str]) -> Body {
    let steward = |city: &&str| proto::Steward { authority: (*city).to_owned(), raft_id: number(city).into() };
    act(Act::StewardSet(proto::StewardSet { stewards: cities.iter().map(steward).collect() }))
}

/// An entry as its authority states it at this version, signed by the key of this number.
fn application(state: &RegisterState, entry: proto::AuthorityEntry, version: u64, number: u8) -> Signed {
    let (federation, city) = (state.federation(), entry.authority.clone());
    let entry = proto::AuthorityEntry { authority_key: Bytes::copy_from_slice(&key(number).public().0), ..entry };
    let said = statement_of(federation.as_bytes(), &city, &city, version, Body::Entry(entry));
    signed::sign(&federation, &said, &[&key(number)])
}

/// Gent under its Dutch name.
fn renamed(state: &RegisterState) -> proto::AuthorityEntry {
    proto::AuthorityEntry {
        names: vec![proto::Name { language: "nl".into(), name: "Gent".into() }],
        ..entry(&state.federation(), GENT)
    }
}

fn admit(state: &RegisterState, city: &str) -> Body {
    admit_as(state, entry(&state.federation(), city))
}

fn admit_as(state: &RegisterState, entry: proto::AuthorityEntry) -> Body {
    let number = number(&entry.authority);
    act(Act::Admit(proto::Admit {
        application: Some(application(state, entry, 0, number)),
        invited_by: STRASBOURG.into(),
        invitation_id: filled::<32>(8),
        words_digest: filled::<32>(9),
    }))
}

fn suspended(reason: proto::SuspendReason) -> proto::Suspend {
    proto::Suspend { reason: reason.into() }
}

fn policy() -> proto::Policy {
    proto::Policy {
        rules_version: 1,
        admission_approvals: 1,
        emergency_ms: DAY,
        freshness_limit_ms: 600_000,
        beat_interval_ms: 15_000,
        snapshot_interval: 4_096,
        proposal_life_ms: 7 * DAY,
    }
}

const STEPS: &[Step] = &[
    step("admit-kehl", STRASBOURG, KEHL, |state, _| admit(state, KEHL)),
    step("admit-esch", STRASBOURG, ESCH, |state, _| admit(state, ESCH)),
    step("admit-gent", STRASBOURG, GENT, |state, _| admit(state, GENT)),
    step("stewards-two", STRASBOURG, "#stewards", |_, _| stewards(&[KEHL, STRASBOURG])),
    pending(step("stewards-three", STRASBOURG, "#stewards", |_, _| stewards(&[KEHL, STRASBOURG, ESCH]))),
    step("approval-stewards", KEHL, "#stewards", approval),
    step("entry", GENT, GENT, |state, _| {
        Body::Entry(proto::AuthorityEntry {
            endpoints: vec!["other.be-gent.example:7443".into()],
            ..entry(&state.federation(), GENT)
        })
    }),
    step("suspend-emergency", KEHL, GENT, |_, _| Body::Suspend(suspended(proto::SuspendReason::NodeCompromised))),
    pending(step("restore", STRASBOURG, GENT, |state, _| {
        let lifts = vec![Bytes::copy_from_slice(&emergency(state).0)];
        act(Act::Restore(proto::Restore { lifts }))
    })),
    step("approval-restore", KEHL, GENT, approval),
    Step {
        more: &[2],
        ..step("suspend-steward", STRASBOURG, ESCH, |_, _| Body::Suspend(suspended(proto::SuspendReason::OwnRequest)))
    },
    pending(step("suspend-lasting", STRASBOURG, GENT, |_, _| {
        act(Act::Suspend(suspended(proto::SuspendReason::BreachOfRules)))
    })),
    pending(step("rejection", KEHL, GENT, |_, last| {
        let reason = proto::RejectionReason::NoLegalBasis.into();
        Body::Rejection(proto::Rejection { proposal_id: last.clone(), reason })
    })),
    step("withdrawal", STRASBOURG, GENT, |_, last| Body::Withdrawal(proto::Withdrawal { proposal_id: last.clone() })),
    pending(step("policy", STRASBOURG, "#policy", |_, _| {
        act(Act::Policy(proto::Policy { beat_interval_ms: 10_000, ..policy() }))
    })),
    step("approval-policy", KEHL, "#policy", approval),
    pending(step("entry-change", STRASBOURG, GENT, |state, _| act(Act::EntryChange(renamed(state))))),
    step("approval-entry-change", KEHL, GENT, approval),
    Step {
        more: &[5],
        ..step("key-rotation", GENT, GENT, |_, _| {
            Body::KeyRotation(proto::KeyRotation {
                new_key: Bytes::copy_from_slice(&key(5).public().0),
                compromised: false,
            })
        })
    },
    pending(step("key-recovery", STRASBOURG, GENT, |state, _| {
        let version = state.version(&Subject::Authority(id(GENT)));
        act(Act::KeyRecovery(proto::KeyRecovery {
            new_key: Bytes::copy_from_slice(&key(6).public().0),
            entry: Some(application(state, renamed(state), version, 6)),
        }))
    })),
    step("approval-key-recovery", KEHL, GENT, approval),
    pending(step("remove", STRASBOURG, GENT, |_, _| {
        act(Act::Remove(proto::Remove { reason: proto::RemoveReason::NoLongerExists.into() }))
    })),
    step("approval-remove", KEHL, GENT, approval),
    step("admit-ngo", STRASBOURG, NGO, |state, _| {
        let kind = proto::ParticipantKind::MandatedNgo.into();
        admit_as(state, proto::AuthorityEntry { kind, ..entry(&state.federation(), NGO) })
    }),
    step("mandate", KEHL, NGO, |_, _| {
        Body::Mandate(proto::Mandate {
            activities: vec![proto::MandatedActivity::Outreach.into(), proto::MandatedActivity::LegalAid.into()],
            territory: vec![Place { scheme: PlaceScheme::Nuts.into(), code: "DE134".into() }],
            valid_from_ms: NOW,
            valid_until_ms: NOW + 365 * DAY,
        })
    }),
    step("mandate-revocation", KEHL, NGO, |_, _| Body::MandateRevocation(proto::MandateRevocation {})),
    // Every entry so far came an hour after the one before, and its author's clock stood still.
    pending(step("retime", STRASBOURG, "#policy", |_, _| act(Act::Retime(proto::Retime { time_ms: NOW + DAY })))),
    step("approval-retime", KEHL, "#policy", approval),
];

fn id(city: &str) -> AuthorityId {
    AuthorityId::parse(city).unwrap()
}

/// The emergency suspension that a restoration lifts: what the golden file of that step has.
fn emergency(_: &RegisterState) -> StatementId {
    let signed = golden::made("statement-suspend-emergency");
    StatementId(Digest::of(&Signed::decode(signed).unwrap().payload).0)
}

fn statement_of(federation: &[u8], by: &str, about: &str, version: u64, body: Body) -> proto::Statement {
    proto::Statement {
        federation_id: Bytes::copy_from_slice(federation),
        rules_version: 1,
        author: by.to_owned(),
        subject: about.to_owned(),
        subject_version: version,
        time_ms: NOW,
        nonce: filled::<16>(11),
        body: Some(body),
    }
}

/// The statement that founds the federation of this register.
pub fn genesis() -> Bytes {
    golden::bytes("statement-genesis", || {
        let body = Body::Genesis(proto::Genesis {
            steward: Some(entry(&signed::NO_FEDERATION, STRASBOURG)),
            policy: Some(policy()),
        });
        let said = statement_of(&[0; 32], STRASBOURG, STRASBOURG, 0, body);
        signed::sign(&signed::NO_FEDERATION, &said, &[&key(1)]).encode_to_vec().into()
    })
}

/// What a version changes: an authority's entry has one of its own; a vote repeats what its proposal names.
fn version(state: &RegisterState, about: &str, body: &Body) -> u64 {
    let proposal = match body {
        Body::Approval(proto::Approval { proposal_id })
        | Body::Rejection(proto::Rejection { proposal_id, .. })
        | Body::Withdrawal(proto::Withdrawal { proposal_id }) => Some(proposal_id),
        _ => None,
    };
    if let Some(proposal) = proposal.map(|id| StatementId(Digest::from_slice(id).unwrap().0)) {
        return state.proposal(&proposal).unwrap().subject_version;
    }
    match body {
        Body::Mandate(_) => return 0,
        Body::MandateRevocation(_) => return 1,
        _ => {}
    }
    let of_entry = matches!(
        body,
        Body::Entry(_)
            | Body::KeyRotation(_)
            | Body::Proposal(proto::Proposal { act: Some(Act::Admit(_) | Act::EntryChange(_)) })
    );
    match about {
        "#stewards" => state.version(&Subject::Stewards),
        "#policy" => state.version(&Subject::Policy),
        city if of_entry => state.entry_version(&id(city)),
        city => state.version(&Subject::Authority(id(city))),
    }
}

fn make(state: &RegisterState, step: &Step, last: &Bytes) -> Bytes {
    let body = (step.body)(state, last);
    let version = version(state, step.about, &body);
    let federation = state.federation();
    let said = statement_of(federation.as_bytes(), step.by, step.about, version, body);
    let keys: Vec<_> = [number(step.by)].iter().chain(step.more).map(|number| key(*number)).collect();
    signed::sign(&federation, &said, &keys.iter().collect::<Vec<_>>()).encode_to_vec().into()
}

/// The register after all golden statements, each applied an hour after the one before; its heads, one line each.
pub fn replayed() -> (RegisterState, String) {
    let first = genesis();
    let mut state = RegisterState::genesis(&first, &Plain).unwrap();
    let (mut last, mut heads) = (Bytes::new(), format!("0 genesis {}\n", state.head()));
    for (number, step) in (1_i64..).zip(STEPS) {
        let signed = golden::bytes(&format!("statement-{}", step.name), || make(&state, step, &last));
        let (_, opened) = statement::open(signed.clone()).unwrap_or_else(|e| panic!("{}: {e:?}", step.name));
        let (payload, is_proposal) = (opened.payload_digest(), matches!(body_of(&signed), Body::Proposal(_)));
        let applied = state.apply(UnixMs(NOW + number * 3_600_000), &signed, &Plain);
        assert_eq!(applied.outcome.code(), i32::from(step.outcome), "{}: {:?}", step.name, applied.outcome);
        if is_proposal {
            last = Bytes::copy_from_slice(&payload.0);
        }
        heads += &format!("{number} {} {}\n", step.name, state.head());
    }
    (state, heads)
}

/// Each change: its number, time, statement, outcome, and the head that it led to.
pub fn steps() -> Vec<(u64, i64, Bytes, i32, Digest)> {
    let mut state = RegisterState::genesis(&genesis(), &Plain).unwrap();
    let change = |(number, step): (i64, &Step)| {
        let (signed, at) = (golden::made(&format!("statement-{}", step.name)), NOW + number * 3_600_000);
        let outcome = state.apply(UnixMs(at), &signed, &Plain).outcome.code();
        (state.number(), at, signed, outcome, state.head())
    };
    (1_i64..).zip(STEPS).map(change).collect()
}

fn body_of(signed: &Bytes) -> Body {
    let signed = Signed::decode(signed.clone()).unwrap();
    proto::Statement::decode(signed.payload).unwrap().body.unwrap()
}

#[test]
fn every_statement_of_the_register_is_judged_as_it_was_and_leads_to_the_same_head() {
    let (_, heads) = replayed();
    assert_eq!(golden::text("heads.txt", || heads.clone()), heads);
    // Each body and each act is among them, or a new one came without a golden file.
    let names = ["genesis", "refound"].into_iter().chain(STEPS.iter().map(|step| step.name));
    refounded();
    let said: Vec<Body> = names.map(|name| body_of(&golden::made(&format!("statement-{name}")))).collect();
    let bodies =
        said.iter().map(|body| first_number(&proto::Statement { body: Some(body.clone()), ..Default::default() }));
    assert_eq!(bodies.collect::<BTreeSet<_>>(), choices("havenlink.directory.v1.Statement"));
    let acts = said.iter().filter_map(|body| if let Body::Proposal(p) = body { Some(first_number(p)) } else { None });
    assert_eq!(acts.collect::<BTreeSet<_>>(), choices("havenlink.directory.v1.Proposal"));
}

/// The number of the field that a message's encoding begins with.
fn first_number(message: &impl Message) -> u32 {
    let tag = prost::decode_length_delimiter(message.encode_to_vec().as_slice()).unwrap();
    u32::try_from(tag >> 3).unwrap()
}

/// The numbers of a message's choice.
fn choices(message: &str) -> BTreeSet<u32> {
    let pool = prost_reflect::DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let message = pool.get_message_by_name(message).unwrap();
    message.oneofs().next().unwrap().fields().map(|field| field.number()).collect()
}

/// A founding on the register after all golden statements: Strasbourg and Kehl under fresh Raft ids, on a base that they beat.
fn refounded() -> (RegisterState, RegisterState) {
    let (base, _) = replayed();
    let federation = base.federation();
    let said = golden::bytes("statement-refound", || {
        let beat = |city: &str| {
            let beat = proto::Beat {
                federation_id: Bytes::copy_from_slice(federation.as_bytes()),
                steward: city.to_owned(),
                number: base.number(),
                head: Bytes::copy_from_slice(base.head().as_bytes()),
                overlay_digest: filled::<32>(0),
                term: 3,
                time_ms: NOW,
                ..Default::default()
            };
            signed::sign(&federation, &beat, &[&key(number(city))])
        };
        let founder = |city: &str| {
            let founder = proto::Founder {
                federation_id: Bytes::copy_from_slice(federation.as_bytes()),
                authority: city.to_owned(),
                raft_id: 100 + u64::from(number(city)),
                signed_before: 0,
                time_ms: NOW,
                without_vote: city == KEHL,
            };
            signed::sign(&federation, &founder, &[&key(number(city))])
        };
        let body = proto::Refound {
            founding: 1,
            base_founding: 0,
            base_number: base.number(),
            base_head: Bytes::copy_from_slice(base.head().as_bytes()),
            proof: [KEHL, STRASBOURG].map(beat).to_vec(),
            founders: [KEHL, STRASBOURG].map(founder).to_vec(),
            not_after_ms: NOW + 7 * DAY,
        };
        let version = base.version(&Subject::Stewards);
        let said = statement_of(federation.as_bytes(), KEHL, "#stewards", version, Body::Refound(body));
        let said = proto::Statement { time_ms: NOW + 2 * DAY, ..said };
        signed::sign(&federation, &said, &[&key(2), &key(1)]).encode_to_vec().into()
    });
    let sets = [SetInForce::of(&base)];
    let known = Known { newest: &base, sets: &sets, head_at: &|_| None, withdrawn: &Withdrawals::default() };
    let (state, change) = base.begin_anew(&said, &known, &Plain).unwrap();
    assert_eq!((change.number, change.signed), (base.number() + 1, said));
    (base, state)
}

#[test]
fn a_founding_is_judged_as_it_was_and_leads_to_the_same_head() {
    let (base, state) = refounded();
    let line = |state: &RegisterState| format!("{} {}\n", state.position(), state.head());
    let heads = line(&base) + &line(&state);
    assert_eq!(golden::text("head-refounded.txt", || heads.clone()), heads);
}

#[test]
fn a_snapshot_opens_and_gives_the_register_that_its_statements_give() {
    let (state, _) = replayed();
    let header = golden::bytes("snapshot-header", || {
        let encoded = snapshot::encode(&state);
        let mark = beat::Beat {
            federation: state.federation(),
            steward: id(STRASBOURG),
            founding: state.position().founding,
            number: state.number(),
            head: state.head(),
            overlay: Digest([0; 32]),
            snapshot: Some(encoded.mark),
            term: 3,
            time: UnixMs(NOW + DAY),
        };
        let beat = signed::sign(&state.federation(), &beat::to_proto(&mark), &[&key(1)]);
        proto::SnapshotHeader { beats: vec![beat], ..encoded.header }.encode_to_vec().into()
    });
    let items = golden::bytes("snapshot-items", || snapshot::encode(&state).items);
    let header = proto::SnapshotHeader::decode(header).unwrap();
    let opened = snapshot::open(&state.federation(), &header, &items, None, &Plain).unwrap();
    assert_eq!((opened.mark().number, opened.mark().head), (state.number(), state.head()));
    assert_eq!(snapshot::encode(&state).items, items, "the same register is the same snapshot");
}
