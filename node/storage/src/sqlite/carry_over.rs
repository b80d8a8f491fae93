//! From version 1 of the data to 2: what was hidden in named values gets its row in the table that it belongs to.
//!
//! Of the nine prefixes three were state, two said what is still owed, and four said what was done already: of those, what
//! no mark stands for becomes owed. A name that does not read goes too: nothing ever found what it stood for.

use std::collections::HashSet;

use sqlx::sqlite::SqliteConnection;

use super::db::{self, Args, Columns, failed};
use super::{rare, statements};
use crate::Result;
use crate::domain::agreement::Agreement;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, InvitationId, RecordId};
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::owed::{Owed, OwedKey, Subject};

type Named = Vec<(String, Vec<u8>)>;

/// Rows of one many-row statement.
const TOGETHER: usize = 500;

/// Carries them over, in the caller's transaction.
pub(super) async fn named_values(conn: &mut SqliteConnection) -> Result<()> {
    // Nobody wrote down since when: not later than the ledger's last line.
    let since = written(conn).await?;
    let mut owed = suspended(conn).await?;
    owed.extend(end_notices(conn).await?);
    owed.extend(of_agreements(conn).await?);
    owed.extend(pauses(conn).await?);
    owed.iter_mut().for_each(|owed| owed.since = since);
    for rows in owed.chunks(TOGETHER) {
        db::run_many(conn, &statements::OWED_PUT, rows, rare::bind_new_owed).await.map_err(failed)?;
    }
    state(conn).await?;
    // Lines of emergencies that are in the ledger: nothing is owed for them.
    taken(conn, "emergency/").await?;
    Ok(())
}

/// The time of the ledger's last line.
async fn written(conn: &mut SqliteConnection) -> Result<UnixMs> {
    let head = db::one(&mut *conn, &statements::HEAD_GET, Args::new()).await.map_err(failed)?;
    head.map_or(Ok(UnixMs(0)), |head| head.time(7)).map_err(failed)
}

/// The named values with a prefix, which stand there no longer.
async fn taken(conn: &mut SqliteConnection, prefix: &str) -> Result<Named> {
    let end = format!("{prefix}\u{10ffff}");
    let args = Args::new().with(prefix).with(end.as_str());
    let rows = db::all(&mut *conn, &statements::META_LIST, args).await.map_err(failed)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (name, value) = (row.text(0).map_err(failed)?, row.blob(1).map_err(failed)?);
        db::run(&mut *conn, &statements::META_DELETE, Args::new().with(name.as_str())).await.map_err(failed)?;
        found.push((name[prefix.len()..].to_owned(), value));
    }
    Ok(found)
}

fn due(key: OwedKey, due: UnixMs) -> Owed {
    Owed { key, since: UnixMs(0), due }
}

/// `awaits/<recipient>/<origin>/<record>`
async fn suspended(conn: &mut SqliteConnection) -> Result<Vec<Owed>> {
    let parse = |name: &str| {
        let mut parts = name.split('/');
        let recipient = AuthorityId::parse(parts.next()?)?;
        let origin = AuthorityId::parse(parts.next()?)?;
        let record = RecordKey { origin, record_id: RecordId::from_hex(parts.next()?)? };
        Some(due(OwedKey::to(&recipient, Subject::SuspendedRecord(record)), UnixMs(0)))
    };
    Ok(taken(conn, "awaits/").await?.iter().filter_map(|(name, _)| parse(name)).collect())
}

/// `untold-end/<agreement>/<by>/<to>`
async fn end_notices(conn: &mut SqliteConnection) -> Result<Vec<Owed>> {
    let parse = |name: &str| {
        let mut parts = name.split('/');
        let agreement = AgreementId::from_hex(parts.next()?)?;
        let (by, to) = (AuthorityId::parse(parts.next()?)?, AuthorityId::parse(parts.next()?)?);
        Some(due(OwedKey::to(&to, Subject::EndNotice(agreement, by)), UnixMs(0)))
    };
    Ok(taken(conn, "untold-end/").await?.iter().filter_map(|(name, _)| parse(name)).collect())
}

/// What no `agreement-announced/<agreement>/<to>` and no `caught-up/<agreement>/<grant>` stands for. Whose authorities
/// this node serves the store does not know: what is not this node's to do is settled by the pass that comes to it.
async fn of_agreements(conn: &mut SqliteConnection) -> Result<Vec<Owed>> {
    let announced: HashSet<String> = names(conn, "agreement-announced/").await?;
    let caught_up: HashSet<String> = names(conn, "caught-up/").await?;
    let args = Args::new().with([].as_slice());
    let mut owed = Vec::new();
    for row in db::all(&mut *conn, &statements::AGREEMENT_ALL, args).await.map_err(failed)? {
        let complete = row.int(2).map_err(failed)? != 0;
        // One that does not read stays as it is; whoever lists agreements names it.
        let read = crate::wire::agreed::own(&row.bytes(1).map_err(failed)?).ok().filter(|_| complete);
        if let Some((id, agreement)) = read {
            let unmarked = owed_by(&id, &agreement, UnixMs(0)).into_iter().filter(|owed| match &owed.key {
                OwedKey { subject: Subject::Backfill(grant), .. } => {
                    !caught_up.contains(&format!("{id}/{}", grant.number))
                }
                OwedKey { recipient: Some(to), .. } => !announced.contains(&format!("{id}/{to}")),
                OwedKey { recipient: None, .. } => false,
            });
            owed.extend(unmarked);
        }
    }
    Ok(owed)
}

/// All that a complete agreement can lead to: the announcement to each party but its proposer, and what is current to the
/// partner of each grant.
fn owed_by(id: &AgreementId, agreement: &Agreement, since: UnixMs) -> Vec<Owed> {
    let others = agreement.parties.iter().map(|party| &party.authority).filter(|to| **to != agreement.proposer);
    let announcements = others.map(|to| Owed::now(OwedKey::to(to, Subject::Announcement(*id)), since));
    let backfills = agreement.grants.iter().zip(0_u32..).map(|(grant, number)| {
        let key = OwedKey::to(&grant.to, Subject::Backfill(GrantRef { agreement: *id, number }));
        Owed { key, since, due: grant.valid_from }
    });
    announcements.chain(backfills).collect()
}

async fn names(conn: &mut SqliteConnection, prefix: &str) -> Result<HashSet<String>> {
    Ok(taken(conn, prefix).await?.into_iter().map(|(name, _)| name).collect())
}

/// `offer-paused/<offer>` held the incarnation in which partners were told.
async fn pauses(conn: &mut SqliteConnection) -> Result<Vec<Owed>> {
    let args = Args::new().with(crate::named::Named::Incarnation.name());
    let row = db::one(&mut *conn, &statements::META_GET, args).await.map_err(failed)?;
    let incarnation = row.map(|row| row.blob(0)).transpose().map_err(failed)?;
    let told: HashSet<String> = taken(conn, "offer-paused/")
        .await?
        .into_iter()
        .filter(|(_, value)| Some(value) == incarnation.as_ref())
        .map(|(name, _)| name)
        .collect();
    let mut owed = Vec::new();
    for row in db::all(&mut *conn, &statements::OWN_OFFER_ALL, Args::new()).await.map_err(failed)? {
        // One that does not read stays as it is; whoever lists offers names it.
        let Ok(id) = super::offers::offer_id(&row, 0) else { continue };
        if row.int(3).map_err(failed)? != 0 && !told.contains(&id.to_string()) {
            owed.push(due(OwedKey::of(Subject::PauseNotice(id)), UnixMs(0)));
        }
    }
    Ok(owed)
}

/// `invitation-request/<digest>`, `invitation/<id>`, `incarnation-of/<ours>/<theirs>`.
async fn state(conn: &mut SqliteConnection) -> Result<()> {
    for (name, value) in taken(conn, "invitation-request/").await? {
        let (Some(request), true) = (crate::domain::ids::Digest::from_hex(&name), value.len() == 72) else { continue };
        let Ok(expires) = <[u8; 8]>::try_from(&value[64..]) else { continue };
        let args = Args::new().with(request.0.as_slice()).with(&value[..32]).with(&value[32..64]);
        let args = args.with(i64::from_be_bytes(expires));
        db::run(&mut *conn, &statements::INVITATION_REQUEST_PUT, args).await.map_err(failed)?;
    }
    for (name, value) in taken(conn, "invitation/").await? {
        let Some(id) = InvitationId::from_hex(&name) else { continue };
        let args = Args::new().with(id.0.as_slice()).with(value.as_slice());
        db::run(&mut *conn, &statements::INVITATION_PUT, args).await.map_err(failed)?;
    }
    for (name, value) in taken(conn, "incarnation-of/").await? {
        let pair = name.split_once('/').and_then(|(a, b)| Some((AuthorityId::parse(a)?, AuthorityId::parse(b)?)));
        let number: Option<[u8; 8]> = value.try_into().ok();
        let (Some((ours, theirs)), Some(number)) = (pair, number) else { continue };
        let args = Args::new().with(&ours).with(&theirs).with(u64::from_be_bytes(number)).with(&[][..]);
        db::run(&mut *conn, &statements::PARTNER_INCARNATION_PUT, args).await.map_err(failed)?;
    }
    Ok(())
}
