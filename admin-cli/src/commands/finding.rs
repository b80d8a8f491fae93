//! `member find`: partners by what they say of themselves in the register.

use clap::Args;
use havenlink_proto::admin::v1::ListMembersRequest;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::directory::v1::{AuthorityEntry, Member, MemberState, ParticipantKind};
use havenlink_proto::record::v1::{CorridorRole, ServiceKind};
use serde_json::json;

use super::{ALL, pages, plan};
use crate::contract_enum::{self, Code};
use crate::failure::Failure;
use crate::output::{Cell, Grid, View};
use crate::session::Session;
use crate::value::to_json;

/// What is looked for. Of a condition that is given several times one has to hold; of different conditions all.
#[derive(Debug, Default, Args)]
pub struct Wanted {
    /// Place on the corridor: ORIGIN, TRANSIT, DESTINATION
    #[arg(long, value_name = "ROLE")]
    corridor: Vec<Code<CorridorRole>>,
    /// Country whose border it lies at, e.g. at
    #[arg(long, value_name = "COUNTRY")]
    border: Vec<String>,
    /// Service that it offers, e.g. LEGAL_AID
    #[arg(long, value_name = "SERVICE")]
    service: Vec<Code<ServiceKind>>,
    /// Named network, e.g. Eurocities; upper and lower case are the same
    #[arg(long)]
    network: Vec<String>,
    /// Sort of participant, e.g. CROSS_BORDER_BODY
    #[arg(long)]
    kind: Vec<Code<ParticipantKind>>,
    /// Its own country, e.g. de
    #[arg(long)]
    country: Vec<String>,
}

/// Members in good standing that fit.
pub async fn find(session: &Session, wanted: &Wanted) -> Result<(), Failure> {
    if wanted.says_nothing() {
        return Err(Failure::usage(
            "nothing is looked for",
            "havenctl member find --help; havenctl member list shows all",
        ));
    }
    let request = ListMembersRequest::default();
    let mut members =
        pages!(session, MemberServiceClient, list_members, request, [members] and [applications, pending], &ALL)?
            .members;
    members.retain(|member| wanted.fits(member));
    let mut grid = Grid::new(&["authority", "name", "kind", "corridor", "borders", "services", "networks", "contact"]);
    for member in &members {
        let entry = member.entry.clone().unwrap_or_default();
        let said = plan::fields(&entry);
        let field = |name: &str| {
            let found = said.iter().find(|(field, _)| *field == name);
            Cell::list(found.map(|(_, values)| values.clone()).unwrap_or_default())
        };
        grid.push([
            Cell::text(&entry.authority),
            Cell::text(entry.names.first().map(|n| n.name.clone()).unwrap_or_default()),
            Cell::text(contract_enum::name::<ParticipantKind>(entry.kind)),
            field("corridor roles"),
            field("borders"),
            field("services"),
            field("networks"),
            field("contacts"),
        ]);
    }
    if grid.is_empty() {
        session.say("no member says that of itself; havenctl member list shows all");
    }
    let json: Vec<_> = members.iter().map(to_json).collect();
    session.show(&View::list(json!({ "members": json }), &["members"], grid))?;
    let first = members.first().and_then(|member| member.entry.as_ref());
    session.next(
        &first.map(|entry| format!("havenctl agreement propose {} …", entry.authority)).into_iter().collect::<Vec<_>>(),
    );
    Ok(())
}

impl Wanted {
    fn says_nothing(&self) -> bool {
        let lists = [self.corridor.len(), self.border.len(), self.service.len(), self.network.len()];
        lists.iter().sum::<usize>() + self.kind.len() + self.country.len() == 0
    }

    fn fits(&self, member: &Member) -> bool {
        let Some(entry) = &member.entry else { return false };
        let AuthorityEntry { authority, kind, networks, services, corridor_roles, borders, .. } = entry;
        let has = |numbers: &[u32], code: i32| numbers.iter().any(|number| i64::from(*number) == i64::from(code));
        let same = |texts: &[String], text: &String| texts.iter().any(|one| one.to_lowercase() == text.to_lowercase());
        let country = authority.split('-').next().unwrap_or_default();
        member.state == MemberState::Active as i32
            && !member.denied_by_overlay
            && one_of(&self.corridor, |role| has(corridor_roles, role.number))
            && one_of(&self.border, |border| same(borders, border))
            && one_of(&self.service, |service| has(services, service.number))
            && one_of(&self.network, |network| same(networks, network))
            && one_of(&self.kind, |wanted| *kind == wanted.number)
            && one_of(&self.country, |wanted| wanted.eq_ignore_ascii_case(country))
    }
}

/// No condition, or one of them holds.
fn one_of<T>(conditions: &[T], holds: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Noun};
    use crate::commands::member::Verb;

    fn wanted(arguments: &[&str]) -> Wanted {
        let line = ["havenctl", "member", "find"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().noun {
            Noun::Member(Verb::Find(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }

    fn graz() -> Member {
        let entry = AuthorityEntry {
            authority: "at-graz".into(),
            kind: ParticipantKind::LocalAuthority.into(),
            networks: vec!["Eurocities".into()],
            services: vec![ServiceKind::LegalAid as u32, 9_999],
            corridor_roles: vec![CorridorRole::Transit as u32],
            borders: vec!["si".into()],
            ..Default::default()
        };
        Member { entry: Some(entry), state: MemberState::Active.into(), ..Default::default() }
    }

    #[test]
    fn all_conditions_hold_and_of_each_one_value() {
        let fits = |arguments: &[&str]| wanted(arguments).fits(&graz());
        assert!(fits(&["--corridor", "TRANSIT", "--border", "si", "--service", "LEGAL_AID"]));
        assert!(fits(&["--corridor", "ORIGIN", "--corridor", "TRANSIT", "--network", "eurocities"]));
        assert!(fits(&["--country", "AT", "--kind", "LOCAL_AUTHORITY"]));
        for other in [
            ["--corridor", "ORIGIN"],
            ["--border", "at"],
            ["--service", "MEDICAL"],
            ["--network", "euro"],
            ["--kind", "TRADE_UNION"],
            ["--country", "si"],
        ] {
            assert!(!fits(&other), "{other:?}");
        }
        assert!(!fits(&["--border", "si", "--network", "euro"]), "all have to hold");
    }

    #[test]
    fn who_is_out_is_not_found_and_nothing_asked_is_nothing_found() {
        let by_border = wanted(&["--border", "si"]);
        let suspended = Member { state: MemberState::Suspended.into(), ..graz() };
        let denied = Member { denied_by_overlay: true, ..graz() };
        assert!(by_border.fits(&graz()) && !by_border.fits(&suspended) && !by_border.fits(&denied));
        assert!(wanted(&[]).says_nothing() && !by_border.says_nothing());
    }
}
