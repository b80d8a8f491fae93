//! Decisions of several stewards: admission, stewards, policy, votes and their lives.

use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::*;
use crate::domain::register::{RejectionReason, RemoveReason};
use crate::state::{KNOWN_RULES, ProposalState};
use crate::wire::acts;

#[test]
fn admission_takes_as_many_stewards_as_the_policy_says() {
    let mut world = World::three();
    let opened = world.propose_admission(GRAZ, 0);
    assert_eq!(opened.outcome, Outcome::Pending, "the proposing steward is the first of two");
    assert_eq!(world.approve(STRASBOURG, &opened.statement), Outcome::AlreadyApproved);
    assert_eq!(world.approve(GENT, &opened.statement), Outcome::NotASteward);
    assert!(world.state.member(&id(GRAZ)).is_none());
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    let member = world.state.member(&id(GRAZ)).unwrap();
    assert_eq!((member.version, member.status_version), (1, 1));
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::ProposalClosed);
    assert_eq!(world.propose_admission(GRAZ, 0).outcome, Outcome::AlreadyMember);
}

#[test]
fn a_member_proposes_whom_it_invited_and_counts_for_nothing() {
    let mut world = World::three();
    let application = world.application(GRAZ, 0);
    let by = |by: &str| Invited { by: id(by), invitation: None, words: None };
    let foreign = world.act(GENT, |a, s| a.admit(s, &id(GRAZ), application.clone(), &by(KEHL)));
    assert_eq!(foreign.outcome, Outcome::NotASteward);
    let opened = world.act(GENT, |a, s| a.admit(s, &id(GRAZ), application.clone(), &by(GENT)));
    assert_eq!(opened.outcome, Outcome::Pending);
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::Pending);
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    assert_eq!(world.act(GENT, |a, s| a.policy(s, &Policy::default())).outcome, Outcome::NotASteward);
    assert_eq!(world.act(GENT, |a, s| a.remove(s, &id(KEHL), RemoveReason::OwnRequest)).outcome, Outcome::NotASteward);
}

#[test]
fn an_application_that_is_not_the_applicants_is_refused() {
    let mut world = World::three();
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    // A steward changes the key under way: the signature is no longer the key's.
    let mut application = world.application(GRAZ, 0);
    let forger = new_key();
    let forged = entry(GRAZ, &forger, 0);
    let by_forger = world.sign_with(&id(GRAZ), &forger, |a, s| a.application(&s.federation(), 1, 0, &forged));
    let [mut honest, other] = [&application, &by_forger].map(|entry| Signed::decode(entry.signed.clone()).unwrap());
    honest.payload = other.payload;
    application = acts::signed_entry(honest.encode_to_vec().into(), "application").unwrap();
    let refused = world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited));
    assert_eq!(refused.outcome, Outcome::BadSignature);
    // Meant for another federation, another id, another version.
    let application = world.application(GRAZ, 0);
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id("at-wien"), application, &invited)).outcome, Outcome::Malformed);
    let key = new_key();
    let elsewhere = world.sign_with(&id(GRAZ), &key, |a, _| {
        a.application(&crate::domain::ids::FederationId([3; 32]), 1, 0, &entry(GRAZ, &key, 0))
    });
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), elsewhere, &invited)).outcome, Outcome::WrongFederation);
    let later = world.sign_with(&id(GRAZ), &key, |a, s| {
        a.application(&s.federation(), 1, 1, &proved(&s.federation(), entry(GRAZ, &key, 0)))
    });
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), later, &invited)).outcome, Outcome::StaleVersion);
    // Sent to the register directly.
    let direct = world.sign_with(&id(GRAZ), &key, |a, s| a.entry(s, &entry(GRAZ, &key, 0)));
    assert_eq!(world.outcome(&direct), Outcome::NeedsApproval);
}

#[test]
fn a_decision_lives_seven_days_by_entry_time() {
    let mut world = World::three();
    let opened = world.propose_admission(GRAZ, 0);
    let opened_at = world.now;
    let approval = world.sign(KEHL, |a, s| a.approve(s, &opened.statement).unwrap());
    // The approval was signed in time; what counts is when it is ordered.
    world.now = opened_at + Millis::days(7) - Millis(1);
    let mut in_time = world.clone();
    in_time.now = in_time.now - Millis(1);
    assert_eq!(in_time.outcome(&approval), Outcome::Accepted);
    assert_eq!(world.outcome(&approval), Outcome::ProposalExpired);
    // Forgotten thirty days after its end, when another one opens.
    world.now = world.now + Millis::days(31);
    world.propose_admission("at-wien", 0);
    assert!(world.state.proposal(&opened.statement).is_none());
    assert_eq!(world.outcome(&approval), Outcome::NoSuchProposal);
}

#[test]
fn one_steward_cannot_block_and_the_applicant_reads_the_reason() {
    let mut world = World::three();
    let opened = world.propose_admission(GRAZ, 0);
    let reject =
        |a: &Author<'_>, s: &RegisterState| a.reject(s, &opened.statement, RejectionReason::Incomplete).unwrap();
    assert_eq!(world.act(KEHL, reject).outcome, Outcome::Pending);
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::AlreadyApproved, "one vote each");
    let mut other = world.clone();
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted, "one against does not block");
    assert_eq!(other.act(ESCH, reject).outcome, Outcome::Accepted);
    let closed = other.state.proposal(&opened.statement).unwrap();
    assert_eq!(closed.state, ProposalState::Rejected(RejectionReason::Incomplete));
    // Who proposed may close alone.
    let mut world = World::three();
    let opened = world.propose_admission(GRAZ, 0);
    let words =
        |a: &Author<'_>, s: &RegisterState| a.reject(s, &opened.statement, RejectionReason::WordsDiffer).unwrap();
    assert_eq!(world.act(STRASBOURG, words).outcome, Outcome::Accepted);
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::ProposalClosed);
}

#[test]
fn an_applicant_takes_its_application_back() {
    let mut world = World::three();
    let opened = world.propose_admission(GRAZ, 0);
    let withdraw = |a: &Author<'_>, s: &RegisterState| a.withdraw(s, &opened.statement).unwrap();
    assert_eq!(world.act(GENT, withdraw).outcome, Outcome::NotYours);
    let stranger = new_key();
    let forged = world.sign_with(&id(GRAZ), &stranger, withdraw);
    assert_eq!(world.outcome(&forged), Outcome::BadSignature);
    assert_eq!(world.act(GRAZ, withdraw).outcome, Outcome::Accepted);
    assert_eq!(world.state.proposal(&opened.statement).unwrap().state, ProposalState::Withdrawn);
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::ProposalClosed);
    let no_such = StatementId([1; 32]);
    assert!(world.sign(KEHL, |a, s| a.approve(s, &no_such)).is_none());
}

#[test]
fn stewards_change_by_one_at_a_time_under_ids_never_used_before() {
    let mut world = World::three();
    world.admit(GRAZ, 5);
    let steward = |name: &str, raft_id| Steward { authority: id(name), raft_id };
    let three = [steward(STRASBOURG, 1), steward(KEHL, 2), steward(ESCH, 3)];
    let propose = |set: &[Steward]| world.clone().act(STRASBOURG, |a, s| a.steward_set(s, set)).outcome;
    let plus = |more: &[Steward]| [&three[..], more].concat();
    assert_eq!(propose(&plus(&[steward(GENT, 4)])), Outcome::Pending);
    assert_eq!(propose(&three[..2]), Outcome::Pending);
    assert_eq!(propose(&[]), Outcome::LastSteward);
    assert_eq!(propose(&three), Outcome::OneStewardAtATime, "no change");
    assert_eq!(propose(&three[..1]), Outcome::OneStewardAtATime);
    assert_eq!(propose(&plus(&[steward(GENT, 4), steward(GRAZ, 5)])), Outcome::OneStewardAtATime);
    assert_eq!(propose(&[&three[..2], &[steward(GENT, 4)]].concat()), Outcome::OneStewardAtATime, "out and in at once");
    assert_eq!(propose(&plus(&[steward(GENT, 99)])), Outcome::InvalidEntry, "an id that its entry does not announce");
    assert_eq!(propose(&plus(&[steward(GENT, 2)])), Outcome::RaftIdReused);
    assert_eq!(propose(&plus(&[steward("xx-nobody", 9)])), Outcome::NoSuchSubject);
    assert_eq!(propose(&plus(&[steward(KEHL, 9)])), Outcome::Malformed, "one authority twice");

    // Demoted, Esch comes back only under a new id.
    let opened = world.act(KEHL, |a, s| a.steward_set(s, &three[..2]));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.state.stewards().len(), 2);
    assert_eq!(world.act(KEHL, |a, s| a.steward_set(s, &three)).outcome, Outcome::RaftIdReused);
    assert_eq!(world.change_own(ESCH, |e| e.raft_id = 4), Outcome::RaftIdReused, "Gent announced it");
    assert_eq!(world.change_own(ESCH, |e| e.raft_id = 33), Outcome::Accepted);
    assert_eq!(world.change_own(ESCH, |e| e.raft_id = 3), Outcome::RaftIdReused, "its own old one");
    world.promote(ESCH, 33);
    // A steward restored from a backup: the same authority under a new id is one change.
    assert_eq!(world.change_own(KEHL, |e| e.raft_id = 22), Outcome::Accepted);
    let replaced = [steward(STRASBOURG, 1), steward(KEHL, 22), steward(ESCH, 33)];
    let opened = world.act(STRASBOURG, |a, s| a.steward_set(s, &replaced));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    let ids: Vec<u64> = world.state.stewards().iter().map(|s| s.raft_id).collect();
    assert_eq!(ids, [22, 1, 33], "in the order of their authorities");
}

#[test]
fn a_vote_counts_while_its_steward_is_one_and_its_key_sound() {
    let mut world = World::three();
    let set = |names: &[(&str, u64)]| {
        names.iter().map(|(n, r)| Steward { authority: id(n), raft_id: *r }).collect::<Vec<_>>()
    };
    // Esch approves, and is demoted: its approval is gone.
    let opened = world.propose_admission(GRAZ, 0);
    let removal = world.act(KEHL, |a, s| a.remove(s, &id(GENT), RemoveReason::NoLongerExists));
    let demotion = world.act(ESCH, |a, s| a.steward_set(s, &set(&[(STRASBOURG, 1), (ESCH, 3)])));
    assert_eq!(world.approve(STRASBOURG, &demotion.statement), Outcome::Accepted, "Kehl is demoted");
    assert_eq!(world.approve(STRASBOURG, &removal.statement), Outcome::Pending, "Kehl's vote for it is gone");
    // Strasbourg's key turns out to be stolen: what was approved with it does not count.
    let thief_knows = world.keys[&id(STRASBOURG)].clone();
    let key = new_key();
    let rotation = world.sign(STRASBOURG, |a, s| a.key_rotation(s, &key, true));
    world.keys.insert(id(STRASBOURG), key);
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Pending, "only Esch's approval is sound");
    let stolen = world.sign_with(&id(STRASBOURG), &thief_knows, |a, s| a.approve(s, &opened.statement).unwrap());
    assert_eq!(world.outcome(&stolen), Outcome::BadSignature);
    assert_eq!(world.approve(STRASBOURG, &opened.statement), Outcome::Accepted, "and again with the new key");
}

#[test]
fn a_decision_about_what_has_changed_meanwhile_is_stale() {
    let mut world = World::three();
    let mut entry = world.state.member(&id(GENT)).unwrap().entry.clone();
    entry.names[0].name = "Stad Gent".into();
    let opened = world.act(GENT, |a, s| a.entry_change(s, &entry));
    assert_eq!(opened.outcome, Outcome::Pending, "a member proposes a change of its own entry");
    assert_eq!(world.approve(KEHL, &opened.statement), Outcome::Pending);
    let mut stale = world.clone();
    assert_eq!(stale.change_own(GENT, |e| e.networks = vec!["Eurocities".into()]), Outcome::Accepted);
    assert_eq!(stale.approve(ESCH, &opened.statement), Outcome::StaleVersion, "the networks would be lost");
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    assert_eq!(world.state.member(&id(GENT)).unwrap().entry.names[0].name, "Stad Gent");
}

#[test]
fn the_majority_changes_the_policy_and_a_raise_beyond_what_is_known_stops() {
    let mut world = World::three();
    let strict = Policy { admission_approvals: 3, ..Policy::default() };
    let opened = world.act(KEHL, |a, s| a.policy(s, &strict));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.state.policy().admission_approvals, 3);
    let lowered = Policy { rules_version: 0, ..strict.clone() };
    assert_eq!(world.act(KEHL, |a, s| a.policy(s, &lowered)).outcome, Outcome::Malformed);
    let lone = Policy { emergency: Millis::days(7), ..strict.clone() };
    assert_eq!(world.act(KEHL, |a, s| a.policy(s, &lone)).outcome, Outcome::Malformed, "one steward alone for a week");

    let raised = Policy { rules_version: KNOWN_RULES + 1, ..strict };
    let opened = world.act(KEHL, |a, s| a.policy(s, &raised));
    assert_eq!((opened.outcome, world.state.stopped()), (Outcome::Pending, None), "a proposal alone stops nobody");
    let last = world.state.number() + 1;
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.state.stopped(), Some(KNOWN_RULES + 1));
    let head = world.state.head();
    let after = world.act(GENT, |a, s| a.policy(s, &Policy::default()));
    assert_eq!((after.taken(), after.outcome, world.state.head()), (None, Outcome::RulesVersion, head));
    assert_eq!(world.state.number(), last);
}

#[test]
fn a_removed_authority_is_out_until_it_is_admitted_again_with_a_new_key() {
    let mut world = World::three();
    assert_eq!(
        world.act(ESCH, |a, s| a.remove(s, &id(KEHL), RemoveReason::BreachOfRules)).outcome,
        Outcome::StillASteward
    );
    let opened = world.act(GENT, |a, s| a.remove(s, &id(GENT), RemoveReason::OwnRequest));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    let old = world.keys[&id(GENT)].clone();
    assert_eq!(world.change_own(GENT, |e| e.services = vec![]), Outcome::Removed);
    let emergency = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&emergency), Outcome::Removed);
    let same_key =
        world.sign(GENT, |a, s| a.application(&s.federation(), 1, 1, &proved(&s.federation(), entry(GENT, &old, 0))));
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id(GENT), same_key, &invited)).outcome, Outcome::DuplicateKey);
    world.admit(GENT, 44);
    let member = world.state.member(&id(GENT)).unwrap();
    assert_eq!((member.version, member.removed_at, member.keys.len()), (2, None, 2));
    assert!(member.keys[0].compromised && !member.keys[1].compromised);
}
