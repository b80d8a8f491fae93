//! What a decision carries out once enough stewards have approved: judged when it is proposed and again when it is decided.

use super::{Context, entry, keys, standing, stewards, version};
use crate::domain::authority::KeyRecord;
use crate::domain::directory::{Member, Policy};
use crate::domain::register::Outcome;
use crate::state::{Effects, Own, Record};
use crate::wire::statement::{Act, Admit, Application, Subject};

/// What is proposed, about whom, at which version of it.
pub(super) struct Motion<'a> {
    pub act: &'a Act,
    pub subject: &'a Subject,
    pub version: u64,
}

/// The effects of the act, if it may be carried out now.
pub(super) fn carry(context: &Context<'_>, motion: &Motion<'_>) -> Result<Effects, Outcome> {
    let named = motion.version;
    match motion.act {
        Act::Admit(act) => admit(context, named, act),
        Act::StewardSet(set) => stewards::change(context, named, set),
        Act::Suspend(_) => standing::suspend(context, motion.subject),
        Act::Restore { lifts } => standing::restore(context, motion.subject, named, lifts),
        Act::Remove(_) => standing::remove(context, motion.subject),
        Act::Policy(policy) => change_policy(context, named, policy),
        Act::EntryChange(entry) => entry::decided(context, named, entry),
        Act::KeyRecovery { new_key, entry } => keys::recover(context, named, new_key, entry),
    }
}

/// What is judged once, when it is proposed: the subject is the act's, a standing is named at its current version, and
/// what the proposal carries of others is signed by them.
pub(super) fn check_proposed(context: &Context<'_>, act: &Act) -> Result<(), Outcome> {
    let subject = &context.subject;
    let about = match act {
        Act::Admit(Admit { application: Application { entry, .. }, .. })
        | Act::EntryChange(entry)
        | Act::KeyRecovery { entry: Application { entry, .. }, .. } => subject.authority() == Some(&entry.authority),
        Act::StewardSet(_) => *subject == Subject::Stewards,
        Act::Policy(_) => *subject == Subject::Policy,
        Act::Suspend(_) | Act::Restore { .. } | Act::Remove(_) => subject.authority().is_some(),
    };
    if !about {
        return Err(Outcome::Malformed);
    }
    match act {
        Act::Suspend(_) | Act::Remove(_) => {
            let (member, _) = context.subject_member(subject)?;
            version(context.subject_version, member.standing_version)
        }
        Act::Admit(Admit { application, .. }) | Act::KeyRecovery { entry: application, .. } => {
            check_application(context, application)
        }
        _ => Ok(()),
    }
}

fn check_application(context: &Context<'_>, application: &Application) -> Result<(), Outcome> {
    let federation = context.state.federation();
    if application.federation != federation {
        return Err(Outcome::WrongFederation);
    }
    if application.rules_version != context.state.policy().rules_version {
        return Err(Outcome::RulesVersion);
    }
    let key = application.entry.authority_key;
    application
        .unverified()
        .check(&federation, |id| (key.id() == *id).then_some(key), context.verify)
        .map(|_| ())
        .map_err(|_| Outcome::BadSignature)
}

fn admit(context: &Context<'_>, named: u64, act: &Admit) -> Result<Effects, Outcome> {
    let entry = &act.application.entry;
    let before = context.state.member(&entry.authority);
    if before.is_some_and(|member| member.removed_at.is_none()) {
        return Err(Outcome::AlreadyMember);
    }
    context.entry_version(named, before.map_or(0, |member| member.version))?;
    if act.application.subject_version != named {
        return Err(Outcome::StaleVersion);
    }
    if context.state.member(&act.invited_by).is_none_or(|inviter| inviter.removed_at.is_some()) {
        return Err(Outcome::NoSuchSubject);
    }
    entry::check(context, entry, None)?;
    let current = KeyRecord { key: entry.authority_key, replaced_at: None, compromised: false };
    let mut member = Member {
        entry: entry.clone(),
        version: named + 1,
        standing_version: 1,
        keys: vec![current],
        suspended_until: None,
        removed_at: None,
    };
    let Some(before) = before else {
        return Ok(Effects::member(member, Record::admitted(context.now), Own::Stays));
    };
    // It had left and comes back: with a new key, and with its history.
    let retired = |key: &KeyRecord| KeyRecord {
        replaced_at: Some(key.replaced_at.unwrap_or(context.now)),
        compromised: true,
        key: key.key,
    };
    member.keys = before.keys.iter().map(retired).chain([current]).collect();
    member.standing_version = before.standing_version + 1;
    let mut record = context.state.record(&entry.authority).map(|r| Record::clone(r)).ok_or(Outcome::NoSuchSubject)?;
    record.admitted_at = context.now;
    Ok(Effects::member(member, record, Own::Settled))
}

/// Rules are raised, never lowered.
fn change_policy(context: &Context<'_>, named: u64, policy: &Policy) -> Result<Effects, Outcome> {
    version(named, context.state.version(&Subject::Policy))?;
    if policy.rules_version < context.state.policy().rules_version {
        return Err(Outcome::RulesVersion);
    }
    Ok(Effects { policy: Some(policy.clone()), ..Effects::default() })
}
